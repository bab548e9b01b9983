//! `nijigen video`: a whole video, every frame.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::options::StyleOptions;
use super::stream::same_file;
use super::{interrupt, is_quiet, say};
use crate::config;
use crate::error::{Error, Result};
use crate::ffmpeg::{self, Encoder};
use crate::output;
use crate::pipeline::rate::Pace;
use crate::pipeline::{self, Keep, Plan, Stop};
use crate::pixels::yuv::Chroma;
use crate::sink::Sink;
use crate::sink::y4m::{Y4mFile, Y4mPipe};
use crate::source::SourceInfo;
use crate::source::file::{self, Kind, LivePipe};
use crate::y4m::Header;

const EXAMPLES: &str = "\
Examples:
  nijigen video holiday.mp4 -o anime.mp4        rotation and sound are kept
  nijigen video clip.mkv -o clip.webm --strength 0.7
  nijigen video clip.y4m -o anime.y4m           needs no ffmpeg
  decoder | nijigen video - -o - | encoder      Y4M through pipes

Files other than Y4M and MJPEG (.mjpg, .mjpeg) are read, and files other than Y4M are written, by the program ffmpeg, \
which must be installed. MJPEG knows no frame rate: it is taken for 30 per second. No frame is dropped. Of a \
damaged video, what ffmpeg can read is written, and the exit status is 1.";

/// Stylize a video file from its first to its last frame
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct VideoArgs {
    /// The video, or - for Y4M or MJPEG on standard input
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// Where to write it; the ending says how: .y4m, or any that ffmpeg knows; - is Y4M on standard output
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    #[command(flatten)]
    style: StyleOptions,
}

/// Stylizes the video.
///
/// # Errors
/// When something cannot be opened, or fails on the way; what was written by then is removed. When the video turns out
/// to be damaged: what could be read of it is kept.
pub fn run(args: &VideoArgs) -> Result<()> {
    let target = Target::of(&args.output)?;
    let reads_stdin = args.input == Path::new("-");
    if !reads_stdin && same_file(&args.input, &args.output) {
        let name = args.output.display();
        return Err(Error::Usage(format!("{name} would be written over itself; give OUT another name")));
    }
    target.check()?;
    let opened = if reads_stdin { file::stdin(LivePipe::No)? } else { file::open(&args.input, LivePipe::No)? };
    let info = opened.source.info().clone();
    let stylizer = args.style.open()?;
    // From here on there may be half-written files, which an interrupt must not leave behind.
    interrupt::watch()?;
    let stop = Stop::default();
    let sink = target.open(&info, &opened.kind)?;
    let damage = opened.damage;
    // All or nothing: half a video is of no use.
    let keep = Keep { when_stopped: false, when_failed: false };
    let plan = Plan {
        source: opened.source,
        stylizer,
        sinks: vec![sink],
        window: None,
        frames: None,
        pace: Pace::default(),
        keep,
        control: None,
    };
    let stats = Arc::new(pipeline::stats_for(&plan));
    let bar = progress(info.frames);
    let result = pipeline::run(plan, &stop, &stats, &mut |stats| {
        bar.set_position(stats.frames());
        if interrupt::requested() {
            stop.request();
        }
    });
    bar.finish_and_clear();
    let summary = result?;
    if summary.stylized == 0 {
        return Err(Error::Input(format!("{} holds no frames; give a whole video", info.name)));
    }
    let name = if args.output == Path::new("-") { "standard output".into() } else { args.output.display().to_string() };
    if let Some(what) = damage.as_ref().and_then(|damage| damage.what()) {
        // What could be read is kept; a script must notice all the same.
        return Err(Error::Input(format!(
            "{} is damaged or its end is missing (ffmpeg: {what}); what could be read of it is in {name} (frames: {}), so \
             copy it again from its source for the rest",
            info.name, summary.stylized
        )));
    }
    if !is_quiet() {
        let frames = if summary.stylized == 1 { "frame" } else { "frames" };
        let (count, seconds, fps) = (summary.stylized, summary.seconds, summary.fps);
        say(&format!("{name}: {count} {frames} in {seconds:.1} s, {fps:.1} per second"));
    }
    Ok(())
}

/// What kind of stream OUT is.
enum Target<'a> {
    Stdout,
    Y4m(&'a Path),
    Video(&'a Path),
}

impl<'a> Target<'a> {
    fn of(path: &'a Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        match path.extension().map(OsStr::to_ascii_lowercase) {
            Some(ending) if ending == "y4m" => Ok(Self::Y4m(path)),
            Some(_) => Ok(Self::Video(path)),
            None => {
                let name = path.display();
                Err(Error::Usage(format!(
                    "OUT '{name}' needs an ending that says its format, {name}.mp4 or {name}.y4m"
                )))
            }
        }
    }

    /// What can be known of it before any work.
    fn check(&self) -> Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::Y4m(path) => output::check_folder(path),
            Self::Video(path) => output::check_folder(path).and_then(|()| ffmpeg::check_ending(path)),
        }
    }

    fn open(&self, info: &SourceInfo, kind: &Kind) -> Result<Box<dyn Sink + Send>> {
        let rate = info.rate.unwrap_or(config::DEFAULT_RATE);
        let original = match kind {
            Kind::Video(original) => Some(&**original),
            Kind::Y4m(_) | Kind::Mjpeg => None,
        };
        if let Self::Video(path) = self {
            return Ok(Box::new(Encoder::create(path, info.size, rate, original)?));
        }
        if original.is_some_and(|original| !original.probe.constant) {
            tracing::warn!(
                "Y4M has one frame rate and {} has several: frames are kept, their times are not",
                info.name
            );
        }
        let header = match kind {
            Kind::Y4m(header) => header.for_output(info.size, Some(rate)),
            Kind::Mjpeg => Header::new(info.size, Some(rate), Chroma::C420),
            Kind::Video(original) => original.y4m_header(info.size, rate),
        };
        Ok(match self {
            Self::Y4m(path) => Box::new(Y4mFile::create(path, header, false)?),
            _ => Box::new(Y4mPipe::new(header)),
        })
    }
}

/// A bar on standard error where that is a terminal; a counter where the number of frames is unknown.
fn progress(frames: Option<u64>) -> ProgressBar {
    let target = if is_quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let template = match frames {
        Some(_) => "{bar:30} {pos}/{len} frames, {per_sec}, {eta} left",
        None => "{spinner} {pos} frames, {per_sec}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(frames, target).with_style(style);
    bar.set_position(0);
    bar
}
