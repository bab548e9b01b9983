//! A generator at a share of the picture's size, for machines that cannot draw the whole of it in time.
//!
//! The picture is reduced, drawn, and enlarged again [along the photo's edges](crate::pixels::guided). Everything on the
//! way depends on a neighbourhood alone, so blocks can be drawn alone at any scale.

use std::fmt;

use crate::engine::Generator;
#[cfg(doc)]
use crate::engine::fused::Changed;
use crate::engine::fused::{BLOCK, BlockMask};
use crate::error::{Error, Result};
use crate::frame::Size;
use crate::pixels::guided::{Guided, Part, Pictures};
use crate::pixels::reduce::Reducer;

/// How large a picture is drawn, measured by its sides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scale {
    /// Half: a quarter of the work.
    Half,
    /// Three quarters: a little more than half of the work.
    ThreeQuarters,
    /// As it is.
    #[default]
    Full,
}

impl Scale {
    /// The share of a side.
    pub const fn share(self) -> f64 {
        match self {
            Self::Full => 1.0,
            Self::ThreeQuarters => 0.75,
            Self::Half => 0.5,
        }
    }

    /// The share of the work: that of the area.
    pub const fn work(self) -> f64 {
        self.share() * self.share()
    }

    /// The size at which a picture of `size` is drawn, at least 1×1.
    pub fn of(self, size: Size) -> Size {
        let side = |side: u32| ((f64::from(side) * self.share()).round() as u32).max(1);
        Size::new(side(size.width), side(size.height))
    }

    /// The next smaller one.
    pub const fn smaller(self) -> Option<Self> {
        match self {
            Self::Full => Some(Self::ThreeQuarters),
            Self::ThreeQuarters => Some(Self::Half),
            Self::Half => None,
        }
    }

    /// The next larger one.
    pub const fn larger(self) -> Option<Self> {
        match self {
            Self::Full => None,
            Self::ThreeQuarters => Some(Self::Full),
            Self::Half => Some(Self::ThreeQuarters),
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.share())
    }
}

/// Runs generators at a scale. Changing it costs a few buffers; nothing is loaded again.
#[derive(Default)]
pub struct Scaled {
    scale: Scale,
    stage: Option<Stage>,
    /// The size of the last picture, where [`Scaled::run_only`] drew it at this scale: only then is what the generator and
    /// the stage have kept the picture before.
    current: Option<Size>,
}

impl Scaled {
    /// The scale at which pictures are drawn.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// Draws the next pictures at `scale`.
    pub fn set_scale(&mut self, scale: Scale) {
        if scale != self.scale {
            (self.scale, self.stage, self.current) = (scale, None, None);
        }
    }

    /// As [`Generator::run`].
    ///
    /// # Errors
    /// As [`Generator::run`].
    pub fn run(&mut self, generator: &mut dyn Generator, frame: &[u8], size: Size, output: &mut [u8]) -> Result<()> {
        self.current = None;
        if self.scale == Scale::Full {
            return generator.run(frame, size, output);
        }
        check(frame, size, output)?;
        Stage::of(&mut self.stage, self.scale, size).run(generator, frame, output)
    }

    /// Draws `blocks` of `frame`, as [`Changed::Only`] does: all the rest of `output` keeps its bytes. Where nothing is
    /// known of the picture before, all of it is drawn. Returns the multiply-accumulates that were computed, those of the
    /// scale.
    ///
    /// # Errors
    /// As [`Generator::run_blocks`].
    pub fn run_only(
        &mut self,
        generator: &mut dyn Generator,
        frame: &[u8],
        size: Size,
        blocks: &BlockMask,
        output: &mut [u8],
    ) -> Result<u64> {
        check(frame, size, output)?;
        if !blocks.is_for(size) {
            return Err(Error::Input(format!("a mask for another size was given with a frame of {size}")));
        }
        // What the generator has kept of this scale may be a minute old.
        let current = self.current.take() == Some(size);
        let blocks = current.then_some(blocks);
        let macs = match self.scale {
            Scale::Full => generator.run_blocks(frame, size, blocks, output),
            scale => Stage::of(&mut self.stage, scale, size).run_only(generator, frame, blocks, output),
        }?;
        self.current = Some(size);
        Ok(macs)
    }
}

/// What a picture of one size at one scale needs.
struct Stage {
    size: Size,
    small: Size,
    reducer: Reducer,
    guided: Guided,
    /// The small photo, and what was drawn of it.
    reduced: Vec<u8>,
    drawn: Vec<u8>,
    /// The blocks of the small picture that are drawn.
    mask: BlockMask,
}

impl Stage {
    fn of(stage: &mut Option<Self>, scale: Scale, size: Size) -> &mut Self {
        if stage.as_ref().is_some_and(|stage| stage.size != size) {
            *stage = None;
        }
        stage.get_or_insert_with(|| Self::new(size, scale.of(size)))
    }

    fn new(size: Size, small: Size) -> Self {
        Self {
            size,
            small,
            reducer: Reducer::new(size, small),
            guided: Guided::new(small, size),
            reduced: vec![0; small.rgb_len()],
            drawn: vec![0; small.rgb_len()],
            mask: BlockMask::new(small),
        }
    }

    fn enlarge(&mut self, photo: &[u8], part: &Part, output: &mut [u8]) {
        let pictures = Pictures { drawn: &self.drawn, small: &self.reduced, photo };
        self.guided.enlarge(pictures, part, output);
    }

    fn enlarge_whole(&mut self, photo: &[u8], output: &mut [u8]) {
        let whole = Part { columns: 0..self.size.width as usize, rows: 0..self.size.height as usize };
        self.enlarge(photo, &whole, output);
    }

    fn run(&mut self, generator: &mut dyn Generator, photo: &[u8], output: &mut [u8]) -> Result<()> {
        self.reducer.reduce(photo, &mut self.reduced);
        generator.run(&self.reduced, self.small, &mut self.drawn)?;
        self.enlarge_whole(photo, output);
        Ok(())
    }

    fn run_only(
        &mut self,
        generator: &mut dyn Generator,
        photo: &[u8],
        blocks: Option<&BlockMask>,
        output: &mut [u8],
    ) -> Result<u64> {
        let Some(blocks) = blocks else {
            self.reducer.reduce(photo, &mut self.reduced);
            let macs = generator.run_blocks(&self.reduced, self.small, None, &mut self.drawn)?;
            self.enlarge_whole(photo, output);
            return Ok(macs);
        };
        if !blocks.any() {
            return Ok(0);
        }
        self.reducer.reduce(photo, &mut self.reduced);
        reduce_mask(blocks, self.size, self.small, &mut self.mask);
        let macs = generator.run_blocks(&self.reduced, self.small, Some(&self.mask), &mut self.drawn)?;
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        for rows in (0..height).step_by(BLOCK).map(|y| y..(y + BLOCK).min(height)) {
            for columns in blocks.runs(rows.clone(), width) {
                self.enlarge(photo, &Part { columns, rows: rows.clone() }, output);
            }
        }
        Ok(macs)
    }
}

/// The blocks of the reduced picture that have a pixel on which one of these blocks of the whole one depends when it is
/// enlarged: those it lies on, and two beside them.
fn reduce_mask(blocks: &BlockMask, size: Size, small: Size, reduced: &mut BlockMask) {
    let along = |block: usize, large: u32, small: u32| {
        let scale = f64::from(large) / f64::from(small);
        let first = (block * BLOCK) as f64 / scale - 2.0;
        let last = ((block + 1) * BLOCK).min(large as usize) as f64 / scale + 1.0;
        let last = (last.ceil() as usize).min(small as usize - 1);
        first.max(0.0) as usize / BLOCK..last / BLOCK + 1
    };
    reduced.fill(false);
    for row in 0..blocks.rows() {
        for column in (0..blocks.columns()).filter(|&column| blocks.get(column, row)) {
            for y in along(row, size.height, small.height) {
                for x in along(column, size.width, small.width) {
                    reduced.set(x, y, true);
                }
            }
        }
    }
}

fn check(frame: &[u8], size: Size, output: &[u8]) -> Result<()> {
    if size.area() == 0 || frame.len() != size.rgb_len() || output.len() != size.rgb_len() {
        let lengths = (frame.len(), output.len());
        return Err(Error::Input(format!("frames of {} and {} bytes are not of {size}", lengths.0, lengths.1)));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
