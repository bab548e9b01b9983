//! What is to be trained, on what, and where to; what it is made from.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Result, ensure};
use burn::tensor::backend::AutodiffBackend;
use indicatif::ProgressBar;
use log::warn;

use super::batches::Material;
use super::checkpoint::Origin;
use super::config::Config;
use super::model::Model;
use super::state::Rollback;
use crate::data::training_set::LoadedPair;
use crate::data::{read_file, sha256};
use crate::device::TrainBackend;
use crate::net::vgg::Vgg;

/// The file that a run is for.
pub const TEACHER: &str = "teacher.safetensors";

/// A training to run or to go on with.
#[derive(Debug)]
pub struct Teacher {
    /// What to do.
    pub config: Config,
    /// What to train on.
    pub material: Material,
    /// What to measure on.
    pub validation: Vec<LoadedPair>,
    /// Checksum of the pairs' index.
    pub pairs_sha256: Option<String>,
    /// Checksum of the data set.
    pub dataset_sha256: Option<String>,
    /// Checksums of style pictures that were named one by one.
    pub references_sha256: Vec<String>,
    /// The run's folder.
    pub out: PathBuf,
    /// VGG weights; without them features are not compared.
    pub vgg: Option<PathBuf>,
    /// A teacher to begin as, of the configured form; without, the generator begins with random weights.
    pub base: Option<PathBuf>,
    /// How many devices of the back end train together; 1 unless it was built with the feature `collective`.
    pub devices: usize,
    /// After how long, between evaluations, it is saved.
    pub checkpoint_every: Duration,
    /// Set from outside to end at the next step, saving first.
    pub stop: Arc<AtomicBool>,
    /// Shown while it runs.
    pub progress: ProgressBar,
}

/// How a training ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Steps taken.
    pub step: u64,
    /// Whether all steps were taken (or none helped any more).
    pub finished: bool,
    /// Seconds spent, those before interruptions counted in.
    pub seconds: f64,
    /// How often it went back to an earlier checkpoint.
    pub rollbacks: Vec<Rollback>,
    /// The loss on the validation split when it was last measured.
    pub validation: Option<f64>,
    /// Where the teacher lies, if it was measured at all.
    pub teacher: Option<PathBuf>,
}

/// The features to train by and, in 32 bits, to measure by.
pub(super) struct Eyes<B: TrainBackend> {
    pub(super) train: Vgg<B>,
    pub(super) measure: Vgg<<B as AutodiffBackend>::InnerBackend>,
}

impl Teacher {
    /// Refuses what cannot be trained, in a sentence.
    pub(super) fn check(&self, material: &Material) -> Result<()> {
        let config = &self.config;
        ensure!(!material.pairs.is_empty(), "there are no photos to train on: give --pairs or a --dataset with photos");
        ensure!(
            self.validation.len() > 1,
            "there are fewer than two photos to measure on: paint or prepare more of them, or name some with --hold-out"
        );
        ensure!(
            material.painted || (config.loss.structure == 0.0 && config.loss.painted == 0.0),
            "'structure' and 'painted' compare with painted pictures: give --pairs, or set both to 0"
        );
        ensure!(
            material.painted || !material.art.is_empty() || !config.wants_real(config.warm.steps),
            "there is nothing for the adversary to take for real: give --pairs or a --dataset with art"
        );
        ensure!(
            !config.generator.reference || !material.references.is_empty(),
            "style by reference wants style pictures: give --reference, or a --dataset with art"
        );
        ensure!(
            !config.generator.reference || config.loss.want_style(),
            "no loss asks for the style of the references: give 'gram' or 'statistics' a weight above 0"
        );
        Ok(())
    }

    /// The features, where they are compared.
    pub(super) fn eyes<B: TrainBackend>(&self, device: &B::Device) -> Result<Option<Eyes<B>>> {
        let Some(path) = &self.vgg else {
            if self.config.loss.want_features() || self.config.warm.features > 0.0 {
                warn!(
                    "no VGG weights were given: features are not compared, though the configuration has weights for them"
                );
            }
            return Ok(None);
        };
        let train = Vgg::load(path, self.config.half, device)?;
        Ok(Some(Eyes { train, measure: Vgg::load(path, false, device)? }))
    }

    /// The teacher that it begins as, where one was named.
    ///
    /// # Errors
    /// When it cannot be read, or is of another form than the configuration says.
    pub(super) fn base<B: TrainBackend>(&self, statistics: usize, device: &B::Device) -> Result<Option<Model<B>>> {
        let Some(path) = &self.base else { return Ok(None) };
        let model = Model::load(path, device)?;
        ensure!(
            model.about.generator == self.config.generator && model.about.statistics == statistics,
            "{} holds a teacher of another form than the configuration's [generator]: {:?}",
            path.display(),
            model.about.generator
        );
        Ok(Some(model))
    }

    /// What this run is made from.
    pub(super) fn origin(&self) -> Result<Origin> {
        let of = |path: &Option<PathBuf>| -> Result<Option<String>> {
            path.as_ref().map(|path| Ok(sha256(&read_file(path)?))).transpose()
        };
        Ok(Origin {
            config: sha256(toml::to_string(&self.config)?.as_bytes()),
            pairs: self.pairs_sha256.clone(),
            dataset: self.dataset_sha256.clone(),
            references: self.references_sha256.clone(),
            vgg: of(&self.vgg)?,
            base: of(&self.base)?,
        })
    }
}
