//! `nijigen bench`: how fast a style runs here.

use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::options::{StyleOptions, stability};
use super::print;
use crate::config;
use crate::error::{Error, Result};
use crate::frame::{Frame, Size};
use crate::host;
use crate::pipeline::stats::{Latency, StageTime, Stages, Stats};
use crate::sink::Sink;
use crate::sink::null::Null;
use crate::source::Source;
use crate::source::synthetic::Synthetic;

/// Frames that are run before it is measured: caches are warm and buffers allocated after them.
const WARM_UP: u64 = 5;

const EXAMPLES: &str = "\
Examples:
  nijigen bench
  nijigen bench --size 1280x720 --threads 4
  nijigen bench --json > today.json

The frames are those of the source 'synthetic', the same every time. Each is computed whole, unless --stability \
says otherwise: reuse is the share of the style's arithmetic that was spared, gmacs_per_s counts the rest. One frame at a time goes \
through source, style and sink: the latency is what a frame takes when nothing else waits. rss_mb is the most memory \
that the process held, in 10^6 bytes, the ring of made-up frames included.";

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
    let engine = stylizer.engine();
    let mut source = Synthetic::new(args.size, config::DEFAULT_RATE, config::SYNTHETIC_SEED)?;
    let mut sink = Null;
    let mut stats = Stats::new([sink.name().to_string()]);
    let (mut input, mut output) = (Frame::black(args.size), Frame::black(args.size));
    for n in 0..WARM_UP + args.frames {
        if n == WARM_UP {
            stats = Stats::new([sink.name().to_string()]);
        }
        source.read(&mut input)?;
        stats.captured(input.captured);
        let began = Instant::now();
        let work = stylizer.run_live(&input.pixels, args.size, input.captured, &mut output.pixels)?;
        stats.stylized(began.elapsed());
        stats.worked(work);
        let began = Instant::now();
        sink.show(&output)?;
        stats.shown(0, began.elapsed(), input.captured);
    }
    let summary = stats.summary();
    let macs = stylizer.macs(args.size);
    Ok(Report {
        fps: summary.fps,
        latency_ms: summary.latency_ms,
        stages_ms: summary.stages_ms,
        macs_per_frame: macs,
        gmacs_per_s: (macs as f64 * (1.0 - summary.reuse) * summary.fps / 1e6).round() / 1e3,
        rss_mb: host::peak_memory_mb(),
        reuse: summary.reuse,
        style: stylizer.name().to_string(),
        engine,
        isa: stylizer.isa(),
        size: args.size.to_string(),
        threads: args.style.resolve().engine.threads,
        frames: summary.stylized,
        version: env!("CARGO_PKG_VERSION"),
        cpu: host::cpu(),
    })
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
        rows.iter().map(|(name, value)| format!("{name:<11} {value}\n")).collect()
    }
}
