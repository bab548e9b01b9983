//! Frames into any video file that ffmpeg writes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use super::matroska;
use super::probe::Probe;
use super::process::{Process, command, file_argument};
use super::vsync_option;
use crate::error::{Error, Result};
use crate::frame::{Frame, Rate, Size};
use crate::output::Output;
use crate::sink::{Flow, Sink};

/// The video from which frames come: its sound, its times and its colours go into the new file.
#[derive(Debug, Clone)]
pub struct Original {
    /// The file.
    pub path: PathBuf,
    /// What is known of it.
    pub probe: Probe,
}

/// Writes a video file through ffmpeg; it appears when it is finished.
pub struct Encoder {
    name: String,
    process: Process,
    frames: Option<ChildStdin>,
    output: Option<Output>,
    timed: bool,
}

impl Encoder {
    /// Begins the file `path` with frames of `size`, `rate` of them per second unless frames say when they are shown.
    ///
    /// # Errors
    /// When ffmpeg is missing or the file cannot be made.
    pub fn create(path: &Path, size: Size, rate: Rate, original: Option<&Original>) -> Result<Self> {
        let output = Output::create(path)?;
        let timed = original.is_some_and(|o| !o.probe.constant);
        let mut call = command("ffmpeg");
        call.args(["-nostdin", "-hide_banner", "-v", "error", "-y"]).stdin(Stdio::piped()).stdout(Stdio::null());
        if let Some(original) = original {
            call.args(["-itsoffset", &format!("{:.6}", original.probe.offset)]);
        }
        if timed {
            call.args(["-f", "matroska", "-i", "pipe:0"]);
        } else {
            let rate = format!("{}/{}", rate.numerator(), rate.denominator());
            call.args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &size.to_string(), "-framerate", &rate]);
            call.args(["-i", "pipe:0"]);
        }
        if let Some(original) = original {
            call.arg("-i").arg(file_argument(&original.path)).args(["-map_metadata", "1"]);
            if original.probe.sound {
                call.args(["-map", "1:a"]);
                if sound_can_be_copied(&original.path, path)? {
                    call.args(["-c:a", "copy"]);
                }
            }
        }
        call.args(["-map", "0:v:0", vsync_option()?, "passthrough"]);
        if timed {
            call.args(["-enc_time_base", "1:1000000"]);
        }
        add_picture_options(&mut call, size, original.map(|o| &o.probe));
        call.arg(file_argument(output.working_path()));
        let mut process = Process::start("ffmpeg", call, |_| false)?;
        let mut encoder =
            Self { name: path.display().to_string(), frames: process.stdin(), process, output: Some(output), timed };
        if timed {
            encoder.write(&matroska::header(size))?;
        }
        Ok(encoder)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.frames.as_mut().map(|frames| frames.write_all(bytes));
        match written {
            Some(Ok(())) => Ok(()),
            // It closed its input: it has a reason, and tells it.
            _ => {
                self.frames = None;
                self.process.wait(&self.doing())?;
                Err(Error::Tool(format!("ffmpeg ended early while {}", self.doing())))
            }
        }
    }

    fn doing(&self) -> String {
        format!("writing {}", self.name)
    }
}

impl Sink for Encoder {
    fn name(&self) -> &str {
        &self.name
    }

    fn show(&mut self, frame: &Frame) -> Result<Flow> {
        if self.timed {
            let shown = frame.presented.unwrap_or(Duration::ZERO);
            let micros = u64::try_from(shown.as_micros()).unwrap_or(u64::MAX);
            self.write(&matroska::before_frame(micros, frame.pixels.len()))?;
        }
        self.write(&frame.pixels)?;
        Ok(Flow::Continue)
    }

    fn finish(&mut self) -> Result<()> {
        // The end of its input is what ffmpeg waits for.
        self.frames = None;
        self.process.wait(&self.doing())?;
        self.output.take().map_or(Ok(()), Output::commit)
    }
}

/// Shape of the pixels, and how colours are coded: as in the original, so that a player shows them alike.
fn add_picture_options(call: &mut Command, size: Size, probe: Option<&Probe>) {
    let matrix = probe.and_then(|p| p.colour.matrix.as_deref());
    // The names of the filter differ from those of the tags. Where the file tells nothing, ffmpeg read it as BT.601.
    let out_matrix = match matrix {
        Some("bt709") => "bt709",
        Some("bt2020nc" | "bt2020c") => "bt2020",
        _ => "bt601",
    };
    let mut filter = format!("scale=out_color_matrix={out_matrix}:out_range=tv");
    if let Some((width, height)) = probe.and_then(|p| p.pixel_aspect.map(|aspect| upright(aspect, p.stored, size))) {
        filter.push_str(&format!(",setsar={width}/{height}"));
    }
    // 4:2:0 is what every player reads, but encoders want even sides for it.
    let even = size.width.is_multiple_of(2) && size.height.is_multiple_of(2);
    call.args(["-vf", &filter, "-pix_fmt", if even { "yuv420p" } else { "yuv444p" }]);
    if let Some(probe) = probe {
        let tags = [
            ("-colorspace", matrix),
            ("-color_trc", probe.colour.transfer.as_deref()),
            ("-color_primaries", probe.colour.primaries.as_deref()),
        ];
        for (option, value) in tags {
            // RGB as a matrix makes no sense for what is written here.
            if let Some(value) = value.filter(|v| *v != "gbr") {
                call.args([option, value]);
            }
        }
    }
}

/// The shape of a pixel after the picture was turned upright.
fn upright(aspect: (u32, u32), stored: (u32, u32), size: Size) -> (u32, u32) {
    let turned = stored.0 != stored.1 && stored == (size.height, size.width);
    if turned { (aspect.1, aspect.0) } else { aspect }
}

/// Whether the container that the ending of `path` stands for takes the sound of `original` as it is: tried with its
/// first tenth of a second.
fn sound_can_be_copied(original: &Path, path: &Path) -> Result<bool> {
    let ending = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    let trial = tempfile::Builder::new().suffix(&ending).tempfile();
    let trial = trial.map_err(|e| Error::io("write", &std::env::temp_dir(), e))?;
    let mut call = command("ffmpeg");
    call.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(file_argument(original));
    call.args(["-map", "0:a", "-c", "copy", "-t", "0.1"]).arg(file_argument(trial.path())).stdout(Stdio::null());
    let copied = Process::start("ffmpeg", call, |_| false)?.wait("trying the sound").is_ok();
    if !copied {
        log::info!("the sound is coded anew: '{ending}' does not take it as it is");
    }
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_turn_with_their_picture() {
        assert_eq!(upright((16, 15), (720, 576), Size::new(720, 576)), (16, 15));
        assert_eq!(upright((16, 15), (720, 576), Size::new(576, 720)), (15, 16));
    }
}
