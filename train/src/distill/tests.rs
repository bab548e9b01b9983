#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::backend::{Autodiff, NdArray};
use image::{Rgb, RgbImage};
use indicatif::ProgressBar;
use nijigen::engine::topology::Topology;

use super::config::{Config, Losses, StudentName};
use super::{Distillation, Outcome};
use crate::data::augment::Augment;
use crate::data::pairs::{Pair, Split};
use crate::data::training_set::LoadedPair;
use crate::device::Task;

fn config(steps: u64) -> Config {
    Config {
        size: StudentName::S,
        seed: 3,
        steps,
        batch: 2,
        crop: 16,
        rate: 1e-3,
        warmup: 2,
        quantize_from: 0.5,
        half: true,
        finish: 1,
        clip: 1.0,
        average: 0.9,
        evaluate_every: 100,
        patience: 0,
        around_face: 0.5,
        face_weight: 3.0,
        loss: Losses { gradient: 1.0, features: 0.0, features_every: 1, features_crop: 16 },
        augment: Augment {
            flip: 0.5,
            tint: 0.5,
            tint_by: 0.1,
            dark: 0.3,
            darkest: 0.4,
            jpeg: 0.3,
            blur: 0.3,
            noise: 0.5,
            noise_deviation: 4.0,
        },
    }
}

fn pair(number: u8, split: Split) -> LoadedPair {
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
    };
    LoadedPair { entry, photo, target }
}

/// Trains a very small student on ndarray in `out`; with `stop`, for one step.
fn train(out: &Path, config: Config, stop: bool) -> Outcome {
    let task = Distillation {
        topology: Topology::two_scale_with(4, 4, 4),
        config,
        train: (0..3).map(|n| pair(n, Split::Train)).collect(),
        held_out: vec![pair(9, Split::HeldOut)],
        out: out.to_path_buf(),
        vgg: None,
        base: None,
        stop: Arc::new(AtomicBool::new(stop)),
        progress: ProgressBar::hidden(),
    };
    task.run::<Autodiff<NdArray>>(Default::default()).unwrap()
}

#[test]
fn a_run_that_was_stopped_ends_as_if_it_had_not_been() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = train(whole.path(), config(6), false);
    // Each call takes one step, saves and ends, through the change to fake-quant and 32 bits.
    let mut outcome = train(parts.path(), config(6), true);
    assert_eq!((outcome.step, outcome.finished), (1, false));
    while !outcome.finished {
        outcome = train(parts.path(), config(6), true);
    }
    assert_eq!(outcome.step, expected.step);
    for (i, (a, b)) in outcome.network.layers.iter().zip(&expected.network.layers).enumerate() {
        assert_eq!(a, b, "layer {i}");
    }
    for name in ["losses.csv", "losses.png", "sheet.png", "weights.safetensors"] {
        assert!(parts.path().join(name).is_file(), "{name}");
    }
}
