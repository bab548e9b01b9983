//! A style applied to pictures, at a strength.

use std::fmt;

use crate::config::Detail;
use crate::engine::Generator;
use crate::error::Result;
use crate::frame::Size;
use crate::pixels::blend::blend;
use crate::style::large::{self, Way};
use crate::style::scaled::{Scale, Scaled};

/// Applies a style, or none, to pictures of any size.
pub struct Stylizer {
    name: String,
    generator: Option<Box<dyn Generator>>,
    strength: f32,
    detail: Detail,
    scaled: Scaled,
}

impl fmt::Debug for Stylizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, strength, detail, .. } = self;
        write!(f, "Stylizer({name}, {strength}, {detail})")
    }
}

impl Stylizer {
    /// Gives every picture back unchanged (`--style off`).
    pub fn off() -> Self {
        Self { name: "off".into(), generator: None, strength: 0.0, detail: Detail::Full, scaled: Scaled::default() }
    }

    /// Applies `generator` at the picture's own size, mixed with the photo: `strength` 0 is the photo, 1 the style alone.
    pub fn new(name: impl Into<String>, generator: Box<dyn Generator>, strength: f32) -> Self {
        let strength = strength.clamp(0.0, 1.0);
        let (generator, detail, scaled) = (Some(generator), Detail::Full, Scaled::default());
        Self { name: name.into(), generator, strength, detail, scaled }
    }

    /// From the next picture on: 0 is the photo, 1 the style alone.
    pub fn set_strength(&mut self, strength: f32) {
        self.strength = strength.clamp(0.0, 1.0);
    }

    /// The same, drawing pictures with so much detail.
    #[must_use]
    pub fn with_detail(self, detail: Detail) -> Self {
        Self { detail, ..self }
    }

    /// Stylizes `input` (RGB, `size.rgb_len()` bytes) into `output` (same length).
    ///
    /// # Errors
    /// When the network fails.
    pub fn run(&mut self, input: &[u8], size: Size, output: &mut [u8]) -> Result<()> {
        match &mut self.generator {
            Some(generator)
                if self.strength > 0.0
                    && large::way(generator.as_ref(), self.scaled.scale().of(size), self.detail) == Way::Whole =>
            {
                self.scaled.run(generator.as_mut(), input, size, output)?;
                blend(input, output, self.strength);
                Ok(())
            }
            _ => {
                output.copy_from_slice(input);
                self.run_in_place(output, size, &mut |_| Ok(()))
            }
        }
    }

    /// Draws the pictures of [`Self::run`] at a scale, enlarged to their own size again. Nothing is loaded for it.
    pub fn set_scale(&mut self, scale: Scale) {
        self.scaled.set_scale(scale);
    }

    /// The smallest scale at which drawing a picture of `size` takes less work: a network of a fixed size gains nothing.
    pub fn smallest_scale(&self, size: Size) -> Scale {
        match &self.generator {
            Some(generator) if generator.macs(Scale::Half.of(size)) < generator.macs(size) => Scale::Half,
            _ => Scale::Full,
        }
    }

    /// Stylizes `pixels` (RGB, `size.rgb_len()` bytes) where they are. A large picture is taken in tiles, so that the
    /// memory needed beside it does not grow with its area; one that is drawn reduced takes the reduced one as well.
    /// `progress` is told the share that is done after each tile.
    ///
    /// # Errors
    /// When the network fails, and what `progress` returns: then the picture is half drawn.
    pub fn run_in_place(
        &mut self,
        pixels: &mut [u8],
        size: Size,
        progress: &mut dyn FnMut(f32) -> Result<()>,
    ) -> Result<()> {
        match &mut self.generator {
            Some(generator) if self.strength > 0.0 => {
                large::run_in_place(generator.as_mut(), pixels, size, self.strength, self.detail, progress)
            }
            _ => Ok(()),
        }
    }

    /// The size at which a picture of `size` will be drawn, where the style cannot draw it with the detail asked: such a
    /// picture is reduced further, and what was drawn of it is enlarged again.
    pub fn reduced(&self, size: Size) -> Option<Size> {
        match large::way(self.generator.as_deref()?, self.detail.of(size), Detail::Full) {
            Way::Reduced(reduced) => Some(reduced),
            Way::Whole | Way::Tiles(_) => None,
        }
    }

    /// How a picture of `size` will be drawn, for the log: "at once", "in 3x2 tiles", "at 1024x768 and enlarged".
    pub fn manner(&self, size: Size) -> String {
        match &self.generator {
            Some(generator) if self.strength > 0.0 => large::way(generator.as_ref(), size, self.detail).to_string(),
            _ => "not at all".into(),
        }
    }

    /// The style's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine's name, "none" where no style is applied.
    pub fn engine(&self) -> &'static str {
        self.generator.as_ref().map_or("none", |g| g.engine())
    }

    /// The instruction set in statistics, "none" where no style is applied.
    pub fn isa(&self) -> &'static str {
        self.generator.as_ref().map_or("none", |g| g.isa())
    }

    /// Multiply-accumulates of one picture of `size`.
    pub fn macs(&self, size: Size) -> u64 {
        self.generator.as_ref().map_or(0, |g| g.macs(size))
    }
}
