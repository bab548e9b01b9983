//! What a run measures: one object that every stage reports to.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::recent::{Latencies, Meter, Recent, slot};
use crate::host;
use crate::source::{SharedStatus, StatusReport};
use crate::style::{Scale, Work};

/// Times are kept to three digits between these, in nanoseconds: 1 µs and 100 s.
const SHORTEST: u64 = 1_000;
const LONGEST: u64 = 100_000_000_000;

/// Times and counts of a run. Threads share it; its memory does not grow with the run.
#[derive(Debug)]
pub struct Stats(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    created: Instant,
    lately: Lately,
    source: Times,
    stylize: Times,
    sink: Times,
    latency: Times,
    began: Option<Instant>,
    ended: Option<Instant>,
    captured: u64,
    dropped: u64,
    stylized: u64,
    work: Work,
    scale: Scale,
    scale_steps: u64,
    over_budget: u64,
    /// The process's processor time at `began` and `ended`.
    cpu: Option<(Duration, Duration)>,
    placeholders: u64,
    sinks: Vec<SinkCount>,
    source_status: Option<SharedStatus>,
}

/// What the last seconds brought.
#[derive(Debug)]
struct Lately {
    captured: Meter,
    stylized: Meter,
    dropped: Meter,
    /// For each sink, what it took and what it missed.
    sinks: Vec<(Meter, Meter)>,
    latency: Latencies,
}

impl Lately {
    fn of(sinks: usize) -> Self {
        Self {
            captured: Meter::default(),
            stylized: Meter::default(),
            dropped: Meter::default(),
            sinks: vec![(Meter::default(), Meter::default()); sinks],
            latency: Latencies::default(),
        }
    }
}

impl Inner {
    fn slot(&self, now: Instant) -> u64 {
        slot(now.saturating_duration_since(self.created))
    }

    fn took(&mut self, sink: usize, slot: u64) {
        if let Some(count) = self.sinks.get_mut(sink) {
            count.frames += 1;
        }
        if let Some((took, _)) = self.lately.sinks.get_mut(sink) {
            took.count(slot);
        }
    }
}

/// What one sink took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SinkCount {
    /// The sink's name.
    pub name: String,
    /// Frames that it took.
    pub frames: u64,
    /// Stylized frames that a newer one replaced before it took them.
    pub dropped: u64,
}

#[derive(Debug)]
struct Times(Histogram<u64>);

impl Times {
    fn new() -> Self {
        Self(Histogram::new_with_bounds(SHORTEST, LONGEST, 3).expect("the bounds are constants that it accepts"))
    }

    fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Milliseconds below which a share of the times lies, rounded to microseconds; 0 where there are none.
    fn quantile(&self, share: f64) -> f64 {
        (self.0.value_at_quantile(share) as f64 / 1e3).round() / 1e3
    }
}

/// Median and tails in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// 95 % are below.
    pub p95: f64,
    /// 99 % are below.
    pub p99: f64,
}

/// Median and tail in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StageTime {
    /// The median.
    pub p50: f64,
    /// 95 % are below.
    pub p95: f64,
}

/// Times of each stage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stages {
    /// From the raw bytes to a frame: decoding, scaling, mirroring.
    pub source: StageTime,
    /// From a frame to its stylized one.
    pub stylize: StageTime,
    /// Showing, converting or writing, all sinks together.
    pub sink: StageTime,
}

/// What a run measured, as `--stats json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// From the first frame's capture to the last event, in seconds.
    pub seconds: f64,
    /// Frames that the source gave.
    pub captured: u64,
    /// Frames that were stylized.
    pub stylized: u64,
    /// Captured frames that a newer one replaced before they were stylized.
    pub dropped: u64,
    /// Stylized frames per second.
    pub fps: f64,
    /// The share of the style's arithmetic that was spared, since what was drawn before still held: 0 to 1.
    pub reuse: f64,
    /// The share of each side at which frames are drawn now: 1, 0.75 or 0.5.
    pub scale: f64,
    /// How often the scale changed.
    pub scale_steps: u64,
    /// Frames that took longer to stylize than the frame rate allows (nine tenths of its period); 0 where no end is live.
    pub over_budget: u64,
    /// Processor time of the whole process, in percent of all cores, as long as frames came; `None` where the system does
    /// not tell.
    pub cpu_percent: Option<f64>,
    /// From a frame's capture until a sink was done with it.
    pub latency_ms: Latency,
    /// Times of each stage.
    pub stages_ms: Stages,
    /// Each sink's counts, in the order given; placeholders are counted too.
    pub sinks: Vec<SinkCount>,
    /// Placeholders that the source gave while it had no picture. No other count knows of them, nor do the times.
    pub placeholders: u64,
    /// How the source is, where it is one that comes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_status: Option<StatusReport>,
}

impl Stats {
    /// No frames yet; `sinks` are the names of the sinks.
    pub fn new(sinks: impl IntoIterator<Item = String>) -> Self {
        let sinks: Vec<_> = sinks.into_iter().map(|name| SinkCount { name, frames: 0, dropped: 0 }).collect();
        Self(Mutex::new(Inner {
            created: Instant::now(),
            lately: Lately::of(sinks.len()),
            source: Times::new(),
            stylize: Times::new(),
            sink: Times::new(),
            latency: Times::new(),
            began: None,
            ended: None,
            captured: 0,
            dropped: 0,
            stylized: 0,
            work: Work::default(),
            scale: Scale::Full,
            scale_steps: 0,
            over_budget: 0,
            cpu: None,
            placeholders: 0,
            sinks,
            source_status: None,
        }))
    }

    /// The same, telling the status of its source too.
    pub fn watching(self, source: Option<SharedStatus>) -> Self {
        self.lock().source_status = source;
        self
    }

    /// How the source is now, where it is one that comes back.
    pub fn source_status(&self) -> Option<SharedStatus> {
        self.lock().source_status.clone()
    }

    /// The source gave a placeholder.
    pub fn placeholder(&self) {
        self.lock().placeholders += 1;
    }

    /// The source gave a frame whose raw bytes were there at `captured`.
    pub fn captured(&self, captured: Instant) {
        let now = Instant::now();
        let mut inner = self.lock();
        if inner.began.is_none() {
            inner.began = Some(captured);
            inner.cpu = host::cpu_time().map(|cpu| (cpu, cpu));
        }
        inner.source.record(now.saturating_duration_since(captured));
        inner.captured += 1;
        let slot = inner.slot(now);
        inner.lately.captured.count(slot);
    }

    /// A captured frame was replaced before it was stylized.
    pub fn dropped(&self) {
        let now = Instant::now();
        let mut inner = self.lock();
        inner.dropped += 1;
        let slot = inner.slot(now);
        inner.lately.dropped.count(slot);
    }

    /// A frame was stylized, which took `took`.
    pub fn stylized(&self, took: Duration) {
        let (now, cpu) = (Instant::now(), host::cpu_time());
        let mut inner = self.lock();
        inner.cpu = inner.cpu.zip(cpu).map(|((began, _), now)| (began, now));
        inner.stylize.record(took);
        inner.stylized += 1;
        let slot = inner.slot(now);
        inner.lately.stylized.count(slot);
        inner.ended = Some(now);
    }

    /// Stylizing a frame took so much arithmetic.
    pub fn worked(&self, work: Work) {
        let total = &mut self.lock().work;
        *total = Work { computed: total.computed + work.computed, whole: total.whole + work.whole };
    }

    /// A frame took longer to stylize than the frame rate allows.
    pub fn over_budget(&self) {
        self.lock().over_budget += 1;
    }

    /// How many pictures were stylized or put in place of some so far.
    pub fn pictures(&self) -> u64 {
        let inner = self.lock();
        inner.stylized + inner.placeholders
    }

    /// At which scale frames are drawn.
    pub fn scale(&self) -> Scale {
        self.lock().scale
    }

    /// Frames are drawn at another scale from now on.
    pub fn scaled(&self, scale: Scale) {
        let mut inner = self.lock();
        inner.scale = scale;
        inner.scale_steps += 1;
    }

    /// Sink number `sink` took `took` for a frame captured at `captured`.
    pub fn shown(&self, sink: usize, took: Duration, captured: Instant) {
        let now = Instant::now();
        let latency = now.saturating_duration_since(captured);
        let mut inner = self.lock();
        inner.sink.record(took);
        inner.latency.record(latency);
        inner.ended = Some(now);
        let slot = inner.slot(now);
        inner.lately.latency.record(slot, latency);
        inner.took(sink, slot);
    }

    /// Sink number `sink` took a placeholder.
    pub fn shown_placeholder(&self, sink: usize) {
        let now = Instant::now();
        let mut inner = self.lock();
        let slot = inner.slot(now);
        inner.took(sink, slot);
    }

    /// A stylized frame was replaced before sink number `sink` took it.
    pub fn missed(&self, sink: usize) {
        let now = Instant::now();
        let mut inner = self.lock();
        let slot = inner.slot(now);
        if let Some(count) = inner.sinks.get_mut(sink) {
            count.dropped += 1;
        }
        if let Some((_, missed)) = inner.lately.sinks.get_mut(sink) {
            missed.count(slot);
        }
    }

    /// How many frames were stylized so far.
    pub fn frames(&self) -> u64 {
        self.lock().stylized
    }

    /// What the last two seconds brought, as the sink named `sink` sees it.
    pub fn recent(&self, sink: &str) -> Recent {
        let now = Instant::now();
        let inner = self.lock();
        let slot = inner.slot(now);
        let lately = &inner.lately;
        let place = inner.sinks.iter().position(|count| count.name == sink);
        let (took, missed) = place.map_or((0.0, 0.0), |place| {
            let (took, missed) = &lately.sinks[place];
            (took.rate(slot), missed.rate(slot))
        });
        let (latency_p50, latency_p95) = lately.latency.quantiles(slot);
        Recent {
            capture_fps: lately.captured.rate(slot),
            stylize_fps: lately.stylized.rate(slot),
            show_fps: took,
            drops: lately.dropped.rate(slot) + missed,
            latency_p50,
            latency_p95,
        }
    }

    /// Everything so far.
    pub fn summary(&self) -> Summary {
        let inner = self.lock();
        let seconds = match (inner.began, inner.ended) {
            (Some(began), Some(ended)) => ended.saturating_duration_since(began).as_secs_f64(),
            _ => 0.0,
        };
        let stage = |times: &Times| StageTime { p50: times.quantile(0.50), p95: times.quantile(0.95) };
        let latency = &inner.latency;
        Summary {
            seconds: round(seconds),
            captured: inner.captured,
            stylized: inner.stylized,
            dropped: inner.dropped,
            fps: if seconds > 0.0 { round(inner.stylized as f64 / seconds) } else { 0.0 },
            reuse: round(inner.work.reuse()),
            scale: inner.scale.share(),
            scale_steps: inner.scale_steps,
            over_budget: inner.over_budget,
            cpu_percent: inner.cpu.filter(|_| seconds > 0.0).map(|(began, ended)| {
                round(ended.saturating_sub(began).as_secs_f64() / (seconds * host::cores() as f64) * 100.0)
            }),
            latency_ms: Latency {
                p50: latency.quantile(0.50),
                p95: latency.quantile(0.95),
                p99: latency.quantile(0.99),
            },
            stages_ms: Stages {
                source: stage(&inner.source),
                stylize: stage(&inner.stylize),
                sink: stage(&inner.sink),
            },
            sinks: inner.sinks.clone(),
            placeholders: inner.placeholders,
            source_status: inner.source_status.as_ref().map(SharedStatus::report),
        }
    }

    /// Counts stay whole even where a reporter panicked.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// To three digits behind the point.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_counts_add_up() {
        let stats = Stats::new(["null".to_string()]);
        for n in 1..=100 {
            stats.captured(Instant::now());
            stats.stylized(Duration::from_millis(n));
            stats.shown(0, Duration::from_micros(10), Instant::now());
        }
        stats.dropped();
        stats.missed(0);
        stats.worked(Work { computed: 10, whole: 10 });
        stats.worked(Work { computed: 1, whole: 10 });
        stats.over_budget();
        stats.scaled(Scale::ThreeQuarters);
        let summary = stats.summary();
        assert_eq!((summary.captured, summary.stylized, summary.dropped), (100, 100, 1));
        assert_eq!((summary.scale, summary.scale_steps, summary.over_budget), (0.75, 1, 1));
        assert_eq!(summary.sinks, [SinkCount { name: "null".into(), frames: 100, dropped: 1 }]);
        assert_eq!(summary.reuse, 0.45);
        let stylize = summary.stages_ms.stylize;
        assert!((stylize.p50 - 50.0).abs() < 0.2 && (stylize.p95 - 95.0).abs() < 0.2, "{stylize:?}");
    }

    #[test]
    fn an_empty_run_has_zeros() {
        let summary = Stats::new([]).summary();
        assert_eq!((summary.fps, summary.latency_ms.p99, summary.seconds, summary.reuse), (0.0, 0.0, 0.0, 0.0));
    }
}
