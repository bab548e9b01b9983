#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burn::backend::{Autodiff, NdArray};
use image::{Rgb, RgbImage};
use indicatif::ProgressBar;

use super::batches::{Draw, Material};
use super::collapse::Collapse;
use super::config::{Adversary, Config, Limits, Losses, Warm};
use super::model::Model;
use super::record::record;
use super::run::{Fault, train};
use super::state::State;
use super::task::{Outcome, Teacher};
use crate::data::augment::Augment;
use crate::data::pairs::{Pair, Split};
use crate::data::training_set::LoadedPair;
use crate::dataset::Art;
use crate::dataset::edges::smooth_edges;
use crate::device::{Task, TrainBackend};
use crate::game::Game;
use crate::net::parameters::{Named, named, with_named};
use crate::net::patch_discriminator::DiscriminatorShape;
use crate::net::unet::GeneratorShape;
use crate::pace::CHECKPOINT_EVERY;

type B = Autodiff<NdArray>;

/// A run of so many steps, two of them warm, with every loss that needs no features.
pub(super) fn config(steps: u64) -> Config {
    Config {
        seed: 3,
        steps,
        batch: 2,
        crop: 16,
        half: false,
        clip: 1.0,
        average: 0.9,
        evaluate_every: 2,
        evaluate_pictures: 2,
        patience: 0,
        around_face: 0.0,
        face_weight: 1.0,
        features_every: 1,
        generator: GeneratorShape {
            channels: [4, 4, 4, 8],
            blocks: 1,
            residual: false,
            attention: true,
            reference: false,
        },
        discriminator: DiscriminatorShape { channels: vec![4, 6], dropout: 0.2 },
        warm: Warm { steps: 2, rate: 1e-3, rise: 1, features: 0.0 },
        adversary: Adversary {
            game: Game::Lsgan,
            generator_rate: 1e-4,
            discriminator_rate: 1e-4,
            rise: 1,
            label_smoothing: 0.1,
            painted_share: 0.5,
            smoothed: 0.5,
        },
        loss: Losses {
            adversarial: 0.1,
            texture: 0.1,
            surface: 0.1,
            content: 0.0,
            structure: 0.0,
            painted: 1.0,
            colour: 0.1,
            gram: 0.0,
            statistics: 0.0,
            total_variation: 0.1,
        },
        collapse: Limits { evaluations: 2, won: 0.98, lost: 0.0, diversity: 0.0, rollbacks: 2 },
        augment: Augment::OF_TESTS,
    }
}

fn pair(number: u8) -> LoadedPair {
    let photo = RgbImage::from_fn(24, 20, |x, y| Rgb([number.wrapping_mul(40), (x * 10) as u8, (y * 12) as u8]));
    let target = RgbImage::from_fn(24, 20, |x, _| if x > 12 { Rgb([200; 3]) } else { Rgb([40, 40, number * 20]) });
    let entry = Pair {
        photo: String::new(),
        target: String::new(),
        source: format!("{number}.png"),
        frame: None,
        scale: 1.0,
        width: 24,
        height: 20,
        faces: vec![],
        licence: None,
        source_sha256: String::new(),
        recipe: "test".into(),
        recipe_sha256: String::new(),
        split: Split::Train,
        mask: None,
        next: None,
    };
    LoadedPair { entry, photo, target, mask: None, next: None }
}

fn art() -> Art {
    let picture =
        RgbImage::from_fn(40, 30, |x, y| if (x / 7 + y / 5) % 2 == 0 { Rgb([230, 90, 60]) } else { Rgb([20; 3]) });
    Art { smoothed: smooth_edges(&picture), picture }
}

/// A teacher for ndarray in `out`; with `stop`, for one step.
pub(super) fn teacher(out: &Path, config: Config, stop: bool) -> Teacher {
    Teacher {
        config,
        material: Material { pairs: (0..3).map(pair).collect(), painted: true, art: vec![art()], references: vec![] },
        validation: vec![pair(5), pair(6)],
        pairs_sha256: Some("pairs".into()),
        dataset_sha256: None,
        references_sha256: vec![],
        out: out.to_path_buf(),
        vgg: None,
        base: None,
        devices: 1,
        checkpoint_every: CHECKPOINT_EVERY,
        stop: Arc::new(AtomicBool::new(stop)),
        progress: ProgressBar::hidden(),
    }
}

fn run(task: Teacher) -> anyhow::Result<Outcome> {
    task.run::<B>(Default::default())
}

/// The journal without what depends on the clock: the last four columns.
pub(super) fn figures(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("metrics.csv")).unwrap();
    text.lines().map(|line| line.rsplitn(5, ',').last().unwrap().to_owned()).collect()
}

#[test]
fn a_run_that_was_stopped_ends_as_if_it_had_not_been() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = run(teacher(whole.path(), config(7), false)).unwrap();
    assert!(expected.finished && expected.rollbacks.is_empty());
    // Each call takes one step, saves and ends, through the change to the adversarial part.
    let mut outcome = run(teacher(parts.path(), config(7), true)).unwrap();
    assert_eq!((outcome.step, outcome.finished, outcome.teacher.clone()), (1, false, None));
    while !outcome.finished {
        outcome = run(teacher(parts.path(), config(7), true)).unwrap();
    }
    assert_eq!((outcome.step, outcome.validation), (7, expected.validation));
    assert_eq!(figures(whole.path()), figures(parts.path()));
    assert_eq!(figures(whole.path()).len(), 1 + 4, "a header, steps 2, 4, 6 and the last");
    for name in ["teacher.safetensors", "sheet.png", "run.toml"] {
        let [a, b] = [&whole, &parts].map(|folder| std::fs::read(folder.path().join(name)).unwrap());
        assert!(a == b, "{name} differs");
    }
    assert!(parts.path().join("metrics.png").is_file());
    // Two checkpoints of three pieces and an index each, and nothing left over.
    let files = std::fs::read_dir(parts.path().join("checkpoint")).unwrap().count();
    assert!((5..=8).contains(&files), "{files}");
    let model = Model::<NdArray>::load(&parts.path().join("teacher.safetensors"), &Default::default()).unwrap();
    assert_eq!((model.about.step, model.about.generator), (7, config(7).generator));
}

#[test]
fn every_game_trains_every_part() {
    for game in [Game::Lsgan, Game::Hinge, Game::CrossEntropy] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(4);
        config.adversary.game = game;
        config.generator.residual = true;
        run(teacher(folder.path(), config, false)).unwrap();
        let text = std::fs::read_to_string(folder.path().join("metrics.csv")).unwrap();
        let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
        let last: Vec<&str> = text.lines().last().unwrap().split(',').collect();
        for name in ["discriminator", "accuracy_real", "adversarial", "texture", "surface", "painted", "colour", "psnr"]
        {
            let at = header.iter().position(|column| *column == name).unwrap();
            assert!(last[at].parse::<f64>().unwrap().is_finite(), "{game:?}, {name}: {text}");
        }
        for name in ["generator_gradient", "discriminator_gradient"] {
            let at = header.iter().position(|column| *column == name).unwrap();
            assert!(last[at].parse::<f64>().unwrap() > 0.0, "{game:?}, {name}: {text}");
        }
    }
}

/// Breaks something from `at` on, so many times.
pub(super) struct Break<F> {
    pub(super) at: u64,
    pub(super) times: u32,
    pub(super) how: F,
}

/// How something is broken.
pub(super) trait How {
    fn strike<T: TrainBackend>(&mut self, draw: &mut Draw, state: &mut State<T>);
}

impl<F: How> Fault for Break<F> {
    fn strike<T: TrainBackend>(&mut self, step: u64, draw: &mut Draw, state: &mut State<T>) {
        if step >= self.at && self.times > 0 {
            self.times -= 1;
            self.how.strike(draw, state);
        }
    }
}

/// A picture that is no number.
pub(super) struct Poison;

impl How for Poison {
    fn strike<T: TrainBackend>(&mut self, draw: &mut Draw, _: &mut State<T>) {
        draw.real.as_mut().unwrap().values_mut()[7] = f32::NAN;
    }
}

/// A generator that gives one grey for every photo.
struct Grey;

impl How for Grey {
    fn strike<T: TrainBackend>(&mut self, _: &mut Draw, state: &mut State<T>) {
        let flat = named(&state.generator).into_iter().map(|mut part| {
            part.values.fill(0.0);
            part
        });
        state.generator = with_named(state.generator.clone(), flat.clone().collect()).unwrap();
        state.average = with_named(state.average.clone(), flat.collect()).unwrap();
    }
}

/// Discriminators that say the same of everything.
struct Indifferent;

impl How for Indifferent {
    fn strike<T: TrainBackend>(&mut self, _: &mut Draw, state: &mut State<T>) {
        let deaf = named(&state.adversaries).into_iter().map(|mut part| {
            // The last layer's weight falls to nought, its bias says real.
            if part.name.contains(".2.layer.weight") {
                part.values.fill(0.0);
            } else if part.name.contains(".2.layer.bias") {
                part.values.fill(9.0);
            }
            part
        });
        state.adversaries = with_named(state.adversaries.clone(), deaf.collect()).unwrap();
    }
}

/// Real pictures that any discriminator tells from the generator's at once, and discriminators that do: their first
/// layer passes brightness on, and what they see is far above what a generator gives.
struct Dazzling;

impl How for Dazzling {
    fn strike<T: TrainBackend>(&mut self, draw: &mut Draw, state: &mut State<T>) {
        for value in draw.real.as_mut().unwrap().values_mut() {
            *value = 60.0;
        }
        draw.smoothed = None;
        let bright = named(&state.adversaries).into_iter().map(|mut part| {
            if part.name.ends_with("layer.weight") {
                part.values.fill(1.0);
            } else if part.name.ends_with("layer.bias") {
                // A made picture comes to at most 50, a dazzling one to 140 at its corners.
                part.values.fill(if part.name.contains(".2.") { -100.0 } else { 0.0 });
            }
            part
        });
        state.adversaries = with_named(state.adversaries.clone(), bright.collect()).unwrap();
    }
}

/// A machine without power.
struct PowerCut;

impl How for PowerCut {
    fn strike<T: TrainBackend>(&mut self, _: &mut Draw, _: &mut State<T>) {
        panic!("the power was cut");
    }
}

#[test]
fn what_was_saved_on_the_way_outlives_a_power_cut() {
    let (folder, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = Config { evaluate_every: 9, ..config(7) };
    let expected = run(teacher(whole.path(), config.clone(), false)).unwrap();
    let always = Teacher { checkpoint_every: Duration::ZERO, ..teacher(folder.path(), config.clone(), false) };
    let cut = std::thread::spawn(move || {
        train::<B, _>(always, &[Default::default()], &mut Break { at: 5, times: 1, how: PowerCut })
    });
    assert!(cut.join().is_err());
    assert_eq!(run(teacher(folder.path(), config.clone(), true)).unwrap().step, 6, "it goes on from step 5");
    assert_eq!(run(teacher(folder.path(), config, false)).unwrap().validation, expected.validation);
}

fn broken(out: &Path, config: Config, at: u64, times: u32, how: impl How) -> anyhow::Result<Outcome> {
    train::<B, _>(teacher(out, config, false), &[Default::default()], &mut Break { at, times, how })
}

/// The run goes back for `reason` and then ends well.
fn recovers(config: Config, times: u32, how: impl How, reason: Collapse) {
    let folder = tempfile::tempdir().unwrap();
    let steps = config.steps;
    let outcome = broken(folder.path(), config, 4, times, how).unwrap();
    assert_eq!((outcome.step, outcome.finished), (steps, true));
    let [back] = outcome.rollbacks.as_slice() else { panic!("{reason:?}: {:?}", outcome.rollbacks) };
    assert_eq!(back.reason, reason);
    assert!(back.from > 4 && back.to == 4, "{back:?}");
    // Both rates are half of what they were; the lines of what collapsed are gone.
    let lines = figures(folder.path());
    let rates = |line: &String| line.split(',').skip(1).take(2).map(|r| r.parse::<f64>().unwrap()).collect::<Vec<_>>();
    assert_eq!(rates(&lines[lines.len() - 1]), [0.5e-4, 0.5e-4]);
    let steps: Vec<u64> = lines[1..].iter().map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
    let model = Model::<NdArray>::load(&folder.path().join("teacher.safetensors"), &Default::default()).unwrap();
    assert!(named(&model.network).iter().all(|part| part.values.iter().all(|v| v.is_finite())));
}

#[test]
fn a_loss_that_is_no_number_is_answered_by_going_back() {
    recovers(config(10), 1, Poison, Collapse::NotFinite);
}

#[test]
fn one_picture_for_all_photos_is_answered_by_going_back() {
    let mut config = config(10);
    config.collapse.diversity = 1e-4;
    recovers(config, 1, Grey, Collapse::OnePicture);
}

#[test]
fn a_discriminator_without_a_verdict_is_answered_by_going_back() {
    // At the evaluations after steps 6 and 8.
    recovers(config(10), 4, Indifferent, Collapse::Lost);
}

#[test]
fn a_discriminator_that_has_won_is_answered_by_going_back() {
    let mut config = config(10);
    config.discriminator.dropout = 0.0;
    recovers(config, 4, Dazzling, Collapse::Won);
}

#[test]
fn a_run_that_collapses_again_and_again_ends_and_keeps_what_was_good() {
    let folder = tempfile::tempdir().unwrap();
    let error = format!("{:#}", broken(folder.path(), config(20), 5, u32::MAX, Poison).unwrap_err());
    assert!(error.contains("after 2 returns") && error.contains("of step 4"), "{error}");
    // What is left goes on from there.
    let outcome = run(teacher(folder.path(), config(20), true)).unwrap();
    assert_eq!((outcome.step, outcome.rollbacks.len()), (5, 2));
}

#[test]
fn a_run_that_no_longer_gets_better_ends_and_stays_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(50);
    // At this rate nothing changes, so that no evaluation is better than the first.
    (config.adversary.generator_rate, config.evaluate_every, config.patience, config.warm.steps) = (1e-30, 1, 2, 0);
    (config.loss.adversarial, config.loss.texture, config.loss.surface) = (0.0, 0.0, 0.0);
    let first = run(teacher(folder.path(), config.clone(), false)).unwrap();
    assert!(first.finished && first.step < 50, "it took {} steps", first.step);
    let before = figures(folder.path());
    let again = run(teacher(folder.path(), config, false)).unwrap();
    assert_eq!((again.step, again.finished), (first.step, true));
    assert_eq!(figures(folder.path()), before);
    // What is kept is the best.
    let model = Model::<NdArray>::load(&folder.path().join("teacher.safetensors"), &Default::default()).unwrap();
    assert_eq!(model.about.step, first.step - 2);
}

#[test]
fn a_checkpoint_of_another_run_is_refused_with_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    run(teacher(folder.path(), config(6), true)).unwrap();
    let same = || teacher(folder.path(), config(6), true);
    for (task, words) in [
        (Teacher { config: Config { seed: 4, ..config(6) }, ..same() }, "another configuration"),
        (Teacher { pairs_sha256: None, ..same() }, "other pairs"),
        (Teacher { dataset_sha256: Some("set".into()), ..same() }, "another data set"),
        (Teacher { references_sha256: vec!["a".into()], ..same() }, "other style pictures"),
        (Teacher { base: Some(folder.path().join("run.toml")), ..same() }, "another teacher to begin as"),
    ] {
        let error = format!("{:#}", run(task).unwrap_err());
        assert!(error.contains(words) && error.contains("checkpoint"), "{error}");
    }
    assert_eq!(run(same()).unwrap().step, 2);
}

#[test]
fn a_run_with_a_base_begins_as_that_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    run(teacher(&at("first"), config(4), false)).unwrap();
    let base = at("first/teacher.safetensors");
    // It hardly moves: what is kept is the base.
    let mut still = config(2);
    still.warm.rate = 1e-12;
    let further = |config| Teacher { base: Some(base.clone()), ..teacher(&at("further"), config, false) };
    run(further(still.clone())).unwrap();
    let weights = |path: &Path| named(&Model::<NdArray>::load(path, &Default::default()).unwrap().network);
    let (before, after) = (weights(&base), weights(&at("further/teacher.safetensors")));
    let values = |named: Vec<Named>| named.into_iter().flat_map(|array| array.values).collect::<Vec<_>>();
    let (before, after) = (values(before), values(after));
    assert!(before.len() == after.len() && before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-6));
    let record = record(&at("further")).unwrap();
    assert_eq!((record.steps, record.warm_steps), (Some(4 + 2), Some(2 + 2)), "those of both");
    let mut other = still;
    other.generator.attention = false;
    std::fs::remove_dir_all(at("further")).unwrap();
    let error = run(further(other)).unwrap_err().to_string();
    assert!(error.contains("another form"), "{error}");
    let none = Teacher { base: Some(at("none")), ..teacher(&at("further"), config(2), false) };
    assert!(format!("{:#}", run(none).unwrap_err()).contains("none"));
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let folder = tempfile::tempdir().unwrap();
    run(teacher(folder.path(), config(6), true)).unwrap();
    let latest = std::fs::read_to_string(folder.path().join("checkpoint/latest.json")).unwrap();
    let mut looked_at = 0;
    for entry in std::fs::read_dir(folder.path().join("checkpoint")).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        // The older, good checkpoint is not read here.
        if stem != "latest" && !latest.contains(&stem) || stem == "good" {
            continue;
        }
        looked_at += 1;
        let bytes = std::fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        let at = flipped.len() - 9;
        flipped[at] ^= 1;
        for broken in [&bytes[..bytes.len() / 2], &flipped, b""] {
            std::fs::write(&path, broken).unwrap();
            let error = format!("{:#}", run(teacher(folder.path(), config(6), true)).unwrap_err());
            assert!(error.contains("is damaged"), "{stem}: {error}");
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert_eq!(looked_at, 4, "an index and three pieces");
}

#[test]
fn what_cannot_be_trained_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let base = || teacher(folder.path(), config(6), false);
    let unpainted = || Material { painted: false, ..base().material };
    let with = |change: &dyn Fn(&mut Config)| {
        let mut config = config(6);
        change(&mut config);
        config
    };
    for (task, words) in [
        (Teacher { material: Material::default(), ..base() }, "no photos"),
        (Teacher { validation: vec![pair(1)], ..base() }, "fewer than two photos"),
        (Teacher { material: unpainted(), ..base() }, "give --pairs"),
        (
            Teacher {
                config: with(&|c| c.loss.painted = 0.0),
                material: Material { art: vec![], ..unpainted() },
                ..base()
            },
            "nothing for the adversary",
        ),
        (Teacher { config: with(&|c| c.generator.reference = true), ..base() }, "wants style pictures"),
    ] {
        let error = format!("{:#}", run(task).unwrap_err());
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_draw_depends_on_the_step_alone_and_smoothed_pictures_are_twins() {
    let material = teacher(Path::new(""), config(6), false).material;
    let at = |step| Draw::at(&material, &config(6), step);
    assert_eq!(at(3).real, at(3).real);
    assert_ne!(at(3).real, at(4).real);
    assert!(at(1).real.is_none(), "the warm start needs none");
    let draw = at(5);
    let [real, smoothed] =
        [draw.real, draw.smoothed].map(|pictures| pictures.unwrap().tensor::<NdArray>(&Default::default()));
    assert_eq!(real.dims(), [2, 3, 16, 16]);
    let difference = (real - smoothed).abs().mean().into_scalar();
    assert!(difference > 0.0 && difference < 0.2, "{difference}");
}
