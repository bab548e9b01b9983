//! A build without the feature `camera`.

use super::{CameraSelector, Survey};
use crate::error::{Error, Result};
use crate::frame::{Rate, Size};
use crate::source::Source;
use crate::source::reconnect::DeviceOpener;

/// There is none.
///
/// # Errors
/// Always.
pub fn list() -> Result<Survey> {
    Err(Error::Camera(format!("{NOT_BUILT_IN}, to list them")))
}

/// Opens none.
#[derive(Debug)]
pub struct CameraOpener;

impl CameraOpener {
    /// Whatever is asked for, there is none.
    pub fn new(_: CameraSelector, _: Option<Rate>) -> Self {
        Self
    }
}

impl DeviceOpener for CameraOpener {
    /// There is none.
    ///
    /// # Errors
    /// Always.
    fn open(&mut self, _: Size) -> Result<Box<dyn Source>> {
        Err(Error::Camera(format!("{NOT_BUILT_IN}, or choose --source FILE, - or synthetic")))
    }
}

const NOT_BUILT_IN: &str = "this nijigen was built without cameras; build it with the feature `camera`";
