//! Where frames come from.
//!
//! A [`Source`] fills frames that the pipeline lends it. Pipeline threads never die inside a source: a source that
//! waits for a device gives up after a moment with [`Step::Idle`], so that its caller can look whether to stop.

pub mod adapt;
pub mod camera;
mod coded;
pub mod file;
pub mod mjpeg;
pub mod reconnect;
mod rest;
pub mod status;
pub mod synthetic;
pub mod y4m;

pub use camera::{CameraRequest, CameraSelector};
pub use rest::Rest;
pub use status::{SharedStatus, SourceStatus, StatusReport};

use crate::error::Result;
use crate::frame::{Frame, Rate, Size};

/// What a source says about itself before its first frame.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceInfo {
    /// For people: "camera 0 (Integrated Camera)", "clip.mkv", "synthetic".
    pub name: String,
    /// The size of every frame.
    pub size: Size,
    /// Frames per second where the source knows them.
    pub rate: Option<Rate>,
    /// Whether frames come when they come (a camera): who is late loses some, the newest counts.
    pub live: bool,
    /// How many frames there are, where that is known.
    pub frames: Option<u64>,
}

/// What [`Source::read`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The frame was filled.
    Frame,
    /// Nothing came for a moment (a quarter of a second at most); ask again.
    Idle,
    /// The source has ended; the frame is untouched.
    End,
}

/// Frames, one after the other.
pub trait Source: Send {
    /// Name, size and rate; constant over the source's life.
    fn info(&self) -> &SourceInfo;

    /// How it is, for those who show it while it runs; `None` for a source that gives frames or ends.
    fn status(&self) -> Option<SharedStatus> {
        None
    }

    /// Fills `frame` with the next picture: [`Frame::reshape`] to [`SourceInfo::size`], then `pixels` (RGB, 8 bits),
    /// `captured` (when the raw bytes were there, before any decoding: the time from then to the return is what the
    /// statistics call the source's), `sequence` (the source's own count from 0: a gap tells of frames that the device
    /// lost) and, where the source knows it, `presented`. A source that gives placeholders also sets `kind`, which is a
    /// picture unless it says otherwise.
    ///
    /// It may wait for its device or file, but a device that gives nothing is reported as [`Step::Idle`] after at most
    /// a quarter of a second, and as an error once it can be taken for dead. After [`Step::End`] or an error it is not
    /// called again.
    ///
    /// # Errors
    /// When the device, the file or the decoder fails; the sentence says what to do.
    fn read(&mut self, frame: &mut Frame) -> Result<Step>;
}
