//! Everything a distillation needs to go on exactly where it was, in one file.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::record::{BinBytesRecorder, FullPrecisionSettings, Record, Recorder};
use burn::tensor::backend::Backend;
use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::step::Figures;
use crate::data::sha256;

/// Where training stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps taken.
    pub step: u64,
    /// Step of each layer's stored activation.
    pub activation_scales: Vec<f32>,
    /// The lowest validation L1 since fake-quant began (before it: since the start), of 255; infinite before the first.
    #[serde(with = "bits")]
    pub best: f64,
    /// Evaluations since then.
    pub stale: u32,
    /// Seconds spent.
    pub seconds: f64,
    /// The losses since the last evaluation.
    pub sums: Sums,
    /// What it was made from.
    pub origin: Origin,
    /// See [`crate::weights::Weights::base`].
    pub base: Option<String>,
}

/// Losses added up between two evaluations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Steps added up.
    pub steps: u64,
    /// Pixel loss, of 255.
    #[serde(with = "bits")]
    pub pixel: f64,
    /// Gradient loss, of 255.
    #[serde(with = "bits")]
    pub gradient: f64,
    /// Flicker between twins.
    #[serde(with = "bits")]
    pub flicker: f64,
    /// Loss of the person mask.
    #[serde(with = "bits")]
    pub person_mask: f64,
    /// Steps at which features were compared.
    pub features_steps: u64,
    /// Feature distance.
    #[serde(with = "bits")]
    pub features: f64,
    /// Loss of mixtures.
    #[serde(default, with = "bits")]
    pub mixture: f64,
    /// What came of the adversary.
    #[serde(default)]
    pub adversary: AdversarySums,
}

impl Sums {
    /// Adds the losses of a step.
    pub fn add(&mut self, figures: &Figures) {
        self.steps += 1;
        self.pixel += figures.pixel * 255.0;
        self.gradient += figures.gradient * 255.0;
        self.person_mask += figures.person_mask.unwrap_or(0.0);
        self.flicker += figures.flicker.unwrap_or(0.0);
        self.mixture += figures.mixture.unwrap_or(0.0) * 255.0;
        if let Some(features) = figures.features {
            self.features += features;
            self.features_steps += 1;
        }
        if let Some(contest) = figures.adversary {
            let sums = &mut self.adversary;
            sums.steps += 1;
            sums.adversarial += contest.adversarial;
            sums.discriminator += contest.discriminator;
            sums.accuracy_real += contest.accuracy_real;
            sums.accuracy_fake += contest.accuracy_fake;
        }
    }
}

/// What came of the adversary between two evaluations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct AdversarySums {
    /// Steps added up.
    pub steps: u64,
    /// The student's loss.
    #[serde(with = "bits")]
    pub adversarial: f64,
    /// The discriminator's loss.
    #[serde(with = "bits")]
    pub discriminator: f64,
    /// Share of the targets' patches that were taken for real.
    #[serde(with = "bits")]
    pub accuracy_real: f64,
    /// Share of the student's that were not.
    #[serde(with = "bits")]
    pub accuracy_fake: f64,
}

/// What a run is made from, by checksums: it goes on only from the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The configuration.
    pub config: String,
    /// The pairs' index.
    pub pairs: String,
    /// The VGG weights, if features are compared.
    pub vgg: Option<String>,
    /// The styles that it is to mix with, together.
    #[serde(default)]
    pub mix_with: Option<String>,
}

impl Origin {
    /// What differs from `other`, in words that a user knows it by.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        [
            (self.config != other.config, "another configuration (--config)"),
            (self.pairs != other.pairs, "other pairs (--pairs; they may have been painted again since)"),
            (self.vgg != other.vgg, "other VGG weights, or with --vgg where it is now without or the other way round"),
            (self.mix_with != other.mix_with, "other styles to mix with (--mix-with; their order counts too)"),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }
}

/// An `f64` as its bits: text would lose infinity, and `serde_json` reads the last bit of others inexactly.
pub(crate) mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.to_bits())
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(f64::from_bits(u64::deserialize(deserializer)?))
    }
}

/// A Burn record by its name, as [`to_bytes`] wrote it.
pub type Part = (&'static str, Vec<u8>);

/// A Burn record as bytes, exactly.
pub(crate) fn to_bytes<B: Backend, R: Record<B>>(record: R) -> Result<Vec<u8>> {
    Recorder::<B>::record(&BinBytesRecorder::<FullPrecisionSettings>::default(), record, ())
        .context("cannot serialize a checkpoint")
}

/// What [`to_bytes`] wrote.
pub(crate) fn from_bytes<B: Backend, R: Record<B>>(bytes: &[u8], device: &B::Device) -> Result<R> {
    Recorder::<B>::load(&BinBytesRecorder::<FullPrecisionSettings>::default(), bytes.to_vec(), device)
        .context("cannot read a checkpoint's record")
}

/// Writes a checkpoint beside `path`, then renames.
///
/// # Errors
/// When it cannot be written.
pub fn save(path: &Path, progress: &Progress, parts: Vec<Part>) -> Result<()> {
    let mut metadata = HashMap::from([("progress".to_owned(), serde_json::to_string(progress)?)]);
    for (name, part) in &parts {
        metadata.insert(format!("sha256.{name}"), sha256(part));
    }
    let arrays: Vec<_> = parts.into_iter().map(|(name, part)| (name.to_owned(), vec![part.len()], part)).collect();
    crate::weights::write(path, &arrays, Dtype::U8, metadata)
}

/// A checkpoint that was read.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    /// Where training stood.
    pub progress: Progress,
    parts: HashMap<String, Vec<u8>>,
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or was not made from `origin`.
    pub fn read(path: &Path, origin: &Origin) -> Result<Self> {
        let damaged = || damaged(path);
        let bytes = fs::read(path).with_context(|| format!("cannot read the checkpoint {}", path.display()))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).with_context(damaged)?;
        let metadata = header.metadata().clone().with_context(damaged)?;
        let tensors = SafeTensors::deserialize(&bytes).with_context(damaged)?;
        let progress: Progress =
            serde_json::from_str(metadata.get("progress").with_context(damaged)?).with_context(damaged)?;
        if let Some(what) = progress.origin.difference(origin) {
            bail!(
                "the checkpoint {} was made with {what}: give what it was made with, or another folder",
                path.display()
            );
        }
        let mut parts = HashMap::new();
        for (name, tensor) in tensors.tensors() {
            let part = tensor.data().to_vec();
            if metadata.get(&format!("sha256.{name}")) != Some(&sha256(&part)) {
                bail!("{}: the checksum of '{name}' is wrong", damaged());
            }
            parts.insert(name, part);
        }
        Ok(Self { path: path.to_path_buf(), progress, parts })
    }

    /// A record of it.
    ///
    /// # Errors
    /// When there is none of that name, or another.
    pub fn record<B: Backend, R: Record<B>>(&self, name: &str, device: &B::Device) -> Result<R> {
        let damaged = || damaged(&self.path);
        let part = self.parts.get(name).with_context(|| format!("it has no '{name}'")).with_context(damaged)?;
        from_bytes::<B, R>(part, device).with_context(damaged)
    }
}

fn damaged(path: &Path) -> String {
    format!("the checkpoint {} is damaged or of another version; delete it to start anew", path.display())
}
