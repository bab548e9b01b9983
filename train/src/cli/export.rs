//! `nijigen-train export`: trained weights to a style.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use image::RgbImage;
use nijigen::Error;
use nijigen::style::{Card, Teacher};

use super::output;
use crate::data::{photos, read_file, read_text, sha256, write_whole};
use crate::device::{Device, default_device};
use crate::export::{Export, export};
use crate::{teacher, weights};

/// Options of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  nijigen-train export --weights run/weights.safetensors --name anime --card train/cards/anime.toml \\
      --photo photos/a.jpg --photo photos/b.jpg --python python3 -o models")]
pub struct Args {
    /// Weights that `distill` wrote
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The style's name
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What the card says beyond what the weights tell: description, licence, data, device (TOML)
    #[arg(long, value_name = "FILE")]
    card: PathBuf,
    /// A photo on which all runtimes must agree (repeatable); the first becomes the thumbnail
    #[arg(long = "photo", required = true, value_name = "FILE")]
    photos: Vec<PathBuf>,
    /// Longer side to which photos are reduced (8 to 4096); what is beyond a multiple of 8 is cut off
    #[arg(long, value_name = "PIXELS", default_value_t = 512, value_parser = clap::value_parser!(u32).range(8..=4096))]
    max_side: u32,
    /// Write NAME.float.onnx as well, for other runtimes' own quantizers
    #[arg(long)]
    float: bool,
    /// The run of the teacher that it was distilled from: the card tells of it, its curves are put beside
    /// (NAME-teacher.png)
    #[arg(long, value_name = "RUN")]
    teacher: Option<PathBuf>,
    /// A Python that has onnxruntime and numpy, to check against it as well
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// What computes in Burn
    #[arg(long, value_enum, default_value_t = default_device())]
    device: Device,
    /// Folder for NAME.onnx, NAME.toml and NAME.jpg
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
}

/// What is said where there is no `--python`.
pub(super) const WITHOUT_PYTHON: &str = "no --python was given: agreement with onnxruntime is not checked";

/// Runs the command.
///
/// # Errors
/// When an input cannot be read, a runtime disagrees, or the output cannot be written.
pub fn run(args: &Args) -> Result<()> {
    check_name(&args.name)?;
    let weights = weights::load(&args.weights)?;
    let weights_sha256 = sha256(&read_file(&args.weights)?);
    let text = read_text(&args.card)?;
    let mut card = Card::parse(&text).with_context(|| format!("in {}", args.card.display()))?;
    let curves_name = format!("{}-teacher.png", args.name);
    let curves = match &args.teacher {
        Some(run) => {
            card.teacher = Some(Teacher { curves: Some(curves_name.clone()), ..teacher::record(run)? });
            Some(read_file(&run.join(teacher::CURVES))?)
        }
        None => None,
    };
    let mut pictures = Vec::new();
    for path in &args.photos {
        pictures.push((path.clone(), photo(path, args.max_side)?));
    }
    if args.python.is_none() {
        log::warn!("{WITHOUT_PYTHON}");
    }
    let agreements = export(&Export {
        weights: &weights,
        weights_sha256,
        name: &args.name,
        folder: &args.out,
        card,
        photos: &pictures,
        float: args.float,
        python: args.python.as_deref(),
        device: args.device,
    })?;
    if let Some(curves) = curves {
        write_whole(&args.out.join(curves_name), &curves)?;
    }
    for (runtime, agreement) in agreements {
        output::line(&format!("{runtime} against the reference: {agreement}"))?;
    }
    output::line(&args.out.join(format!("{}.onnx", args.name)).display().to_string())
}

/// Refuses what cannot be the name of a style or, without its extension, of a file.
pub(super) fn check_name(name: &str) -> Result<()> {
    let why = match nijigen::style::check_name(name) {
        // Endings of files, and mixtures of styles (`a:0.6+b:0.4`), are told by these.
        Ok(()) if name.contains(['.', ':', '+']) => {
            format!("the name {name:?} holds a dot, a colon or a plus; give the style another one")
        }
        Ok(()) => return Ok(()),
        Err(why) => why,
    };
    Err(Error::Usage(why).into())
}

/// A photo as runtimes are compared on: with a longer side of at most `max_side`, its sides multiples of 8.
pub(super) fn photo(path: &Path, max_side: u32) -> Result<RgbImage> {
    let photo = photos::decode(&read_file(path)?).with_context(|| format!("{} is no photo", path.display()))?;
    let photo = photos::reduced(&photo, max_side, 1.0);
    let (width, height) = (photo.width() / 8 * 8, photo.height() / 8 * 8);
    if width == 0 || height == 0 {
        bail!("{} is too small to compare runtimes on: it must have 8 pixels each way", path.display());
    }
    Ok(image::imageops::crop_imm(&photo, 0, 0, width, height).to_image())
}
