//! What a teacher's training is told, as a TOML file.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::data::augment::Augment;
use crate::data::batches::Sampling;
use crate::data::{parse_toml, read_text};
use crate::game::Game;
use crate::net::patch_discriminator::DiscriminatorShape;
use crate::net::unet::{GeneratorShape, MULTIPLE};

/// Largest crop, pixels, and most crops in a step: beyond them a step wants more memory than machines have.
const MAX_CROP: u32 = 1024;
const MAX_BATCH: usize = 256;
/// The most parameters of all discriminators together.
const MOST_JUDGING: usize = 700_000;
/// Largest weight of a loss; White-box Cartoonization's total variation has 10,000.
const MAX_WEIGHT: f64 = 1e6;

/// A training of a teacher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seed of weights and batches.
    pub seed: u64,
    /// Training steps, those of the warm start counted in.
    pub steps: u64,
    /// Crops per step.
    pub batch: usize,
    /// Side of a crop, pixels, a multiple of 8.
    pub crop: u32,
    /// Compute VGG's features in the back end's 16-bit format, where it has one.
    pub half: bool,
    /// Largest norm of any parameter's gradient.
    pub clip: f32,
    /// Decay of the averaged weights, which are the teacher that is kept.
    pub average: f32,
    /// Steps between evaluations; each writes the curves, a sheet and a checkpoint.
    pub evaluate_every: u64,
    /// Pictures measured at each evaluation, the same ones each time.
    pub evaluate_pictures: usize,
    /// Evaluations after the warm start without a lower loss on the validation split after which training stops; what
    /// is kept is then the best of them. 0: never, and the last is kept.
    pub patience: u32,
    /// How often a crop lies around a face.
    pub around_face: f32,
    /// Weight of a small face's pixels where pictures are compared with painted ones.
    pub face_weight: f32,
    /// Steps between two at which features are compared, which takes longer than all else; their losses' weights are
    /// raised by as much. 1 is not written, so that configurations from before this was asked are the same.
    #[serde(default = "each", skip_serializing_if = "is_each")]
    pub features_every: u64,
    /// The generator.
    pub generator: GeneratorShape,
    /// Each discriminator.
    pub discriminator: DiscriminatorShape,
    /// The warm start.
    pub warm: Warm,
    /// The adversarial part.
    pub adversary: Adversary,
    /// Weights of the losses.
    pub loss: Losses,
    /// What counts as a collapse.
    pub collapse: Limits,
    /// A webcam's faults.
    pub augment: Augment,
}

fn each() -> u64 {
    1
}

fn is_each(steps: &u64) -> bool {
    *steps == 1
}

/// The warm start: the painted picture (without painted pairs: the photo) by L1 and features, with no adversary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warm {
    /// Its steps.
    pub steps: u64,
    /// Its highest learning rate; it rises over `rise` steps and falls along a cosine to a tenth.
    pub rate: f64,
    /// Steps until the highest rate.
    pub rise: u64,
    /// Weight of VGG's features beside the L1's, which is 1.
    pub features: f32,
}

/// The adversarial part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adversary {
    /// The loss of generator and discriminator.
    pub game: Game,
    /// The generator's learning rate.
    pub generator_rate: f64,
    /// The discriminators' learning rate.
    pub discriminator_rate: f64,
    /// Steps over which the adversaries' weights in the generator's loss rise: at first they know nothing.
    pub rise: u64,
    /// What is taken from 1 and added to 0 in the discriminator's labels (0.1 gives 0.9 and 0.1); `hinge` has no labels.
    pub label_smoothing: f32,
    /// Share of the real side that painted pictures have, where there is art as well.
    pub painted_share: f32,
    /// Weight, in the discriminator's loss, of real pictures with their edges smoothed, which it must refuse (AnimeGAN).
    pub smoothed: f32,
}

/// Weights of the losses; what has weight 0 is not computed. Values of published methods: White-box Cartoonization has
/// total variation 10,000, surface 0.1, texture 1, structure 200, content 200; AnimeGANv2's Paprika has adversarial 300,
/// content 2, Gram 0.6, colour 50, total variation 0.1 (each by its own scale of features).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Losses {
    /// The adversary that sees the picture in colour.
    pub adversarial: f32,
    /// The adversary that sees it in a randomly weighted grey.
    pub texture: f32,
    /// The adversary that sees it through a guided filter.
    pub surface: f32,
    /// VGG's relu3_1 of photo and output: their mean difference, with a reference its mean square.
    pub content: f32,
    /// VGG's relu3_1 of painted picture and output.
    pub structure: f32,
    /// L1 to the painted picture.
    pub painted: f32,
    /// Photo and output in YUV: L1 on Y, Huber on U and V.
    pub colour: f32,
    /// Gram matrices of relu3_1 of output and style.
    pub gram: f32,
    /// Means and deviations of all three feature maps of output and style.
    pub statistics: f32,
    /// Squared differences of neighbours.
    pub total_variation: f32,
}

/// What counts as a collapse, and what is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Evaluations in a row at which the accuracy must be stuck.
    pub evaluations: u32,
    /// From this accuracy on, on real and on fake, the discriminator has won.
    pub won: f64,
    /// Within this of 0.5, over real and fake, it has lost.
    pub lost: f64,
    /// The least share of the photos' diversity that the outputs keep.
    pub diversity: f64,
    /// How often training goes back before it gives up.
    pub rollbacks: u32,
}

impl Losses {
    /// Whether any of them wants VGG's features.
    pub fn want_features(&self) -> bool {
        [self.content, self.structure, self.gram, self.statistics].iter().any(|&weight| weight > 0.0)
    }

    /// Whether any of them wants a picture of the style.
    pub fn want_style(&self) -> bool {
        self.gram > 0.0 || self.statistics > 0.0
    }

    /// Weights of the three adversaries: colour, texture, surface.
    pub fn adversaries(&self) -> [f32; 3] {
        [self.adversarial, self.texture, self.surface]
    }
}

impl Config {
    /// Whether the discriminators are judged after `step` steps: they begin with no verdict at all, so not before the
    /// generator feels them fully.
    pub fn judges_at(&self, step: u64) -> bool {
        step > self.warm.steps + self.adversary.rise
    }

    /// Whether so few evaluations judge the discriminators that a collapse of their accuracy is never noticed.
    pub fn is_blind_to_collapse(&self) -> bool {
        let unjudged = (self.warm.steps + self.adversary.rise) / self.evaluate_every;
        // The last step is evaluated too, whatever its number.
        let judged = self.steps.div_ceil(self.evaluate_every).saturating_sub(unjudged);
        self.is_adversarial(self.steps) && judged < u64::from(self.collapse.evaluations)
    }

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
            (MULTIPLE..=MAX_CROP).contains(&self.crop) && self.crop.is_multiple_of(MULTIPLE),
            "'crop' is {}, it must be a multiple of {MULTIPLE} from {MULTIPLE} to {MAX_CROP}",
            self.crop
        );
        ensure!((1..=MAX_BATCH).contains(&self.batch), "'batch' is {}, it must be 1 to {MAX_BATCH}", self.batch);
        ensure!(self.steps > 0 && self.evaluate_every > 0, "'steps' and 'evaluate_every' must be at least 1");
        ensure!(self.features_every > 0, "'features_every' must be at least 1");
        ensure!(
            self.features_every == 1 || self.loss.painted > 0.0,
            "'features_every' is {}, so that there are steps without features: 'painted' must be above 0 to train by",
            self.features_every
        );
        ensure!(self.evaluate_pictures > 1, "'evaluate_pictures' must be at least 2: diversity is between two");
        ensure!(self.average < 1.0, "'average' must be below 1");
        ensure!(self.clip > 0.0, "'clip' must be above 0");
        within("clip", self.clip.into(), 0.0, 1e6)?;
        within("average", self.average.into(), 0.0, 1.0)?;
        within("around_face", self.around_face.into(), 0.0, 1.0)?;
        within("face_weight", self.face_weight.into(), 0.0, 1e3)?;
        for (name, rate) in [
            ("warm.rate", self.warm.rate),
            ("adversary.generator_rate", self.adversary.generator_rate),
            ("adversary.discriminator_rate", self.adversary.discriminator_rate),
        ] {
            ensure!(rate > 0.0, "'{name}' must be above 0");
            within(name, rate, 0.0, 1.0)?;
        }
        within("warm.features", self.warm.features.into(), 0.0, MAX_WEIGHT)?;
        within("adversary.label_smoothing", self.adversary.label_smoothing.into(), 0.0, 0.49)?;
        within("adversary.painted_share", self.adversary.painted_share.into(), 0.0, 1.0)?;
        within("adversary.smoothed", self.adversary.smoothed.into(), 0.0, MAX_WEIGHT)?;
        for (name, weight) in [
            ("adversarial", self.loss.adversarial),
            ("texture", self.loss.texture),
            ("surface", self.loss.surface),
            ("content", self.loss.content),
            ("structure", self.loss.structure),
            ("painted", self.loss.painted),
            ("colour", self.loss.colour),
            ("gram", self.loss.gram),
            ("statistics", self.loss.statistics),
            ("total_variation", self.loss.total_variation),
        ] {
            within(name, weight.into(), 0.0, MAX_WEIGHT)?;
        }
        ensure!(self.collapse.evaluations > 0, "'collapse.evaluations' must be at least 1");
        within("collapse.won", self.collapse.won, 0.5, 1.0)?;
        within("collapse.lost", self.collapse.lost, 0.0, 0.5)?;
        within("collapse.diversity", self.collapse.diversity, 0.0, 1.0)?;
        self.generator.check()?;
        self.check_discriminator()?;
        match self.augment.fault() {
            Some(fault) => bail!("{fault}"),
            None => Ok(()),
        }
    }

    fn check_discriminator(&self) -> Result<()> {
        let shape = &self.discriminator;
        ensure!(
            (1..=6).contains(&shape.channels.len()) && shape.channels.iter().all(|c| (1..=1024).contains(c)),
            "the discriminator has 1 to 6 layers of 1 to 1024 'channels'"
        );
        ensure!((0.0..1.0).contains(&shape.dropout), "the discriminator's 'dropout' lies within 0..1, below 1");
        ensure!(
            self.crop as usize >= shape.least_side(),
            "'crop' is {}, the discriminator's layers want {} pixels",
            self.crop,
            shape.least_side()
        );
        let inputs = [3, 1, 3];
        let parameters: usize = self
            .loss
            .adversaries()
            .iter()
            .zip(inputs)
            .filter(|(weight, _)| **weight > 0.0)
            .map(|(_, input)| shape.parameters(input))
            .sum();
        ensure!(
            parameters <= MOST_JUDGING,
            "the discriminators have {parameters} parameters, at most {MOST_JUDGING} are wanted: lower their 'channels'"
        );
        Ok(())
    }

    /// Whether the step is adversarial.
    pub fn is_adversarial(&self, step: u64) -> bool {
        step >= self.warm.steps && self.loss.adversaries().iter().any(|&weight| weight > 0.0)
    }

    /// Whether the step looks at real pictures of the style.
    pub fn wants_real(&self, step: u64) -> bool {
        self.is_adversarial(step) || (step >= self.warm.steps && self.loss.want_style() && !self.generator.reference)
    }

    /// The generator's learning rate at `step`, before what rollbacks take from it.
    pub fn generator_rate(&self, step: u64) -> f64 {
        if step >= self.warm.steps {
            return self.adversary.generator_rate;
        }
        let risen = ((step + 1) as f64 / self.warm.rise.max(1) as f64).min(1.0);
        let progress = step as f64 / self.warm.steps as f64;
        self.warm.rate * risen * (0.1 + 0.45 * (1.0 + (std::f64::consts::PI * progress).cos()))
    }

    /// How much of the adversaries' weights counts at `step`.
    pub fn risen(&self, step: u64) -> f32 {
        ((step.saturating_sub(self.warm.steps) + 1) as f32 / self.adversary.rise.max(1) as f32).min(1.0)
    }

    /// How crops of photos are drawn.
    pub fn sampling(&self) -> Sampling {
        Sampling {
            batch: self.batch,
            twins: 0,
            crop: self.crop,
            align: 1,
            mask: false,
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

    const SHIPPED: [&str; 4] = [
        include_str!("../../configs/teacher.toml"),
        include_str!("../../configs/teacher-gpu.toml"),
        include_str!("../../configs/teacher-reference.toml"),
        include_str!("../../configs/teacher-further.toml"),
    ];

    /// The first shipped configuration with the first line of that name replaced by another.
    fn with(name: &str, value: &str) -> Result<()> {
        let line = SHIPPED[0].lines().find(|line| line.split(" = ").next() == Some(name)).unwrap();
        toml::from_str::<Config>(&SHIPPED[0].replacen(line, &format!("{name} = {value}"), 1))?.check()
    }

    #[test]
    fn the_shipped_configurations_are_sound() {
        for text in SHIPPED {
            let config = toml::from_str::<Config>(text).unwrap();
            config.check().unwrap();
            assert!(!config.is_blind_to_collapse(), "{text}");
        }
        let blind = Config { evaluate_every: 2000, ..toml::from_str(SHIPPED[0]).unwrap() };
        assert!(blind.is_blind_to_collapse());
        with("steps", "1").unwrap();
    }

    #[test]
    fn a_value_that_makes_no_sense_is_named() {
        for (name, values) in [
            ("batch", ["0", "100000"]),
            ("crop", ["100", "1000000"]),
            ("rate", ["0.0", "nan"]),
            ("generator_rate", ["0.0", "2.0"]),
            ("clip", ["0.0", "inf"]),
            ("average", ["1.0", "-0.5"]),
            ("label_smoothing", ["0.5", "-0.1"]),
            ("painted_share", ["1.5", "nan"]),
            ("texture", ["-1.0", "nan"]),
            ("diversity", ["-0.1", "nan"]),
            ("dropout", ["1.0", "-0.1"]),
            ("blocks", ["0", "1000"]),
            ("evaluate_pictures", ["0", "1"]),
            ("jpeg", ["-0.1", "1.1"]),
        ] {
            for value in values {
                let error = format!("{:#}", with(name, value).unwrap_err());
                assert!(error.contains(name), "{name} = {value}: {error}");
            }
        }
        assert!(with("channels", "[100, 200, 300, 400]").unwrap_err().to_string().contains("parameters"));
        assert!(with("game", "\"draughts\"").is_err());
    }

    #[test]
    fn features_may_be_compared_seldom_where_there_is_something_else_to_train_by() {
        let mut config: Config = toml::from_str(SHIPPED[0]).unwrap();
        assert_eq!(config.features_every, 4);
        config.check().unwrap();
        assert_eq!(toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap(), config);
        // What a configuration without it says is what it said before there was such a value.
        config.features_every = 1;
        assert!(!toml::to_string(&config).unwrap().contains("features_every"));
        config.features_every = 4;
        config.loss.painted = 0.0;
        assert!(config.check().unwrap_err().to_string().contains("'painted'"));
    }

    #[test]
    fn the_warm_start_ends_at_its_step_and_the_adversary_comes_slowly() {
        let config: Config = toml::from_str(SHIPPED[0]).unwrap();
        let at = config.warm.steps;
        assert!(!config.is_adversarial(at - 1) && config.is_adversarial(at));
        assert_eq!(config.generator_rate(at), config.adversary.generator_rate);
        assert!(config.generator_rate(config.warm.rise) > config.generator_rate(at - 1));
        assert!(config.risen(at) < 0.1 && config.risen(at + config.adversary.rise) == 1.0);
    }
}
