//! Y′CbCr to RGB by ITU-R BT.601, limited range (Y 16–235, Cb and Cr 16–240), as cameras give it.

/// Fractional bits of the factors: the result is at most 0.0005 further from the real value than rounding it would be.
const BITS: u32 = 20;
const HALF: i32 = 1 << (BITS - 1);
// BT.601 with 8 bits (BT.601-7, section 2.5): luma weights 0.299, 0.587, 0.114; 219 steps of Y and 224 of Cb and Cr
// stretched to 255.
const Y: i32 = fixed(255.0 / 219.0);
const R_FROM_V: i32 = fixed(2.0 * (1.0 - 0.299) * 255.0 / 224.0);
const G_FROM_U: i32 = fixed(2.0 * (1.0 - 0.114) * 0.114 / 0.587 * 255.0 / 224.0);
const G_FROM_V: i32 = fixed(2.0 * (1.0 - 0.299) * 0.299 / 0.587 * 255.0 / 224.0);
const B_FROM_U: i32 = fixed(2.0 * (1.0 - 0.114) * 255.0 / 224.0);

const fn fixed(factor: f64) -> i32 {
    (factor * (1 << BITS) as f64 + 0.5) as i32
}

/// What a pair of Cb and Cr adds to R, G and B, shared by the pixels that it covers.
#[derive(Clone, Copy)]
pub(super) struct Chroma([i32; 3]);

impl Chroma {
    /// Of Cb `u` and Cr `v`.
    #[inline(always)]
    pub(super) fn new(u: u8, v: u8) -> Self {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        Self([R_FROM_V * v + HALF, HALF - G_FROM_U * u - G_FROM_V * v, B_FROM_U * u + HALF])
    }

    /// The RGB of a pixel with luma `y`.
    #[inline(always)]
    pub(super) fn rgb(self, y: u8) -> [u8; 3] {
        let y = Y * (i32::from(y) - 16);
        self.0.map(|chroma| ((y + chroma) >> BITS).clamp(0, 255) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_rounded_formula_for_every_triple() {
        for u in 0..=255u8 {
            for v in 0..=255u8 {
                let chroma = Chroma::new(u, v);
                let (pb, pr) = ((f64::from(u) - 128.0) / 224.0, (f64::from(v) - 128.0) / 224.0);
                for y in 0..=255u8 {
                    let luma = (f64::from(y) - 16.0) / 219.0;
                    let red = luma + 1.402 * pr;
                    let blue = luma + 1.772 * pb;
                    let green = (luma - 0.299 * red - 0.114 * blue) / 0.587;
                    for (got, real) in chroma.rgb(y).into_iter().zip([red, green, blue]) {
                        let error = (f64::from(got) - (real * 255.0).clamp(0.0, 255.0)).abs();
                        assert!(error <= 0.5005, "Y {y} Cb {u} Cr {v}: {got}, off by {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn black_white_and_the_primaries() {
        assert_eq!(Chroma::new(128, 128).rgb(16), [0, 0, 0]);
        assert_eq!(Chroma::new(128, 128).rgb(235), [255, 255, 255]);
        // BT.601's own colour bars, 100 %.
        assert_eq!(Chroma::new(90, 240).rgb(81), [254, 0, 0]);
        assert_eq!(Chroma::new(54, 34).rgb(145), [0, 255, 1]);
        assert_eq!(Chroma::new(240, 110).rgb(41), [0, 0, 255]);
    }
}
