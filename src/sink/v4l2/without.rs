//! A build without the feature `v4l2`, or for another system than Linux.

use super::OutputSelector;
use crate::error::{Error, Result};
use crate::frame::{Rate, Size};
use crate::sink::Sink;

/// There is none.
///
/// # Errors
/// Always.
pub fn open(selector: &OutputSelector, _: Size, _: Option<Rate>) -> Result<Box<dyn Sink + Send>> {
    let why = if cfg!(target_os = "linux") {
        "this nijigen was built without virtual cameras; build it with the feature 'v4l2'"
    } else {
        "virtual cameras are there on Linux alone; let OBS capture the window (--sink window) and start its virtual camera"
    };
    Err(Error::Camera(format!("{selector} cannot be opened: {why}")))
}
