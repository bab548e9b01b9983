//! The object that all who steer or watch a run share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::loader::{Opener, StyleLoader};
use super::settings::{Patch, Settings};
use crate::error::{Error, Result};
use crate::frame::SharedFrame;
use crate::style::Stylizer;

/// A photo and the picture that was made of it.
#[derive(Debug, Clone)]
pub struct Pair {
    /// As it was captured (mirrored where that was asked for).
    pub photo: SharedFrame,
    /// As the sinks get it.
    pub picture: SharedFrame,
    /// Counts the pairs of a run, from 1.
    pub number: u64,
}

/// Settings, the newest pair, and the next style. Clones share one state.
#[derive(Debug, Clone)]
pub struct Control(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Mutex<Settings>,
    /// Raised with every change of the settings, and when a style waits to be taken: a reader of each frame looks here
    /// alone.
    generation: AtomicU64,
    next_style: Mutex<Option<Stylizer>>,
    newest: Mutex<Newest>,
    arrived: Condvar,
    loader: Option<StyleLoader>,
}

#[derive(Debug, Default)]
struct Newest {
    pair: Option<Pair>,
    count: u64,
    ended: bool,
}

impl Control {
    /// A control with `settings` and, where styles may be changed, what opens them.
    ///
    /// # Errors
    /// [`Error::Tool`] where the system gives no thread for loading styles.
    pub fn new(settings: Settings, opener: Option<Opener>) -> Result<Self> {
        let loader = opener.map(StyleLoader::start).transpose()?;
        Ok(Self(Arc::new(Shared {
            settings: Mutex::new(settings),
            generation: AtomicU64::new(0),
            next_style: Mutex::new(None),
            newest: Mutex::new(Newest::default()),
            arrived: Condvar::new(),
            loader,
        })))
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Settings {
        lock(&self.0.settings).clone()
    }

    /// Differs from an earlier answer when the settings or the style have changed since.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Changes settings. Another style is loaded on a thread of its own, and taken once it is ready: until then the old one
    /// goes on. `done` is called, on that thread, with the settings that came of it; without a style in the patch at once.
    ///
    /// # Errors
    /// [`Error::Usage`] where a value is out of range or this run cannot change its style; nothing is changed then.
    pub fn patch(&self, patch: &Patch, done: impl FnOnce(Result<Settings>) + Send + 'static) -> Result<()> {
        patch.check()?;
        let style = patch.style.as_deref().filter(|style| *style != lock(&self.0.settings).style);
        let loader = match (style, &self.0.loader) {
            (Some(_), None) => return Err(Error::Usage("this run cannot change its style; start another one".into())),
            (_, loader) => loader.as_ref(),
        };
        self.change(|settings| settings.apply(patch));
        let (Some(style), Some(loader)) = (style, loader) else {
            done(Ok(self.settings()));
            return Ok(());
        };
        let control = self.clone();
        let name = style.to_string();
        loader.load(style, move |opened| {
            done(opened.map(|stylizer| {
                *lock(&control.0.next_style) = Some(stylizer);
                control.change(|settings| settings.style = name);
                control.settings()
            }));
        })
    }

    /// Loads the style `name` anew, where it is the one that is worn, and has it taken once it is ready: its file was
    /// replaced. `done` is called then; not at all where another style is worn.
    ///
    /// # Errors
    /// [`Error::Tool`] where styles can no longer be loaded.
    pub(crate) fn renew_style(&self, name: &str, done: impl FnOnce(Result<()>) + Send + 'static) -> Result<()> {
        let is_worn = |control: &Self, name: &str| lock(&control.0.settings).style == name;
        let Some(loader) = self.0.loader.as_ref().filter(|_| is_worn(self, name)) else { return Ok(()) };
        let (control, owned) = (self.clone(), name.to_string());
        loader.load(name, move |opened| {
            if is_worn(&control, &owned) {
                done(opened.map(|stylizer| {
                    *lock(&control.0.next_style) = Some(stylizer);
                    control.change(|_| ());
                }));
            }
        })
    }

    fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut lock(&self.0.settings));
        self.0.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The style that was chosen and loaded since this was last asked.
    pub(crate) fn take_style(&self) -> Option<Stylizer> {
        lock(&self.0.next_style).take()
    }

    /// Makes a pair the newest one, and wakes those who [wait](Control::newer_than).
    pub(crate) fn publish(&self, photo: SharedFrame, picture: SharedFrame) {
        let mut newest = lock(&self.0.newest);
        newest.count += 1;
        let number = newest.count;
        let before = newest.pair.replace(Pair { photo, picture, number });
        drop(newest);
        self.0.arrived.notify_all();
        // Frames go back to their pool outside of the lock.
        drop(before);
    }

    /// There will be no more pairs: nobody waits any longer, and no frame is held.
    pub(crate) fn end(&self) {
        let mut newest = lock(&self.0.newest);
        newest.ended = true;
        let last = newest.pair.take();
        drop(newest);
        self.0.arrived.notify_all();
        drop(last);
    }

    /// The newest pair, where there is one.
    pub fn newest(&self) -> Option<Pair> {
        lock(&self.0.newest).pair.clone()
    }

    /// Waits up to `patience` for a pair with a number above `number`. `None` where none came, or the run has ended.
    pub fn newer_than(&self, number: u64, patience: Duration) -> Option<Pair> {
        let deadline = Instant::now() + patience;
        let mut newest = lock(&self.0.newest);
        loop {
            if let Some(pair) = newest.pair.as_ref().filter(|pair| pair.number > number) {
                return Some(pair.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if newest.ended || left.is_zero() {
                return None;
            }
            newest = self.0.arrived.wait_timeout(newest, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether the run has ended.
    pub fn has_ended(&self) -> bool {
        lock(&self.0.newest).ended
    }
}

/// No code of ours panics while it holds one of these locks, so what they guard is whole.
fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use super::*;
    use crate::frame::{Pool, Size};

    fn settings() -> Settings {
        Settings { on: true, style: "off".into(), strength: 1.0, stability: 0.0, split: None, mirror: false }
    }

    fn opener() -> Opener {
        Box::new(|style: &str| match style {
            "missing" => Err(Error::Usage("there is no style 'missing'".into())),
            _ => Ok(Stylizer::off()),
        })
    }

    fn patched(control: &Control, patch: &Patch) -> Result<Settings> {
        let (told, told_to) = mpsc::channel();
        control.patch(patch, move |result| told.send(result).unwrap())?;
        told_to.recv().unwrap()
    }

    #[test]
    fn a_style_is_taken_once_it_is_loaded() {
        let control = Control::new(settings(), Some(opener())).unwrap();
        let before = control.generation();
        let patch = Patch { style: Some("other".into()), strength: Some(0.5), ..Patch::default() };
        let after = patched(&control, &patch).unwrap();
        assert_eq!((after.style.as_str(), after.strength), ("other", 0.5));
        assert_ne!(control.generation(), before);
        assert!(control.take_style().is_some());
        assert!(control.take_style().is_none(), "it is taken once");
    }

    #[test]
    fn a_style_is_taken_anew_while_it_is_worn() {
        let control = Control::new(settings(), Some(opener())).unwrap();
        let patch = Patch { style: Some("other".into()), ..Patch::default() };
        patched(&control, &patch).unwrap();
        assert!(control.take_style().is_some());
        let before = control.generation();
        let (told, told_to) = mpsc::channel();
        control.renew_style("third", |_| panic!("it is not worn")).unwrap();
        control.renew_style("other", move |renewed| told.send(renewed).unwrap()).unwrap();
        told_to.recv().unwrap().unwrap();
        assert!(control.take_style().is_some());
        assert!(control.generation() != before && control.settings().style == "other");
    }

    #[test]
    fn a_style_that_cannot_be_loaded_leaves_the_old_one() {
        let control = Control::new(settings(), Some(opener())).unwrap();
        let patch = Patch { style: Some("missing".into()), ..Patch::default() };
        let refused = patched(&control, &patch).unwrap_err().to_string();
        assert!(refused.contains("'missing'"), "{refused}");
        assert_eq!(control.settings().style, "off");
        assert!(control.take_style().is_none());
    }

    #[test]
    fn a_run_without_styles_refuses_another_and_changes_nothing() {
        let control = Control::new(settings(), None).unwrap();
        let patch = Patch { style: Some("other".into()), strength: Some(0.5), ..Patch::default() };
        assert!(matches!(patched(&control, &patch), Err(Error::Usage(_))));
        assert_eq!(control.settings(), settings());
        let same = Patch { style: Some("off".into()), strength: Some(0.5), ..Patch::default() };
        assert_eq!(patched(&control, &same).unwrap().strength, 0.5);
    }

    #[test]
    fn watchers_get_each_newest_pair_and_learn_of_the_end() {
        let control = Control::new(settings(), None).unwrap();
        let pool = Pool::default();
        let frame = || pool.take(Size::new(2, 2)).share();
        assert!(control.newer_than(0, Duration::ZERO).is_none());
        std::thread::scope(|s| {
            let watcher = s.spawn(|| control.newer_than(0, Duration::from_secs(60)).unwrap().number);
            control.publish(frame(), frame());
            assert_eq!(watcher.join().unwrap(), 1);
        });
        control.publish(frame(), frame());
        assert_eq!(control.newest().unwrap().number, 2);
        assert_eq!(pool.allocated(), 4, "an old pair's frames are used again once nobody holds them");
        control.publish(frame(), frame());
        assert_eq!(pool.allocated(), 4);
        std::thread::scope(|s| {
            let watcher = s.spawn(|| control.newer_than(3, Duration::from_secs(60)));
            control.end();
            assert!(watcher.join().unwrap().is_none());
        });
        assert!(control.has_ended() && control.newest().is_none());
    }
}
