//! What has come to rest is processed once more, as the mean of some frames, and so is everything now and then.

use super::difference::{PIXEL, Place};
use crate::engine::fused::BLOCK;

/// Blocks side by side that have their turn together: what a network computes at a coarse scale is a few blocks wide.
const GROUP: usize = 4;
/// Time from a group's turn to its next, in seconds.
const PERIOD: f64 = 0.25;
/// For so long at least frames are gathered, in seconds. With [`PERIOD`] it is the longest time until a change of light
/// is followed.
const GATHERED: f64 = 0.1;
/// A block is processed once in so long, in seconds, whatever happens to it.
const REFRESH: f64 = 4.0;
/// Bytes of a block.
const BYTES: usize = BLOCK * BLOCK * PIXEL;
/// The most frames whose sum fits.
const MOST: u16 = u16::MAX / u8::MAX as u16;

/// A block's history; times are in seconds.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// When its group has its turn, as a share of [`PERIOD`].
    phase: f64,
    /// The number of its last turn.
    turn: u64,
    /// From when on its refreshes are counted.
    refreshed: f64,
    /// Since when frames are gathered.
    since: Option<f64>,
    /// How many were.
    frames: u16,
}

/// Gathers frames of blocks that are to settle.
pub(super) struct Settling {
    blocks: Vec<Block>,
    /// Sums of the gathered frames' bytes, one block after the other.
    sums: Vec<u16>,
}

impl Settling {
    pub(super) fn new(columns: usize, places: &[Place]) -> Self {
        let block = |i: usize| {
            let group = (i % columns / GROUP) as u64 | ((i / columns) as u64) << 32;
            // Blocks that come to rest together are not refreshed together.
            let refreshed = -REFRESH * scattered(!group);
            Block { phase: scattered(group), turn: 0, refreshed, since: None, frames: 0 }
        };
        Self { blocks: (0..places.len()).map(block).collect(), sums: vec![0; places.len() * BYTES] }
    }

    /// A block moves, and was processed as it is.
    pub(super) fn moved(&mut self, index: usize, now: f64) {
        let block = &mut self.blocks[index];
        *block = Block { since: Some(now), frames: 0, ..*block };
    }

    /// A block that rests is to be processed once more, though not at once.
    pub(super) fn want(&mut self, index: usize, now: f64) {
        let block = &mut self.blocks[index];
        if block.since.is_none() {
            *block = Block { since: Some(now), frames: 0, ..*block };
        }
    }

    /// Looks at a block that does not move, and lies at `place`. Returns whether it is to be processed now; its pixels are
    /// then in `processed`.
    pub(super) fn look(&mut self, index: usize, place: Place, now: f64, frame: &[u8], processed: &mut [u8]) -> bool {
        if now - self.blocks[index].refreshed >= REFRESH {
            self.want(index, now);
        }
        let block = &mut self.blocks[index];
        let turn = (now / PERIOD + block.phase) as u64;
        let is_turn = turn != block.turn;
        block.turn = turn;
        let Some(since) = block.since else { return false };
        let sums = &mut self.sums[index * BYTES..][..place.len()];
        if block.frames == 0 {
            sums.fill(0);
        }
        if block.frames < MOST {
            block.frames += 1;
            for (sums, row) in sums.chunks_exact_mut(place.row).zip(place.rows_of(frame)) {
                sums.iter_mut().zip(row).for_each(|(sum, byte)| *sum += u16::from(*byte));
            }
        }
        if !is_turn || now - since < GATHERED {
            return false;
        }
        for (sums, row) in sums.chunks_exact(place.row).zip(place.rows_of_mut(processed)) {
            let share = 1.0 / f32::from(block.frames);
            row.iter_mut().zip(sums).for_each(|(byte, sum)| *byte = (f32::from(*sum) * share + 0.5) as u8);
        }
        block.since = None;
        // The next time comes as scattered as the last.
        block.refreshed += REFRESH * ((now - block.refreshed) / REFRESH).floor();
        true
    }
}

/// A number from 0 to 1 for another, without order.
fn scattered(number: u64) -> f64 {
    // SplitMix64's mixing (Steele, Lea, Flood 2014).
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f64 / (1_u64 << 24) as f64
}
