//! From photos and art to a teacher, and a photo through it: `prepare`, `teacher`, `apply`.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/pictures.rs"]
mod pictures;

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use nijigen_train::dataset::{Dataset, Kind, Part};
use tempfile::TempDir;

use common::{bad, good, text, train};
use pictures::{drawing, photos_and_art, scene};

/// VGG weights of few channels, made up: the first channels pass on from layer to layer, so that the last tell colours,
/// and the rest mix a little of everything.
fn vgg(path: &Path) {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: String, shape: &[usize], values: Vec<f32>| {
        let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}\n", sides.trim_end());
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        archive.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&bytes).unwrap();
    };
    add("0.weight".into(), &[3, 3, 1, 1], vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    add("0.bias".into(), &[3], vec![0.0; 3]);
    let mut ic = 3;
    for (number, oc) in [(2, 6), (5, 6), (9, 8), (12, 8), (16, 8)] {
        let mix = |i: usize| {
            let hash = ((i + number * 1000) as u32).wrapping_mul(2_654_435_761) >> 16;
            0.2 * ((hash % 1024) as f32 / 1024.0 - 0.5)
        };
        let passes = |i: usize| i % 9 == 4 && i / 9 % ic == i / 9 / ic;
        let weight = (0..oc * ic * 9).map(|i| if passes(i) { 1.0 } else { mix(i) }).collect();
        add(format!("{number}.weight"), &[oc, ic, 3, 3], weight);
        add(format!("{number}.bias"), &[oc], vec![0.0; oc]);
        ic = oc;
    }
    std::fs::write(path, archive.finish().unwrap().into_inner()).unwrap();
}

/// A folder with photos, art, and a configuration for a run of seconds.
struct Workshop(TempDir);

impl Workshop {
    fn new() -> Self {
        let workshop = Self(tempfile::tempdir().unwrap());
        photos_and_art(workshop.0.path());
        std::fs::write(workshop.at("licences.csv"), "p,CC0-1.0\nred,MIT\n").unwrap();
        vgg(&workshop.at("vgg.npz"));
        workshop
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn prepare(&self, out: &str) -> Command {
        let mut command = train("prepare");
        command.arg(self.at("photos")).arg(self.at("art")).args(["--min-side", "48"]);
        command.args(["--hold-out", "p3", "--hold-out", "p4", "--licences"]).arg(self.at("licences.csv"));
        command.arg("-o").arg(self.at(out));
        command
    }

    fn configure(&self, name: &str, steps: u32, warm: u32, reference: bool) {
        let losses = if reference {
            "adversarial = 0.0\ntexture = 0.0\nsurface = 0.0\ncontent = 0.1\nstructure = 0.0\npainted = 0.0\n\
             colour = 0.0\ngram = 0.1\nstatistics = 3.0\ntotal_variation = 0.0\n"
        } else {
            "adversarial = 0.1\ntexture = 0.1\nsurface = 0.0\ncontent = 0.5\nstructure = 0.0\npainted = 0.0\n\
             colour = 0.5\ngram = 0.1\nstatistics = 0.0\ntotal_variation = 0.1\n"
        };
        let config = format!(
            "seed = 1\nsteps = {steps}\nbatch = 2\ncrop = 32\nhalf = false\nclip = 1.0\naverage = 0.9\n\
             evaluate_every = {every}\nevaluate_pictures = 2\npatience = 0\naround_face = 0.0\nface_weight = 1.0\n\
             [generator]\nchannels = [6, 8, 8, 8]\nblocks = 2\nresidual = {reference}\nattention = false\n\
             reference = {reference}\n\
             [discriminator]\nchannels = [4, 6, 8]\ndropout = 0.0\n\
             [warm]\nsteps = {warm}\nrate = 3e-3\nrise = 2\nfeatures = 0.1\n\
             [adversary]\ngame = \"lsgan\"\ngenerator_rate = 3e-3\ndiscriminator_rate = 1e-4\nrise = 2\n\
             label_smoothing = 0.1\npainted_share = 0.5\nsmoothed = 0.5\n\
             [loss]\n{losses}\
             [collapse]\nevaluations = 3\nwon = 0.99\nlost = 0.0\ndiversity = 0.0\nrollbacks = 2\n\
             [augment]\nflip = 0.5\ntint = 0.2\ntint_by = 0.1\ndark = 0.2\ndarkest = 0.4\njpeg = 0.2\nblur = 0.2\n\
             noise = 0.5\nnoise_deviation = 4.0\n",
            every = (steps / 3).clamp(1, 50)
        );
        std::fs::write(self.at(name), config).unwrap();
    }

    fn teacher(&self, config: &str, out: &str) -> Command {
        let mut command = train("teacher");
        command.arg("--dataset").arg(self.at("set.zip")).arg("--config").arg(self.at(config));
        command.arg("--vgg").arg(self.at("vgg.npz")).arg("-o").arg(self.at(out));
        command
    }

    fn apply(&self, teacher: &str, photo: &str, out: &str) -> Command {
        let mut command = train("apply");
        command.arg("--teacher").arg(self.at(teacher)).arg(self.at(photo)).arg("-o").arg(self.at(out));
        command
    }
}

fn open(path: PathBuf) -> RgbImage {
    image::open(path).unwrap().into_rgb8()
}

#[test]
fn files_become_a_data_set_without_copies_or_broken_ones() {
    let workshop = Workshop::new();
    std::fs::write(workshop.at("photos/broken.jpg"), b"no photo").unwrap();
    std::fs::copy(workshop.at("photos/p0.png"), workshop.at("photos/q-copy.png")).unwrap();
    // The same photo in another size and format.
    image::imageops::resize(&scene(1), 60, 48, image::imageops::FilterType::Lanczos3)
        .save(workshop.at("photos/r-smaller.jpg"))
        .unwrap();
    RgbImage::from_fn(40, 20, |x, y| Rgb([(x * 5) as u8, (y * 9) as u8, 3]))
        .save(workshop.at("photos/tiny.png"))
        .unwrap();
    let said = good(&mut workshop.prepare("set.zip"));
    let (told, warned) = (text(&said.stdout), text(&said.stderr));
    assert!(told.contains("photos: ") && told.contains("2 held out") && told.contains("7 pictures"), "{told}");
    assert!(warned.contains("broken.jpg is passed over") && warned.contains("tiny.png is passed over"), "{warned}");
    assert!(warned.contains("q-copy.png is the same picture as p0.png"), "{warned}");
    assert!(warned.contains("r-smaller.jpg is the same picture as p1.png"), "{warned}");
    let set = Dataset::open(&workshop.at("set.zip")).unwrap();
    let held_out: Vec<_> =
        set.pictures(Kind::Photo, Part::HeldOut).unwrap().into_iter().map(|(item, _)| item.source).collect();
    assert_eq!(held_out, ["p3.png", "p4.png"]);
    let licences: Vec<_> = set.items().iter().map(|item| item.licence.as_deref()).collect();
    assert_eq!(licences.iter().filter(|licence| licence.is_none()).count(), 1, "blue.png has none: {licences:?}");
    let art = set.art(Part::Train).unwrap();
    assert!(art.len() == 2 && art.iter().all(|art| art.picture != art.smoothed));
    // Any program reads it.
    let mut archive = zip::ZipArchive::new(std::fs::File::open(workshop.at("set.zip")).unwrap()).unwrap();
    let list = std::io::read_to_string(archive.by_name("licences.csv").unwrap()).unwrap();
    assert!(list.lines().any(|line| line.starts_with("red.png,") && line.ends_with(",MIT")), "{list}");
    assert!(list.lines().any(|line| line.starts_with("blue.png,") && line.ends_with(",not stated")), "{list}");
    // Again, to the same bytes.
    let bytes = std::fs::read(workshop.at("set.zip")).unwrap();
    good(&mut workshop.prepare("set.zip"));
    assert!(bytes == std::fs::read(workshop.at("set.zip")).unwrap());
    std::fs::create_dir(workshop.at("empty")).unwrap();
    for option in ["--art", "--clips"] {
        let mut prepare = train("prepare");
        prepare
            .arg(workshop.at("photos"))
            .arg(option)
            .arg(workshop.at("empty"))
            .arg("-o")
            .arg(workshop.at("other.zip"));
        bad(&mut prepare, 1, "name what holds some");
    }
    bad(&mut workshop.prepare("photos"), 1, "name a file for the data set");
}

#[test]
fn a_data_set_becomes_a_teacher_that_draws_photos_of_any_size() {
    let workshop = Workshop::new();
    good(&mut workshop.prepare("set.zip"));
    workshop.configure("config.toml", 9, 3, false);
    let said = good(&mut workshop.teacher("config.toml", "run"));
    assert!(text(&said.stdout).contains("finished at step 9"), "{}", text(&said.stdout));
    for name in ["metrics.csv", "metrics.png", "sheet.png", "run.toml", "teacher.safetensors"] {
        assert!(workshop.at("run").join(name).is_file(), "{name}");
    }
    // A finished run stays as it is.
    let before = std::fs::read(workshop.at("run/teacher.safetensors")).unwrap();
    good(&mut workshop.teacher("config.toml", "run"));
    assert_eq!(before, std::fs::read(workshop.at("run/teacher.safetensors")).unwrap());

    RgbImage::from_fn(37, 51, |x, y| Rgb([(x * 6) as u8, (y * 4) as u8, 80])).save(workshop.at("odd.png")).unwrap();
    let teacher = "run/teacher.safetensors";
    good(&mut workshop.apply(teacher, "odd.png", "out.png"));
    assert_eq!(open(workshop.at("out.png")).dimensions(), (37, 51));
    let said = good(workshop.apply(teacher, "odd.png", "quiet.jpg").arg("-q"));
    assert!(said.stdout.is_empty() && said.stderr.is_empty());

    let mut command = workshop.apply(teacher, "odd.png", "other.png");
    command.arg("--reference").arg(workshop.at("art/red.png")).arg("--vgg").arg(workshop.at("vgg.npz"));
    bad(&mut command, 2, "takes no style from a picture");
    bad(&mut workshop.apply("config.toml", "odd.png", "other.png"), 1, "config.toml does not hold a teacher");
    bad(&mut workshop.apply("none.safetensors", "odd.png", "other.png"), 1, "none.safetensors");
    bad(&mut workshop.apply(teacher, "config.toml", "other.png"), 1, "config.toml is no picture");
    bad(&mut workshop.apply(teacher, "odd.png", "other.txt"), 2, "other.txt");
    assert!(!workshop.at("other.png").exists());

    repainted(&workshop, teacher);
}

/// What a student is distilled from: the painted pairs with what the teacher makes of their photos.
fn repainted(workshop: &Workshop, teacher: &str) {
    let mut paint = train("paint");
    paint.arg(workshop.at("photos")).args(["--scales", "1", "--hold-out", "p3", "-o"]).arg(workshop.at("pairs"));
    good(&mut paint);
    let repaint = |teacher: &str, out: &str| {
        let mut command = train("repaint");
        command.arg("--pairs").arg(workshop.at("pairs")).arg("--teacher").arg(workshop.at(teacher));
        command.arg("-o").arg(workshop.at(out));
        command
    };
    assert!(text(&good(&mut repaint(teacher, "taught")).stdout).contains("(1 held out), 5 of them painted now"));
    assert!(text(&good(&mut repaint(teacher, "taught")).stdout).contains("0 of them painted now"));
    let files = |folder: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(workshop.at(folder)).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    };
    let (painted, taught) = (files("pairs/target"), files("taught/target"));
    assert_eq!((painted.len(), taught.len()), (5, 5));
    for (painted, taught) in painted.iter().zip(&taught) {
        let (painted, taught) = (open(painted.clone()), open(taught.clone()));
        assert_eq!(painted.dimensions(), taught.dimensions());
        assert_ne!(painted, taught);
    }
    assert_eq!(open(files("pairs/photo")[0].clone()), open(files("taught/photo")[0].clone()));
    bad(&mut repaint(teacher, "pairs"), 2, "name another one");
    bad(&mut repaint("config.toml", "other"), 1, "config.toml does not hold a teacher");
    // Painted pairs are not lost to a teacher's.
    std::fs::create_dir(workshop.at("mine")).unwrap();
    std::fs::copy(workshop.at("pairs/index.jsonl"), workshop.at("mine/index.jsonl")).unwrap();
    bad(&mut repaint(teacher, "mine"), 1, "holds pairs of 'anime'");
}

#[test]
fn two_references_give_two_pictures_of_one_photo() {
    let workshop = Workshop::new();
    good(&mut workshop.prepare("set.zip"));
    workshop.configure("config.toml", 300, 20, true);
    good(&mut workshop.teacher("config.toml", "run"));
    // Neither was seen in training.
    drawing([235, 70, 90], 10).save(workshop.at("pink.png")).unwrap();
    drawing([40, 110, 220], 10).save(workshop.at("azure.png")).unwrap();
    let with = |reference: &str, out: &str| {
        let mut command = workshop.apply("run/teacher.safetensors", "photos/p2.png", out);
        command.arg("--reference").arg(workshop.at(reference)).arg("--vgg").arg(workshop.at("vgg.npz"));
        good(&mut command);
        open(workshop.at(out))
    };
    let (pink, azure) = (with("pink.png", "a.png"), with("azure.png", "b.png"));
    let redness = |p: &RgbImage| p.pixels().map(|p| f64::from(p.0[0]) - f64::from(p.0[2])).sum::<f64>() / 5120.0;
    let difference: f64 = pink.iter().zip(azure.iter()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / 15360.0;
    assert!(difference > 20.0, "they differ by {difference} of 255");
    assert!(redness(&pink) > redness(&azure) + 20.0, "{} and {}", redness(&pink), redness(&azure));
    bad(&mut workshop.apply("run/teacher.safetensors", "photos/p2.png", "c.png"), 2, "--reference");
    // The run tells where the VGG weights lay.
    let unnamed = |teacher: &str| {
        let mut command = workshop.apply(teacher, "photos/p2.png", "d.png");
        command.arg("--reference").arg(workshop.at("pink.png"));
        command
    };
    good(&mut unnamed("run/teacher.safetensors"));
    assert!(open(workshop.at("d.png")) == pink);
    std::fs::copy(workshop.at("run/teacher.safetensors"), workshop.at("moved.safetensors")).unwrap();
    bad(&mut unnamed("moved.safetensors"), 2, "--vgg");
}

#[test]
fn style_pictures_that_are_named_one_by_one_are_trained_on() {
    let workshop = Workshop::new();
    good(&mut workshop.prepare("set.zip"));
    workshop.configure("config.toml", 6, 2, true);
    let by = |references: &[&str], out: &str| {
        let mut command = workshop.teacher("config.toml", out);
        command.arg("--reference").args(references.iter().map(|name| workshop.at(name)));
        good(&mut command);
        std::fs::read(workshop.at(out).join("teacher.safetensors")).unwrap()
    };
    let one = by(&["art/red.png"], "one");
    assert!(one != by(&["art/red.png", "art/blue.png"], "two"), "the second picture is not looked at");
    let told = std::fs::read_to_string(workshop.at("one/run.toml")).unwrap();
    assert!(told.contains("references"), "{told}");
    bad(workshop.teacher("config.toml", "none").arg("--reference").arg(workshop.at("none.png")), 1, "none.png");
    // Without a loss by style nobody would look at them.
    let config = std::fs::read_to_string(workshop.at("config.toml")).unwrap();
    let deaf = config.replace("gram = 0.1", "gram = 0.0").replace("statistics = 3.0", "statistics = 0.0");
    std::fs::write(workshop.at("deaf.toml"), deaf).unwrap();
    bad(workshop.teacher("deaf.toml", "deaf").arg("--reference").arg(workshop.at("art/red.png")), 1, "'gram'");
}

#[cfg(unix)]
#[test]
fn a_run_that_is_interrupted_goes_on_where_it_was() {
    let workshop = Workshop::new();
    good(&mut workshop.prepare("set.zip"));
    workshop.configure("config.toml", 1_000_000, 3, false);
    let checkpoint = workshop.at("run/metrics.csv");
    let mut child =
        workshop.teacher("config.toml", "run").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    let lines = || std::fs::read_to_string(&checkpoint).map_or(0, |text| text.lines().count());
    while lines() < 2 && started.elapsed() < Duration::from_secs(120) && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(told.success() && output.status.code() == Some(1), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("the same command goes on from here"), "{said}");
    let reached = said.split("stopped at step ").nth(1).unwrap().split(&[';', ','][..]).next().unwrap().to_owned();
    let mut child = workshop.teacher("config.toml", "run").stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut seen = String::new();
    let mut byte = [0];
    while !seen.contains("going on from step") && std::io::Read::read(&mut stderr, &mut byte).unwrap() == 1 {
        seen.push(char::from(byte[0]));
    }
    while !seen.ends_with('\n') && std::io::Read::read(&mut stderr, &mut byte).unwrap() == 1 {
        seen.push(char::from(byte[0]));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(seen.contains(&format!("going on from step {reached} ")), "{seen}");
}

#[test]
fn what_cannot_be_prepared_or_trained_is_said() {
    let workshop = Workshop::new();
    bad(train("prepare").arg(workshop.at("none")).arg("-o").arg(workshop.at("x.zip")), 1, "does not exist");
    bad(train("prepare").arg(workshop.at("vgg.npz")).arg("-o").arg(workshop.at("x.zip")), 1, "neither a photo");
    bad(train("prepare").arg("-o").arg(workshop.at("x.zip")), 1, "no photo, art or clip");
    bad(workshop.prepare("x.zip").args(["--max-side", "64", "--min-side", "65"]), 2, "--min-side");
    bad(workshop.prepare("x.zip").args(["--hold-out", "nobody"]), 1, "--hold-out nobody");
    bad(&mut workshop.prepare("missing/x.zip"), 1, "missing");
    let photo = |name: &str| workshop.at("photos").join(name);
    bad(train("prepare").args([photo("p0.png"), photo("p1.png")]).arg("-o").arg(workshop.at("x.zip")), 2, "--photos");
    assert!(!workshop.at("x.zip").exists(), "nothing is left behind");

    workshop.configure("config.toml", 3, 1, false);
    std::fs::write(workshop.at("wrong.toml"), "seed = ").unwrap();
    std::fs::write(workshop.at("set.zip"), "no archive").unwrap();
    bad(&mut workshop.teacher("config.toml", "run"), 1, "set.zip is no data set");
    good(&mut workshop.prepare("set.zip"));
    bad(&mut workshop.teacher("wrong.toml", "run"), 1, "wrong.toml is not a configuration");
    bad(&mut workshop.teacher("none.toml", "run"), 1, "none.toml");
    bad(train("teacher").arg("--config").arg(workshop.at("config.toml")).args(["-o", "run"]), 2, "--pairs, --dataset");
    assert!(!workshop.at("run").exists(), "nothing is left behind");
    // What was wrong is given right, and the folder is that of the same run.
    let based = |base: &str| {
        let mut teacher = workshop.teacher("config.toml", "run");
        teacher.arg("--base").arg(workshop.at(base));
        teacher
    };
    bad(&mut based("set.zip"), 1, "set.zip does not hold a teacher");
    good(&mut workshop.teacher("config.toml", "run"));
}
