//! `nijigen-train paint` as a user runs it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use assert_cmd::Command;
use image::{Rgb, RgbImage};
use nijigen_train::data::pairs::{Pair, Split, read_index};

fn paint() -> Command {
    let mut command = Command::cargo_bin("nijigen-train").unwrap();
    command.arg("paint");
    command
}

fn photo(path: &Path, seed: u32) {
    let picture = RgbImage::from_fn(48, 32, |x, y| {
        let shape = (x / 12 + y / 8 + seed) % 3;
        Rgb([60 + 60 * shape as u8, 90 + 40 * shape as u8, 140])
    });
    picture.save(path).unwrap();
}

/// What a run said on standard error, and whether it succeeded.
fn said(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn photos_become_pairs_of_all_scales_and_a_second_run_paints_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (photos, pairs) = (dir.path().join("photos"), dir.path().join("pairs"));
    std::fs::create_dir(&photos).unwrap();
    (0..4).for_each(|seed| photo(&photos.join(format!("{seed}.png")), seed));
    std::fs::write(photos.join("broken.jpg"), b"no photo").unwrap();
    let faces = dir.path().join("faces.csv");
    std::fs::write(&faces, "0.png,,0.25,0.25,0.5,0.5\n").unwrap();

    let run =
        || said(paint().arg(&photos).arg("-o").arg(&pairs).args(["--scales", "1,0.5"]).arg("--faces").arg(&faces));
    let (good, first) = run();
    assert!(good, "{first}");
    assert!(first.contains("broken.jpg is passed over") && first.contains("6 painted"), "{first}");
    let index = read_index(&pairs).unwrap();
    // Photos 0 and 3 are the same picture: the copy is passed over.
    assert_eq!(index.len(), 6, "{first}");
    for Pair { photo, target, width, height, .. } in &index {
        for file in [photo, target] {
            assert_eq!(image::open(pairs.join(file)).unwrap().to_rgb8().dimensions(), (*width, *height));
        }
    }
    let faces: Vec<_> = index.iter().filter(|p| p.scale == 0.5).flat_map(|p| &p.faces).collect();
    assert!(faces.iter().all(|f| f.width == 12.0 && f.height == 8.0) && faces.len() == 1);

    let before = std::fs::read(pairs.join("index.jsonl")).unwrap();
    let (good, second) = run();
    assert!(good && second.contains(" 0 painted"), "{second}");
    assert_eq!(before, std::fs::read(pairs.join("index.jsonl")).unwrap());

    // A target that is lost is painted again, to the same bytes.
    let lost = pairs.join(&index[0].target);
    let bytes = std::fs::read(&lost).unwrap();
    std::fs::remove_file(&lost).unwrap();
    let (good, third) = run();
    assert!(good && third.contains(" 1 painted"), "{third}");
    assert_eq!(bytes, std::fs::read(&lost).unwrap());
}

#[test]
fn photos_that_are_to_be_restored_are_their_own_targets_and_clips_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let (photos, pairs) = (dir.path().join("photos"), dir.path().join("pairs"));
    std::fs::create_dir(&photos).unwrap();
    (0..3).for_each(|seed| photo(&photos.join(format!("{seed}.png")), seed));
    std::fs::write(photos.join("clip.mkv"), b"is not even opened").unwrap();
    let licences = dir.path().join("licences.csv");
    std::fs::write(&licences, "1,CC0-1.0\n").unwrap();
    let run = |recipe: &str| {
        let scales = ["--scales", "1,0.5", "--held-out-scales", "0.8"];
        let options = ["--hold-out", "1", "--recipe", recipe, "--licences"];
        said(paint().arg(&photos).arg("-o").arg(&pairs).args(scales).args(options).arg(&licences))
    };
    let (good, first) = run("restore");
    assert!(good && first.contains("1 clips are left out") && first.contains("4 painted"), "{first}");
    let index = read_index(&pairs).unwrap();
    assert!(index.iter().all(|pair| pair.target == pair.photo && pair.recipe == "restore"), "{index:?}");
    let held_out: Vec<&Pair> = index.iter().filter(|pair| pair.split == Split::HeldOut).collect();
    // The one that was named, and one by its name's hash.
    assert!(held_out.len() == 2 && held_out.iter().all(|pair| pair.scale == 0.8), "{held_out:?}");
    assert!(held_out.iter().any(|pair| pair.licence.as_deref() == Some("CC0-1.0")));
    let whole = index.iter().find(|pair| pair.scale == 1.0).unwrap();
    let original = image::open(photos.join(&whole.source)).unwrap().to_rgb8();
    assert!(image::open(pairs.join(&whole.target)).unwrap().to_rgb8() == original);
    assert!(std::fs::read_dir(pairs.join("target")).unwrap().next().is_none());
    let (good, second) = run("restore");
    assert!(good && second.contains(" 0 painted"), "{second}");
    let (good, other) = run("anime");
    assert!(!good && other.contains("holds pairs of 'restore', which would be lost"), "{other}");
    assert_eq!(read_index(&pairs).unwrap(), index);
}

#[test]
fn an_index_that_was_cut_off_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let pairs = dir.path().join("pairs");
    photo(&dir.path().join("a.png"), 0);
    photo(&dir.path().join("b.png"), 1);
    // The folder of pairs lies in the folder of photos: what is in it is not painted again.
    let run = || said(paint().arg(dir.path()).arg("-o").arg(&pairs).args(["--scales", "1"]));
    assert!(run().0);
    let index = std::fs::read_to_string(pairs.join("index.jsonl")).unwrap();
    std::fs::write(pairs.join("index.jsonl"), &index[..index.len() - 20]).unwrap();
    let names = |pairs: &[Pair]| pairs.iter().map(|p| p.source.clone()).collect::<BTreeSet<_>>();
    let (good, told) = run();
    assert!(good && told.contains(" 1 painted, 1 there before"), "{told}");
    assert_eq!(names(&read_index(&pairs).unwrap()).len(), 2);
}

#[test]
fn bad_input_gets_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let a = dir.path().join("a.png");
    photo(&a, 0);
    let text = dir.path().join("a.txt");
    std::fs::write(&text, b"x").unwrap();
    let recipe = dir.path().join("bad.toml");
    std::fs::write(&recipe, b"name = 3").unwrap();
    let out = dir.path().join("out");
    let run = |input: &Path, more: &[&str]| {
        let output = paint().arg(input).arg("-o").arg(&out).args(more).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let recipe = recipe.to_string_lossy().into_owned();
    for (input, more, code, words) in [
        (dir.path().join("none"), vec![], 1, "does not exist"),
        (text, vec![], 1, "neither a photo"),
        (a.clone(), vec!["--recipe", "fresco"], 2, "built-in recipe"),
        (a.clone(), vec!["--recipe", &recipe], 1, "cannot be used"),
        (a.clone(), vec!["--scales", "2"], 2, "at most 1"),
        (a.clone(), vec!["--scales", "0.5,0.501"], 2, "to the hundredth"),
        (a.clone(), vec!["--hold-out", "nobody"], 1, "--hold-out nobody"),
        (a.clone(), vec!["--faces", "/nowhere.csv"], 1, "/nowhere.csv"),
        (a, vec!["--max-side", "3"], 2, "16 to 8192"),
    ] {
        let (status, told) = run(&input, &more);
        assert_eq!(status, code, "{told}");
        assert!(told.contains(words), "{told}");
    }
    assert!(!out.exists(), "nothing is left behind");
}

#[test]
fn what_is_named_is_held_out_and_what_was_painted_before_stays() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a.png", "b.png"].map(|name| dir.path().join(name));
    photo(&a, 0);
    photo(&b, 1);
    let pairs = dir.path().join("pairs");
    let run =
        |input: &Path, more: &[&str]| said(paint().arg(input).arg("-o").arg(&pairs).args(["--scales", "1"]).args(more));
    assert!(run(&a, &["--hold-out", "a"]).0);
    let (good, told) = run(&b, &[]);
    assert!(good && told.contains("2 pairs") && told.contains("(1 held out)"), "{told}");
    let splits: Vec<_> = read_index(&pairs).unwrap().into_iter().map(|p| (p.source, p.split)).collect();
    assert_eq!(splits, [("a.png".to_owned(), Split::HeldOut), ("b.png".to_owned(), Split::Train)]);
    // With -q nothing is said; only the index changes.
    let output = paint().arg(&a).args(["-q", "--scales", "1", "-o"]).arg(&pairs).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    assert!(read_index(&pairs).unwrap().iter().all(|p| p.split == Split::Train));
}

/// A program `ffmpeg` that says more on standard error than a pipe holds before it gives frames.
#[cfg(unix)]
fn talkative_ffmpeg(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let script = "#!/bin/sh\n\
                  i=0; while [ $i -lt 20000 ]; do echo 'error while decoding MB 1 2, bytestream 3' >&2; i=$((i+1)); done\n\
                  i=0; while [ $i -lt 3 ]; do printf 'P6 4 2 255 abcdefghijklmnopqrstuvwx'; i=$((i+1)); done\n";
    let program = folder.join("ffmpeg");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_damaged_clip_gives_its_frames_and_its_copy_none() {
    let dir = tempfile::tempdir().unwrap();
    let programs = dir.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    talkative_ffmpeg(&programs);
    let clips = dir.path().join("clips");
    std::fs::create_dir(&clips).unwrap();
    for name in ["a.mkv", "copy.mkv"] {
        std::fs::write(clips.join(name), b"what the program makes of it").unwrap();
    }
    let pairs = dir.path().join("pairs");
    let path = std::env::var("PATH").unwrap_or_default();
    let (good, told) = said(
        paint()
            .arg(&clips)
            .arg("-o")
            .arg(&pairs)
            .args(["--every", "2", "--clip-scales", "1", "--hold-out", "a"])
            .env("PATH", format!("{}:{path}", programs.display())),
    );
    assert!(good && told.contains("copy.mkv is the same as"), "{told}");
    let frames: Vec<_> = read_index(&pairs).unwrap().into_iter().map(|p| (p.frame, p.split)).collect();
    assert_eq!(frames, [(Some(0), Split::HeldOut), (Some(2), Split::HeldOut)]);
}
