//! The 4:2:0 formats of cameras to RGB: NV12 (U and V interleaved) and YU12 (also called I420: U and V apart).

use super::bt601::Matrix;
use super::{TooShort, check_length};
use crate::frame::Size;

/// Turns NV12 into RGB (BT.601, limited range).
///
/// `height` rows of Y, then `ceil(height / 2)` rows of `ceil(width / 2)` pairs U V, each row beginning `stride` bytes
/// after the one before (0, or less than a row takes: no padding). `rgb` holds [`Size::rgb_len`] bytes.
///
/// # Errors
/// When `data` ends before the last pixel.
pub fn to_rgb(data: &[u8], stride: usize, size: Size, rgb: &mut [u8]) -> Result<(), TooShort> {
    let (width, height) = (size.width as usize, size.height as usize);
    // An odd width has one column of chroma more than half: its rows are a byte longer than those of Y.
    let chroma_len = width.div_ceil(2) * 2;
    let (luma_stride, chroma_stride) =
        if stride < width { (width, chroma_len) } else { (stride, stride.max(chroma_len)) };
    let chroma_start = luma_stride * height;
    check_length(data, chroma_start + chroma_stride * (height.div_ceil(2) - 1) + chroma_len)?;
    for (y, out) in rgb.chunks_exact_mut(width * 3).enumerate() {
        let luma = &data[y * luma_stride..][..width];
        let chroma = data[chroma_start + y / 2 * chroma_stride..][..chroma_len].chunks_exact(2);
        convert_row(luma, chroma.map(|pair| (pair[0], pair[1])), out);
    }
    Ok(())
}

/// Turns YU12 into RGB (BT.601, limited range).
///
/// As [`to_rgb`], but behind Y come `ceil(height / 2)` rows of U, then as many of V, each row beginning half a
/// `stride` (rounded up) after the one before.
///
/// # Errors
/// When `data` ends before the last pixel.
pub fn yu12_to_rgb(data: &[u8], stride: usize, size: Size, rgb: &mut [u8]) -> Result<(), TooShort> {
    let (width, height) = (size.width as usize, size.height as usize);
    let chroma_len = width.div_ceil(2);
    let luma_stride = stride.max(width);
    let chroma_stride = luma_stride.div_ceil(2);
    let rows = height.div_ceil(2);
    let u_start = luma_stride * height;
    let v_start = u_start + chroma_stride * rows;
    check_length(data, v_start + chroma_stride * (rows - 1) + chroma_len)?;
    for (y, out) in rgb.chunks_exact_mut(width * 3).enumerate() {
        let luma = &data[y * luma_stride..][..width];
        let row = |start| data[start + y / 2 * chroma_stride..][..chroma_len].iter().copied();
        convert_row(luma, row(u_start).zip(row(v_start)), out);
    }
    Ok(())
}

/// One row: two pixels for each pair of `chroma`, one for the last pair where the width is odd.
#[inline(always)]
fn convert_row(luma: &[u8], chroma: impl Iterator<Item = (u8, u8)>, rgb: &mut [u8]) {
    for ((luma, out), (u, v)) in luma.chunks(2).zip(rgb.chunks_mut(6)).zip(chroma) {
        let chroma = Matrix::LIMITED.chroma(u, v);
        for (&y, out) in luma.iter().zip(out.chunks_exact_mut(3)) {
            out.copy_from_slice(&chroma.rgb(y));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn four_pixels_share_their_colour() {
        let mut rgb = [7; 12];
        assert_eq!(to_rgb(&[235, 16, 81, 145, 90, 240], 0, Size::new(2, 2), &mut rgb), Ok(()));
        assert_eq!(rgb[6..9], [254, 0, 0]);
        let mut planar = [7; 12];
        assert_eq!(yu12_to_rgb(&[235, 16, 81, 145, 90, 240], 0, Size::new(2, 2), &mut planar), Ok(()));
        assert_eq!(planar, rgb);
    }

    proptest! {
        #[test]
        fn every_pixel_of_any_size_and_padding(
            w in 1u32..20, h in 1u32..12, padding in 0usize..9, bytes in proptest::collection::vec(any::<u8>(), 700),
        ) {
            let size = Size::new(w, h);
            let (width, height) = (w as usize, h as usize);
            let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
            let mut rgb = vec![0; size.rgb_len()];

            let stride = width + width % 2 + padding;
            let needed = stride * height + stride * (rows - 1) + columns * 2;
            prop_assert_eq!(to_rgb(&bytes[..needed], stride, size, &mut rgb), Ok(()));
            for (at, pixel) in rgb.chunks_exact(3).enumerate() {
                let (x, y) = (at % width, at / width);
                let pair = &bytes[stride * height + y / 2 * stride + x / 2 * 2..];
                prop_assert_eq!(pixel, Matrix::LIMITED.chroma(pair[0], pair[1]).rgb(bytes[y * stride + x]));
            }

            let half = stride.div_ceil(2);
            let (u, v) = (stride * height, stride * height + half * rows);
            let needed = v + half * (rows - 1) + columns;
            prop_assert_eq!(yu12_to_rgb(&bytes[..needed], stride, size, &mut rgb), Ok(()));
            for (at, pixel) in rgb.chunks_exact(3).enumerate() {
                let (x, y) = (at % width, at / width);
                let chroma = y / 2 * half + x / 2;
                prop_assert_eq!(pixel, Matrix::LIMITED.chroma(bytes[u + chroma], bytes[v + chroma]).rgb(bytes[y * stride + x]));
            }
        }

        #[test]
        fn packed_rows_of_an_odd_width(w in 0u32..10, h in 1u32..12, luma: u8, u: u8, v: u8) {
            // Without padding a row of chroma is a byte longer than one of Y.
            let size = Size::new(2 * w + 1, h);
            let columns = size.width.div_ceil(2) as usize;
            let mut data = vec![luma; size.area()];
            data.extend([u, v].repeat(columns * h.div_ceil(2) as usize));
            let mut rgb = vec![0; size.rgb_len()];
            prop_assert_eq!(to_rgb(&data, 0, size, &mut rgb), Ok(()));
            prop_assert!(rgb.chunks_exact(3).all(|pixel| pixel == Matrix::LIMITED.chroma(u, v).rgb(luma)));
        }

        #[test]
        fn short_data_is_an_error(w in 1u32..20, h in 1u32..12, stride in 0usize..30, missing in 1usize..500) {
            let size = Size::new(w, h);
            let mut rgb = vec![0; size.rgb_len()];
            for convert in [to_rgb, yu12_to_rgb] {
                let Err(TooShort { needed, got: 0 }) = convert(&[], stride, size, &mut rgb) else {
                    return Err(TestCaseError::fail("no data was enough"));
                };
                prop_assert_eq!(convert(&vec![0; needed], stride, size, &mut rgb), Ok(()));
                let got = needed.saturating_sub(missing);
                prop_assert_eq!(convert(&vec![0; got], stride, size, &mut rgb), Err(TooShort { needed, got }));
            }
        }
    }
}
