//! `nijigen run`: the live path.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::options::StyleOptions;
use super::serving::Serving;
use super::stream::{same_file, totals};
use super::{interrupt, is_quiet, print, say};
use crate::config::{self, FrameRate, RunConfig, ServeConfig, SinkChoice, SourceChoice, StyleConfig};
use crate::error::{Error, Result};
use crate::ffmpeg::{self, Damage};
use crate::folders;
use crate::frame::Size;
use crate::host;
use crate::live::{Console, Control, Messages, Recorder, RecordingKind, Settings, SnapshotConfig, Snapshots};
use crate::output;
use crate::picture::Format;
use crate::pipeline::rate::Pace;
use crate::pipeline::stats::{Stats, Summary};
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
use crate::style::{Registry, Stylizer};
use crate::y4m::Header;

/// The statistics of the run, once there are any: a window is opened before.
type StatsOfRun = Rc<OnceCell<Arc<Stats>>>;

const EXAMPLES: &str = "\
Examples:
  nijigen run                                   the first camera, in a window
  nijigen run --source camera:1 --mirror        another camera, mirrored
  nijigen run --source camera:brio --wait       the one with 'brio' in its name,
                                                once it is there
  nijigen run --source clip.mp4 --style off     play a video as it is
  nijigen run --fps 30 --cpu 50                 hold 30 frames, leave half the machine
  nijigen run --record me.mp4                   watch and record
  nijigen run --serve                           seen and steered in a browser
  nijigen run --serve 0.0.0.0:8010 --token a-long-secret
  nijigen run --source synthetic --sink null --frames 300 --stats json
  ffmpeg -i a.mp4 -f yuv4mpegpipe - | nijigen run --source - --sink - | ffplay -
  nijigen run --sink v4l2:/dev/video10          a camera for OBS and browsers
  rpicam-vid -t 0 --codec mjpeg -o - | nijigen run --source -

A camera that is unplugged, falls silent or sends damaged frames is opened again as soon as it can be, be it under \
another number or in another port; a placeholder that says why is shown meanwhile. Chosen by name or by a link \
(camera:/dev/v4l/by-id/…) it is also the same one at the next start.

Where the source is a camera, a sink is a window or a virtual camera (v4l2), or the run is served, the newest frame \
counts and late ones are dropped. Anywhere else every frame is stylized; frames wait for one another there, and \
latency_ms of --stats counts that too. Ctrl-C ends any run and completes its files.

Keys in the window: Space turns the style on and off, the arrows change it and its strength, c compares it with the \
photo (the mouse moves the border), s keeps a snapshot, r records, m mirrors, f fills the screen, i hides the figures, \
h shows all keys, q or Esc closes it.

With a window, a virtual camera or --serve, files and Y4M on standard input are played at their own rate, while MJPEG \
on standard input is taken for a camera's: it is shown as it comes. With live:- whatever comes on standard input is a \
camera's, and for every sink.

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
    /// output (-); may be given several times [default: window; none with --serve]
    #[arg(long = "sink", value_name = "window|v4l2:DEVICE|null|FILE|-",
          value_parser = OsStringValueParser::new().try_map(SinkChoice::try_from))]
    sinks: Vec<SinkChoice>,
    /// Serve a control page, the picture as a stream (/stream.mjpg) and an interface for programs (/api/openapi.json)
    /// over HTTP, for this machine alone unless another ADDR is given; port 0 takes a free one. What it is served at is
    /// printed on standard error [default ADDR: 127.0.0.1:8010]
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:8010",
          value_parser = config::serve_address)]
    serve: Option<SocketAddr>,
    /// What others have to know who ask over HTTP, in a header (Authorization: Bearer TOKEN) or the address
    /// (?token=TOKEN); an address that is open to the network demands one
    #[arg(long, value_name = "TOKEN", requires = "serve", value_parser = config::token)]
    token: Option<String>,
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
    /// Wait for a camera that is not there or in use at the start: show a placeholder until it comes
    #[arg(long)]
    wait: bool,
    /// Mirror the picture left to right
    #[arg(long)]
    mirror: bool,
    /// Stop after N stylized frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Record what is shown, at the speed of life: MP4 by ffmpeg, or Y4M. While it goes on it is NAME.recording.mp4, which
    /// can be played up to there after a crash
    #[arg(long, value_name = "FILE.mp4|FILE.y4m")]
    record: Option<PathBuf>,
    /// Folder for recordings that are begun by a key [default: yours for videos]
    #[arg(long, value_name = "DIR")]
    recordings: Option<PathBuf>,
    /// Folder for snapshots [default: yours for pictures]
    #[arg(long, value_name = "DIR")]
    snapshots: Option<PathBuf>,
    /// File format of snapshots
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    snapshot_format: SnapshotFormat,
    /// Keep the photo beside each snapshot, as NAME-original
    #[arg(long)]
    snapshot_original: bool,
    /// Print what was measured, at the end: on standard output, or on standard error where a sink is -
    #[arg(long, value_name = "FORMAT")]
    stats: Option<StatsFormat>,
}

/// What snapshots are written as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum SnapshotFormat {
    /// Every pixel as it is
    #[default]
    Png,
    /// Smaller
    Jpeg,
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
        let serve = self.serve.map(|address| ServeConfig::new(address, self.token.clone())).transpose();
        let serve = serve.map_err(Error::Usage)?;
        let mut sinks = self.sinks.clone();
        // Who serves has a browser to watch in, and often no display.
        if sinks.is_empty() && serve.is_none() {
            sinks.push(SinkChoice::Window);
        }
        let config = RunConfig {
            source: self.source.clone(),
            sinks,
            serve,
            size: self.size,
            fps: self.fps.fixed(),
            cpu: self.cpu,
            wait: self.wait,
            mirror: self.mirror,
            frames: self.frames,
            record: self.record.clone(),
            recordings: self.recordings.clone().or_else(folders::videos),
            snapshots: SnapshotConfig {
                folder: self.snapshots.clone().or_else(folders::pictures).unwrap_or_default(),
                format: match self.snapshot_format {
                    SnapshotFormat::Png => Format::Png,
                    SnapshotFormat::Jpeg => Format::Jpeg,
                },
                original: self.snapshot_original,
            },
            style: self.style.resolve(),
        };
        check_sinks(&config)?;
        if config.cpu.is_some() && host::cpu_time().is_none() {
            return Err(Error::Usage(
                "--cpu cannot be kept here, since this system does not tell what a program takes; give fewer --threads \
                 instead"
                    .into(),
            ));
        }
        check_recording(&config)?;
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
    let serving = config.serve.as_ref().map(Serving::prepare).transpose()?;
    let stylizer = args.style.open()?;
    let (source, header, damage) = open_source(&config)?;
    let info = source.info().clone();
    let mut report = RunReport {
        summary: Stats::new([]).summary(),
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
    let keep = Keep { when_stopped: true, when_failed: info.live };
    let pace = Pace { fps: config.fps, cpu: config.cpu };
    let control = Control::new(settings(&config), Some(Box::new(opener(&config.style))))?;
    let messages = Messages::default();
    let recorder = Recorder::new(
        control.clone(),
        config.recordings.clone(),
        info.rate.unwrap_or(config::DEFAULT_RATE),
        messages.clone(),
    );
    let snapshots = Arc::new(Snapshots::start(config.snapshots.clone())?);
    sinks.extend(serving.as_ref().map(Serving::sink));
    let wants_window = config.sinks.contains(&SinkChoice::Window);
    let shown = Rc::new(OnceCell::new());
    let styles = styles(&config);
    let console = || Console::new(control.clone(), styles, Arc::clone(&snapshots), recorder.clone(), messages);
    let window = wants_window.then(|| open_window(info.size, console(), Rc::clone(&shown))).transpose()?;
    if let Some(path) = &config.record {
        recorder.start(Some(path))?;
    }
    let control_of_plan = Some(control.clone());
    let plan = Plan { source, stylizer, sinks, window, frames: config.frames, pace, keep, control: control_of_plan };
    let stats = Arc::new(pipeline::stats_for(&plan));
    // Nobody else fills it.
    let _ = shown.set(Arc::clone(&stats));
    // It ends when this is dropped.
    let _serving = serving
        .map(|serving| serving.start(&config, control, Arc::clone(&stats), snapshots, &info.name))
        .transpose()?;
    report.summary = pipeline::run(plan, &stop, &stats, &mut |_| {
        if interrupt::requested() {
            stop.request();
        }
    })?;
    let recorded = recorder.finish();
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
    recorded?;
    match args.stats {
        Some(StatsFormat::Json) => print_report(&report, config.sinks.contains(&SinkChoice::Stdout)),
        None => Ok(()),
    }
}

/// How the run begins.
fn settings(config: &RunConfig) -> Settings {
    let StyleConfig { style, strength, .. } = &config.style;
    Settings { on: true, style: style.clone(), strength: *strength, split: None, mirror: config.mirror }
}

/// Opens another style as the first one was opened.
pub(super) fn opener(config: &StyleConfig) -> impl Fn(&str) -> Result<Stylizer> + Send + Sync + 'static {
    let config = config.clone();
    move |style| {
        let wanted = StyleConfig { style: style.into(), ..config.clone() };
        let (stylizer, notes) = Registry::discover(wanted.folder.as_deref()).stylizer(&wanted)?;
        for note in notes {
            log::warn!("{note}");
        }
        Ok(stylizer)
    }
}

/// Lists the styles that there are, whenever it is asked.
fn styles(config: &RunConfig) -> Box<dyn FnMut() -> Vec<String>> {
    let folder = config.style.folder.clone();
    Box::new(move || {
        let found = Registry::discover(folder.as_deref()).list();
        let found = found.inspect_err(|error| log::warn!("{error}")).unwrap_or_default();
        found.into_iter().map(|style| style.name).collect()
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

/// Said now, and not when somebody has danced before the camera.
fn check_recording(config: &RunConfig) -> Result<()> {
    let Some(path) = &config.record else { return Ok(()) };
    let sink = |sink: &SinkChoice| matches!(sink, SinkChoice::File(other) if other == path);
    if config.sinks.iter().any(sink) || matches!(&config.source, SourceChoice::File(source) if same_file(source, path))
    {
        return Err(Error::Usage(format!("'{}' is the source or a sink; record under another name", path.display())));
    }
    output::check_folder(path)?;
    match RecordingKind::of_path(path) {
        Some(RecordingKind::Mp4) => ffmpeg::check_ending(path),
        Some(RecordingKind::Y4m) => Ok(()),
        None => Err(Error::Usage(format!(
            "'{}': a recording is MP4 or Y4M; give it a name that ends in .mp4 or .y4m",
            path.display()
        ))),
    }
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
fn open_window(size: Size, console: Console, stats: StatsOfRun) -> Result<Box<dyn Sink>> {
    Ok(Box::new(crate::sink::window::Window::open(size, console, stats)?))
}

#[cfg(not(feature = "window"))]
fn open_window(_: Size, _: Console, _: StatsOfRun) -> Result<Box<dyn Sink>> {
    Err(Error::Window(
        "this nijigen was built without windows; choose --sink null, --sink FILE.y4m or --sink -, or build it with the \
         feature 'window'"
            .into(),
    ))
}
