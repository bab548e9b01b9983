//! A style applied to pictures, at a strength.

use std::time::Instant;

use crate::config::Detail;
use crate::engine::Generator;
use crate::engine::fused::Changed;
use crate::error::Result;
use crate::frame::Size;
use crate::pixels::blend::blend;
use crate::style::large::{self, Way};
use crate::temporal::ChangeDetector;

/// Applies a style, or none, to pictures of any size.
pub struct Stylizer {
    name: String,
    generator: Option<Box<dyn Generator>>,
    strength: f32,
    stability: f32,
    detail: Detail,
    /// What is kept of a live picture, while its frames come one after the other.
    live: Option<Live>,
}

/// A live picture as it was last shown.
struct Live {
    detector: ChangeDetector,
    shown: Vec<u8>,
}

/// What drawing a picture took, in multiply-accumulates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Those that were computed.
    pub computed: u64,
    /// Those of the whole picture.
    pub whole: u64,
}

impl Work {
    /// The share that was not computed, since what was drawn before still holds: 0 to 1.
    pub fn reuse(self) -> f64 {
        if self.whole == 0 { 0.0 } else { (1.0 - self.computed as f64 / self.whole as f64).max(0.0) }
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
            detail: Detail::Full,
            live: None,
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

    /// Mixes with the photo at another strength from the next picture on.
    pub fn set_strength(&mut self, strength: f32) {
        let strength = strength.clamp(0.0, 1.0);
        if strength != self.strength {
            self.strength = strength;
            if let Some(live) = &mut self.live {
                live.detector.start_anew();
            }
        }
    }

    /// How still a [live](Self::run_live) picture is held, from the next one on: 0, as at first, computes every block; up
    /// to 1 more and more of what changes little is left as it was.
    pub fn set_stability(&mut self, stability: f32) {
        self.stability = stability.clamp(0.0, 1.0);
    }

    /// Stylizes `input` (RGB, `size.rgb_len()` bytes), captured at `captured`, into `output` (same length), as one frame
    /// of a live picture: blocks that did not change since they were last drawn keep the bytes that they were shown with,
    /// see [`ChangeDetector`]. A change of strength, stability or size shows at once. Styles that are not run by the
    /// fused engine as a whole, and pictures too large to be drawn at once, are computed whole.
    ///
    /// # Errors
    /// When the network fails.
    pub fn run_live(&mut self, input: &[u8], size: Size, captured: Instant, output: &mut [u8]) -> Result<Work> {
        let draws = self.strength > 0.0;
        let whole = if draws { self.macs(size) } else { 0 };
        let engine = match &mut self.generator {
            Some(generator)
                if draws
                    && self.stability > 0.0
                    && large::way(generator.as_ref(), size, self.detail) == Way::Whole =>
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
        let kept = self.live.take().filter(|live| live.detector.size() == size);
        let mut live =
            kept.unwrap_or_else(|| Live { detector: ChangeDetector::new(size), shown: vec![0; size.rgb_len()] });
        let Live { detector, shown } = &mut live;
        detector.look(input, captured, self.stability);
        let (mask, processed) = (detector.mask(), detector.processed());
        let computed = engine.run_changed(processed, size, Changed::Only(mask), 0, shown)?;
        if self.strength < 1.0 {
            // With the pixels as processed: those of the camera differ each time, if only by their noise.
            let width = size.width as usize;
            for y in 0..size.height as usize {
                for run in mask.runs(y..y + 1, width) {
                    let bytes = (y * width + run.start) * 3..(y * width + run.end) * 3;
                    blend(&processed[bytes.clone()], &mut shown[bytes], self.strength);
                }
            }
        }
        output.copy_from_slice(shown);
        self.live = Some(live);
        Ok(Work { computed, whole })
    }

    /// Stylizes `input` (RGB, `size.rgb_len()` bytes) into `output` (same length).
    ///
    /// # Errors
    /// When the network fails.
    pub fn run(&mut self, input: &[u8], size: Size, output: &mut [u8]) -> Result<()> {
        // The engine then keeps another picture.
        self.live = None;
        match &mut self.generator {
            Some(generator)
                if self.strength > 0.0 && large::way(generator.as_ref(), size, self.detail) == Way::Whole =>
            {
                generator.run(input, size, output)?;
                blend(input, output, self.strength);
                Ok(())
            }
            _ => {
                output.copy_from_slice(input);
                self.run_in_place(output, size, &mut |_| Ok(()))
            }
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
        self.live = None;
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
