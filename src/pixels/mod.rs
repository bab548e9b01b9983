//! Between pixel formats and sizes.

pub mod blend;
mod bt601;
pub mod fit;
pub mod guided;
pub mod mjpeg;
pub mod nv12;
pub mod packed;
pub mod pad;
pub mod reduce;
pub mod resize;
pub mod split;
pub mod yuv;
pub mod yuyv;

/// Raw pixels that end before the picture does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{got} bytes where the picture takes {needed}")]
pub struct TooShort {
    /// The bytes that the picture takes.
    pub needed: usize,
    /// The bytes that were there.
    pub got: usize,
}

fn check_length(data: &[u8], needed: usize) -> Result<(), TooShort> {
    if data.len() < needed { Err(TooShort { needed, got: data.len() }) } else { Ok(()) }
}

/// Mirrors a picture (RGB, rows of `width` pixels) left to right, in place.
pub fn mirror(rgb: &mut [u8], width: u32) {
    for row in rgb.chunks_exact_mut(width as usize * 3) {
        let (mut left, mut right) = (0, width as usize - 1);
        while left < right {
            for channel in 0..3 {
                row.swap(left * 3 + channel, right * 3 + channel);
            }
            (left, right) = (left + 1, right - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn mirroring_turns_each_row_around() {
        let mut odd: Vec<u8> = (0..18).collect();
        super::mirror(&mut odd, 3);
        assert_eq!(odd, [6, 7, 8, 3, 4, 5, 0, 1, 2, 15, 16, 17, 12, 13, 14, 9, 10, 11]);
        let mut even: Vec<u8> = (0..12).collect();
        super::mirror(&mut even, 4);
        assert_eq!(even, [9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2]);
    }
}
