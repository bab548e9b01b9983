//! What has come to rest is processed once more, as the mean of some frames, and so is everything now and then.

use super::difference::{PIXEL, Place};
use crate::engine::fused::BLOCK;

/// Blocks side by side that have their turn together: what a network computes at a coarse scale is a few blocks wide.
const GROUP: usize = 4;
/// Time from a group's turn to its next, in seconds.
const PERIOD: f32 = 0.25;
/// For so long at least frames are gathered, in seconds.
const GATHERED: f32 = 0.1;
/// A block that nothing happened to is processed after so many of its turns.
const REFRESH: u16 = 16;
/// Bytes of a block.
const BYTES: usize = BLOCK * BLOCK * PIXEL;
/// The most frames whose sum fits.
const MOST: u16 = 257;

/// A block's history.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// When its group has its turn, as a share of [`PERIOD`].
    phase: f32,
    /// The turn that it has had.
    turn: u32,
    /// Turns since it was processed.
    idle: u16,
    /// Since when frames are gathered, in seconds.
    since: Option<f32>,
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
            let phase = scattered((i % columns / GROUP) as u64, (i / columns) as u64);
            // Not all at once when nothing happens to any.
            let idle = (scattered(phase.to_bits().into(), 0) * f32::from(REFRESH)) as u16;
            Block { phase, turn: 0, idle, since: None, frames: 0 }
        };
        Self { blocks: (0..places.len()).map(block).collect(), sums: vec![0; places.len() * BYTES] }
    }

    /// Whether nothing happens to a block.
    pub(super) fn rests(&self, index: usize) -> bool {
        self.blocks[index].since.is_none()
    }

    /// A block moves, and was processed as it is.
    pub(super) fn moved(&mut self, index: usize, now: f32) {
        let block = &mut self.blocks[index];
        block.since = Some(now);
        block.frames = 0;
        block.idle = 0;
    }

    /// Looks at a block that does not move; `differs` says that it differs from what was processed. Returns whether it is
    /// to be processed; its pixels are then those in `processed`.
    pub(super) fn look(&mut self, index: usize, place: Place, frame: &[u8], now: f32, differs: bool, processed: &mut [u8]) -> bool {
        let block = &mut self.blocks[index];
        let turn = (now / PERIOD + block.phase) as u32;
        let is_turn = turn != block.turn;
        block.turn = turn;
        block.idle += u16::from(is_turn);
        if block.since.is_none() && (differs || block.idle >= REFRESH) {
            block.since = Some(now);
            block.frames = 0;
        }
        let Some(since) = block.since else { return false };
        let sums = &mut self.sums[index * BYTES..][..place.len()];
        let sums = sums.chunks_exact_mut(place.row);
        if block.frames == 0 {
            sums.zip(place.rows_of(frame)).for_each(|(sums, row)| {
                sums.iter_mut().zip(row).for_each(|(sum, byte)| *sum = u16::from(*byte));
            });
        } else if block.frames < MOST {
            sums.zip(place.rows_of(frame)).for_each(|(sums, row)| {
                sums.iter_mut().zip(row).for_each(|(sum, byte)| *sum += u16::from(*byte));
            });
        }
        block.frames = (block.frames + 1).min(MOST);
        if !is_turn || now - since < GATHERED {
            return false;
        }
        let frames = block.frames;
        let sums = self.sums[index * BYTES..][..place.len()].chunks_exact(place.row);
        let factor = 65536 / u32::from(frames);
        for (sums, row) in sums.zip(place.rows_of_mut(processed)) {
            for (sum, byte) in sums.iter().zip(row) {
                *byte = ((u32::from(*sum) * factor + 32768) >> 16) as u8;
            }
        }
        block.since = None;
        block.idle = 0;
        true
    }
}

/// A number from 0 to 1 for a place, scattered.
fn scattered(x: u64, y: u64) -> f32 {
    // SplitMix64's mixing (Steele, Lea, Flood 2014).
    let mut z = (x << 32 | y) ^ 0x9E37_79B9_7F4A_7C15;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
}
