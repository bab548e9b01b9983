//! What a distillation is told, as a TOML file.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use nijigen::engine::topology::StudentSize;
use serde::{Deserialize, Serialize};

use crate::data::augment::Augment;
use crate::data::batches::Sampling;

/// A student's size by its letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StudentName {
    /// About 1 GMAC at 640×480.
    S,
    /// About 4.5 GMAC.
    M,
    /// About 10 GMAC.
    L,
}

impl From<StudentName> for StudentSize {
    fn from(name: StudentName) -> Self {
        match name {
            StudentName::S => Self::S,
            StudentName::M => Self::M,
            StudentName::L => Self::L,
        }
    }
}

impl fmt::Display for StudentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S => "s",
            Self::M => "m",
            Self::L => "l",
        })
    }
}

impl FromStr for StudentName {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "s" => Self::S,
            "m" => Self::M,
            "l" => Self::L,
            other => bail!("'{other}' is not a student's size; there are s, m and l"),
        })
    }
}

/// A distillation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The student.
    pub size: StudentName,
    /// Seed of weights and batches.
    pub seed: u64,
    /// Training steps.
    pub steps: u64,
    /// Crops per step.
    pub batch: usize,
    /// Side of a crop, pixels, a multiple of 8.
    pub crop: u32,
    /// Highest learning rate; it rises over `warmup` steps and falls to nothing along a cosine.
    pub rate: f64,
    /// Steps until the highest rate.
    pub warmup: u64,
    /// The share of the steps after which fake-quant begins.
    pub quantize_from: f64,
    /// Compute in the back end's 16-bit format, where it has one, but for the last `finish` steps.
    pub half: bool,
    /// Steps at the end that compute in 32 bits.
    pub finish: u64,
    /// Largest norm of any parameter's gradient.
    pub clip: f32,
    /// Decay of the averaged weights, which are what is exported.
    pub average: f32,
    /// Steps between evaluations; each writes the curve, a sheet and a checkpoint.
    pub evaluate_every: u64,
    /// Evaluations with fake-quant without a better held-out L1 after which training stops; 0: never.
    pub patience: u32,
    /// How often a crop lies around a face.
    pub around_face: f32,
    /// Weight of a small face's pixels.
    pub face_weight: f32,
    /// Weights of the losses.
    pub loss: Losses,
    /// A webcam's faults.
    pub augment: Augment,
}

/// Weights of the losses; the pixel loss has weight 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Losses {
    /// L1 of gradients.
    pub gradient: f32,
    /// VGG features.
    pub features: f32,
    /// Steps between two at which the features are compared; its weight is raised by as much.
    pub features_every: u64,
    /// Side of the part of each crop on which features are compared.
    pub features_crop: usize,
}

impl Config {
    /// Reads and checks a TOML file.
    ///
    /// # Errors
    /// When it cannot be read, holds something unknown, or a value makes no sense.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let config: Self =
            toml::from_str(&text).with_context(|| format!("{} is not a configuration", path.display()))?;
        config.check().with_context(|| format!("in {}", path.display()))?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        if self.crop == 0 || !self.crop.is_multiple_of(8) || self.loss.features_crop > self.crop as usize {
            bail!("'crop' must be a multiple of 8 and at least 'features_crop'");
        }
        if !self.loss.features_crop.is_multiple_of(4) || self.loss.features_every == 0 {
            bail!("'features_crop' must be a multiple of 4, 'features_every' at least 1");
        }
        if self.batch == 0 || self.steps == 0 || self.evaluate_every == 0 {
            bail!("'batch', 'steps' and 'evaluate_every' must be at least 1");
        }
        if !(0.0..=1.0).contains(&self.quantize_from) || !(0.0..1.0).contains(&self.average) {
            bail!("'quantize_from' and 'average' lie within 0..1");
        }
        if let Some(fault) = self.augment.fault() {
            bail!("{fault}");
        }
        Ok(())
    }

    /// The first step with fake-quant.
    pub fn quantize_step(&self) -> u64 {
        (self.steps as f64 * self.quantize_from).round() as u64
    }

    /// The learning rate at `step`.
    pub fn rate_at(&self, step: u64) -> f64 {
        let warm = ((step + 1) as f64 / self.warmup.max(1) as f64).min(1.0);
        let progress = step as f64 / self.steps as f64;
        self.rate * warm * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
    }

    /// How crops are drawn.
    pub fn sampling(&self) -> Sampling {
        Sampling {
            batch: self.batch,
            crop: self.crop,
            around_face: self.around_face,
            face_weight: self.face_weight,
            augment: self.augment.clone(),
        }
    }
}
