//! Padding a picture by its edge pixels.

use std::borrow::Cow;

use crate::frame::Size;

/// `pixels` (RGB, `size`) enlarged to `padded` (no smaller): the last column goes on to the right, the last row downward.
pub fn pad_edges(pixels: &[u8], size: Size, padded: Size) -> Cow<'_, [u8]> {
    if size == padded {
        return Cow::Borrowed(pixels);
    }
    let row = size.width as usize * 3;
    let extra = (padded.width - size.width) as usize;
    let mut out = Vec::with_capacity(padded.rgb_len());
    for line in pixels.chunks_exact(row) {
        out.extend_from_slice(line);
        for _ in 0..extra {
            out.extend_from_slice(&line[row - 3..]);
        }
    }
    let last = out.len() - padded.width as usize * 3;
    for _ in size.height..padded.height {
        out.extend_from_within(last..last + padded.width as usize * 3);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_go_on_to_the_right_and_down() {
        let pixels = [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4];
        let padded = pad_edges(&pixels, Size::new(2, 2), Size::new(3, 4));
        let reds: Vec<u8> = padded.iter().step_by(3).copied().collect();
        assert_eq!(reds, [1, 2, 2, 3, 4, 4, 3, 4, 4, 3, 4, 4]);
    }
}
