//! What the caller knows of how a frame differs from the one before.

use std::ops::Range;

use crate::frame::Size;

/// The side of a block of [`BlockMask`], in pixels.
pub const BLOCK: usize = 16;

/// Which parts of a frame are to be looked at.
#[derive(Debug, Clone, Copy)]
pub enum Changed<'a> {
    /// Everything is computed anew, whatever was there.
    Whole,
    /// What differs from the frame before is found by comparing.
    Unknown,
    /// Only these blocks are looked at; the others keep what was last taken from them.
    Blocks(&'a BlockMask),
    /// These blocks are computed anew and nothing else, although what follows from them reaches further: outside them
    /// every layer keeps what it has (but for a few values between two blocks that cost nothing beside them), and the
    /// caller's picture its bytes.
    Only(&'a BlockMask),
}

/// A flag for each block of [`BLOCK`]×[`BLOCK`] pixels, row by row; the last ones of a row or column may be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockMask {
    columns: usize,
    flags: Vec<bool>,
}

impl BlockMask {
    /// A mask for frames of `size`, no block set.
    pub fn new(size: Size) -> Self {
        let (columns, rows) = ((size.width as usize).div_ceil(BLOCK), (size.height as usize).div_ceil(BLOCK));
        Self { columns, flags: vec![false; columns * rows] }
    }

    /// Whether this is a mask for frames of `size`.
    pub fn is_for(&self, size: Size) -> bool {
        let (columns, rows) = ((size.width as usize).div_ceil(BLOCK), (size.height as usize).div_ceil(BLOCK));
        self.columns == columns && self.flags.len() == columns * rows
    }

    /// Blocks in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows of blocks.
    pub fn rows(&self) -> usize {
        self.flags.len() / self.columns.max(1)
    }

    /// Whether the block in this column and row has changed; a block that does not exist has not.
    pub fn get(&self, column: usize, row: usize) -> bool {
        column < self.columns && self.flags.get(row * self.columns + column).is_some_and(|flag| *flag)
    }

    /// Whether any block has changed.
    pub fn any(&self) -> bool {
        self.flags.contains(&true)
    }

    /// How many blocks have changed.
    pub fn count(&self) -> usize {
        self.flags.iter().filter(|flag| **flag).count()
    }

    /// The runs of columns of pixels, from left to right, in which a block has changed that has one of these rows of
    /// pixels; rows below the picture count as its last. A run that takes in the last block ends where `width` pixels do,
    /// which may lie beyond it.
    pub fn runs(&self, rows: Range<usize>, width: usize) -> impl Iterator<Item = Range<usize>> {
        let first = (rows.start / BLOCK).min(self.rows().saturating_sub(1));
        let rows = first..rows.end.div_ceil(BLOCK).min(self.rows());
        let has = move |column: usize| rows.clone().any(|row| self.flags[row * self.columns + column]);
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = (at..self.columns).find(|column| has(*column))?;
            at = (start..self.columns).find(|column| !has(*column)).unwrap_or(self.columns);
            Some(start * BLOCK..if at == self.columns { width } else { at * BLOCK })
        })
    }

    /// Says whether the block in this column and row has changed.
    ///
    /// # Panics
    /// When there is no such block.
    pub fn set(&mut self, column: usize, row: usize, changed: bool) {
        assert!(column < self.columns, "there is no block in column {column}");
        self.flags[row * self.columns + column] = changed;
    }

    /// Takes over the flags of a mask for frames of the same size. (A derived `clone_from` would allocate.)
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.flags.copy_from_slice(&other.flags);
    }

    /// Sets every block to `changed`.
    pub fn fill(&mut self, changed: bool) {
        self.flags.fill(changed);
    }
}
