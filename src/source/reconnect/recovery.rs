//! When a device is opened again: arithmetic alone, the time is given.

use std::time::{Duration, Instant};

/// From the loss, or the first failure, to the next attempt; doubled after each one up to [`LONGEST_PAUSE`].
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(500);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Pictures come.
    Running,
    /// The next attempt begins then.
    Waiting(Instant),
    /// The device is being opened.
    Opening,
    /// The device is open and has given no picture so far.
    Starting,
    /// It is closed, since nobody needs it.
    Resting,
}

/// The way from a lost device to its next picture.
#[derive(Debug)]
pub(super) struct Recovery {
    phase: Phase,
    /// Since when there is no picture; of no meaning while it runs.
    since: Instant,
    /// Attempts since then.
    attempt: u32,
    reason: String,
    /// Whether there was ever a picture.
    ran: bool,
    reconnects: u64,
}

impl Recovery {
    /// A device that runs.
    pub(super) fn running(now: Instant) -> Self {
        Self { phase: Phase::Running, since: now, attempt: 0, reason: String::new(), ran: true, reconnects: 0 }
    }

    /// A device that could not be opened, for `reason`.
    pub(super) fn waiting(now: Instant, reason: String) -> Self {
        let phase = Phase::Waiting(now + FIRST_PAUSE);
        Self { phase, since: now, attempt: 0, reason, ran: false, reconnects: 0 }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn since(&self) -> Instant {
        self.since
    }

    pub(super) fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    pub(super) fn ran(&self) -> bool {
        self.ran
    }

    pub(super) fn reconnects(&self) -> u64 {
        self.reconnects
    }

    /// It gives no pictures any more, or could not be opened. Whether the reason is another one than before.
    pub(super) fn failed(&mut self, now: Instant, reason: String) -> bool {
        if self.phase == Phase::Running {
            self.since = now;
            self.attempt = 0;
        }
        self.phase = Phase::Waiting(now + pause(self.attempt));
        let news = self.reason != reason;
        self.reason = reason;
        news
    }

    /// It is needed no longer; whether it can rest now, which it cannot while it is being opened.
    pub(super) fn rest(&mut self, now: Instant) -> bool {
        let can = !matches!(self.phase, Phase::Opening | Phase::Resting);
        if can {
            self.phase = Phase::Resting;
            self.since = now;
        }
        can
    }

    /// It is needed again: an attempt is due at once. What rested was not lost, so that this is no reconnect.
    pub(super) fn wake(&mut self, now: Instant) {
        *self = Self { reconnects: self.reconnects, ..Self::waiting(now, String::new()) };
        self.phase = Phase::Waiting(now);
    }

    /// Whether an attempt is due; it begins with that.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let due = matches!(self.phase, Phase::Waiting(until) if now >= until);
        if due {
            self.attempt = self.attempt.saturating_add(1);
            self.phase = Phase::Opening;
        }
        due
    }

    /// It was opened.
    pub(super) fn opened(&mut self) {
        self.phase = Phase::Starting;
    }

    /// It gave a picture. Whether that is the first one after a loss.
    pub(super) fn pictured(&mut self) -> bool {
        let back = self.phase != Phase::Running;
        if back {
            self.phase = Phase::Running;
            self.reconnects += u64::from(self.ran);
            self.ran = true;
            self.reason.clear();
        }
        back
    }
}

/// From a failure to the next attempt, after so many attempts.
fn pause(attempts: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << attempts.min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<u128> = (0..7).map(|n| pause(n).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn a_picture_makes_it_impatient_again() {
        let start = Instant::now();
        let mut recovery = Recovery::running(start);
        let mut now = start;
        let mut waits = Vec::new();
        recovery.failed(now, "gone".into());
        for attempt in 0..4 {
            let Phase::Waiting(until) = recovery.phase() else { panic!("it waits") };
            assert!(!recovery.begin(until - Duration::from_nanos(1)));
            assert!(recovery.begin(until) && !recovery.begin(until), "it begins once");
            waits.push((until - now).as_millis());
            now = until;
            assert_eq!(recovery.attempt(), attempt + 1);
            if attempt < 2 {
                recovery.failed(now, "still gone".into());
            } else {
                recovery.opened();
                assert_eq!(recovery.phase(), Phase::Starting);
                if attempt == 2 {
                    // Opened, and not one picture: no recovery.
                    recovery.failed(now, "silent".into());
                }
            }
        }
        assert_eq!(waits, [500, 1000, 2000, 4000]);
        assert_eq!((recovery.since(), recovery.reconnects()), (start, 0));
        assert!(recovery.pictured() && !recovery.pictured());
        assert_eq!((recovery.phase(), recovery.reconnects()), (Phase::Running, 1));
        recovery.failed(now, "gone".into());
        assert_eq!((recovery.phase(), recovery.attempt()), (Phase::Waiting(now + FIRST_PAUSE), 0));
        assert_eq!(recovery.since(), now);
    }

    #[test]
    fn what_rests_is_opened_at_once_when_it_is_needed_again() {
        let start = Instant::now();
        let mut recovery = Recovery::running(start);
        assert!(recovery.rest(start) && !recovery.rest(start));
        assert!(!recovery.begin(start + Duration::from_secs(3600)));
        let later = start + Duration::from_secs(3600);
        recovery.wake(later);
        assert!(recovery.begin(later));
        assert!(!recovery.rest(later), "it is being opened");
        recovery.opened();
        assert!(recovery.pictured());
        assert_eq!((recovery.reconnects(), recovery.phase()), (0, Phase::Running));
    }

    #[test]
    fn only_a_new_reason_is_news() {
        let now = Instant::now();
        let mut recovery = Recovery::waiting(now, "none found".into());
        assert!(!recovery.failed(now, "none found".into()));
        assert!(recovery.failed(now, "in use".into()));
        assert!(!recovery.failed(now, "in use".into()));
    }

    #[test]
    fn the_first_picture_of_a_device_waited_for_is_no_reconnect() {
        let mut recovery = Recovery::waiting(Instant::now(), "none found".into());
        recovery.opened();
        assert!(recovery.pictured());
        assert_eq!(recovery.reconnects(), 0);
    }
}
