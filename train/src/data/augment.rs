//! A webcam's faults, put on crops of photos: what the student must see through.

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{DynamicImage, ImageDecoder, RgbImage};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::damage::{Damage, Suffered};

/// How often and how strongly each fault is put on. Probabilities in 0..1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Mirrored left to right.
    pub flip: f32,
    /// How often both pictures' channels are multiplied (a light of another colour). The painter would have painted
    /// such a photo a little differently, so it must stay the exception: L1 then follows the rule.
    pub tint: f32,
    /// By up to 1 ± this.
    pub tint_by: f32,
    /// How often both pictures are darkened.
    pub dark: f32,
    /// The darkest factor.
    pub darkest: f32,
    /// How often the photo goes through JPEG at a quality of 35 to 95.
    pub jpeg: f32,
    /// How often the photo is blurred a little, by a Gaussian of 0.4 to 1 pixel.
    pub blur: f32,
    /// How often sensor noise is put on the photo.
    pub noise: f32,
    /// The noise's largest deviation, of 255.
    pub noise_deviation: f32,
    /// What a restoring student learns to undo, beside all this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
}

/// A crop of a pair with what is known of each pixel, row by row.
#[derive(Debug, Clone)]
pub struct Crop {
    /// The photo, as a camera would give it.
    pub photo: RgbImage,
    /// The target.
    pub target: RgbImage,
    /// One weight per pixel.
    pub weight: Vec<f32>,
    /// How certainly it is of a person, 0..1; empty where that is not learned.
    pub mask: Vec<f32>,
}

/// How a scene stands before the camera: the same for all pictures that are taken of it in a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Mirrored left to right.
    pub flip: bool,
    /// What red, green and blue are multiplied by.
    gains: [f32; 3],
}

/// A camera and its faults: the same from one moment to the next, but for the noise itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Deviation of its blur, pixels.
    blur: Option<f32>,
    /// Deviation of its sensor's noise, of 255.
    pub noise: Option<f32>,
    /// Quality of its JPEG.
    jpeg: Option<u8>,
    /// What else befalls its photos.
    suffered: Option<Suffered>,
}

impl Augment {
    /// Every fault now and then.
    #[cfg(test)]
    pub const OF_TESTS: Self = Self {
        flip: 0.5,
        tint: 0.5,
        tint_by: 0.1,
        dark: 0.3,
        darkest: 0.4,
        jpeg: 0.3,
        blur: 0.3,
        noise: 0.5,
        noise_deviation: 4.0,
        damage: None,
    };

    /// What makes no sense among the values, if anything.
    pub fn fault(&self) -> Option<&'static str> {
        let shares = [self.flip, self.tint, self.dark, self.jpeg, self.blur, self.noise];
        if !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
            return Some("'flip', 'tint', 'dark', 'jpeg', 'blur' and 'noise' lie within 0..1");
        }
        if !(0.0..1.0).contains(&self.tint_by) || !(0.0..1.0).contains(&self.darkest) {
            return Some("'tint_by' and 'darkest' lie within 0..1, below 1");
        }
        if !(0.0..=255.0).contains(&self.noise_deviation) {
            return Some("'noise_deviation' lies within 0..255");
        }
        self.damage.as_ref().and_then(Damage::fault)
    }

    /// Draws a setting.
    pub fn setting(&self, rng: &mut ChaCha8Rng) -> Setting {
        let flip = rng.random::<f32>() < self.flip;
        let dark = if rng.random::<f32>() < self.dark { rng.random_range(self.darkest..1.0) } else { 1.0 };
        let by = if rng.random::<f32>() < self.tint { self.tint_by } else { 0.0 };
        let gains: [f32; 3] = std::array::from_fn(|_| dark * rng.random_range(1.0 - by..=1.0 + by));
        // The same light falls on photo and target; where it would clip the target's whites it is held back.
        Setting { flip, gains: gains.map(|gain| gain.min(1.0 + by / 2.0)) }
    }

    /// Draws a camera.
    pub fn camera(&self, rng: &mut ChaCha8Rng) -> Camera {
        Camera {
            blur: (rng.random::<f32>() < self.blur).then(|| rng.random_range(0.4..1.0)),
            noise: (rng.random::<f32>() < self.noise).then(|| self.noise_deviation * rng.random::<f32>()),
            jpeg: (rng.random::<f32>() < self.jpeg).then(|| rng.random_range(35..=95)),
            suffered: self.damage.as_ref().map(|damage| damage.suffered(rng)),
        }
    }
}

impl Camera {
    /// One that shows what is before it.
    pub const FAULTLESS: Self = Self { blur: None, noise: None, jpeg: None, suffered: None };

    /// Takes `crop`'s photo; its noise is drawn from `rng`.
    pub fn take(&self, crop: &mut Crop, rng: &mut ChaCha8Rng) {
        if let Some(sigma) = self.blur {
            crop.photo = image::imageops::blur(&crop.photo, sigma);
        }
        if let Some(deviation) = self.noise {
            add_noise(&mut crop.photo, deviation, COMMON_NOISE, rng);
        }
        if let Some(photo) = self.jpeg.and_then(|quality| through_jpeg(&crop.photo, quality)) {
            crop.photo = photo;
        }
        if let Some(suffered) = &self.suffered {
            let touched = suffered.befall(&mut crop.photo, rng);
            let weights = crop.weight.iter_mut().zip(touched);
            weights.filter(|(_, touched)| *touched).for_each(|(weight, _)| *weight *= 1.0 + suffered.touched_weight);
        }
    }
}

impl Setting {
    /// Puts `crop` into this setting.
    pub fn apply(&self, crop: &mut Crop) {
        if self.flip {
            image::imageops::flip_horizontal_in_place(&mut crop.photo);
            image::imageops::flip_horizontal_in_place(&mut crop.target);
            let width = crop.photo.width() as usize;
            for plane in [&mut crop.weight, &mut crop.mask] {
                plane.chunks_exact_mut(width).for_each(<[f32]>::reverse);
            }
        }
        multiply(&mut crop.photo, self.gains);
        multiply(&mut crop.target, self.gains);
    }
}

fn multiply(picture: &mut RgbImage, gains: [f32; 3]) {
    let tables = gains.map(|gain| -> [u8; 256] { std::array::from_fn(|v| (v as f32 * gain).round().min(255.0) as u8) });
    for pixel in picture.pixels_mut() {
        for (value, table) in pixel.0.iter_mut().zip(&tables) {
            *value = table[usize::from(*value)];
        }
    }
}

/// What the channels of a good camera's noise have in common, see [`add_noise`].
const COMMON_NOISE: f32 = 0.8;

/// Noise of a sensor: independent per pixel, about normal, of this deviation in each channel; `grey` (0..1) of the
/// deviation is common to the channels.
pub(crate) fn add_noise(picture: &mut RgbImage, deviation: f32, grey: f32, rng: &mut ChaCha8Rng) {
    // Their squares add up to 1.
    let of_channel = (1.0 - grey * grey).sqrt();
    // The sum of the four bytes of a word has a deviation of 147.8: three such sums are normal enough.
    let mut draw = || {
        let word: u32 = rng.random();
        word.to_le_bytes().iter().map(|&b| f32::from(b)).sum::<f32>() / 147.8 - 510.0 / 147.8
    };
    for pixel in picture.pixels_mut() {
        let common = grey * draw();
        for value in &mut pixel.0 {
            *value = (f32::from(*value) + deviation * (common + of_channel * draw())).round().clamp(0.0, 255.0) as u8;
        }
    }
}

/// The picture as a camera that sends JPEG gives it; `None` where the codec fails.
pub(crate) fn through_jpeg(picture: &RgbImage, quality: u8) -> Option<RgbImage> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(picture).ok()?;
    let decoder = JpegDecoder::new(std::io::Cursor::new(bytes)).ok()?;
    debug_assert_eq!(decoder.dimensions(), picture.dimensions());
    Some(DynamicImage::from_decoder(decoder).ok()?.into_rgb8())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgb;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const NONE: Augment = Augment {
        flip: 0.0,
        tint: 0.0,
        tint_by: 0.0,
        dark: 0.0,
        darkest: 0.4,
        jpeg: 0.0,
        blur: 0.0,
        noise: 0.0,
        noise_deviation: 8.0,
        damage: None,
    };

    /// A crop with a hard edge, its target the same picture in other colours.
    fn crop() -> Crop {
        let picture = |dark, light| {
            RgbImage::from_fn(32, 32, move |x, y| Rgb(if x < 12 { [dark; 3] } else { [light, 90 + y as u8, 60] }))
        };
        let weight = (0..32 * 32).map(|i| if i % 32 < 12 { 3.0 } else { 1.0 }).collect();
        let mask = (0..32 * 32).map(|i| (i % 32) as f32 / 31.0).collect();
        Crop { photo: picture(40, 200), target: picture(20, 220), weight, mask }
    }

    fn applied(augment: &Augment, seed: u64) -> Crop {
        let mut crop = crop();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        augment.setting(&mut rng).apply(&mut crop);
        augment.camera(&mut rng).take(&mut crop, &mut rng);
        crop
    }

    fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
        crate::metrics::l1(a, b)
    }

    #[test]
    fn nothing_asked_for_changes_nothing() {
        let (before, after) = (crop(), applied(&NONE, 1));
        assert!(before.photo == after.photo && before.target == after.target);
        assert!(before.weight == after.weight && before.mask == after.mask);
    }

    #[test]
    fn a_flip_turns_all_of_a_crop_alike() {
        let (before, after) = (crop(), applied(&Augment { flip: 1.0, ..NONE }, 1));
        for y in 0..32 {
            for x in 0..32 {
                assert_eq!(after.photo.get_pixel(x, y), before.photo.get_pixel(31 - x, y));
                assert_eq!(after.target.get_pixel(x, y), before.target.get_pixel(31 - x, y));
                let (here, there) = ((y * 32 + x) as usize, (y * 32 + 31 - x) as usize);
                assert_eq!((after.weight[here], after.mask[here]), (before.weight[there], before.mask[there]));
            }
        }
    }

    #[test]
    fn light_falls_on_photo_and_target_a_cameras_faults_on_the_photo_alone() {
        let before = crop();
        for seed in 0..8 {
            let dark = applied(&Augment { dark: 1.0, ..NONE }, seed);
            let darker = |a: &RgbImage, b: &RgbImage| a.iter().zip(b.iter()).all(|(a, b)| a <= b) && a != b;
            assert!(darker(&dark.photo, &before.photo) && darker(&dark.target, &before.target));
            let damage = Damage { defocus: 1.0, defocus_radius: 2.0, ..Damage::default() };
            for fault in [
                Augment { jpeg: 1.0, ..NONE },
                Augment { blur: 1.0, ..NONE },
                Augment { noise: 1.0, ..NONE },
                Augment { damage: Some(damage), ..NONE },
            ] {
                let crop = applied(&fault, seed);
                assert_ne!(crop.photo, before.photo);
                assert_eq!(crop.target, before.target);
            }
        }
    }

    #[test]
    fn what_a_hole_touches_weighs_more() {
        let before = crop();
        let holes = |touched_weight| {
            let damage = Damage { holes: 1.0, holes_most: 2, holes_radius: 3.0, touched_weight, ..Damage::default() };
            applied(&Augment { damage: Some(damage), ..NONE }, 3)
        };
        let [even, weighed] = [0.0, 4.0].map(holes);
        assert_eq!((&even.photo, &even.weight), (&weighed.photo, &before.weight));
        let pixels = weighed.photo.pixels().zip(before.photo.pixels()).zip(weighed.weight.iter().zip(&before.weight));
        assert!(pixels.clone().any(|((a, b), _)| a != b));
        for ((after, before), (weight, plain)) in pixels {
            assert_eq!(*weight, if after == before { *plain } else { 5.0 * plain });
        }
    }

    #[test]
    fn blurs_differ_in_strength() {
        let before = crop().photo;
        let strengths: Vec<f64> =
            (0..24).map(|seed| difference(&applied(&Augment { blur: 1.0, ..NONE }, seed).photo, &before)).collect();
        let (low, high) = strengths.iter().fold((f64::MAX, 0.0_f64), |(l, h), &s| (l.min(s), h.max(s)));
        assert!(high > 2.0 * low, "from {low} to {high}");
    }

    #[test]
    fn noise_stays_about_the_picture_and_within_its_deviation() {
        let before = RgbImage::from_pixel(64, 64, Rgb([128; 3]));
        let mut after = before.clone();
        add_noise(&mut after, 4.0, COMMON_NOISE, &mut ChaCha8Rng::seed_from_u64(2));
        let mean = after.iter().map(|&v| f64::from(v)).sum::<f64>() / after.len() as f64;
        assert!((mean - 128.0).abs() < 0.5, "{mean}");
        let deviation = crate::metrics::mse(&before, &after).sqrt();
        assert!((3.6..4.4).contains(&deviation), "{deviation}");
    }
}
