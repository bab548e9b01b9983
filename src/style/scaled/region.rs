//! Which parts of a reduced and enlarged picture follow from which changes.

use std::ops::Range;

use crate::engine::fused::{BLOCK, BlockMask};
use crate::frame::Size;

/// Copies the changed blocks of `frame` (RGB, `size`) into `kept`.
pub(super) fn take_blocks(kept: &mut [u8], frame: &[u8], size: Size, changed: &BlockMask) {
    let stride = size.width as usize * 3;
    for (y, (kept, frame)) in kept.chunks_exact_mut(stride).zip(frame.chunks_exact(stride)).enumerate() {
        for (column, (kept, frame)) in kept.chunks_mut(BLOCK * 3).zip(frame.chunks(BLOCK * 3)).enumerate() {
            if changed.get(column, y / BLOCK) {
                kept.copy_from_slice(frame);
            }
        }
    }
}

/// The blocks of the reduced picture in which a pixel can follow from the changed blocks of the whole one, where it lies on
/// them or beside them.
pub(super) fn reduce_mask(changed: &BlockMask, size: Size, small: Size, reduced: &mut BlockMask) {
    let along = |block: usize, large: u32, small: u32| {
        let scale = f64::from(large) / f64::from(small);
        let first = (block * BLOCK) as f64 / scale - 2.0;
        let last = ((block + 1) * BLOCK).min(large as usize) as f64 / scale + 1.0;
        let last = (last.ceil() as usize).min(small as usize - 1);
        first.max(0.0) as usize / BLOCK..last / BLOCK + 1
    };
    reduced.fill(false);
    for row in 0..changed.rows() {
        for column in (0..changed.columns()).filter(|&column| changed.get(column, row)) {
            for y in along(row, size.height, small.height) {
                for x in along(column, size.width, small.width) {
                    reduced.set(x, y, true);
                }
            }
        }
    }
}

/// Columns of a picture that are to be enlarged again: a range for each row of blocks.
#[derive(Debug)]
pub(super) struct Stale {
    size: Size,
    small: Size,
    columns: Vec<Range<usize>>,
}

impl Stale {
    /// Nothing is.
    pub(super) fn new(size: Size, small: Size) -> Self {
        Self { size, small, columns: vec![0..0; (size.height as usize).div_ceil(BLOCK)] }
    }

    /// Finds what follows from these changed blocks of the photo, and from what differs between two small drawings.
    pub(super) fn find(&mut self, changed: &BlockMask, before: &[u8], drawn: &[u8]) {
        self.columns.fill(0..0);
        let scale = |large: u32, small: u32| f64::from(large) / f64::from(small);
        let (along, down) = (scale(self.size.width, self.small.width), scale(self.size.height, self.small.height));
        // Reducing reaches over one small pixel and its rounding, fitting and enlarging over one and a half.
        let margin = |scale: f64| (5.0 * scale).ceil() as usize;
        for row in 0..changed.rows() {
            let mut columns = (0..changed.columns()).filter(|&column| changed.get(column, row));
            if let Some(first) = columns.next() {
                let last = columns.next_back().unwrap_or(first);
                self.add(
                    widened(first * BLOCK..(last + 1) * BLOCK, margin(along)),
                    widened(row * BLOCK..(row + 1) * BLOCK, margin(down)),
                );
            }
        }
        let stride = self.small.width as usize * 3;
        let in_large = |small: Range<usize>, scale: f64| {
            (small.start as f64 * scale) as usize..(small.end as f64 * scale).ceil() as usize
        };
        for (y, (before, drawn)) in before.chunks_exact(stride).zip(drawn.chunks_exact(stride)).enumerate() {
            if let Some(bytes) = difference(before, drawn) {
                let columns = in_large(bytes.start / 3..bytes.end.div_ceil(3), along);
                let rows = in_large(y..y + 1, down);
                self.add(widened(columns, margin(along)), widened(rows, margin(down)));
            }
        }
    }

    /// Columns and rows, which may reach over the rim.
    fn add(&mut self, columns: Range<usize>, rows: Range<usize>) {
        let columns = columns.start..columns.end.min(self.size.width as usize);
        let last = rows.end.div_ceil(BLOCK).min(self.columns.len());
        for stale in &mut self.columns[rows.start / BLOCK..last] {
            *stale = match stale.start >= stale.end {
                true => columns.clone(),
                false => stale.start.min(columns.start)..stale.end.max(columns.end),
            };
        }
    }

    /// The parts, from the top: rows of blocks with the same columns are one.
    pub(super) fn parts(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + '_ {
        let height = self.size.height as usize;
        let mut row = 0;
        self.columns.chunk_by(|a, b| a == b).filter_map(move |same| {
            let rows = row * BLOCK..((row + same.len()) * BLOCK).min(height);
            row += same.len();
            (!same[0].is_empty()).then(|| (same[0].clone(), rows))
        })
    }
}

fn widened(range: Range<usize>, margin: usize) -> Range<usize> {
    range.start.saturating_sub(margin)..range.end + margin
}

/// From the first to the last byte that differs.
fn difference(a: &[u8], b: &[u8]) -> Option<Range<usize>> {
    if a == b {
        return None;
    }
    let differs = |(a, b): (&u8, &u8)| a != b;
    let first = a.iter().zip(b).position(differs)?;
    let last = a.iter().zip(b).rposition(differs)?;
    Some(first..last + 1)
}
