//! Colours of half the picture's resolution, as cameras and most JPEG encoders keep them.

use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma, RgbImage};

/// Keeps the luminance of each pixel, and of each 2×2 pixels one colour (4:2:0): the colour differences of JFIF (ITU-T T.871)
/// are reduced to half the resolution and enlarged again, between pixels by their distance.
pub fn halve_colours(picture: &mut RgbImage) {
    let (width, height) = picture.dimensions();
    if width < 2 || height < 2 {
        return;
    }
    let halved = |difference: fn([f32; 3]) -> f32| {
        // In 0..1, beyond which `resize` clamps.
        let plane: ImageBuffer<Luma<f32>, Vec<f32>> = ImageBuffer::from_fn(width, height, |x, y| {
            Luma([difference(picture.get_pixel(x, y).0.map(f32::from)) / 255.0 + 0.5])
        });
        let half = resize(&plane, width.div_ceil(2), height.div_ceil(2), FilterType::Triangle);
        resize(&half, width, height, FilterType::Triangle)
    };
    let blue = halved(|rgb| 0.564 * (rgb[2] - luminance(rgb)));
    let red = halved(|rgb| 0.713 * (rgb[0] - luminance(rgb)));
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let luminance = luminance(pixel.0.map(f32::from));
        let [blue, red] = [&blue, &red].map(|plane| 255.0 * (plane.get_pixel(x, y).0[0] - 0.5));
        let rgb = [luminance + 1.402 * red, luminance - 0.344 * blue - 0.714 * red, luminance + 1.772 * blue];
        pixel.0 = rgb.map(|value| value.round().clamp(0.0, 255.0) as u8);
    }
}

fn luminance([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn luminance_stays_and_colours_run_into_each_other() {
        // Columns of red and of a green of the same luminance.
        let colours = [[180, 40, 60], [20, 122, 60]];
        let mut fine = RgbImage::from_fn(16, 8, |x, _| Rgb(colours[x as usize % 2]));
        let before = fine.clone();
        halve_colours(&mut fine);
        for (a, b) in fine.pixels().zip(before.pixels()) {
            let [a, b] = [a, b].map(|pixel| luminance(pixel.0.map(f32::from)));
            assert!((a - b).abs() < 2.0, "{a} for {b}");
        }
        let [a, b] = [7, 8].map(|x| fine.get_pixel(x, 4).0[0]);
        assert!(a.abs_diff(b) < 30, "{a} and {b}, of 180 and 20");
        let mut coarse = RgbImage::from_fn(32, 8, |x, _| Rgb(colours[x as usize / 16]));
        let whole = coarse.clone();
        halve_colours(&mut coarse);
        assert!(
            coarse.get_pixel(8, 4).0[0].abs_diff(whole.get_pixel(8, 4).0[0]) < 3,
            "within a surface nothing changes"
        );
    }
}
