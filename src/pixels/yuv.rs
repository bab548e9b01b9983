//! Between RGB and planar YUV (Y'CbCr), 8 bits, as Y4M files hold it.
//!
//! The matrix is BT.601's (ITU-R BT.601-7, section 2.5), which is what ffmpeg assumes for Y4M. Written is limited range:
//! Y 16..=235, Cb and Cr 16..=240; read is that or full range. Arithmetic is in fixed point, rounded to nearest.
//!
//! Chroma siting: a chroma sample stands for the whole block of pixels that it covers, its mean when written, repeated
//! when read. That is the centred siting of JPEG and of Y4M's plain `420`; for `420mpeg2` and `420paldv`, whose samples
//! lie on a pixel, colour moves by half a pixel at most, and back when it is written to the same format.

pub use super::bt601::Range;
use super::bt601::{Matrix, Ycc};
use crate::frame::Size;

/// Which chroma samples there are. The order of planes is Y, Cb, Cr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chroma {
    /// Half the width, half the height (both rounded up).
    C420,
    /// Half the width (rounded up), full height.
    C422,
    /// One sample per pixel.
    C444,
    /// None: grey.
    Mono,
}

impl Chroma {
    /// Width and height in pixels of the block that one chroma sample covers, `None` for grey.
    const fn block(self) -> Option<(usize, usize)> {
        match self {
            Self::C420 => Some((2, 2)),
            Self::C422 => Some((2, 1)),
            Self::C444 => Some((1, 1)),
            Self::Mono => None,
        }
    }

    /// Columns and rows of each chroma plane for a picture of `size`, zeros for grey.
    const fn plane(self, size: Size) -> (usize, usize) {
        match self.block() {
            Some((w, h)) => ((size.width as usize).div_ceil(w), (size.height as usize).div_ceil(h)),
            None => (0, 0),
        }
    }

    /// Bytes of one picture of `size`, all planes together.
    pub const fn frame_len(self, size: Size) -> usize {
        let (columns, rows) = self.plane(size);
        size.area() + 2 * columns * rows
    }
}

/// Writes `rgb` (`size.rgb_len()` bytes) as planes of limited-range YUV.
///
/// # Panics
/// When `yuv` is not `chroma.frame_len(size)` bytes long or `rgb` not `size.rgb_len()`.
pub fn rgb_to_yuv(rgb: &[u8], size: Size, chroma: Chroma, yuv: &mut [u8]) {
    assert_eq!((rgb.len(), yuv.len()), (size.rgb_len(), chroma.frame_len(size)));
    let width = size.width as usize;
    let (luma, colour) = yuv.split_at_mut(size.area());
    for (y, pixel) in luma.iter_mut().zip(rgb.chunks_exact(3)) {
        *y = Ycc::of(pixel).y();
    }
    let Some((block_width, block_height)) = chroma.block() else { return };
    let (columns, rows) = chroma.plane(size);
    let (cb, cr) = colour.split_at_mut(columns * rows);
    let planes = cb.chunks_exact_mut(columns).zip(cr.chunks_exact_mut(columns));
    for (strip, (cb, cr)) in rgb.chunks(width * 3 * block_height).zip(planes) {
        // The last strip of an odd height is a single row: it then counts twice.
        let (upper, rest) = strip.split_at(width * 3);
        let lower = if rest.is_empty() { upper } else { rest };
        let blocks = upper.chunks(3 * block_width).zip(lower.chunks(3 * block_width));
        for ((cb, cr), (upper, lower)) in cb.iter_mut().zip(cr).zip(blocks) {
            (*cb, *cr) = match (block_width, block_height) {
                (1, 1) => Ycc::of(upper).chroma::<0>(),
                (_, 1) => pair(upper).chroma::<1>(),
                _ => (pair(upper) + pair(lower)).chroma::<2>(),
            };
        }
    }
}

/// The sum of two pixels; the last one of an odd width counts twice.
fn pair(pixels: &[u8]) -> Ycc {
    let second = if pixels.len() == 6 { &pixels[3..] } else { pixels };
    Ycc::of(pixels) + Ycc::of(second)
}

/// Reads planes of YUV into `rgb` (`size.rgb_len()` bytes).
///
/// # Panics
/// When `yuv` is not `chroma.frame_len(size)` bytes long or `rgb` not `size.rgb_len()`.
pub fn yuv_to_rgb(yuv: &[u8], size: Size, chroma: Chroma, range: Range, rgb: &mut [u8]) {
    assert_eq!((rgb.len(), yuv.len()), (size.rgb_len(), chroma.frame_len(size)));
    let matrix = Matrix::of(range);
    let width = size.width as usize;
    let (luma, colour) = yuv.split_at(size.area());
    let rows_of_pixels = luma.chunks_exact(width).zip(rgb.chunks_exact_mut(width * 3));
    let Some((block_width, block_height)) = chroma.block() else {
        let grey = matrix.chroma(128, 128);
        for (luma, rgb) in rows_of_pixels {
            for (&y, pixel) in luma.iter().zip(rgb.chunks_exact_mut(3)) {
                pixel.copy_from_slice(&grey.rgb(y));
            }
        }
        return;
    };
    let (columns, rows) = chroma.plane(size);
    let (cb, cr) = colour.split_at(columns * rows);
    for (n, (luma, rgb)) in rows_of_pixels.enumerate() {
        let start = n / block_height * columns;
        let samples = cb[start..start + columns].iter().zip(&cr[start..start + columns]);
        let blocks = luma.chunks(block_width).zip(rgb.chunks_mut(3 * block_width));
        for ((luma, rgb), (&u, &v)) in blocks.zip(samples) {
            let chroma = matrix.chroma(u, v);
            for (&y, pixel) in luma.iter().zip(rgb.chunks_exact_mut(3)) {
                pixel.copy_from_slice(&chroma.rgb(y));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Chroma; 4] = [Chroma::C420, Chroma::C422, Chroma::C444, Chroma::Mono];

    fn there_and_back(rgb: &[u8], size: Size, chroma: Chroma) -> Vec<u8> {
        let mut yuv = vec![0; chroma.frame_len(size)];
        rgb_to_yuv(rgb, size, chroma, &mut yuv);
        let mut back = vec![0; rgb.len()];
        yuv_to_rgb(&yuv, size, chroma, Range::Limited, &mut back);
        back
    }

    /// The values that BT.601 gives for its primaries, rounded (as in its colour bars at 100 %).
    #[test]
    fn primaries_have_their_standard_values() {
        for (rgb, yuv) in [
            ([0, 0, 0], [16, 128, 128]),
            ([255, 255, 255], [235, 128, 128]),
            ([255, 0, 0], [81, 90, 240]),
            ([0, 255, 0], [145, 54, 34]),
            ([0, 0, 255], [41, 240, 110]),
            ([255, 255, 0], [210, 16, 146]),
        ] {
            let mut got = [0; 3];
            rgb_to_yuv(&rgb, Size::new(1, 1), Chroma::C444, &mut got);
            assert_eq!(got, yuv, "{rgb:?}");
        }
    }

    #[test]
    fn full_range_spans_all_bytes() {
        let mut rgb = [7; 6];
        yuv_to_rgb(&[0, 255, 128, 128, 128, 128], Size::new(2, 1), Chroma::C444, Range::Full, &mut rgb);
        assert_eq!(rgb, [0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn chroma_is_the_mean_of_its_block() {
        // Red and blue side by side: the same chroma sample as their mean colour.
        let mut pair = [0; 4];
        rgb_to_yuv(&[255, 0, 0, 0, 0, 255], Size::new(2, 1), Chroma::C422, &mut pair);
        let mut mean = [0; 3];
        rgb_to_yuv(&[128, 0, 128], Size::new(1, 1), Chroma::C444, &mut mean);
        assert!(pair[2].abs_diff(mean[1]) <= 1 && pair[3].abs_diff(mean[2]) <= 1, "{pair:?} {mean:?}");
    }

    proptest! {
        #[test]
        fn one_colour_survives_in_every_format(w in 1u32..9, h in 1u32..9, colour: [u8; 3]) {
            let size = Size::new(w, h);
            let rgb: Vec<u8> = colour.iter().copied().cycle().take(size.rgb_len()).collect();
            for chroma in [Chroma::C420, Chroma::C422, Chroma::C444] {
                for (a, b) in rgb.iter().zip(there_and_back(&rgb, size, chroma)) {
                    prop_assert!(a.abs_diff(b) <= 2, "{chroma:?}: {a} became {b}");
                }
            }
        }

        #[test]
        fn greys_survive_in_every_format(w in 1u32..20, h in 1u32..20, seed: u8) {
            let size = Size::new(w, h);
            let rgb: Vec<u8> =
                (0..size.area()).flat_map(|i| [(i as u8).wrapping_mul(37).wrapping_add(seed); 3]).collect();
            for chroma in ALL {
                for (a, b) in rgb.iter().zip(there_and_back(&rgb, size, chroma)) {
                    prop_assert!(a.abs_diff(b) <= 1, "{chroma:?}: {a} became {b}");
                }
            }
        }

        #[test]
        fn full_chroma_keeps_any_picture(w in 1u32..12, h in 1u32..12, bytes in proptest::collection::vec(any::<u8>(), 3 * 11 * 11)) {
            let size = Size::new(w, h);
            let rgb = &bytes[..size.rgb_len()];
            for (a, b) in rgb.iter().zip(there_and_back(rgb, size, Chroma::C444)) {
                prop_assert!(a.abs_diff(b) <= 2);
            }
        }
    }
}
