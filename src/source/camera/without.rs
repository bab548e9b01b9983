//! A build without the feature `camera`.

use super::{CameraRequest, CameraSelector, Survey};
use crate::error::{Error, Result};
use crate::source::Source;

/// There is none.
///
/// # Errors
/// Always.
pub fn list() -> Result<Survey> {
    Err(Error::Camera(format!("{NOT_BUILT_IN}, to list them")))
}

/// There is none.
///
/// # Errors
/// Always.
pub fn open(_: &CameraSelector, _: CameraRequest) -> Result<Box<dyn Source>> {
    Err(Error::Camera(format!("{NOT_BUILT_IN}, or choose --source FILE, - or synthetic")))
}

const NOT_BUILT_IN: &str = "this nijigen was built without cameras; build it with the feature `camera`";
