//! A style as a viewer sees it: of each frame of a camera the changing parts alone are drawn.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use image::RgbImage;
use nijigen::frame::Size;
use nijigen::style::Stylizer;

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
        let mut pixels = vec![0; frame.len()];
        self.stylizer.run_live(frame.as_raw(), Size::new(frame.width(), frame.height()), self.next, &mut pixels)?;
        self.next += CAMERA_INTERVAL;
        RgbImage::from_raw(frame.width(), frame.height(), pixels).context("a picture of another size")
    }
}
