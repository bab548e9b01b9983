//! The styles that may be chosen while a run goes on: a file that is put into a styles folder is looked at, and offered
//! once it is known to work.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::{Control, Messages};
use crate::error::{Error, Result};
use crate::frame::Size;
use crate::style::{Found, Registry, Stylizer};

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

/// What is on the shelf. Clones share it.
#[derive(Debug, Clone)]
pub struct Shelf(Arc<Mutex<Vec<Found>>>);

/// When a file was last changed, and how long it is: another answer is another file.
type Version = (Option<SystemTime>, u64);

struct Keeper {
    shelf: Shelf,
    registry: Registry,
    trial: Trial,
    messages: Messages,
    /// Files that were looked at, and whether they can be used.
    known: HashMap<PathBuf, (Version, bool)>,
    /// Whether what is found now was there from the beginning.
    first: bool,
}

impl Shelf {
    /// Puts the styles that are part of the binary onto a shelf, and those of the folders once they were tried: on a thread
    /// of its own that begins when the run of `control` has its first picture, and ends with it. What becomes of files that
    /// come later is told by `messages`.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder that the user named cannot be read, [`Error::Tool`] where the system gives no thread.
    pub fn start(registry: Registry, control: Control, trial: Trial, messages: Messages) -> Result<Self> {
        let built_in = registry.list()?.into_iter().filter(|style| style.path.is_none()).collect();
        let shelf = Self(Arc::new(Mutex::new(built_in)));
        let mut keeper = Keeper { shelf: shelf.clone(), registry, trial, messages, known: HashMap::new(), first: true };
        let work = move || {
            while control.newest().is_none() && !control.has_ended() {
                control.newer_than(0, Duration::from_secs(1));
            }
            let (signs, watcher) = watch(&keeper.registry);
            keeper.look();
            keeper.first = false;
            while !control.has_ended() && next_look(&signs) {
                keeper.look();
            }
            drop(watcher);
        };
        thread::Builder::new()
            .name("shelf".into())
            .spawn(work)
            .map_err(|e| Error::Tool(format!("the system gives no thread for 'shelf' ({e}); close other programs")))?;
        Ok(shelf)
    }

    /// The styles that can be used now.
    pub fn styles(&self) -> Vec<Found> {
        self.lock().clone()
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.lock().iter().map(|style| style.name.clone()).collect()
    }

    /// It is replaced as a whole.
    fn lock(&self) -> MutexGuard<'_, Vec<Found>> {
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

/// Waits until there is a reason to look; false where there will be none any more.
fn next_look(signs: &Receiver<()>) -> bool {
    match signs.recv_timeout(LOOK_EVERY) {
        Ok(()) => {
            while signs.recv_timeout(SETTLED).is_ok() {}
            true
        }
        Err(RecvTimeoutError::Timeout) => true,
        Err(RecvTimeoutError::Disconnected) => {
            thread::sleep(LOOK_EVERY);
            true
        }
    }
}

impl Keeper {
    /// Brings the shelf up to date.
    fn look(&mut self) {
        let Ok(found) = self.registry.list() else { return };
        let mut offered = Vec::new();
        for style in found {
            let is_usable = match &style.path {
                None => true,
                Some(path) => self.try_file(&style.name, &path.clone()),
            };
            if is_usable {
                offered.push(style);
            }
        }
        self.known.retain(|path, _| path.exists());
        *self.shelf.lock() = offered;
    }

    /// Whether the file can be used. It is tried once for each version of it.
    fn try_file(&mut self, name: &str, path: &Path) -> bool {
        let Ok(version) = version(path) else { return false };
        if let Some((known, is_usable)) = self.known.get(path)
            && *known == version
        {
            return *is_usable;
        }
        let tried = (self.trial)(&path.to_string_lossy()).and_then(|mut stylizer| {
            let photo = vec![128; TRIAL.rgb_len()];
            stylizer.run(&photo, TRIAL, &mut vec![0; TRIAL.rgb_len()])
        });
        match &tried {
            Ok(()) if self.first => {}
            Ok(()) => self.messages.say(format!("New style: {name}")),
            Err(_) if is_growing(version) => return false,
            Err(error) if self.first => tracing::warn!("{name} is not offered: {error}"),
            Err(error) => self.messages.complain(format!("{name} is not offered: {error}")),
        }
        self.known.insert(path.into(), (version, tried.is_ok()));
        tried.is_ok()
    }
}

fn version(path: &Path) -> std::io::Result<Version> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.modified().ok(), metadata.len()))
}

fn is_growing((modified, _): Version) -> bool {
    modified.and_then(|modified| modified.elapsed().ok()).is_some_and(|age| age < GROWING)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::frame::Pool;
    use crate::live::Settings;

    fn shelf(folder: &Path) -> (Shelf, Control, Messages) {
        let settings =
            Settings { on: true, style: "off".into(), strength: 1.0, stability: 0.0, split: None, mirror: false };
        let control = Control::new(settings, None).unwrap();
        let trial: Trial = Box::new(|path: &str| match fs::read_to_string(path).unwrap().as_str() {
            "style" => Ok(Stylizer::off()),
            _ => Err(Error::Style("this is no style".into())),
        });
        let messages = Messages::default();
        let registry = Registry::discover(Some(folder));
        (Shelf::start(registry, control.clone(), trial, messages.clone()).unwrap(), control, messages)
    }

    fn first_picture(control: &Control) {
        let frame = Pool::default().take(Size::new(2, 2)).share();
        control.publish(frame.clone(), frame);
    }

    /// Whether `is` becomes true within the time that a change may take.
    fn soon(is: impl Fn() -> bool) -> bool {
        (0..2000).any(|_| {
            thread::sleep(Duration::from_millis(10));
            is()
        })
    }

    #[test]
    fn what_works_is_offered_and_what_does_not_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        fs::write(file("old.onnx"), "style").unwrap();
        let (shelf, control, messages) = shelf(folder.path());
        let has = |name: &str| shelf.names().iter().any(|offered| offered == name);
        assert!(has("anime") && !has("old"), "the binary's own, and nothing that was not tried");
        first_picture(&control);
        assert!(soon(|| has("old")));

        fs::write(file("new.onnx"), "style").unwrap();
        assert!(soon(|| has("new")));
        let mut said = String::new();
        messages.read(&mut said);
        assert_eq!(said, "New style: new");

        fs::write(file("broken.onnx"), "nonsense").unwrap();
        let complains = || {
            let mut said = String::new();
            messages.read(&mut said);
            said.contains("broken is not offered: this is no style")
        };
        assert!(soon(complains));
        assert!(!has("broken"));
        fs::write(file("broken.onnx"), "style").unwrap();
        assert!(soon(|| has("broken")));

        fs::remove_file(file("new.onnx")).unwrap();
        assert!(soon(|| !has("new")));
        control.end();
    }

    #[test]
    fn a_folder_that_is_missing_is_said_at_the_start() {
        let control = Control::new(
            Settings { on: true, style: "off".into(), strength: 1.0, stability: 0.0, split: None, mirror: false },
            None,
        );
        let registry = Registry::discover(Some(Path::new("/nowhere")));
        let trial: Trial = Box::new(|_: &str| Ok(Stylizer::off()));
        let error = Shelf::start(registry, control.unwrap(), trial, Messages::default()).unwrap_err();
        assert!(error.to_string().contains("/nowhere"));
    }
}
