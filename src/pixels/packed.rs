//! Formats that need no arithmetic: RGB with padded rows, and grey.

use super::{TooShort, check_length};
use crate::frame::Size;

/// Copies RGB whose rows begin `stride` bytes apart (0, or less than a row takes: no padding).
/// `rgb` holds [`Size::rgb_len`] bytes.
///
/// # Errors
/// When `data` ends before the last pixel.
pub fn rgb24_to_rgb(data: &[u8], stride: usize, size: Size, rgb: &mut [u8]) -> Result<(), TooShort> {
    let row_len = size.width as usize * 3;
    let stride = stride.max(row_len);
    check_length(data, stride * (size.height as usize - 1) + row_len)?;
    for (row, out) in data.chunks(stride).zip(rgb.chunks_exact_mut(row_len)) {
        out.copy_from_slice(&row[..row_len]);
    }
    Ok(())
}

/// Turns grey (one byte for each pixel, 0 is black, 255 is white) into RGB; `stride` and `rgb` as in [`rgb24_to_rgb`].
///
/// # Errors
/// When `data` ends before the last pixel.
pub fn grey_to_rgb(data: &[u8], stride: usize, size: Size, rgb: &mut [u8]) -> Result<(), TooShort> {
    let width = size.width as usize;
    let stride = stride.max(width);
    check_length(data, stride * (size.height as usize - 1) + width)?;
    for (row, out) in data.chunks(stride).zip(rgb.chunks_exact_mut(width * 3)) {
        for (&grey, out) in row.iter().zip(out.chunks_exact_mut(3)) {
            out.fill(grey);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_of_any_size_and_padding(
            w in 1u32..20, h in 1u32..12, padding in 0usize..9, bytes in proptest::collection::vec(any::<u8>(), 800),
        ) {
            let size = Size::new(w, h);
            let mut rgb = vec![0; size.rgb_len()];
            for (channels, convert) in [(3, rgb24_to_rgb as fn(&[u8], usize, Size, &mut [u8]) -> _), (1, grey_to_rgb)] {
                let stride = w as usize * channels + padding;
                let needed = stride * h as usize - padding;
                prop_assert_eq!(convert(&bytes[..needed], stride, size, &mut rgb), Ok(()));
                for (at, &value) in rgb.iter().enumerate() {
                    let (x, y, channel) = (at / 3 % w as usize, at / size.width as usize / 3, at % 3);
                    prop_assert_eq!(value, bytes[y * stride + x * channels + channel % channels]);
                }
                let short = Err(TooShort { needed, got: needed - 1 });
                prop_assert_eq!(convert(&bytes[..needed - 1], stride, size, &mut rgb), short);
            }
        }
    }
}
