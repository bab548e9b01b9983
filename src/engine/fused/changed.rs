//! What the caller knows of how a frame differs from the one before.

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

    /// Says whether the block in this column and row has changed.
    ///
    /// # Panics
    /// When there is no such block.
    pub fn set(&mut self, column: usize, row: usize, changed: bool) {
        assert!(column < self.columns, "there is no block in column {column}");
        self.flags[row * self.columns + column] = changed;
    }

    /// Sets every block to `changed`.
    pub fn fill(&mut self, changed: bool) {
        self.flags.fill(changed);
    }
}
