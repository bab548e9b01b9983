//! A style applied to pictures, at a strength.

use std::fmt;
use std::time::Instant;

use crate::config::Detail;
use crate::engine::Generator;
use crate::engine::region::Region;
use crate::error::Result;
use crate::frame::Size;
use crate::pixels::blend::blend;
use crate::style::enhanced::Enhanced;
use crate::style::held::{Held, LiveFrame, Work};
use crate::style::large::{self, Way};
use crate::style::low_light::{Curve, LiveLight};
use crate::style::scaled::{Scale, Scaled};

/// Applies a style, or none, to pictures of any size.
pub struct Stylizer {
    name: String,
    drawing: Drawing,
    on: bool,
    strength: f32,
    stability: f32,
    region: Region,
    detail: Detail,
    scaled: Scaled,
    /// The light of a live picture that is restored.
    light: LiveLight,
    /// What is kept of a live picture, while its frames come one after the other.
    held: Option<Held>,
}

/// What makes a picture of a photo.
enum Drawing {
    /// Nothing: it is the photo.
    Nothing,
    /// A style's network.
    Style(Box<dyn Generator>),
    /// A style's network, or none, behind one that restores the photo.
    Enhanced(Box<Enhanced>),
}

impl Drawing {
    /// The network to run, and how strongly what it gives is to be mixed with the photo; `None` where a picture is the photo.
    fn network(&mut self, on: bool, strength: f32) -> Option<(&mut dyn Generator, f32)> {
        match self {
            _ if !on => None,
            Self::Style(style) if strength > 0.0 => Some((style.as_mut(), strength)),
            Self::Nothing | Self::Style(_) => None,
            // It mixes by itself, with the restored photo.
            Self::Enhanced(enhanced) => Some((enhanced.as_mut(), 1.0)),
        }
    }

    /// What restores photos, where they are.
    fn enhanced(&mut self, on: bool) -> Option<&mut Enhanced> {
        match self {
            Self::Enhanced(enhanced) if on => Some(enhanced),
            _ => None,
        }
    }

    /// The whole of it, whether it is to be run or not.
    fn generator(&self) -> Option<&dyn Generator> {
        match self {
            Self::Nothing => None,
            Self::Style(style) => Some(style.as_ref()),
            Self::Enhanced(enhanced) => Some(enhanced.as_ref()),
        }
    }

    fn generator_mut(&mut self) -> Option<&mut dyn Generator> {
        match self {
            Self::Nothing => None,
            Self::Style(style) => Some(style.as_mut()),
            Self::Enhanced(enhanced) => Some(enhanced.as_mut()),
        }
    }

    /// The network that gives a picture its look, and the detail with which it draws a photo.
    fn shown(&self, detail: Detail) -> Option<(&dyn Generator, Detail)> {
        match self {
            Self::Nothing => None,
            Self::Style(style) => Some((style.as_ref(), detail)),
            Self::Enhanced(enhanced) => Some((enhanced.shown(), enhanced.detail(detail))),
        }
    }
}

impl fmt::Debug for Stylizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, drawing, strength, stability, detail, .. } = self;
        let enhanced = if matches!(drawing, Drawing::Enhanced(_)) { "enhanced, " } else { "" };
        write!(f, "Stylizer({name}, {enhanced}{strength}, {stability}, {detail})")
    }
}

impl Stylizer {
    /// Gives every picture back unchanged (`--style off`).
    pub fn off() -> Self {
        Self {
            name: "off".into(),
            drawing: Drawing::Nothing,
            on: true,
            strength: 0.0,
            stability: 0.0,
            region: Region::All,
            detail: Detail::Full,
            scaled: Scaled::default(),
            light: LiveLight::default(),
            held: None,
        }
    }

    /// Applies `generator` at the picture's own size, mixed with the photo: `strength` 0 is the photo, 1 the style alone.
    pub fn new(name: impl Into<String>, generator: Box<dyn Generator>, strength: f32) -> Self {
        let strength = strength.clamp(0.0, 1.0);
        Self { name: name.into(), drawing: Drawing::Style(generator), strength, ..Self::off() }
    }

    /// The same for photos that are brought into good light first and go through `restorer` then: they are restored at their
    /// own size, and where the style does not draw, or not strongly, the restored photo is seen.
    #[must_use]
    pub fn enhanced_by(self, restorer: Box<dyn Generator>) -> Self {
        let style = match self.drawing {
            Drawing::Style(style) => Some(style),
            Drawing::Nothing | Drawing::Enhanced(_) => None,
        };
        Self { drawing: Drawing::Enhanced(Box::new(Enhanced::new(restorer, style, self.strength))), ..self }
    }

    /// The same, drawing pictures with so much detail.
    #[must_use]
    pub fn with_detail(self, detail: Detail) -> Self {
        Self { detail, ..self }
    }

    /// Whether anything is done to the pictures from the next one on.
    pub fn set_on(&mut self, on: bool) {
        if std::mem::replace(&mut self.on, on) != on {
            self.start_anew();
        }
    }

    /// Mixes with the photo at another strength from the next picture on: 0 is the photo, 1 the style alone.
    pub fn set_strength(&mut self, strength: f32) {
        let strength = strength.clamp(0.0, 1.0);
        if strength != self.strength {
            self.strength = strength;
            if let Drawing::Enhanced(enhanced) = &mut self.drawing {
                enhanced.set_strength(strength);
            }
            self.draw_anew();
        }
    }

    /// Whether the style knows the person in a picture, so that a part of it can be drawn.
    pub fn has_person_mask(&self) -> bool {
        self.drawing.generator().is_some_and(|generator| generator.has_person_mask())
    }

    /// Draws only this part of the pictures from the next one on, where the style [can](Self::has_person_mask); the rest is
    /// the photo.
    pub fn set_region(&mut self, region: Region) {
        if region != self.region {
            self.region = region;
            if let Some(generator) = self.drawing.generator_mut() {
                generator.set_region(region);
            }
            self.draw_anew();
        }
    }

    /// How still a [live](Self::run_live) picture is held, from the next one on: 0, as at first, computes every block; up
    /// to 1 more and more of what changes little is left as it was.
    pub fn set_stability(&mut self, stability: f32) {
        self.stability = stability.clamp(0.0, 1.0);
    }

    /// Has the next [live](Self::run_live) picture drawn whole, whatever it has in common with the one before.
    pub fn start_anew(&mut self) {
        self.light = LiveLight::default();
        self.draw_anew();
    }

    fn draw_anew(&mut self) {
        if let Some(held) = &mut self.held {
            held.start_anew();
        }
    }

    /// Stylizes `input` (RGB, `size.rgb_len()` bytes), captured at `captured`, into `output` (same length), as one frame
    /// of a live picture: blocks that did not change since they were last drawn keep the bytes that they were shown with,
    /// see [`ChangeDetector`](crate::temporal::ChangeDetector). After a change of strength, size or scale, and of the light
    /// where photos are restored, the picture is drawn whole. Styles that are not run by the fused engine as a whole, and
    /// pictures too large to be drawn at once, always are.
    ///
    /// # Errors
    /// When the network fails.
    pub fn run_live(&mut self, input: &[u8], size: Size, captured: Instant, output: &mut [u8]) -> Result<Work> {
        if let Some(enhanced) = self.drawing.enhanced(self.on)
            && enhanced.set_light(self.light.follow(input, size, captured))
        {
            self.draw_anew();
        }
        let drawn = self.scaled.scale().of(size);
        let stability = self.stability;
        let network = self.drawing.network(self.on, self.strength);
        let whole = network.as_ref().map_or(0, |(generator, _)| generator.macs(drawn));
        let in_blocks = network.filter(|(generator, _)| {
            stability > 0.0 && generator.draws_blocks() && large::way(*generator, drawn, self.detail) == Way::Whole
        });
        let Some((generator, strength)) = in_blocks else {
            self.draw(input, size, output)?;
            return Ok(Work { computed: whole, whole });
        };
        // Where this fails, what is kept is not known, and not put back.
        let mut held = self.held.take().filter(|held| held.size() == size).unwrap_or_else(|| Held::new(size));
        let frame = LiveFrame { pixels: input, size, captured, strength, stability };
        let computed = held.run(generator, &mut self.scaled, frame, output)?;
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
        if let Some(enhanced) = self.drawing.enhanced(self.on) {
            enhanced.set_light(Curve::of(input, size));
        }
        self.draw(input, size, output)
    }

    fn draw(&mut self, input: &[u8], size: Size, output: &mut [u8]) -> Result<()> {
        // The generator then keeps another picture.
        self.draw_anew();
        let drawn = self.scaled.scale().of(size);
        match self.drawing.network(self.on, self.strength) {
            Some((generator, strength)) if large::way(generator, drawn, self.detail) == Way::Whole => {
                self.scaled.run(generator, input, size, output)?;
                blend(input, output, strength);
                Ok(())
            }
            _ => {
                output.copy_from_slice(input);
                self.draw_in_place(output, size, &mut |_| Ok(()))
            }
        }
    }

    /// Draws the pictures of [`Self::run`] and [`Self::run_live`] at a scale, enlarged to their own size again. Nothing is
    /// loaded for it.
    pub fn set_scale(&mut self, scale: Scale) {
        if scale != self.scaled.scale() {
            self.scaled.set_scale(scale);
            self.draw_anew();
            if let Some(generator) = self.drawing.generator_mut() {
                // It will be long until the other scale is wanted again, and that needs half of a run's memory.
                generator.forget_sizes();
            }
        }
    }

    /// The smallest scale at which drawing a picture of `size` takes less work: a network of a fixed size gains nothing.
    pub fn smallest_scale(&self, size: Size) -> Scale {
        match self.drawing.generator() {
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
        if let Some(enhanced) = self.drawing.enhanced(self.on) {
            enhanced.set_light(Curve::of(pixels, size));
        }
        self.draw_in_place(pixels, size, progress)
    }

    fn draw_in_place(
        &mut self,
        pixels: &mut [u8],
        size: Size,
        progress: &mut dyn FnMut(f32) -> Result<()>,
    ) -> Result<()> {
        self.draw_anew();
        match &mut self.drawing {
            Drawing::Enhanced(enhanced) if self.on => enhanced.run_in_place(pixels, size, self.detail, progress),
            Drawing::Style(style) if self.on && self.strength > 0.0 => {
                large::run_in_place(style.as_mut(), pixels, size, self.strength, self.detail, progress)
            }
            _ => Ok(()),
        }
    }

    /// The size at which a picture of `size` will be drawn, where the style cannot draw it with the detail asked: such a
    /// picture is reduced further, and what was drawn of it is enlarged again.
    pub fn reduced(&self, size: Size) -> Option<Size> {
        let (generator, detail) = self.drawing.shown(self.detail)?;
        match large::way(generator, detail.of(size), Detail::Full) {
            Way::Reduced(reduced) => Some(reduced),
            Way::Whole | Way::Tiles(_) => None,
        }
    }

    /// How a picture of `size` will be drawn, for the log: "at once", "in 3x2 tiles", "at 1024x768 and enlarged".
    pub fn manner(&self, size: Size) -> String {
        let draws = self.on && (self.strength > 0.0 || matches!(self.drawing, Drawing::Enhanced(_)));
        match self.drawing.shown(self.detail).filter(|_| draws) {
            Some((generator, detail)) => large::way(generator, size, detail).to_string(),
            None => "not at all".into(),
        }
    }

    /// The style's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine's name, "none" where no style is applied.
    pub fn engine(&self) -> &'static str {
        self.drawing.generator().map_or("none", |g| g.engine())
    }

    /// The instruction set in statistics, "none" where no style is applied.
    pub fn isa(&self) -> &'static str {
        self.drawing.generator().map_or("none", |g| g.isa())
    }

    /// Multiply-accumulates of one picture of `size`.
    pub fn macs(&self, size: Size) -> u64 {
        self.drawing.generator().map_or(0, |g| g.macs(size))
    }
}
