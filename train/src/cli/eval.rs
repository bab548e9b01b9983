//! `nijigen-train eval`: what a style is worth, in numbers and on a sheet.

use std::path::PathBuf;

use anyhow::{Context, Result};
use nijigen::engine::{Options, Stated, load};
use nijigen::style::Card;

use super::output;
use crate::data::pairs::Split;
use crate::data::{read_file, read_text, training_set, write_whole};
use crate::device::{Device, default_device, dispatch};
use crate::eval::{ClipFlicker, Evaluation, features};
use crate::{sheet, weights};

/// Options of `eval`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  nijigen-train eval --style models/anime.onnx --weights run/weights.safetensors --pairs pairs --vgg vgg19.npz \\
      --clip clips/book.mkv --clip clips/thanks.mkv --sheet sheet.png --card models/anime.toml")]
pub struct Args {
    /// The style's ONNX file
    #[arg(long, value_name = "FILE")]
    style: PathBuf,
    /// Painted pairs; the held-out ones are measured on
    #[arg(long, value_name = "DIR")]
    pairs: PathBuf,
    /// The float weights that the style was made from, to see what quantization cost
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// VGG-19 weights up to relu3_1 (.npz), for the feature distance
    #[arg(long, value_name = "FILE")]
    vgg: Option<PathBuf>,
    /// A clip of which the first 48 frames are read and flicker is measured where the scene stands (repeatable;
    /// through ffmpeg)
    #[arg(long = "clip", value_name = "FILE")]
    clips: Vec<PathBuf>,
    /// Eyes and mouths marked in a frame of the clips: a CSV of source,frame,feature,x,y,width,height in fractions of the
    /// picture; it is measured what is left of them
    #[arg(long, value_name = "FILE")]
    marked: Option<PathBuf>,
    /// Write photo, target and output side by side here (PNG)
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Write the numbers into this card
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
    /// Threads of the engine
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// What computes the float student and the features
    #[arg(long, value_enum, default_value_t = default_device())]
    device: Device,
}

/// Runs the command.
///
/// # Errors
/// When an input cannot be read or the output cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let onnx = read_file(&args.style)?;
    let mut loaded = load(&onnx, Stated::default(), Options::threads(args.threads))
        .map_err(|error| anyhow::anyhow!("the style {} {error}", args.style.display()))?;
    let report = dispatch(
        args.device,
        Evaluation {
            generator: loaded.generator.as_mut(),
            weights: args.weights.as_deref().map(weights::load).transpose()?,
            held_out: training_set::load(&args.pairs, Split::HeldOut)?,
            vgg: args.vgg.as_deref(),
            clips: &args.clips,
            marked: args.marked.as_deref().map(features::read).transpose()?.unwrap_or_default(),
        },
    )?;
    // What is to be kept first: the reader of the numbers may go away.
    if let Some(path) = &args.sheet {
        sheet::save_png(&sheet::compose(&report.rows, 384), path)?;
    }
    if let Some(path) = &args.card {
        let text = read_text(path)?;
        let mut card = Card::parse(&text).with_context(|| format!("in {}", path.display()))?;
        card.metrics.extend(report.metrics.clone());
        write_whole(path, card.to_toml()?.as_bytes())?;
    }
    for clip in &report.clips {
        let ClipFlicker { clip, input, output } = clip;
        output::line(&format!("flicker of {}: {output:.4} of 255, its input {input:.4}", clip.display()))?;
    }
    for (name, value) in &report.metrics {
        output::line(&format!("{name:44} {value:.4}"))?;
    }
    Ok(())
}
