//! How alike two pictures are.

use image::RgbImage;

/// Mean absolute difference, of 255, over all channels. Pictures of the same size.
pub fn l1(a: &RgbImage, b: &RgbImage) -> f64 {
    mean(a, b, |d| d.abs())
}

/// Mean squared difference, of 255².
pub fn mse(a: &RgbImage, b: &RgbImage) -> f64 {
    mean(a, b, |d| d * d)
}

/// Peak signal-to-noise ratio in dB; infinite for equal pictures.
pub fn psnr(a: &RgbImage, b: &RgbImage) -> f64 {
    10.0 * (255.0_f64.powi(2) / mse(a, b)).log10()
}

/// [`psnr`] over those pixels that `counts`, row by row, says true of; `None` where it says so of none.
pub fn psnr_where(a: &RgbImage, b: &RgbImage, counts: &[bool]) -> Option<f64> {
    let squares =
        a.pixels().zip(b.pixels()).zip(counts).filter(|(_, counts)| **counts).map(|((a, b), _)| {
            a.0.iter().zip(b.0).map(|(&a, b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>() / 3.0
        });
    let (total, count) = squares.fold((0.0, 0_u64), |(total, count), square| (total + square, count + 1));
    (count > 0).then(|| 10.0 * (255.0_f64.powi(2) * count as f64 / total).log10())
}

fn mean(a: &RgbImage, b: &RgbImage, measure: impl Fn(f64) -> f64) -> f64 {
    let total: f64 = a.iter().zip(b.iter()).map(|(&a, &b)| measure(f64::from(a) - f64::from(b))).sum();
    total / a.len().max(1) as f64
}

/// Deviation and radius of the window of SSIM, and its two constants for 8 bits (Wang et al. 2004, section III).
const SSIM_SIGMA: f64 = 1.5;
const SSIM_RADIUS: i64 = 5;
const SSIM_C1: f64 = 6.5025;
const SSIM_C2: f64 = 58.5225;

/// Structural similarity of the luma (Wang et al. 2004, 11×11 Gaussian window), -1..1, 1 for equal pictures.
/// Edge pixels stand for what lies outside.
pub fn ssim(a: &RgbImage, b: &RgbImage) -> f64 {
    let (width, height) = (a.width() as usize, a.height() as usize);
    let (x, y) = (luma(a), luma(b));
    let blurred = |f: &dyn Fn(usize) -> f64| blur(&(0..x.len()).map(f).collect::<Vec<_>>(), width, height);
    let (mx, my) = (blurred(&|i| x[i]), blurred(&|i| y[i]));
    let (xx, yy, xy) = (blurred(&|i| x[i] * x[i]), blurred(&|i| y[i] * y[i]), blurred(&|i| x[i] * y[i]));
    let total: f64 = (0..x.len())
        .map(|i| {
            let (vx, vy, cov) = (xx[i] - mx[i] * mx[i], yy[i] - my[i] * my[i], xy[i] - mx[i] * my[i]);
            ((2.0 * mx[i] * my[i] + SSIM_C1) * (2.0 * cov + SSIM_C2))
                / ((mx[i] * mx[i] + my[i] * my[i] + SSIM_C1) * (vx + vy + SSIM_C2))
        })
        .sum();
    total / x.len().max(1) as f64
}

/// Luma of BT.601, 0..255.
pub fn luma(picture: &RgbImage) -> Vec<f64> {
    picture
        .pixels()
        .map(|p| 0.299 * f64::from(p.0[0]) + 0.587 * f64::from(p.0[1]) + 0.114 * f64::from(p.0[2]))
        .collect()
}

fn blur(plane: &[f64], width: usize, height: usize) -> Vec<f64> {
    let kernel: Vec<f64> =
        (-SSIM_RADIUS..=SSIM_RADIUS).map(|t| (-((t * t) as f64) / (2.0 * SSIM_SIGMA * SSIM_SIGMA)).exp()).collect();
    let sum: f64 = kernel.iter().sum();
    let clamp = |at: i64, length: usize| at.clamp(0, length as i64 - 1) as usize;
    let pass = |from: &[f64], at: &dyn Fn(usize, usize, i64) -> usize| -> Vec<f64> {
        let mut to = Vec::with_capacity(from.len());
        for y in 0..height {
            for x in 0..width {
                let value: f64 = (-SSIM_RADIUS..).zip(&kernel).map(|(t, k)| k * from[at(x, y, t)]).sum();
                to.push(value / sum);
            }
        }
        to
    };
    let rows = pass(plane, &|x, y, t| y * width + clamp(x as i64 + t, width));
    pass(&rows, &|x, y, t| clamp(y as i64 + t, height) * width + x)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgb;

    use super::*;

    fn ramp(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x * 7 % 251) as u8, (y * 5 % 241) as u8, ((x + y) * 3 % 239) as u8])
        })
    }

    #[test]
    fn equal_pictures_are_equal_by_every_measure() {
        let a = ramp(40, 30);
        assert_eq!((l1(&a, &a), mse(&a, &a), psnr(&a, &a)), (0.0, 0.0, f64::INFINITY));
        assert!((ssim(&a, &a) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn known_differences_give_known_numbers() {
        let a = RgbImage::from_pixel(16, 16, Rgb([100; 3]));
        let b = RgbImage::from_pixel(16, 16, Rgb([110; 3]));
        assert_eq!((l1(&a, &b), mse(&a, &b)), (10.0, 100.0));
        assert!((psnr(&a, &b) - 28.130_803_6).abs() < 1e-6);
        let mut c = a.clone();
        (0..4).for_each(|x| c.put_pixel(x, 3, Rgb([110; 3])));
        let touched: Vec<bool> = a.pixels().zip(c.pixels()).map(|(a, c)| a != c).collect();
        assert!((psnr_where(&a, &c, &touched).unwrap() - 28.130_803_6).abs() < 1e-6, "as of what is touched alone");
        assert_eq!(psnr_where(&a, &c, &[false; 256]), None);
        // Two flat pictures differ in luminance alone.
        let expected = (2.0 * 100.0 * 110.0 + SSIM_C1) / (100.0 * 100.0 + 110.0 * 110.0 + SSIM_C1);
        assert!((ssim(&a, &b) - expected).abs() < 1e-9);
    }

    #[test]
    fn structure_that_is_gone_costs_similarity() {
        let a = RgbImage::from_fn(64, 64, |x, y| Rgb([if (x / 2 + y / 2) % 2 == 0 { 40 } else { 220 }; 3]));
        let flat = RgbImage::from_pixel(64, 64, Rgb([120; 3]));
        assert!(ssim(&a, &flat) < 0.3);
    }
}
