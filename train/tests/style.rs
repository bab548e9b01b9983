//! From photos and art to a style by one command: `nijigen-train style`.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/pictures.rs"]
mod pictures;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use image::RgbImage;
use nijigen::engine::{Options, Stated, load};
use nijigen::frame::Size;
use nijigen::style::Card;
use tempfile::TempDir;

use common::{bad, good, text, train};
use pictures::photos_and_art;

/// A folder with photos, art, and configurations for runs of seconds.
struct Workshop(TempDir);

impl Workshop {
    fn new() -> Self {
        let workshop = Self(tempfile::tempdir().unwrap());
        photos_and_art(workshop.0.path());
        workshop.configure("config.toml", 24);
        workshop
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A configuration whose teacher takes `steps` steps, with some evaluations on the way.
    fn configure(&self, name: &str, steps: u32) {
        let augment = "flip = 0.5\ntint = 0.2\ntint_by = 0.1\ndark = 0.2\ndarkest = 0.4\njpeg = 0.2\nblur = 0.2\n\
                       noise = 0.5\nnoise_deviation = 4.0\n";
        let config = format!(
            "seed = 3\n\
             [paint]\nmax_side = 64\nmin_side = 16\nscales = [1.0, 0.8]\nclip_max_side = 64\nclip_scales = [1.0]\n\
             every = 8\n\
             [teacher]\nsteps = {steps}\nbatch = 2\ncrop = 32\nhalf = false\nclip = 1.0\naverage = 0.9\n\
             evaluate_every = 6\nevaluate_pictures = 2\npatience = 0\naround_face = 0.0\nface_weight = 1.0\n\
             [teacher.generator]\nchannels = [6, 8, 8, 8]\nblocks = 1\nresidual = false\nattention = false\n\
             reference = false\n\
             [teacher.discriminator]\nchannels = [4, 6, 8]\ndropout = 0.0\n\
             [teacher.warm]\nsteps = 6\nrate = 3e-3\nrise = 2\nfeatures = 0.0\n\
             [teacher.adversary]\ngame = \"lsgan\"\ngenerator_rate = 1e-3\ndiscriminator_rate = 1e-4\nrise = 2\n\
             label_smoothing = 0.1\npainted_share = 0.5\nsmoothed = 0.5\n\
             [teacher.loss]\nadversarial = 0.1\ntexture = 0.1\nsurface = 0.0\ncontent = 0.0\nstructure = 0.0\n\
             painted = 0.5\ncolour = 0.1\ngram = 0.0\nstatistics = 0.0\ntotal_variation = 0.1\n\
             [teacher.collapse]\nevaluations = 3\nwon = 0.99\nlost = 0.0\ndiversity = 0.0\nrollbacks = 2\n\
             [teacher.augment]\n{augment}\
             [distill]\nsize = \"s\"\nsteps = 12\nbatch = 2\ntwins = 1\ncrop = 32\nrate = 1e-3\nwarmup = 2\n\
             quantize_from = 0.5\nhalf = false\nfinish = 1\nclip = 1.0\naverage = 0.9\nevaluate_every = 3\n\
             patience = 0\naround_face = 0.4\nface_weight = 3.0\n\
             [distill.loss]\ngradient = 1.0\nfeatures = 0.0\nfeatures_every = 1\nfeatures_crop = 32\nflicker = 0.01\n\
             [distill.augment]\n{augment}"
        );
        std::fs::write(self.at(name), config).unwrap();
    }

    /// The command without art and without what else is optional.
    fn plain(&self, name: &str, run: &str) -> Command {
        let mut command = train("style");
        command.arg(name).arg("--photos").arg(self.at("photos"));
        command.arg("--config").arg(self.at("config.toml")).arg("-o").arg(self.at(run));
        command
    }

    fn style(&self, run: &str) -> Command {
        let mut command = self.plain("mine", run);
        command.arg("--art").arg(self.at("art"));
        command
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).unwrap()
    }
}

/// All files below `folder` with what is in them.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.append(&mut files(&path));
        } else {
            all.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    all
}

fn card(path: &Path) -> Card {
    Card::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn photos_and_art_become_a_style_and_what_is_done_is_neither_done_again_nor_trusted_when_changed() {
    let workshop = Workshop::new();
    let said = good(&mut workshop.style("run"));
    let told = text(&said.stdout);
    assert!(told.contains("nijigen run --style") && told.contains("run/style/mine.onnx"), "{told}");
    let onnx = workshop.read("run/style/mine.onnx");
    let mut generator = load(&onnx, Stated::default(), Options::threads(1)).unwrap().generator;
    let mut drawn = vec![0; 32 * 24 * 3];
    generator.run(&vec![90; drawn.len()], Size::new(32, 24), &mut drawn).unwrap();
    let card = card(&workshop.at("run/style/mine.toml"));
    card.check(&onnx).unwrap();
    assert!(card.metrics.contains_key("held_out_l1") && card.size.as_deref() == Some("s"), "{card:?}");
    let teacher = card.teacher.as_ref().unwrap();
    assert_eq!(
        teacher.sha256.as_deref(),
        Some(nijigen::style::sha256(&workshop.read("run/teacher/teacher.safetensors")).as_str())
    );
    assert!(teacher.steps > teacher.warm_steps && teacher.accuracy_real.is_some(), "{teacher:?}");
    assert!(teacher.metrics["held_out_ssim"] < 1.0, "not the painter's pictures again: {teacher:?}");
    let counts: Vec<_> = card.data.iter().map(|data| (data.name.as_str(), data.count)).collect();
    assert_eq!(counts, [("photos", Some(5)), ("pictures of the style", Some(2))]);
    for picture in [
        "run/style/mine.jpg",
        "run/eval/sheet.png",
        "run/eval/teacher-sheet.png",
        "run/teacher/sheet.png",
        "run/distill/losses.png",
    ] {
        image::open(workshop.at(picture)).unwrap();
    }

    let before = files(&workshop.at("run"));
    let said = good(&mut workshop.style("run"));
    assert_eq!(text(&said.stderr).matches("done before").count(), 7, "{}", text(&said.stderr));
    assert!(files(&workshop.at("run")) == before, "a finished run stays as it is");
    let said = good(workshop.style("run").arg("-q"));
    assert_eq!((text(&said.stdout), text(&said.stderr)), (String::new(), String::new()));

    // Other arguments and inputs.
    bad(workshop.style("run").args(["--size", "m"]), 1, "'distill.size' was \"s\", is \"m\"");
    bad(workshop.style("run").args(["--recipe", "film"]), 1, "another recipe");
    bad(&mut workshop.plain("mine", "run"), 1, "other files under --art");
    std::fs::copy(workshop.at("art/red.png"), workshop.at("photos/red.png")).unwrap();
    bad(&mut workshop.style("run"), 1, "other files under --photos: give what it was begun with");
    std::fs::remove_file(workshop.at("photos/red.png")).unwrap();
    // What is said above changes nothing.
    good(&mut workshop.style("run"));

    // What steps left.
    let picture = before.keys().find(|path| path.starts_with(workshop.at("run/pairs/target"))).unwrap();
    RgbImage::new(64, 57).save(picture).unwrap();
    bad(&mut workshop.style("run"), 1, "run/pairs, which the step paint left, was changed or is damaged");
    std::fs::write(picture, &before[picture]).unwrap();
    let teacher = workshop.at("run/teacher/teacher.safetensors");
    std::fs::write(&teacher, &before[&teacher][..99]).unwrap();
    bad(&mut workshop.style("run"), 1, "teacher.safetensors, which the step teacher left");
    // As it says there.
    std::fs::remove_dir_all(workshop.at("run/teacher")).unwrap();
    std::fs::remove_dir_all(workshop.at("run/style")).unwrap();
    good(&mut workshop.style("run"));
    assert!(
        workshop.read("run/style/mine.onnx") == onnx
            && workshop.read("run/teacher/teacher.safetensors") == before[&teacher]
    );
    let run = workshop.at("run/run.toml");
    std::fs::write(&run, "name = ").unwrap();
    bad(&mut workshop.style("run"), 1, "run.toml is damaged: put it back as it was");
}

/// Runs `command` until `reached`, then kills it; whether it was still running.
fn killed_when(command: &mut Command, reached: impl Fn() -> bool) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let running = runs_until(&mut child, reached);
    child.kill().unwrap();
    child.wait().unwrap();
    running
}

fn runs_until(child: &mut Child, reached: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while !reached() {
        if child.try_wait().unwrap().is_some() || started.elapsed() > Duration::from_secs(120) {
            return false;
        }
        sleep(Duration::from_millis(1));
    }
    true
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[test]
fn a_run_that_was_killed_again_and_again_ends_with_the_same_style() {
    let workshop = Workshop::new();
    good(&mut workshop.style("whole"));
    let steps = workshop.at("parts/steps.toml");
    let is_done = |step: &str| std::fs::read_to_string(&steps).is_ok_and(|text| text.contains(step));
    // As many lines as are there, and one more.
    let grows = |name: &str| {
        let path = workshop.at(name);
        let before = lines(&path).max(1);
        move || lines(&path) > before
    };
    let mut hits = 0;
    let mut kill = |reached: &dyn Fn() -> bool| {
        hits += u32::from(killed_when(&mut workshop.style("parts"), reached));
    };
    kill(&|| workshop.at("parts/run.toml").exists());
    kill(&|| is_done("prepare"));
    kill(&grows("parts/pairs/index.jsonl"));
    kill(&|| is_done("paint"));
    for _ in 0..2 {
        kill(&grows("parts/teacher/metrics.csv"));
    }
    kill(&|| is_done("teacher"));
    kill(&grows("parts/taught/index.jsonl"));
    for _ in 0..2 {
        kill(&grows("parts/distill/losses.csv"));
    }
    kill(&|| is_done("distill"));
    kill(&|| workshop.at("parts/style/mine.onnx").exists());
    // A program may have come further before it was killed; it was in the middle mostly.
    assert!(hits > 6, "{hits}");
    good(&mut workshop.style("parts"));
    for name in [
        "set.zip",
        "pairs/index.jsonl",
        "teacher/teacher.safetensors",
        "taught/index.jsonl",
        "distill/weights.safetensors",
        "style/mine.onnx",
        "style/mine.jpg",
        "style/mine.safetensors",
        "eval/sheet.png",
        "eval/teacher-sheet.png",
    ] {
        assert!(workshop.read(&format!("whole/{name}")) == workshop.read(&format!("parts/{name}")), "{name}");
    }
    // Losses to the bit, but not what depends on the clock: the last four columns.
    let losses = |name: &str| {
        let text = String::from_utf8(workshop.read(name)).unwrap();
        text.lines().map(|line| line.rsplitn(5, ',').last().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for name in ["teacher/metrics.csv", "distill/losses.csv"] {
        assert_eq!(losses(&format!("whole/{name}")), losses(&format!("parts/{name}")), "{name}");
    }
    let [whole, parts] = ["whole", "parts"].map(|run| card(&workshop.at(&format!("{run}/style/mine.toml"))));
    let timeless = |mut card: Card| {
        card.teacher.as_mut().unwrap().minutes = None;
        Card { minutes: None, ..card }
    };
    assert_eq!(timeless(whole), timeless(parts));
    let left: Vec<_> =
        files(&workshop.at("parts")).into_keys().filter(|path| path.to_string_lossy().contains(".nijigen-")).collect();
    assert_eq!(left, Vec::<PathBuf>::new(), "what killed programs left beside its place is gone");
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_nobody_else_works_in_the_folder_meanwhile() {
    let workshop = Workshop::new();
    workshop.configure("config.toml", 1_000_000);
    let metrics = workshop.at("run/teacher/metrics.csv");
    let mut child = workshop.style("run").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(runs_until(&mut child, || lines(&metrics) > 1));
    bad(&mut workshop.style("run"), 1, "another nijigen-train works in");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("interrupted in step 3 of 7, teacher;") && told.contains("the same command goes on"),
        "{told}"
    );
    let step = told.split("stopped at step ").nth(1).unwrap().split(&[';', ','][..]).next().unwrap();
    // It goes on at that very step.
    let mut child = workshop.style("run").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let before = lines(&metrics);
    assert!(runs_until(&mut child, || lines(&metrics) > before));
    child.kill().unwrap();
    let told = text(&child.wait_with_output().unwrap().stderr);
    assert!(told.contains(&format!("going on from step {step} ")), "{told}");
}

#[test]
fn without_a_teacher_the_student_learns_from_the_painter() {
    let workshop = Workshop::new();
    std::fs::write(workshop.at("card.toml"), "description = \"calm\"\nlicence = \"MIT\"\n").unwrap();
    std::fs::write(workshop.at("licences.csv"), "p,CC0-1.0\np4,MIT\n").unwrap();
    let mut command = workshop.plain("film", "run");
    command.arg("--no-teacher").arg("--card").arg(workshop.at("card.toml"));
    command.arg("--licences").arg(workshop.at("licences.csv")).args(["--hold-out", "p1", "--hold-out", "p2"]);
    let said = good(&mut command);
    assert!(text(&said.stderr).contains("step 5 of 5, eval"), "{}", text(&said.stderr));
    let card = card(&workshop.at("run/style/film.toml"));
    assert_eq!((card.description.as_str(), card.licence.as_deref()), ("calm", Some("MIT")));
    assert!(card.recipe.as_ref().is_some_and(|recipe| recipe.contains("recipe film")), "NAME is a recipe's: {card:?}");
    let data: Vec<_> = card.data.iter().map(|data| (data.licence.as_str(), data.count)).collect();
    assert_eq!(data, [("CC0-1.0", Some(4)), ("MIT", Some(1))]);
    let index = std::fs::read_to_string(workshop.at("run/pairs/index.jsonl")).unwrap();
    let held_out: Vec<bool> = index.lines().map(|line| line.contains("held-out")).collect();
    let named = |line: &str| line.contains("\"p1.png\"") || line.contains("\"p2.png\"");
    assert_eq!(held_out, index.lines().map(named).collect::<Vec<_>>());
    assert!(!workshop.at("run/teacher").exists() && !workshop.at("run/taught").exists());
}

#[test]
fn what_cannot_become_a_style_is_said_before_anything_is_written() {
    let workshop = Workshop::new();
    bad(&mut workshop.plain("a/b", "run"), 2, "holds a slash");
    bad(&mut workshop.plain("mine.v2", "run"), 2, "holds a dot");
    bad(&mut workshop.plain("off", "run"), 2, "stands for no style");
    bad(&mut workshop.plain("a:0.5+b:0.5", "run"), 2, "a plus");
    bad(train("style").args(["mine", "-o"]).arg(workshop.at("run")), 2, "--photos");
    bad(workshop.plain("mine", "run").args(["--recipe", "dance"]), 2, "--recipe dance");
    bad(workshop.plain("mine", "run").args(["--recipe", "restore"]), 2, "--recipe restore paints nothing");
    bad(workshop.style("run").arg("--no-teacher"), 2, "--no-teacher");
    bad(workshop.style("run").args(["--size", "xl"]), 2, "xl");
    bad(workshop.style("run").args(["--hold-out", "nobody"]), 2, "--hold-out nobody");
    bad(workshop.style("run").arg("--clips").arg(workshop.at("none")), 1, "does not exist");
    for option in ["--vgg", "--base", "--person-mask", "--faces", "--card"] {
        bad(workshop.style("run").arg(option).arg(workshop.at("config.toml")), 1, "config.toml");
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/anime.safetensors");
    bad(workshop.style("run").arg("--base").arg(&shipped), 2, "give --size m");
    let config = String::from_utf8(workshop.read("config.toml")).unwrap();
    let configured = |from: &str, to: &str| {
        std::fs::write(workshop.at("config.toml"), config.replacen(from, to, 1)).unwrap();
        workshop.style("run")
    };
    bad(&mut configured("[distill]", "[distil]"), 1, "config.toml is not a configuration: in [distill]: missing field");
    bad(&mut configured("twins = 1", "person_mask = true"), 2, "--person-mask");
    bad(&mut configured("flicker = 0.01", "flicker = 0.01\nmixture = 0.5"), 2, "--mix-with");
    assert!(!workshop.at("run").exists(), "nothing is left behind");

    std::fs::write(workshop.at("config.toml"), &config).unwrap();
    bad(&mut workshop.plain("mine", "art"), 1, "holds something else already: name a new folder");
    assert!(!workshop.at("art/run.toml").exists());
    for name in ["p0", "p1", "p2"] {
        std::fs::remove_file(workshop.at(&format!("photos/{name}.png"))).unwrap();
    }
    bad(&mut workshop.style("run"), 1, "2 photos and clips were found: name more photos, 3 at least");
    assert!(!workshop.at("run").exists(), "nothing is left behind");
}
