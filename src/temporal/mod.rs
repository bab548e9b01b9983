//! What changed since the last frame: which blocks of a live picture are to be drawn anew.
//!
//! [`ChangeDetector`] compares each frame with the pixels *last processed*, block by block, so that nothing can drift
//! away unseen, and holds the difference against what the sensor's noise makes of a scene that stands still
//! (`noise`). What moves is processed as it comes. What has come to rest is processed once more, as the mean of a few frames
//! (`settling`): what then stands still has little noise in it, of the camera's as well as of the style's. So is what
//! became brighter or darker a little, and everything every few seconds, each block at its own time.

mod detector;
mod difference;
mod noise;
mod settling;
#[cfg(test)]
mod tests;

pub use detector::ChangeDetector;
