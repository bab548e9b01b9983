//! Frames into any video file that ffmpeg writes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use tempfile::NamedTempFile;

use super::matroska;
use super::probe::Probe;
use super::process::{Process, command, file_argument};
use super::vsync_option;
use crate::error::{Error, Result};
use crate::frame::{Frame, Rate, Size};
use crate::output::Output;
use crate::picture::Format;
use crate::pixels::yuv::Chroma;
use crate::sink::{Flow, Sink};
use crate::y4m::Header;

/// The video from which frames come: its sound, its times and its colours go into the new file.
#[derive(Debug, Clone)]
pub struct Original {
    /// The file.
    pub path: PathBuf,
    /// What is known of it.
    pub probe: Probe,
}

impl Original {
    /// The header of a Y4M stream of its pictures, upright and in their own size.
    pub fn y4m_header(&self, size: Size, rate: Rate) -> Header {
        let header = Header::new(size, Some(rate), Chroma::C420);
        match self.probe.upright_aspect(size) {
            Some(aspect) => header.with_aspect(aspect),
            None => header,
        }
    }
}

/// Checks that ffmpeg writes videos under names that end like that of `path`: tried with one small frame.
///
/// # Errors
/// [`Error::Usage`] where it does not; [`Error::Tool`] where ffmpeg is missing.
pub fn check_ending(path: &Path) -> Result<()> {
    let (trial, ending) = trial(path)?;
    let name = path.display();
    let mut call = command("ffmpeg");
    call.args(["-hide_banner", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "16x16"]);
    call.args(["-i", "pipe:0", "-frames:v", "1", "-pix_fmt", "yuv420p"]).arg(file_argument(trial.path()));
    call.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut process = Process::start("ffmpeg", call, |_| false)?;
    if let Some(mut frame) = process.stdin() {
        // Where it closes its input early, it says why at its end.
        let _ = frame.write_all(&[128; 16 * 16 * 3]);
    }
    match process.wait() {
        Ok(_) if Format::of_path(path).is_none() => Ok(()),
        _ => Err(Error::Usage(format!(
            "'{name}': videos of the kind '{ending}' cannot be written by ffmpeg here; give OUT a name that ends in \
             .mp4, .mkv, .webm or .y4m"
        ))),
    }
}

/// An empty file whose name ends like that of `path`, to try something with, and this ending.
fn trial(path: &Path) -> Result<(NamedTempFile, String)> {
    let ending = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    let trial = tempfile::Builder::new().suffix(&ending).tempfile();
    Ok((trial.map_err(|e| Error::io("write", &std::env::temp_dir(), e))?, ending))
}

/// Writes a video file through ffmpeg; it appears when it is finished.
pub struct Encoder {
    name: String,
    path: PathBuf,
    process: Process,
    frames: Option<ChildStdin>,
    output: Option<Output>,
    timed: bool,
    begun: bool,
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
        }
        // Some players and pages take the first stream for the picture.
        call.args(["-map", "0:v:0", vsync_option()?, "passthrough"]);
        if let Some(original) = original.filter(|o| o.probe.sound) {
            match sound(&original.path, path)? {
                Sound::AsItIs => {
                    call.args(["-map", "1:a", "-c:a", "copy"]);
                }
                Sound::CodedAnew => {
                    call.args(["-map", "1:a"]);
                }
                Sound::None => tracing::warn!("{}: this kind of file takes no sound, so it has none", path.display()),
            }
        }
        if timed {
            call.args(["-enc_time_base", "1:1000000"]);
        }
        add_picture_options(&mut call, size, original.map(|o| &o.probe), keeps_colour_tags(path));
        call.arg(file_argument(output.working_path()));
        let mut process = Process::start("ffmpeg", call, |_| false)?;
        let (name, path) = (path.display().to_string(), path.to_path_buf());
        let frames = process.stdin();
        let mut encoder = Self { name, path, process, frames, output: Some(output), timed, begun: false };
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
                self.end()?;
                Err(Error::Tool(format!("ffmpeg ended early while writing {}", self.name)))
            }
        }
    }

    /// Ends ffmpeg's input, which is what it waits for, and then waits for it.
    fn end(&mut self) -> Result<()> {
        self.frames = None;
        let working = self.output.as_ref().map(Output::working_path);
        let complaint = self.process.wait().map_err(|failure| failure.writing(&self.path, working))?;
        complaint.iter().for_each(|complaint| tracing::info!("{}: ffmpeg says: {}", self.name, complaint.text));
        Ok(())
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
        self.begun = true;
        Ok(Flow::Continue)
    }

    fn finish(&mut self) -> Result<()> {
        if !self.begun {
            // A video without frames is none: nothing is left behind.
            return Ok(());
        }
        self.end()?;
        self.output.take().map_or(Ok(()), Output::commit)
    }
}

/// Shape of the pixels, and how colours are coded: as in the original, so that a player shows them alike.
pub(super) fn add_picture_options(call: &mut Command, size: Size, probe: Option<&Probe>, tagged: bool) {
    let matrix = probe.and_then(|p| p.colour.matrix.as_deref()).filter(|_| tagged);
    // The names of the filter differ from those of the tags. Where the file tells nothing, players take it for BT.601.
    let out_matrix = match matrix {
        Some("bt709") => "bt709",
        Some("bt2020nc" | "bt2020c") => "bt2020",
        _ => "bt601",
    };
    let mut filter = format!("scale=out_color_matrix={out_matrix}:out_range=tv");
    if let Some((width, height)) = probe.and_then(|p| p.upright_aspect(size)) {
        filter.push_str(&format!(",setsar={width}/{height}"));
    }
    // 4:2:0 is what every player reads, but encoders want even sides for it.
    let even = size.width.is_multiple_of(2) && size.height.is_multiple_of(2);
    call.args(["-vf", &filter, "-pix_fmt", if even { "yuv420p" } else { "yuv444p" }]);
    if let Some(probe) = probe.filter(|_| tagged) {
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

/// Whether the container of `path` says how its colours are coded; AVI cannot.
fn keeps_colour_tags(path: &Path) -> bool {
    !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("avi"))
}

/// What becomes of the sound.
enum Sound {
    AsItIs,
    CodedAnew,
    None,
}

/// Which sound the container that the ending of `path` stands for takes of `original`: tried with its first tenth of a
/// second.
fn sound(original: &Path, path: &Path) -> Result<Sound> {
    let (trial, ending) = trial(path)?;
    let takes = |how: &[&str]| -> Result<bool> {
        let mut call = command("ffmpeg");
        call.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(file_argument(original));
        call.args(["-map", "0:a", "-t", "0.1"]).args(how).arg(file_argument(trial.path())).stdout(Stdio::null());
        Ok(Process::start("ffmpeg", call, |_| false)?.wait().is_ok())
    };
    if takes(&["-c", "copy"])? {
        return Ok(Sound::AsItIs);
    }
    tracing::info!("'{ending}' does not take the sound of {} as it is", original.display());
    Ok(if takes(&[])? { Sound::CodedAnew } else { Sound::None })
}
