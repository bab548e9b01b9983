//! `nijigen-train teacher`: photos, painted pairs and art to a generator.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use image::RgbImage;
use nijigen::Error;

use super::devices::Devices;
use super::{output, run_folder};
use crate::data::pairs::{self, Pair, Split};
use crate::data::training_set::{self, LoadedPair};
use crate::data::{photos, read_file, sha256};
use crate::dataset::{Dataset, Item, Kind, Part};
use crate::device::dispatch;
use crate::pace::{CHECKPOINT_EVERY, progress_style};
use crate::teacher::config::Config;
use crate::teacher::{CHECKPOINTS, METRICS, Material, Outcome, Teacher};

/// Longer side to which style pictures are reduced.
const REFERENCE_SIDE: u32 = 512;

/// Options of `teacher`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nijigen-train teacher --dataset set.zip --pairs pairs --config train/configs/teacher.toml --vgg vgg19.npz -o run
  nijigen-train teacher --pairs pairs --reference a.jpg b.jpg --config my.toml --vgg vgg19.npz -o run

With --pairs the photos come from there, and the data set gives the art; without, its photos and frames are used. Run \
again with the same arguments, it goes on where it was.")]
pub struct Args {
    /// Configuration (TOML); train/configs holds examples
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    training: Training,
}

/// What is trained on and where it goes.
#[derive(Debug, clap::Args)]
pub(super) struct Training {
    /// Data set with art (and photos), made by `nijigen-train prepare`
    #[arg(long, value_name = "FILE")]
    pub(super) dataset: Option<PathBuf>,
    /// Folder of painted pairs, made by `nijigen-train paint`: the photos to train on and what they warm up to
    #[arg(long, value_name = "DIR")]
    pub(super) pairs: Option<PathBuf>,
    /// Style pictures: the teacher learns to take its style from a picture beside the photo, also from one that it never
    /// saw
    #[arg(long, value_name = "PICTURE", num_args = 1..)]
    pub(super) reference: Vec<PathBuf>,
    /// Folder of the run: teacher.safetensors, metrics (CSV, PNG), sample sheet, checkpoint
    #[arg(short, long, value_name = "RUN")]
    pub(super) out: PathBuf,
    /// VGG-19 weights up to relu3_1 (.npz); without them features are not compared
    #[arg(long, value_name = "FILE")]
    pub(super) vgg: Option<PathBuf>,
    /// A teacher (teacher.safetensors of another run) to go on from, for instance by a configuration without a warm start
    #[arg(long, value_name = "FILE")]
    pub(super) base: Option<PathBuf>,
    #[command(flatten)]
    pub(super) on: Devices,
}

/// Runs the subcommand.
///
/// # Errors
/// When an input cannot be read, the output cannot be written, training fails, or Ctrl-C came.
pub fn run(args: &Args) -> Result<()> {
    if args.training.dataset.is_none() && args.training.pairs.is_none() {
        return Err(Error::Usage("name something to train on: --pairs, --dataset, or both".into()).into());
    }
    let outcome = train(Config::load(&args.config)?, &args.training, output::stop_on_ctrl_c()?)?;
    let said = summary(&outcome);
    // So that what is called behind it does not go on with half a training.
    if outcome.finished { output::line(&said) } else { bail!("{said}") }
}

/// Trains until all steps are done or `stop` is set.
pub(super) fn train(mut config: Config, training: &Training, stop: Arc<AtomicBool>) -> Result<Outcome> {
    config.generator.reference |= !training.reference.is_empty();
    if config.is_blind_to_collapse() {
        log::warn!(
            "fewer than {} evaluations ('collapse.evaluations') come once the adversary is fully there: an accuracy that is stuck \
             will not be noticed; lower 'collapse.evaluations' or 'evaluate_every' where that matters",
            config.collapse.evaluations
        );
    }
    let dataset = training.dataset.as_deref().map(Dataset::open).transpose()?;
    let (mut material, validation) = match (&training.pairs, &dataset) {
        (Some(pairs), _) => painted(pairs)?,
        (None, Some(dataset)) => unpainted(dataset)?,
        (None, None) => Default::default(),
    };
    if let Some(dataset) = &dataset {
        material.art = dataset.art(Part::Train)?;
    }
    let mut references_sha256 = Vec::new();
    for path in &training.reference {
        let bytes = read_file(path)?;
        let picture = photos::decode(&bytes).with_context(|| format!("{} is no picture", path.display()))?;
        material.references.push(photos::reduced(&picture, REFERENCE_SIDE, 1.0));
        references_sha256.push(sha256(&bytes));
    }
    if config.generator.reference && training.reference.is_empty() {
        material.references = material.art.iter().map(|art| art.picture.clone()).collect();
    }
    log::info!(
        "{} photos to train on, {} to choose by, {} pictures of art, {} style pictures, seed {}",
        material.pairs.len(),
        validation.len(),
        material.art.len(),
        material.references.len(),
        config.seed
    );
    let _lock = run_folder::enter(&training.out, &[CHECKPOINTS, METRICS])?;
    let progress = output::progress_bar(config.steps).with_style(progress_style());
    let task = Teacher {
        config,
        material,
        validation,
        pairs_sha256: training.pairs.as_deref().map(pairs::index_sha256).transpose()?,
        dataset_sha256: training
            .dataset
            .as_deref()
            .map(|path| read_file(path).map(|bytes| sha256(&bytes)))
            .transpose()?,
        references_sha256,
        out: training.out.clone(),
        vgg: training.vgg.clone(),
        base: training.base.clone(),
        devices: training.on.devices,
        checkpoint_every: CHECKPOINT_EVERY,
        stop,
        progress: progress.clone(),
    };
    let outcome = dispatch(training.on.device, task)?;
    progress.abandon();
    Ok(outcome)
}

/// Where a training ended.
pub(super) fn summary(outcome: &Outcome) -> String {
    let ended = if outcome.finished { "finished" } else { "stopped" };
    let returns = match outcome.rollbacks.len() {
        0 => String::new(),
        count => format!(", after {count} returns to an earlier checkpoint"),
    };
    match &outcome.teacher {
        Some(teacher) => {
            let goes_on = if outcome.finished { "" } else { "; the same command goes on from here" };
            format!("{ended} at step {}{returns}; teacher in {}{goes_on}", outcome.step, teacher.display())
        }
        None => {
            format!("{ended} at step {}, before the first evaluation; the same command goes on from here", outcome.step)
        }
    }
}

fn painted(folder: &Path) -> Result<(Material, Vec<LoadedPair>)> {
    let (pairs, validation) = training_set::load_with_validation(folder)?;
    Ok((Material { pairs, painted: true, ..Material::default() }, validation))
}

/// Photos and frames of a data set, each its own target.
fn unpainted(dataset: &Dataset) -> Result<(Material, Vec<LoadedPair>)> {
    let of = |part| -> Result<Vec<LoadedPair>> {
        let photos = dataset.pictures(Kind::Photo, part)?.into_iter();
        Ok(photos.chain(dataset.pictures(Kind::Frame, part)?).map(|(item, photo)| as_pair(item, photo)).collect())
    };
    let mut validation = of(Part::Validation)?;
    if validation.len() < 2 {
        log::info!("the data set has too little for validation: what is held out is chosen by");
        validation.extend(of(Part::HeldOut)?);
    }
    Ok((Material { pairs: of(Part::Train)?, ..Material::default() }, validation))
}

fn as_pair(item: Item, photo: RgbImage) -> LoadedPair {
    let entry = Pair {
        photo: item.file.clone(),
        target: item.file,
        source: item.source,
        frame: item.frame,
        scale: 1.0,
        width: item.width,
        height: item.height,
        faces: Vec::new(),
        licence: item.licence,
        source_sha256: item.source_sha256,
        recipe: String::new(),
        recipe_sha256: String::new(),
        split: Split::Train,
        mask: None,
        next: None,
    };
    LoadedPair { entry, target: photo.clone(), photo, mask: None, next: None }
}
