//! `nijigen-train repaint`: painted pairs again, with a teacher's pictures for targets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use image::{DynamicImage, RgbImage};
use indicatif::ProgressBar;
use nijigen::Error;

use super::paint::refuse_other_pairs;
use super::{output, run_folder};
use crate::data::pairs::{Filled, INDEX, Pair, PairWriter, Pictures, read_index};
use crate::data::{photos, read_file, sha256};
use crate::device::{Device, Task, TrainBackend, default_device, dispatch};
use crate::painter::flatten::cleaned;
use crate::teacher::model::{Model, condition, stylize};

/// Options of `repaint`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  nijigen-train repaint --pairs pairs --teacher run/teacher.safetensors -o taught

The photos, masks and faces of PAIRS stay, and what is held out is held out; what OUT holds already of the same teacher \
is not painted again.")]
pub struct Args {
    /// Painted pairs, made by `nijigen-train paint`
    #[arg(long, value_name = "PAIRS")]
    pub(super) pairs: PathBuf,
    /// A teacher, made by `nijigen-train teacher`
    #[arg(long, value_name = "FILE")]
    pub(super) teacher: PathBuf,
    /// A picture to take the style from, for a teacher that was trained with references
    #[arg(long, value_name = "PICTURE")]
    pub(super) reference: Option<PathBuf>,
    /// VGG-19 weights up to relu3_1 (.npz), through which the style picture is read (default: those with which the teacher
    /// was trained, while it and they lie where they lay)
    #[arg(long, value_name = "FILE")]
    pub(super) vgg: Option<PathBuf>,
    /// The folder for the new pairs
    #[arg(short, long, value_name = "OUT")]
    pub(super) output: PathBuf,
    /// What computes
    #[arg(long, value_enum, default_value_t = default_device())]
    pub(super) device: Device,
}

/// What pairs say that a teacher painted.
const RECIPE: &str = "teacher";

struct Repaint<'a> {
    args: &'a Args,
    reference: Option<RgbImage>,
    /// Of the teacher, and of the picture that it takes its style from.
    recipe_sha256: String,
    pairs: Vec<Pair>,
    writer: &'a PairWriter,
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

impl Task for Repaint<'_> {
    type Output = usize;

    fn run<B: TrainBackend>(self, device: B::Device) -> Result<usize> {
        let path = &self.args.teacher;
        // On the back end beneath: nothing is learned here.
        let model = Model::<B::InnerBackend>::load(path, &device)?;
        let style = condition(&model, path, (self.reference.as_ref(), self.args.vgg.as_deref()), &device)?;
        let mut painted = 0;
        for pair in &self.pairs {
            if self.stop.load(Ordering::Relaxed) {
                bail!("interrupted; the same command goes on from here");
            }
            let pair = Pair { recipe: RECIPE.into(), recipe_sha256: self.recipe_sha256.clone(), ..pair.clone() };
            if !self.writer.has(&pair) {
                let picture = |name: &str| open(&self.args.pairs, name);
                let photo = picture(&pair.photo)?.into_rgb8();
                let target = cleaned(&stylize(&model.network, &photo, style.clone(), &device));
                let mask = pair.mask.as_deref().map(picture).transpose()?.map(DynamicImage::into_luma8);
                let next = pair.next.as_deref().map(picture).transpose()?.map(DynamicImage::into_rgb8);
                let pictures = Pictures { painted: Some((&photo, &target)), mask: mask.as_ref(), next: next.as_ref() };
                self.writer.add(&pair, pictures)?;
                painted += 1;
            }
            self.bar.inc(1);
        }
        Ok(painted)
    }
}

fn open(folder: &Path, name: &str) -> Result<DynamicImage> {
    let path = folder.join(name);
    image::open(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Runs the subcommand.
///
/// # Errors
/// When an input cannot be read, the output cannot be written, or Ctrl-C came.
pub fn run(args: &Args) -> Result<()> {
    output::line(&repaint(args, output::stop_on_ctrl_c()?)?)
}

/// Paints until all is done or `stop` is set, when what was painted by then is kept; says what was done.
pub(super) fn repaint(args: &Args, stop: Arc<AtomicBool>) -> Result<String> {
    let pairs = read_index(&args.pairs).context("make the pairs with `nijigen-train paint` first")?;
    let same = args.output.canonicalize().is_ok_and(|to| args.pairs.canonicalize().is_ok_and(|from| from == to));
    if same {
        return Err(Error::Usage("-o is the folder of --pairs: name another one, or they would be lost".into()).into());
    }
    ensure!(!pairs.is_empty(), "{} holds no pairs", args.pairs.display());
    let mut made_of = sha256(&read_file(&args.teacher)?);
    let reference = match &args.reference {
        None => None,
        Some(path) => {
            let bytes = read_file(path)?;
            made_of = sha256(format!("{made_of} {}", sha256(&bytes)).as_bytes());
            Some(photos::decode(&bytes).with_context(|| format!("{} is no picture", path.display()))?)
        }
    };
    let _lock = run_folder::enter(&args.output, &[INDEX])?;
    refuse_other_pairs(&args.output, RECIPE)?;
    let writer = PairWriter::open(&args.output)?;
    let bar = output::progress_bar(pairs.len() as u64);
    let task =
        Repaint { args, reference, recipe_sha256: made_of.clone(), pairs, writer: &writer, bar: bar.clone(), stop };
    let painted = dispatch(args.device, task)?;
    bar.finish_and_clear();
    let Filled { pairs, .. } = writer.finish(&made_of)?;
    let held_out = pairs.iter().filter(|pair| pair.split == crate::data::pairs::Split::HeldOut).count();
    let out = args.output.display();
    Ok(format!("{} pairs in {out} ({held_out} held out), {painted} of them painted now", pairs.len()))
}
