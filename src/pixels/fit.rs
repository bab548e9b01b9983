//! Pictures fitted into a size of another shape.

use crate::error::Result;
use crate::frame::Size;
use crate::pixels::resize::{Filter, Scaler};

/// Shapes that differ by less are taken for the same: a picture is rather stretched by that than given a thin bar.
const SAME_SHAPE: f64 = 0.02;

/// Fits pictures into another size: as large as they fit, their shape kept, black bars beside or above and below them.
/// It keeps its buffers, so that a stream of equal pictures allocates nothing.
#[derive(Debug)]
pub struct Fitter {
    scaler: Scaler,
    scaled: Vec<u8>,
}

impl Default for Fitter {
    fn default() -> Self {
        Self { scaler: Scaler::new(Filter::Bilinear), scaled: Vec::new() }
    }
}

impl Fitter {
    /// Fits `input` (RGB, `from.rgb_len()` bytes) into `output` (RGB, `to.rgb_len()` bytes).
    ///
    /// # Errors
    /// As [`Scaler::scale`].
    pub fn fit(&mut self, input: &[u8], from: Size, output: &mut [u8], to: Size) -> Result<()> {
        let inner = inner_size(from, to);
        if inner == to {
            return self.scaler.scale(input, from, output, to);
        }
        self.scaled.resize(inner.rgb_len(), 0);
        self.scaler.scale(input, from, &mut self.scaled, inner)?;
        output.fill(0);
        let (left, top) = ((to.width - inner.width) / 2, (to.height - inner.height) / 2);
        let rows = output.chunks_exact_mut(to.width as usize * 3).skip(top as usize);
        for (row, pixels) in rows.zip(self.scaled.chunks_exact(inner.width as usize * 3)) {
            row[left as usize * 3..][..pixels.len()].copy_from_slice(pixels);
        }
        Ok(())
    }
}

/// The largest size within `to` of the shape of `from`.
fn inner_size(from: Size, to: Size) -> Size {
    let scale = |a: u32, b: u32| f64::from(a) / f64::from(b);
    let (across, down) = (scale(to.width, from.width), scale(to.height, from.height));
    if (across / down - 1.0).abs() < SAME_SHAPE {
        return to;
    }
    let side = |from: u32, most: u32| ((f64::from(from) * across.min(down)).round() as u32).clamp(1, most);
    Size::new(side(from.width, to.width), side(from.height, to.height))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn shapes_are_kept() {
        for (from, to, inner) in [
            ((640, 480), (320, 240), (320, 240)),
            ((1280, 720), (640, 480), (640, 360)),
            ((640, 480), (1280, 720), (960, 720)),
            ((320, 180), (321, 180), (321, 180)),
            ((1, 1000), (10, 10), (1, 10)),
        ] {
            let size = |(w, h)| Size::new(w, h);
            assert_eq!(inner_size(size(from), size(to)), size(inner), "{from:?} in {to:?}");
        }
    }

    #[test]
    fn bars_are_black_and_the_picture_is_in_the_middle() {
        let (from, to) = (Size::new(8, 4), Size::new(8, 8));
        let mut fitter = Fitter::default();
        // What was there before does not shine through.
        let mut output = vec![77; to.rgb_len()];
        fitter.fit(&[200; 8 * 4 * 3], from, &mut output, to).unwrap();
        let rows: Vec<u8> = output.chunks_exact(8 * 3).map(|row| row[0]).collect();
        assert_eq!(rows, [0, 0, 200, 200, 200, 200, 0, 0]);
        let (from, to) = (Size::new(4, 8), Size::new(8, 8));
        fitter.fit(&[200; 8 * 4 * 3], from, &mut output, to).unwrap();
        let columns: Vec<u8> = output[..8 * 3].iter().step_by(3).copied().collect();
        assert_eq!(columns, [0, 0, 200, 200, 200, 200, 0, 0]);
    }

    #[test]
    fn a_picture_of_another_length_is_refused() {
        let (from, to) = (Size::new(8, 4), Size::new(8, 8));
        assert!(Fitter::default().fit(&[0; 5], from, &mut vec![0; to.rgb_len()], to).is_err());
    }
}
