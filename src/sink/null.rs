//! A sink that shows nothing.

use super::{Flow, Sink};
use crate::error::Result;
use crate::frame::Frame;

/// Takes every frame and forgets it.
#[derive(Debug, Default)]
pub struct Null;

impl Sink for Null {
    fn name(&self) -> &str {
        "null"
    }

    fn show(&mut self, _: &Frame) -> Result<Flow> {
        Ok(Flow::Continue)
    }
}
