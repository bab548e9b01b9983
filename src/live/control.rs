//! The object that all who steer or watch a run share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::loader::{Look, Opener, StyleLoader};
use super::settings::{Patch, Settings};
use crate::error::{Error, Result};
use crate::frame::SharedFrame;
use crate::style::{RESTORER, Stylizer};
use crate::threads::guarded;

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
    wish: Mutex<Wish>,
    newest: Mutex<Newest>,
    arrived: Condvar,
    loader: Option<StyleLoader>,
}

/// Which look is wanted: of several wishes the last one counts.
#[derive(Debug, Default)]
struct Wish {
    /// Counts the wishes of a run.
    number: u64,
    /// What is being loaded.
    look: Option<Look>,
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
            wish: Mutex::default(),
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

    /// Changes settings. Another style, or what restores photos, is loaded on a thread of its own, tried on the newest photo,
    /// and taken once it has been drawn with: until then the old one goes on. Where another is wished for meanwhile, only the
    /// last wish is carried out. `done` is called, on that thread, with the settings that came of it; without anything to
    /// load in the patch at once.
    ///
    /// # Errors
    /// [`Error::Usage`] where a value is out of range or this run cannot change its style; nothing is changed then.
    pub fn patch(&self, patch: &Patch, done: impl FnOnce(Result<Settings>) + Send + 'static) -> Result<()> {
        patch.check()?;
        if self.0.loader.is_none() && patch.look_after(&self.settings().look()) != self.settings().look() {
            return Err(Error::Usage("this run cannot change its style; start another one".into()));
        }
        let order = if patch.style.is_some() || patch.enhance.is_some() { self.wish(patch) } else { None };
        self.change(|settings| settings.apply(patch));
        let (Some((number, look)), Some(loader)) = (order, &self.0.loader) else {
            done(Ok(self.settings()));
            return Ok(());
        };
        let (asked, loading) = (self.clone(), self.clone());
        loader.load(
            look.clone(),
            move || lock(&asked.0.wish).number == number,
            move |opened| done(loading.loaded(number, look, opened)),
        )
    }

    /// Makes the look that `patch` leads to the one that is wanted: what it does not name is as it was last wished for.
    /// Returns the wish's number and the look, where it has to be loaded.
    fn wish(&self, patch: &Patch) -> Option<(u64, Look)> {
        let mut wish = lock(&self.0.wish);
        let shown = lock(&self.0.settings).look();
        let look = patch.look_after(wish.look.as_ref().unwrap_or(&shown));
        wish.number += 1;
        wish.look = (look != shown).then_some(look);
        wish.look.clone().map(|look| (wish.number, look))
    }

    /// What becomes of a look that was loaded for a wish, or of a wish that was overtaken.
    fn loaded(&self, number: u64, look: Look, opened: Option<Result<Stylizer>>) -> Result<Settings> {
        let tried = opened.map(|opened| self.tried(opened)).transpose();
        let mut wish = lock(&self.0.wish);
        if wish.number == number {
            wish.look = None;
            if let Some(stylizer) = tried? {
                *lock(&self.0.next_style) = Some(stylizer);
                self.change(|settings| (settings.style, settings.enhance) = (look.style, look.enhance));
            }
        }
        drop(wish);
        Ok(self.settings())
    }

    /// A style that was drawn with once, aside: its memory is there then, and a fault of it is known before anybody sees it.
    fn tried(&self, opened: Result<Stylizer>) -> Result<Stylizer> {
        let mut stylizer = opened?;
        guarded("styles", || {
            if let Some(pair) = self.newest() {
                let mut picture = vec![0; pair.photo.pixels.len()];
                stylizer.run(&pair.photo.pixels, pair.photo.size, &mut picture)?;
            }
            Ok(stylizer)
        })
    }

    /// Loads the style `name` anew, where it is worn or restores photos, and has it taken once it is ready: its file was
    /// replaced. `done` is called then; not at all where something else is worn.
    ///
    /// # Errors
    /// [`Error::Tool`] where styles can no longer be loaded.
    pub(crate) fn renew_style(&self, name: &str, done: impl FnOnce(Result<()>) + Send + 'static) -> Result<()> {
        let worn = lock(&self.0.settings).look();
        let is_part = worn.style == name || (worn.enhance && name == RESTORER);
        let Some(loader) = self.0.loader.as_ref().filter(|_| is_part) else { return Ok(()) };
        let is_worn = |control: &Self, look: &Look| lock(&control.0.settings).look() == *look;
        let (asked, loading, wanted, look) = (self.clone(), self.clone(), worn.clone(), worn.clone());
        loader.load(
            worn,
            move || is_worn(&asked, &wanted),
            move |opened| {
                let Some(tried) = opened.map(|opened| loading.tried(opened)) else { return };
                if is_worn(&loading, &look) {
                    done(tried.map(|stylizer| {
                        *lock(&loading.0.next_style) = Some(stylizer);
                        loading.change(|_| ());
                    }));
                }
            },
        )
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
        Settings::of_style("off")
    }

    fn opener() -> Opener {
        Box::new(|look: &Look| match look.style.as_str() {
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
    fn restoring_photos_is_loaded_with_the_style_that_was_last_wished_for() {
        let (opened, openings) = mpsc::channel();
        let opener: Opener = Box::new(move |look: &Look| {
            opened.send((look.style.clone(), look.enhance)).unwrap();
            if look.style == "plain" && look.enhance { Err(Error::Usage("no".into())) } else { Ok(Stylizer::off()) }
        });
        let control = Control::new(settings(), Some(opener)).unwrap();
        let wish = |style: Option<&str>, enhance: Option<bool>| {
            let patch = Patch { style: style.map(str::to_string), enhance, ..Patch::default() };
            let settings = patched(&control, &patch)?;
            Ok::<_, Error>((settings.style, settings.enhance))
        };
        let opened = || openings.try_recv().ok();
        assert_eq!(wish(None, Some(true)).unwrap(), ("off".into(), true));
        assert_eq!((opened(), control.take_style().is_some()), (Some(("off".into(), true)), true));
        assert_eq!(wish(None, Some(true)).unwrap(), ("off".into(), true));
        assert_eq!(opened(), None, "it is so already");
        assert_eq!(wish(Some("other"), None).unwrap(), ("other".into(), true));
        assert_eq!(opened(), Some(("other".into(), true)));
        wish(Some("plain"), None).unwrap_err();
        assert_eq!((control.settings().style.as_str(), control.settings().enhance), ("other", true));
        assert_eq!(wish(Some("plain"), Some(false)).unwrap(), ("plain".into(), false));
        (0..2).for_each(|_| drop(opened()));
        // Its file was replaced: it is worn only where photos are restored.
        control.renew_style(RESTORER, |_| panic!("it is not worn")).unwrap();
        wish(Some("other"), Some(true)).unwrap();
        assert_eq!(opened(), Some(("other".into(), true)));
        let (told, told_to) = mpsc::channel();
        control.renew_style(RESTORER, move |renewed| told.send(renewed).unwrap()).unwrap();
        told_to.recv().unwrap().unwrap();
        assert_eq!(opened(), Some(("other".into(), true)));
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
    fn of_several_wishes_the_last_one_counts() {
        let (go, gone) = mpsc::channel();
        let (opened, openings) = mpsc::channel();
        let opener: Opener = Box::new(move |look: &Look| {
            opened.send(look.style.clone()).unwrap();
            gone.recv().unwrap();
            if look.style == "broken" { panic!("the file breaks the opener") } else { Ok(Stylizer::off()) }
        });
        let control = Control::new(settings(), Some(opener)).unwrap();
        let (told, ends) = mpsc::channel();
        let wish = |style: &str| {
            let told = told.clone();
            let patch = Patch { style: Some(style.into()), ..Patch::default() };
            control.patch(&patch, move |result| told.send(result.map(|settings| settings.style)).unwrap()).unwrap();
        };
        let ended = || ends.recv_timeout(Duration::from_secs(60)).unwrap();
        wish("slow");
        assert_eq!(openings.recv().unwrap(), "slow");
        wish("overtaken");
        wish("last");
        (0..2).for_each(|_| go.send(()).unwrap());
        let told: Vec<String> = (0..3).map(|_| ended().unwrap()).collect();
        assert_eq!(told, ["off", "off", "last"]);
        assert_eq!(openings.recv().unwrap(), "last", "what was overtaken before its turn is not opened");

        // Back to the one that is shown, while another is loaded.
        wish("slow");
        assert_eq!(openings.recv().unwrap(), "slow");
        wish("last");
        go.send(()).unwrap();
        assert_eq!([ended().unwrap(), ended().unwrap()], ["last", "last"]);

        // A file that breaks the thread leaves it whole for the next one.
        wish("broken");
        go.send(()).unwrap();
        assert!(ended().unwrap_err().to_string().contains("the file breaks the opener"));
        wish("mended");
        go.send(()).unwrap();
        assert_eq!(ended().unwrap(), "mended");
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
