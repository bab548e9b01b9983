//! Where things lie: positions of a stored tensor, its border, and the bits that say what changed in it. Pure
//! arithmetic.

use crate::engine::kernels::{LANES, READ_BEYOND, TILE};
use crate::engine::topology::{LayerShape, MAX_STEP};

/// How a tensor lies in memory: position by position, channels innermost, with a border of zeros on every side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Positions in a row.
    pub(super) width: usize,
    /// Rows.
    pub(super) height: usize,
    /// Bytes of a position.
    pub(super) channels: usize,
    /// Positions of zeros on every side.
    pub(super) border: usize,
}

impl Layout {
    /// Bytes from a row to the next.
    pub(super) fn pitch(&self) -> usize {
        (self.width + 2 * self.border) * self.channels
    }

    /// Bytes of the whole. Behind the last row there is room for what a kernel reads beyond it.
    pub(super) fn len(&self) -> usize {
        (self.height + 2 * self.border) * self.pitch() + READ_BEYOND * MAX_STEP * self.channels + LANES
    }

    /// Where the position at column `x` of row `y` begins.
    pub(super) fn at(&self, x: usize, y: usize) -> usize {
        (y + self.border) * self.pitch() + (x + self.border) * self.channels
    }

    /// Where row `y − above` begins, `left` positions into the border.
    pub(super) fn before(&self, y: usize, above: usize, left: usize) -> usize {
        self.at(0, y) - above * self.pitch() - left * self.channels
    }
}

/// Bytes for `channels` of a stored activation.
pub(super) fn padded_channels(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}

/// The window of a layer on the tensor that it reads: a space-to-depth makes it larger, see [`kernels`](crate::engine::kernels).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// Positions of the input by which it moves from one output to the next.
    pub(super) step: usize,
    /// Positions on its side.
    pub(super) side: usize,
    /// Positions by which it reaches above and left of `step` times the output's.
    pub(super) before: usize,
}

impl Reading {
    pub(super) fn of(layer: &LayerShape) -> Self {
        let block = layer.space_to_depth;
        Self { step: block * layer.stride, side: 3 * block, before: block }
    }
}

/// Rows of bits, one for each position of a tensor, with a border of zeros: above and below `border` rows, left a byte,
/// right enough for reading eight bytes at any tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BitLayout {
    rows: usize,
    bytes: usize,
    border: usize,
}

impl BitLayout {
    pub(super) fn of(layout: &Layout) -> Self {
        Self { rows: layout.height, bytes: layout.width.div_ceil(TILE), border: layout.border }
    }

    pub(super) fn pitch(&self) -> usize {
        // A tile's window begins at most `MAX_STEP` bytes into the row for each tile, and eight bytes are read.
        1 + self.bytes.next_multiple_of(MAX_STEP) + 8
    }

    pub(super) fn len(&self) -> usize {
        (self.rows + 2 * self.border) * self.pitch()
    }

    /// Where the bits of row `y` begin, its border left out.
    pub(super) fn row(&self, y: usize) -> usize {
        (y + self.border) * self.pitch() + 1
    }

    /// Bytes of a row, its border left out.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Tiles whose flags are found together.
const FLAGS: usize = 64;

/// Sets the flags of those tiles in output row `y` whose windows read a bit that is set; the others stay as they are.
pub(super) fn flag_readers(flags: &mut [u8], bits: &[u8], layout: &BitLayout, reading: &Reading, y: usize) {
    let columns = (TILE - 1) * reading.step + reading.side;
    let mask = (1_u64 << columns) - 1;
    // From the byte in front of the tile's first position on, so that what is left of it is there as well.
    let shift = 8 - reading.before;
    let above = layout.row(y * reading.step) - reading.before * layout.pitch() - 1;
    for (part, flags) in flags.chunks_mut(FLAGS).enumerate() {
        // The window's rows as one: a tile then looks once.
        let mut any = [0_u8; FLAGS * MAX_STEP + 8];
        let any = &mut any[..flags.len() * reading.step + 8];
        for row in 0..reading.side {
            let from = above + row * layout.pitch() + part * FLAGS * reading.step;
            any.iter_mut().zip(&bits[from..]).for_each(|(any, bits)| *any |= bits);
        }
        if any.iter().all(|any| *any == 0) {
            continue;
        }
        for (tile, flag) in flags.iter_mut().enumerate() {
            let window = any[tile * reading.step..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            *flag |= u8::from(window >> shift & mask != 0);
        }
    }
}

/// Each bit of `tile` `block` times, block ≤ 4: the stored positions that come of the positions of a convolution.
pub(super) fn spread(tile: u8, block: usize) -> u32 {
    let run = (1_u32 << block) - 1;
    (0..TILE).filter(|bit| tile >> bit & 1 == 1).fold(0, |bits, bit| bits | run << (bit * block))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_bits_is_the_window_of_bytes() {
        // Every combination of step and side that a layer can have, one changed position at a time.
        for (space_to_depth, stride) in [(1, 1), (1, 2), (2, 1), (2, 2), (4, 1)] {
            let shape = LayerShape { space_to_depth, stride, ..LayerShape::convolution(0, 3, 3) };
            let reading = Reading::of(&shape);
            let (width, height) = (19 * reading.step, 2 * reading.step);
            let layout = Layout { width, height, channels: 16, border: 4 };
            let bit_layout = BitLayout::of(&layout);
            for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
                let mut bits = vec![0; bit_layout.len()];
                bits[bit_layout.row(y) + x / TILE] |= 1 << (x % TILE);
                let mut flags = [[0; 3]; 2];
                for (row, flags) in flags.iter_mut().enumerate() {
                    flag_readers(flags, &bits, &bit_layout, &reading, row);
                }
                for (tile, row) in (0..2).flat_map(|row| (0..3).map(move |tile| (tile, row))) {
                    let reads = |at: usize, first: usize, last: usize| {
                        let (at, before) = (at as i64, reading.before as i64);
                        let (first, last) = ((first * reading.step) as i64 - before, (last * reading.step) as i64);
                        (first..last - before + reading.side as i64).contains(&at)
                    };
                    let expected = reads(x, tile * TILE, tile * TILE + TILE - 1) && reads(y, row, row);
                    assert_eq!(flags[row][tile] != 0, expected, "{x},{y} {tile},{row}");
                }
            }
        }
    }

    #[test]
    fn bits_are_spread_in_order() {
        assert_eq!(spread(0b1000_0001, 1), 0b1000_0001);
        assert_eq!(spread(0b1000_0001, 2), 0b1100_0000_0000_0011);
        assert_eq!(spread(0b10, 4), 0xf0);
    }
}
