//! `nijigen run`: the live path.

use std::sync::Arc;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::options::{StyleOptions, stability};
use super::stream::{same_file, totals};
use super::{interrupt, is_quiet, print, say};
use crate::config::{self, FrameRate, RunConfig, SinkChoice, SourceChoice, StyleConfig};
use crate::error::{Error, Result};
use crate::ffmpeg::Damage;
use crate::frame::Size;
use crate::host;
use crate::live::{Control, Opener, Settings};
use crate::pipeline::rate::Pace;
use crate::pipeline::stats::Summary;
use crate::pipeline::{self, Keep, Plan, Stop};
use crate::pixels::yuv::Chroma;
use crate::sink::Sink;
use crate::sink::null::Null;
use crate::sink::v4l2::{self, OutputSelector};
use crate::sink::y4m::{Y4mFile, Y4mPipe};
use crate::source::adapt::{Paced, Scaled};
use crate::source::camera::{CameraOpener, CameraSelector, WhichCamera};
use crate::source::file::{self, Kind, LivePipe};
use crate::source::reconnect::{DeviceOpener, Reconnecting};
use crate::source::synthetic::Synthetic;
use crate::source::{Source, SourceInfo};
use crate::style::Registry;
use crate::y4m::Header;

const EXAMPLES: &str = "\
Examples:
  nijigen run                                   the first camera, in a window
  nijigen run --source camera:1 --mirror        another camera, mirrored
  nijigen run --source camera:brio --wait       the one with 'brio' in its name,
                                                once it is there
  nijigen run --source clip.mp4 --style off     play a video as it is
  nijigen run --fps 30 --cpu 50                 hold 30 frames, leave half the machine
  nijigen run --sink anime.y4m --sink window    watch and record
  nijigen run --source synthetic --sink null --frames 300 --stats json
  ffmpeg -i a.mp4 -f yuv4mpegpipe - | nijigen run --source - --sink - | ffplay -
  nijigen run --sink v4l2:/dev/video10          a camera for OBS and browsers
  rpicam-vid -t 0 --codec mjpeg -o - | nijigen run --source -

A camera that is unplugged, falls silent or sends damaged frames is opened again as soon as it can be, be it under \
another number or in another port; a placeholder that says why is shown meanwhile. Chosen by name or by a link \
(camera:/dev/v4l/by-id/…) it is also the same one at the next start.

Where the source is a camera, or a sink is a window or a virtual camera (v4l2), the newest frame counts and late ones \
are dropped. Anywhere else every frame is stylized; frames wait for one another there, and latency_ms of --stats counts \
that too. Esc or q closes the window; Ctrl-C ends any run and completes its files.

With a window or a virtual camera, files and Y4M on standard input are played at their own rate, while MJPEG on standard \
input is taken for a camera's: it is shown as it comes. With live:- whatever comes on standard input is a camera's, and \
for every sink.

A virtual camera is made by: sudo modprobe v4l2loopback video_nr=10 card_label=nijigen exclusive_caps=1 \
(exclusive_caps for Chromium and what is built on it). It keeps its size for as long as nijigen runs; odd sizes lose a \
row or a column. v4l2:/dev/video10,format=YU12 writes YU12 in place of YUYV. Where the device fails, it is tried again \
and everything else goes on.";

/// Stylize a camera, a video or a made-up scene while it runs
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// Where frames come from: a camera (the first, or one by number, a part of its name, device file or link), a video
    /// file, Y4M or MJPEG on standard input (-, or live:- where a camera writes it), or a made-up scene (synthetic); a
    /// file that bears such a name is written ./NAME
    #[arg(long, value_name = "camera[:WHICH]|FILE|[live:]-|synthetic", default_value = "camera",
          value_parser = OsStringValueParser::new().try_map(SourceChoice::try_from))]
    source: SourceChoice,
    /// Where frames go: a window, a virtual camera (v4l2:/dev/videoN), nowhere (null), a Y4M file, or Y4M on standard
    /// output (-); may be given several times
    #[arg(long = "sink", value_name = "window|v4l2:DEVICE|null|FILE|-", default_value = "window",
          value_parser = OsStringValueParser::new().try_map(SinkChoice::try_from))]
    sinks: Vec<SinkChoice>,
    /// Size asked of a camera (which may give another) and made by synthetic (both 640x480 if not given); other sources
    /// are scaled to exactly this
    #[arg(long, value_name = "WxH")]
    size: Option<Size>,
    /// Frames per second: asked of a camera; other sources are played at this rate. Where the newest frame counts, the
    /// style is drawn smaller, and enlarged again, when it takes too long for this; auto holds the source's own rate
    #[arg(long, value_name = "N|auto", default_value_t)]
    fps: FrameRate,
    /// The most processor time that the program may take, in percent of all cores: first fewer frames are drawn, down to 15
    /// per second, then smaller ones
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    cpu: Option<u8>,
    #[command(flatten)]
    style: StyleOptions,
    /// How still the picture is held where the scene is: 0 computes every block of every frame, up to 1 more and more of
    /// what changes little is left as it was [default: 0.5; 0 where a file or a pipe goes elsewhere than into a window]
    #[arg(long, value_name = "0..1", value_parser = stability)]
    stability: Option<f32>,
    /// Wait for a camera that is not there or in use at the start: show a placeholder until it comes
    #[arg(long)]
    wait: bool,
    /// Mirror the picture left to right
    #[arg(long)]
    mirror: bool,
    /// Stop after N stylized frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Print what was measured, at the end: on standard output, or on standard error where a sink is -
    #[arg(long, value_name = "FORMAT")]
    stats: Option<StatsFormat>,
}

/// How statistics are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatsFormat {
    /// One JSON object
    Json,
}

/// What `--stats json` prints.
#[derive(Debug, Serialize)]
struct RunReport {
    #[serde(flatten)]
    summary: Summary,
    source: String,
    size: String,
    style: String,
    engine: &'static str,
    threads: usize,
    version: &'static str,
}

impl RunArgs {
    fn resolve(&self) -> Result<RunConfig> {
        let mut config = RunConfig {
            source: self.source.clone(),
            sinks: self.sinks.clone(),
            size: self.size,
            fps: self.fps.fixed(),
            cpu: self.cpu,
            wait: self.wait,
            mirror: self.mirror,
            frames: self.frames,
            stability: 0.0,
            style: self.style.resolve(),
        };
        // What is converted rather than watched is to be exact.
        let made = config.source == SourceChoice::Synthetic;
        let default = if config.is_live() || made { config::DEFAULT_STABILITY } else { 0.0 };
        config.stability = self.stability.unwrap_or(default);
        check_sinks(&config)?;
        if config.cpu.is_some() && host::cpu_time().is_none() {
            return Err(Error::Usage(
                "--cpu cannot be kept here, since this system does not tell what a program takes; give fewer --threads \
                 instead"
                    .into(),
            ));
        }
        if config.wait && !matches!(config.source, SourceChoice::Camera(_)) {
            return Err(Error::Usage("--wait waits for a camera, and the source is none; leave it out".into()));
        }
        Ok(config)
    }
}

/// Runs until the source ends, the window is closed, or Ctrl-C.
///
/// # Errors
/// When something cannot be opened, or fails on the way.
pub fn run(args: &RunArgs) -> Result<()> {
    let config = args.resolve()?;
    let mut stylizer = args.style.open()?;
    stylizer.set_stability(config.stability);
    let (source, header, damage) = open_source(&config)?;
    let info = source.info().clone();
    let mut report = RunReport {
        summary: pipeline::stats::Stats::new([]).summary(),
        source: info.name.clone(),
        size: info.size.to_string(),
        style: stylizer.name().to_string(),
        engine: stylizer.engine(),
        threads: config.style.engine.threads,
        version: env!("CARGO_PKG_VERSION"),
    };
    // From here on there may be half-written files, which an interrupt must not leave behind.
    interrupt::watch()?;
    let stop = Stop::default();
    let mut sinks: Vec<Box<dyn Sink + Send>> = Vec::new();
    for choice in &config.sinks {
        match choice {
            SinkChoice::Window => {}
            SinkChoice::Null => sinks.push(Box::new(Null)),
            SinkChoice::Stdout => sinks.push(Box::new(Y4mPipe::new(header.clone()))),
            SinkChoice::V4l2(selector) => sinks.push(v4l2::open(selector, info.size, info.rate)?),
            SinkChoice::File(path) => {
                sinks.push(Box::new(Y4mFile::create(path, header.clone(), config.is_live())?));
            }
        }
    }
    let wants_window = config.sinks.contains(&SinkChoice::Window);
    let window = wants_window.then(|| open_window(stylizer.name(), info.size)).transpose()?;
    let keep = Keep { when_stopped: true, when_failed: info.live };
    let pace = Pace { fps: config.fps, cpu: config.cpu };
    let control = Control::new(settings(&config), Some(opener(&config)))?;
    let control = Some(control);
    let plan = Plan { source, stylizer, sinks, window, frames: config.frames, pace, keep, control };
    let stats = Arc::new(pipeline::stats_for(&plan));
    report.summary = pipeline::run(plan, &stop, &stats, &mut |_| {
        if interrupt::requested() {
            stop.request();
        }
    })?;
    let finite = matches!(config.source, SourceChoice::File(_) | SourceChoice::Stdin { .. });
    if report.summary.captured == 0 && finite && !stop.requested() {
        return Err(Error::Input(format!("{} holds no frames; give a whole video", report.source)));
    }
    if let Some(what) = damage.as_ref().and_then(|damage| damage.what()) {
        log::warn!("{} may be damaged; ffmpeg says: {what}", report.source);
    }
    if !is_quiet() {
        say(&totals(&report.summary, config.is_live()));
    }
    match args.stats {
        Some(StatsFormat::Json) => print_report(&report, config.sinks.contains(&SinkChoice::Stdout)),
        None => Ok(()),
    }
}

/// How the run begins.
fn settings(config: &RunConfig) -> Settings {
    let StyleConfig { style, strength, .. } = &config.style;
    let (stability, mirror) = (config.stability, config.mirror);
    Settings { on: true, style: style.clone(), strength: *strength, stability, split: None, mirror }
}

/// Opens another style as the first one was opened.
fn opener(config: &RunConfig) -> Opener {
    let config = config.style.clone();
    Box::new(move |style| {
        let wanted = StyleConfig { style: style.into(), ..config.clone() };
        let (stylizer, notes) = Registry::discover(wanted.folder.as_deref()).stylizer(&wanted)?;
        for note in notes {
            log::warn!("{note}");
        }
        Ok(stylizer)
    })
}

fn print_report(report: &RunReport, stdout_is_taken: bool) -> Result<()> {
    let json = serde_json::to_string_pretty(report).map_err(|e| Error::Tool(format!("no statistics: {e}")))?;
    if stdout_is_taken {
        say(&json);
        return Ok(());
    }
    print(&(json + "\n"))
}

/// Combinations of sinks that make no sense.
fn check_sinks(config: &RunConfig) -> Result<()> {
    for (n, sink) in config.sinks.iter().enumerate() {
        if config.sinks[..n].contains(sink) {
            return Err(Error::Usage("the same sink is given twice; name each once".into()));
        }
        if let SinkChoice::V4l2(output) = sink {
            check_virtual_camera(config, output, &config.sinks[..n])?;
        }
        let SinkChoice::File(path) = sink else { continue };
        if matches!(&config.source, SourceChoice::File(source) if same_file(source, path)) {
            return Err(Error::Usage(format!(
                "{} is the source and a sink; give the sink another name",
                path.display()
            )));
        }
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        if ["mp4", "mkv", "mov", "webm", "avi", "gif", "m4v"].contains(&ending.as_str()) {
            let y4m = path.with_extension("y4m");
            return Err(Error::Usage(format!(
                "a file sink is Y4M, not {ending}: write {} and convert it with ffmpeg, or use `nijigen video`",
                y4m.display()
            )));
        }
    }
    Ok(())
}

/// A virtual camera is written once, and not read from by ourselves.
fn check_virtual_camera(config: &RunConfig, output: &OutputSelector, before: &[SinkChoice]) -> Result<()> {
    let twice = |other: &SinkChoice| matches!(other, SinkChoice::V4l2(other) if other.path == output.path);
    if before.iter().any(twice) {
        return Err(Error::Usage(format!("{output} is given twice; name each sink once")));
    }
    if let SourceChoice::Camera(camera) = &config.source
        && let WhichCamera::Path(path) = &camera.which
        && same_file(path, &output.path)
    {
        return Err(Error::Usage(format!("{output} is the source and a sink; read from another camera")));
    }
    Ok(())
}

/// The source with its adapters, the header that Y4M made of it has, and where damage to it will be told.
fn open_source(config: &RunConfig) -> Result<(Box<dyn Source>, Header, Option<Damage>)> {
    let (mut read_header, mut read_video, mut damage) = (None, None, None);
    let mut source: Box<dyn Source> = match &config.source {
        SourceChoice::Camera(selector) => open_camera(selector, config)?,
        SourceChoice::Synthetic => {
            let (size, rate) =
                (config.size.unwrap_or(config::DEFAULT_SIZE), config.fps.unwrap_or(config::DEFAULT_RATE));
            Box::new(Synthetic::new(size, rate, config::SYNTHETIC_SEED)?)
        }
        SourceChoice::File(_) | SourceChoice::Stdin { .. } => {
            let live = match &config.source {
                SourceChoice::Stdin { live: true } => LivePipe::Yes,
                _ if config.is_watched() => LivePipe::Mjpeg,
                _ => LivePipe::No,
            };
            let opened = match &config.source {
                SourceChoice::File(path) => file::open(path, live)?,
                _ => file::stdin(live)?,
            };
            damage = opened.damage;
            match opened.kind {
                Kind::Y4m(header) => read_header = Some(header),
                Kind::Mjpeg => {}
                Kind::Video(original) => read_video = Some(original),
            }
            opened.source
        }
    };
    if !matches!(config.source, SourceChoice::Camera(_)) {
        if let Some(size) = config.size.filter(|&size| size != source.info().size) {
            source = Box::new(Scaled::new(source, size));
            // Its pixels' shape is another one then.
            read_video = None;
        }
        // Somebody who watches wants the speed of life, which a live source has of itself.
        let watched =
            (config.is_live() && !source.info().live).then(|| source.info().rate.unwrap_or(config::DEFAULT_RATE));
        if let Some(rate) = config.fps.or(watched) {
            source = Box::new(Paced::new(source, rate));
        }
    }
    let (size, rate) = (source.info().size, source.info().rate.unwrap_or(config::DEFAULT_RATE));
    let header = match (read_header, read_video) {
        (Some(header), _) => header.for_output(size, Some(rate)),
        (None, Some(original)) => original.y4m_header(size, rate),
        (None, None) => Header::new(size, Some(rate), Chroma::C420),
    };
    Ok((source, header, damage))
}

/// A camera that is opened again whenever it is lost.
fn open_camera(selector: &CameraSelector, config: &RunConfig) -> Result<Box<dyn Source>> {
    let size = config.size.unwrap_or(config::DEFAULT_SIZE);
    let mut opener = Box::new(CameraOpener::new(selector.clone(), config.fps));
    let source = match opener.open(size) {
        Ok(camera) => Reconnecting::over(camera, opener),
        // In a build without cameras none will ever come.
        Err(error) if config.wait && cfg!(feature = "camera") => {
            log::warn!("{error} (waiting for it)");
            let name = selector.which.to_string();
            let info = SourceInfo { name, size, rate: config.fps, live: true, frames: None };
            Reconnecting::waiting(info, &error, opener)
        }
        Err(error) => return Err(error),
    };
    Ok(Box::new(source?))
}

#[cfg(feature = "window")]
fn open_window(style: &str, size: Size) -> Result<Box<dyn Sink>> {
    let title = format!("nijigen – {style}");
    Ok(Box::new(crate::sink::window::Window::open(&title, size)?))
}

#[cfg(not(feature = "window"))]
fn open_window(_: &str, _: Size) -> Result<Box<dyn Sink>> {
    Err(Error::Window(
        "this nijigen was built without windows; choose --sink null, --sink FILE.y4m or --sink -, or build it with the \
         feature 'window'"
            .into(),
    ))
}
