//! How a source is, for those who show it while it runs: the statistics, a display over the picture, a status page.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

/// How a source is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SourceStatus {
    /// It gives pictures.
    #[default]
    Running,
    /// It gives none, which is being put right.
    Retrying {
        /// Since when.
        since: Instant,
        /// How many times it was opened again so far, in vain.
        attempt: u32,
        /// Why, or why the last attempt failed: a sentence.
        last_reason: String,
    },
    /// It is let go, since nobody needs it.
    Resting {
        /// Since when.
        since: Instant,
    },
}

/// What [`SharedStatus`] tells a machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum StatusReport {
    /// It gives pictures.
    Running {
        /// How often it came back since the start.
        reconnects: u64,
    },
    /// It gives none, which is being put right.
    Retrying {
        /// How often it came back since the start.
        reconnects: u64,
        /// For how long, rounded to milliseconds.
        seconds: f64,
        /// How many times it was opened again so far, in vain.
        attempt: u32,
        /// Why: a sentence.
        reason: String,
    },
    /// It is let go, since nobody needs it.
    Resting {
        /// How often it came back since the start.
        reconnects: u64,
        /// For how long, rounded to milliseconds.
        seconds: f64,
    },
}

impl StatusReport {
    /// How often the source came back since the start.
    pub fn reconnects(&self) -> u64 {
        let (Self::Running { reconnects } | Self::Retrying { reconnects, .. } | Self::Resting { reconnects, .. }) =
            self;
        *reconnects
    }
}

/// A source's status, written by the source and read by all who have a clone.
#[derive(Debug, Clone, Default)]
pub struct SharedStatus(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    status: SourceStatus,
    reconnects: u64,
}

impl SharedStatus {
    /// How the source is now.
    pub fn get(&self) -> SourceStatus {
        self.lock().status.clone()
    }

    /// How often it came back since the start.
    pub fn reconnects(&self) -> u64 {
        self.lock().reconnects
    }

    /// The same for a machine.
    pub fn report(&self) -> StatusReport {
        let State { status, reconnects } = &*self.lock();
        match status {
            SourceStatus::Running => StatusReport::Running { reconnects: *reconnects },
            SourceStatus::Retrying { since, attempt, last_reason } => StatusReport::Retrying {
                reconnects: *reconnects,
                seconds: since.elapsed().as_millis() as f64 / 1e3,
                attempt: *attempt,
                reason: last_reason.clone(),
            },
            SourceStatus::Resting { since } => {
                StatusReport::Resting { reconnects: *reconnects, seconds: since.elapsed().as_millis() as f64 / 1e3 }
            }
        }
    }

    /// Says how the source is.
    pub(super) fn set(&self, status: SourceStatus, reconnects: u64) {
        *self.lock() = State { status, reconnects };
    }

    /// A state is replaced as a whole, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_clone_tells_the_same_and_so_does_json() {
        let status = SharedStatus::default();
        let reader = status.clone();
        assert_eq!(
            serde_json::to_value(reader.report()).unwrap(),
            serde_json::json!({"state": "running", "reconnects": 0})
        );
        let retrying = SourceStatus::Retrying { since: Instant::now(), attempt: 2, last_reason: "it is gone".into() };
        status.set(retrying.clone(), 5);
        assert_eq!((reader.get(), reader.reconnects()), (retrying, 5));
        let json = serde_json::to_value(reader.report()).unwrap();
        assert_eq!((&json["state"], &json["reconnects"]), (&"retrying".into(), &5.into()));
        assert_eq!((&json["attempt"], &json["reason"]), (&2.into(), &"it is gone".into()));
        assert!(json["seconds"].as_f64().unwrap() >= 0.0);
    }
}
