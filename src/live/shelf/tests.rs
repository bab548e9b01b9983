#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::frame::Pool;
use crate::live::Settings;

fn shelf(folder: &Path) -> (Shelf, Control, Messages) {
    let settings = Settings::of_style("off");
    let control = Control::new(settings, Some(Box::new(|_: &crate::live::Look| Ok(Stylizer::off())))).unwrap();
    let trial: Trial = Box::new(|path: &str| {
        let named = Found { name: path.into(), path: Some(path.into()) };
        Registry::card(&named)?;
        match fs::read_to_string(path).unwrap().as_str() {
            "panic" => panic!("an index is out of range"),
            style if style.starts_with("style") => Ok(Stylizer::off()),
            _ => Err(Error::Style("this is no style".into())),
        }
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

/// Writes a file that was complete a while ago.
fn put(path: impl AsRef<Path>, text: impl AsRef<str>) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let before = SystemTime::now() - Duration::from_secs(3600);
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).open(path).unwrap();
    file.write_all(text.as_ref().as_bytes()).unwrap();
    file.set_modified(before + Duration::from_secs(COUNT.fetch_add(1, Ordering::Relaxed))).unwrap();
}

/// Reads what is told until all of `words` were in one message.
fn hears(messages: &Messages, words: &[&str]) -> bool {
    soon(|| {
        let mut said = String::new();
        messages.read(&mut said);
        words.iter().all(|words| said.contains(words))
    })
}

#[test]
fn a_file_that_breaks_the_engine_is_told_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    put(file("first.onnx"), "panic");
    put(file("old.onnx"), "style");
    let (shelf, control, messages) = shelf(folder.path());
    first_picture(&control);
    assert!(soon(|| shelf.names().contains(&"old".into())));
    put(file("bad.onnx"), "panic");
    assert!(hears(&messages, &["bad is not offered", "breaks"]));
    put(file("good.onnx"), "style");
    assert!(soon(|| shelf.names().contains(&"good".into())));
    assert!(!shelf.names().iter().any(|name| name == "bad" || name == "first"));
    control.end();
}

#[test]
fn a_name_that_cannot_be_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path().join("old.onnx"), "style");
    let (shelf, control, messages) = shelf(folder.path());
    first_picture(&control);
    assert!(soon(|| shelf.names().contains(&"old".into())));
    let offers = shelf.names().len();
    let mut names = vec!["''".to_string(), "'a/b'".into(), r"'a\b'".into(), r#""a\u0000b""#.into(), "'x.onnx'".into()];
    names.push(format!("'{}'", "x".repeat(65)));
    for (n, name) in names.into_iter().enumerate() {
        put(folder.path().join(format!("{n}.toml")), format!("name = {name}"));
        put(folder.path().join(format!("{n}.onnx")), "style");
        assert!(hears(&messages, &[&format!("{n} is not offered"), "give the style another one"]), "{name}");
    }
    // Names of files, which have no card.
    let long = "y".repeat(65);
    for stem in ["off", "x.onnx", &long] {
        put(folder.path().join(format!("{stem}.onnx")), "style");
        assert!(hears(&messages, &[&format!("{stem} is not offered"), "give the style another one"]), "{stem}");
    }
    assert_eq!(shelf.names().len(), offers);
    // The card alone is changed.
    put(folder.path().join("1.toml"), "name = 'better'");
    assert!(soon(|| shelf.names().contains(&"better".into())));
    control.end();
}

#[test]
fn of_two_of_one_name_it_is_told_which_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let put_same = |file: &str, style: &str| {
        put(folder.path().join(file).with_extension("toml"), "name = 'same'");
        put(folder.path().join(file).with_extension("onnx"), style);
    };
    let (shelf, control, messages) = shelf(folder.path());
    let used = || {
        let same = |offer: &Offer| offer.style.name == "same";
        assert!(shelf.styles().into_iter().filter(same).count() < 2);
        let used = shelf.styles().into_iter().find(same)?;
        Some((used.style.path?.file_name()?.to_str()?.to_string(), used.edition))
    };
    let is_used = |file: &str| used().is_some_and(|(name, _)| name == file);
    // The first one does not work, so it keeps the name from nobody.
    put_same("a", "nonsense");
    put_same("b", "style");
    first_picture(&control);
    assert!(soon(|| is_used("b.onnx")));
    put_same("c", "style");
    assert!(hears(&messages, &["Two styles are named same", "b.onnx is used", "c.onnx is not"]));
    let before = used().unwrap().1;
    fs::remove_file(folder.path().join("b.onnx")).unwrap();
    assert!(soon(|| is_used("c.onnx")));
    assert_ne!(used().unwrap().1, before);
    put_same("a", "style");
    assert!(hears(&messages, &["a.onnx is used", "c.onnx is not"]));
    assert!(is_used("a.onnx"));
    control.end();
}

#[test]
fn a_file_that_was_replaced_is_another_edition_and_the_run_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.onnx");
    put(&path, "style");
    let (shelf, control, messages) = shelf(folder.path());
    first_picture(&control);
    let edition = || shelf.styles().iter().find(|offer| offer.style.name == "mine").map(|offer| offer.edition);
    assert!(soon(|| edition().is_some()));
    let mut before = edition();
    let mut is_another = || {
        let another = soon(|| edition().is_some_and(|now| Some(now) != before));
        before = edition();
        another
    };
    // Nobody wears it yet.
    put(&path, "style 2");
    assert!(is_another() && hears(&messages, &["New version of the style mine"]));
    assert!(control.take_style().is_none());
    let patch = crate::live::Patch { style: Some("mine".into()), ..Default::default() };
    control.patch(&patch, |_| ()).unwrap();
    assert!(soon(|| control.take_style().is_some()));
    // Written over, as `cp` does; of the same length, and put in its place, as editors do.
    put(&path, "style 3");
    assert!(is_another());
    assert!(soon(|| control.take_style().is_some()));
    put(folder.path().join("new"), "style 4");
    fs::rename(folder.path().join("new"), &path).unwrap();
    assert!(is_another());
    assert!(soon(|| control.take_style().is_some()));
    // A version that does not work takes nothing away from the run.
    put(&path, "nonsense");
    assert!(soon(|| edition().is_none()));
    assert!(control.take_style().is_none() && control.settings().style == "mine");
    put(&path, "style 5");
    assert!(is_another());
    assert!(soon(|| control.take_style().is_some()));
    control.end();
}

#[test]
fn a_folder_that_is_missing_is_said_at_the_start() {
    let control = Control::new(Settings::of_style("off"), None);
    let registry = Registry::discover(Some(Path::new("/nowhere")));
    let trial: Trial = Box::new(|_: &str| Ok(Stylizer::off()));
    let error = Shelf::start(registry, control.unwrap(), trial, Messages::default()).unwrap_err();
    assert!(error.to_string().contains("/nowhere"));
}
