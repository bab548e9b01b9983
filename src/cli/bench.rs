//! `nijigen bench`: how fast a style runs here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::options::{StyleOptions, stability};
use super::print;
use crate::config;
use crate::error::{Error, Result};
use crate::frame::{Frame, Rate, Size};
use crate::host;
use crate::pipeline::rate::Pace;
use crate::pipeline::stats::{Latency, StageTime, Stages, Stats, Summary};
use crate::pipeline::{self, Keep, Plan, Stop};
use crate::sink::Sink;
use crate::sink::null::Null;
use crate::source::Source;
use crate::source::adapt::Paced;
use crate::source::synthetic::Synthetic;
use crate::style::Stylizer;

/// Frames that are run before it is measured: caches are warm and buffers allocated after them.
const WARM_UP: u64 = 5;
/// What a live frame may take beyond its period.
const HAND_OVER: Duration = Duration::from_millis(10);

const EXAMPLES: &str = "\
Examples:
  nijigen bench
  nijigen bench --size 1280x720 --threads 4
  nijigen bench --json > today.json
  nijigen bench --live --fps 60 --frames 600

The frames are those of the source 'synthetic', the same every time. Each is computed whole, unless --stability \
says otherwise: reuse is the share of the style's arithmetic that was spared, gmacs_per_s counts the rest. One frame \
at a time goes through source, style and sink: the latency is what a frame takes when nothing else waits. rss_mb is the most memory \
that the process held, in 10^6 bytes, the ring of made-up frames included.

With --live the frames come as from a camera, --fps of them per second, and go the way that `nijigen run` takes: each \
stage has its thread, the newest frame wins, and the scale gives way when there is no time for more. The latency is \
from a frame's capture until the sink is done with it; all is well where 95 % are below one frame's period and 10 ms.";

/// Measure how fast styles run on this machine
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    #[command(flatten)]
    style: StyleOptions,
    /// Size of the frames
    #[arg(long, value_name = "WxH", default_value_t = config::DEFAULT_SIZE)]
    size: Size,
    /// Frames to measure, after a few that warm up
    #[arg(long, value_name = "N", default_value_t = config::BENCH_FRAMES, value_parser = clap::value_parser!(u64).range(1..))]
    frames: u64,
    /// How still the picture is held, as for run: 0 computes every block of every frame
    #[arg(long, value_name = "0..1", default_value_t = 0.0, value_parser = stability)]
    stability: f32,
    /// Measure the live path, with a made-up camera
    #[arg(long)]
    live: bool,
    /// Frames per second of the made-up camera
    #[arg(long, value_name = "N", default_value_t = config::DEFAULT_RATE, requires = "live")]
    fps: Rate,
    /// Print one JSON object with stable keys
    #[arg(long)]
    json: bool,
}

/// What was measured; the JSON has these keys in this order.
#[derive(Debug, Serialize)]
struct Report {
    fps: f64,
    latency_ms: Latency,
    stages_ms: Stages,
    macs_per_frame: u64,
    gmacs_per_s: f64,
    rss_mb: Option<f64>,
    reuse: f64,
    style: String,
    engine: &'static str,
    isa: &'static str,
    size: String,
    threads: usize,
    frames: u64,
    version: &'static str,
    cpu: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Live>,
}

/// What is measured of the live path alone.
#[derive(Debug, Serialize)]
struct Live {
    camera_fps: f64,
    captured: u64,
    dropped: u64,
    /// What 95 % of the latencies are to be below.
    latency_limit_ms: f64,
    latency_is_met: bool,
    scale: f64,
    scale_steps: u64,
    over_budget: u64,
    cpu_percent: Option<f64>,
}

/// Measures and prints.
///
/// # Errors
/// When the style cannot be opened or run.
pub fn run(args: &BenchArgs) -> Result<()> {
    let report = measure(args)?;
    if args.json {
        let json = serde_json::to_string_pretty(&report).map_err(|e| Error::Tool(format!("no report: {e}")))?;
        return print(&(json + "\n"));
    }
    print(&report.text())
}

fn measure(args: &BenchArgs) -> Result<Report> {
    let mut stylizer = args.style.open()?;
    stylizer.set_stability(args.stability);
    let (style, engine, isa) = (stylizer.name().to_string(), stylizer.engine(), stylizer.isa());
    let macs = stylizer.macs(args.size);
    let mut source = Synthetic::new(args.size, args.fps, config::SYNTHETIC_SEED)?;
    one_by_one(&mut stylizer, &mut source, WARM_UP)?;
    let (summary, live) = if args.live {
        let summary = as_from_a_camera(stylizer, source, args)?;
        let live = Live::new(&summary, args.fps);
        (summary, Some(live))
    } else {
        (one_by_one(&mut stylizer, &mut source, args.frames)?, None)
    };
    Ok(Report {
        fps: summary.fps,
        latency_ms: summary.latency_ms,
        stages_ms: summary.stages_ms,
        macs_per_frame: macs,
        gmacs_per_s: (macs as f64 * (1.0 - summary.reuse) * summary.fps / 1e6).round() / 1e3,
        rss_mb: host::peak_memory_mb(),
        reuse: summary.reuse,
        style,
        engine,
        isa,
        size: args.size.to_string(),
        threads: args.style.resolve().engine.threads,
        frames: summary.stylized,
        version: env!("CARGO_PKG_VERSION"),
        cpu: host::cpu(),
        live,
    })
}

/// Each frame through source, style and sink, before the next one is read.
fn one_by_one(stylizer: &mut Stylizer, source: &mut Synthetic, frames: u64) -> Result<Summary> {
    let mut sink = Null;
    let stats = Stats::new([sink.name().to_string()]);
    let size = source.info().size;
    let (mut input, mut output) = (Frame::black(size), Frame::black(size));
    for _ in 0..frames {
        source.read(&mut input)?;
        stats.captured(input.captured);
        let began = Instant::now();
        let work = stylizer.run_live(&input.pixels, size, input.captured, &mut output.pixels)?;
        stats.stylized(began.elapsed());
        stats.worked(work);
        let began = Instant::now();
        sink.show(&output)?;
        stats.shown(0, began.elapsed(), input.captured);
    }
    Ok(stats.summary())
}

/// The way that live frames take.
fn as_from_a_camera(stylizer: Stylizer, source: Synthetic, args: &BenchArgs) -> Result<Summary> {
    let plan = Plan {
        source: Box::new(Paced::new(Box::new(source), args.fps).live()),
        stylizer,
        sinks: vec![Box::new(Null)],
        window: None,
        frames: Some(args.frames),
        pace: Pace { fps: Some(args.fps), cpu: None },
        keep: Keep { when_stopped: false, when_failed: false },
        control: None,
    };
    let stats = Arc::new(pipeline::stats_for(&plan));
    pipeline::run(plan, &Stop::default(), &stats, &mut |_| {})
}

impl Live {
    fn new(summary: &Summary, fps: Rate) -> Self {
        let limit = (fps.period() + HAND_OVER).as_secs_f64() * 1e3;
        Self {
            camera_fps: fps.as_f64(),
            captured: summary.captured,
            dropped: summary.dropped,
            latency_limit_ms: (limit * 1e3).round() / 1e3,
            latency_is_met: summary.latency_ms.p95 <= limit,
            scale: summary.scale,
            scale_steps: summary.scale_steps,
            over_budget: summary.over_budget,
            cpu_percent: summary.cpu_percent,
        }
    }

    fn text(&self) -> Vec<(&'static str, String)> {
        let met = if self.latency_is_met { "is below" } else { "is NOT below" };
        let cpu = self.cpu_percent.map_or("unknown".into(), |percent| format!("{percent:.0} % of all cores"));
        vec![
            ("camera", format!("{} per second, {} captured, {} dropped", self.camera_fps, self.captured, self.dropped)),
            ("latency", format!("95 % {met} a frame's period and 10 ms, {:.2} ms", self.latency_limit_ms)),
            ("scale", format!("{}, {} steps; {} frames over budget", self.scale, self.scale_steps, self.over_budget)),
            ("load", cpu),
        ]
    }
}

impl Report {
    fn text(&self) -> String {
        let stage = |time: StageTime| format!("{:.2} (95 % below {:.2})", time.p50, time.p95);
        let Latency { p50, p95, p99 } = self.latency_ms;
        let memory = self.rss_mb.map_or("unknown".into(), |mb| format!("{mb:.0} MB at most"));
        let rows = [
            ("style", format!("{} at {}, {} frames", self.style, self.size, self.frames)),
            ("engine", format!("{} on {} threads, {}", self.engine, self.threads, self.isa)),
            ("processor", self.cpu.clone()),
            ("frames/s", format!("{:.1}", self.fps)),
            ("latency ms", format!("{p50:.2} (95 % below {p95:.2}, 99 % below {p99:.2})")),
            ("  source", stage(self.stages_ms.source)),
            ("  stylize", stage(self.stages_ms.stylize)),
            ("  sink", stage(self.stages_ms.sink)),
            ("work", format!("{:.2} GMAC per frame, {:.1} GMAC/s", self.macs_per_frame as f64 / 1e9, self.gmacs_per_s)),
            ("reuse", format!("{:.0} % of the work spared", self.reuse * 100.0)),
            ("memory", memory),
        ];
        let live = self.live.as_ref().map(Live::text).unwrap_or_default();
        rows.iter().chain(&live).map(|(name, value)| format!("{name:<11} {value}\n")).collect()
    }
}
