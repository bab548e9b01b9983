//! The engine's threads, and the one job that lives on them.
//!
//! Entering a rayon pool from outside allocates now and then; handing a plan over to a job that waits within it does
//! not.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::network::Network;
use super::plan::{Pass, Plan};
use crate::error::{Error, Result};

/// A plan whose frame has been taken in, and how it is to be computed.
pub(super) struct Task {
    pub(super) plan: Plan,
    pub(super) pass: Pass,
    /// Multiply-accumulates that were computed, once it is done.
    pub(super) macs: u64,
}

/// Where a task is.
enum State {
    Idle,
    Asked(Task),
    Done(Task),
    Failed,
    Ended,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The threads on which a network runs.
pub(super) struct Driver {
    shared: Arc<Shared>,
    _pool: ThreadPool,
}

impl Driver {
    /// Starts `threads` threads.
    pub(super) fn new(network: Arc<Network>, threads: usize) -> Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("band-{i}"))
            .build()
            .map_err(|error| Error::Style(format!("the engine's threads cannot be started: {error}")))?;
        let shared = Arc::new(Shared { state: Mutex::new(State::Idle), changed: Condvar::new() });
        let theirs = Arc::clone(&shared);
        pool.spawn(move || theirs.serve(&network));
        Ok(Self { shared, _pool: pool })
    }

    /// Computes a task and waits for it; `None` when that panicked.
    pub(super) fn run(&self, task: Task) -> Option<Task> {
        self.shared.set(State::Asked(task));
        match self.shared.wait(|state| matches!(state, State::Done(_) | State::Failed)) {
            State::Done(task) => Some(task),
            _ => None,
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.set(State::Ended);
    }
}

impl Shared {
    /// Computes what is asked for until the end; on a thread of the pool.
    fn serve(&self, network: &Network) {
        loop {
            let State::Asked(mut task) = self.wait(|state| matches!(state, State::Asked(_) | State::Ended)) else {
                return;
            };
            let computed = panic::catch_unwind(AssertUnwindSafe(|| task.plan.compute(network, task.pass)));
            self.set(match computed {
                Ok(macs) => State::Done(Task { macs, ..task }),
                // What is in the plan's buffers is not known.
                Err(_) => State::Failed,
            });
        }
    }

    fn set(&self, state: State) {
        *self.lock() = state;
        self.changed.notify_all();
    }

    /// Waits for such a state and takes it.
    fn wait(&self, is_wanted: impl Fn(&State) -> bool) -> State {
        let mut state = self.lock();
        while !is_wanted(&state) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::replace(&mut *state, State::Idle)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
