//! A build without the feature `camera`.

use super::{CameraRequest, CameraSelector, Listed};
use crate::error::{Error, Result};
use crate::source::Source;

/// There is none.
///
/// # Errors
/// Always.
pub fn list() -> Result<Vec<Listed>> {
    Err(not_built_in())
}

/// There is none.
///
/// # Errors
/// Always.
pub fn open(_: &CameraSelector, _: CameraRequest) -> Result<Box<dyn Source>> {
    Err(not_built_in())
}

fn not_built_in() -> Error {
    Error::Camera(
        "this nijigen was built without cameras; build it with the feature `camera`, or choose --source FILE, - or \
         synthetic"
            .into(),
    )
}
