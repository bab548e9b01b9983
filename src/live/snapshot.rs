//! Single pictures of a run, kept.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::JoinHandle;

use super::Pair;
use crate::error::{Error, Result};
use crate::folders;
use crate::frame::Frame;
use crate::picture::{Format, Picture, Written};
use crate::threads;

/// Pictures that may wait to be written: each holds two frames.
const WAITING: usize = 4;

/// How snapshots are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotConfig {
    /// Where; it is made when it is missing.
    pub folder: PathBuf,
    /// What they are written as; a photo beside one, which is no drawing, then as PNG.
    pub written: Written,
    /// Whether the photo is kept beside the picture, under its name and `-original`.
    pub original: bool,
}

type Done = Box<dyn FnOnce(Result<PathBuf>) + Send>;

struct Order {
    pair: Pair,
    done: Done,
}

/// Writes snapshots on a thread of its own. Dropping it completes those that wait.
#[derive(Debug)]
pub struct Snapshots {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`Error::Tool`] where the system gives none.
    pub fn start(config: SnapshotConfig) -> Result<Self> {
        let (orders, ordered) = mpsc::sync_channel::<Order>(WAITING);
        let work = move || {
            for Order { pair, done } in ordered {
                done(keep(&config, &pair));
            }
        };
        let thread = threads::spawn("snapshots", work)?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Keeps `pair`, and then calls `done` on the thread with the picture's path. It never waits.
    ///
    /// # Errors
    /// [`Error::Tool`] where too many wait already.
    pub fn take(&self, pair: Pair, done: impl FnOnce(Result<PathBuf>) + Send + 'static) -> Result<()> {
        let sent = self.orders.as_ref().map(|orders| orders.try_send(Order { pair, done: Box::new(done) }));
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => {
                Err(Error::Tool("the snapshots before this one are still being written; wait a moment".into()))
            }
            _ => Err(Error::Tool("snapshots can no longer be written; start nijigen again".into())),
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been reported when it happened.
            let _ = thread.join();
        }
    }
}

fn keep(config: &SnapshotConfig, pair: &Pair) -> Result<PathBuf> {
    let SnapshotConfig { folder, written, original } = config;
    folders::make(folder)?;
    let path = folders::name_by_time(folder, written.ending());
    if *original {
        let format = written.format();
        write(&beside(&path, format), &pair.photo, Written::Pixels(format))?;
    }
    write(&path, &pair.picture, *written)?;
    Ok(path)
}

/// Where the photo of the picture at `path` lies.
fn beside(path: &Path, format: Format) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-original{}", format.ending()))
}

fn write(path: &Path, frame: &Frame, written: Written) -> Result<()> {
    let picture = Picture { size: frame.size, rgb: frame.pixels.clone(), alpha: None, profile: None };
    written.write(path, picture, &|| false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::frame::{Pool, SharedFrame, Size};
    use crate::picture;
    use std::fs;

    fn frame(value: u8) -> SharedFrame {
        let mut frame = Pool::default().take(Size::new(8, 4));
        frame.pixels.fill(value);
        frame.share()
    }

    fn pair() -> Pair {
        Pair { photo: frame(10), picture: frame(200), number: 1 }
    }

    fn taken(snapshots: &Snapshots) -> Result<PathBuf> {
        let (told, told_to) = mpsc::channel();
        snapshots.take(pair(), move |result| told.send(result).unwrap())?;
        told_to.recv().unwrap()
    }

    #[test]
    fn the_picture_and_its_photo_are_kept_each_time() {
        let folder = tempfile::tempdir().unwrap();
        for (written, original) in [(Written::Pixels(Format::Png), true), (Written::Pixels(Format::Jpeg), false)] {
            let folder = folder.path().join(format!("new/{original}"));
            let snapshots = Snapshots::start(SnapshotConfig { folder: folder.clone(), written, original }).unwrap();
            let first = taken(&snapshots).unwrap();
            let second = taken(&snapshots).unwrap();
            assert_ne!(first, second);
            let picture = picture::read(&first).unwrap();
            assert_eq!((picture.size, picture.rgb[0].abs_diff(200) < 3), (Size::new(8, 4), true));
            let files = fs::read_dir(&folder).unwrap().count();
            assert_eq!(files, if original { 4 } else { 2 });
            if original {
                assert_eq!(picture::read(&beside(&second, Format::Png)).unwrap().rgb[0], 10);
            }
        }
    }

    #[cfg(feature = "svg")]
    #[test]
    fn a_drawing_has_its_photo_in_pixels() {
        let folder = tempfile::tempdir().unwrap();
        let config = SnapshotConfig { folder: folder.path().into(), written: Written::Areas, original: true };
        let path = taken(&Snapshots::start(config).unwrap()).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("<svg"));
        assert_eq!(picture::read(&beside(&path, Format::Png)).unwrap().rgb[0], 10);
    }

    #[test]
    fn what_waits_is_written_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let config =
            SnapshotConfig { folder: folder.path().into(), written: Written::Pixels(Format::Png), original: false };
        let snapshots = Snapshots::start(config).unwrap();
        snapshots.take(pair(), |_| ()).unwrap();
        drop(snapshots);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let config = SnapshotConfig { folder: file.join("in"), written: Written::Pixels(Format::Png), original: false };
        assert!(taken(&Snapshots::start(config).unwrap()).unwrap_err().to_string().contains("file"));
    }
}
