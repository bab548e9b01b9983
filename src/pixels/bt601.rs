//! Between Y′CbCr and RGB by ITU-R BT.601.

use std::ops::Add;

/// Which byte is black and which is white.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// Y from 16 to 235, Cb and Cr from 16 to 240.
    Limited,
    /// 0 to 255.
    Full,
}

/// Luma of the primaries (BT.601-7, section 2.5): Kr and Kb; Kg is the rest.
const KR: f64 = 0.299;
const KB: f64 = 0.114;

/// Fractional bits of the factors: the result is at most 0.0005 further from the real value than rounding it would be.
const BITS: u32 = 20;
const HALF: i32 = 1 << (BITS - 1);

/// The factors of one range.
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    black: i32,
    y: i32,
    r_from_v: i32,
    g_from_u: i32,
    g_from_v: i32,
    b_from_u: i32,
}

impl Matrix {
    /// As cameras give it.
    pub(super) const LIMITED: Self = Self::of(Range::Limited);

    pub(super) const fn of(range: Range) -> Self {
        const fn fixed(factor: f64) -> i32 {
            (factor * (1 << BITS) as f64 + 0.5) as i32
        }
        let (black, y, c) = match range {
            Range::Limited => (16, 255.0 / 219.0, 255.0 / 224.0),
            Range::Full => (0, 1.0, 1.0),
        };
        let kg = 1.0 - KR - KB;
        Self {
            black,
            y: fixed(y),
            r_from_v: fixed(2.0 * (1.0 - KR) * c),
            g_from_u: fixed(2.0 * (1.0 - KB) * KB / kg * c),
            g_from_v: fixed(2.0 * (1.0 - KR) * KR / kg * c),
            b_from_u: fixed(2.0 * (1.0 - KB) * c),
        }
    }

    /// What Cb `u` and Cr `v` make of the pixels that they cover.
    #[inline(always)]
    pub(super) fn chroma(self, u: u8, v: u8) -> Chroma {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let base = HALF - self.y * self.black;
        Chroma {
            y: self.y,
            add: [base + self.r_from_v * v, base - self.g_from_u * u - self.g_from_v * v, base + self.b_from_u * u],
        }
    }
}

/// A pair of Cb and Cr, shared by the pixels that it covers.
#[derive(Clone, Copy)]
pub(super) struct Chroma {
    y: i32,
    add: [i32; 3],
}

impl Chroma {
    /// The RGB of a pixel with luma `y`.
    #[inline(always)]
    pub(super) fn rgb(self, y: u8) -> [u8; 3] {
        let y = self.y * i32::from(y);
        self.add.map(|add| ((y + add) >> BITS).clamp(0, 255) as u8)
    }
}

/// The sum of up to four RGB pixels as Y′CbCr of limited range.
///
/// The three lie in one integer, so that three table look-ups and two additions make all of a pixel: without vector
/// instructions wider than every processor of its kind has, that takes a third of the time of nine multiplications.
#[derive(Clone, Copy)]
pub(super) struct Ycc(u64);

/// Fractional bits of each of the three.
const FRACTION: u32 = 11;
/// Bits of each: four times 255.5 with its fraction takes 21.
const FIELD: u32 = 21;

/// What each value of red, green and blue contributes.
static CONTRIBUTIONS: [[u64; 256]; 3] = contributions();

const fn contributions() -> [[u64; 256]; 3] {
    const fn fixed(value: f64) -> u64 {
        let scaled = value * (1u64 << FRACTION) as f64;
        // Negative ones as two's complement: with the offsets, the sum of the three colours is positive.
        (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i64 as u64
    }
    let kg = 1.0 - KR - KB;
    let (y, c) = (219.0 / 255.0, 224.0 / 255.0);
    let factors = [
        [KR * y, -0.5 * KR / (1.0 - KB) * c, 0.5 * c],
        [kg * y, -0.5 * kg / (1.0 - KB) * c, -0.5 * kg / (1.0 - KR) * c],
        [KB * y, 0.5 * c, -0.5 * KB / (1.0 - KR) * c],
    ];
    let mut table = [[0; 256]; 3];
    let mut colour = 0;
    while colour < 3 {
        let mut value = 0;
        while value < 256 {
            // A half, so that cutting the fraction off rounds; each pixel brings its own, so that means round as well.
            let offset = if colour == 0 { [16.5, 128.5, 128.5] } else { [0.0; 3] };
            let [y, cb, cr] = factors[colour];
            let y = fixed(y * value as f64 + offset[0]);
            let cb = fixed(cb * value as f64 + offset[1]);
            let cr = fixed(cr * value as f64 + offset[2]);
            table[colour][value] = y.wrapping_add(cb << FIELD).wrapping_add(cr << (2 * FIELD));
            value += 1;
        }
        colour += 1;
    }
    table
}

impl Ycc {
    /// One pixel: red, green, blue.
    #[inline(always)]
    pub(super) fn of(rgb: &[u8]) -> Self {
        let [red, green, blue] = &CONTRIBUTIONS;
        let sum = red[usize::from(rgb[0])].wrapping_add(green[usize::from(rgb[1])]);
        Self(sum.wrapping_add(blue[usize::from(rgb[2])]))
    }

    /// Y of one pixel.
    #[inline(always)]
    pub(super) fn y(self) -> u8 {
        (self.0 >> FRACTION) as u8
    }

    /// Mean Cb and Cr of `2^PIXELS` pixels.
    #[inline(always)]
    pub(super) fn chroma<const PIXELS: u32>(self) -> (u8, u8) {
        let shift = FRACTION + PIXELS;
        ((self.0 >> (FIELD + shift)) as u8, (self.0 >> (2 * FIELD + shift)) as u8)
    }
}

impl Add for Ycc {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_rounded_formula() {
        // Every luma as cameras give it; of full range every fifth, for the time that it takes.
        for (range, every, black, white, steps) in
            [(Range::Limited, 1, 16.0, 219.0, 224.0), (Range::Full, 5, 0.0, 255.0, 255.0)]
        {
            for (u, v) in (0..=255u8).flat_map(|u| (0..=255u8).map(move |v| (u, v))) {
                let chroma = Matrix::of(range).chroma(u, v);
                let (pb, pr) = ((f64::from(u) - 128.0) / steps, (f64::from(v) - 128.0) / steps);
                for y in (0..=255u8).step_by(every) {
                    let luma = (f64::from(y) - black) / white;
                    let red = luma + 1.402 * pr;
                    let blue = luma + 1.772 * pb;
                    let green = (luma - 0.299 * red - 0.114 * blue) / 0.587;
                    for (got, real) in chroma.rgb(y).into_iter().zip([red, green, blue]) {
                        let error = (f64::from(got) - (real * 255.0).clamp(0.0, 255.0)).abs();
                        assert!(error <= 0.5005, "{range:?} Y {y} Cb {u} Cr {v}: {got}, off by {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn black_white_and_the_primaries() {
        assert_eq!(Matrix::LIMITED.chroma(128, 128).rgb(16), [0, 0, 0]);
        assert_eq!(Matrix::LIMITED.chroma(128, 128).rgb(235), [255, 255, 255]);
        // BT.601's own colour bars, 100 %.
        assert_eq!(Matrix::LIMITED.chroma(90, 240).rgb(81), [254, 0, 0]);
        assert_eq!(Matrix::LIMITED.chroma(54, 34).rgb(145), [0, 255, 1]);
        assert_eq!(Matrix::LIMITED.chroma(240, 110).rgb(41), [0, 0, 255]);
    }

    /// BT.601-7, section 2.5, with 8 bits: Y, Cb and Cr of limited range.
    fn formula([r, g, b]: [f64; 3]) -> [f64; 3] {
        let luma = 0.299 * r + 0.587 * g + 0.114 * b;
        let (cb, cr) = ((b - luma) / 1.772, (r - luma) / 1.402);
        [16.0 + luma * 219.0 / 255.0, 128.0 + cb * 224.0 / 255.0, 128.0 + cr * 224.0 / 255.0]
    }

    #[test]
    fn pixels_become_the_rounded_formula() {
        for r in 0..=255u8 {
            for g in (0..=255u8).step_by(3) {
                for b in (0..=255u8).step_by(5) {
                    let ycc = Ycc::of(&[r, g, b]);
                    let (cb, cr) = ycc.chroma::<0>();
                    for (got, real) in [ycc.y(), cb, cr].into_iter().zip(formula([r, g, b].map(f64::from))) {
                        assert!((f64::from(got) - real).abs() < 0.501, "{r} {g} {b}: {got}, not {real}");
                    }
                }
            }
        }
        for grey in 0..=255 {
            assert_eq!(Ycc::of(&[grey; 3]).chroma::<0>(), (128, 128));
        }
    }

    #[test]
    fn pixels_together_give_their_mean_colour() {
        let pixels = [[255, 0, 0], [0, 0, 255], [255, 255, 0], [255, 255, 255]];
        for (a, b) in pixels.iter().flat_map(|a| pixels.iter().map(move |b| (a, b))) {
            let mean = formula([0, 1, 2].map(|c| (f64::from(a[c]) + f64::from(b[c])) / 2.0));
            let two = Ycc::of(a) + Ycc::of(b);
            for (cb, cr) in [two.chroma::<1>(), (two + two).chroma::<2>()] {
                assert!((f64::from(cb) - mean[1]).abs() < 0.501, "{a:?} {b:?}: {cb}");
                assert!((f64::from(cr) - mean[2]).abs() < 0.501, "{a:?} {b:?}: {cr}");
            }
        }
    }
}
