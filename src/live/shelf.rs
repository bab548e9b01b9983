//! The styles that may be chosen while a run goes on: a file that is put into a styles folder is looked at, and offered
//! once it is known to work.

use std::collections::HashMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::{Control, Messages};
use crate::error::{Error, Result};
use crate::frame::Size;
use crate::style::{Found, Registry, Stylizer, check_name};
use crate::threads;

/// From the last sign of a change until the folders are looked at: files come in pieces.
const SETTLED: Duration = Duration::from_millis(300);
/// The folders are looked at so often without a sign too: file systems of a network give none.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// A file that cannot be used may only be incomplete as long as it was changed so short a time ago.
const GROWING: Duration = Duration::from_secs(3);
/// The picture that a style is tried on.
const TRIAL: Size = Size::new(64, 64);

/// Opens a style by its path, apart from the run's own.
pub type Trial = Box<dyn FnMut(&str) -> Result<Stylizer> + Send>;

/// A style that may be chosen.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Its name, and its file where it has one.
    pub style: Found,
    /// Another number is another version of it: its file was replaced, or another file has its name now.
    pub edition: u64,
}

impl Offer {
    /// By what it is opened: its file, or else its name.
    pub fn address(&self) -> String {
        self.style.path.as_ref().map_or_else(|| self.style.name.clone(), |path| path.to_string_lossy().into_owned())
    }
}

/// What is on the shelf. Clones share it.
#[derive(Debug, Clone)]
pub struct Shelf(Arc<Mutex<Vec<Offer>>>);

/// What tells that a file is another one: when it was changed, how long it is, and where it lies on the disk.
type Stamp = (Option<SystemTime>, u64, u64);
/// Of a style's file and its card.
type Version = (Stamp, Option<Stamp>);

/// A file that was looked at.
struct Known {
    version: Version,
    /// `None` where it cannot be used.
    edition: Option<u64>,
}

struct Keeper {
    shelf: Shelf,
    registry: Registry,
    control: Control,
    trial: Trial,
    messages: Messages,
    known: HashMap<PathBuf, Known>,
    editions: u64,
    /// By name, what was last offered.
    offered: HashMap<String, u64>,
    /// Files that share the name of another one, which is used.
    beaten: HashMap<PathBuf, Option<PathBuf>>,
    /// Whether what is found now was there from the beginning.
    first: bool,
    /// Whether there is a file that may only be incomplete.
    is_waiting: bool,
}

impl Shelf {
    /// Puts the styles that are part of the binary onto a shelf, and those of the folders once they were tried: on a thread
    /// of its own that begins when the run of `control` has its first picture, and ends with it. What becomes of files that
    /// come later is told by `messages`. Where the style that is worn gets another version, the run takes that.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder that the user named cannot be read, [`Error::Tool`] where the system gives no thread.
    pub fn start(registry: Registry, control: Control, trial: Trial, messages: Messages) -> Result<Self> {
        let built_in = registry.list()?.into_iter().filter(|style| style.path.is_none());
        let shelf = Self(Arc::new(Mutex::new(built_in.map(|style| Offer { style, edition: 0 }).collect())));
        let mut keeper = Keeper {
            shelf: shelf.clone(),
            registry,
            control: control.clone(),
            trial,
            messages,
            known: HashMap::new(),
            editions: 0,
            offered: HashMap::new(),
            beaten: HashMap::new(),
            first: true,
            is_waiting: false,
        };
        let work = move || {
            while control.newest().is_none() && !control.has_ended() {
                control.newer_than(0, Duration::from_secs(1));
            }
            let (signs, watcher) = watch(&keeper.registry);
            keeper.look();
            keeper.first = false;
            while !control.has_ended() {
                next_look(&signs, if keeper.is_waiting { GROWING } else { LOOK_EVERY });
                keeper.look();
            }
            drop(watcher);
        };
        threads::spawn("shelf", work)?;
        Ok(shelf)
    }

    /// The styles that can be used now.
    pub fn styles(&self) -> Vec<Offer> {
        self.lock().clone()
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.lock().iter().map(|offer| offer.style.name.clone()).collect()
    }

    /// It is replaced as a whole.
    fn lock(&self) -> MutexGuard<'_, Vec<Offer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches the folders that there are.
fn watch(registry: &Registry) -> (Receiver<()>, Option<RecommendedWatcher>) {
    let (sender, signs) = mpsc::channel();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Who reads a file changes nothing.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            // The keeper ends with the run, and nobody listens then.
            let _ = sender.send(());
        }
    });
    let watcher = watcher.and_then(|mut watcher| {
        for folder in registry.folders().filter(|folder| folder.is_dir()) {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    });
    if let Err(error) = &watcher {
        tracing::info!(
            "the system tells of no changes in the styles' folders ({error}); they are looked at now and then"
        );
    }
    (signs, watcher.ok())
}

/// Waits until there is a reason to look, at most `patience`.
fn next_look(signs: &Receiver<()>, patience: Duration) {
    match signs.recv_timeout(patience) {
        Ok(()) => {
            // A folder that never comes to rest is looked at all the same.
            let deadline = Instant::now() + LOOK_EVERY;
            while signs.recv_timeout(SETTLED).is_ok() && Instant::now() < deadline {}
        }
        Err(RecvTimeoutError::Timeout) => {}
        Err(RecvTimeoutError::Disconnected) => thread::sleep(patience),
    }
}

impl Keeper {
    /// Brings the shelf up to date.
    fn look(&mut self) {
        let Ok(found) = self.registry.list_all() else { return };
        self.is_waiting = false;
        let mut offers: Vec<Offer> = Vec::new();
        let mut beaten = Vec::new();
        for style in found {
            let edition = match &style.path {
                None => Some(0),
                Some(path) => self.edition(&style.name, path),
            };
            let Some(edition) = edition else { continue };
            match offers.iter().find(|offer| offer.style.name == style.name) {
                Some(used) => beaten.push((style, used.style.path.clone())),
                None => offers.push(Offer { style, edition }),
            }
        }
        self.known.retain(|path, _| path.exists());
        self.beaten.retain(|path, _| path.exists());
        *self.shelf.lock() = offers.clone();
        for Offer { style, edition } in offers {
            if let Some(path) = &style.path {
                self.beaten.remove(path);
            }
            let before = self.offered.insert(style.name.clone(), edition);
            if !self.first && before != Some(edition) {
                self.tell_of_offer(&style.name, before.is_some());
            }
        }
        for (style, used) in beaten {
            self.tell_of_beaten(&style, used);
        }
    }

    /// The edition of a file that can be used. It is tried once for each version of it.
    fn edition(&mut self, name: &str, path: &Path) -> Option<u64> {
        let version = version(path).ok()?;
        if let Some(known) = self.known.get(path).filter(|known| known.version == version) {
            return known.edition;
        }
        let tried = check_name(name)
            .map_err(|why| Error::Style(format!("{why}, as name in its card")))
            .and_then(|()| self.try_file(path));
        match &tried {
            Ok(()) => {}
            Err(_) if is_growing(version) => {
                self.is_waiting = true;
                return None;
            }
            Err(error) if self.first => tracing::warn!("{name} is not offered: {error}"),
            Err(error) => self.messages.complain(format!("{name} is not offered: {error}")),
        }
        self.editions += 1;
        let edition = tried.is_ok().then_some(self.editions);
        self.known.insert(path.into(), Known { version, edition });
        edition
    }

    /// Draws a picture with the style of a file. One that breaks shall not end this thread too.
    fn try_file(&mut self, path: &Path) -> Result<()> {
        let work = || {
            let photo = vec![128; TRIAL.rgb_len()];
            (self.trial)(&path.to_string_lossy())?.run(&photo, TRIAL, &mut vec![0; TRIAL.rgb_len()])
        };
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(Error::Style(format!("drawing with {} breaks; export the style again", path.display())))
        })
    }

    fn tell_of_offer(&self, name: &str, is_known: bool) {
        if !is_known {
            return self.messages.say(format!("New style: {name}"));
        }
        self.messages.say(format!("New version of the style {name}"));
        let (messages, owned) = (self.messages.clone(), name.to_string());
        let renewed = self.control.renew_style(name, move |renewed| match renewed {
            Ok(()) => tracing::info!("the new version of the style {owned} is shown"),
            Err(error) => messages.complain(format!("Style {owned}: {error}")),
        });
        if let Err(error) = renewed {
            self.messages.complain(error.to_string());
        }
    }

    /// Tells once that a file is not used for the name that it shares with another one, or with a style of the binary.
    fn tell_of_beaten(&mut self, style: &Found, used: Option<PathBuf>) {
        let Some(path) = &style.path else { return };
        if self.beaten.get(path) == Some(&used) {
            return;
        }
        let winner = used.as_ref();
        let winner = winner.map_or_else(|| "that of nijigen itself".to_string(), |path| path.display().to_string());
        self.beaten.insert(path.clone(), used);
        let text = format!("Two styles are named {}: {winner} is used, {} is not", style.name, path.display());
        if self.first { tracing::warn!("{text}") } else { self.messages.complain(text) }
    }
}

fn version(path: &Path) -> std::io::Result<Version> {
    Ok((stamp(path)?, stamp(&path.with_extension("toml")).ok()))
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    #[cfg(unix)]
    let place = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let place = 0;
    Ok((metadata.modified().ok(), metadata.len(), place))
}

fn is_growing((file, card): Version) -> bool {
    let is_young =
        |(modified, ..): Stamp| modified.and_then(|modified| modified.elapsed().ok()).is_some_and(|age| age < GROWING);
    is_young(file) || card.is_some_and(is_young)
}

#[cfg(test)]
mod tests;
