//! Those who watch over HTTP, as the run sees them.

use super::SINK;
use crate::error::Result;
use crate::frame::Frame;
use crate::sink::{Flow, Sink};

/// The sink that stands for those who watch over HTTP. The pictures reach them through
/// [`Control`](crate::live::Control); this one makes the run one in which the newest frame counts, and has its frames
/// counted.
#[derive(Debug, Default)]
pub struct Watched;

impl Sink for Watched {
    fn name(&self) -> &str {
        SINK
    }

    fn live(&self) -> bool {
        true
    }

    fn show(&mut self, _: &Frame) -> Result<Flow> {
        Ok(Flow::Continue)
    }
}
