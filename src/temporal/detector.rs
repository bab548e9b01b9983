//! Which blocks of a frame are to be processed.

use std::time::Instant;

use super::difference::{PIXEL, Place, difference};
use super::noise::Noise;
use crate::engine::fused::{BLOCK, BlockMask};
use crate::frame::Size;

fn env(name: &str, default: f32) -> f32 { std::env::var(name).ok().map_or(default, |v| v.parse().unwrap()) }

/// How a block's pixels came about, and what is to become of them.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Nothing is planned.
    Resting,
    /// The mean of what comes from this time on will be processed.
    Settling { since: f32, frames: u8 },
}

/// A block's history.
struct Block {
    place: Place,
    state: State,
    /// When it was last processed, in seconds.
    processed: f32,
    /// Its place in the order in which blocks are refreshed, 0 to 1.
    turn: f32,
    square: f32,
}

/// Finds what changed in a stream of frames of one size.
pub struct ChangeDetector {
    size: Size,
    blocks: Vec<Block>,
    /// The pixels as processed.
    processed: Vec<u8>,
    /// Sums of settling blocks' bytes, one block after the other.
    sums: Vec<u16>,
    noise: Noise,
    mask: BlockMask,
    began: Option<Instant>,
    now: f32,
    tune: [f32; 10],
}

impl ChangeDetector {
    /// For frames of `size`, none seen yet.
    pub fn new(size: Size) -> Self {
        let (width, height) = (size.width as usize, size.height as usize);
        let (columns, rows) = (width.div_ceil(BLOCK), height.div_ceil(BLOCK));
        let places: Vec<Place> = (0..columns * rows)
            .map(|i| {
                let (x, y) = (i % columns * BLOCK, i / columns * BLOCK);
                Place {
                    at: (y * width + x) * PIXEL,
                    pitch: width * PIXEL,
                    row: BLOCK.min(width - x) * PIXEL,
                    rows: BLOCK.min(height - y),
                }
            })
            .collect();
        let noise = Noise::new(&places);
        let blocks = places.into_iter().enumerate().map(|(i, place)| Block {
            place,
            state: State::Resting,
            processed: 0.0,
            turn: turn(i % columns / 4, i / columns),
            square: 0.0,
        });
        Self {
            size,
            blocks: blocks.collect(),
            processed: vec![0; size.rgb_len()],
            sums: vec![0; columns * rows * BLOCK * BLOCK * PIXEL],
            noise,
            mask: BlockMask::new(size),
            began: None,
            now: 0.0,
            tune: [env("STRONG", 10.0), env("WEAK", 5.0), env("NEAR", 2.0), env("DRIFT", 0.5), env("SMIN", 0.15), env("SVAR", 0.2), env("REFRESH", 4.0), env("RING", 1.0), env("VERY", 1e9), 0.0],
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
    pub fn noise(&self) -> f32 { self.noise.estimate() }

    /// Looks at `frame` (`size.rgb_len()` bytes). Returns the blocks to be processed, from [`ChangeDetector::processed`].
    pub fn look(&mut self, frame: &[u8], captured: Instant) -> &BlockMask {
        let first = self.began.is_none();
        let began = *self.began.get_or_insert(captured);
        let now = captured.saturating_duration_since(began).as_secs_f32();
        self.noise.look(frame, now - self.now);
        self.now = now;
        if first {
            self.processed.copy_from_slice(frame);
            self.mask.fill(true);
            for b in &mut self.blocks { b.state = State::Settling { since: now, frames: 0 }; }
            return &self.mask;
        }
        let n = self.noise.estimate();
        let [strong, weak, near, drift, smin, svar, refresh, ring, very, _] = self.tune;
        let (columns, rows) = (self.mask.columns(), self.mask.rows());
        let mut shifts = vec![0.0; self.blocks.len()];
        for (b, block) in self.blocks.iter_mut().enumerate() {
            let d = difference(block.place, block.place.rows_of(frame), block.place.rows_of(&self.processed));
            block.square = d.square;
            shifts[b] = d.shift;
        }
        let around = |b: usize| { let (x, y) = (b % columns, b / columns);
            (y.saturating_sub(1)..=(y + 1).min(rows - 1)).flat_map(move |y| (x.saturating_sub(1)..=(x + 1).min(columns - 1)).map(move |x| y * columns + x)) };
        self.mask.fill(false);
        let mut moved = vec![false; self.blocks.len()];
        for b in 0..self.blocks.len() {
            let s = self.blocks[b].square;
            if s > weak * n { moved[b] = true; }
            if s > strong * n { for o in around(b) { if self.blocks[o].square > near * n || s > very * n { moved[o] = true; } } }
        }
        let mut touched = moved.clone();
        if ring > 0.0 { for b in 0..self.blocks.len() { if moved[b] && self.blocks[b].square > strong * n { for o in around(b) { touched[o] = true; } } } }
        for b in 0..self.blocks.len() {
            let sums = &mut self.sums[b * 768..][..768];
            let block = &mut self.blocks[b];
            let place = block.place;
            let mut flag = moved[b];
            if flag {
                for (k, f) in place.rows_of_mut(&mut self.processed).zip(place.rows_of(frame)) { k.copy_from_slice(f); }
                block.state = State::Settling { since: now, frames: 0 };
                block.processed = now;
            } else {
                if block.state == State::Resting && (touched[b] || shifts[b] > drift || now - block.processed > refresh * (0.75 + 0.5 * block.turn)) {
                    block.state = State::Settling { since: now, frames: 0 };
                }
                if let State::Settling { since, frames } = &mut block.state {
                    if *frames == 0 { sums.fill(0); }
                    *frames += 1;
                    for (s, f) in sums.chunks_exact_mut(place.row).zip(place.rows_of(frame)) { for (s, f) in s.iter_mut().zip(f) { *s += u16::from(*f); } }
                    if now - *since >= smin + svar * block.turn {
                        let c = u16::from(*frames);
                        for (s, k) in sums.chunks_exact(place.row).zip(place.rows_of_mut(&mut self.processed)) { for (s, k) in s.iter().zip(k) { *k = ((*s + c / 2) / c) as u8; } }
                        block.state = State::Resting;
                        block.processed = now;
                        flag = true;
                    }
                }
            }
            if flag { self.mask.set(b % columns, b / columns, true); }
        }
        &self.mask
    }
}

/// A number from 0 to 1 for a place, scattered.
fn turn(column: usize, row: usize) -> f32 {
    // SplitMix64's mixing (Steele, Lea, Flood 2014).
    let mut z = (column as u64) << 32 | row as u64;
    z = (z ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
}
