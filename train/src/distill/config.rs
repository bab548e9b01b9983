//! What a distillation is told, as a TOML file.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use nijigen::engine::topology::{StudentSize, Topology};
use serde::{Deserialize, Serialize};

use super::adversary::Adversary;
use crate::data::augment::Augment;
use crate::data::batches::Sampling;
use crate::data::{parse_toml, read_text};

/// Largest crop, pixels, and most crops in a step: beyond them a step wants more memory than machines have.
const MAX_CROP: u32 = 2048;
const MAX_BATCH: usize = 1024;

/// A student's size by its letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// What a student begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// Random weights.
    #[default]
    Random,
    /// Weights that give the photo back: for a student that changes little of it.
    Photo,
}

impl Start {
    /// Then it is not written, so that configurations from before there was a choice are the same.
    fn is_random(&self) -> bool {
        *self == Self::Random
    }
}

/// Which of the weights that are measured are kept for the style.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Those of the least validation L1.
    #[default]
    Best,
    /// The last ones: for a student that is to give some of its likeness for what L1 does not see, stillness or the mask.
    Last,
}

impl Keep {
    /// Then it is not written, so that configurations from before there was a choice are the same.
    fn is_best(&self) -> bool {
        *self == Self::Best
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
    /// What the student begins with, where no `--base` is given.
    #[serde(default, skip_serializing_if = "Start::is_random")]
    pub start: Start,
    /// Training steps.
    pub steps: u64,
    /// Crops per step.
    pub batch: usize,
    /// How many of them are twins of others: the same scene a moment later, which is to look the same.
    #[serde(default)]
    pub twins: usize,
    /// Side of a crop, pixels, a multiple of 8.
    pub crop: u32,
    /// Crops begin at multiples of this: 8 where the style has a pattern that is fixed to the pixels.
    #[serde(default = "one")]
    pub align: u32,
    /// Whether the student learns the person mask as a fourth channel: all pairs must have one then.
    #[serde(default)]
    pub person_mask: bool,
    /// Whether the student gives what is to be added to the photo, instead of the picture: for one that changes little of
    /// it. It learns no person mask then.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub residual: bool,
    /// On how many batches the base's idle channels are [put to work](super::wake::wake) before the first step, for a
    /// residual student; 0: they stay as they are.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub wake: u64,
    /// Highest learning rate, above 0 and at most 1; it rises over `warmup` steps and falls to nothing along a cosine.
    pub rate: f64,
    /// Steps until the highest rate.
    pub warmup: u64,
    /// The share of the steps after which fake-quant begins.
    pub quantize_from: f64,
    /// The ranges of the activations, which are set when fake-quant begins and stay: the share of those that lose least to
    /// quantization at that time (above 0, at most 1). Smaller ones have finer steps, so that less of the camera's noise
    /// tips an activation from one step to the next, and the network learns to do with them. Where it is absent and
    /// fake-quant begins at once, those of the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_range: Option<f32>,
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
    /// Evaluations with fake-quant without a better validation L1 after which training stops; 0: never.
    pub patience: u32,
    /// Which weights are kept.
    #[serde(default, skip_serializing_if = "Keep::is_best")]
    pub keep: Keep,
    /// How often a crop lies around a face.
    pub around_face: f32,
    /// Weight of a small face's pixels.
    pub face_weight: f32,
    /// Weights of the losses.
    pub loss: Losses,
    /// The adversary, which there is where `loss.adversarial` is above 0.
    #[serde(default, skip_serializing_if = "Adversary::is_default")]
    pub adversary: Adversary,
    /// A webcam's faults.
    pub augment: Augment,
}

fn one() -> u32 {
    1
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
    /// How much more the picture changes than the photo from one twin to the other, where their scene stands.
    #[serde(default)]
    pub flicker: f32,
    /// The share of the steps after which `flicker` counts. A student that begins with random weights must draw before it
    /// is asked to hold still: what stands most still is a grey picture.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub flicker_from: f64,
    /// L1 of the person mask.
    #[serde(default)]
    pub person_mask: f32,
    /// L1, and by their weights the gradients' and the person mask's, of mixtures with the styles of `--mix-with`; 0: there
    /// are none.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub mixture: f32,
    /// What the adversary holds against the picture; 0: there is no adversary. It is then not written, so that
    /// configurations from before there was one are the same.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub adversarial: f32,
}

fn is_nought<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Config {
    /// Reads and checks a TOML file.
    ///
    /// # Errors
    /// When it cannot be read, holds something unknown, or a value makes no sense.
    pub fn load(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        let config: Self = parse_toml(&text).with_context(|| format!("{} is not a configuration", path.display()))?;
        config.check().with_context(|| format!("in {}", path.display()))?;
        Ok(config)
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// When a value lies outside of its range; it is named.
    pub fn check(&self) -> Result<()> {
        let within = |name: &str, value: f64, low: f64, high: f64| {
            // Written so that NaN is refused.
            ensure!((low..=high).contains(&value), "'{name}' is {value}, it must lie within {low} to {high}");
            Ok(())
        };
        ensure!(
            (8..=MAX_CROP).contains(&self.crop) && self.crop.is_multiple_of(8),
            "'crop' is {}, it must be a multiple of 8 from 8 to {MAX_CROP}",
            self.crop
        );
        ensure!((1..=MAX_BATCH).contains(&self.batch), "'batch' is {}, it must be 1 to {MAX_BATCH}", self.batch);
        ensure!(
            self.twins <= self.batch / 2,
            "'twins' is {}, it must be at most half of 'batch', which is {}",
            self.twins,
            self.batch
        );
        ensure!(matches!(self.align, 1 | 2 | 4 | 8), "'align' is {}, it must be 1, 2, 4 or 8", self.align);
        ensure!(self.steps > 0 && self.evaluate_every > 0, "'steps' and 'evaluate_every' must be at least 1");
        ensure!(
            !(self.residual && self.person_mask),
            "a 'residual' student gives what is to be added to the photo, which has no 'person_mask': take one of them out"
        );
        ensure!(
            !(self.residual && self.start == Start::Photo),
            "a 'residual' student gives the photo back to begin with: take 'start' out"
        );
        ensure!(self.wake == 0 || self.residual, "'wake' is for a 'residual' student: take it out");
        within("wake", self.wake as f64, 0.0, 1e4)?;
        // The average starts at the random weights: at 1 it would stay there.
        ensure!(self.average < 1.0, "'average' must be below 1");
        ensure!(self.rate > 0.0 && self.clip > 0.0, "'rate' and 'clip' must be above 0");
        within("rate", self.rate, 0.0, 1.0)?;
        within("clip", self.clip.into(), 0.0, 1e6)?;
        within("average", self.average.into(), 0.0, 1.0)?;
        within("quantize_from", self.quantize_from, 0.0, 1.0)?;
        let range = self.activation_range.unwrap_or(1.0);
        ensure!(range > 0.0 && range <= 1.0, "'activation_range' is {range}, it must be above 0 and at most 1");
        within("around_face", self.around_face.into(), 0.0, 1.0)?;
        within("face_weight", self.face_weight.into(), 0.0, 1e3)?;
        within("gradient", self.loss.gradient.into(), 0.0, 1e3)?;
        within("features", self.loss.features.into(), 0.0, 1e3)?;
        within("flicker", self.loss.flicker.into(), 0.0, 1e3)?;
        within("flicker_from", self.loss.flicker_from, 0.0, 1.0)?;
        within("person_mask", self.loss.person_mask.into(), 0.0, 1e3)?;
        within("mixture", self.loss.mixture.into(), 0.0, 1e3)?;
        within("adversarial", self.loss.adversarial.into(), 0.0, 1e3)?;
        self.adversary.check(self.crop)?;
        ensure!(self.loss.features_every > 0, "'features_every' must be at least 1");
        let crop = self.loss.features_crop;
        // Below 4 pixels nothing is left behind VGG's two poolings.
        ensure!(
            crop.is_multiple_of(4) && (4..=self.crop as usize).contains(&crop),
            "'features_crop' is {crop}, it must be a multiple of 4 from 4 to 'crop'"
        );
        match self.augment.fault() {
            Some(fault) => bail!("{fault}"),
            None => Ok(()),
        }
    }

    /// Whether training ends after `step` steps because the last `stale` evaluations with fake-quant did not help.
    pub fn is_exhausted(&self, step: u64, stale: u32) -> bool {
        step > self.quantize_step() && self.patience > 0 && stale >= self.patience
    }

    /// The first step with fake-quant.
    pub fn quantize_step(&self) -> u64 {
        (self.steps as f64 * self.quantize_from).round() as u64
    }

    /// Whether `step` is computed in the back end's 16-bit format, where it has one.
    pub fn is_half_at(&self, step: u64) -> bool {
        self.half && step + self.finish < self.steps
    }

    /// The weight of flicker in the loss at `step`: it rises over `warmup` steps from `flicker_from` on.
    pub fn flicker_at(&self, step: u64) -> f32 {
        let first = (self.steps as f64 * self.loss.flicker_from).round() as u64;
        let risen = (step.saturating_sub(first) as f32 / self.warmup.max(1) as f32).min(1.0);
        self.loss.flicker * risen
    }

    /// Whether there is an adversary at all.
    pub fn is_adversarial(&self) -> bool {
        self.loss.adversarial > 0.0
    }

    /// The weight of the adversary's verdict in the loss at `step`; `None` where there is no adversary yet or ever.
    pub fn adversarial_at(&self, step: u64) -> Option<f32> {
        let first = (self.steps as f64 * self.adversary.from).round() as u64;
        let risen = |since: u64| ((since + 1) as f32 / self.warmup.max(1) as f32).min(1.0);
        step.checked_sub(first).filter(|_| self.is_adversarial()).map(|since| self.loss.adversarial * risen(since))
    }

    /// The learning rate at `step`.
    pub fn rate_at(&self, step: u64) -> f64 {
        let warm = ((step + 1) as f64 / self.warmup.max(1) as f64).min(1.0);
        let progress = step as f64 / self.steps as f64;
        self.rate * warm * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
    }

    /// The student's network.
    pub fn topology(&self) -> Topology {
        let topology = Topology::two_scale(self.size.into()).with_eight_bits();
        match (self.person_mask, self.residual) {
            (true, _) => topology.with_person_mask(),
            (false, true) => topology.as_residual(),
            (false, false) => topology,
        }
    }

    /// How crops are drawn.
    pub fn sampling(&self) -> Sampling {
        Sampling {
            batch: self.batch,
            twins: self.twins,
            crop: self.crop,
            align: self.align,
            mask: self.person_mask,
            around_face: self.around_face,
            face_weight: self.face_weight,
            augment: self.augment.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SHIPPED: &str = include_str!("../../configs/anime.toml");

    /// The shipped configuration with one line replaced by another.
    fn with(name: &str, value: &str) -> Result<()> {
        let line = |line: &str| match line.split_once(" = ") {
            Some((key, _)) if key == name => format!("{name} = {value}\n"),
            _ => format!("{line}\n"),
        };
        let text: String = SHIPPED.lines().map(line).collect();
        assert_ne!(text, SHIPPED, "the shipped configuration has '{name}' and another value");
        toml::from_str::<Config>(&text)?.check()
    }

    #[test]
    fn the_shipped_configuration_is_sound() {
        toml::from_str::<Config>(SHIPPED).unwrap().check().unwrap();
        let restoring: Config = toml::from_str(include_str!("../../configs/restore-first.toml")).unwrap();
        restoring.check().unwrap();
        assert_eq!(restoring.start, Start::Photo);
        let read_back: Config = toml::from_str(&toml::to_string(&restoring).unwrap()).unwrap();
        assert_eq!(read_back, restoring);
        let refused = Config { residual: true, ..restoring }.check().unwrap_err().to_string();
        assert!(refused.contains("take 'start' out"), "{refused}");
        with("quantize_from", "1.0").unwrap();
        with("features_crop", "192").unwrap();
    }

    #[test]
    fn a_value_that_makes_no_sense_is_named() {
        for (name, values) in [
            ("batch", ["0", "100000"]),
            ("crop", ["100", "1000000"]),
            ("rate", ["0.0", "nan"]),
            ("clip", ["0.0", "inf"]),
            ("average", ["1.0", "-0.5"]),
            ("quantize_from", ["1.5", "nan"]),
            ("around_face", ["-0.1", "1.1"]),
            ("face_weight", ["-1.0", "inf"]),
            ("gradient", ["-1.0", "nan"]),
            ("features", ["-0.1", "inf"]),
            ("features_crop", ["0", "196"]),
            ("jpeg", ["-0.1", "1.1"]),
            ("tint_by", ["1.0", "nan"]),
            ("darkest", ["1.0", "-0.1"]),
            ("noise_deviation", ["-1.0", "nan"]),
        ] {
            for value in values {
                let error = format!("{:#}", with(name, value).unwrap_err());
                assert!(error.contains(&format!("'{name}'")), "{name} = {value}: {error}");
            }
        }
        for range in ["0.0", "1.5", "nan"] {
            let text = format!("activation_range = {range}\n{SHIPPED}");
            let error = format!("{:#}", toml::from_str::<Config>(&text).unwrap().check().unwrap_err());
            assert!(error.contains("'activation_range'"), "{range}: {error}");
        }
        for name in ["steps", "evaluate_every", "features_every"] {
            let error = format!("{:#}", with(name, "0").unwrap_err());
            assert!(error.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn an_adversary_comes_late_and_slowly_and_is_not_written_where_there_is_none() {
        let mut config: Config = toml::from_str(SHIPPED).unwrap();
        assert!((0..config.steps).all(|step| config.adversarial_at(step).is_none()));
        let text = toml::to_string(&config).unwrap();
        assert!(!text.contains("advers"), "an older configuration's checksum would change: {text}");
        (config.loss.adversarial, config.warmup) = (0.02, 100);
        config.adversary = toml::from_str("from = 0.25\ngame = \"hinge\"").unwrap();
        assert_eq!(config.adversary.channels, Adversary::default().channels);
        config.check().unwrap();
        assert_eq!(toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap(), config);
        let first = config.steps / 4;
        assert_eq!(config.adversarial_at(first - 1), None);
        let weight = |since| config.adversarial_at(first + since).unwrap() / 0.02;
        assert!((weight(0) - 0.01).abs() < 1e-6 && (weight(49) - 0.5).abs() < 1e-6);
        assert_eq!((weight(99), weight(100_000)), (1.0, 1.0));
    }

    #[test]
    fn a_student_from_random_weights_draws_before_it_holds_still() {
        let style = include_str!("../../configs/style.toml");
        let style: toml::Table = toml::from_str(style).unwrap();
        let mut style = style["distill"].as_table().unwrap().clone();
        style.insert("seed".into(), 1.into());
        let mut config: Config = style.try_into().unwrap();
        (config.steps, config.warmup, config.loss.flicker) = (1000, 100, 0.02);
        assert!((0..=500).all(|step| config.flicker_at(step) == 0.0));
        assert!((config.flicker_at(550) - 0.01).abs() < 1e-6);
        assert_eq!((config.flicker_at(600), config.flicker_at(999)), (0.02, 0.02));
        config.loss.flicker_from = 0.0;
        assert!((config.flicker_at(50) - 0.01).abs() < 1e-6);
        let text = toml::to_string(&config).unwrap();
        assert!(!text.contains("flicker_from"), "an older configuration's checksum would change: {text}");
    }

    #[test]
    fn only_evaluations_with_fake_quant_exhaust_patience() {
        let mut config: Config = toml::from_str(SHIPPED).unwrap();
        let from = config.quantize_step();
        config.patience = 3;
        assert!(config.is_exhausted(from + 1, 3) && !config.is_exhausted(from + 1, 2));
        assert!(!config.is_exhausted(from, 9), "what came before was measured without fake-quant");
        config.patience = 0;
        assert!(!config.is_exhausted(from + 1, 9));
    }
}
