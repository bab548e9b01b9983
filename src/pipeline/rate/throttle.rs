//! Fewer frames: as many as the processor time allows, and as many as were asked for.

use std::time::Duration;

/// Seconds for which processor time that was not taken can be taken later: enough to even frames out, too little for a
/// burst that others would notice.
const SAVED: f64 = 0.25;
/// Seconds for which time taken beyond the cap is paid back; and the longest that a frame waits. Where receiving frames
/// alone takes more than the cap, a picture each five seconds is left.
const OWED: f64 = 5.0;

/// Keeps the processor time of a process at so many cores' worth, by saying when the next frame may begin.
///
/// An account: time passes and is paid in, processor time is drawn. That is a controller that acts on the integral of the
/// error alone, so what remains of the error is bounded by one frame and vanishes in the mean; the account's bounds are
/// its anti-windup.
#[derive(Debug)]
pub(super) struct Throttle {
    cores: f64,
    /// Seconds of processor time.
    account: f64,
    /// The last moment that was accounted for: time and processor time.
    last: Option<(Duration, Duration)>,
    /// Since when the next frame waits.
    waiting: Option<Duration>,
}

impl Throttle {
    /// `cores` is above 0 and need not be whole.
    pub(super) fn new(cores: f64) -> Self {
        Self { cores, account: 0.0, last: None, waiting: None }
    }

    /// How long the next frame is to wait, if the process takes no processor time meanwhile. `now` and `cpu` are the time
    /// and the processor time of the process.
    pub(super) fn wait(&mut self, now: Duration, cpu: Duration) -> Duration {
        let (then, before) = self.last.replace((now, cpu)).unwrap_or((now, cpu));
        let paid = now.saturating_sub(then).as_secs_f64() * self.cores;
        let drawn = cpu.saturating_sub(before).as_secs_f64();
        self.account = (self.account + paid - drawn).clamp(-OWED * self.cores, SAVED * self.cores);
        let waited = now.saturating_sub(*self.waiting.get_or_insert(now)).as_secs_f64();
        let wait = (-self.account / self.cores).min(OWED - waited);
        Duration::from_secs_f64(wait.max(0.0))
    }

    /// A frame was drawn; the next has not waited yet.
    pub(super) fn drawn(&mut self) {
        self.waiting = None;
    }
}

/// Leaves frames out of a source that gives more than are wanted.
#[derive(Debug)]
pub(super) struct Cadence {
    period: Duration,
    /// By how much a frame may come before it is due: half of the source's period, so that the nearest frame is taken.
    early: Duration,
    due: Option<Duration>,
}

impl Cadence {
    /// A frame each `period` of a source with a frame each `source`; `None` where hardly one would be left out. (Two clocks
    /// that only just differ would leave one out now and then, and that shows.)
    pub(super) fn new(period: Duration, source: Duration) -> Option<Self> {
        (period > source.mul_f64(1.1)).then(|| Self { period, early: source / 2, due: None })
    }

    /// Whether the frame that was captured at `captured` is taken.
    pub(super) fn takes(&mut self, captured: Duration) -> bool {
        let due = *self.due.get_or_insert(captured);
        if captured + self.early < due {
            return false;
        }
        // After a gap it begins anew.
        self.due = Some(if captured > due + self.period { captured } else { due } + self.period);
        true
    }
}
