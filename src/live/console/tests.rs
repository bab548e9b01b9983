#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::thread;
use std::time::Duration;

use super::*;
use crate::frame::{Pool, Rate, Size};
use crate::live::{KioskConfig, Look, SnapshotConfig, Snapshots, StyleList};
use crate::picture::{Format, Written};
use crate::source::Rest;
use crate::style::Stylizer;

fn console(folder: &Path, styles: &'static [&'static str]) -> Console {
    let settings = Settings::of_style("b");
    let opener = Box::new(|look: &Look| match look.style.as_str() {
        "broken" => Err(Error::Input("broken is no style".into())),
        _ => Ok(Stylizer::off()),
    });
    let control = Control::new(settings, Some(opener)).unwrap();
    let messages = Messages::default();
    let config = SnapshotConfig { folder: folder.into(), written: Written::Pixels(Format::Png), original: false };
    let recorder = Recorder::new(control.clone(), None, Rate::new(30, 1).unwrap(), messages.clone());
    let list: StyleList = Arc::new(|| styles.iter().map(|style| style.to_string()).collect());
    let snapshots = Snapshots::start(config).unwrap();
    let config = KioskConfig::default();
    let attendant = Attendant::new(config, control.clone(), snapshots, list, messages.clone(), Rest::default());
    // What is called "alone" mixes with nothing.
    let partners: Partners = Box::new(|style| {
        let mixing: Vec<&str> = styles.iter().copied().filter(|name| !["off", "alone"].contains(name)).collect();
        let after = mixing.iter().position(|name| *name == style).map(|place| place + 1);
        let others = after.map(|after| [&mixing[after..], &mixing[..after - 1]].concat());
        others.unwrap_or_default().into_iter().map(String::from).collect()
    });
    Console::new(control, attendant, recorder, messages, partners)
}

fn said(console: &Console) -> String {
    let mut text = String::new();
    console.messages().read(&mut text);
    text
}

/// Waits until `console` has said `words`.
fn hears(console: &Console, words: &str) -> bool {
    (0..500).any(|_| {
        thread::sleep(Duration::from_millis(10));
        said(console).contains(words)
    })
}

#[test]
fn keys_change_the_settings_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut console = console(folder.path(), &["a", "b"]);
    let before = console.settings();
    for action in [Action::Toggle, Action::Compare, Action::Mirror] {
        console.perform(action);
        assert_ne!(console.settings(), before, "{action:?}");
        console.perform(action);
        assert_eq!(console.settings(), before, "{action:?}");
    }
    for (action, strength) in [(Action::Stronger, 1.0), (Action::Weaker, 0.9), (Action::Weaker, 0.8)] {
        console.perform(action);
        assert_eq!(console.settings().strength, strength);
    }
    (0..20).for_each(|_| console.perform(Action::Weaker));
    assert_eq!((console.settings().strength, said(&console).as_str()), (0.0, "Strength 0 %"));
}

#[test]
fn the_border_stays_where_it_was_put() {
    let folder = tempfile::tempdir().unwrap();
    let mut console = console(folder.path(), &["a"]);
    console.move_border(0.2);
    assert_eq!(console.settings().split, None, "there is none to move");
    console.perform(Action::Compare);
    assert_eq!(console.settings().split, Some(0.5));
    console.move_border(1.7);
    assert_eq!(console.settings().split, Some(1.0));
    console.move_border(0.25);
    console.perform(Action::Compare);
    console.perform(Action::Compare);
    assert_eq!(console.settings().split, Some(0.25));
}

#[test]
fn styles_go_round_and_a_broken_one_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut console = console(folder.path(), &["a", "b", "c", "broken"]);
    for (action, style) in [(Action::NextStyle, "c"), (Action::PreviousStyle, "b"), (Action::PreviousStyle, "a")] {
        console.perform(action);
        assert!(hears(&console, &format!("Style {style}")), "{}", said(&console));
        assert_eq!(console.settings().style, style);
    }
    console.perform(Action::PreviousStyle);
    assert!(hears(&console, "broken is no style"));
    assert_eq!(console.settings().style, "a");
    // Two at once: the second is counted from the first.
    console.perform(Action::NextStyle);
    console.perform(Action::NextStyle);
    assert!(hears(&console, "Style c"));
}

#[test]
fn the_next_style_is_mixed_in_by_tenths_and_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut console = console(folder.path(), &["a", "b", "alone", "off", "c"]);
    let mut wears = |actions: &[Action], style: &str| {
        actions.iter().for_each(|action| console.perform(*action));
        let worn = |_| {
            thread::sleep(Duration::from_millis(10));
            console.settings().style == style
        };
        assert!((0..500).any(worn), "{actions:?}: {} in place of {style}", console.settings().style);
    };
    wears(&[Action::MixMore], "b:0.9+c:0.1");
    wears(&[Action::MixMore], "b:0.8+c:0.2");
    wears(&[Action::MixLess], "b:0.9+c:0.1");
    wears(&[Action::MixLess], "b");
    wears(&[Action::MixMore; 10], "c");
    // After the last one comes the first.
    wears(&[Action::MixMore], "c:0.9+a:0.1");
    wears(&[Action::NextStyle], "a");
    wears(&[Action::PreviousStyle, Action::PreviousStyle, Action::PreviousStyle], "alone");
    assert_eq!(console.duo(), None);
    console.perform(Action::MixMore);
    assert!(said(&console).contains("no style that alone can be mixed with"));
}

#[test]
fn a_slider_mixes_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let mut console = console(folder.path(), &["a", "b", "c"]);
    let mut duo = console.duo().unwrap();
    assert_eq!((duo.main.as_str(), duo.other.as_deref(), duo.share), ("b", Some("c"), 0.0));
    duo.share = 0.42;
    console.wear_duo(&duo);
    assert_eq!(console.style(), "b:0.6+c:0.4", "while it is loaded as well");
    assert!(hears(&console, "Style b:0.6+c:0.4"));
    assert_eq!(console.duo(), Some(Duo { share: 0.4, ..duo }));
}

#[test]
fn a_style_outside_of_the_list_can_be_left_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut console = console(folder.path(), &["a"]);
    console.perform(Action::NextStyle);
    assert!(hears(&console, "Style a"));
    console.perform(Action::NextStyle);
    assert!(hears(&console, "Style b"));
    let mut alone = self::console(folder.path(), &[]);
    alone.perform(Action::NextStyle);
    assert!(said(&alone).contains("no other style"));
}

#[test]
fn snapshots_and_recordings_say_what_came_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut console = console(folder.path(), &["a"]);
    console.perform(Action::Snapshot);
    assert!(said(&console).contains("no picture yet"));
    let frame = Pool::default().take(Size::new(4, 4)).share();
    console.control.publish(frame.clone(), frame);
    console.perform(Action::Snapshot);
    assert!(hears(&console, "Snapshot: "));
    console.perform(Action::Record);
    assert!(said(&console).contains("--recordings"));
}
