//! Whether surfaces are flat where they are wanted flat.

use image::RgbImage;

use crate::metrics::luma;

/// A pixel of the target is flat where its gradient is below this, of 255 per pixel.
const FLAT_BELOW: f64 = 2.0;
/// Side of the windows in which variance is taken, pixels: what is larger is shading and no texture.
const WINDOW: usize = 9;

/// Variances added up over any number of pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Texture {
    picture: f64,
    photo: f64,
    windows: u64,
}

impl Texture {
    /// Takes in the variance of the luminance of a picture and of its photo, in windows in which all of the target is flat.
    pub fn add(&mut self, picture: &RgbImage, photo: &RgbImage, target: &RgbImage) {
        let (width, height) = (target.width() as usize, target.height() as usize);
        let steep = steep(&luma(target), width, height);
        let (picture, photo) = (luma(picture), luma(photo));
        for top in (0..(height + 1).saturating_sub(WINDOW)).step_by(WINDOW) {
            for left in (0..(width + 1).saturating_sub(WINDOW)).step_by(WINDOW) {
                let window = || (top..top + WINDOW).flat_map(|y| (left..left + WINDOW).map(move |x| y * width + x));
                if window().any(|i| steep[i]) {
                    continue;
                }
                let variance = |plane: &[f64]| {
                    let count = (WINDOW * WINDOW) as f64;
                    let (sum, squares) = window().fold((0.0, 0.0), |(s, q), i| (s + plane[i], q + plane[i] * plane[i]));
                    (squares / count - (sum / count).powi(2)).max(0.0)
                };
                self.picture += variance(&picture);
                self.photo += variance(&photo);
                self.windows += 1;
            }
        }
    }

    /// How much of the photo's variance is left, 0 where all is flat; `None` where nothing was to be flat.
    pub fn left(&self) -> Option<f64> {
        (self.windows > 0 && self.photo > 0.0).then(|| self.picture / self.photo)
    }
}

/// Where the gradient (central differences) reaches [`FLAT_BELOW`].
fn steep(plane: &[f64], width: usize, height: usize) -> Vec<bool> {
    let at = |x: usize, y: usize| plane[y * width + x];
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    pixels
        .map(|(x, y)| {
            let dx = at((x + 1).min(width - 1), y) - at(x.saturating_sub(1), y);
            let dy = at(x, (y + 1).min(height - 1)) - at(x, y.saturating_sub(1));
            0.5 * (dx * dx + dy * dy).sqrt() >= FLAT_BELOW
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgb;

    use super::*;

    /// A wall whose grey alternates by `by`, beside a dark post.
    fn wall(by: u8) -> RgbImage {
        RgbImage::from_fn(72, 45, |x, y| {
            Rgb([if (30..34).contains(&x) { 20 } else { 150 + by * ((x + y) % 2) as u8 }; 3])
        })
    }

    #[test]
    fn texture_within_flat_parts_of_the_target_is_compared_with_the_photos() {
        let mut texture = Texture::default();
        texture.add(&wall(2), &wall(8), &wall(0));
        let left = texture.left().unwrap();
        assert!((left - 1.0 / 16.0).abs() < 1e-9, "{left}");
    }

    #[test]
    fn where_the_target_is_nowhere_flat_there_is_nothing_to_say() {
        let mut texture = Texture::default();
        let stripes = RgbImage::from_fn(40, 40, |x, _| Rgb([(x / 2 % 2 * 200) as u8; 3]));
        texture.add(&stripes, &stripes, &stripes);
        assert_eq!(texture.left(), None);
    }
}
