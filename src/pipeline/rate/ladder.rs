//! Which scale the load allows.

use std::time::Duration;

use crate::style::Scale;

/// Frames on which a decision rests: two seconds at 30 per second.
const WINDOW: usize = 60;
/// With fewer frames than this, one hiccup would be the 95th percentile.
const ENOUGH: usize = 20;
/// With this many, a median over the limit says the same of the 95th percentile: slow machines need not wait for more.
const FEW: usize = 5;
/// Frames after a step that are not counted: the first ones at a scale prepare it.
const SETTLING: u32 = 3;
/// A larger scale is tried when by its area it would bring a load of no more than this.
const ROOM: f64 = 0.8;
/// For how long there must be room, before the first try.
const SHORTEST_WAIT: Duration = Duration::from_secs(3);
/// And at most, after many tries that failed.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// A try has failed when the scale steps down again within this time. It is long against [`SHORTEST_WAIT`]: a load that
/// comes and goes faster than this makes the waits longer and longer, instead of the scale go up and down with it.
const TRIAL: Duration = Duration::from_secs(60);
/// A scale that was held for so long makes the waits short again. What held for less tells little: where the load comes and
/// goes each minute and the larger scale only just fits, one try in two outlasts a trial by luck.
const LASTING: Duration = Duration::from_secs(600);

/// Steps down when the 95th percentile of the load is over 1, and up when there is room, ever more slowly where that
/// did not last.
#[derive(Debug)]
pub(super) struct Ladder {
    scale: Scale,
    smallest: Scale,
    window: Window,
    settling: u32,
    /// Since when there has been room for the next larger scale.
    room_since: Option<Duration>,
    wait: Duration,
    /// When the scale last stepped up, if it has not stepped down since.
    raised: Option<Duration>,
}

impl Ladder {
    /// At full scale, and never below `smallest`.
    pub(super) fn new(smallest: Scale) -> Self {
        Self {
            scale: Scale::Full,
            smallest,
            window: Window::default(),
            settling: SETTLING,
            room_since: None,
            wait: SHORTEST_WAIT,
            raised: None,
        }
    }

    pub(super) fn scale(&self) -> Scale {
        self.scale
    }

    /// Begins anew with other frames: at the scale that it has, unless that is below `smallest`.
    pub(super) fn begin(&mut self, smallest: Scale) {
        let scale = self.scale.max(smallest);
        *self = Self { scale, ..Self::new(smallest) };
    }

    /// A frame that was done at `now` had this load: what it took, as a share of what it may take. Returns the scale for
    /// the frames to come, where it changes.
    pub(super) fn frame(&mut self, now: Duration, load: f64) -> Option<Scale> {
        if self.settling > 0 {
            self.settling -= 1;
            return None;
        }
        self.window.push(load);
        if self.window.is_over() {
            let smaller = self.scale.smaller().filter(|&scale| scale >= self.smallest)?;
            self.lowered(now);
            return Some(self.step(smaller));
        }
        let larger = self.scale.larger()?;
        let predicted = self.window.tail()? * larger.work() / self.scale.work();
        if predicted > ROOM {
            self.room_since = None;
            return None;
        }
        let since = *self.room_since.get_or_insert(now);
        if now.saturating_sub(since) < self.wait {
            return None;
        }
        self.raised = Some(now);
        Some(self.step(larger))
    }

    fn lowered(&mut self, now: Duration) {
        if let Some(raised) = self.raised.take() {
            let held = now.saturating_sub(raised);
            if held < TRIAL {
                self.wait = (self.wait * 2).min(LONGEST_WAIT);
            } else if held >= LASTING {
                self.wait = SHORTEST_WAIT;
            }
        }
    }

    fn step(&mut self, scale: Scale) -> Scale {
        self.scale = scale;
        self.window = Window::default();
        self.settling = SETTLING;
        self.room_since = None;
        scale
    }
}

/// The last loads.
#[derive(Debug)]
struct Window {
    loads: [f64; WINDOW],
    /// How many were ever pushed.
    count: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { loads: [0.0; WINDOW], count: 0 }
    }
}

impl Window {
    fn push(&mut self, load: f64) {
        self.loads[self.count % WINDOW] = load;
        self.count += 1;
    }

    /// The load that a share of the frames does not exceed.
    fn quantile(&self, share: f64) -> f64 {
        let mut loads = self.loads;
        let loads = &mut loads[..self.count.min(WINDOW)];
        let rank = (loads.len() as f64 * share).ceil() as usize;
        *loads.select_nth_unstable_by(rank.max(1) - 1, f64::total_cmp).1
    }

    /// The 95th percentile, once there are enough frames for one.
    fn tail(&self) -> Option<f64> {
        (self.count >= ENOUGH).then(|| self.quantile(0.95))
    }

    fn is_over(&self) -> bool {
        self.tail().map_or(self.count >= FEW && self.quantile(0.5) > 1.0, |tail| tail > 1.0)
    }
}
