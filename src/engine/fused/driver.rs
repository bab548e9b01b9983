//! The engine's threads, and the one job that lives on them.
//!
//! Entering a rayon pool from outside allocates now and then; handing a plan over to a job that waits within it does
//! not.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder, Yield};

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

/// Does `work` on this thread of a pool, while the pool's other threads look for parts of it without falling asleep: waking
/// one takes as long as a layer. Allocates nothing.
fn with_all_awake<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let done = AtomicBool::new(false);
    nested(rayon::current_num_threads() - 1, rayon::current_thread_index(), &done, work)
}

/// Does `work` beside `helpers` jobs that look for parts of it.
fn nested<T: Send>(helpers: usize, home: Option<usize>, done: &AtomicBool, work: impl FnOnce() -> T + Send) -> T {
    if helpers == 0 {
        let _sets_done = SetsDone(done);
        return work();
    }
    rayon::join(|| nested(helpers - 1, home, done, work), || help(home, done)).0
}

/// Sets a flag when it goes, also in a panic.
struct SetsDone<'a>(&'a AtomicBool);

impl Drop for SetsDone<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Takes on parts of the work until it is done. On its `home` thread, which may come by while it waits for a part that
/// another thread does, this would wait for itself.
fn help(home: Option<usize>, done: &AtomicBool) {
    /// Idle looks around before other programs are let in.
    const PATIENCE: u32 = 200;
    let mut idle = 0;
    while rayon::current_thread_index() != home && !done.load(Ordering::Acquire) {
        if rayon::yield_now() == Some(Yield::Executed) {
            idle = 0;
            continue;
        }
        idle += 1;
        if idle % PATIENCE == 0 {
            std::thread::yield_now();
        }
        std::hint::spin_loop();
    }
}

impl Shared {
    /// Computes what is asked for until the end; on a thread of the pool.
    fn serve(&self, network: &Network) {
        loop {
            let State::Asked(mut task) = self.wait(|state| matches!(state, State::Asked(_) | State::Ended)) else {
                return;
            };
            let computed =
                panic::catch_unwind(AssertUnwindSafe(|| with_all_awake(|| task.plan.compute(network, task.pass))));
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
