#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burn::backend::{Autodiff, NdArray};
use image::{Rgb, RgbImage};
use indicatif::ProgressBar;
use nijigen::engine::contract::FloatNetwork;
use nijigen::engine::topology::{StudentSize, Topology};

use super::adversary::Adversary;
use super::config::{Config, Keep, Losses, Start, StudentName};
use super::{Distillation, Outcome, WEIGHTS};
use crate::data::augment::Augment;
use crate::data::pairs::{Pair, Split};
use crate::data::training_set::LoadedPair;
use crate::device::Task;
use crate::pace::CHECKPOINT_EVERY;
use crate::weights::{self, Weights};

/// A configuration of so many steps without an adversary.
pub(super) fn config(steps: u64) -> Config {
    Config {
        size: StudentName::S,
        start: Start::Random,
        seed: 3,
        steps,
        batch: 4,
        twins: 2,
        crop: 16,
        align: 1,
        person_mask: false,
        residual: false,
        wake: 0,
        rate: 1e-3,
        warmup: 2,
        quantize_from: 0.5,
        activation_range: None,
        // ndarray has no 16-bit format: whether the resume is exact in one as well is not seen here.
        half: false,
        finish: 1,
        clip: 1.0,
        average: 0.9,
        evaluate_every: 100,
        patience: 0,
        keep: Keep::Best,
        around_face: 0.5,
        face_weight: 3.0,
        loss: Losses {
            gradient: 1.0,
            features: 0.0,
            features_every: 1,
            features_crop: 16,
            flicker: 0.02,
            flicker_from: 0.0,
            person_mask: 1.0,
            mixture: 0.0,
            adversarial: 0.0,
        },
        adversary: Adversary::default(),
        augment: Augment::OF_TESTS,
    }
}

pub(super) fn pair(number: u8, split: Split) -> LoadedPair {
    let photo = RgbImage::from_fn(24, 20, |x, y| Rgb([number.wrapping_mul(40), (x * 10) as u8, (y * 12) as u8]));
    let target = RgbImage::from_fn(24, 20, |x, _| if x > 12 { Rgb([200; 3]) } else { Rgb([40; 3]) });
    let name = format!("{number}.png");
    let entry = Pair {
        photo: name.clone(),
        target: name.clone(),
        source: name,
        frame: None,
        scale: 1.0,
        width: 24,
        height: 20,
        faces: vec![crate::painter::FaceBox { x: 6.0, y: 4.0, width: 8.0, height: 10.0 }],
        licence: None,
        source_sha256: String::new(),
        recipe: "test".into(),
        recipe_sha256: String::new(),
        split,
        mask: None,
        next: None,
    };
    LoadedPair { entry, photo, target, mask: None, next: None }
}

/// A very small student for ndarray in `out`; with `stop`, for one step.
pub(super) fn distillation(out: &Path, config: Config, stop: bool) -> Distillation {
    Distillation {
        topology: Topology::two_scale_with(4, 4, 4),
        config,
        train: (0..3).map(|n| pair(n, Split::Train)).collect(),
        validation: vec![pair(9, Split::HeldOut)],
        pairs_sha256: "pairs".into(),
        out: out.to_path_buf(),
        vgg: None,
        base: None,
        mix_with: vec![],
        devices: 1,
        checkpoint_every: CHECKPOINT_EVERY,
        stop: Arc::new(AtomicBool::new(stop)),
        progress: ProgressBar::hidden(),
    }
}

fn run(task: Distillation) -> anyhow::Result<Outcome> {
    task.run::<Autodiff<NdArray>>(Default::default())
}

/// The curve without what depends on the clock: the last four columns.
pub(super) fn curve(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("losses.csv")).unwrap();
    text.lines().map(|line| line.rsplitn(5, ',').last().unwrap().to_owned()).collect()
}

/// With an adversary that comes at the third of seven steps.
pub(super) fn with_adversary(config: Config) -> Config {
    Config {
        loss: Losses { adversarial: 0.5, ..config.loss },
        adversary: Adversary { channels: vec![4, 6], from: 0.3, ..Adversary::default() },
        ..config
    }
}

#[test]
fn a_run_that_was_stopped_ends_as_if_it_had_not_been() {
    let alone = Config { evaluate_every: 2, ..config(7) };
    for config in [alone.clone(), with_adversary(alone)] {
        let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let expected = run(distillation(whole.path(), config.clone(), false)).unwrap();
        // Each call takes one step, saves and ends, through the change to fake-quant and the coming of the adversary.
        let mut outcome = run(distillation(parts.path(), config.clone(), true)).unwrap();
        assert_eq!((outcome.step, outcome.finished), (1, false));
        assert!(!parts.path().join("weights.safetensors").exists(), "nothing is measured where it was not to be");
        while !outcome.finished {
            outcome = run(distillation(parts.path(), config.clone(), true)).unwrap();
        }
        assert_eq!((outcome.step, outcome.best), (expected.step, expected.best));
        for (i, (a, b)) in outcome.network.layers.iter().zip(&expected.network.layers).enumerate() {
            assert_eq!(a, b, "layer {i}");
        }
        assert_eq!(curve(whole.path()), curve(parts.path()));
        assert_eq!(curve(whole.path()).len(), 1 + 4, "a header, steps 2, 4, 6 and the last");
        for name in ["weights.safetensors", "sheet.png"] {
            let [a, b] = [&whole, &parts].map(|folder| std::fs::read(folder.path().join(name)).unwrap());
            assert!(a == b, "{name} differs");
        }
        assert!(parts.path().join("losses.png").is_file());
    }
}

#[test]
fn an_adversary_changes_the_student_from_its_first_step_on_and_is_told_of() {
    let run_of = |config: Config| {
        let folder = tempfile::tempdir().unwrap();
        let outcome = run(distillation(folder.path(), Config { evaluate_every: 2, ..config }, false)).unwrap();
        (outcome.network, curve(folder.path()))
    };
    let ((plain, without), (pressed, with)) = (run_of(config(7)), run_of(with_adversary(config(7))));
    assert_ne!(plain.layers, pressed.layers);
    assert!(without.iter().all(|line| !line.contains("discriminator")));
    assert!(with[0].contains(",adversarial,discriminator,accuracy_real,accuracy_fake,"), "{}", with[0]);
    let cells: Vec<&str> = with[1].split(',').collect();
    assert_eq!(cells[7..11], [""; 4], "it has not begun");
    for line in &with[2..] {
        let cells: Vec<f64> = line.split(',').skip(7).take(4).map(|cell| cell.parse().unwrap()).collect();
        assert!(cells[1] > 0.0 && cells[2..].iter().all(|share| (0.0..=1.0).contains(share)), "{line}");
    }
}

#[test]
fn a_run_that_no_longer_gets_better_ends_and_stays_ended() {
    let folder = tempfile::tempdir().unwrap();
    // At this rate nothing changes, so that no evaluation is better than the first.
    let config = Config { evaluate_every: 1, patience: 2, rate: 1e-30, quantize_from: 0.0, ..config(50) };
    let first = run(distillation(folder.path(), config.clone(), false)).unwrap();
    assert!(first.finished && first.step < 50, "it took {} steps", first.step);
    let before = curve(folder.path());
    let again = run(distillation(folder.path(), config, false)).unwrap();
    assert_eq!((again.step, again.finished), (first.step, true));
    assert_eq!(curve(folder.path()), before);
}

#[test]
fn what_was_saved_on_the_way_outlives_a_failure() {
    let (folder, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = Config { evaluate_every: 9, ..config(4) };
    let expected = run(distillation(whole.path(), config.clone(), false)).unwrap();
    let always =
        || Distillation { checkpoint_every: Duration::ZERO, ..distillation(folder.path(), config.clone(), true) };
    // Where the sheet is to be written there is a folder: the evaluation at the end fails.
    std::fs::create_dir_all(folder.path().join("sheet.png")).unwrap();
    let failing = Distillation { stop: Arc::new(AtomicBool::new(false)), ..always() };
    run(failing).unwrap_err();
    std::fs::remove_dir(folder.path().join("sheet.png")).unwrap();
    let outcome = run(always()).unwrap();
    assert!(outcome.finished, "one step was left, not four");
    assert_eq!(outcome.network.layers, expected.network.layers);
}

#[test]
fn the_weights_of_the_least_l1_are_kept_or_the_last_ones() {
    // At this rate nothing changes, so that no evaluation is better than the first.
    let unchanging = Config { evaluate_every: 1, rate: 1e-30, quantize_from: 0.0, ..config(3) };
    for (keep, step) in [(Keep::Best, 1), (Keep::Last, 3)] {
        let folder = tempfile::tempdir().unwrap();
        run(distillation(folder.path(), Config { keep, ..unchanging.clone() }, false)).unwrap();
        // No student of a shipped size, which alone are loaded: its step stands in the header.
        let kept = std::fs::read(folder.path().join(WEIGHTS)).unwrap();
        let header = String::from_utf8_lossy(&kept[8..2048]);
        assert!(header.contains(&format!("\"step\":\"{step}\"")), "{keep:?}: {header}");
    }
}

#[test]
fn a_checkpoint_of_another_run_is_refused_with_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    run(distillation(folder.path(), config(6), true)).unwrap();
    let same = || distillation(folder.path(), config(6), true);
    for (task, words) in [
        (Distillation { config: Config { seed: 4, ..config(6) }, ..same() }, "another configuration"),
        (Distillation { pairs_sha256: "others".into(), ..same() }, "other pairs"),
    ] {
        let error = format!("{:#}", run(task).unwrap_err());
        assert!(error.contains(words) && error.contains("checkpoint.safetensors"), "{error}");
    }
    assert_eq!(run(same()).unwrap().step, 2);
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let folder = tempfile::tempdir().unwrap();
    run(distillation(folder.path(), config(6), true)).unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for broken in [&bytes[..bytes.len() / 2], &flipped, b""] {
        std::fs::write(&path, broken).unwrap();
        let error = format!("{:#}", run(distillation(folder.path(), config(6), true)).unwrap_err());
        assert!(error.contains("checkpoint.safetensors is damaged"), "{error}");
    }
}

#[test]
fn without_pairs_to_measure_on_nothing_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let task = Distillation { validation: vec![], ..distillation(folder.path(), config(6), false) };
    let error = format!("{:#}", run(task).unwrap_err());
    assert!(error.contains("--hold-out"), "{error}");
}

#[test]
fn waking_wants_a_residual_student_that_was_trained_before() {
    let folder = tempfile::tempdir().unwrap();
    let residual = Config { residual: true, wake: 2, ..config(6) };
    assert!(Config { residual: false, ..residual.clone() }.check().unwrap_err().to_string().contains("'residual'"));
    // What was trained before there was such a value goes on.
    assert!(!toml::to_string(&Config { wake: 0, ..residual.clone() }).unwrap().contains("wake"));
    let error = format!("{:#}", run(distillation(folder.path(), residual, false)).unwrap_err());
    assert!(error.contains("--base"), "{error}");
}

#[test]
fn a_batch_that_the_devices_cannot_share_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let task = distillation(folder.path(), config(6), false);
    let error = format!("{:#}", task.train_on::<Autodiff<NdArray>>(&[Default::default(); 4]).unwrap_err());
    assert!(error.contains("'twins' 2") && error.contains("--devices, which is 4"), "{error}");
    let task = Distillation { devices: 2, ..distillation(folder.path(), config(6), false) };
    let error = format!("{:#}", run(task).unwrap_err());
    let words = if cfg!(feature = "collective") { "finds 1 here" } else { "built without 'collective'" };
    assert!(error.contains(words), "{error}");
}

#[test]
fn with_fake_quant_from_the_start_ranges_are_the_bases_or_set_once() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base.safetensors");
    let network = FloatNetwork::random(Topology::two_scale(StudentSize::S), 4);
    let steps = network.activation_scales();
    weights::save(&base, &Weights { size: StudentName::S, step: 0, base: None, network }).unwrap();
    let ranges = |activation_range: Option<f32>| {
        let out = tempfile::tempdir().unwrap();
        let config = Config { quantize_from: 0.0, activation_range, evaluate_every: 1, ..config(2) };
        let task = distillation(out.path(), config, false);
        let topology = Topology::two_scale(StudentSize::S);
        run(Distillation { topology, base: Some(base.clone()), ..task }).unwrap().network.activation_scales()
    };
    assert_eq!(ranges(None), steps);
    let (whole, half) = (ranges(Some(1.0)), ranges(Some(0.5)));
    assert_ne!(whole, steps);
    assert!(whole.iter().zip(&half).all(|(whole, half)| *half == 0.5 * whole));
}

#[test]
fn a_style_is_trained_to_mix_with_others_of_its_base_alone() {
    let folder = tempfile::tempdir().unwrap();
    let topology = || Topology::two_scale(StudentSize::S);
    let save = |name: &str, seed: u64, base: Option<&str>| {
        let path = folder.path().join(name);
        let (size, base) = (StudentName::S, base.map(str::to_owned));
        let network = FloatNetwork::random(topology(), seed);
        weights::save(&path, &Weights { size, step: 0, base, network }).unwrap();
        path
    };
    let base = save("base", 4, Some("one"));
    let (kin, stranger) = (save("kin", 5, Some("one")), save("stranger", 5, Some("another")));
    let mixing = Config { loss: Losses { mixture: 0.5, ..config(4).loss }, evaluate_every: 2, ..config(4) };
    let task = |out: &str, config: &Config, mix_with: &[&PathBuf], stop| Distillation {
        topology: topology(),
        base: Some(base.clone()),
        mix_with: mix_with.iter().map(|path| (*path).clone()).collect(),
        ..distillation(&folder.path().join(out), config.clone(), stop)
    };
    for name in ["alone", "mixed", "stopped", "refused"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let alone = run(task("alone", &Config { evaluate_every: 2, ..config(4) }, &[], false)).unwrap();
    let mixed = run(task("mixed", &mixing, &[&kin], false)).unwrap();
    assert_ne!(alone.network.layers, mixed.network.layers);
    let lines = curve(&folder.path().join("mixed"));
    assert!(lines[0].contains(",person_mask,mixture,"), "{}", lines[0]);
    assert!(lines[1..].iter().all(|line| line.split(',').nth(7).unwrap().parse::<f64>().unwrap() > 0.0), "{lines:?}");
    while !run(task("stopped", &mixing, &[&kin], true)).unwrap().finished {}
    assert_eq!(curve(&folder.path().join("stopped")), lines);
    for (config, mix_with, words) in [
        (&mixing, vec![&stranger], "did not grow from the base"),
        (&mixing, vec![], "give both, or none"),
        (&config(4), vec![&kin], "give both, or none"),
    ] {
        let error = format!("{:#}", run(task("refused", config, &mix_with, true)).unwrap_err());
        assert!(error.contains(words), "{error}");
    }
    let error = format!("{:#}", run(task("mixed", &mixing, &[&kin, &kin], false)).unwrap_err());
    assert!(error.contains("--mix-with"), "{error}");
}
