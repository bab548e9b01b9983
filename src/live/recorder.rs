//! The pictures of a run, kept as a video.

mod file;

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Control, Messages};
use crate::error::{Error, Result};
use crate::frame::Rate;
use crate::threads;
pub use file::RecordingKind;
use file::{Place, RecordedFile};

/// Recordings that may be under completion while another one begins.
const MAX_ENDING: usize = 4;
/// How often a recording that gets no pictures looks whether it is to end.
const TICK: Duration = Duration::from_millis(100);

/// Records what a [`Control`] publishes, on a thread of its own that takes the newest picture whenever it is ready for
/// one: a slow encoder or disk loses pictures of the recording and nothing else. It plays at the speed of life.
///
/// While it goes on, a recording lies beside its place under a name of its own, `clip.recording.mp4` for `clip.mp4`, and
/// can be played there after a crash. At its end it takes its place. Clones share one recorder.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    control: Control,
    folder: Option<PathBuf>,
    rate: Rate,
    messages: Messages,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    /// Those before it that are still being completed.
    ending: Vec<Running>,
    /// The first failure.
    failed: Option<Error>,
}

#[derive(Debug)]
struct Running {
    since: Instant,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Recorder {
    /// A recorder of what `control` publishes, `rate` pictures per second, which names its files itself in `folder`.
    pub fn new(control: Control, folder: Option<PathBuf>, rate: Rate, messages: Messages) -> Self {
        Self(Arc::new(Shared { control, folder, rate, messages, state: Mutex::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when it records, where it does.
    pub fn since(&self) -> Option<Instant> {
        let goes_on = |running: &&Running| !running.stop.load(Ordering::Acquire) && !running.thread.is_finished();
        self.state().running.as_ref().filter(goes_on).map(|running| running.since)
    }

    /// Begins a recording, into a file in the folder named after the time where `path` is not given. One that goes on is
    /// asked to end, and not waited for.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is neither a path nor a folder, [`Error::Io`] where there can be no file at the path,
    /// [`Error::Tool`] where too many are still being completed
    /// or the system gives no thread.
    pub fn start(&self, path: Option<&Path>) -> Result<()> {
        let Shared { control, folder, rate, .. } = &*self.0;
        let place = match (path, folder) {
            // Whoever names a file wants to know at once that it cannot be written.
            (Some(path), _) => Place::file(path)?,
            (None, Some(folder)) => Place::Folder(folder.clone()),
            (None, None) => {
                return Err(Error::Usage("there is no folder for videos; give one with --recordings".into()));
            }
        };
        let (control, rate) = (control.clone(), *rate);
        self.begin(move |stop, messages| record(&control, place, rate, stop, messages))
    }

    /// Has `work` done on a thread of its own, as the recording that goes on from now on.
    fn begin(&self, work: impl FnOnce(&AtomicBool, &Messages) -> Result<()> + Send + 'static) -> Result<()> {
        let mut state = self.state();
        state.retire();
        if state.ending.len() > MAX_ENDING {
            return Err(Error::Tool("the recordings before this one are still being completed; wait a moment".into()));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let work = {
            let (messages, stop) = (self.0.messages.clone(), Arc::clone(&stop));
            move || {
                let outcome = work(&stop, &messages);
                if let Err(error) = &outcome {
                    messages.complain(format!("The recording ended: {error}"));
                }
                outcome
            }
        };
        let thread = threads::spawn("record", work)?;
        state.running = Some(Running { since: Instant::now(), stop, thread });
        Ok(())
    }

    /// Asks the recording to end, and does not wait for that.
    pub fn stop(&self) {
        if let Some(running) = &self.state().running {
            running.stop.store(true, Ordering::Release);
        }
    }

    /// Ends the recording, where there is one, and waits until the files of all are complete.
    ///
    /// # Errors
    /// Why the first recording that failed did.
    pub fn finish(&self) -> Result<()> {
        let mut state = self.state();
        state.retire();
        let ending = mem::take(&mut state.ending);
        let mut failed = state.failed.take();
        // Others may look at the state meanwhile.
        drop(state);
        for running in ending {
            failed = failed.or(running.join());
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Running {
    /// Waits for its end; tells why it failed, where it did.
    fn join(self) -> Option<Error> {
        let broke = |_| Err(Error::Tool("the part 'record' broke; please report this as a bug".into()));
        self.thread.join().unwrap_or_else(broke).err()
    }
}

impl State {
    /// Asks the recording to end, and lets go of those that have ended.
    fn retire(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.store(true, Ordering::Release);
            self.ending.push(running);
        }
        for running in mem::take(&mut self.ending) {
            if running.thread.is_finished() {
                let failed = running.join();
                self.failed = self.failed.take().or(failed);
            } else {
                self.ending.push(running);
            }
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.retire();
        for running in mem::take(&mut self.ending) {
            // Nobody is left who would ask why it failed; its message said so.
            let _ = running.join();
        }
    }
}

fn record(control: &Control, place: Place, rate: Rate, stop: &AtomicBool, messages: &Messages) -> Result<()> {
    place.prepare()?;
    let mut number = 0;
    let mut next = || loop {
        match control.newer_than(number, TICK) {
            Some(pair) => {
                number = pair.number;
                return Some(pair.picture);
            }
            None if control.has_ended() || stop.load(Ordering::Acquire) => return None,
            None => {}
        }
    };
    let Some(picture) = next() else { return Err(place.give_back()) };
    let mut file = RecordedFile::begin(place.claim()?, picture.size, rate)?;
    let path = file.path().to_path_buf();
    messages.say(format!("Recording to {}", path.display()));
    let mut outcome = file.add(&picture);
    drop(picture);
    while outcome.is_ok()
        && !stop.load(Ordering::Acquire)
        && let Some(picture) = next()
    {
        outcome = file.add(&picture);
    }
    // What was written before a failure is kept too.
    let finished = file.finish();
    let frames = outcome.and(finished).inspect_err(|_| {
        if path.exists() {
            messages.say(format!("What was recorded until it ended: {}", path.display()));
        }
    })?;
    messages.say(format!("Recorded {frames} pictures: {}", path.display()));
    Ok(())
}

#[cfg(test)]
mod tests;
