//! `nijigen-train style`: photos and art to a style, all steps in one.
//!
//! The run's folder says what it was begun with (`run.toml`) and what is done (`steps.toml`). Each step goes on where it
//! was on its own, and leaves the same whenever it was interrupted, so that the whole does.

mod card;
mod folder;
mod inputs;
mod journal;
mod plan;
mod settings;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};

use self::journal::Journal;
use self::plan::Plan;
use self::work::Work;
use super::output;
use crate::device::{Device, default_device};
use crate::distill::config::StudentName;

/// Options of `style`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nijigen-train style mine --photos photos --art art --vgg vgg19.npz -o run
  nijigen-train style ink --photos photos --clips clips --no-teacher -o run

Run again with the same arguments, it goes on where it was and ends with the same style. RUN/run.toml says what it was \
begun with; other arguments, or other pictures in the folders, are refused.")]
pub struct Args {
    /// The style's name: that of its files, and by which it is chosen
    #[arg(value_name = "NAME")]
    name: String,
    /// Photos (JPEG, PNG, WebP) to train on, or folders of them
    #[arg(long, value_name = "PHOTOS", num_args = 1.., required = true)]
    photos: Vec<PathBuf>,
    /// Pictures of the style, or folders of them, for the teacher's adversary; without them it knows painted pictures alone
    #[arg(long, value_name = "ART", num_args = 1.., conflicts_with = "no_teacher")]
    art: Vec<PathBuf>,
    /// Clips (MKV, MP4, Y4M, …; through ffmpeg) to train on, or folders of them
    #[arg(long, value_name = "CLIPS", num_args = 1..)]
    clips: Vec<PathBuf>,
    /// Folder of the run: what it was begun with, what is done, and what each step leaves; the style is in RUN/style
    #[arg(short, long, value_name = "RUN")]
    out: PathBuf,
    /// By what the targets are painted: a built-in recipe (anime, film, comic, ink, watercolour, oil) or a TOML file
    /// [default: NAME where it is a built-in recipe, else anime]
    #[arg(long, value_name = "NAME|FILE")]
    recipe: Option<String>,
    /// Configuration of all steps (TOML) [default: train/configs/style.toml, which suits a CPU and is compiled in;
    /// style-gpu.toml beside it suits a GPU]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Distil straight from the painted pictures, without a teacher
    #[arg(long)]
    no_teacher: bool,
    /// Size of the student, s, m or l [default: that of the configuration]
    #[arg(long, value_name = "SIZE", value_parser = |size: &str| size.parse::<StudentName>())]
    size: Option<StudentName>,
    /// Weights (.safetensors) that the student starts from instead of random ones; styles of one base can be mixed
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// VGG-19 weights up to relu3_1 (.npz); without them features are not compared
    #[arg(long, value_name = "FILE")]
    vgg: Option<PathBuf>,
    /// A person segmentation model (ONNX, 1x256x256x3 in 0..1): the student learns its mask, and it shows where the head
    /// is where no face is listed
    #[arg(long, value_name = "FILE")]
    person_mask: Option<PathBuf>,
    /// Where the faces are: a CSV of source,frame,x,y,width,height in fractions of the picture
    #[arg(long, value_name = "FILE")]
    faces: Option<PathBuf>,
    /// What the sources stand under: a CSV of beginning-of-name,licence; noted on the card
    #[arg(long, value_name = "FILE")]
    licences: Option<PathBuf>,
    /// Measure on this photo or clip and never train on it: its file name without extension (repeatable). About 6 % of
    /// the photos, two at least, are held out anyway
    #[arg(long, value_name = "NAME")]
    hold_out: Vec<String>,
    /// What the style's card is to say beyond what is known: description, licence, data (TOML)
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
    /// A Python that has onnxruntime and numpy, to check the style against it as well
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// What computes
    #[arg(long, value_enum, default_value_t = default_device())]
    device: Device,
}

/// Runs the subcommand.
///
/// # Errors
/// When an input cannot be used, the folder is of another run or damaged, a step fails, or Ctrl-C came.
pub fn run(args: &Args) -> Result<()> {
    let plan = Plan::new(args)?;
    // Held until the end: two at once would write over each other.
    let _lock = folder::enter(&args.out, &plan.description)?;
    let mut journal = Journal::open(&args.out)?;
    let stop = output::stop_on_ctrl_c()?;
    let steps = plan.steps();
    for (i, &step) in steps.iter().enumerate() {
        let place = format!("step {} of {}, {step}", i + 1, steps.len());
        if journal.is_done(step)? {
            log::info!("{place}: done before");
            continue;
        }
        // What came of what was there before is looked at anew; it is mostly kept.
        journal.forget(&steps[i..])?;
        log::info!("{place}");
        let taken = Work { args, plan: &plan, journal: &journal, stop: Arc::clone(&stop) }.take(step);
        // Before anything else: an error may come from a program that Ctrl-C has ended as well.
        if stop.load(Ordering::Relaxed) {
            taken.err().into_iter().for_each(|error| log::debug!("{step}: {error:#}"));
            bail!("interrupted in {place}; what is done is saved, and the same command goes on from here");
        }
        journal.record(step, taken?)?;
    }
    let style = args.out.join("style").join(format!("{}.onnx", args.name));
    output::line(&format!("the style is in {}; use it with:", style.display()))?;
    output::line(&format!("nijigen run --style {}", style.display()))
}
