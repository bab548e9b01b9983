//! How much a sensor's noise makes two frames of a standing scene differ.

use super::difference::{Place, compare_kept};

/// Of so many blocks one is a witness.
const SHARE: usize = 8;
/// The share of witnesses below whose difference the noise is taken to lie: in a picture of which up to the rest moves it
/// is the noise that is measured. (Moving people fill less of a camera's picture.)
const QUANTILE: f32 = 0.4;
/// Time in which the estimate follows the better part (1 − 1/e) of a change, in seconds.
const FOLLOW: f32 = 1.0;
/// What it is never below, as a mean square: bytes are whole numbers.
const LEAST: f32 = 0.1;
/// What it is never above: no noise, but a picture that moves everywhere.
const MOST: f32 = 25.0;

/// A running estimate from some blocks, the witnesses, whose last picture is kept. Consecutive frames are compared, not a
/// frame with what was last processed: how much is processed then has no influence on the estimate.
pub(super) struct Noise {
    /// Each witness's place in the picture.
    witnesses: Vec<Place>,
    /// Their last pictures, one after the other.
    last: Vec<u8>,
    squares: Vec<f32>,
    estimate: Option<f32>,
    filled: bool,
}

impl Noise {
    /// Watches some of `blocks`.
    pub(super) fn new(blocks: &[Place]) -> Self {
        // An odd step through the rows: witnesses lie scattered.
        let witnesses: Vec<Place> = blocks.iter().copied().step_by(SHARE - 1).collect();
        let bytes = witnesses.iter().map(|place| place.len()).sum();
        let squares = Vec::with_capacity(witnesses.len());
        Self { witnesses, last: vec![0; bytes], squares, estimate: None, filled: false }
    }

    /// Looks at `frame`, which comes `seconds` after the one before.
    pub(super) fn look(&mut self, frame: &[u8], seconds: f32) {
        self.squares.clear();
        let mut last = &mut self.last[..];
        for place in &self.witnesses {
            let (kept, rest) = last.split_at_mut(place.len());
            last = rest;
            if self.filled {
                let square = compare_kept(*place, frame, kept).square;
                // Nothing has noise of nothing: that is a frame given twice, or one that a codec passed over.
                if square > 0.0 {
                    self.squares.push(square);
                }
            }
            for (kept, row) in kept.chunks_exact_mut(place.row).zip(place.rows_of(frame)) {
                kept.copy_from_slice(row);
            }
        }
        self.filled = true;
        if self.squares.len() * 2 < self.witnesses.len() {
            return;
        }
        let at = (self.squares.len() as f32 * QUANTILE) as usize;
        let (_, square, _) = self.squares.select_nth_unstable_by(at, f32::total_cmp);
        let square = square.clamp(LEAST, MOST);
        let estimate = self.estimate.unwrap_or(square);
        self.estimate = Some(estimate + (square - estimate) * (1.0 - (-seconds / FOLLOW).exp()));
    }

    /// The mean square difference of a byte between two frames of a standing scene.
    pub(super) fn estimate(&self) -> f32 {
        self.estimate.unwrap_or(LEAST)
    }
}
