//! What a step of the teacher looks at, drawn by step number alone: a run that resumes at a step sees what it would have
//! seen.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use image::{RgbImage, imageops};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::config::Config;
use crate::data::batches::{Batch, mirrored_crop};
use crate::data::training_set::LoadedPair;
use crate::dataset::Art;
use crate::dataset::edges::smooth_edges;

/// Crops of art are cut from up to this many times their side and reduced: lines of several widths.
const ZOOM: f32 = 1.5;

/// Everything that a teacher is trained on.
#[derive(Debug, Default)]
pub struct Material {
    /// Photos with what they are to become; without painted pairs, photos twice.
    pub pairs: Vec<LoadedPair>,
    /// Whether the second of each pair is painted.
    pub painted: bool,
    /// Art of the style.
    pub art: Vec<Art>,
    /// Style pictures to condition on.
    pub references: Vec<RgbImage>,
}

/// A step's pictures as plain numbers.
#[derive(Debug)]
pub struct Draw {
    /// Photos and targets.
    pub content: Batch,
    /// Real pictures of the style, for the adversaries.
    pub real: Option<Pictures>,
    /// The same with smoothed edges.
    pub smoothed: Option<Pictures>,
    /// Style pictures to condition on.
    pub references: Option<Pictures>,
}

/// Square pictures, pixel by pixel in 0..1.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictures {
    values: Vec<f32>,
    side: usize,
}

impl Pictures {
    fn of(pictures: &[RgbImage], side: u32) -> Self {
        let values = pictures.iter().flat_map(|picture| picture.iter().map(|&v| f32::from(v) / 255.0)).collect();
        Self { values, side: side as usize }
    }

    /// The pictures in so many parts of one size, in their order.
    fn shares(&self, count: usize) -> impl Iterator<Item = Self> {
        self.values.chunks(self.values.len() / count).map(|part| Self { values: part.to_vec(), side: self.side })
    }

    /// As `[b, 3, side, side]`, laid out pixel by pixel in memory.
    pub fn tensor<B: Backend>(self, device: &B::Device) -> Tensor<B, 4> {
        let count = self.values.len() / (3 * self.side * self.side);
        let data = TensorData::new(self.values, [count, self.side, self.side, 3]);
        Tensor::from_data(data, device).permute([0, 3, 1, 2])
    }

    /// The numbers, for tests that break them.
    #[cfg(test)]
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

impl Draw {
    /// What so many peers look at, each at as much as the next; their number divides the batch.
    pub fn shares(self, count: usize) -> Vec<Self> {
        let of = |pictures: Option<Pictures>| -> Vec<Option<Pictures>> {
            pictures.map_or_else(|| vec![None; count], |pictures| pictures.shares(count).map(Some).collect())
        };
        let pictures = of(self.real).into_iter().zip(of(self.smoothed)).zip(of(self.references));
        let content = self.content.shares(count).into_iter();
        let share = |(content, ((real, smoothed), references))| Self { content, real, smoothed, references };
        content.zip(pictures).map(share).collect()
    }

    /// The pictures of `step`; the same for the same material, configuration and step.
    pub fn at(material: &Material, config: &Config, step: u64) -> Self {
        let content = Batch::draw(&material.pairs, &config.sampling(), config.seed, step);
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed ^ 0xa27);
        rng.set_stream(step + 1);
        let references = (!material.references.is_empty()).then(|| {
            let crops: Vec<_> = (0..config.batch)
                .map(|_| {
                    let at = rng.random_range(0..material.references.len());
                    let window = Window::draw(&material.references[at], config.crop, &mut rng);
                    window.cut(&material.references[at], config.crop)
                })
                .collect();
            Pictures::of(&crops, config.crop)
        });
        let (mut real, mut smoothed) = (None, None);
        if config.wants_real(step) {
            let crops: Vec<_> = (0..config.batch).map(|_| real_crop(material, config, &mut rng)).collect();
            let (sharp, soft): (Vec<_>, Vec<_>) = crops.into_iter().unzip();
            real = Some(Pictures::of(&sharp, config.crop));
            smoothed = (config.adversary.smoothed > 0.0).then(|| Pictures::of(&soft, config.crop));
        }
        Self { content, real, smoothed, references }
    }
}

/// A crop of the real side and the same with smoothed edges.
fn real_crop(material: &Material, config: &Config, rng: &mut ChaCha8Rng) -> (RgbImage, RgbImage) {
    let painted = material.art.is_empty() || (material.painted && rng.random::<f32>() < config.adversary.painted_share);
    let side = config.crop;
    if painted {
        let target = &material.pairs[rng.random_range(0..material.pairs.len())].target;
        let crop = Window::draw(target, side, rng).cut(target, side);
        let smoothed = if config.adversary.smoothed > 0.0 { smooth_edges(&crop) } else { crop.clone() };
        return (crop, smoothed);
    }
    let art = &material.art[rng.random_range(0..material.art.len())];
    let window = Window::draw(&art.picture, side, rng);
    (window.cut(&art.picture, side), window.cut(&art.smoothed, side))
}

/// A part of a picture.
struct Window {
    x: i64,
    y: i64,
    side: u32,
    flipped: bool,
}

impl Window {
    fn draw(picture: &RgbImage, crop: u32, rng: &mut ChaCha8Rng) -> Self {
        let room = picture.width().min(picture.height()).max(crop);
        let zoom = rng.random_range(1.0..=ZOOM);
        let side = ((crop as f32 * zoom) as u32).clamp(crop, room);
        let mut place = |length: u32| {
            let slack = i64::from(length) - i64::from(side);
            rng.random_range(slack.min(0)..=slack.max(0))
        };
        let (x, y) = (place(picture.width()), place(picture.height()));
        Self { x, y, side, flipped: rng.random() }
    }

    fn cut(&self, picture: &RgbImage, crop: u32) -> RgbImage {
        let mut part = mirrored_crop(picture, (self.x, self.y), self.side);
        if self.side != crop {
            part = imageops::resize(&part, crop, crop, imageops::FilterType::Triangle);
        }
        if self.flipped {
            imageops::flip_horizontal_in_place(&mut part);
        }
        part
    }
}

/// Draws on a thread of its own, ahead of their use, from `first_step` on.
pub fn stream(material: Arc<Material>, config: Config, first_step: u64) -> Receiver<Draw> {
    let (sender, receiver) = sync_channel(2);
    // The thread ends when the receiver is dropped.
    let spawned = thread::Builder::new().name("batches".into()).spawn(move || {
        let mut step = first_step;
        while sender.send(Draw::at(&material, &config, step)).is_ok() {
            step += 1;
        }
    });
    drop(spawned);
    receiver
}
