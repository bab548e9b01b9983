//! From an ONNX file to pixels.

mod checks;
pub mod contract;
mod field;
mod folding;
pub mod form;
pub mod fused;
mod fused_op;
mod graph;
mod guard;
pub mod kernels;
mod load;
mod lower;
mod mix;
mod person;
pub mod reach;
pub mod reference;
pub mod region;
pub mod tiles;
pub mod topology;
mod tract;

pub use checks::MAX_FILE;
pub(crate) use load::common_multiple;
pub use load::{Guess, Loaded, Options, Stated, Which, load, load_mixed};

use crate::engine::fused::BlockMask;
#[cfg(doc)]
use crate::engine::fused::Changed;
use crate::engine::region::Region;
use crate::error::Result;
use crate::frame::Size;

/// A network that turns a picture into a stylized one, ready to run.
///
/// Whoever calls it gives whole frames of any size; padding to what the network needs happens inside.
pub trait Generator: Send {
    /// Stylizes `input` (RGB, `size.rgb_len()` bytes) into `output` (same length).
    ///
    /// # Errors
    /// When the network fails on this size; the text says why.
    fn run(&mut self, input: &[u8], size: Size, output: &mut [u8]) -> Result<()>;

    /// Multiply-accumulates of one frame of `size`, padding included.
    fn macs(&self, size: Size) -> u64;

    /// The engine's name in statistics: "fused", "tract", or "tract+fused" where only a part could be fused.
    fn engine(&self) -> &'static str;

    /// The instruction set in statistics.
    fn isa(&self) -> &'static str;

    /// Whether it keeps what it computed of a picture, so that blocks can be drawn alone.
    fn draws_blocks(&self) -> bool {
        false
    }

    /// As [`Generator::run`], but only `blocks` are drawn, as [`Changed::Only`] does, where that
    /// [can be](Self::draws_blocks); `None` draws the whole picture. Returns the multiply-accumulates that were computed.
    ///
    /// # Errors
    /// As [`Generator::run`]; [`Error::Input`](crate::Error::Input) where the mask is for another size.
    fn run_blocks(&mut self, input: &[u8], size: Size, blocks: Option<&BlockMask>, output: &mut [u8]) -> Result<u64> {
        let _ = blocks;
        self.run(input, size, output)?;
        Ok(self.macs(size))
    }

    /// Gives back the memory that is kept for each size: pictures of another one come from here on.
    fn forget_sizes(&mut self) {}

    /// How many pixels around a place can change its output, or `None` where the whole picture can.
    fn halo(&self) -> Option<u32>;

    /// Sides of what the network reads are multiples of this.
    fn multiple(&self) -> u32;

    /// Whether the network knows the person in a picture.
    fn has_person_mask(&self) -> bool {
        false
    }

    /// Draws only this part of the next pictures; the rest is the photo. Without [a mask](Self::has_person_mask)
    /// everything is drawn whatever is asked for. Where blocks are drawn alone, the rest stays as it is, though the person
    /// may be found to be somewhere else there.
    fn set_region(&mut self, region: Region) {
        let _ = region;
    }

    /// The part that is drawn.
    fn region(&self) -> Region {
        Region::All
    }

    /// How certainly each pixel of `input` is of a person (0 to 255, row by row): the network's own certainty, with holes
    /// in a person filled and crumbs beside it left out. `None` where the network does not know persons.
    ///
    /// # Errors
    /// As [`Generator::run`].
    fn person_mask(&mut self, input: &[u8], size: Size) -> Result<Option<Vec<u8>>> {
        let _ = (input, size);
        Ok(None)
    }
}
