//! What a run does of itself: snapshots after a countdown, styles in turn, and a rest when nobody is there.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::motion::Motion;
use super::{Control, Messages, Pair, Patch, Snapshots};
use crate::error::{Error, Result};
use crate::frame::FrameKind;
use crate::source::Rest;
use crate::style::RESTORER;

/// How often it is looked whether anything moves.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a run does of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KioskConfig {
    /// From the wish for a snapshot until it is taken.
    pub countdown: Duration,
    /// For how long a style is shown before the next one has its turn, where they take turns.
    pub attract: Option<Duration>,
    /// After how long without anybody the camera is let go, where it is.
    pub idle: Option<Duration>,
}

type Done = Box<dyn FnOnce(Result<PathBuf>) + Send>;
/// Lists the names of the styles that there are.
pub type StyleList = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Looks after a run. Clones share one state: the window's keys and the HTTP service tell it who is there and what is
/// wished, and the run's own thread lets it [do](Attendant::tick) what is due.
#[derive(Clone)]
pub struct Attendant(Arc<Shared>);

struct Shared {
    config: KioskConfig,
    control: Control,
    snapshots: Snapshots,
    styles: StyleList,
    messages: Messages,
    rest: Rest,
    state: Mutex<State>,
}

struct State {
    /// When there was last somebody.
    seen: Instant,
    turn: Turn,
    /// When the snapshot is due that is being counted down, and who waits for it.
    counting: Option<(Instant, Done)>,
    looked: Instant,
    motion: Motion,
}

/// The style that is shown.
struct Turn {
    /// When it came, or was to go.
    since: Instant,
    style: String,
    /// The one that was to follow it last: one that cannot be loaded does not keep those behind it away.
    followed_by: String,
}

impl fmt::Debug for Attendant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attendant").field(&self.0.config).finish()
    }
}

impl Attendant {
    /// One for the run of `control`, whose source rests when `rest` says so.
    pub fn new(
        config: KioskConfig,
        control: Control,
        snapshots: Snapshots,
        styles: StyleList,
        messages: Messages,
        rest: Rest,
    ) -> Self {
        let now = Instant::now();
        let style = control.settings().style;
        let turn = Turn { since: now, followed_by: style.clone(), style };
        let state = State { seen: now, turn, counting: None, looked: now, motion: Motion::default() };
        Self(Arc::new(Shared { config, control, snapshots, styles, messages, rest, state: Mutex::new(state) }))
    }

    /// The styles that there are.
    pub fn styles(&self) -> Vec<String> {
        (self.0.styles)()
    }

    /// Somebody is there: a source that rests is wanted again.
    pub fn somebody(&self) {
        self.seen(&mut self.lock(), Instant::now());
    }

    fn seen(&self, state: &mut State, now: Instant) {
        state.seen = now;
        if self.0.rest.end() {
            tracing::info!("somebody is there: the camera is wanted again");
            state.motion.forget();
        }
    }

    /// Takes a snapshot, after the countdown where there is one, and then calls `done`.
    ///
    /// # Errors
    /// [`Error::Camera`] where there is no picture, not yet or not now, [`Error::Usage`] where one is being counted down already,
    /// [`Error::Tool`] where too many wait to be written.
    pub fn snapshot(&self, done: impl FnOnce(Result<PathBuf>) + Send + 'static) -> Result<()> {
        let now = Instant::now();
        let mut state = self.lock();
        self.seen(&mut state, now);
        if self.0.config.countdown.is_zero() {
            drop(state);
            return self.0.snapshots.take(self.picture()?, done);
        }
        if state.counting.is_some() {
            return Err(Error::Usage("a snapshot is being counted down already; wait for it".into()));
        }
        state.counting = Some((now + self.0.config.countdown, Box::new(done)));
        Ok(())
    }

    /// The newest pair, where it is one that a camera took.
    fn picture(&self) -> Result<Pair> {
        match self.0.control.newest() {
            None => Err(Error::Camera("there is no picture yet to keep; wait a moment".into())),
            Some(pair) if pair.picture.kind == FrameKind::Placeholder => {
                Err(Error::Camera("the camera is away, so there is no picture to keep; wait until it is back".into()))
            }
            Some(pair) => Ok(pair),
        }
    }

    /// The seconds until the snapshot that is being counted down, from the countdown's length to 1.
    pub fn seconds_left(&self) -> Option<u64> {
        let state = self.lock();
        let due = state.counting.as_ref()?.0;
        let left = due.saturating_duration_since(Instant::now());
        Some((left.as_millis().div_ceil(1000) as u64).max(1))
    }

    /// Does what is due at `now`. To be called several times a second; it never waits.
    pub fn tick(&self, now: Instant) {
        let mut state = self.lock();
        let due = state.counting.take_if(|(due, _)| *due <= now);
        if state.counting.is_some() {
            // Who waits for a snapshot is there.
            state.seen = now;
        }
        self.look(&mut state, now);
        let next = self.next_style(&mut state, now);
        drop(state);
        if let Some((_, done)) = due {
            match self.picture() {
                Ok(pair) => {
                    if let Err(error) = self.0.snapshots.take(pair, done) {
                        self.0.messages.complain(format!("No snapshot: {error}"));
                    }
                }
                Err(error) => done(Err(error)),
            }
        }
        if let Some(style) = next {
            self.show(style);
        }
    }

    /// Lets the source rest when there has been nobody for long.
    fn look(&self, state: &mut State, now: Instant) {
        let Some(idle) = self.0.config.idle else { return };
        if now.saturating_duration_since(state.looked) < LOOK_EVERY || self.0.rest.is_on() {
            return;
        }
        state.looked = now;
        match self.0.control.newest() {
            // Its clock moves, and what is before the camera afterwards may be something else.
            Some(pair) if pair.photo.kind == FrameKind::Placeholder => state.motion.forget(),
            Some(pair) if state.motion.look(&pair.photo) => state.seen = now,
            _ => {}
        }
        if now.saturating_duration_since(state.seen) >= idle {
            tracing::info!("nobody for {} minutes: the camera is let go", idle.as_secs().div_ceil(60));
            self.0.rest.begin();
        }
    }

    /// The style whose turn it is, when one has been shown long enough.
    fn next_style(&self, state: &mut State, now: Instant) -> Option<String> {
        let attract = self.0.config.attract?;
        let shown = self.0.control.settings().style;
        let turn = &mut state.turn;
        if turn.style != shown {
            *turn = Turn { since: now, followed_by: shown.clone(), style: shown };
            return None;
        }
        if now.saturating_duration_since(turn.since) < attract || self.0.rest.is_on() {
            return None;
        }
        turn.since = now;
        let styles = self.styles();
        let place = styles.iter().position(|style| *style == turn.followed_by).map_or(0, |place| place + 1);
        let after = styles.iter().cycle().skip(place).take(styles.len());
        // A restored photo is no picture to attract anybody with.
        let next = after.into_iter().find(|style| **style != shown && *style != RESTORER)?.clone();
        turn.followed_by.clone_from(&next);
        Some(next)
    }

    fn show(&self, style: String) {
        let messages = self.0.messages.clone();
        let patch = Patch { style: Some(style.clone()), ..Patch::default() };
        let asked = self.0.control.patch(&patch, move |shown| {
            if let Err(error) = shown {
                messages.complain(format!("Style {style}: {error}"));
            }
        });
        if let Err(error) = asked {
            self.0.messages.complain(error.to_string());
        }
    }

    /// Each change of the state is complete before anything that could panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
