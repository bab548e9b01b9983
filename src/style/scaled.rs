//! A generator at a share of the picture's size, for machines that cannot draw the whole of it in time.
//!
//! The picture is reduced, drawn, and enlarged again [along the photo's edges](crate::pixels::guided). Everything on the
//! way depends on a neighbourhood alone, so what stands still keeps its bytes at any scale.

mod region;

use std::fmt;

use self::region::Stale;
use crate::engine::Generator;
use crate::engine::fused::{BlockMask, Changed, FusedGenerator};
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
    /// The size of the last picture, where [`Scaled::run_changed`] drew it at this scale: only then is what the engine and
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

    /// As [`FusedGenerator::run_changed`], with blocks of the whole picture: those that have not changed keep what was
    /// last taken from them, whatever `frame` holds there. Returns the multiply-accumulates of the scale.
    ///
    /// # Errors
    /// As [`FusedGenerator::run_changed`].
    pub fn run_changed(
        &mut self,
        engine: &mut FusedGenerator,
        frame: &[u8],
        size: Size,
        changed: Changed<'_>,
        dead_zone: u8,
        output: &mut [u8],
    ) -> Result<u64> {
        check(frame, size, output)?;
        if matches!(changed, Changed::Blocks(blocks) if !blocks.is_for(size)) {
            return Err(Error::Input(format!("a mask for another size was given with a frame of {size}")));
        }
        let current = self.current.take() == Some(size);
        let changed = match changed {
            // What the engine has kept of this scale may be a minute old; it finds out by comparing.
            Changed::Blocks(_) if !current => Changed::Unknown,
            changed => changed,
        };
        let macs = match self.scale {
            Scale::Full => engine.run_changed(frame, size, changed, dead_zone, output),
            scale => Stage::of(&mut self.stage, scale, size).run_changed(engine, frame, changed, dead_zone, output),
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
    kept: Option<Kept>,
}

/// What was there last time, for [`Scaled::run_changed`].
struct Kept {
    photo: Vec<u8>,
    drawn: Vec<u8>,
    picture: Vec<u8>,
    /// Of the small picture.
    mask: BlockMask,
    stale: Stale,
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
            kept: None,
        }
    }

    fn enlarge_whole(&mut self, photo: &[u8], output: &mut [u8]) {
        let whole = Part { columns: 0..self.size.width as usize, rows: 0..self.size.height as usize };
        let pictures = Pictures { drawn: &self.drawn, small: &self.reduced, photo };
        self.guided.enlarge(pictures, &whole, output);
    }

    fn run(&mut self, generator: &mut dyn Generator, photo: &[u8], output: &mut [u8]) -> Result<()> {
        self.reducer.reduce(photo, &mut self.reduced);
        generator.run(&self.reduced, self.small, &mut self.drawn)?;
        self.enlarge_whole(photo, output);
        Ok(())
    }

    fn run_changed(
        &mut self,
        engine: &mut FusedGenerator,
        frame: &[u8],
        changed: Changed<'_>,
        dead_zone: u8,
        output: &mut [u8],
    ) -> Result<u64> {
        match (changed, self.kept.take()) {
            (Changed::Blocks(blocks), Some(mut kept)) => {
                let macs = self.run_blocks(engine, frame, blocks, dead_zone, &mut kept)?;
                output.copy_from_slice(&kept.picture);
                self.kept = Some(kept);
                Ok(macs)
            }
            (changed, kept) => {
                let changed = if matches!(changed, Changed::Whole) { changed } else { Changed::Unknown };
                self.reducer.reduce(frame, &mut self.reduced);
                let macs = engine.run_changed(&self.reduced, self.small, changed, dead_zone, &mut self.drawn)?;
                self.enlarge_whole(frame, output);
                let mut kept = kept.unwrap_or_else(|| Kept::new(self.size, self.small));
                kept.photo.copy_from_slice(frame);
                kept.drawn.copy_from_slice(&self.drawn);
                kept.picture.copy_from_slice(output);
                self.kept = Some(kept);
                Ok(macs)
            }
        }
    }

    fn run_blocks(
        &mut self,
        engine: &mut FusedGenerator,
        frame: &[u8],
        blocks: &BlockMask,
        dead_zone: u8,
        kept: &mut Kept,
    ) -> Result<u64> {
        let Kept { photo, drawn, picture, mask, stale } = kept;
        region::take_blocks(photo, frame, self.size, blocks);
        self.reducer.reduce(photo, &mut self.reduced);
        region::reduce_mask(blocks, self.size, self.small, mask);
        let macs = engine.run_changed(&self.reduced, self.small, Changed::Blocks(mask), dead_zone, &mut self.drawn)?;
        stale.find(blocks, drawn, &self.drawn);
        let pictures = Pictures { drawn: &self.drawn, small: &self.reduced, photo };
        for (columns, rows) in stale.parts() {
            self.guided.enlarge(pictures, &Part { columns, rows }, picture);
        }
        drawn.copy_from_slice(&self.drawn);
        Ok(macs)
    }
}

impl Kept {
    fn new(size: Size, small: Size) -> Self {
        Self {
            photo: vec![0; size.rgb_len()],
            drawn: vec![0; small.rgb_len()],
            picture: vec![0; size.rgb_len()],
            mask: BlockMask::new(small),
            stale: Stale::new(size, small),
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
