//! The pictures of a run, kept as a video.

use std::fs::{self, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Control, Messages};
use crate::error::{Error, Result};
use crate::ffmpeg::{self, Recording};
use crate::folders;
use crate::frame::{Frame, Rate, Size};
use crate::pixels::yuv::Chroma;
use crate::sink::y4m::Encoder;
use crate::y4m::Header;

/// Recordings that may be under completion while another one begins.
const MAX_ENDING: usize = 4;
/// How often a recording that gets no pictures looks whether it is to end.
const TICK: Duration = Duration::from_millis(100);

/// What a recording is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingKind {
    /// Through ffmpeg.
    Mp4,
    /// By ourselves; large.
    Y4m,
}

impl RecordingKind {
    /// The kind that a file name's extension stands for.
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "mp4" => Some(Self::Mp4),
            "y4m" => Some(Self::Y4m),
            _ => None,
        }
    }

    /// The one that this computer can write.
    fn available() -> Self {
        if ffmpeg::vsync_option().is_ok() { Self::Mp4 } else { Self::Y4m }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Mp4 => ".mp4",
            Self::Y4m => ".y4m",
        }
    }
}

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
    /// [`Error::Usage`] where there is neither a path nor a folder, [`Error::Tool`] where too many are still being completed
    /// or the system gives no thread.
    pub fn start(&self, path: Option<&Path>) -> Result<()> {
        let Shared { control, folder, rate, .. } = &*self.0;
        let place = match (path, folder) {
            (Some(path), _) => Place::File(path.to_path_buf()),
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
        let thread = thread::Builder::new().name("record".into()).spawn(work);
        let thread = thread
            .map_err(|e| Error::Tool(format!("the system gives no thread for 'record' ({e}); close other programs")))?;
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

/// Where a recording goes.
enum Place {
    File(PathBuf),
    /// Into this folder, which is made when it is missing.
    Folder(PathBuf),
}

/// A recording's place, and the empty file that keeps it.
struct Claim {
    path: PathBuf,
    kind: RecordingKind,
    working: PathBuf,
    file: fs::File,
}

impl Place {
    /// Makes the folder.
    fn prepare(&self) -> Result<()> {
        let Self::Folder(folder) = self else { return Ok(()) };
        fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))
    }

    fn claim(&self) -> Result<Claim> {
        match self {
            Self::File(path) => {
                let kind = RecordingKind::of_path(path)
                    .ok_or_else(|| Error::Usage(format!("'{}': a recording is .mp4 or .y4m", path.display())))?;
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                let folder = path.parent().unwrap_or(Path::new(""));
                let working = folders::unused(folder, &format!("{stem}.recording"), kind.ending());
                let file = new_file(&working).map_err(|error| Error::io("write", path, error))?;
                Ok(Claim { path: path.clone(), kind, working, file })
            }
            Self::Folder(folder) => {
                let kind = RecordingKind::available();
                for stem in folders::numbered(&folders::stem_by_time()) {
                    let path = folder.join(format!("{stem}{}", kind.ending()));
                    let working = folder.join(format!("{stem}.recording{}", kind.ending()));
                    match new_file(&working) {
                        // The one before, of the same second, may just have taken its place.
                        Ok(_) if path.symlink_metadata().is_ok() => {
                            let _ = fs::remove_file(&working);
                        }
                        Ok(file) => return Ok(Claim { path, kind, working, file }),
                        // It is still being completed.
                        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                        Err(error) => return Err(Error::io("write", &path, error)),
                    }
                }
                unreachable!("there is always one more number")
            }
        }
    }

    /// For people, while it is not claimed.
    fn name(&self) -> std::path::Display<'_> {
        match self {
            Self::File(path) | Self::Folder(path) => path.display(),
        }
    }
}

fn new_file(path: &Path) -> std::io::Result<fs::File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn record(control: &Control, place: Place, rate: Rate, stop: &AtomicBool, messages: &Messages) -> Result<()> {
    place.prepare()?;
    let mut file: Option<RecordedFile> = None;
    let mut number = 0;
    let outcome = loop {
        let Some(pair) = control.newer_than(number, TICK) else {
            if control.has_ended() || stop.load(Ordering::Acquire) {
                break Ok(());
            }
            continue;
        };
        number = pair.number;
        let picture = &pair.picture;
        let added = match &mut file {
            None => place.claim().and_then(|claim| RecordedFile::begin(claim, picture.size, rate)).and_then(|begun| {
                messages.say(format!("Recording to {}", begun.path.display()));
                file.insert(begun).add(picture)
            }),
            Some(file) => file.add(picture),
        };
        if added.is_err() || stop.load(Ordering::Acquire) {
            break added;
        }
    };
    let Some(file) = file else {
        return outcome.and(Err(Error::Input(format!("{}: no picture came, so nothing was recorded", place.name()))));
    };
    // What was written before a failure is kept too.
    let path = file.path.clone();
    let frames = file.finish()?;
    outcome?;
    messages.say(format!("Recorded {frames} pictures: {}", path.display()));
    Ok(())
}

/// A recording under its other name.
struct RecordedFile {
    path: PathBuf,
    working: PathBuf,
    size: Size,
    first: Option<Instant>,
    pictures: u64,
    format: Format,
}

enum Format {
    Mp4(Recording),
    Y4m { file: BufWriter<fs::File>, encoder: Encoder, beat: Beat },
}

impl RecordedFile {
    fn begin(claim: Claim, size: Size, rate: Rate) -> Result<Self> {
        let Claim { path, kind, working, mut file } = claim;
        let failed = |error| Error::io("write", &path, error);
        let format = match kind {
            RecordingKind::Mp4 => Recording::create(&working, size, rate).map(Format::Mp4),
            RecordingKind::Y4m => {
                let header = Header::new(size, Some(rate), Chroma::C420);
                file.write_all(header.line().as_bytes()).map_err(failed).map(|()| Format::Y4m {
                    file: BufWriter::new(file),
                    encoder: Encoder::new(header),
                    beat: Beat { rate, written: 0 },
                })
            }
        };
        let format = format.inspect_err(|_| {
            // Nothing is in it; that it stays is less than why.
            let _ = fs::remove_file(&working);
        })?;
        Ok(Self { path, working, size, first: None, pictures: 0, format })
    }

    fn add(&mut self, picture: &Frame) -> Result<()> {
        if picture.size != self.size {
            let (first, now) = (self.size, picture.size);
            return Err(Error::Input(format!("pictures changed their size from {first} to {now}; record again")));
        }
        let first = *self.first.get_or_insert(picture.captured);
        let at = picture.captured.saturating_duration_since(first);
        match &mut self.format {
            Format::Mp4(recording) => recording.add(picture, at)?,
            Format::Y4m { file, encoder, beat } => {
                let failed = |error| Error::io("write", &self.working, error);
                let Some(repeats) = beat.repeats_before(at) else { return Ok(()) };
                for _ in 0..repeats {
                    file.write_all(encoder.encoded()).map_err(failed)?;
                }
                file.write_all(encoder.encode(picture)).map_err(failed)?;
            }
        }
        self.pictures += 1;
        Ok(())
    }

    /// Puts the file into its place; tells how many pictures it holds, repeated ones aside.
    fn finish(self) -> Result<u64> {
        let path = self.path;
        let failed = |error| Error::io("write", &path, error);
        match self.format {
            Format::Mp4(recording) => recording.finish()?,
            Format::Y4m { file, .. } => {
                file.into_inner().map_err(|error| failed(error.into_error()))?;
            }
        }
        fs::rename(&self.working, &path).map_err(failed)?;
        Ok(self.pictures)
    }
}

/// Keeps a file without times at the speed of life.
#[derive(Debug)]
struct Beat {
    rate: Rate,
    /// Pictures in the file.
    written: u64,
}

impl Beat {
    /// How often the picture before is to be written again before one that is shown `at` this time after the start;
    /// `None` where its place is taken. Counts both.
    fn repeats_before(&mut self, at: Duration) -> Option<u64> {
        let place = (at.as_secs_f64() * self.rate.as_f64()).round() as u64;
        let repeats = place.checked_sub(self.written)?;
        self.written = place + 1;
        Some(repeats)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::frame::{Pool, SharedFrame};
    use crate::live::Settings;

    const SIZE: Size = Size::new(32, 16);

    fn control() -> Control {
        let settings =
            Settings { on: true, style: "off".into(), strength: 1.0, stability: 0.0, split: None, mirror: false };
        Control::new(settings, None).unwrap()
    }

    fn frame(value: u8, captured: Instant) -> SharedFrame {
        let mut frame = Pool::default().take(SIZE);
        frame.pixels.fill(value);
        frame.captured = captured;
        frame.share()
    }

    /// Publishes a picture every 20 ms, `frames` in all, as if one came every 100 ms.
    fn publish(control: &Control, frames: u64) {
        let start = Instant::now();
        (0..frames).for_each(|n| publish_one(control, start, n));
    }

    fn publish_one(control: &Control, start: Instant, n: u64) {
        let frame = frame((n as u8).wrapping_mul(20), start + Duration::from_millis(100 * n));
        control.publish(frame.clone(), frame);
        thread::sleep(Duration::from_millis(20));
    }

    fn recorder(control: &Control, folder: Option<PathBuf>) -> Recorder {
        Recorder::new(control.clone(), folder, Rate::new(20, 1).unwrap(), Messages::default())
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn pictures_have_their_places_in_time() {
        let mut beat = Beat { rate: Rate::new(10, 1).unwrap(), written: 0 };
        let mut at = |millis| beat.repeats_before(Duration::from_millis(millis));
        assert_eq!((at(0), at(100), at(130), at(200)), (Some(0), Some(0), None, Some(0)));
        // Three are missing: the one before stands for them.
        assert_eq!((at(600), at(640), at(700)), (Some(3), None, Some(0)));
    }

    #[test]
    fn a_y4m_recording_lasts_as_long_as_its_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.y4m");
        let control = control();
        let recorder = recorder(&control, None);
        recorder.start(Some(&path)).unwrap();
        publish(&control, 5);
        assert!(recorder.since().is_some());
        control.end();
        recorder.finish().unwrap();
        assert_eq!(names(folder.path()), ["a.y4m"]);
        let bytes = fs::read(&path).unwrap();
        let header = Header::read(&mut &bytes[..], "it").unwrap();
        assert_eq!(header.rate, Rate::new(20, 1));
        // From 0 to 400 ms there are 9 places at 20 per second; however many pictures were taken, the last one is at its own.
        let frames = (bytes.len() - header.line().len()) / (b"FRAME\n".len() + header.frame_len());
        assert!((7..=9).contains(&frames), "{frames}");
    }

    #[test]
    fn a_recording_can_be_played_while_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let control = control();
        let recorder = recorder(&control, Some(folder.path().join("new")));
        recorder.start(None).unwrap();
        publish(&control, 40);
        let folder = folder.path().join("new");
        let working = names(&folder);
        assert!(working[0].ends_with(".recording.mp4"), "{working:?}");
        // A copy of what lies there now is what a crash leaves behind.
        let cut = folder.join("cut.mp4");
        let plays = || {
            fs::copy(folder.join(&working[0]), &cut).unwrap();
            ffmpeg::probe(&cut).is_ok()
        };
        // ffmpeg is another process, which takes its time, and the recorder leaves out what comes meanwhile.
        let start = Instant::now() + Duration::from_secs(4);
        assert!((0..3000).any(|n| {
            publish_one(&control, start, n);
            n % 20 == 0 && plays()
        }));
        recorder.stop();
        assert!(recorder.since().is_none());
        recorder.finish().unwrap();
        let whole = names(&folder).into_iter().find(|name| name.starts_with("nijigen-")).unwrap();
        assert!(!whole.contains("recording"), "{whole}");
        let probe = ffmpeg::probe(&folder.join(whole)).unwrap();
        assert_eq!(probe.rate, Rate::new(20, 1).unwrap());
    }

    #[test]
    fn another_recording_waits_for_none_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let control = control();
        let recorder = recorder(&control, Some(folder.path().into()));
        // One whose ffmpeg or disk stands still.
        let (end, stuck) = std::sync::mpsc::channel::<()>();
        recorder.begin(move |_, _| stuck.recv().map_err(|_| Error::Tool("it was stuck".into()))).unwrap();
        recorder.stop();
        assert!(recorder.since().is_none());
        let start = Instant::now();
        let mut n = 0;
        // Twice within a second: neither takes the other's place.
        for _ in 0..2 {
            recorder.start(None).unwrap();
            let known = names(folder.path()).len();
            while names(folder.path()).len() == known {
                publish_one(&control, start, n);
                n += 1;
            }
            assert!(recorder.since().is_some());
            recorder.stop();
        }
        drop(end);
        assert!(recorder.finish().unwrap_err().to_string().contains("it was stuck"));
        let names = names(folder.path());
        assert!(names.len() == 2 && names.iter().all(|name| !name.contains("recording")), "{names:?}");
    }

    #[test]
    fn not_any_number_of_recordings_is_left_to_be_completed() {
        let recorder = recorder(&control(), None);
        let (end, stuck) = std::sync::mpsc::channel::<()>();
        let stuck = Arc::new(Mutex::new(stuck));
        let begin = || {
            let stuck = Arc::clone(&stuck);
            // It ends when `end` is gone.
            recorder.begin(move |_, _| stuck.lock().unwrap().recv().or(Ok(())))
        };
        let begun = (0..10).take_while(|_| begin().is_ok()).count();
        assert_eq!(begun, MAX_ENDING + 1);
        assert!(begin().unwrap_err().to_string().contains("wait a moment"));
        drop(end);
        recorder.finish().unwrap();
        begin().unwrap();
        recorder.finish().unwrap();
    }

    #[test]
    fn without_a_picture_or_a_folder_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let control = control();
        let empty = recorder(&control, None);
        empty.start(Some(&folder.path().join("a.mp4"))).unwrap();
        assert!(matches!(empty.finish(), Err(Error::Input(_))));
        let elsewhere = recorder(&control, None);
        elsewhere.start(Some(&folder.path().join("missing/a.y4m"))).unwrap();
        publish(&control, 2);
        assert!(matches!(elsewhere.finish(), Err(Error::Io { .. })));
        assert!(names(folder.path()).is_empty());
        assert!(matches!(recorder(&control, None).start(None), Err(Error::Usage(_))));
    }
}
