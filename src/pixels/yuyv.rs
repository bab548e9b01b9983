//! Between YUYV (4:2:2, packed, also called YUY2) and RGB.

use super::bt601::{Matrix, Ycc};
use super::{TooShort, check_length};
use crate::frame::Size;

/// Turns `data` into RGB (BT.601, limited range).
///
/// A row is `ceil(width / 2)` groups of Y U Y V, one every `stride` bytes (0, or less than a row takes: no padding).
/// `rgb` holds [`Size::rgb_len`] bytes.
///
/// # Errors
/// When `data` ends before the last pixel.
pub fn to_rgb(data: &[u8], stride: usize, size: Size, rgb: &mut [u8]) -> Result<(), TooShort> {
    let (width, height) = (size.width as usize, size.height as usize);
    let row_len = width.div_ceil(2) * 4;
    let stride = stride.max(row_len);
    check_length(data, stride * (height - 1) + row_len)?;
    for (row, out) in data.chunks(stride).zip(rgb.chunks_exact_mut(width * 3)) {
        let mut pairs = out.chunks_exact_mut(6);
        for (pair, group) in pairs.by_ref().zip(row.chunks_exact(4)) {
            let chroma = Matrix::LIMITED.chroma(group[1], group[3]);
            pair[..3].copy_from_slice(&chroma.rgb(group[0]));
            pair[3..].copy_from_slice(&chroma.rgb(group[2]));
        }
        let last = pairs.into_remainder();
        if !last.is_empty() {
            let group = &row[row_len - 4..];
            last.copy_from_slice(&Matrix::LIMITED.chroma(group[1], group[3]).rgb(group[0]));
        }
    }
    Ok(())
}

/// Turns `rgb` into YUYV (BT.601, limited range) without padding; a pair of pixels has its mean colour.
///
/// # Panics
/// When the width is odd, `rgb` is not [`Size::rgb_len`] bytes long, or `yuyv` not two bytes per pixel.
pub fn from_rgb(rgb: &[u8], size: Size, yuyv: &mut [u8]) {
    assert_eq!((size.width % 2, rgb.len(), yuyv.len()), (0, size.rgb_len(), size.area() * 2));
    for (pair, group) in rgb.chunks_exact(6).zip(yuyv.chunks_exact_mut(4)) {
        let (left, right) = (Ycc::of(&pair[..3]), Ycc::of(&pair[3..]));
        let (u, v) = (left + right).chroma::<1>();
        group.copy_from_slice(&[left.y(), u, right.y(), v]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pair_shares_its_colour() {
        // White and black with the colours of red, then a last pixel on its own.
        let data = [235, 128, 16, 128, 81, 90, 255, 240];
        let mut rgb = [7; 9];
        assert_eq!(to_rgb(&data, 0, Size::new(3, 1), &mut rgb), Ok(()));
        assert_eq!(rgb, [255, 255, 255, 0, 0, 0, 254, 0, 0]);
    }

    #[test]
    fn colours_come_back() {
        // Pairs of one colour, and one of two, which get their mean.
        let rgb = [255, 0, 0, 255, 0, 0, 0, 60, 200, 0, 60, 200, 255, 255, 255, 0, 0, 0];
        let mut yuyv = [7; 12];
        from_rgb(&rgb, Size::new(2, 3), &mut yuyv);
        assert_eq!(yuyv[..4], [81, 90, 81, 240]);
        assert_eq!(yuyv[8..], [235, 128, 16, 128]);
        let mut back = [0; 18];
        assert_eq!(to_rgb(&yuyv, 0, Size::new(2, 3), &mut back), Ok(()));
        assert!(back.iter().zip(rgb).all(|(a, b)| a.abs_diff(b) <= 2), "{back:?}");
    }

    proptest! {
        #[test]
        fn every_pixel_of_any_size_and_padding(
            w in 1u32..20, h in 1u32..12, padding in 0usize..9, bytes in proptest::collection::vec(any::<u8>(), 600),
        ) {
            let size = Size::new(w, h);
            let row = w.div_ceil(2) as usize * 4;
            let stride = row + padding;
            let needed = stride * (h as usize - 1) + row;
            let mut rgb = vec![0; size.rgb_len()];
            prop_assert_eq!(to_rgb(&bytes[..needed], stride, size, &mut rgb), Ok(()));
            for (at, pixel) in rgb.chunks_exact(3).enumerate() {
                let (x, y) = (at % w as usize, at / w as usize);
                let group = &bytes[y * stride + x / 2 * 4..];
                prop_assert_eq!(pixel, Matrix::LIMITED.chroma(group[1], group[3]).rgb(group[x % 2 * 2]));
            }
            if padding == 0 {
                let mut same = vec![0; size.rgb_len()];
                prop_assert_eq!(to_rgb(&bytes, 0, size, &mut same), Ok(()));
                prop_assert_eq!(same, rgb);
            }
        }

        #[test]
        fn short_data_is_an_error(w in 1u32..20, h in 1u32..12, padding in 0usize..9, missing in 1usize..2000) {
            let size = Size::new(w, h);
            let stride = w.div_ceil(2) as usize * 4 + padding;
            let needed = stride * h as usize - padding;
            let got = needed.saturating_sub(missing);
            let mut rgb = vec![0; size.rgb_len()];
            prop_assert_eq!(to_rgb(&vec![0; got], stride, size, &mut rgb), Err(TooShort { needed, got }));
        }
    }
}
