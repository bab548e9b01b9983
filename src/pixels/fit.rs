//! Pictures of any size into a frame of one size.

use crate::error::Result;
use crate::frame::Size;
use crate::pixels::resize::{Filter, Scaler};

/// Fits pictures into frames of one size. It keeps its buffers, so that a stream of equal pictures allocates nothing.
#[derive(Debug)]
pub struct Fitter {
    frame: Size,
    scaler: Scaler,
    /// A frame, and the size of the picture in its middle.
    canvas: Vec<u8>,
    inner: Size,
    scaled: Vec<u8>,
}

impl Fitter {
    /// One for frames of the size `frame`.
    pub fn new(frame: Size) -> Self {
        let nothing = Size::new(0, 0);
        Self { frame, scaler: Scaler::new(Filter::Bilinear), canvas: Vec::new(), inner: nothing, scaled: Vec::new() }
    }

    /// `rgb`, a picture of `size`, as a frame ([`Size::rgb_len`] bytes). One that is a row or a column larger, as odd sizes
    /// are, loses it; any other is scaled, its aspect kept, with black bars where it has another than the frame.
    ///
    /// # Errors
    /// [`crate::Error::Input`] where `rgb` does not have the length of its size, or a side is 0.
    pub fn fit<'a>(&'a mut self, rgb: &'a [u8], size: Size) -> Result<&'a [u8]> {
        let frame = self.frame;
        if size == frame {
            return Ok(rgb);
        }
        let one_more = |side: u32, wanted: u32| side == wanted || side == wanted + 1;
        let crops = one_more(size.width, frame.width) && one_more(size.height, frame.height);
        let inner = if crops { frame } else { size.fill(frame) };
        if inner != self.inner {
            self.canvas.clear();
            self.canvas.resize(frame.rgb_len(), 0);
            self.inner = inner;
        }
        let (picture, stride) = if crops {
            (rgb, size.width as usize * 3)
        } else {
            self.scaled.resize(inner.rgb_len(), 0);
            self.scaler.scale(rgb, size, &mut self.scaled, inner)?;
            (&self.scaled[..], inner.width as usize * 3)
        };
        let (left, top) = ((frame.width - inner.width) / 2, (frame.height - inner.height) / 2);
        let rows = self.canvas.chunks_exact_mut(frame.width as usize * 3).skip(top as usize);
        for (row, pixels) in rows.zip(picture.chunks_exact(stride)).take(inner.height as usize) {
            let length = inner.width as usize * 3;
            row[left as usize * 3..][..length].copy_from_slice(&pixels[..length]);
        }
        Ok(&self.canvas)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn numbered(size: Size) -> Vec<u8> {
        (0..size.area()).flat_map(|i| [i as u8 + 1; 3]).collect()
    }

    fn reds(rgb: &[u8]) -> Vec<u8> {
        rgb.iter().step_by(3).copied().collect()
    }

    #[test]
    fn odd_sizes_lose_a_row_and_a_column() {
        let mut fitter = Fitter::new(Size::new(2, 2));
        assert_eq!(reds(fitter.fit(&numbered(Size::new(3, 3)), Size::new(3, 3)).unwrap()), [1, 2, 4, 5]);
        assert_eq!(reds(fitter.fit(&numbered(Size::new(2, 3)), Size::new(2, 3)).unwrap()), [1, 2, 3, 4]);
        assert_eq!(reds(fitter.fit(&numbered(Size::new(2, 2)), Size::new(2, 2)).unwrap()), [1, 2, 3, 4]);
    }

    #[test]
    fn other_shapes_get_black_bars() {
        let mut fitter = Fitter::new(Size::new(6, 4));
        let white = |size: Size| vec![255; size.rgb_len()];
        let tall = reds(fitter.fit(&white(Size::new(4, 8)), Size::new(4, 8)).unwrap());
        assert_eq!(tall, [0, 0, 255, 255, 0, 0].repeat(4));
        // What was left and right of it is gone when the next one is wide.
        let wide = reds(fitter.fit(&white(Size::new(12, 4)), Size::new(12, 4)).unwrap());
        assert_eq!(wide, [[0; 6], [255; 6], [255; 6], [0; 6]].concat());
        let larger = reds(fitter.fit(&white(Size::new(3, 2)), Size::new(3, 2)).unwrap());
        assert_eq!(larger, [255; 24]);
        let dot = reds(Fitter::new(Size::new(2, 2)).fit(&[9; 3], Size::new(1, 1)).unwrap());
        assert_eq!(dot, [9; 4]);
    }

    #[test]
    fn a_picture_of_another_length_is_refused() {
        assert!(Fitter::new(Size::new(8, 8)).fit(&[0; 5], Size::new(4, 4)).is_err());
    }
}
