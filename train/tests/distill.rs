//! From photos to a style, as a user makes one: `nijigen-train paint`, `distill`, `export`, `eval`.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use nijigen::style::Card;
use tempfile::TempDir;

use common::{bad, good, text, train};

/// A folder with painted pairs and a configuration for a run of seconds.
struct Workshop(TempDir);

impl Workshop {
    /// Four photos, of which `held` is held out.
    fn new() -> Self {
        let workshop = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(workshop.at("photos")).unwrap();
        for (i, name) in ["a", "b", "c", "held"].into_iter().enumerate() {
            let i = i as u32;
            let picture = RgbImage::from_fn(64, 48, |x, y| {
                let shape = (x / (12 + i) + y / (9 + i)) % 3;
                Rgb([50 + 60 * shape as u8, 90 + 2 * y as u8, 200 - 2 * x as u8])
            });
            picture.save(workshop.at("photos").join(format!("{name}.png"))).unwrap();
        }
        let mut paint = train("paint");
        paint.arg(workshop.at("photos")).args(["--scales", "1", "--hold-out", "held", "-o"]).arg(workshop.at("pairs"));
        assert!(text(&good(&mut paint).stderr).contains("4 pairs"));
        workshop.configure("config.toml", "s", 6);
        std::fs::write(workshop.at("card.toml"), "description = \"a test\"\nlicence = \"CC0-1.0\"\n").unwrap();
        workshop
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn configure(&self, name: &str, size: &str, steps: u32) {
        let config = format!(
            "size = \"{size}\"\nseed = 1\nsteps = {steps}\nbatch = 2\ncrop = 32\nrate = 1e-3\nwarmup = 2\n\
             quantize_from = 0.5\nhalf = false\nfinish = 1\nclip = 1.0\naverage = 0.9\nevaluate_every = 2\n\
             patience = 0\naround_face = 0.4\nface_weight = 3.0\n\
             [loss]\ngradient = 1.0\nfeatures = 0.0\nfeatures_every = 1\nfeatures_crop = 32\n\
             [augment]\nflip = 0.5\ntint = 0.2\ntint_by = 0.1\ndark = 0.2\ndarkest = 0.4\njpeg = 0.2\nblur = 0.2\n\
             noise = 0.5\nnoise_deviation = 4.0\n"
        );
        std::fs::write(self.at(name), config).unwrap();
    }

    fn distill(&self, config: &str, out: &str) -> Command {
        let mut command = train("distill");
        command.arg("--pairs").arg(self.at("pairs")).arg("--config").arg(self.at(config));
        command.arg("-o").arg(self.at(out));
        command
    }

    fn export(&self, weights: &str, out: &str) -> Command {
        let mut command = train("export");
        command.args(["--name", "tiny", "--weights"]).arg(self.at(weights)).arg("--card").arg(self.at("card.toml"));
        command.arg("--photo").arg(self.at("photos/held.png")).arg("-o").arg(self.at(out));
        command
    }

    fn eval(&self, style: &str) -> Command {
        let mut command = train("eval");
        command.arg("--style").arg(self.at(style)).arg("--pairs").arg(self.at("pairs"));
        command
    }
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[test]
fn photos_become_a_style_that_is_measured() {
    let workshop = Workshop::new();
    let said = good(&mut workshop.distill("config.toml", "run"));
    assert!(text(&said.stdout).contains("finished at step 6"), "{}", text(&said.stdout));
    assert!(text(&said.stderr).contains("3 pairs to train on, 1 to choose by"), "{}", text(&said.stderr));
    assert_eq!(lines(&workshop.at("run/losses.csv")), 4, "a header and steps 2, 4 and 6");
    for picture in ["run/losses.png", "run/sheet.png"] {
        image::open(workshop.at(picture)).unwrap();
    }
    // A finished run stays as it is.
    let weights = std::fs::read(workshop.at("run/weights.safetensors")).unwrap();
    let said = good(&mut workshop.distill("config.toml", "run"));
    assert!(text(&said.stdout).contains("finished at step 6"));
    assert_eq!(weights, std::fs::read(workshop.at("run/weights.safetensors")).unwrap());
    // Another starts from its weights.
    let base = workshop.at("run/weights.safetensors");
    good(workshop.distill("config.toml", "second").arg("--base").arg(&base));
    assert_ne!(weights, std::fs::read(workshop.at("second/weights.safetensors")).unwrap());
    // A larger one, whose beginning they are.
    workshop.configure("m.toml", "m", 2);
    good(workshop.distill("m.toml", "larger").arg("--base").arg(&base));
    let larger = nijigen_train::weights::load(&workshop.at("larger/weights.safetensors")).unwrap();
    assert_eq!(larger.base, Some(nijigen::style::sha256(&weights)));

    let said = good(workshop.export("run/weights.safetensors", "new/models").arg("--float"));
    assert!(text(&said.stdout).contains("tract against the reference"), "{}", text(&said.stdout));
    let card = || Card::parse(&std::fs::read_to_string(workshop.at("new/models/tiny.toml")).unwrap()).unwrap();
    card().check(&std::fs::read(workshop.at("new/models/tiny.onnx")).unwrap()).unwrap();
    assert_eq!((card().name.as_str(), card().size.as_deref()), ("tiny", Some("s")));
    assert!(card().steps.is_some_and(|steps| (2..=6).contains(&steps)));
    assert!(workshop.at("new/models/tiny.float.onnx").is_file());
    // The thumbnail is not larger than the photo.
    assert_eq!(image::open(workshop.at("new/models/tiny.jpg")).unwrap().to_rgb8().dimensions(), (64, 48));

    let mut eval = workshop.eval("new/models/tiny.onnx");
    eval.arg("--weights").arg(&base).arg("--sheet").arg(workshop.at("sheet.png"));
    let said = good(eval.arg("--card").arg(workshop.at("new/models/tiny.toml")));
    let metrics = card().metrics;
    for name in ["held_out_l1", "held_out_ssim", "held_out_l1_float", "quantized_to_float_psnr_db"] {
        assert!(metrics.contains_key(name) && text(&said.stdout).contains(name), "{name}: {metrics:?}");
    }
    assert!(metrics["quantized_to_float_psnr_db"] > 25.0, "quantization costs little: {metrics:?}");
    // Photo, target and output in a row.
    assert_eq!(image::open(workshop.at("sheet.png")).unwrap().to_rgb8().dimensions(), (3 * 384, 384));

    for command in [
        &mut workshop.distill("config.toml", "run"),
        &mut workshop.export("run/weights.safetensors", "new/models"),
        &mut workshop.eval("new/models/tiny.onnx"),
    ] {
        let said = good(command.arg("-q"));
        assert_eq!((text(&said.stdout), text(&said.stderr)), (String::new(), String::new()), "{command:?}");
        // Nobody reads what it prints.
        let mut child = Command::new(command.get_program())
            .args(command.get_args().filter(|arg| *arg != "-q"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let said = child.wait_with_output().unwrap();
        assert!(said.status.success(), "{command:?}: {}", text(&said.stderr));
    }
}

/// A program `ffmpeg` that gives 20 equal frames, 3 of a clip named `short`.
#[cfg(unix)]
fn still_ffmpeg(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let script = "#!/bin/sh\n\
                  case \"$*\" in *short*) n=3;; *) n=20;; esac\n\
                  while [ $n -gt 0 ]; do printf 'P6 8 8 255 '; yes 'Az9!' | head -c 192; n=$((n-1)); done\n";
    std::fs::create_dir(folder).unwrap();
    let program = folder.join("ffmpeg");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A workshop with an exported style and the ffmpeg above, and a `PATH` on which it comes first.
#[cfg(unix)]
fn workshop_with_still_ffmpeg() -> (Workshop, String) {
    let workshop = Workshop::new();
    good(&mut workshop.distill("config.toml", "run"));
    good(&mut workshop.export("run/weights.safetensors", "models"));
    still_ffmpeg(&workshop.at("programs"));
    let path = format!("{}:{}", workshop.at("programs").display(), std::env::var("PATH").unwrap_or_default());
    (workshop, path)
}

#[cfg(unix)]
#[test]
fn flicker_is_told_clip_by_clip() {
    let (workshop, path) = workshop_with_still_ffmpeg();
    let mut eval = workshop.eval("models/tiny.onnx");
    eval.env("PATH", path);
    // What is in them comes from the ffmpeg above.
    let clips = workshop.at("clips");
    std::fs::create_dir(&clips).unwrap();
    for name in ["still.mkv", "short.mkv", "notes.txt"] {
        std::fs::write(clips.join(name), name).unwrap();
    }
    eval.arg("--clip").arg(&clips).arg("--card").arg(workshop.at("models/tiny.toml"));
    let said = good(&mut eval);
    let told = text(&said.stdout);
    assert!(told.contains("still.mkv: 0.0000 of 255, its input 0.0000"), "{told}");
    assert!(!told.contains("short.mkv"), "{told}");
    assert!(text(&said.stderr).contains("short.mkv: it has 3 frames"), "{}", text(&said.stderr));
    let card = Card::parse(&std::fs::read_to_string(workshop.at("models/tiny.toml")).unwrap()).unwrap();
    let measured = ["flicker_input", "flicker_output", "flicker_live"].map(|name| card.metrics[name]);
    assert_eq!(measured, [0.0; 3]);
}

#[cfg(unix)]
#[test]
fn marked_features_are_looked_for_in_further_clips_too() {
    let (workshop, path) = workshop_with_still_ffmpeg();
    let marks = workshop.at("marks.csv");
    std::fs::write(&marks, "a.mkv,16,eye,0,0,1,1\nb.mkv,2,mouth,0,0,0.5,0.5\nshort.mkv,9,eye,0,0,1,1\n").unwrap();
    for name in ["a.mkv", "b.mkv", "short.mkv"] {
        std::fs::write(workshop.at(name), name).unwrap();
    }
    let eval = |clips: &[(&str, &str)]| {
        let mut eval = workshop.eval("models/tiny.onnx");
        eval.env("PATH", &path).arg("--marked").arg(&marks);
        for (option, clip) in clips {
            eval.arg(option).arg(workshop.at(clip));
        }
        eval
    };
    let deviation = |clips: &[(&str, &str)]| {
        let said = text(&good(&mut eval(clips)).stdout);
        let line = said.lines().find(|line| line.starts_with("small_features_deviation")).unwrap().to_owned();
        line.split_whitespace().last().unwrap().parse::<f64>().unwrap()
    };
    let (a, b) = (deviation(&[("--marked-clip", "a.mkv")]), deviation(&[("--marked-clip", "b.mkv")]));
    let both = deviation(&[("--clip", "a.mkv"), ("--marked-clip", "a.mkv"), ("--marked-clip", "b.mkv")]);
    assert!(a != b && (both - (a + b) / 2.0).abs() < 2e-4, "{a}, {b}, {both}");
    bad(&mut eval(&[("--marked-clip", "short.mkv")]), 1, "has no frame 9");
}

#[test]
fn all_styles_of_a_folder_come_into_one_table() {
    let workshop = Workshop::new();
    good(&mut workshop.distill("config.toml", "run"));
    good(&mut workshop.export("run/weights.safetensors", "models"));
    // A style without pairs, and the one whose pairs there are, in two sizes.
    for (from, to) in [("tiny", "tiny-s"), ("tiny", "other")] {
        for extension in ["onnx", "toml"] {
            let at = |name: &str| workshop.at(&format!("models/{name}.{extension}"));
            std::fs::copy(at(from), at(to)).unwrap();
        }
    }
    let pairs = workshop.at("all-pairs");
    std::fs::create_dir(&pairs).unwrap();
    std::fs::rename(workshop.at("pairs"), pairs.join("tiny")).unwrap();
    let mut eval = train("eval");
    eval.arg("--all").arg("--models").arg(workshop.at("models")).arg("--pairs").arg(&pairs);
    let said = good(&mut eval);
    assert!(text(&said.stderr).contains("other is left out"), "{}", text(&said.stderr));
    let table = std::fs::read_to_string(workshop.at("models/RESULTS.md")).unwrap();
    assert_eq!(text(&said.stdout).trim(), table.trim());
    assert!(table.contains("|  | must be | should be | tiny | tiny-s |"), "{table}");
    assert!(table.contains("| from | tiny |\n"), "the sizes of a style are not compared with each other: {table}");
    assert!(table.contains("nijigen-train eval --all --models "), "{table}");
    let card = Card::parse(&std::fs::read_to_string(workshop.at("models/tiny-s.toml")).unwrap()).unwrap();
    assert!(card.metrics.contains_key("held_out_ssim"));
    assert!(image::open(workshop.at("models/tiny-sheet.jpg")).is_ok());
    let mut eval = train("eval");
    eval.arg("--all").arg("--models").arg(workshop.at("models")).arg("--pairs").arg(workshop.at("run"));
    bad(&mut eval, 1, "no style in");
}

#[cfg(unix)]
#[test]
fn a_run_that_is_interrupted_goes_on_where_it_was() {
    let workshop = Workshop::new();
    workshop.configure("long.toml", "s", 1_000_000);
    let curve = workshop.at("run/losses.csv");
    let mut reached = 0;
    for _ in 0..2 {
        let before = lines(&curve);
        let child = workshop.distill("long.toml", "run").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let started = Instant::now();
        while lines(&curve) < before.max(1) + 1 && started.elapsed() < Duration::from_secs(120) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(told.success() && output.status.code() == Some(1), "{}", text(&output.stderr));
        if reached > 0 {
            let told = text(&output.stderr);
            assert!(told.contains(&format!("going on from step {reached} ")), "{told}");
        }
        let said = text(&output.stderr);
        assert!(said.contains("the same command goes on from here"), "{said}");
        let step = said.split("stopped at step ").nth(1).and_then(|rest| rest.split(':').next()).unwrap();
        let step: u64 = step.parse().unwrap();
        assert!(step > reached, "{said}");
        reached = step;
    }
}

#[test]
fn what_cannot_be_distilled_is_said() {
    let workshop = Workshop::new();
    std::fs::write(workshop.at("damaged.toml"), "size = ").unwrap();
    std::fs::write(workshop.at("empty.toml"), "").unwrap();
    let config = std::fs::read_to_string(workshop.at("config.toml")).unwrap();
    std::fs::write(workshop.at("wrong.toml"), config.replace("rate = 1e-3", "rate = -1.0")).unwrap();
    for (config, words) in [
        ("none.toml", "none.toml"),
        ("damaged.toml", "is not a configuration"),
        ("empty.toml", "is not a configuration"),
        ("wrong.toml", "'rate'"),
    ] {
        bad(&mut workshop.distill(config, "run"), 1, words);
    }
    assert!(!workshop.at("run").exists(), "nothing is left behind");

    let distill = |base: &str| {
        let mut command = workshop.distill("config.toml", "run");
        command.arg("--base").arg(workshop.at(base));
        command
    };
    bad(&mut distill("none.safetensors"), 1, "none.safetensors");
    std::fs::write(workshop.at("empty.safetensors"), "").unwrap();
    bad(&mut distill("empty.safetensors"), 1, "empty.safetensors does not hold the weights");
    good(&mut workshop.distill("config.toml", "of-s"));
    let larger = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/anime.safetensors");
    bad(workshop.distill("config.toml", "run").arg("--base").arg(larger), 1, "is of size m");
    std::fs::write(workshop.at("vgg.npz"), "no archive").unwrap();
    let mut command = workshop.distill("config.toml", "run");
    bad(command.arg("--vgg").arg(workshop.at("vgg.npz")), 1, "vgg.npz");

    // A folder whose run was another.
    workshop.configure("longer.toml", "s", 8);
    bad(&mut workshop.distill("longer.toml", "of-s"), 1, "another configuration");
    let checkpoint = workshop.at("of-s/checkpoint.safetensors");
    let bytes = std::fs::read(&checkpoint).unwrap();
    std::fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    bad(&mut workshop.distill("config.toml", "of-s"), 1, "checkpoint.safetensors is damaged");

    let index = workshop.at("pairs/index.jsonl");
    let whole = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, format!("no pair\n{whole}")).unwrap();
    bad(&mut workshop.distill("config.toml", "run"), 1, "line 1, is damaged");
    std::fs::write(&index, "").unwrap();
    bad(&mut workshop.distill("config.toml", "run"), 1, "no pairs");
    std::fs::remove_file(&index).unwrap();
    bad(&mut workshop.distill("config.toml", "run"), 1, "nijigen-train paint");
}

#[test]
fn what_cannot_be_exported_or_measured_is_said() {
    let workshop = Workshop::new();
    good(&mut workshop.distill("config.toml", "run"));
    let weights = std::fs::read(workshop.at("run/weights.safetensors")).unwrap();
    for (name, bytes) in [("half", &weights[..weights.len() / 2]), ("empty", b"".as_slice()), ("text", b"no weights")] {
        let name = format!("{name}.safetensors");
        std::fs::write(workshop.at(&name), bytes).unwrap();
        bad(&mut workshop.export(&name, "models"), 1, &name);
    }
    bad(&mut workshop.export("none.safetensors", "models"), 1, "none.safetensors");
    let export = || workshop.export("run/weights.safetensors", "models");
    bad(export().args(["--max-side", "4"]), 2, "--max-side");
    bad(export().arg("--photo").arg(workshop.at("card.toml")), 1, "card.toml is no photo");
    bad(export().arg("--photo").arg(workshop.at("none.png")), 1, "none.png");
    RgbImage::new(7, 7).save(workshop.at("small.png")).unwrap();
    bad(export().arg("--photo").arg(workshop.at("small.png")), 1, "too small");
    assert!(!workshop.at("models").exists(), "nothing is left behind");
    std::fs::write(workshop.at("card.toml"), "colour = 3").unwrap();
    bad(&mut export(), 1, "card.toml");

    std::fs::write(workshop.at("text.onnx"), "no network").unwrap();
    bad(&mut workshop.eval("none.onnx"), 1, "none.onnx");
    bad(&mut workshop.eval("text.onnx"), 1, "text.onnx");
    std::fs::write(workshop.at("card.toml"), "").unwrap();
    good(&mut export());
    let index = workshop.at("pairs/index.jsonl");
    let trained: String = std::fs::read_to_string(&index)
        .unwrap()
        .lines()
        .filter(|line| !line.contains("held-out"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&index, trained).unwrap();
    bad(&mut workshop.eval("models/tiny.onnx"), 1, "--hold-out");
    std::fs::remove_file(&index).unwrap();
    bad(&mut workshop.eval("models/tiny.onnx"), 1, "nijigen-train paint");
}
