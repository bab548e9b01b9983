//! What a service manager is told: that pictures come, and that they still do.

use std::time::{Duration, Instant};

use crate::pipeline::stats::Stats;

/// Tells systemd how a run goes, where it has asked (`Type=notify`, `WatchdogSec=`): sd_notify(3). A run that shows no
/// picture any more, not even a placeholder, is left to the watchdog, which starts it anew.
#[derive(Debug)]
pub struct Service {
    /// Half of the time after which the watchdog barks, where there is one.
    every: Option<Duration>,
    last: Option<Instant>,
    /// Pictures at the last sign of life.
    pictures: u64,
}

impl Service {
    /// What this process was asked to tell.
    pub fn new() -> Self {
        Self { every: watchdog().map(|patience| patience / 2), last: None, pictures: 0 }
    }

    /// Gives a sign of life where one is due; to be called several times a second.
    pub fn tick(&mut self, stats: &Stats, now: Instant) {
        let pictures = stats.pictures();
        if pictures == self.pictures {
            return;
        }
        if self.last.is_none() {
            notify(Sign::Ready);
        }
        let is_due = |every: Duration| self.last.is_none_or(|last| now.saturating_duration_since(last) >= every);
        if self.every.is_some_and(is_due) {
            notify(Sign::Alive);
        } else if self.last.is_some() {
            return;
        }
        self.last = Some(now);
        self.pictures = pictures;
    }

    /// Tells that the run ends.
    pub fn finish(self) {
        notify(Sign::Stopping);
    }
}

enum Sign {
    Ready,
    Alive,
    Stopping,
}

#[cfg(target_os = "linux")]
fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

#[cfg(target_os = "linux")]
fn notify(sign: Sign) {
    let state = match sign {
        Sign::Ready => sd_notify::NotifyState::Ready,
        Sign::Alive => sd_notify::NotifyState::Watchdog,
        Sign::Stopping => sd_notify::NotifyState::Stopping,
    };
    // A service manager that does not listen will act as it must.
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!("the service manager cannot be told: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn watchdog() -> Option<Duration> {
    None
}

#[cfg(not(target_os = "linux"))]
fn notify(_: Sign) {}
