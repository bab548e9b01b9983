#![allow(clippy::unwrap_used)]

use std::fs;
use std::thread;

use super::*;
use crate::ffmpeg;
use crate::frame::{Pool, SharedFrame, Size};
use crate::live::Settings;
use crate::y4m::Header;

const SIZE: Size = Size::new(32, 16);

fn control() -> Control {
    let settings = Settings::of_style("off");
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
    let folder = folder.path().join("new");
    // A copy of what lies there now is what a crash leaves behind.
    let cut = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
    let plays = || {
        let Some(working) = fs::read_dir(&folder).ok().and_then(|mut files| files.next()) else { return false };
        let working = working.unwrap().path();
        assert!(working.to_str().unwrap().ends_with(".recording.mp4"), "{working:?}");
        fs::copy(working, cut.path()).unwrap();
        ffmpeg::probe(cut.path()).is_ok()
    };
    // The recorder and ffmpeg take the time that the machine gives them; what comes meanwhile is left out. Two minutes
    // are the end of patience.
    let start = Instant::now();
    assert!((0..6000).any(|n| {
        publish_one(&control, start, n);
        n % 20 == 0 && plays()
    }));
    recorder.stop();
    assert!(recorder.since().is_none());
    recorder.finish().unwrap();
    let whole = names(&folder);
    assert!(whole.len() == 1 && !whole[0].contains("recording"), "{whole:?}");
    let probe = ffmpeg::probe(&folder.join(&whole[0])).unwrap();
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
    assert!(matches!(elsewhere.start(Some(&folder.path().join("missing/a.y4m"))), Err(Error::Io { .. })));
    assert!(names(folder.path()).is_empty());
    assert!(matches!(recorder(&control, None).start(None), Err(Error::Usage(_))));
}
