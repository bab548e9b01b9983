#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::frame::{Frame, Pool, SharedFrame, Size};
use crate::live::{Look, Settings, SnapshotConfig};
use crate::picture::{Format, Written};
use crate::style::Stylizer;

const MINUTE: Duration = Duration::from_secs(60);

fn attendant(folder: &Path, config: KioskConfig) -> Attendant {
    let settings = Settings::of_style("b");
    let control = Control::new(settings, Some(Box::new(opener))).unwrap();
    let snapshots = Snapshots::start(SnapshotConfig {
        folder: folder.into(),
        written: Written::Pixels(Format::Png),
        original: false,
    })
    .unwrap();
    let styles: StyleList = Arc::new(|| ["a", "b", "broken", "c"].map(String::from).to_vec());
    Attendant::new(config, control, snapshots, styles, Messages::default(), Rest::default())
}

/// "broken" is in the list, and cannot be opened.
fn opener(look: &Look) -> Result<Stylizer> {
    if look.style == "broken" { Err(Error::Style("it is broken".into())) } else { Ok(Stylizer::off()) }
}

fn frame(value: u8) -> SharedFrame {
    let mut frame: Frame = Frame::black(Size::new(64, 48));
    frame.pixels.fill(value);
    let mut pooled = Pool::default().take(frame.size);
    pooled.pixels.copy_from_slice(&frame.pixels);
    pooled.share()
}

fn show(attendant: &Attendant, value: u8) {
    attendant.0.control.publish(frame(value), frame(value));
}

/// As the run passes a placeholder on.
fn show_placeholder(attendant: &Attendant, value: u8) {
    let mut placeholder = Pool::default().take(Size::new(64, 48));
    placeholder.pixels.fill(value);
    placeholder.kind = FrameKind::Placeholder;
    let placeholder = placeholder.share();
    attendant.0.control.publish(placeholder.clone(), placeholder);
}

#[test]
fn a_placeholder_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at_once = attendant(folder.path(), KioskConfig::default());
    show(&at_once, 100);
    show_placeholder(&at_once, 0);
    assert!(at_once.snapshot(|_| ()).unwrap_err().to_string().contains("camera is away"));
    show(&at_once, 100);
    assert!(at_once.snapshot(|_| ()).is_ok());

    // It may be away by the time at which the countdown is over.
    let config = KioskConfig { countdown: Duration::from_secs(3), ..KioskConfig::default() };
    let counting = attendant(&folder.path().join("none"), config);
    show(&counting, 100);
    let (told, told_to) = mpsc::channel();
    let begun = Instant::now();
    counting.snapshot(move |kept| told.send(kept).unwrap()).unwrap();
    show_placeholder(&counting, 0);
    counting.tick(begun + Duration::from_secs(4));
    assert!(told_to.recv().unwrap().unwrap_err().to_string().contains("camera is away"));
    assert!(!folder.path().join("none").exists());
}

#[test]
fn what_moves_on_a_placeholder_is_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let config = KioskConfig { idle: Some(MINUTE), ..KioskConfig::default() };
    let attendant = attendant(folder.path(), config);
    let start = Instant::now();
    show(&attendant, 100);
    attendant.tick(start + Duration::from_secs(1));
    for n in 2..58 {
        show_placeholder(&attendant, (n % 2 * 200) as u8);
        attendant.tick(start + Duration::from_secs(n));
    }
    // The picture after it may be another one; that is no movement either.
    show(&attendant, 200);
    attendant.tick(start + Duration::from_secs(58));
    attendant.tick(start + Duration::from_secs(62));
    assert!(attendant.0.rest.is_on());
}

#[test]
fn a_snapshot_is_taken_when_the_countdown_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let config = KioskConfig { countdown: Duration::from_secs(3), ..KioskConfig::default() };
    let attendant = attendant(folder.path(), config);
    show(&attendant, 100);
    let (told, told_to) = mpsc::channel();
    let begun = Instant::now();
    attendant.snapshot(move |kept| told.send(kept).unwrap()).unwrap();
    assert_eq!(attendant.seconds_left(), Some(3));
    assert!(attendant.snapshot(|_| ()).unwrap_err().to_string().contains("already"));
    attendant.tick(begun + Duration::from_millis(2900));
    assert!(told_to.try_recv().is_err() && attendant.seconds_left().is_some());
    attendant.tick(begun + Duration::from_millis(3100));
    assert!(told_to.recv().unwrap().unwrap().starts_with(folder.path()));
    assert_eq!(attendant.seconds_left(), None);
    attendant.snapshot(|_| ()).unwrap();
}

#[test]
fn without_a_countdown_it_is_taken_at_once_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let attendant = attendant(folder.path(), KioskConfig::default());
    assert!(attendant.snapshot(|_| ()).unwrap_err().to_string().contains("no picture yet"));
    show(&attendant, 1);
    let (told, told_to) = mpsc::channel();
    attendant.snapshot(move |kept| told.send(kept).unwrap()).unwrap();
    assert!(told_to.recv().unwrap().is_ok());
}

/// The style that is shown once a change of it has been carried out.
fn settled(attendant: &Attendant, style: &str) -> bool {
    (0..500).any(|_| {
        thread::sleep(Duration::from_millis(10));
        attendant.0.control.settings().style == style
    })
}

#[test]
fn styles_take_turns_and_who_chooses_one_sees_it_as_long() {
    let folder = tempfile::tempdir().unwrap();
    let config = KioskConfig { attract: Some(MINUTE), ..KioskConfig::default() };
    let attendant = attendant(folder.path(), config);
    let mut now = Instant::now();
    // After b comes one that cannot be shown: at the next turn it is passed by.
    now += MINUTE + Duration::from_secs(1);
    attendant.tick(now);
    for style in ["c", "a", "b"] {
        attendant.tick(now + MINUTE / 2);
        now += MINUTE + Duration::from_secs(1);
        attendant.tick(now);
        assert!(settled(&attendant, style), "{style}");
        attendant.tick(now);
    }
    // Somebody chooses one shortly before its end.
    now += MINUTE - Duration::from_secs(1);
    attendant.0.control.patch(&Patch { style: Some("a".into()), ..Patch::default() }, |_| ()).unwrap();
    assert!(settled(&attendant, "a"));
    attendant.tick(now);
    attendant.tick(now + Duration::from_secs(50));
    thread::sleep(Duration::from_millis(50));
    assert_eq!(attendant.0.control.settings().style, "a");
    attendant.tick(now + MINUTE);
    assert!(settled(&attendant, "b"));
}

#[test]
fn the_camera_is_let_go_when_nothing_moves_and_nobody_asks() {
    let folder = tempfile::tempdir().unwrap();
    let config = KioskConfig { idle: Some(MINUTE), ..KioskConfig::default() };
    let attendant = attendant(folder.path(), config);
    let rest = attendant.0.rest.clone();
    let start = Instant::now();
    let second = |n: u64| start + Duration::from_secs(n);
    // Something moves for a minute and a half.
    for n in 0..90 {
        show(&attendant, if n % 2 == 0 { 100 } else { 150 });
        attendant.tick(second(n));
    }
    assert!(!rest.is_on());
    for n in 90..148 {
        attendant.tick(second(n));
        assert!(!rest.is_on(), "{n}");
    }
    for n in 148..155 {
        attendant.tick(second(n));
    }
    assert!(rest.is_on());
    // Movement is not seen by a camera that is let go; a key is.
    show(&attendant, 0);
    attendant.tick(second(160));
    assert!(rest.is_on());
    attendant.somebody();
    assert!(!rest.is_on());
}
