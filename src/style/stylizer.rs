//! A style applied to pictures, at a strength.

use std::fmt;
use std::time::Instant;

use crate::config::Detail;
use crate::engine::Generator;
use crate::engine::region::Region;
use crate::error::Result;
use crate::frame::Size;
use crate::pixels::blend::blend;
use crate::style::held::{Held, LiveFrame, Work};
use crate::style::large::{self, Way};
use crate::style::scaled::{Scale, Scaled};

/// Applies a style, or none, to pictures of any size.
pub struct Stylizer {
    name: String,
    generator: Option<Box<dyn Generator>>,
    strength: f32,
    stability: f32,
    region: Region,
    detail: Detail,
    scaled: Scaled,
    /// What is kept of a live picture, while its frames come one after the other.
    held: Option<Held>,
}

impl fmt::Debug for Stylizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, strength, stability, detail, .. } = self;
        write!(f, "Stylizer({name}, {strength}, {stability}, {detail})")
    }
}

impl Stylizer {
    /// Gives every picture back unchanged (`--style off`).
    pub fn off() -> Self {
        Self {
            name: "off".into(),
            generator: None,
            strength: 0.0,
            stability: 0.0,
            region: Region::All,
            detail: Detail::Full,
            scaled: Scaled::default(),
            held: None,
        }
    }

    /// Applies `generator` at the picture's own size, mixed with the photo: `strength` 0 is the photo, 1 the style alone.
    pub fn new(name: impl Into<String>, generator: Box<dyn Generator>, strength: f32) -> Self {
        let strength = strength.clamp(0.0, 1.0);
        Self { name: name.into(), generator: Some(generator), strength, ..Self::off() }
    }

    /// The same, drawing pictures with so much detail.
    #[must_use]
    pub fn with_detail(self, detail: Detail) -> Self {
        Self { detail, ..self }
    }

    /// Mixes with the photo at another strength from the next picture on: 0 is the photo, 1 the style alone.
    pub fn set_strength(&mut self, strength: f32) {
        let strength = strength.clamp(0.0, 1.0);
        if strength != self.strength {
            self.strength = strength;
            self.start_anew();
        }
    }

    /// Whether the style knows the person in a picture, so that a part of it can be drawn.
    pub fn has_person_mask(&self) -> bool {
        self.generator.as_ref().is_some_and(|generator| generator.has_person_mask())
    }

    /// Draws only this part of the pictures from the next one on, where the style [can](Self::has_person_mask); the rest is
    /// the photo.
    pub fn set_region(&mut self, region: Region) {
        if region != self.region {
            self.region = region;
            if let Some(generator) = &mut self.generator {
                generator.set_region(region);
            }
            self.start_anew();
        }
    }

    /// How still a [live](Self::run_live) picture is held, from the next one on: 0, as at first, computes every block; up
    /// to 1 more and more of what changes little is left as it was.
    pub fn set_stability(&mut self, stability: f32) {
        self.stability = stability.clamp(0.0, 1.0);
    }

    /// Has the next [live](Self::run_live) picture drawn whole, whatever it has in common with the one before.
    pub fn start_anew(&mut self) {
        if let Some(held) = &mut self.held {
            held.start_anew();
        }
    }

    /// Stylizes `input` (RGB, `size.rgb_len()` bytes), captured at `captured`, into `output` (same length), as one frame
    /// of a live picture: blocks that did not change since they were last drawn keep the bytes that they were shown with,
    /// see [`ChangeDetector`](crate::temporal::ChangeDetector). After a change of strength, size or scale the picture is
    /// drawn whole. Styles that are not run by the fused engine as a whole, and pictures too large to be drawn at once,
    /// always are.
    ///
    /// # Errors
    /// When the network fails.
    pub fn run_live(&mut self, input: &[u8], size: Size, captured: Instant, output: &mut [u8]) -> Result<Work> {
        let drawn = self.scaled.scale().of(size);
        let whole = if self.strength > 0.0 { self.macs(drawn) } else { 0 };
        let (strength, stability) = (self.strength, self.stability);
        let engine = match &mut self.generator {
            Some(generator)
                if strength > 0.0
                    && stability > 0.0
                    && large::way(generator.as_ref(), drawn, self.detail) == Way::Whole =>
            {
                generator.as_fused()
            }
            _ => None,
        };
        let Some(engine) = engine else {
            self.run(input, size, output)?;
            return Ok(Work { computed: whole, whole });
        };
        // Where this fails, what is kept is not known, and not put back.
        let mut held = self.held.take().filter(|held| held.size() == size).unwrap_or_else(|| Held::new(size));
        let frame = LiveFrame { pixels: input, size, captured, strength, stability };
        let computed = held.run(engine, &mut self.scaled, frame, output)?;
        self.held = Some(held);
        Ok(Work { computed, whole })
    }

    /// The blocks of a live picture that its last frame changed.
    #[cfg(test)]
    pub(super) fn held_mask(&self) -> Option<&crate::engine::fused::BlockMask> {
        self.held.as_ref().map(Held::mask)
    }

    /// Stylizes `input` (RGB, `size.rgb_len()` bytes) into `output` (same length).
    ///
    /// # Errors
    /// When the network fails.
    pub fn run(&mut self, input: &[u8], size: Size, output: &mut [u8]) -> Result<()> {
        // The engine then keeps another picture.
        self.start_anew();
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

    /// Draws the pictures of [`Self::run`] and [`Self::run_live`] at a scale, enlarged to their own size again. Nothing is
    /// loaded for it.
    pub fn set_scale(&mut self, scale: Scale) {
        if scale != self.scaled.scale() {
            self.scaled.set_scale(scale);
            self.start_anew();
            if let Some(engine) = self.generator.as_mut().and_then(|generator| generator.as_fused()) {
                // It will be long until the other scale is wanted again, and that needs half of a run's memory.
                engine.forget_sizes();
            }
        }
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
        self.start_anew();
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
