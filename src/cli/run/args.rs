//! What `nijigen run` is told, and whether that makes sense.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

use crate::cli::options::{StyleOptions, stability};
use crate::cli::stream::same_file;
use crate::config::{self, FrameRate, RunConfig, ServeConfig, SinkChoice, SourceChoice};
use crate::error::{Error, Result};
use crate::ffmpeg;
use crate::folders;
use crate::frame::Size;
use crate::host;
use crate::live::{KioskConfig, RecordingKind, SnapshotConfig};
use crate::output;
use crate::picture::{Format, Written};
use crate::sink::v4l2::OutputSelector;
use crate::source::camera::WhichCamera;

const EXAMPLES: &str = "\
Examples:
  nijigen run                                   the first camera, in a window
  nijigen run --source camera:1 --mirror        another camera, mirrored
  nijigen run --source camera:brio --wait       the one with 'brio' in its name,
                                                once it is there
  nijigen run --source clip.mp4 --style off     play a video as it is
  nijigen run --fps 30 --cpu 50                 leave half the machine to others
  nijigen run --record me.mp4                   watch and record
  nijigen run --preset stream                   beside a game, seen in OBS
  nijigen run --preset kiosk --idle 30          full screen, unattended
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

Settings come from the flags, from what was remembered (--remember), from a configuration file and from a preset, in \
this order: `nijigen config show` prints them with where each comes from.

Keys in the window: Space turns the style on and off, the arrows change it and its strength, . and , mix more or less of \
the next style into it (as does the slider that comes when the mouse moves at the picture's lower end), c compares it \
with the photo (the mouse moves the border), s or Enter keeps a snapshot, r records, m mirrors, e restores the photo \
first, f fills the screen, i hides the figures, h shows all keys, q or Esc closes it.

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
    /// Which style, and how.
    #[command(flatten)]
    pub style: StyleOptions,
    /// How still the picture is held where the scene is: 0 computes every block of every frame, up to 1 more and more of
    /// what changes little is left as it was [default: 0.5; 0 where a file or a pipe goes where nobody watches]
    #[arg(long, value_name = "0..1", value_parser = stability, allow_negative_numbers = true)]
    stability: Option<f32>,
    /// Wait for a camera that is not there or in use at the start: show a placeholder until it comes
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, hide_possible_values = true)]
    wait: bool,
    /// Mirror the picture left to right
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, hide_possible_values = true)]
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
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, hide_possible_values = true)]
    snapshot_original: bool,
    /// Show the window over all of the screen
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, hide_possible_values = true)]
    full_screen: bool,
    /// Hear no keys but Enter, which takes a snapshot, and WORD, which closes the window when it is typed; hides the
    /// figures
    #[arg(long, value_name = "WORD", value_parser = lock)]
    lock: Option<String>,
    /// Count down before a snapshot is taken, for so long
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=60))]
    countdown: Option<u64>,
    /// Change the style each SECONDS in which nobody has chosen one
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    attract: Option<u64>,
    /// Let the camera go when for MINUTES nothing has moved before it and nobody has pressed a key, moved the mouse or
    /// watched over HTTP; any of these but the first takes it back
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=10_080))]
    idle: Option<u64>,
    /// Settings for a purpose, which other flags and the configuration file overrule
    #[arg(long, value_enum, value_name = "NAME")]
    pub preset: Option<Preset>,
    /// Configuration file; `nijigen config show` tells where it lies otherwise
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// Keep what is changed while it runs (style, enhance, strength, region, stability, mirror), and begin with it the next time
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, hide_possible_values = true)]
    remember: bool,
    /// Print what was measured, at the end: on standard output, or on standard error where a sink is -
    #[arg(long, value_name = "FORMAT")]
    pub stats: Option<StatsFormat>,
}

/// Settings for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// For streamers: 1280x720 at 30 frames per second, at most half of the machine, served for OBS
    Stream,
    /// For a box that nobody looks after: full screen, locked keys, styles in turn, a camera that may be pulled out
    Kiosk,
    /// For comparing machines: made-up frames, shown nowhere, with statistics
    Bench,
}

impl Preset {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Kiosk => "kiosk",
            Self::Bench => "bench",
        }
    }

    /// Its settings, as a configuration file has them.
    pub fn text(self) -> &'static str {
        match self {
            Self::Stream => include_str!("../../config/presets/stream.toml"),
            Self::Kiosk => include_str!("../../config/presets/kiosk.toml"),
            Self::Bench => include_str!("../../config/presets/bench.toml"),
        }
    }
}

/// Reads the word that closes a locked window.
fn lock(text: &str) -> std::result::Result<String, String> {
    // Every keyboard has these.
    if text.chars().all(|c| c.is_ascii_alphanumeric()) && (1..=32).contains(&text.len()) {
        return Ok(text.to_lowercase());
    }
    Err("a lock is a word of 1 to 32 letters (a to z) and digits".into())
}

/// What snapshots are written as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum SnapshotFormat {
    /// Every pixel as it is
    #[default]
    Png,
    /// Smaller
    Jpeg,
    /// A drawing of areas, which scales without end; a photo beside it is PNG
    Svg,
}

/// How statistics are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    /// One JSON object
    Json,
}

impl RunArgs {
    /// The folder for snapshots that was asked for.
    pub fn snapshot_folder(&self) -> Option<&Path> {
        self.snapshots.as_deref()
    }

    /// Fills in what was left out.
    ///
    /// # Errors
    /// [`Error::Usage`] where flags contradict each other.
    pub fn resolve(&self) -> Result<RunConfig> {
        let serve = self.serve.map(|address| ServeConfig::new(address, self.token.clone())).transpose();
        let serve = serve.map_err(Error::Usage)?;
        let mut sinks = self.sinks.clone();
        // Who serves has a browser to watch in, and often no display.
        if sinks.is_empty() && serve.is_none() {
            sinks.push(SinkChoice::Window);
        }
        let mut config = RunConfig {
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
                written: match self.snapshot_format {
                    SnapshotFormat::Png => Written::Pixels(Format::Png),
                    SnapshotFormat::Jpeg => Written::Pixels(Format::Jpeg),
                    SnapshotFormat::Svg => Written::Areas,
                },
                original: self.snapshot_original,
            },
            full_screen: self.full_screen,
            lock: self.lock.clone(),
            kiosk: KioskConfig {
                countdown: Duration::from_secs(self.countdown.unwrap_or(0)),
                attract: self.attract.map(Duration::from_secs),
                idle: self.idle.map(|minutes| Duration::from_secs(minutes * 60)),
            },
            remember: self.remember,
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
        check_recording(&config)?;
        if config.lock.is_some() && !config.sinks.contains(&SinkChoice::Window) {
            return Err(Error::Usage("--lock locks the keys of a window, and there is none; add --sink window".into()));
        }
        if config.kiosk.idle.is_some() && !matches!(config.source, SourceChoice::Camera(_)) {
            return Err(Error::Usage("--idle lets a camera go, and the source is none; leave it out".into()));
        }
        if config.wait && !matches!(config.source, SourceChoice::Camera(_)) {
            return Err(Error::Usage("--wait waits for a camera, and the source is none; leave it out".into()));
        }
        Ok(config)
    }
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
