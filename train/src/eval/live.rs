//! A style as a viewer sees it: of each frame of a camera the changing parts alone are drawn.

use std::time::{Duration, Instant};

use anyhow::Result;
use image::RgbImage;
use nijigen::style::Stylizer;

use super::drawn;

/// From one frame of a camera to the next.
const CAMERA_INTERVAL: Duration = Duration::from_millis(33);

/// A live picture in which one clip follows the other.
pub struct LivePicture {
    stylizer: Stylizer,
    /// When the next frame is captured. It goes by the camera alone, or what is drawn of a frame would depend on how fast
    /// those before it were drawn.
    next: Instant,
}

impl LivePicture {
    /// Of a style that is held still as `stylizer` says.
    pub fn new(stylizer: Stylizer) -> Self {
        Self { stylizer, next: Instant::now() }
    }

    /// What is shown of `frames`, of one size, when they come one after the other at the rate of a camera.
    ///
    /// # Errors
    /// The style's.
    pub fn show(&mut self, frames: &[RgbImage]) -> Result<Vec<RgbImage>> {
        self.stylizer.start_anew();
        frames.iter().map(|frame| self.show_one(frame)).collect()
    }

    fn show_one(&mut self, frame: &RgbImage) -> Result<RgbImage> {
        let captured = self.next;
        self.next += CAMERA_INTERVAL;
        drawn(frame, |pixels, size, output| self.stylizer.run_live(pixels, size, captured, output))
    }
}
