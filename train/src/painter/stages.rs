//! The stages that a recipe may leave out: their numbers, and which of them can be computed with.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::check::{ABOVE_ZERO, MAX_SIGMA, within};

/// Numbers of the dodge stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dodge {
    /// Surroundings that are looked at.
    pub sigma: f32,
    /// Lightness of surroundings that need nothing.
    pub towards: f32,
    /// Growth of lightness in black surroundings, as a share.
    pub lift: f32,
}

/// Numbers of the brush stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brush {
    /// Radius of a dab without a direction; along a shape it is up to twice as long and half as wide.
    pub radius: f32,
    /// Smoothing of the directions that dabs follow.
    pub flow_sigma: f32,
    /// How firmly the most uniform part of a dab's surroundings is preferred.
    pub sharpness: f32,
    /// Deviation (in lightness) at which a part counts half.
    pub range: f32,
    /// How often the picture is gone over.
    pub passes: usize,
    /// Share of faces that is left as it was.
    pub face_keeps: f32,
}

/// Numbers of the tone stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tone {
    /// Lightness at which one tone gives way to the next, rising.
    pub thresholds: Vec<f32>,
    /// The tones' lightness, from dark to light: one more than `thresholds`.
    pub levels: Vec<f32>,
    /// Half the width of a border, in lightness.
    pub softness: f32,
    /// How much a difference from the surroundings is brought out before the thresholds.
    pub local: f32,
    /// Those surroundings.
    pub local_sigma: f32,
    /// Added to the lightness of faces before the thresholds: features show better on paper than on dots.
    pub face_lift: f32,
    /// Share of the tones in the result.
    pub strength: f32,
    /// Softening of the borders, in pixels.
    pub smooth_sigma: f32,
}

/// Numbers of spotted blacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spot {
    /// Lightness below which an area is black.
    pub below: f32,
    /// Half the width of its border, in lightness.
    pub softness: f32,
    /// How much a difference from the surroundings is brought out before.
    pub local: f32,
    /// Those surroundings.
    pub local_sigma: f32,
    /// How much more in faces, whose features are to be black rather than grey.
    pub face_local: f32,
    /// Added to the lightness of a colour, times its chroma.
    pub chroma_relief: f32,
    /// Added to the lightness of faces.
    pub face_relief: f32,
    /// Softening of the border, in pixels.
    pub smooth_sigma: f32,
}

/// Numbers of the wash stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wash {
    /// How far colours run.
    pub bleed_sigma: f32,
    /// Contrast from which an edge holds them.
    pub edge_from: f32,
    /// Contrast from which it holds them fully.
    pub edge_to: f32,
    /// Width of the darker rim of a wash.
    pub rim_sigma: f32,
    /// Contrast below which there is no rim.
    pub rim_from: f32,
    /// How dark it is.
    pub rim_amount: f32,
    /// Most that a rim changes lightness.
    pub rim_limit: f32,
    /// How light the gap beside it is, as a share of that.
    pub rim_gap: f32,
    /// Growth of chroma in a rim, per unit of lightness.
    pub rim_chroma: f32,
    /// Lightness from which paper shows.
    pub paper_from: f32,
    /// Lightness from which it is bare.
    pub paper_to: f32,
}

/// Numbers of the relief stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relief {
    /// Smoothing of the directions that bristles follow.
    pub flow_sigma: f32,
    /// Width of a furrow.
    pub bristle_sigma: f32,
    /// Contrast below which texture gives none.
    pub bristle_from: f32,
    /// Contrast from which stronger texture gives no deeper ones.
    pub bristle_limit: f32,
    /// Length of a furrow.
    pub along: f32,
    /// Height of bristles, times the texture's contrast.
    pub bristles: f32,
    /// Smoothing of the form, by whose lightness paint is thick.
    pub form_sigma: f32,
    /// Height of the form, times its lightness.
    pub form: f32,
    /// Slope of the form (lightness per pixel) below which it gives no relief.
    pub form_from: f32,
    /// How steep the paint is for the light.
    pub strength: f32,
    /// Most that light adds, as a share.
    pub shine: f32,
    /// Most that shadow takes away, as a share.
    pub shade: f32,
    /// Share by which paint is thinner in faces.
    pub face_relief: f32,
}

/// Numbers of the pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Which one.
    pub kind: PatternKind,
    /// How strong it is.
    pub amount: f32,
}

/// The patterns there are. See [`super::pattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatternKind {
    /// A screen of dots instead of grey: the tones are printed in black on white.
    Dots,
    /// Paper grain.
    Paper,
    /// The weave of a canvas.
    Canvas,
}

/// Lifted, tinted shadows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lift {
    /// Lightness that black becomes.
    pub floor: f32,
    /// Added to `a` and `b` of black; colours get none.
    pub tint: [f32; 2],
    /// Lightness above which nothing is tinted.
    pub below: f32,
}

impl Dodge {
    pub(super) fn check(&self) -> Result<()> {
        within("dodge.sigma", self.sigma, 0.0, MAX_SIGMA)?;
        within("dodge.towards", self.towards, ABOVE_ZERO, 1.0)?;
        within("dodge.lift", self.lift, 0.0, 10.0)
    }
}

impl Brush {
    pub(super) fn check(&self) -> Result<()> {
        within("brush.radius", self.radius, 1.0, 32.0)?;
        within("brush.flow_sigma", self.flow_sigma, 0.0, MAX_SIGMA)?;
        within("brush.sharpness", self.sharpness, 0.0, 32.0)?;
        within("brush.range", self.range, ABOVE_ZERO, 10.0)?;
        within("brush.passes", self.passes as f32, 0.0, 16.0)?;
        within("brush.face_keeps", self.face_keeps, 0.0, 1.0)
    }
}

impl Tone {
    pub(super) fn check(&self) -> Result<()> {
        let (thresholds, levels) = (&self.thresholds, &self.levels);
        ensure!(
            levels.len() == thresholds.len() + 1,
            "'tone.levels' has {} numbers, it must have one more than 'tone.thresholds', which has {}",
            levels.len(),
            thresholds.len()
        );
        thresholds.iter().try_for_each(|&t| within("tone.thresholds", t, 0.0, 1.0))?;
        levels.iter().try_for_each(|&t| within("tone.levels", t, 0.0, 1.0))?;
        for (name, values) in [("tone.thresholds", thresholds), ("tone.levels", levels)] {
            ensure!(values.windows(2).all(|w| w[0] < w[1]), "'{name}' must rise");
        }
        within("tone.softness", self.softness, ABOVE_ZERO, 1.0)?;
        within("tone.local", self.local, 0.0, 100.0)?;
        within("tone.local_sigma", self.local_sigma, 0.0, MAX_SIGMA)?;
        within("tone.face_lift", self.face_lift, 0.0, 1.0)?;
        within("tone.strength", self.strength, 0.0, 1.0)?;
        within("tone.smooth_sigma", self.smooth_sigma, 0.0, MAX_SIGMA)
    }
}

impl Spot {
    pub(super) fn check(&self) -> Result<()> {
        within("spot.below", self.below, 0.0, 1.0)?;
        within("spot.softness", self.softness, ABOVE_ZERO, 1.0)?;
        within("spot.local", self.local, 0.0, 100.0)?;
        within("spot.local_sigma", self.local_sigma, 0.0, MAX_SIGMA)?;
        within("spot.face_local", self.face_local, 0.0, 100.0)?;
        within("spot.chroma_relief", self.chroma_relief, 0.0, 100.0)?;
        within("spot.face_relief", self.face_relief, 0.0, 1.0)?;
        within("spot.smooth_sigma", self.smooth_sigma, 0.0, MAX_SIGMA)
    }
}

impl Wash {
    pub(super) fn check(&self) -> Result<()> {
        within("wash.bleed_sigma", self.bleed_sigma, 0.0, MAX_SIGMA)?;
        within("wash.rim_sigma", self.rim_sigma, 0.0, MAX_SIGMA)?;
        within("wash.rim_from", self.rim_from, 0.0, 1.0)?;
        within("wash.rim_amount", self.rim_amount, 0.0, 100.0)?;
        within("wash.rim_limit", self.rim_limit, ABOVE_ZERO, 1.0)?;
        within("wash.rim_gap", self.rim_gap, 0.0, 1.0)?;
        within("wash.rim_chroma", self.rim_chroma, 0.0, 100.0)?;
        rising("wash.edge_from", self.edge_from, "wash.edge_to", self.edge_to)?;
        rising("wash.paper_from", self.paper_from, "wash.paper_to", self.paper_to)
    }
}

impl Relief {
    pub(super) fn check(&self) -> Result<()> {
        within("relief.flow_sigma", self.flow_sigma, 0.0, MAX_SIGMA)?;
        within("relief.bristle_sigma", self.bristle_sigma, 0.1, MAX_SIGMA / 2.5)?;
        within("relief.bristle_from", self.bristle_from, ABOVE_ZERO, 1.0)?;
        within("relief.bristle_limit", self.bristle_limit, ABOVE_ZERO, 1.0)?;
        within("relief.along", self.along, 0.1, MAX_SIGMA)?;
        within("relief.bristles", self.bristles, 0.0, 1000.0)?;
        within("relief.form_sigma", self.form_sigma, 0.0, MAX_SIGMA)?;
        within("relief.form", self.form, 0.0, 1000.0)?;
        within("relief.form_from", self.form_from, ABOVE_ZERO, 1.0)?;
        within("relief.strength", self.strength, 0.0, 1000.0)?;
        within("relief.shine", self.shine, 0.0, 1.0)?;
        within("relief.shade", self.shade, 0.0, 1.0)?;
        within("relief.face_relief", self.face_relief, 0.0, 1.0)
    }
}

impl Pattern {
    pub(super) fn check(&self) -> Result<()> {
        within("pattern.amount", self.amount, 0.0, 1.0)
    }
}

impl Lift {
    pub(super) fn check(&self) -> Result<()> {
        within("grade.lift.floor", self.floor, 0.0, 0.9)?;
        within("grade.lift.below", self.below, ABOVE_ZERO, 1.0)?;
        self.tint.iter().try_for_each(|&t| within("grade.lift.tint", t, -0.3, 0.3))
    }
}

/// Two thresholds, the first below the second.
pub(super) fn rising(from: &str, low: f32, to: &str, high: f32) -> Result<()> {
    within(from, low, 0.0, 2.0)?;
    within(to, high, 0.0, 2.0)?;
    ensure!(low < high, "'{from}' is {low}, it must be below '{to}', which is {high}");
    Ok(())
}
