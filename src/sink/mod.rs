//! Where stylized frames go.

pub mod null;
pub mod v4l2;
#[cfg(feature = "window")]
pub mod window;
pub mod y4m;

use crate::error::Result;
use crate::frame::Frame;

/// What a sink wants after a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The next one.
    Continue,
    /// An end: the user closed the window.
    Stop,
}

/// Takes frames, one after the other.
pub trait Sink {
    /// For people and statistics: "window", "null", "clip.y4m".
    fn name(&self) -> &str;

    /// Whether somebody watches: then the newest frame counts and older ones may be dropped.
    fn live(&self) -> bool {
        false
    }

    /// Shows or writes `frame`.
    ///
    /// # Errors
    /// When the window, the file or the encoder fails. Nothing more is given to the sink then.
    fn show(&mut self, frame: &Frame) -> Result<Flow>;

    /// Called when no frame came for a moment, on sinks that run on the main thread.
    ///
    /// # Errors
    /// As [`Sink::show`].
    fn idle(&mut self) -> Result<Flow> {
        Ok(Flow::Continue)
    }

    /// Whether taking a frame may wait without end for somebody else, and nothing needs to be completed. A run that is
    /// asked to stop leaves such a sink behind.
    fn may_hang(&self) -> bool {
        false
    }

    /// Completes what was written. A sink dropped without this leaves nothing behind.
    ///
    /// # Errors
    /// When the last bytes cannot be written.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
