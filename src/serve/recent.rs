//! What the last moments were like: for charts, where the averages of a whole run tell nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Result;
use crate::frame::Frame;
use crate::sink::{Flow, Sink};

/// The time that is looked back.
const WINDOW: Duration = Duration::from_secs(2);
/// Frames that are looked back at most: [`WINDOW`] at 500 per second.
const MAX_FRAMES: usize = 1000;

/// Shared by the sink that measures and those who ask.
#[derive(Debug, Clone)]
pub struct Recent(Arc<Mutex<VecDeque<Arrival>>>);

#[derive(Debug, Clone, Copy)]
struct Arrival {
    at: Instant,
    latency: Duration,
}

/// The last two seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Moment {
    /// Frames per second.
    pub fps: f64,
    /// From a frame's capture until it was drawn, in milliseconds: the median; 0 where there was none.
    pub latency_ms: f64,
}

impl Default for Recent {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(VecDeque::with_capacity(MAX_FRAMES))))
    }
}

impl Recent {
    fn record(&self, at: Instant, latency: Duration) {
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if arrivals.len() == MAX_FRAMES {
            arrivals.pop_front();
        }
        arrivals.push_back(Arrival { at, latency });
    }

    /// The moments before `now`.
    pub fn moment(&self, now: Instant) -> Moment {
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while arrivals.front().is_some_and(|first| now.saturating_duration_since(first.at) > WINDOW) {
            arrivals.pop_front();
        }
        let count = arrivals.len();
        let (Some(first), true) = (arrivals.front(), count > 1) else { return Moment { fps: 0.0, latency_ms: 0.0 } };
        // Up to now, and not to the last frame: a run that stands still slows down at once.
        let seconds = now.saturating_duration_since(first.at).as_secs_f64().max(1e-3);
        let mut latencies: Vec<f64> = arrivals.iter().map(|arrival| arrival.latency.as_secs_f64() * 1e3).collect();
        drop(arrivals);
        latencies.sort_by(f64::total_cmp);
        let tenth = |value: f64| (value * 10.0).round() / 10.0;
        Moment { fps: tenth((count - 1) as f64 / seconds), latency_ms: tenth(latencies[count / 2]) }
    }
}

/// The sink that stands for those who watch over HTTP. The pictures reach them through
/// [`Control`](crate::live::Control); this one measures, and makes the run one in which the newest frame counts.
#[derive(Debug)]
pub struct Watched(Recent);

impl Watched {
    /// One that reports to `recent`.
    pub fn new(recent: Recent) -> Self {
        Self(recent)
    }
}

impl Sink for Watched {
    fn name(&self) -> &str {
        "http"
    }

    fn live(&self) -> bool {
        true
    }

    fn show(&mut self, frame: &Frame) -> Result<Flow> {
        let now = Instant::now();
        self.0.record(now, now.saturating_duration_since(frame.captured));
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_moments_count() {
        let (recent, began) = (Recent::default(), Instant::now());
        assert_eq!(recent.moment(began).fps, 0.0);
        let at = |ms| began + Duration::from_millis(ms);
        for n in 0..20 {
            recent.record(at(n), Duration::from_secs(9));
        }
        for n in 0..=100 {
            recent.record(at(5000 + n * 10), Duration::from_millis(7));
        }
        assert_eq!(recent.moment(at(6000)), Moment { fps: 100.0, latency_ms: 7.0 });
        assert_eq!(recent.moment(at(9000)).fps, 0.0, "it stands still");
    }
}
