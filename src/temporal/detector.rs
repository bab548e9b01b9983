//! Which blocks of a frame are to be processed.

use std::time::Instant;

use super::difference::{Difference, PIXEL, Place, Sums, compare_row};
use super::noise::Noise;
use super::settling::Settling;
use crate::engine::fused::{BLOCK, BlockMask};
use crate::frame::Size;

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
    began: Option<Instant>,
    /// The time of the last frame, in seconds.
    now: f32,
    /// tuning
    pub tune: [f32; 8],
}

impl ChangeDetector {
    /// For frames of `size`, none seen yet.
    pub fn new(size: Size) -> Self {
        let (width, height) = (size.width as usize, size.height as usize);
        let (columns, rows) = (width.div_ceil(BLOCK), height.div_ceil(BLOCK));
        let place = |x: usize, y: usize| Place {
            at: (y * width + x) * PIXEL,
            pitch: width * PIXEL,
            row: BLOCK.min(width - x) * PIXEL,
            rows: BLOCK.min(height - y),
        };
        let places: Vec<Place> =
            (0..rows).flat_map(|y| (0..columns).map(move |x| place(x * BLOCK, y * BLOCK))).collect();
        Self {
            size,
            noise: Noise::new(&places),
            settling: Settling::new(columns, &places),
            differences: vec![Difference::default(); places.len()],
            sums: vec![Sums::ZERO; columns],
            places,
            processed: vec![0; size.rgb_len()],
            moving: BlockMask::new(size),
            mask: BlockMask::new(size),
            began: None,
            now: 0.0,
            tune: [10.0, 5.0, 2.0, 1.5, 2.0, 1e9, 0.0, 0.0],
        }
    }

    /// The size of the frames.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The picture as processed so far.
    pub fn processed(&self) -> &[u8] {
        &self.processed
    }

    /// noise
    pub fn noise(&self) -> f32 {
        self.noise.estimate()
    }
    /// moving
    pub fn moving(&self) -> &BlockMask {
        &self.moving
    }

    /// Looks at `frame` (`size.rgb_len()` bytes). Returns the blocks to be processed, from [`ChangeDetector::processed`].
    pub fn look(&mut self, frame: &[u8], captured: Instant) -> &BlockMask {
        let first = self.began.is_none();
        let began = *self.began.get_or_insert(captured);
        let now = captured.saturating_duration_since(began).as_secs_f32();
        self.noise.look(frame, now - self.now);
        self.now = now;
        if first {
            self.moving.fill(true);
        } else {
            let columns = self.mask.columns();
            for (differences, places) in self.differences.chunks_mut(columns).zip(self.places.chunks(columns)) {
                compare_row(places[0], frame, &self.processed, &mut self.sums, differences);
            }
            self.find_movers();
        }
        let [_, weak, _, drift, _, _, light, _] = self.tune;
        let all = self.light() > light;
        let weak = weak * self.noise.estimate();
        let columns = self.mask.columns();
        for (i, place) in self.places.iter().enumerate() {
            let (column, row) = (i % columns, i / columns);
            let moves = self.moving.get(column, row);
            if moves {
                for (kept, row) in place.rows_of_mut(&mut self.processed).zip(place.rows_of(frame)) {
                    kept.copy_from_slice(row);
                }
                self.settling.moved(i, now);
            }
            let Difference { square, shift, .. } = self.differences[i];
            let differs = square > weak || shift > drift || all;
            let settles = !moves && self.settling.look(i, *place, frame, now, differs, &mut self.processed);
            self.mask.set(column, row, moves || settles);
        }
        &self.mask
    }

    fn light(&self) -> f32 {
        let resting = self.differences.iter().enumerate().filter(|(i, _)| self.settling.rests(*i));
        let (sum, count) = resting.fold((0.0, 0), |(sum, count), (_, d)| (sum + d.light.clamp(-3.0, 3.0), count + 1));
        if count * 8 < self.places.len() { 0.0 } else { (sum / count as f32).abs() }
    }

    /// Finds the blocks that move: those that changed a lot, and what changed a little around them.
    fn find_movers(&mut self) {
        let noise = self.noise.estimate();
        let [strong, _, near, _, gap, very, ..] = self.tune;
        let (columns, rows) = (self.moving.columns(), self.moving.rows());
        self.moving.fill(false);
        for (i, Difference { square, .. }) in self.differences.iter().enumerate() {
            if *square <= strong * noise {
                continue;
            }
            let (column, row) = (i % columns, i / columns);
            let near = if *square > very * noise { -1.0 } else { near * noise };
            for row in row.saturating_sub(1)..=(row + 1).min(rows - 1) {
                for column in column.saturating_sub(1)..=(column + 1).min(columns - 1) {
                    if self.differences[row * columns + column].square > near {
                        self.moving.set(column, row, true);
                    }
                }
            }
        }
        let gap = gap as usize;
        for row in 0..rows {
            let mut last = None;
            for column in 0..columns {
                if self.moving.get(column, row) {
                    if let Some(last) = last && column - last <= gap + 1 {
                        for c in last + 1..column { self.moving.set(c, row, true); }
                    }
                    last = Some(column);
                }
            }
        }
    }
}
