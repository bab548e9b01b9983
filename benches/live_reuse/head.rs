//! A person who talks to a camera before a room that stands still, made from a portrait.

use std::f32::consts::TAU;
use std::path::Path;

use nijigen::frame::Size;

/// The size of the frames.
pub const SIZE: Size = Size::new(640, 480);
/// Frames of a scene: three seconds and a third, one movement of the head to and fro.
const FRAMES: usize = 100;
/// Frames per second.
const RATE: f32 = 30.0;
/// Half the width and height of the ellipse that moves as a whole, in pixels: 16 % of the picture.
const HEAD: (f32, f32) = (112.0, 140.0);
/// By so much it moves to either side, in pixels, so often in a second.
const SWAY: f32 = 12.0;
const SWAYS: f32 = 0.3;
/// Around it the movement fades out over so much of its size: about the least that does not fold the picture.
const FADE: f32 = 0.2;
/// Half the mouth's width, half its height at most, and how often it opens in a second.
const MOUTH: (f32, f32) = (26.0, 10.0);
const SYLLABLES: f32 = 2.7;
/// Deviation of a channel's noise, and the part of the variance that all three share: as in the clips and in the source
/// 'synthetic', consecutive frames then differ by 0.60 on average.
const NOISE: f32 = 0.5317;
const COMMON: f32 = 0.62;

/// A photo, and where its head is.
pub struct Portrait {
    /// The photo's file, without its ending.
    pub name: &'static str,
    /// The middle of the head, as a share of the photo's sides.
    head: (f32, f32),
    /// The mouth's.
    mouth: (f32, f32),
}

/// Of the CC0 portraits that models/README.md names.
pub const PORTRAITS: [Portrait; 3] = [
    Portrait { name: "portrait-male-0", head: (0.545, 0.41), mouth: (0.545, 0.595) },
    Portrait { name: "portrait-male-54", head: (0.50, 0.30), mouth: (0.50, 0.49) },
    Portrait { name: "portrait-female-77", head: (0.50, 0.31), mouth: (0.495, 0.425) },
];

impl Portrait {
    /// The scene's frames.
    pub fn frames(&self, folder: &Path) -> Vec<Vec<u8>> {
        let photo = image::open(folder.join(format!("{}.jpg", self.name))).expect("the portrait can be read");
        let (width, height) = (SIZE.width, SIZE.height);
        let photo = photo.resize_exact(width, width, image::imageops::FilterType::Triangle).to_rgb8();
        let side = width as f32;
        let (head, mouth) = ((self.head.0 * side, self.head.1 * side), (self.mouth.0 * side, self.mouth.1 * side));
        let mut noise = Noise(1);
        (0..FRAMES)
            .map(|n| {
                let time = n as f32 / RATE;
                let sway = SWAY * (TAU * SWAYS * time).sin();
                let open = MOUTH.1 * (TAU * SYLLABLES * time / 2.0).sin().abs();
                let mut frame = Vec::with_capacity(SIZE.rgb_len());
                for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y as f32, x as f32))) {
                    let away = ((x - head.0) / HEAD.0).hypot((y - head.1) / HEAD.1);
                    // 1 within the head, 0 from the fade on, smooth between.
                    let part = (1.0 - (away - 1.0) / FADE).clamp(0.0, 1.0);
                    let moved = sway * part * part * (3.0 - 2.0 * part);
                    let mut pixel = sample(&photo, x - moved, y);
                    let lips = ((x - moved - mouth.0) / MOUTH.0).hypot((y - mouth.1) / open.max(0.5));
                    let dark = (2.0 * (1.2 - lips)).clamp(0.0, 1.0);
                    pixel
                        .iter_mut()
                        .zip([60.0, 20.0, 25.0])
                        .for_each(|(value, inside)| *value += (inside - *value) * dark);
                    let added = noise.pixel();
                    // `as` saturates, and rounds toward zero: hence the half.
                    frame.extend(pixel.iter().zip(added).map(|(value, noise)| (value + noise + 0.5) as u8));
                }
                frame
            })
            .collect()
    }
}

/// The photo's colour between its pixels of a row.
fn sample(photo: &image::RgbImage, x: f32, y: f32) -> [f32; 3] {
    let x = x.clamp(0.0, photo.width() as f32 - 1.0);
    let (left, share) = (x as u32, x.fract());
    let (a, b) = (photo.get_pixel(left, y as u32), photo.get_pixel((left + 1).min(photo.width() - 1), y as u32));
    std::array::from_fn(|c| f32::from(a[c]) * (1.0 - share) + f32::from(b[c]) * share)
}

struct Noise(u64);

impl Noise {
    /// About normal, with mean 0 and variance 1: the sum of four uniform bytes (Irwin–Hall).
    fn normal(&mut self) -> f32 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) ^ (z >> 31);
        let sum: f32 = (z as u32).to_le_bytes().iter().map(|&byte| f32::from(byte)).sum();
        (sum - 4.0 * 127.5) / (4.0_f32 * 65535.0 / 12.0).sqrt()
    }

    fn pixel(&mut self) -> [f32; 3] {
        let shared = self.normal() * NOISE * COMMON.sqrt();
        std::array::from_fn(|_| shared + self.normal() * NOISE * (1.0 - COMMON).sqrt())
    }
}
