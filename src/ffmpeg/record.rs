//! Frames as they come, into an MP4 file that can be played at any time.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::time::Duration;

use super::encode::add_picture_options;
use super::matroska;
use super::process::{Process, command, file_argument};
use super::vsync_option;
use crate::error::{Error, Result};
use crate::frame::{Frame, Rate, Size};

/// Writes frames that have times, at a constant rate: ffmpeg repeats those that another is late after.
///
/// The file is written in fragments of a second, each of which is complete in itself: where the recording is cut by a
/// crash, it can be played up to there.
pub struct Recording {
    path: PathBuf,
    working: PathBuf,
    process: Process,
    frames: Option<ChildStdin>,
}

impl Recording {
    /// Begins the file `working`, over what stands there, with frames of `size`, `rate` of them per second. Its user knows it
    /// as `path`.
    ///
    /// # Errors
    /// When ffmpeg is missing or ends at once.
    pub fn create(path: &Path, working: &Path, size: Size, rate: Rate) -> Result<Self> {
        let mut call = command("ffmpeg");
        call.args(["-nostdin", "-hide_banner", "-v", "error", "-y"]).stdin(Stdio::piped()).stdout(Stdio::null());
        call.args(["-f", "matroska", "-i", "pipe:0"]);
        let rate = format!("{}/{}", rate.numerator(), rate.denominator());
        call.args([vsync_option()?, "cfr", "-r", &rate]);
        add_picture_options(&mut call, size, None, true);
        // Somebody is watching: the processor is wanted for the pictures themselves.
        call.args(["-preset", "veryfast", "-threads", "1", "-force_key_frames", "expr:gte(t,n_forced)"]);
        call.args(["-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-flush_packets", "1", "-f", "mp4"]);
        call.arg(file_argument(working));
        let mut process = Process::start("ffmpeg", call, |_| false)?;
        let frames = process.stdin();
        let mut recording = Self { path: path.to_path_buf(), working: working.to_path_buf(), process, frames };
        recording.write(&matroska::header(size))?;
        Ok(recording)
    }

    /// Adds a frame that is shown `at` this time after the start.
    ///
    /// # Errors
    /// When ffmpeg has ended, with what it said.
    pub fn add(&mut self, frame: &Frame, at: Duration) -> Result<()> {
        let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        self.write(&matroska::before_frame(micros, frame.pixels.len()))?;
        self.write(&frame.pixels)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self.frames.as_mut().map(|frames| frames.write_all(bytes)) {
            Some(Ok(())) => Ok(()),
            _ => {
                self.end()?;
                Err(Error::Tool(format!("ffmpeg ended early while writing {}", self.path.display())))
            }
        }
    }

    fn end(&mut self) -> Result<()> {
        self.frames = None;
        let complaint = self.process.wait().map_err(|failure| failure.writing(&self.path, Some(&self.working)))?;
        complaint
            .iter()
            .for_each(|complaint| tracing::info!("{}: ffmpeg says: {}", self.path.display(), complaint.text));
        Ok(())
    }

    /// Completes the file.
    ///
    /// # Errors
    /// When the last of it cannot be written.
    pub fn finish(mut self) -> Result<()> {
        self.end()
    }
}
