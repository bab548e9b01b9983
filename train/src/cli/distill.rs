//! `nijigen-train distill`: painted pairs to a quantized student.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};

use super::devices::Devices;
use super::{output, run_folder};
use crate::data::pairs;
use crate::data::training_set;
use crate::device::dispatch;
use crate::distill::config::Config;
use crate::distill::{Distillation, LOSSES, Outcome, WEIGHTS};
use crate::pace::{CHECKPOINT_EVERY, progress_style};

/// Options of `distill`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  nijigen-train distill --pairs pairs --config train/configs/anime.toml --vgg vgg19.npz -o run"
)]
pub struct Args {
    /// Configuration (TOML); train/configs holds those of the shipped styles
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    training: Training,
}

/// What is trained on and where it goes.
#[derive(Debug, clap::Args)]
pub(super) struct Training {
    /// Folder of painted pairs, made by `nijigen-train paint`
    #[arg(long, value_name = "DIR")]
    pub(super) pairs: PathBuf,
    /// Folder of the run: what it was begun with, checkpoint, best weights, curve (CSV, PNG), sample sheet
    #[arg(short, long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// VGG-19 weights up to relu3_1 (.npz); without them features are not compared
    #[arg(long, value_name = "FILE")]
    pub(super) vgg: Option<PathBuf>,
    /// Weights (.safetensors) to start from instead of random ones, of this size or a smaller one; not read when a run is
    /// gone on with
    #[arg(long, value_name = "FILE")]
    pub(super) base: Option<PathBuf>,
    /// Weights (.safetensors) of a style of the same base with which it is to mix well, by `mixture` in the configuration;
    /// once for each
    #[arg(long, value_name = "FILE")]
    pub(super) mix_with: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) on: Devices,
}

/// Runs the subcommand.
///
/// # Errors
/// When an input cannot be read, the output cannot be written, training fails, or Ctrl-C came.
pub fn run(args: &Args) -> Result<()> {
    let outcome = distill(Config::load(&args.config)?, &args.training, output::stop_on_ctrl_c()?)?;
    let said = summary(&outcome, &args.training.out);
    // So that what is called behind it does not go on with half a training.
    if outcome.finished { output::line(&said) } else { bail!("{said}") }
}

/// Trains until all steps are done or `stop` is set.
pub(super) fn distill(config: Config, training: &Training, stop: Arc<AtomicBool>) -> Result<Outcome> {
    let (train, validation) = training_set::load_with_validation(&training.pairs)?;
    log::info!("{} pairs to train on, {} to choose by, seed {}", train.len(), validation.len(), config.seed);
    let _lock = run_folder::enter(&training.out, &[LOSSES])?;
    let progress = output::progress_bar(config.steps).with_style(progress_style());
    let task = Distillation {
        topology: config.topology(),
        config,
        train,
        validation,
        pairs_sha256: pairs::index_sha256(&training.pairs)?,
        out: training.out.clone(),
        vgg: training.vgg.clone(),
        base: training.base.clone(),
        mix_with: training.mix_with.clone(),
        devices: training.on.devices,
        checkpoint_every: CHECKPOINT_EVERY,
        stop,
        progress: progress.clone(),
    };
    let outcome = dispatch(training.on.device, task)?;
    progress.abandon();
    Ok(outcome)
}

/// Where a training into `out` ended.
pub(super) fn summary(outcome: &Outcome, out: &Path) -> String {
    let Outcome { step, best, finished, .. } = *outcome;
    let measured = || format!("validation L1 {best:.3} of 255; weights in {}", out.join(WEIGHTS).display());
    match (finished, best.is_finite()) {
        (true, _) => format!("finished at step {step}: {}", measured()),
        (false, true) => format!("stopped at step {step}: {}; the same command goes on from here", measured()),
        (false, false) => {
            format!("stopped at step {step}, before the first evaluation; the same command goes on from here")
        }
    }
}
