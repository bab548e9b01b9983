//! Which blocks of a frame are to be processed.

use std::time::Instant;

use super::difference::{Difference, PIXEL, Place, Sums, compare_row};
use super::noise::Noise;
use super::settling::Settling;
use crate::engine::fused::{BLOCK, BlockMask};
use crate::frame::Size;

/// A block moves whose mean square difference is above so many times the noise's. This and the next three were chosen on
/// webcam clips for the least work at 44 dB against computing everything (`cargo bench --bench live_reuse`).
const MOVES: f32 = 16.0;
/// So do its neighbours, from this on: it moves into them, or out of them.
const MOVES_ALONG: f32 = 2.5;
/// And so do all blocks up to [`NEAR`] away where it differs by so much: styles look so far, and what was there is to go
/// from their drawing as well.
const SHINES: f32 = 2000.0;
const NEAR: usize = 3;
/// A block is processed anew, though not at once, that differs by this.
const DIFFERS: f32 = 10.0;
/// The same for the mean difference of a channel, of 255: below it noise that hides a change of light.
const SHIFTED: f32 = 3.0;
/// All blocks are when the resting ones have become so much brighter or darker on average, of 255: that is the light.
const LIT: f32 = 0.5;
/// The most that a single block has a say in that.
const MOST_LIT: f32 = 6.0;
/// A gap of so many blocks between moving ones of a row is closed: computing them costs next to nothing.
const GAP: usize = 2;
/// Where more than this share of the blocks move, it is another picture: all of it is processed.
const CUT: f32 = 0.75;
/// What the thresholds are multiplied by at a stability of 1, and divided by at the least one.
const RANGE: f32 = 4.0;

/// Finds what changed in a stream of frames of one size.
pub struct ChangeDetector {
    size: Size,
    places: Vec<Place>,
    /// Of this frame to the pixels as processed.
    differences: Vec<Difference>,
    /// Room for comparing a row of blocks.
    sums: Vec<Sums>,
    /// The pixels as processed.
    processed: Vec<u8>,
    noise: Noise,
    settling: Settling,
    /// The blocks that move in this frame.
    moving: BlockMask,
    /// The blocks that are to be processed in this frame.
    mask: BlockMask,
    /// When the first frame was captured.
    began: Option<Instant>,
    /// The time of the last frame, in seconds since then.
    now: f64,
    /// Whether the next frame is to be processed whole.
    anew: bool,
}

impl ChangeDetector {
    /// For frames of `size`, none seen yet.
    pub fn new(size: Size) -> Self {
        let (width, height) = (size.width as usize, size.height as usize);
        let columns = width.div_ceil(BLOCK);
        let place = |x: usize, y: usize| Place {
            at: (y * width + x) * PIXEL,
            pitch: width * PIXEL,
            row: BLOCK.min(width - x) * PIXEL,
            rows: BLOCK.min(height - y),
        };
        let corners = (0..height).step_by(BLOCK).flat_map(|y| (0..width).step_by(BLOCK).map(move |x| (x, y)));
        let places: Vec<Place> = corners.map(|(x, y)| place(x, y)).collect();
        Self {
            size,
            differences: vec![Difference::default(); places.len()],
            sums: vec![Sums::ZERO; columns],
            processed: vec![0; size.rgb_len()],
            noise: Noise::new(&places),
            settling: Settling::new(columns, &places),
            moving: BlockMask::new(size),
            mask: BlockMask::new(size),
            began: None,
            now: 0.0,
            anew: true,
            places,
        }
    }

    /// The size of the frames.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The picture as processed so far: of each block the pixels that it had when it was last in the mask, or, where it
    /// had come to rest, the mean of those that it had in some frames.
    pub fn processed(&self) -> &[u8] {
        &self.processed
    }

    /// The blocks that the last frame's look found.
    pub fn mask(&self) -> &BlockMask {
        &self.mask
    }

    /// The noise as it is estimated: the mean square difference of a byte between two frames of a standing scene.
    pub fn noise(&self) -> f32 {
        self.noise.estimate()
    }

    /// Has the next frame processed whole.
    pub fn start_anew(&mut self) {
        self.anew = true;
    }

    /// Looks at `frame` (RGB, `size.rgb_len()` bytes), captured at `captured`. Returns the blocks to be processed, the
    /// pixels of which are then in [`ChangeDetector::processed`]. `stability` lies above 0, where little noise is let
    /// stand, and at most at 1, where much else is.
    ///
    /// # Panics
    /// Where the frame's length is not that of the size.
    pub fn look(&mut self, frame: &[u8], captured: Instant, stability: f32) -> &BlockMask {
        assert_eq!(frame.len(), self.size.rgb_len(), "a frame is not of {}", self.size);
        let began = *self.began.get_or_insert(captured);
        let now = captured.saturating_duration_since(began).as_secs_f64().max(self.now);
        self.noise.look(frame, (now - self.now) as f32);
        self.now = now;
        let allowed = RANGE.powf(2.0 * stability - 1.0);
        let columns = self.mask.columns();
        for (differences, places) in self.differences.chunks_mut(columns).zip(self.places.chunks(columns)) {
            compare_row(places[0], frame, &self.processed, &mut self.sums, differences);
        }
        if self.anew {
            self.moving.fill(true);
            self.anew = false;
            self.mark(frame, 0.0, allowed);
        } else {
            let light = self.light();
            self.find_movers(light, allowed);
            self.mark(frame, light, allowed);
        }
        &self.mask
    }

    /// Finds the blocks that move: those that changed a lot, and what changed a little around them. That it has become
    /// brighter by `light` everywhere is no movement.
    fn find_movers(&mut self, light: f32, allowed: f32) {
        let noise = self.noise.estimate() * allowed;
        let change = |d: &Difference| d.square - 2.0 * light * d.light + light * light;
        let columns = self.moving.columns();
        self.moving.fill(false);
        for (i, changed) in self.differences.iter().map(change).enumerate() {
            if changed > MOVES * noise {
                for (column, row) in around(&self.mask, i, 1) {
                    if change(&self.differences[row * columns + column]) > MOVES_ALONG * noise {
                        self.moving.set(column, row, true);
                    }
                }
            }
            if changed > SHINES * noise {
                for (column, row) in around(&self.mask, i, NEAR) {
                    self.moving.set(column, row, true);
                }
            }
        }
        let rows = self.moving.rows();
        for row in 0..rows {
            let mut free = columns;
            for column in 0..columns {
                if self.moving.get(column, row) {
                    if column.saturating_sub(free) <= GAP {
                        (free..column).for_each(|column| self.moving.set(column, row, true));
                    }
                    free = column + 1;
                }
            }
        }
        if self.moving.count() as f32 > CUT * self.places.len() as f32 {
            self.moving.fill(true);
        }
    }

    /// Marks the blocks that are to be processed and takes their pixels.
    fn mark(&mut self, frame: &[u8], light: f32, allowed: f32) {
        let (differs, shifted) = (DIFFERS * allowed * self.noise.estimate(), SHIFTED * allowed.sqrt());
        let lit = light.abs() > LIT * allowed.sqrt();
        let columns = self.mask.columns();
        for (i, place) in self.places.iter().enumerate() {
            let (column, row) = (i % columns, i / columns);
            let processed = if self.moving.get(column, row) {
                for (kept, row) in place.rows_of_mut(&mut self.processed).zip(place.rows_of(frame)) {
                    kept.copy_from_slice(row);
                }
                self.settling.moved(i, self.now);
                true
            } else {
                let Difference { square, shift, .. } = self.differences[i];
                if lit || square > differs || shift > shifted {
                    self.settling.want(i, self.now);
                }
                self.settling.look(i, *place, self.now, frame, &mut self.processed)
            };
            self.mask.set(column, row, processed);
        }
    }

    /// How much brighter, or darker, the blocks that did not move of late have become, on average.
    fn light(&self) -> f32 {
        let columns = self.moving.columns();
        let still = self.differences.iter().enumerate().filter(|(i, _)| !self.moving.get(i % columns, i / columns));
        let (sum, count) =
            still.fold((0.0, 0), |(sum, count), (_, d)| (sum + d.light.clamp(-MOST_LIT, MOST_LIT), count + 1));
        // A few say nothing of the light.
        if count * 8 < self.places.len() { 0.0 } else { sum / count as f32 }
    }
}

/// The columns and rows of a block, and of those around it, up to so many away.
fn around(mask: &BlockMask, index: usize, by: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
    let (column, row) = (index % mask.columns(), index / mask.columns());
    let columns = column.saturating_sub(by)..(column + by + 1).min(mask.columns());
    let rows = row.saturating_sub(by)..(row + by + 1).min(mask.rows());
    rows.flat_map(move |row| columns.clone().map(move |column| (column, row)))
}
