//! `nijigen-train distill`: painted pairs to a quantized student.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::output;
use crate::data::pairs::{self, Split};
use crate::data::training_set;
use crate::device::{Device, default_device, dispatch};
use crate::distill::Distillation;
use crate::distill::config::Config;

/// Options of `distill`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  nijigen-train distill --pairs pairs --config train/configs/anime.toml --vgg vgg19.npz -o run"
)]
pub struct Args {
    /// Folder of painted pairs, made by `nijigen-train paint`
    #[arg(long, value_name = "DIR")]
    pairs: PathBuf,
    /// Configuration (TOML); train/configs holds those of the shipped styles
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Folder of the run: checkpoint, best weights, curve (CSV, PNG), sample sheet
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// VGG-19 weights up to relu3_1 (.npz); without them features are not compared
    #[arg(long, value_name = "FILE")]
    vgg: Option<PathBuf>,
    /// Weights (.safetensors) to start from instead of random ones; not read when a run is gone on with
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// What computes
    #[arg(long, value_enum, default_value_t = default_device())]
    device: Device,
    /// How many of the back end's devices (GPUs by their indices, from 0 on) share each batch; wants the feature `collective`
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = output::at_least_one)]
    devices: usize,
}

/// Runs the subcommand.
///
/// # Errors
/// When an input cannot be read, the output cannot be written, or training fails.
pub fn run(args: &Args) -> Result<()> {
    let config = Config::load(&args.config)?;
    let train = training_set::load(&args.pairs, Split::Train)?;
    let held_out = training_set::load(&args.pairs, Split::HeldOut)?;
    log::info!("{} pairs to train on, {} held out, seed {}", train.len(), held_out.len(), config.seed);
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot create {}", args.out.display()))?;
    let stop = output::stop_on_ctrl_c()?;
    let progress = output::progress_bar(config.steps).with_style(crate::distill::progress_style());
    let task = Distillation {
        topology: config.topology(),
        config,
        train,
        held_out,
        pairs_sha256: pairs::index_sha256(&args.pairs)?,
        out: args.out.clone(),
        vgg: args.vgg.clone(),
        base: args.base.clone(),
        devices: args.devices,
        stop,
        progress: progress.clone(),
    };
    let outcome = dispatch(args.device, task)?;
    progress.abandon();
    let ended = if outcome.finished { "finished" } else { "stopped" };
    output::line(&if outcome.best.is_finite() {
        let weights = args.out.join("weights.safetensors");
        format!(
            "{ended} at step {}: held-out L1 {:.3} of 255; weights in {}",
            outcome.step,
            outcome.best,
            weights.display()
        )
    } else {
        format!("{ended} at step {}, before the first evaluation; the same command goes on from here", outcome.step)
    })
}
