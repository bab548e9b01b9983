//! A live picture as it was last shown: what has not changed is left as it is.

use std::time::Instant;

use crate::engine::Generator;
use crate::engine::fused::BlockMask;
use crate::error::Result;
use crate::frame::Size;
use crate::pixels::blend::blend;
use crate::style::scaled::Scaled;
use crate::temporal::ChangeDetector;

/// What drawing a picture took, in multiply-accumulates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Those that were computed.
    pub computed: u64,
    /// Those of the whole picture.
    pub whole: u64,
}

impl Work {
    /// The share that was not computed, since what was drawn before still holds: 0 to 1.
    pub fn reuse(self) -> f64 {
        if self.whole == 0 { 0.0 } else { (1.0 - self.computed as f64 / self.whole as f64).max(0.0) }
    }
}

/// The picture, and what finds out where it has changed.
pub(super) struct Held {
    detector: ChangeDetector,
    shown: Vec<u8>,
}

/// One frame of a live picture, and how it is to be shown.
#[derive(Clone, Copy)]
pub(super) struct LiveFrame<'a> {
    pub(super) pixels: &'a [u8],
    pub(super) size: Size,
    pub(super) captured: Instant,
    pub(super) strength: f32,
    pub(super) stability: f32,
}

impl Held {
    /// For frames of `size`, none seen yet.
    pub(super) fn new(size: Size) -> Self {
        Self { detector: ChangeDetector::new(size), shown: vec![0; size.rgb_len()] }
    }

    /// The size of the frames.
    pub(super) fn size(&self) -> Size {
        self.detector.size()
    }

    /// The blocks that the last frame changed.
    #[cfg(test)]
    pub(super) fn mask(&self) -> &BlockMask {
        self.detector.mask()
    }

    /// Has the next frame drawn whole.
    pub(super) fn start_anew(&mut self) {
        self.detector.start_anew();
    }

    /// Draws what has changed into `output`. Returns the multiply-accumulates that were computed.
    pub(super) fn run(
        &mut self,
        generator: &mut dyn Generator,
        scaled: &mut Scaled,
        frame: LiveFrame<'_>,
        output: &mut [u8],
    ) -> Result<u64> {
        let Self { detector, shown } = self;
        detector.look(frame.pixels, frame.captured, frame.stability);
        let (mask, processed) = (detector.mask(), detector.processed());
        let computed = scaled.run_only(generator, processed, frame.size, mask, shown)?;
        if frame.strength < 1.0 {
            // With the pixels as processed: those of the camera differ each time, if only by their noise.
            blend_blocks(mask, frame.size, processed, shown, frame.strength);
        }
        output.copy_from_slice(shown);
        Ok(computed)
    }
}

/// [`blend`]s these blocks of two pictures of `size` alone.
pub(super) fn blend_blocks(blocks: &BlockMask, size: Size, photo: &[u8], drawn: &mut [u8], strength: f32) {
    let width = size.width as usize;
    for y in 0..size.height as usize {
        for run in blocks.runs(y..y + 1, width) {
            let bytes = (y * width + run.start) * 3..(y * width + run.end) * 3;
            blend(&photo[bytes.clone()], &mut drawn[bytes], strength);
        }
    }
}

#[cfg(test)]
mod tests;
