//! What a photo suffers that a restoring student learns to undo: low light, a bad lens, a noisy sensor, scratches, holes
//! and strong JPEG. The target stays whole.

use image::{Rgb, RgbImage};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use self::chroma::halve_colours;
use super::augment::{add_noise, through_jpeg};

pub(crate) mod chroma;

/// How often and how strongly each damage is done. Probabilities in 0..1; what is not said is 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Damage {
    /// How often the photo is taken in low light: darker, with deeper shadows.
    pub dim: f32,
    /// The darkest factor, 0.01..0.6; the lightest is 0.6, so that it is not taken for a scene that is dark.
    pub dimmest: f32,
    /// How often it is out of focus.
    pub defocus: f32,
    /// Largest radius of the disc that a point becomes, pixels; the smallest is 0.5.
    pub defocus_radius: f32,
    /// How often the camera moves.
    pub motion: f32,
    /// Longest way that it moves, pixels; the shortest is 1.5.
    pub motion_length: f32,
    /// How often there is sensor noise.
    pub noise: f32,
    /// The noise's largest deviation, of 255.
    pub noise_deviation: f32,
    /// How much of the noise, at most, is as grey as one of luminance; the rest has colours. 0..1.
    pub noise_grey: f32,
    /// How often noise comes in blotches of two pixels rather than in single ones.
    pub noise_coarse: f32,
    /// How often the photo has scratches.
    pub scratches: f32,
    /// The most of them.
    pub scratches_most: u32,
    /// How often small parts of it are lost.
    pub holes: f32,
    /// The most of them.
    pub holes_most: u32,
    /// Their largest radius, pixels; the smallest is 1.
    pub holes_radius: f32,
    /// How much more a pixel weighs in the losses that a scratch or a hole touches: they are few, and each is as far off
    /// as can be.
    pub touched_weight: f32,
    /// How often it goes through JPEG.
    pub jpeg: f32,
    /// The lowest quality, 1..100.
    pub jpeg_from: u8,
    /// The highest quality.
    pub jpeg_to: u8,
    /// How often JPEG's colours have half the resolution.
    pub jpeg_halved: f32,
    /// How often neither noise nor JPEG befalls it, whatever is said above: blur cannot be undone beneath them, and what it
    /// looks like without them is learned from these photos alone.
    #[serde(skip_serializing_if = "never")]
    pub noiseless: f32,
    /// How often it is out of focus then.
    #[serde(skip_serializing_if = "never")]
    pub noiseless_defocus: f32,
}

/// Then it is not written, so that configurations from before there was such a share are the same.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn never(share: &f32) -> bool {
    *share == 0.0
}

/// A damage as it was drawn: the same from one moment to the next, but for the noise itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suffered {
    /// What light is multiplied by, and the power that it is raised to.
    dim: Option<(f32, f32)>,
    /// Radius of the disc.
    defocus: Option<f32>,
    /// Length and direction (radians) of the way.
    motion: Option<(f32, f32)>,
    noise: Option<SensorNoise>,
    scratches: u32,
    holes: u32,
    holes_radius: f32,
    /// How much more what they touch weighs in the losses.
    pub touched_weight: f32,
    /// What scratches and holes look like follows from this.
    seed: u64,
    jpeg: Option<u8>,
    /// Whether JPEG's colours have half the resolution.
    halved: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct SensorNoise {
    deviation: f32,
    grey: f32,
    coarse: bool,
}

/// What light is multiplied by at most in low light.
pub const LEAST_DIM: f32 = 0.6;
/// The steepest power that low light is raised to: shadows then sink more than lights.
pub const DEEPEST: f32 = 1.5;
/// The least radius of what is out of focus, pixels: less is not seen.
pub const LEAST_RADIUS: f32 = 0.5;
const LEAST_LENGTH: f32 = 1.5;

impl Damage {
    /// What makes no sense among the values, if anything.
    pub fn fault(&self) -> Option<&'static str> {
        let Self { dim, defocus, motion, noise, noise_grey, noise_coarse, scratches, holes, jpeg, jpeg_halved, .. } =
            *self;
        let shares = [dim, defocus, motion, noise, noise_grey, noise_coarse, scratches, holes, jpeg, jpeg_halved];
        let shares = shares.into_iter().chain([self.noiseless, self.noiseless_defocus]);
        if !shares.into_iter().all(|share| (0.0..=1.0).contains(&share)) {
            return Some("the shares of 'damage' lie within 0..1");
        }
        if dim > 0.0 && !(0.01..LEAST_DIM).contains(&self.dimmest) {
            return Some("'dimmest' lies within 0.01..0.6, below 0.6");
        }
        if defocus + self.noiseless_defocus > 0.0 && !(LEAST_RADIUS..=8.0).contains(&self.defocus_radius) {
            return Some("'defocus_radius' lies within 0.5..8");
        }
        if motion > 0.0 && !(LEAST_LENGTH..=32.0).contains(&self.motion_length) {
            return Some("'motion_length' lies within 1.5..32");
        }
        if !(0.0..=255.0).contains(&self.noise_deviation) {
            return Some("'noise_deviation' lies within 0..255");
        }
        if scratches > 0.0 && self.scratches_most == 0 || holes > 0.0 && self.holes_most == 0 {
            return Some("'scratches_most' and 'holes_most' are at least 1 where there are any");
        }
        if holes > 0.0 && !(1.0..=64.0).contains(&self.holes_radius) {
            return Some("'holes_radius' lies within 1..64");
        }
        if !(0.0..=1e3).contains(&self.touched_weight) {
            return Some("'touched_weight' lies within 0..1000");
        }
        (jpeg > 0.0 && !(1..=self.jpeg_to.min(100)).contains(&self.jpeg_from))
            .then_some("'jpeg_from' and 'jpeg_to' are qualities from 1 to 100, the lower one first")
    }

    /// The same limits, and nothing that happens.
    #[must_use]
    pub fn never(self) -> Self {
        let never = Self { dim: 0.0, defocus: 0.0, motion: 0.0, noise: 0.0, scratches: 0.0, holes: 0.0, ..self };
        Self { jpeg: 0.0, noiseless: 0.0, ..never }
    }

    /// Draws a damage.
    pub fn suffered(&self, rng: &mut ChaCha8Rng) -> Suffered {
        // Not drawn where it never happens, as below.
        let noiseless = self.noiseless > 0.0 && rng.random::<f32>() < self.noiseless;
        let with_noise = |share: f32| if noiseless { 0.0 } else { share };
        let defocus = if noiseless { self.noiseless_defocus } else { self.defocus };
        let mut happens = |share: f32| rng.random::<f32>() < share;
        let [noise, jpeg] = [self.noise, self.jpeg].map(with_noise);
        let shares = [self.dim, defocus, self.motion, noise, self.noise_coarse, self.scratches, self.holes, jpeg];
        let [dim, defocus, motion, noise, coarse, scratches, holes, jpeg] = shares.map(&mut happens);
        Suffered {
            dim: dim.then(|| (rng.random_range(self.dimmest..LEAST_DIM), rng.random_range(1.0..DEEPEST))),
            defocus: defocus.then(|| rng.random_range(LEAST_RADIUS..=self.defocus_radius)),
            motion: motion.then(|| {
                (rng.random_range(LEAST_LENGTH..=self.motion_length), rng.random_range(0.0..std::f32::consts::PI))
            }),
            noise: noise.then(|| SensorNoise {
                deviation: self.noise_deviation * rng.random::<f32>(),
                grey: self.noise_grey * rng.random::<f32>(),
                coarse,
            }),
            scratches: if scratches { rng.random_range(1..=self.scratches_most) } else { 0 },
            holes: if holes { rng.random_range(1..=self.holes_most) } else { 0 },
            holes_radius: self.holes_radius,
            touched_weight: self.touched_weight,
            seed: rng.random(),
            jpeg: jpeg.then(|| rng.random_range(self.jpeg_from..=self.jpeg_to)),
            // Not drawn where it never happens: configurations from before there was this draw what they drew.
            halved: jpeg && self.jpeg_halved > 0.0 && rng.random::<f32>() < self.jpeg_halved,
        }
    }

    /// Damages photos that are measured on, the same ones always alike.
    pub fn befall_each<'p>(&self, photos: impl Iterator<Item = &'p mut RgbImage>, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for (stream, photo) in photos.enumerate() {
            rng.set_stream(stream as u64);
            self.suffered(&mut rng).befall(photo, &mut rng);
        }
    }
}

impl Suffered {
    /// Does the damage to `photo`, in the order in which it befalls one; its noise is drawn from `rng`. Returns which
    /// pixels, row by row, scratches and holes touch; nothing where there are none of them.
    pub fn befall(&self, photo: &mut RgbImage, rng: &mut ChaCha8Rng) -> Vec<bool> {
        if let Some((factor, power)) = self.dim {
            let table: [u8; 256] =
                std::array::from_fn(|v| (255.0 * factor * (v as f32 / 255.0).powf(power)).round() as u8);
            photo.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
        }
        if let Some(radius) = self.defocus {
            *photo = convolved(photo, &disc(radius));
        }
        if let Some((length, direction)) = self.motion {
            *photo = convolved(photo, &line(length, direction));
        }
        match self.noise {
            Some(SensorNoise { deviation, grey, coarse: false }) => add_noise(photo, deviation, grey, rng),
            Some(SensorNoise { deviation, grey, coarse: true }) => add_blotches(photo, deviation, grey, rng),
            None => {}
        }
        let mut own = ChaCha8Rng::seed_from_u64(self.seed);
        let before = (self.scratches + self.holes > 0).then(|| photo.clone());
        (0..self.scratches).for_each(|_| scratch(photo, &mut own));
        (0..self.holes).for_each(|_| lose(photo, self.holes_radius, &mut own));
        let touched = before.map(|before| photo.pixels().zip(before.pixels()).map(|(a, b)| a != b).collect());
        if self.halved {
            halve_colours(photo);
        }
        if let Some(through) = self.jpeg.and_then(|quality| through_jpeg(photo, quality)) {
            *photo = through;
        }
        touched.unwrap_or_default()
    }
}

/// What a point becomes: places beside it, in pixels, and the share of each. They add up to 1.
type Kernel = Vec<(i64, i64, f32)>;

/// The samples of a kernel at half pixels, put onto whole ones.
fn kernel(samples: impl Iterator<Item = (f32, f32)>) -> Kernel {
    let mut shares = std::collections::BTreeMap::new();
    let mut count = 0.0;
    for (x, y) in samples {
        let (left, top) = (x.floor(), y.floor());
        for (dx, dy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
            let share = (1.0 - (x - left - dx).abs()) * (1.0 - (y - top - dy).abs());
            *shares.entry(((left + dx) as i64, (top + dy) as i64)).or_insert(0.0) += share;
        }
        count += 1.0;
    }
    shares.into_iter().filter(|(_, share)| *share > 0.0).map(|((x, y), share)| (x, y, share / count)).collect()
}

/// A lens out of focus.
fn disc(radius: f32) -> Kernel {
    const STEP: f32 = 0.25;
    let reach = (radius / STEP).ceil() as i32;
    let along = move |i: i32| i as f32 * STEP;
    let places = (-reach..=reach).flat_map(move |y| (-reach..=reach).map(move |x| (along(x), along(y))));
    kernel(places.filter(|(x, y)| x.hypot(*y) <= radius))
}

/// A camera that moves.
fn line(length: f32, direction: f32) -> Kernel {
    let steps = (4.0 * length).ceil();
    let at = move |i: i32| length * (i as f32 / steps - 0.5);
    kernel((0..=steps as i32).map(move |i| (at(i) * direction.cos(), at(i) * direction.sin())))
}

/// Beyond the edges the picture goes on as it is there.
fn convolved(picture: &RgbImage, kernel: &Kernel) -> RgbImage {
    let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let mut sum = [0.5; 3];
        for (dx, dy, share) in kernel {
            let (x, y) = ((i64::from(x) + dx).clamp(0, width - 1), (i64::from(y) + dy).clamp(0, height - 1));
            let pixel = picture.get_pixel(x as u32, y as u32);
            sum.iter_mut().zip(pixel.0).for_each(|(sum, value)| *sum += share * f32::from(value));
        }
        Rgb(sum.map(|value| value as u8))
    })
}

/// Noise in blotches, as a camera leaves that has smoothed it or enlarged its picture: each value is the mean of 2×2
/// independent ones, twice as strong.
fn add_blotches(picture: &mut RgbImage, deviation: f32, grey: f32, rng: &mut ChaCha8Rng) {
    const MIDDLE: i16 = 128;
    // Twice the deviation would be clipped.
    let (width, height) = picture.dimensions();
    let mut noise = RgbImage::from_pixel(width + 1, height + 1, Rgb([MIDDLE as u8; 3]));
    let within = deviation.min(30.0);
    add_noise(&mut noise, within, grey, rng);
    let gain = deviation / within.max(1e-6) * 0.5;
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        for (c, value) in pixel.0.iter_mut().enumerate() {
            let at = |dx, dy| i16::from(noise.get_pixel(x + dx, y + dy).0[c]) - MIDDLE;
            let sum = at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1);
            *value = (f32::from(*value) + gain * f32::from(sum)).round().clamp(0.0, 255.0) as u8;
        }
    }
}

/// A thin curve of a light or a dark colour from one place to another.
fn scratch(picture: &mut RgbImage, rng: &mut ChaCha8Rng) {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let place = |rng: &mut ChaCha8Rng| (rng.random_range(0.0..width), rng.random_range(0.0..height));
    let (from, by, to) = (place(rng), place(rng), place(rng));
    let colour = if rng.random() { rng.random_range(190.0..255.0) } else { rng.random_range(0.0..60.0) };
    let opacity = rng.random_range(0.5..1.0);
    let radius: f32 = rng.random_range(0.5..1.2);
    let mut covered = vec![0.0_f32; picture.width() as usize * picture.height() as usize];
    let steps = 2 * (width + height) as i32;
    for i in 0..=steps {
        // A quadratic Bézier curve.
        let t = i as f32 / steps as f32;
        let along = |a: f32, b: f32, c: f32| (1.0 - t).powi(2) * a + 2.0 * t * (1.0 - t) * b + t * t * c;
        let (x, y) = (along(from.0, by.0, to.0), along(from.1, by.1, to.1));
        cover(&mut covered, picture.dimensions(), (x, y), radius);
    }
    paint(picture, &covered, [colour; 3], opacity);
}

/// A small part that is lost: a few discs that overlap, of one colour.
fn lose(picture: &mut RgbImage, largest: f32, rng: &mut ChaCha8Rng) {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let (x, y) = (rng.random_range(0.0..width), rng.random_range(0.0..height));
    let radius = rng.random_range(1.0..=largest.max(1.0));
    let colour = [0.0, 255.0, 128.0, rng.random_range(0.0..255.0)][rng.random_range(0..4)];
    let mut covered = vec![0.0; picture.width() as usize * picture.height() as usize];
    for _ in 0..rng.random_range(1..=4) {
        let mut beside = || 0.7 * radius * rng.random_range(-1.0..1.0_f32);
        let at = (x + beside(), y + beside());
        cover(&mut covered, picture.dimensions(), at, radius * rng.random_range(0.5..1.0));
    }
    paint(picture, &covered, [colour; 3], 1.0);
}

/// Covers a disc with a soft border of a pixel.
fn cover(covered: &mut [f32], (width, height): (u32, u32), (x, y): (f32, f32), radius: f32) {
    let along = |at: f32, length: u32| {
        let low = (at - radius - 1.0).max(0.0) as u32;
        low..((at + radius + 2.0).max(0.0) as u32).min(length)
    };
    for v in along(y, height) {
        for u in along(x, width) {
            let share = (radius + 0.5 - (u as f32 - x).hypot(v as f32 - y)).clamp(0.0, 1.0);
            let value = &mut covered[(v * width + u) as usize];
            *value = value.max(share);
        }
    }
}

fn paint(picture: &mut RgbImage, covered: &[f32], colour: [f32; 3], opacity: f32) {
    for (pixel, share) in picture.pixels_mut().zip(covered).filter(|(_, share)| **share > 0.0) {
        for (value, colour) in pixel.0.iter_mut().zip(colour) {
            *value = (f32::from(*value) + share * opacity * (colour - f32::from(*value))).round() as u8;
        }
    }
}

#[cfg(test)]
mod tests;
