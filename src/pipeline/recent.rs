//! What happened in the last seconds: for those who look at a run while it goes on.

use std::time::Duration;

/// Events are counted in slots of this length.
const SLOT: Duration = Duration::from_millis(250);
/// Slots that a rate is taken over: two seconds, long enough to be read and short enough to follow.
const WINDOW: u64 = 8;
/// The slots of the window and the one that is being filled.
const KEPT: usize = WINDOW as usize + 1;
/// Latencies that are kept: those of two seconds at 60 frames per second, the newest ones of a faster run.
const LATENCIES: usize = 128;

/// Which slot a time since the start of the statistics lies in.
pub fn slot(since_start: Duration) -> u64 {
    u64::try_from(since_start.as_millis() / SLOT.as_millis()).unwrap_or(u64::MAX)
}

/// Counts events of one kind. Nothing is allocated, ever.
#[derive(Debug, Default, Clone, Copy)]
pub struct Meter {
    /// For each slot its number and its events; a slot is used again once it has left the window.
    slots: [(u64, u32); KEPT],
}

impl Meter {
    /// One event, now.
    pub fn count(&mut self, slot: u64) {
        let kept = &mut self.slots[(slot % KEPT as u64) as usize];
        if kept.0 != slot {
            *kept = (slot, 0);
        }
        kept.1 += 1;
    }

    /// Events per second over the window, whose last slot is the one before `slot`: the one that is being filled would
    /// make every rate too low. Less than a window after the start, over what there was.
    pub fn rate(&self, slot: u64) -> f64 {
        let first = slot.saturating_sub(WINDOW);
        let events: u32 = self.slots.iter().filter(|(n, _)| (first..slot).contains(n)).map(|(_, events)| events).sum();
        let seconds = (slot - first) as f64 * SLOT.as_secs_f64();
        if seconds > 0.0 { f64::from(events) / seconds } else { 0.0 }
    }
}

/// The newest latencies.
#[derive(Debug)]
pub struct Latencies {
    newest: [(u64, Duration); LATENCIES],
    count: usize,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { newest: [(0, Duration::ZERO); LATENCIES], count: 0 }
    }
}

impl Latencies {
    /// One more, now.
    pub fn record(&mut self, slot: u64, latency: Duration) {
        self.newest[self.count % LATENCIES] = (slot, latency);
        self.count += 1;
    }

    /// The times in milliseconds below which a half and 95 % of those in the window lie; zeros where there are none.
    pub fn quantiles(&self, slot: u64) -> (f64, f64) {
        let mut sorted = [Duration::ZERO; LATENCIES];
        let known = &self.newest[..self.count.min(LATENCIES)];
        let mut count = 0;
        for (to, (_, latency)) in sorted.iter_mut().zip(known.iter().filter(|(n, _)| n + WINDOW >= slot)) {
            *to = *latency;
            count += 1;
        }
        let sorted = &mut sorted[..count];
        sorted.sort_unstable();
        let quantile = |hundredths: usize| {
            let rank = (count * hundredths).div_ceil(100).saturating_sub(1);
            sorted.get(rank).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
        };
        (quantile(50), quantile(95))
    }
}

/// What [`Stats::recent`](super::stats::Stats::recent) tells, of the last two seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Recent {
    /// Frames per second that the source gave.
    pub capture_fps: f64,
    /// Frames per second that were stylized.
    pub stylize_fps: f64,
    /// Frames per second that the sink took, placeholders among them.
    pub show_fps: f64,
    /// Frames per second that a newer one replaced, before they were stylized or before the sink took them.
    pub drops: f64,
    /// The latency that half of the frames stayed below, in milliseconds, over all sinks.
    pub latency_p50: f64,
    /// The same for 95 % of the frames.
    pub latency_p95: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_follows_within_the_window() {
        let mut meter = Meter::default();
        assert_eq!(meter.rate(0), 0.0);
        // 40 per second for ten seconds, then 20, then none.
        for slot in 0..80 {
            let events = if slot < 40 { 10 } else { 5 };
            (0..events).for_each(|_| meter.count(slot));
            let rate = meter.rate(slot + 1);
            match slot {
                0..40 => assert_eq!(rate, 40.0, "slot {slot}"),
                47.. => assert_eq!(rate, 20.0, "slot {slot}"),
                _ => assert!((20.0..40.0).contains(&rate), "slot {slot}: {rate}"),
            }
        }
        assert_eq!(meter.rate(84), 10.0);
        assert_eq!(meter.rate(88), 0.0);
        assert_eq!(meter.rate(1000), 0.0);
    }

    #[test]
    fn the_slot_that_is_being_filled_does_not_count() {
        let mut meter = Meter::default();
        (0..10).for_each(|_| meter.count(0));
        meter.count(1);
        assert_eq!(meter.rate(1), 40.0);
    }

    #[test]
    fn latencies_are_of_the_window_alone() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantiles(0), (0.0, 0.0));
        for n in 0..1000 {
            latencies.record(n / 100, Duration::from_secs(9));
        }
        for n in 1..=100 {
            latencies.record(30, Duration::from_millis(n));
        }
        assert_eq!(latencies.quantiles(31), (50.0, 95.0));
        assert_eq!(latencies.quantiles(100), (0.0, 0.0));
    }

    #[test]
    fn slots_follow_the_clock() {
        assert_eq!(slot(Duration::from_millis(249)), 0);
        assert_eq!(slot(Duration::from_millis(250)), 1);
        assert_eq!(slot(Duration::from_secs(3600)), 14_400);
    }
}
