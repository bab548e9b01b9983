//! Before and after in one picture.

use crate::frame::Size;

/// The line between the two, in shares of the width.
const LINE: f32 = 1.0 / 320.0;

/// Puts the left part of `photo`, up to `share` (0 to 1) of the width, over `picture` (both RGB, of `size`), with a white
/// line where they meet.
pub fn split(photo: &[u8], picture: &mut [u8], size: Size, share: f32) {
    let width = size.width as usize;
    let edge = ((size.width as f32 * share.clamp(0.0, 1.0)).round() as usize).min(width);
    let line = ((size.width as f32 * LINE).ceil() as usize).min(width - edge);
    for (photo, picture) in photo.chunks_exact(width * 3).zip(picture.chunks_exact_mut(width * 3)) {
        picture[..edge * 3].copy_from_slice(&photo[..edge * 3]);
        if edge > 0 {
            picture[edge * 3..(edge + line) * 3].fill(255);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_is_the_photo_and_right_the_picture() {
        let size = Size::new(10, 2);
        for (share, photo, line) in [(0.0, 0, 0), (0.5, 5, 1), (1.0, 10, 0), (0.96, 10, 0), (0.9, 9, 1)] {
            let mut picture = vec![200; size.rgb_len()];
            split(&vec![7; size.rgb_len()], &mut picture, size, share);
            for row in picture.chunks_exact(30) {
                let expected: Vec<u8> = (0..10)
                    .flat_map(|x| {
                        [if x < photo {
                            7
                        } else if x < photo + line {
                            255
                        } else {
                            200
                        }; 3]
                    })
                    .collect();
                assert_eq!(row, expected, "{share}");
            }
        }
    }
}
