//! The live path: threads, hand-overs and statistics.
//!
//! One thread captures, one stylizes, and each sink has its own; a window lives on the caller's thread, as the systems
//! demand. Between them lie mailboxes of one slot. Where an end is live (a camera, a window) the newest frame wins and
//! what it replaces is counted as dropped: latency is bounded and memory flat. Where none is, hand-overs wait.
//!
//! Frames come from a [`Pool`], so that nothing is allocated per frame once all stages are busy.

mod follow;
pub mod mailbox;
pub mod rate;
pub mod recent;
pub mod stats;
mod workers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::frame::{Pool, PooledFrame, SharedFrame};
use crate::host;
use crate::live::Control;
use crate::sink::Sink;
use crate::source::Source;
use crate::style::Stylizer;
use crate::threads::guarded;
use follow::Follower;
use mailbox::{HandOver, Mailbox};
use rate::{Pace, RateControl, Situation};
use stats::{Stats, Summary};
use workers::{Capture, Report, Role, Show, Stylize, Turn, spawn};

/// How often the caller's thread looks for a stop, and a window for events.
const TICK: Duration = Duration::from_millis(50);
const WINDOW_TICK: Duration = Duration::from_millis(10);
/// How long the end waits for a source that hangs in a read, before it leaves the thread behind.
const GRACE: Duration = Duration::from_millis(500);
/// The same for a reader of our output that has stalled; it may only be slow.
const PIPE_GRACE: Duration = Duration::from_secs(3);

/// Asks a run to end; clones ask the same run.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks for the end: what is under way is finished.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether somebody asked.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What a run is made of.
pub struct Plan {
    /// Where frames come from.
    pub source: Box<dyn Source>,
    /// What is done to them.
    pub stylizer: Stylizer,
    /// Where they go, one thread each.
    pub sinks: Vec<Box<dyn Sink + Send>>,
    /// One more sink that stays on the caller's thread.
    pub window: Option<Box<dyn Sink>>,
    /// End after so many stylized frames.
    pub frames: Option<u64>,
    /// How many frames are drawn, and what they may cost.
    pub pace: Pace,
    /// Which unfinished outputs are completed rather than removed.
    pub keep: Keep,
    /// What may change the run while it goes on, where anything may.
    pub control: Option<Control>,
}

/// Which outputs are worth keeping when a run ends before its source does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// When it was asked to stop: else the run is an error, [`Error::Interrupted`].
    pub when_stopped: bool,
    /// When something failed.
    pub when_failed: bool,
}

/// How a run goes on: seen by all its threads.
#[derive(Debug)]
struct Wires {
    captured: Mailbox<PooledFrame>,
    stylized: Vec<Mailbox<SharedFrame>>,
    stats: Arc<Stats>,
    pool: Pool,
    /// Set before everything is torn down: sinks then do not complete what they wrote.
    discard: AtomicBool,
}

impl Wires {
    /// Ends all hand-overs now.
    fn abort(&self, discard: bool) {
        if discard {
            self.discard.store(true, Ordering::Release);
        }
        self.captured.abort();
        self.stylized.iter().for_each(Mailbox::abort);
    }
}

/// The statistics that [`run`] reports to for these sinks.
pub fn stats_for(plan: &Plan) -> Stats {
    let names = plan.sinks.iter().map(|s| s.name().to_string());
    Stats::new(names.chain(plan.window.iter().map(|w| w.name().to_string()))).watching(plan.source.status())
}

/// Runs `plan` until its source ends, `stop` is requested, a sink wants no more, or something fails. `tick` is called
/// now and then on the caller's thread.
///
/// # Errors
/// The first failure of any stage, a panic among them; all stages have ended then.
pub fn run(plan: Plan, stop: &Stop, stats: &Arc<Stats>, tick: &mut dyn FnMut(&Stats)) -> Result<Summary> {
    let Plan { source, stylizer, sinks, window, frames, pace, keep, control } = plan;
    let live =
        source.info().live || sinks.iter().any(|s| s.live()) || window.as_ref().is_some_and(|window| window.live());
    let info = source.info();
    let speed = info.rate.map_or("an unknown rate".into(), |rate| format!("{rate} frames per second"));
    let order = if live { "the newest frame wins" } else { "every frame counts" };
    tracing::info!("{}: {} at {speed}, drawn {}; {order}", info.name, info.size, stylizer.manner(info.size));
    let smallest = stylizer.smallest_scale(info.size);
    let rate = RateControl::new(pace, Situation { source: info.rate, live, smallest, cores: host::cores() });
    let hand_over = if live { HandOver::NewestWins } else { HandOver::Wait };
    let outlets = sinks.len() + usize::from(window.is_some());
    let wires = Arc::new(Wires {
        captured: Mailbox::new(hand_over),
        stylized: (0..outlets).map(|_| Mailbox::new(hand_over)).collect(),
        stats: Arc::clone(stats),
        pool: Pool::default(),
        discard: AtomicBool::new(false),
    });
    let (reports, inbox) = mpsc::channel();
    let mut running = 0;
    let mut start = |name: &str, role: Role, work: Box<dyn FnOnce() -> Result<()> + Send>| {
        running += 1;
        spawn(name, role, work, reports.clone())
    };
    let window_outlet = sinks.len();
    let mut started = Ok(());
    let mut pipes = 0;
    for (outlet, sink) in sinks.into_iter().enumerate() {
        let role = if sink.may_hang() { Role::Pipe } else { Role::Sink };
        pipes += usize::from(role == Role::Pipe);
        let show = Show::new(sink, outlet, Arc::clone(&wires));
        started = started.and_then(|()| start(&format!("sink {outlet}"), role, Box::new(move || show.work())));
    }
    let follower = || control.clone().map(Follower::new);
    let stylize = Stylize::new(stylizer, frames, follower(), rate, Arc::clone(&wires));
    started = started.and_then(|()| start("stylize", Role::Stylize, Box::new(move || stylize.work())));
    let capture = Capture { source, stop: stop.clone(), follower: follower(), wires: Arc::clone(&wires) };
    started = started.and_then(|()| start("capture", Role::Capture, Box::new(move || capture.work())));
    drop(reports);

    let window = window.map(|window| Show::new(window, window_outlet, Arc::clone(&wires)));
    let mut end = End { wires, keep, stop: stop.clone(), failure: None, closing: None, running, captures: true, pipes };
    if let Err(error) = started {
        end.failed(error);
    }
    end.wait(&inbox, window, tick);
    if let Some(control) = control {
        control.end();
    }
    end.result(stats)
}

/// The sink on the caller's thread.
type Window = Show<Box<dyn Sink>>;

/// The end of a run, as it comes about.
struct End {
    wires: Arc<Wires>,
    keep: Keep,
    stop: Stop,
    failure: Option<Error>,
    /// Since when nothing more is taken from the source.
    closing: Option<Instant>,
    /// Threads that have not reported.
    running: usize,
    /// Whether the capturing thread is among them.
    captures: bool,
    /// How many sinks that may hang are among them.
    pipes: usize,
}

impl End {
    fn wait(&mut self, inbox: &Receiver<Report>, mut window: Option<Window>, tick: &mut dyn FnMut(&Stats)) {
        loop {
            if let Some(show) = window.take() {
                window = self.turn(show);
            }
            let patience = if window.is_some() { Duration::ZERO } else { TICK };
            match inbox.recv_timeout(patience) {
                Ok(report) => self.take(report),
                Err(RecvTimeoutError::Timeout) => {}
                // Only where a thread could not be started are there fewer reports than expected.
                Err(RecvTimeoutError::Disconnected) if self.running > 0 => self.running = 0,
                Err(RecvTimeoutError::Disconnected) => {}
            }
            tick(&self.wires.stats);
            if self.stop.requested() {
                self.close();
            }
            if window.is_none() && (self.running == 0 || self.hangs()) {
                return;
            }
        }
    }

    /// Whether nothing runs any more but what waits for somebody else, without end as it seems.
    fn hangs(&mut self) -> bool {
        let Some(waited) = self.closing.map(|since| since.elapsed()) else { return false };
        let pipes = if self.stop.requested() { self.pipes } else { 0 };
        if pipes > 0 && waited > PIPE_GRACE {
            // What is under way to the stalled reader keeps the other threads waiting.
            self.wires.abort(false);
        }
        let patience = if pipes > 0 { PIPE_GRACE } else { GRACE };
        waited > patience && self.running == usize::from(self.captures) + pipes
    }

    /// One turn of the window; gives it back unless it has ended.
    fn turn(&mut self, mut show: Window) -> Option<Window> {
        match guarded("window", || show.turn(Some(WINDOW_TICK))) {
            Ok(Turn::GoOn) => return Some(show),
            Ok(Turn::Stop) => {
                self.stop.request();
                self.close();
                // What was stylized before it closed may still be on its way to other sinks, but not to this one.
                show.refuse();
            }
            Ok(Turn::End) => {}
            Err(error) => self.failed(error),
        }
        if let Err(error) = guarded("window", || show.end()) {
            self.failed(error);
        }
        None
    }

    fn take(&mut self, report: Report) {
        self.running -= 1;
        self.captures &= report.role != Role::Capture;
        self.pipes -= usize::from(report.role == Role::Pipe);
        match report.outcome {
            // Who no longer listens to the source does not care how it ends.
            Err(_) if report.role == Role::Capture && self.closing.is_some() => {}
            Err(error) => self.failed(error),
            // Stylizing or showing ended first: enough frames, or a reader that wants no more.
            Ok(()) if report.role != Role::Capture => self.close(),
            Ok(()) => {}
        }
    }

    /// Takes nothing more from the source; what is under way is finished, or thrown away where it is not to be kept.
    fn close(&mut self) {
        if self.closing.is_none() {
            self.closing = Some(Instant::now());
            if self.stop.requested() && !self.keep.when_stopped {
                self.wires.abort(true);
            } else {
                self.wires.captured.close();
            }
        }
    }

    fn failed(&mut self, error: Error) {
        self.closing.get_or_insert_with(Instant::now);
        let keep = if matches!(error, Error::BrokenPipe) { self.keep.when_stopped } else { self.keep.when_failed };
        self.failure.get_or_insert(error);
        self.stop.request();
        self.wires.abort(!keep);
    }

    fn result(self, stats: &Stats) -> Result<Summary> {
        match self.failure {
            Some(error) => Err(error),
            None if self.wires.discard.load(Ordering::Acquire) => Err(Error::Interrupted),
            None => Ok(stats.summary()),
        }
    }
}

#[cfg(test)]
mod live_tests;
#[cfg(test)]
mod tests;
