//! Live capture.
//!
//! A [`CameraOpener`] finds the camera that is meant, chooses what to ask it for ([`modes`]), starts it, and gives a
//! [`Source`](super::Source). Asked again, it finds the same camera wherever it is plugged in by then (`identity`).
//! What depends on the system stands behind three functions, in `linux` (Video4Linux2) and `nokhwa` (macOS, Windows):
//! `cameras` lists, `offer` asks a camera what it can do, `start` makes it send frames.

#[cfg(feature = "camera")]
mod capture;
#[cfg(feature = "camera")]
mod decode;
mod format;
#[cfg(feature = "camera")]
pub(super) mod identity;
pub mod modes;
#[cfg_attr(not(feature = "camera"), path = "without.rs")]
mod open;
mod selector;
#[cfg(feature = "camera")]
#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "nokhwa.rs")]
mod system;

use std::fmt;
use std::path::PathBuf;

pub use format::PixelFormat;
use modes::Offer;
pub use open::{CameraOpener, list};
pub use selector::{CameraRequest, CameraSelector, WhichCamera};

use crate::error::Result;

/// A camera that the system knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Camera {
    /// Its number; on Linux the N of `/dev/videoN`.
    pub index: u32,
    /// Its name, as it calls itself.
    pub name: String,
    /// Its device file, on Linux.
    pub path: Option<PathBuf>,
    /// Its names in `/dev/v4l/by-id`, which stay the same when it is plugged in elsewhere.
    pub links: Vec<String>,
    /// Where it is plugged in, in the system's own words, which differ between the devices of one camera.
    pub bus: Option<String>,
}

impl fmt::Display for Camera {
    /// "camera 0 (vivid, /dev/video0)"
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "camera {} ({}, {})", self.index, self.name, path.display()),
            None => write!(f, "camera {} ({})", self.index, self.name),
        }
    }
}

/// A camera and what it offers, or why it cannot be asked.
pub type Listed = (Camera, Result<Offer>);

/// The cameras that there are.
#[derive(Debug)]
pub struct Survey {
    /// Those that can be captured from; none where there is none.
    pub cameras: Vec<Listed>,
    /// What was looked at, for people: "looked for /dev/video*: there is none".
    pub looked: String,
}
