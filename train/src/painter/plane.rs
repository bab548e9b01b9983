//! Planes of `f32` and the few operations on them that the stages share: blur, sampling, colour.

use image::RgbImage;

/// One channel of a picture, row by row, without padding.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height` values.
    pub values: Vec<f32>,
}

impl Plane {
    /// A plane of one value.
    pub fn filled(width: usize, height: usize, value: f32) -> Self {
        Self { width, height, values: vec![value; width * height] }
    }

    /// The same size, each value replaced by `f` of it.
    pub fn map(&self, f: impl Fn(f32) -> f32) -> Self {
        Self { values: self.values.iter().map(|&v| f(v)).collect(), ..*self }
    }

    /// One row.
    pub fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.width..][..self.width]
    }

    fn row_mut(&mut self, y: usize) -> &mut [f32] {
        &mut self.values[y * self.width..][..self.width]
    }

    /// The plane with its border repeated `by` pixels outward on each side.
    pub fn padded(&self, by: usize) -> Self {
        let mut out = Self::filled(self.width + 2 * by, self.height + 2 * by, 0.0);
        for y in 0..out.height {
            let from = self.row(y.saturating_sub(by).min(self.height - 1));
            let to = out.row_mut(y);
            to[..by].fill(from[0]);
            to[by..by + self.width].copy_from_slice(from);
            to[by + self.width..].fill(from[self.width - 1]);
        }
        out
    }

    /// Gaussian blur with standard deviation `sigma` in pixels; the border is repeated. `sigma` of 0 changes nothing.
    pub fn blurred(&self, sigma: f32) -> Self {
        if sigma <= 0.0 {
            return self.clone();
        }
        let radius = (3.0 * sigma).ceil() as usize;
        let mut kernel: Vec<f32> =
            (0..=2 * radius).map(|i| (-(i as f32 - radius as f32).powi(2) / (2.0 * sigma * sigma)).exp()).collect();
        let sum: f32 = kernel.iter().sum();
        kernel.iter_mut().for_each(|k| *k /= sum);

        let padded = self.padded(radius);
        let mut down = Self::filled(padded.width, self.height, 0.0);
        for y in 0..self.height {
            let to = down.row_mut(y);
            for (i, &k) in kernel.iter().enumerate() {
                to.iter_mut().zip(padded.row(y + i)).for_each(|(t, &v)| *t += k * v);
            }
        }
        let mut out = Self::filled(self.width, self.height, 0.0);
        for y in 0..self.height {
            let from = down.row(y);
            let to = out.row_mut(y);
            for (i, &k) in kernel.iter().enumerate() {
                to.iter_mut().zip(&from[i..]).for_each(|(t, &v)| *t += k * v);
            }
        }
        out
    }

    /// The value at a fractional position, interpolated linearly; outside, the border is repeated.
    pub fn sample(&self, x: f32, y: f32) -> f32 {
        let x = x.clamp(0.0, (self.width - 1) as f32);
        let y = y.clamp(0.0, (self.height - 1) as f32);
        let (x0, y0) = (x as usize, y as usize);
        let (fx, fy) = (x - x0 as f32, y - y0 as f32);
        let (x1, y1) = ((x0 + 1).min(self.width - 1), (y0 + 1).min(self.height - 1));
        let (top, bottom) = (self.row(y0), self.row(y1));
        let upper = top[x0] + fx * (top[x1] - top[x0]);
        let lower = bottom[x0] + fx * (bottom[x1] - bottom[x0]);
        upper + fy * (lower - upper)
    }
}

/// A picture in Oklab (Ottosson 2020): lightness 0..1, `a` (green to red) and `b` (blue to yellow) around 0,
/// at most about 0.3 from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lab {
    /// Lightness.
    pub l: Plane,
    /// Green to red.
    pub a: Plane,
    /// Blue to yellow.
    pub b: Plane,
}

impl Lab {
    /// Converts from sRGB bytes.
    pub fn from_rgb(rgb: &RgbImage) -> Self {
        let linear: Vec<f32> = (0..256).map(|i| to_linear(i as f32 / 255.0)).collect();
        let (width, height) = (rgb.width() as usize, rgb.height() as usize);
        let mut lab = Self {
            l: Plane::filled(width, height, 0.0),
            a: Plane::filled(width, height, 0.0),
            b: Plane::filled(width, height, 0.0),
        };
        for (i, pixel) in rgb.as_raw().chunks_exact(3).enumerate() {
            let [l, a, b] = oklab(std::array::from_fn(|c| linear[usize::from(pixel[c])]));
            lab.l.values[i] = l;
            lab.a.values[i] = a;
            lab.b.values[i] = b;
        }
        lab
    }

    /// Gaussian blur of all three planes.
    pub fn blurred(&self, sigma: f32) -> Self {
        Self { l: self.l.blurred(sigma), a: self.a.blurred(sigma), b: self.b.blurred(sigma) }
    }
}

/// Linear light of an sRGB value (both 0..1).
fn to_linear(v: f32) -> f32 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

/// sRGB value of linear light; what lies outside of 0..1 is clipped.
fn from_linear(v: f32) -> f32 {
    let v = v.clamp(0.0, 1.0);
    if v <= 0.003_130_8 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

/// Oklab of linear sRGB (Ottosson 2020, "A perceptual color space for image processing").
fn oklab([r, g, b]: [f32; 3]) -> [f32; 3] {
    let l = (0.412_221_47 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
    let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
    let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
    [
        0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
        1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
        0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
    ]
}

/// sRGB (0..1, clipped) of an Oklab colour.
pub fn srgb(l: f32, a: f32, b: f32) -> [f32; 3] {
    let x = (l + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let y = (l - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let z = (l - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    [
        from_linear(4.076_741_7 * x - 3.307_711_6 * y + 0.230_969_94 * z),
        from_linear(-1.268_438 * x + 2.609_757_4 * y - 0.341_319_38 * z),
        from_linear(-0.004_196_086_3 * x - 0.703_418_6 * y + 1.707_614_7 * z),
    ]
}

/// 0 below `from`, 1 above `to`, smooth between (Hermite).
pub fn smoothstep(from: f32, to: f32, v: f32) -> f32 {
    let t = ((v - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
