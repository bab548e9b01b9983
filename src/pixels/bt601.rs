//! Y′CbCr to RGB by ITU-R BT.601.

/// Which byte is black and which is white.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// Y from 16 to 235, Cb and Cr from 16 to 240.
    Limited,
    /// 0 to 255.
    Full,
}

/// Luma of the primaries (BT.601-7, section 2.5): Kr and Kb; Kg is the rest.
pub(super) const KR: f64 = 0.299;
pub(super) const KB: f64 = 0.114;

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
}
