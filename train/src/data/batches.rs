//! Batches of crops, drawn by step number alone: a run that resumes at a step sees what it would have seen.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use image::{Rgb, RgbImage};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::augment::{Augment, Crop};
use super::training_set::LoadedPair;
use crate::painter::FaceBox;

/// How crops are drawn.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Crops per batch.
    pub batch: usize,
    /// Side of a crop, pixels; a multiple of 8.
    pub crop: u32,
    /// How often a crop is drawn around a face, where the photo has one.
    pub around_face: f32,
    /// Weight of pixels in a small face, beside 1 elsewhere; faces from `FACE_LARGE` on weigh 1.
    pub face_weight: f32,
    /// Faults put on the photo.
    pub augment: Augment,
}

/// Faces lower than this get the whole weight, higher than the other none of it; between them it fades. Pixels.
const FACE_SMALL: f32 = 80.0;
const FACE_LARGE: f32 = 180.0;

/// A batch as plain numbers, pixel by pixel.
#[derive(Debug)]
pub struct Batch {
    photos: Vec<f32>,
    targets: Vec<f32>,
    weights: Vec<f32>,
    count: usize,
    side: usize,
}

impl Batch {
    /// The batch of `step`; the same for the same pairs, sampling, seed and step.
    pub fn draw(pairs: &[LoadedPair], sampling: &Sampling, seed: u64, step: u64) -> Self {
        let side = sampling.crop as usize;
        let count = sampling.batch;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(step + 1);
        let mut batch = Self {
            photos: Vec::new(),
            targets: Vec::new(),
            weights: Vec::with_capacity(count * side * side),
            count,
            side,
        };
        for _ in 0..count {
            let pair = &pairs[rng.random_range(0..pairs.len())];
            let mut crop = cut(pair, sampling, &mut rng);
            sampling.augment.apply(&mut crop, &mut rng);
            batch.photos.extend(crop.photo.iter().map(|&v| f32::from(v)));
            batch.targets.extend(crop.target.iter().map(|&v| f32::from(v) / 255.0));
            batch.weights.append(&mut crop.weight);
        }
        batch
    }

    /// Photos `[b, 3, s, s]` as numbers 0 ..= 255, targets `[b, 3, s, s]` in 0..1, weights `[b, 1, s, s]`;
    /// all laid out pixel by pixel in memory.
    pub fn tensors<B: Backend>(self, device: &B::Device) -> (Tensor<B, 4>, Tensor<B, 4>, Tensor<B, 4>) {
        let (b, s) = (self.count, self.side);
        let tensor = |values, channels| {
            Tensor::<B, 4>::from_data(TensorData::new(values, [b, s, s, channels]), device).permute([0, 3, 1, 2])
        };
        (tensor(self.photos, 3), tensor(self.targets, 3), tensor(self.weights, 1))
    }
}

/// Draws batches on a thread of its own, ahead of their use, from `first_step` on.
pub fn stream(pairs: Arc<Vec<LoadedPair>>, sampling: Sampling, seed: u64, first_step: u64) -> Receiver<Batch> {
    let (sender, receiver) = sync_channel(2);
    // The thread ends when the receiver is dropped.
    let spawned = thread::Builder::new().name("batches".into()).spawn(move || {
        let mut step = first_step;
        while sender.send(Batch::draw(&pairs, &sampling, seed, step)).is_ok() {
            step += 1;
        }
    });
    drop(spawned);
    receiver
}

/// A crop of `pair`. A picture smaller than the crop is mirrored at its edges.
fn cut(pair: &LoadedPair, sampling: &Sampling, rng: &mut ChaCha8Rng) -> Crop {
    let side = i64::from(sampling.crop);
    let (width, height) = (i64::from(pair.photo.width()), i64::from(pair.photo.height()));
    let faces = &pair.entry.faces;
    let face = match faces.len() {
        1.. if rng.random::<f32>() < sampling.around_face => Some(faces[rng.random_range(0..faces.len())]),
        _ => None,
    };
    let mut place = |length: i64, face: Option<f32>| -> i64 {
        match (length - side, face) {
            (slack @ ..=0, _) => -rng.random_range(0..=-slack),
            (slack, Some(centre)) => {
                let jitter = rng.random_range(-side / 3..=side / 3);
                (centre as i64 - side / 2 + jitter).clamp(0, slack)
            }
            (slack, None) => rng.random_range(0..=slack),
        }
    };
    let x = place(width, face.map(|f| f.x + f.width / 2.0));
    let y = place(height, face.map(|f| f.y + f.height / 2.0));
    let part = |picture: &RgbImage| mirrored_crop(picture, (x, y), sampling.crop);
    let mut weight = vec![1.0; (side * side) as usize];
    for face in &pair.entry.faces {
        weigh_face(&mut weight, face, (x, y), side, sampling.face_weight);
    }
    Crop { photo: part(&pair.photo), target: part(&pair.target), weight }
}

/// The square of that side at `corner`; what lies outside the picture is mirrored at its edges.
pub fn mirrored_crop(picture: &RgbImage, corner: (i64, i64), side: u32) -> RgbImage {
    let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
    RgbImage::from_fn(side, side, |u, v| -> Rgb<u8> {
        *picture.get_pixel(mirrored(corner.0 + i64::from(u), width), mirrored(corner.1 + i64::from(v), height))
    })
}

/// Position `at` of an endless row of `length` pixels mirrored at both ends.
fn mirrored(at: i64, length: i64) -> u32 {
    let period = at.rem_euclid(2 * length);
    u32::try_from(if period < length { period } else { 2 * length - 1 - period }).unwrap_or(0)
}

/// Raises the weight inside the ellipse of a small face.
fn weigh_face(weight: &mut [f32], face: &FaceBox, origin: (i64, i64), side: i64, strongest: f32) {
    let smallness = ((FACE_LARGE - face.height) / (FACE_LARGE - FACE_SMALL)).clamp(0.0, 1.0);
    let gain = 1.0 + (strongest - 1.0) * smallness;
    let (cx, cy) = (face.x + face.width / 2.0 - origin.0 as f32, face.y + face.height / 2.0 - origin.1 as f32);
    for (v, row) in weight.chunks_exact_mut(side as usize).enumerate() {
        for (u, value) in row.iter_mut().enumerate() {
            let (dx, dy) = ((u as f32 - cx) / (0.5 * face.width), (v as f32 - cy) / (0.5 * face.height));
            if dx * dx + dy * dy < 1.0 {
                *value = value.max(gain);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::data::pairs::{Pair, Split};

    /// A photo whose pixels tell where they are, and a target that is its negative.
    fn pair(width: u32, height: u32, faces: Vec<FaceBox>) -> LoadedPair {
        let photo = RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 77]));
        let target = RgbImage::from_fn(width, height, |x, y| Rgb([255 - x as u8, 255 - y as u8, 178]));
        let text = String::new;
        let entry = Pair {
            photo: text(),
            target: text(),
            source: text(),
            frame: None,
            scale: 1.0,
            width,
            height,
            faces,
            licence: None,
            source_sha256: text(),
            recipe: text(),
            recipe_sha256: text(),
            split: Split::Train,
        };
        LoadedPair { entry, photo, target }
    }

    fn sampling(around_face: f32) -> Sampling {
        let augment = Augment {
            flip: 0.5,
            tint: 0.0,
            tint_by: 0.0,
            dark: 0.0,
            darkest: 1.0,
            jpeg: 0.0,
            blur: 0.0,
            noise: 0.0,
            noise_deviation: 0.0,
        };
        Sampling { batch: 6, crop: 32, around_face, face_weight: 3.0, augment }
    }

    #[test]
    fn photo_and_target_stay_aligned_in_pictures_larger_and_smaller_than_the_crop() {
        for (width, height) in [(100, 60), (32, 32), (20, 90), (7, 5), (1, 1)] {
            let batch = Batch::draw(&[pair(width, height, vec![])], &sampling(0.0), 1, 5);
            assert_eq!(batch.photos.len(), 6 * 32 * 32 * 3);
            for (photo, target) in batch.photos.iter().zip(&batch.targets) {
                assert_eq!(photo / 255.0 + target, 1.0);
            }
        }
    }

    #[test]
    fn a_batch_depends_on_the_step_alone() {
        let pairs = [pair(90, 70, vec![]), pair(60, 80, vec![])];
        let at = |step| Batch::draw(&pairs, &sampling(0.0), 1, step).photos;
        assert_eq!(at(3), at(3));
        assert_ne!(at(3), at(4));
        let streamed = stream(Arc::new(pairs.to_vec()), sampling(0.0), 1, 3);
        assert_eq!(streamed.recv().unwrap().photos, at(3));
        assert_eq!(streamed.recv().unwrap().photos, at(4));
    }

    #[test]
    fn crops_lie_around_every_face_of_a_photo() {
        let face = |x| FaceBox { x, y: 2.0, width: 12.0, height: 16.0 };
        let pair = pair(250, 32, vec![face(8.0), face(220.0)]);
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        // The red channel of the upper left pixel says from where a crop was cut.
        let lefts: Vec<u8> = (0..40).map(|_| cut(&pair, &sampling(1.0), &mut rng).photo[(0, 0)].0[0]).collect();
        assert!(lefts.iter().any(|&x| x < 40) && lefts.iter().any(|&x| x > 180), "{lefts:?}");
        assert!(lefts.iter().all(|x| !(40..180).contains(x)), "{lefts:?}");
    }

    #[test]
    fn small_faces_are_looked_for_and_weigh_more() {
        let face = |height| FaceBox { x: 150.0, y: 20.0, width: 0.8 * height, height };
        let share = |around, height: f32| {
            let batch = Batch::draw(&[pair(200, 200, vec![face(height)])], &sampling(around), 1, 0);
            batch.weights.iter().filter(|&&w| w > 1.0).count()
        };
        assert!(share(1.0, 24.0) > share(0.0, 24.0));
        assert_eq!(share(1.0, 190.0), 0, "large faces need no help");
    }
}
