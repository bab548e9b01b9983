//! `nijigen run`: the live path.

mod args;
pub mod layers;
mod memory;
mod open;
mod service;

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use clap::ArgMatches;
use serde::Serialize;

pub use args::RunArgs;

use super::serving::{Served, Serving};
use super::stream::totals;
use super::{interrupt, is_quiet, print, say};
use crate::config::{self, RunConfig, SinkChoice, SourceChoice, StyleConfig};
use crate::engine::region::Region;
use crate::error::{Error, Result};
use crate::folders;
use crate::live::{Attendant, Console, Control, Look, Messages, Recorder, Settings, Shelf, Snapshots};
use crate::pipeline::rate::Pace;
use crate::pipeline::stats::{Stats, Summary};
use crate::pipeline::{self, Keep, Plan, Stop};
use crate::sink::Sink;
use crate::sink::null::Null;
use crate::sink::v4l2;
use crate::sink::y4m::{Y4mFile, Y4mPipe};
use crate::source::Rest;
use crate::style::{Registry, Stylizer};
use args::StatsFormat;
use memory::Memory;
use open::{open_source, open_window};
use service::Service;

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

/// Runs until the source ends, the window is closed, or Ctrl-C. `flags` are those of the command line.
///
/// # Errors
/// When something cannot be opened, or fails on the way.
pub fn run(flags: &ArgMatches) -> Result<()> {
    let args = layers::resolve(flags)?.args;
    let config = args.resolve()?;
    let serving = config.serve.as_ref().map(Serving::prepare).transpose()?;
    let mut stylizer = args.style.open()?;
    stylizer.set_stability(config.stability);
    let rest = Rest::default();
    let (source, header, damage) = open_source(&config, &rest)?;
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
    if let Some(folder) = args.snapshot_folder()
        && let Err(error) = folders::make_writable(folder)
    {
        // A run is worth more than its snapshots; but it is said before the first of them fails.
        tracing::warn!("there will be no snapshots: {error}");
    }
    let shelf = shelf(&config.style, &control, &messages)?;
    let on_shelf = shelf.clone();
    let attendant = Attendant::new(
        config.kiosk.clone(),
        control.clone(),
        Snapshots::start(config.snapshots.clone())?,
        Arc::new(move || on_shelf.names()),
        messages.clone(),
        rest,
    );
    sinks.extend(serving.as_ref().map(Serving::sink));
    let wants_window = config.sinks.contains(&SinkChoice::Window);
    let shown = Rc::new(OnceCell::new());
    let folder = config.style.folder.clone();
    let partners = Box::new(move |style: &str| Registry::discover(folder.as_deref()).partners(style));
    let console = || Console::new(control.clone(), attendant.clone(), recorder.clone(), messages, partners);
    let window = wants_window.then(|| open_window(info.size, &config, console(), Rc::clone(&shown))).transpose()?;
    if let Some(path) = &config.record {
        recorder.start(Some(path))?;
    }
    let control_of_plan = Some(control.clone());
    let plan = Plan { source, stylizer, sinks, window, frames: config.frames, pace, keep, control: control_of_plan };
    let stats = Arc::new(pipeline::stats_for(&plan));
    // Nobody else fills it.
    let _ = shown.set(Arc::clone(&stats));
    // Where styles take turns, which one was shown last is nobody's wish.
    let of_style = config.kiosk.attract.is_none();
    let mut memory = config.remember.then(|| Memory::new(control.clone(), of_style)).transpose()?;
    let mut service = Service::new();
    // It ends when this is dropped.
    let _serving = serving
        .map(|serving| {
            let (stats, attendant, source) = (Arc::clone(&stats), attendant.clone(), info.name.clone());
            serving.start(&config, Served { control, stats, attendant, shelf, source })
        })
        .transpose()?;
    report.summary = pipeline::run(plan, &stop, &stats, &mut |_| {
        if interrupt::requested() {
            stop.request();
        }
        let now = Instant::now();
        attendant.tick(now);
        if let Some(memory) = &mut memory {
            memory.tick(now);
        }
        service.tick(&stats, now);
    })?;
    service.finish();
    if let Some(memory) = memory {
        memory.finish();
    }
    let recorded = recorder.finish();
    let finite = matches!(config.source, SourceChoice::File(_) | SourceChoice::Stdin { .. });
    if report.summary.captured == 0 && finite && !stop.requested() {
        return Err(Error::Input(format!("{} holds no frames; give a whole video", report.source)));
    }
    if let Some(what) = damage.as_ref().and_then(|damage| damage.what()) {
        tracing::warn!("{} may be damaged; ffmpeg says: {what}", report.source);
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
    let StyleConfig { style, enhance, strength, region, .. } = &config.style;
    let (stability, mirror) = (config.stability, config.mirror);
    let (style, enhance, strength, region) = (style.clone(), *enhance, *strength, *region);
    Settings { on: true, style, enhance, strength, region, stability, split: None, mirror }
}

/// Opens another style as the first one was opened.
pub(super) fn opener(config: &StyleConfig) -> impl Fn(&Look) -> Result<Stylizer> + Send + Sync + 'static {
    // The run's settings say which part is drawn; a style that knows none is no error then.
    let config = StyleConfig { region: Region::All, ..config.clone() };
    move |Look { style, enhance }| {
        let wanted = StyleConfig { style: style.clone(), enhance: *enhance, ..config.clone() };
        let (stylizer, notes) = Registry::discover(wanted.folder.as_deref()).stylizer(&wanted)?;
        for note in notes {
            tracing::warn!("{note}");
        }
        Ok(stylizer)
    }
}

/// The styles that may be chosen. They are tried on one thread: the run has the others.
fn shelf(config: &StyleConfig, control: &Control, messages: &Messages) -> Result<Shelf> {
    let mut of_trial = StyleConfig { enhance: false, region: Region::All, ..config.clone() };
    of_trial.engine.threads = 1;
    let registry = Registry::discover(config.folder.as_deref());
    let trial = Box::new(move |style: &str| {
        let wanted = StyleConfig { style: style.into(), ..of_trial.clone() };
        Ok(Registry::discover(None).stylizer(&wanted)?.0)
    });
    Shelf::start(registry, control.clone(), trial, messages.clone())
}

fn print_report(report: &RunReport, stdout_is_taken: bool) -> Result<()> {
    let json = serde_json::to_string_pretty(report).map_err(|e| Error::Tool(format!("no statistics: {e}")))?;
    if stdout_is_taken {
        say(&json);
        return Ok(());
    }
    print(&(json + "\n"))
}
