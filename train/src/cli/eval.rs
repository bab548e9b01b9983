//! `nijigen-train eval`: what a style is worth, in numbers and on a sheet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::RgbImage;
use nijigen::config::DEFAULT_STABILITY;
use nijigen::engine::{Generator, Options, Stated, load};
use nijigen::style::{Card, Stylizer};

use super::{eval_all, output};
use crate::data::pairs::{LargestScales, Pair, Split, read_index};
use crate::data::photos::Sources;
use crate::data::{read_file, read_text, training_set, write_whole};
use crate::device::{Device, default_device, dispatch};
use crate::eval::features::MarkedFrame;
use crate::eval::live::LivePicture;
use crate::eval::{ClipFlicker, Evaluation, Picture, Report, features, restoration, stand_in};
use crate::{sheet, weights};

/// Options of `eval`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nijigen-train eval --style models/anime.onnx --pairs pairs --card models/anime.toml \\
      --weights run/weights.safetensors --vgg vgg19.npz --clip clips/book.mkv
  nijigen-train eval --all --models models --pairs all-pairs --vgg vgg19.npz \\
      --clip clips/book.mkv --marked train/data/eyes-and-mouths.csv --marked-clip clips")]
pub struct Args {
    /// The style's ONNX file
    #[arg(long, value_name = "FILE", required_unless_present = "all")]
    style: Option<PathBuf>,
    /// Painted pairs; the held-out ones are measured on. With --all a folder that holds a folder of pairs for each style,
    /// named like it (for `anime-s` and `anime-l` that of `anime`); where a teacher repainted them, NAME-painted is what
    /// the painter made, to which it is compared
    #[arg(long, value_name = "DIR")]
    pairs: PathBuf,
    /// The float weights that the style was made from, to see what quantization cost and what it knows of persons
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    weights: Option<PathBuf>,
    /// VGG-19 weights up to relu3_1 (.npz), for the feature distance
    #[arg(long, value_name = "FILE")]
    vgg: Option<PathBuf>,
    /// A clip of which the first 48 frames are read and flicker is measured where the scene stands, or a folder of clips
    /// (repeatable; through ffmpeg)
    #[arg(long = "clip", value_name = "FILE|DIR")]
    clips: Vec<PathBuf>,
    /// Eyes and mouths marked in a frame of the clips: a CSV of source,frame,feature,x,y,width,height in fractions of the
    /// picture; it is measured what is left of them, in the clips of --clip and of --marked-clip
    #[arg(long, value_name = "FILE")]
    marked: Option<PathBuf>,
    /// A further clip of which only the marked frame is looked at, or a folder of clips (repeatable)
    #[arg(long = "marked-clip", value_name = "FILE|DIR", requires = "marked")]
    marked_clips: Vec<PathBuf>,
    /// Write photo, target and output side by side here (PNG)
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    sheet: Option<PathBuf>,
    /// Measure how the style restores damaged photos; the pairs are those of `paint --recipe restore`
    #[arg(long, conflicts_with_all = ["weights", "vgg", "clips", "marked", "marked_clips"])]
    restore: bool,
    /// Write the numbers into this card
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    card: Option<PathBuf>,
    /// Measure every style in --models that has a card and pairs, write the numbers into the cards, a sheet of pictures
    /// before and after beside each, and one table of all into RESULTS.md
    #[arg(long)]
    all: bool,
    /// The folder of styles, NAME.onnx, NAME.toml and NAME.safetensors
    #[arg(long, value_name = "DIR", default_value = "models", requires = "all")]
    models: PathBuf,
    /// A style (ONNX) to which the others are compared in the table, on the pairs of `anime`
    #[arg(long, value_name = "FILE", requires = "all")]
    prototype: Option<PathBuf>,
    /// benches/RESULTS.md, whose estimate of whole frames on a Raspberry Pi is repeated in RESULTS.md
    #[arg(long, value_name = "FILE", requires = "all")]
    pi_estimate: Option<PathBuf>,
    /// Threads of the engine
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// What computes the float student and the features
    #[arg(long, value_enum, default_value_t = default_device())]
    device: Device,
}

/// Rows of the sheet.
const SHEET_ROWS: usize = 12;

/// Runs the command.
///
/// # Errors
/// When an input cannot be read or the output cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let clips_in = |inputs: &[PathBuf]| anyhow::Ok(Sources::find(inputs, Path::new(""))?.clips);
    let clips = clips_in(&args.clips)?;
    let marked = args.marked.as_deref().map(features::read).transpose()?.unwrap_or_default();
    let mut marked_clips = clips_in(&args.marked_clips)?;
    // What is read for its flicker is not read again.
    marked_clips.retain(|clip| !clips.iter().any(|other| other.file_name() == clip.file_name()));
    let measuring =
        Measuring { vgg: args.vgg.as_deref(), clips, marked, marked_clips, threads: args.threads, device: args.device };
    let Some(style) = args.style.as_deref().filter(|_| !args.all) else {
        return eval_all::run(
            &measuring,
            &args.models,
            &args.pairs,
            args.prototype.as_deref(),
            args.pi_estimate.as_deref(),
        );
    };
    let report = if args.restore {
        measuring.restorer(style, &args.pairs)?
    } else {
        measuring.style(style, args.weights.as_deref(), &args.pairs)?
    };
    // What is to be kept first: the reader of the numbers may go away.
    if let Some(path) = &args.sheet {
        write_sheet(path, &report)?;
    }
    if let Some(path) = &args.card {
        note_on_card(path, &report)?;
    }
    for clip in &report.clips {
        let ClipFlicker { clip, input, output, .. } = clip;
        output::line(&format!("flicker of {}: {output:.4} of 255, its input {input:.4}", clip.display()))?;
    }
    for (name, value) in &report.metrics {
        output::line(&format!("{name:44} {value:.4}"))?;
    }
    Ok(())
}

/// What styles are measured with.
pub(super) struct Measuring<'a> {
    pub(super) vgg: Option<&'a Path>,
    pub(super) clips: Vec<PathBuf>,
    pub(super) marked: BTreeMap<String, MarkedFrame>,
    pub(super) marked_clips: Vec<PathBuf>,
    pub(super) threads: usize,
    pub(super) device: Device,
}

impl Measuring<'_> {
    /// A style as its users run it.
    pub(super) fn generator(&self, style: &Path) -> Result<Box<dyn Generator>> {
        let onnx = read_file(style)?;
        let loaded = load(&onnx, Stated::default(), Options::threads(self.threads))
            .map_err(|error| anyhow::anyhow!("the style {} {error}", style.display()))?;
        Ok(loaded.generator)
    }

    /// Measures a style, which was made from `weights`, on `pairs`.
    pub(super) fn style(&self, style: &Path, weights: Option<&Path>, pairs: &Path) -> Result<Report> {
        let mut generator = self.generator(style)?;
        let mut live = Stylizer::new("live", self.generator(style)?, 1.0);
        live.set_stability(DEFAULT_STABILITY);
        self.report(generator.as_mut(), Some(LivePicture::new(live)), weights, pairs)
    }

    /// Measures what changes nothing.
    pub(super) fn untouched(&self, pairs: &Path) -> Result<Report> {
        self.report(&mut stand_in::untouched(), None, None, pairs)
    }

    /// Measures what a style gives back of damaged photos.
    pub(super) fn restorer(&self, style: &Path, pairs: &Path) -> Result<Report> {
        let held_out = training_set::load(pairs, Split::HeldOut)?;
        restoration::evaluate(&mut Stylizer::off().enhanced_by(self.generator(style)?), &held_out)
    }

    /// Measures a teacher's pictures, those of `taught`, against the painter's, those of `painted`.
    pub(super) fn teacher(&self, painted: &Path, taught: &Path) -> Result<Report> {
        let mut teacher = stand_in::repainted(training_set::load(taught, Split::HeldOut)?);
        let without_clips = Evaluation {
            generator: &mut teacher,
            weights: None,
            held_out: training_set::load(painted, Split::HeldOut)?,
            vgg: self.vgg,
            clips: &[],
            live: None,
            portraits: Vec::new(),
            marked: BTreeMap::new(),
            marked_clips: &[],
        };
        dispatch(self.device, without_clips)
    }

    fn report(
        &self,
        generator: &mut dyn Generator,
        live: Option<LivePicture>,
        weights: Option<&Path>,
        pairs: &Path,
    ) -> Result<Report> {
        let index = read_index(pairs).context("make the pairs with `nijigen-train paint` first")?;
        let largest = LargestScales::of(&index);
        let is_portrait = |entry: &Pair| entry.frame.is_none() && !entry.faces.is_empty() && largest.is_of(entry);
        dispatch(
            self.device,
            Evaluation {
                generator,
                weights: weights.map(weights::load).transpose()?,
                held_out: training_set::load(pairs, Split::HeldOut)?,
                vgg: self.vgg,
                clips: &self.clips,
                live,
                portraits: training_set::load_those(pairs, is_portrait)?,
                marked: self.marked.clone(),
                marked_clips: &self.marked_clips,
            },
        )
    }
}

/// At most `count` of `pictures`, evenly among the sources that they show.
pub(super) fn spread(pictures: &[Picture], count: usize) -> impl Iterator<Item = &Picture> {
    let of_each: Vec<&Picture> = pictures.chunk_by(|a, b| a.source == b.source).map(|of_one| &of_one[0]).collect();
    let (have, count) = (of_each.len(), count.min(of_each.len()));
    (0..count).map(move |i| of_each[i * have / count])
}

/// Writes photo, target and output side by side.
pub(super) fn write_sheet(path: &Path, report: &Report) -> Result<()> {
    sheet::save_png(&sheet::compose(&side_by_side(report, SHEET_ROWS), 384), path)
}

/// Photo, target and output in each of at most `rows` rows.
pub(super) fn side_by_side(report: &Report, rows: usize) -> Vec<Vec<RgbImage>> {
    spread(&report.pictures, rows)
        .map(|Picture { photo, target, output, .. }| vec![photo.clone(), target.clone(), output.clone()])
        .collect()
}

/// Writes what was measured into the card at `path`.
pub(super) fn note_on_card(path: &Path, report: &Report) -> Result<()> {
    change_card(path, |card| card.metrics.extend(report.metrics.clone()))
}

/// Writes what was measured of its teacher, and the name of a sheet beside it that shows it, into the card at `path`.
pub(super) fn note_teacher_on_card(path: &Path, report: &Report, sheet: Option<String>) -> Result<()> {
    change_card(path, |card| {
        let teacher = card.teacher.get_or_insert_default();
        (teacher.metrics, teacher.sheet) = (report.metrics.clone(), sheet);
    })
}

fn change_card(path: &Path, change: impl FnOnce(&mut Card)) -> Result<()> {
    let text = read_text(path)?;
    let mut card = Card::parse(&text).with_context(|| format!("in {}", path.display()))?;
    change(&mut card);
    write_whole(path, card.to_toml()?.as_bytes())
}
