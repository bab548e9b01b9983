//! Batches of crops, drawn by step number alone: a run that resumes at a step sees what it would have seen.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use image::{ImageBuffer, Pixel, RgbImage};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::augment::{Augment, Camera, Crop};
use super::standing::{spare_lines, standing};
use super::training_set::LoadedPair;
use crate::painter::FaceBox;

/// How crops are drawn.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Crops per batch.
    pub batch: usize,
    /// How many of them, the last ones, are twins of the first ones: the same scene a moment later. At most half.
    pub twins: usize,
    /// Side of a crop, pixels; a multiple of 8.
    pub crop: u32,
    /// Crops begin at multiples of this: the period of a pattern that is fixed to the pixels, 1 where there is none.
    pub align: u32,
    /// Whether the person masks are drawn as well: all pairs must have one then.
    pub mask: bool,
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
/// How far a twin is shifted at most, in pixels each way.
const TWIN_SHIFT: i64 = 3;
/// How often twins are shifted at all: otherwise their scene stands, as it mostly does before a webcam.
const TWINS_SHIFTED: f32 = 0.4;
/// Deviation of the noise between twins of a photo that gets none otherwise, of 255: that of a good camera in good light.
const TWIN_NOISE: Range<f32> = 0.3..1.2;
/// How often twins are drawn from a clip, where there are any: what changes there changed before a camera, most of it less
/// than a step of 255 and in patches, which no noise that we could draw resembles.
const TWINS_OF_CLIPS: f32 = 0.6;
/// How often twins of a clip are left as the camera gave them.
const CLIPS_AS_THEY_ARE: f32 = 0.75;

/// A batch as plain numbers, pixel by pixel.
#[derive(Debug)]
pub struct Batch {
    photos: Vec<f32>,
    targets: Vec<f32>,
    weights: Vec<f32>,
    masks: Vec<f32>,
    standing: Vec<f32>,
    shift: (i64, i64),
    count: usize,
    twins: usize,
    side: usize,
}

/// A batch on a device. `b` crops of `s`×`s` pixels.
#[derive(Debug)]
pub struct BatchTensors<B: Backend> {
    /// `[b, 3, s, s]`, numbers 0 ..= 255.
    pub photos: Tensor<B, 4>,
    /// `[b, 3, s, s]` in 0..1.
    pub targets: Tensor<B, 4>,
    /// `[b, 1, s, s]`, mean about 1.
    pub weights: Tensor<B, 4>,
    /// `[b, 1, s, s]` in 0..1, where masks were asked for.
    pub masks: Option<Tensor<B, 4>>,
    /// The twins, where there are any.
    pub twins: Option<Twins<B>>,
}

/// What is known of the last crops of a batch, which show the scenes of the first ones a moment later.
#[derive(Debug)]
pub struct Twins<B: Backend> {
    /// `[twins, 1, s, s]`: how much a flicker counts: 1 where the scene of a first crop stands still, 0 where it moves, and
    /// little on the target's [drawn lines](super::standing::spare_lines).
    pub standing: Tensor<B, 4>,
    /// A twin's pixel (x, y) shows what pixel (x, y) + shift of its elder shows.
    pub shift: (i64, i64),
}

impl Batch {
    /// The batch of `step`; the same for the same pairs, sampling, seed and step.
    pub fn draw(pairs: &[LoadedPair], sampling: &Sampling, seed: u64, step: u64) -> Self {
        let side = sampling.crop as usize;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(step + 1);
        let shift = if sampling.twins > 0 && sampling.align == 1 && rng.random::<f32>() < TWINS_SHIFTED {
            (rng.random_range(-TWIN_SHIFT..=TWIN_SHIFT), rng.random_range(-TWIN_SHIFT..=TWIN_SHIFT))
        } else {
            (0, 0)
        };
        let mut batch = Self {
            photos: Vec::new(),
            targets: Vec::new(),
            weights: Vec::with_capacity(sampling.batch * side * side),
            masks: Vec::new(),
            standing: Vec::new(),
            shift,
            count: sampling.batch,
            twins: sampling.twins,
            side,
        };
        let mut later = Vec::new();
        let of_clips: Vec<&LoadedPair> = match sampling.twins {
            0 => Vec::new(),
            _ => pairs.iter().filter(|pair| pair.next.is_some()).collect(),
        };
        for number in 0..sampling.batch - sampling.twins {
            let pair = if number < sampling.twins && !of_clips.is_empty() && rng.random::<f32>() < TWINS_OF_CLIPS {
                of_clips[rng.random_range(0..of_clips.len())]
            } else {
                &pairs[rng.random_range(0..pairs.len())]
            };
            let setting = sampling.augment.setting(&mut rng);
            let mut camera = sampling.augment.camera(&mut rng);
            if number < sampling.twins {
                if pair.next.is_none() {
                    camera.noise.get_or_insert_with(|| rng.random_range(TWIN_NOISE));
                } else if rng.random::<f32>() < CLIPS_AS_THEY_ARE {
                    camera = Camera::FAULTLESS;
                }
            }
            let at = place(pair, sampling, &mut rng);
            let mut crop = cut(pair, &pair.photo, at, sampling);
            if number < sampling.twins {
                // After a flip what lay to the right lies to the left.
                let shift = (if setting.flip { -shift.0 } else { shift.0 }, shift.1);
                let photo = pair.next.as_ref().unwrap_or(&pair.photo);
                let mut standing = match &pair.next {
                    Some(next) => standing(&crop.photo, &mirrored_crop(next, at, sampling.crop)),
                    None => vec![1.0; side * side],
                };
                spare_lines(&mut standing, &crop.target);
                if setting.flip {
                    standing.chunks_exact_mut(side).for_each(<[f32]>::reverse);
                }
                batch.standing.append(&mut standing);
                let mut twin = cut(pair, photo, (at.0 + shift.0, at.1 + shift.1), sampling);
                setting.apply(&mut twin);
                camera.take(&mut twin, &mut rng);
                later.push(twin);
            }
            setting.apply(&mut crop);
            camera.take(&mut crop, &mut rng);
            batch.push(crop);
        }
        later.into_iter().for_each(|twin| batch.push(twin));
        batch
    }

    fn push(&mut self, mut crop: Crop) {
        self.photos.extend(crop.photo.iter().map(|&v| f32::from(v)));
        self.targets.extend(crop.target.iter().map(|&v| f32::from(v) / 255.0));
        self.weights.append(&mut crop.weight);
        self.masks.append(&mut crop.mask);
    }

    /// The batch in so many parts, which must divide its crops and its twins: each has as many crops of each kind, and
    /// twins beside their elders, so that the mean over a part of any loss is as good as the next's.
    pub fn shares(self, count: usize) -> Vec<Self> {
        let area = self.side * self.side;
        let (twins, alone) = (self.twins / count, (self.count - 2 * self.twins) / count);
        let share = |number: usize| {
            let crops = [
                (number * twins, twins),
                (self.twins + number * alone, alone),
                (self.count - self.twins + number * twins, twins),
            ];
            let of = |values: &[f32], channels: usize| -> Vec<f32> {
                let crop = area * channels;
                // Masks that were not asked for are no values.
                let part = |(first, count): (usize, usize)| {
                    values.get(first * crop..(first + count) * crop).unwrap_or_default().iter().copied()
                };
                crops.into_iter().flat_map(part).collect()
            };
            Self {
                photos: of(&self.photos, 3),
                targets: of(&self.targets, 3),
                weights: of(&self.weights, 1),
                masks: of(&self.masks, 1),
                standing: self.standing[number * twins * area..][..twins * area].to_vec(),
                shift: self.shift,
                count: 2 * twins + alone,
                twins,
                side: self.side,
            }
        };
        (0..count).map(share).collect()
    }

    /// The batch on `device`, laid out pixel by pixel in memory.
    pub fn tensors<B: Backend>(self, device: &B::Device) -> BatchTensors<B> {
        let s = self.side;
        let tensor = |values: Vec<f32>, count, channels| {
            Tensor::<B, 4>::from_data(TensorData::new(values, [count, s, s, channels]), device).permute([0, 3, 1, 2])
        };
        BatchTensors {
            photos: tensor(self.photos, self.count, 3),
            targets: tensor(self.targets, self.count, 3),
            weights: tensor(self.weights, self.count, 1),
            masks: (!self.masks.is_empty()).then(|| tensor(self.masks, self.count, 1)),
            twins: (self.twins > 0)
                .then(|| Twins { standing: tensor(self.standing, self.twins, 1), shift: self.shift }),
        }
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

/// Where a crop of `pair` begins. In a picture smaller than the crop that may be outside of it.
fn place(pair: &LoadedPair, sampling: &Sampling, rng: &mut ChaCha8Rng) -> (i64, i64) {
    let side = i64::from(sampling.crop);
    let align = i64::from(sampling.align);
    let faces = &pair.entry.faces;
    let face = match faces.len() {
        1.. if rng.random::<f32>() < sampling.around_face => Some(faces[rng.random_range(0..faces.len())]),
        _ => None,
    };
    let mut along = |length: u32, face: Option<f32>| -> i64 {
        let start = match (i64::from(length) - side, face) {
            (slack @ ..=0, _) => -rng.random_range(0..=-slack),
            (slack, Some(centre)) => {
                let jitter = rng.random_range(-side / 3..=side / 3);
                (centre as i64 - side / 2 + jitter).clamp(0, slack)
            }
            (slack, None) => rng.random_range(0..=slack),
        };
        start.div_euclid(align) * align
    };
    let x = along(pair.photo.width(), face.map(|f| f.x + f.width / 2.0));
    let y = along(pair.photo.height(), face.map(|f| f.y + f.height / 2.0));
    (x, y)
}

/// The crop of `pair` that begins at `at`, with `photo`, which is of the same size, as its photo.
fn cut(pair: &LoadedPair, photo: &RgbImage, at: (i64, i64), sampling: &Sampling) -> Crop {
    let side = i64::from(sampling.crop);
    let mut weight = vec![1.0; (side * side) as usize];
    for face in &pair.entry.faces {
        weigh_face(&mut weight, face, at, side, sampling.face_weight);
    }
    let mask = match &pair.mask {
        Some(mask) if sampling.mask => {
            mirrored_crop(mask, at, sampling.crop).iter().map(|&v| f32::from(v) / 255.0).collect()
        }
        _ => Vec::new(),
    };
    Crop {
        photo: mirrored_crop(photo, at, sampling.crop),
        target: mirrored_crop(&pair.target, at, sampling.crop),
        weight,
        mask,
    }
}

/// A square of `side` pixels of a picture, from `(x, y)` on; beyond its edges the picture is mirrored.
pub fn mirrored_crop<P: Pixel + 'static>(
    picture: &ImageBuffer<P, Vec<P::Subpixel>>,
    (x, y): (i64, i64),
    side: u32,
) -> ImageBuffer<P, Vec<P::Subpixel>> {
    let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
    ImageBuffer::from_fn(side, side, |u, v| {
        *picture.get_pixel(mirrored(x + i64::from(u), width), mirrored(y + i64::from(v), height))
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

    use image::Rgb;

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
            mask: None,
            next: None,
        };
        LoadedPair { entry, photo, target, mask: None, next: None }
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
            damage: None,
        };
        Sampling { batch: 6, twins: 0, crop: 32, align: 1, mask: false, around_face, face_weight: 3.0, augment }
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
        let lefts: Vec<i64> = (0..40).map(|_| place(&pair, &sampling(1.0), &mut rng).0).collect();
        assert!(lefts.iter().any(|&x| x < 40) && lefts.iter().any(|&x| x > 180), "{lefts:?}");
        assert!(lefts.iter().all(|x| !(40..180).contains(x)), "{lefts:?}");
    }

    #[test]
    fn crops_keep_to_the_grid_of_a_pattern() {
        let sampling = Sampling { align: 8, ..sampling(0.3) };
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for (width, height) in [(100, 60), (32, 32), (20, 90)] {
            let pair = pair(width, height, vec![FaceBox { x: 3.0, y: 5.0, width: 9.0, height: 9.0 }]);
            for _ in 0..20 {
                let (x, y) = place(&pair, &sampling, &mut rng);
                assert!(x % 8 == 0 && y % 8 == 0, "{x}, {y}");
            }
        }
    }

    #[test]
    fn a_twin_shows_its_elders_scene_shifted() {
        let sampling = Sampling { twins: 2, mask: true, ..sampling(0.0) };
        let mut pair = pair(120, 90, vec![]);
        pair.mask = Some(image::GrayImage::from_fn(120, 90, |x, y| image::Luma([(x + y) as u8])));
        for step in 0..12 {
            let batch = Batch::draw(std::slice::from_ref(&pair), &sampling, 1, step);
            assert_eq!(batch.masks.len(), 6 * 32 * 32);
            assert!(batch.standing.len() == 2 * 32 * 32 && batch.standing.iter().all(|&v| v == 1.0));
            let (dx, dy) = batch.shift;
            for (elder, twin) in [(0, 4), (1, 5)] {
                for (x, y) in [(10, 12), (17, 20)] {
                    let at = |crop: i64, x: i64, y: i64| ((crop * 32 + y) * 32 + x) as usize;
                    let (old, new) = (at(elder, x + dx, y + dy), at(twin, x, y));
                    let noise = |c: usize| (batch.photos[3 * old + c] - batch.photos[3 * new + c]).abs();
                    assert!((0..3).all(|c| noise(c) < 9.0), "{dx}, {dy}");
                    assert_eq!(batch.targets[3 * old..][..3], batch.targets[3 * new..][..3]);
                    assert_eq!(batch.masks[old], batch.masks[new]);
                }
            }
        }
    }

    #[test]
    fn a_clips_twin_is_its_next_frame_and_what_moves_in_it_or_is_a_line_counts_little() {
        let wall = |square: u32, noise: u32| {
            RgbImage::from_fn(64, 64, move |x, y| {
                let moving = (square..square + 12).contains(&x) && (20..40).contains(&y);
                Rgb([if moving { 230 } else { 100 + ((x * 7 + y * 13 + noise) % 5) as u8 }; 3])
            })
        };
        let sampling = Sampling { twins: 1, batch: 2, crop: 64, align: 8, ..sampling(0.0) };
        let mut pair = pair(64, 64, vec![]);
        (pair.photo, pair.next) = (wall(10, 0), Some(wall(22, 3)));
        pair.target = RgbImage::from_fn(64, 64, |x, _| Rgb([if x < 50 { 220 } else { 20 }; 3]));
        let batch = Batch::draw(std::slice::from_ref(&pair), &sampling, 1, 0);
        assert_eq!(batch.shift, (0, 0), "a pattern that is fixed to the pixels does not shift");
        // A flip takes what counts along.
        let flipped = batch.targets[0] < 0.5;
        let counts = |x: usize, y: usize| batch.standing[y * 64 + if flipped { 63 - x } else { x }];
        assert_eq!((counts(16, 30), counts(40, 55)), (0.0, 1.0));
        assert!(counts(50, 55) < 0.5, "a drawn edge");
        assert_ne!(batch.photos[..64 * 64 * 3], batch.photos[64 * 64 * 3..]);
        assert_eq!(batch.targets[..64 * 64 * 3], batch.targets[64 * 64 * 3..]);
    }

    #[test]
    fn shares_hold_all_crops_once_and_twins_beside_their_elders() {
        let mut pair = pair(90, 70, vec![]);
        pair.mask = Some(image::GrayImage::from_fn(90, 70, |x, y| image::Luma([(x * y) as u8])));
        let sampling = Sampling { batch: 12, twins: 4, mask: true, ..sampling(0.0) };
        let draw = || Batch::draw(std::slice::from_ref(&pair), &sampling, 1, 0);
        let (whole, shares) = (draw(), draw().shares(2));
        let area = 32 * 32;
        // Twins 8 to 11 are those of 0 to 3.
        for (share, crops) in shares.iter().zip([[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]]) {
            assert_eq!((share.count, share.twins, share.shift), (6, 2, whole.shift));
            for (i, crop) in crops.into_iter().enumerate() {
                let same = |part: &[f32], all: &[f32], length: usize| {
                    assert_eq!(part[i * length..][..length], all[crop * length..][..length]);
                };
                same(&share.photos, &whole.photos, 3 * area);
                same(&share.targets, &whole.targets, 3 * area);
                same(&share.weights, &whole.weights, area);
                same(&share.masks, &whole.masks, area);
            }
        }
        assert_eq!([shares[0].standing.as_slice(), &shares[1].standing].concat(), whole.standing);
        assert!(shares.iter().all(|share| share.photos.len() == 6 * 3 * area && share.masks.len() == 6 * area));
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
