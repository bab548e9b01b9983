//! How large and how often frames are drawn, so that the picture holds its rate and the machine stays usable.
//!
//! Two limits are kept. The budget is the time in which a frame must be drawn for the rate to hold; the cap (`--cpu`) is a
//! share of the machine's processor time. Both are expressed as a frame's *load*: what it took, as a share of what it may
//! take. From the loads the [`Ladder`] finds the scale; the [`Throttle`] keeps the cap whatever the scale is.
//!
//! What gives way first? Without a cap, the scale: a streamer notices uneven movement before soft lines. Where even the
//! smallest scale takes too long, frames are dropped; the newest wins, so nothing queues. Under a cap, the rate, down to
//! [`FEWEST`] frames per second: who sets a share of the machine apart wants to see it used, as a sharp picture at as many
//! frames as it yields. Below that lips no longer match the voice, and the scale gives way; then the rate again.
//!
//! No clock is read here: times are given, as durations since any moment that stays the same.

mod ladder;
mod throttle;

use std::time::Duration;

use crate::frame::Rate;
use crate::style::Scale;
use ladder::Ladder;
use throttle::{Cadence, Throttle};

/// The share of a frame's period in which it must be drawn. The rest is for handing frames over, and for catching up
/// after a frame that took longer: without it, one late frame would make all that follow late.
const BUDGET: f64 = 0.9;
/// Frames per second that a cap on the processor leaves, as long as a smaller scale can. People need 15 or so to follow
/// lips (Vitkovitch and Barber, "Visible speech as a function of image quality", 1996).
const FEWEST: f64 = 15.0;

/// What was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    /// Frames per second to hold; where none is given, the source's.
    pub fps: Option<Rate>,
    /// The most that the whole process may take of all cores, in percent (1 to 100).
    pub cpu: Option<u8>,
}

/// The situation in which a pace is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Situation {
    /// The source's frames per second, where it knows them.
    pub source: Option<Rate>,
    /// Whether frames may be dropped, and their scale changed, to keep up.
    pub live: bool,
    /// The smallest scale that makes a frame cheaper.
    pub smallest: Scale,
    /// Cores of the machine.
    pub cores: usize,
}

/// A moment, as both clocks show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time that has passed.
    pub now: Duration,
    /// Processor time that the process has taken; `None` where the system does not tell.
    pub cpu: Option<Duration>,
}

/// What is to be done with a frame that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is drawn.
    Draw,
    /// It is left out; there will be a newer one.
    Skip,
    /// It is drawn after so long.
    Rest(Duration),
}

/// What was found about a frame that was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Whether it took longer than the budget, where frames may be dropped to keep one.
    pub over_budget: bool,
    /// The scale of the next frame, where that is another one.
    pub step: Option<Scale>,
}

/// Keeps a pace.
#[derive(Debug)]
pub struct RateControl {
    live: bool,
    budget: Duration,
    ladder: Ladder,
    cadence: Option<Cadence>,
    cap: Option<Cap>,
}

#[derive(Debug)]
struct Cap {
    throttle: Throttle,
    /// The processor time that a frame may take where the fewest frames are drawn.
    allowance: Duration,
    /// When the last frame was done.
    last: Option<Duration>,
}

impl RateControl {
    /// Keeps `pace`.
    pub fn new(pace: Pace, situation: Situation) -> Self {
        let rate = pace.fps.or(situation.source).unwrap_or(crate::config::DEFAULT_RATE);
        let cadence = match (pace.fps, situation.source) {
            (Some(wanted), Some(source)) if situation.live => Cadence::new(wanted.period(), source.period()),
            _ => None,
        };
        let cap = pace.cpu.map(|percent| {
            let cores = f64::from(percent.clamp(1, 100)) / 100.0 * situation.cores.max(1) as f64;
            let seconds = rate.period().as_secs_f64().max(1.0 / FEWEST);
            Cap { throttle: Throttle::new(cores), allowance: Duration::from_secs_f64(seconds * cores), last: None }
        });
        let smallest = if situation.live { situation.smallest } else { Scale::Full };
        Self {
            live: situation.live,
            budget: rate.period().mul_f64(BUDGET),
            ladder: Ladder::new(smallest),
            cadence,
            cap,
        }
    }

    /// The time in which a frame must be drawn.
    pub fn budget(&self) -> Duration {
        self.budget
    }

    /// The scale of the next frame.
    pub fn scale(&self) -> Scale {
        self.ladder.scale()
    }

    /// Frames to come are drawn by another style, for which no scale below `smallest` makes a frame cheaper.
    pub fn begin_style(&mut self, smallest: Scale) {
        self.ladder.begin(if self.live { smallest } else { Scale::Full });
    }

    /// Whether the frame captured at `captured` is drawn at `moment`.
    pub fn judge(&mut self, moment: Moment, captured: Duration) -> Verdict {
        let wait = match (&mut self.cap, moment.cpu) {
            (Some(cap), Some(cpu)) => cap.throttle.wait(moment.now, cpu),
            _ => Duration::ZERO,
        };
        if !self.live {
            return if wait.is_zero() { Verdict::Draw } else { Verdict::Rest(wait) };
        }
        // A live frame that waits would be old when it is drawn: the next one is as good, and new.
        let draws = wait.is_zero() && self.cadence.as_mut().is_none_or(|cadence| cadence.takes(captured));
        if draws { Verdict::Draw } else { Verdict::Skip }
    }

    /// A frame was drawn, which took `took` and was done at `moment`.
    pub fn drawn(&mut self, moment: Moment, took: Duration) -> Finding {
        let mut load = took.as_secs_f64() / self.budget.as_secs_f64();
        if let (Some(cap), Some(cpu)) = (&mut self.cap, moment.cpu) {
            // All that the process did since the last frame: receiving and showing it have their share.
            let frame = cpu.saturating_sub(cap.last.replace(cpu).unwrap_or(cpu));
            load = load.max(frame.as_secs_f64() / cap.allowance.as_secs_f64());
            cap.throttle.drawn();
        }
        Finding { over_budget: self.live && took > self.budget, step: self.ladder.frame(moment.now, load) }
    }
}

#[cfg(test)]
mod tests;
