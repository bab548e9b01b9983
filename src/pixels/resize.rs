//! RGB pictures at another size.

use std::ops::Range;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::error::{Error, Result};
use crate::frame::Size;

/// How pixels between the given ones are found. Either filter widens where the picture shrinks, so that every pixel
/// counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Fast: for streams.
    Bilinear,
    /// Of radius 3, sharper: for photos.
    Lanczos,
}

/// Scales pictures. It keeps its buffers, so that a stream of equal pictures allocates nothing.
#[derive(Debug)]
pub struct Scaler {
    resizer: Resizer,
    filter: FilterType,
}

impl Scaler {
    /// One that uses `filter`.
    pub fn new(filter: Filter) -> Self {
        let filter = match filter {
            Filter::Bilinear => FilterType::Bilinear,
            Filter::Lanczos => FilterType::Lanczos3,
        };
        Self { resizer: Resizer::new(), filter }
    }

    /// Scales `input` (RGB, `from.rgb_len()` bytes) into `output` (RGB, `to.rgb_len()` bytes).
    ///
    /// # Errors
    /// [`Error::Input`] where a buffer's length does not fit its size, or a side is 0.
    pub fn scale(&mut self, input: &[u8], from: Size, output: &mut [u8], to: Size) -> Result<()> {
        if from == to && input.len() == output.len() {
            output.copy_from_slice(input);
            return Ok(());
        }
        self.scale_rows(input, from, output, to, 0..to.height)
    }

    /// Only `rows` of the picture of the size `to`, without computing the others.
    ///
    /// # Errors
    /// As [`Self::scale`].
    pub fn scale_rows(
        &mut self,
        input: &[u8],
        from: Size,
        output: &mut [u8],
        to: Size,
        rows: Range<u32>,
    ) -> Result<()> {
        let cannot = |why: String| Error::Input(format!("a picture of {from} cannot be resized to {to}: {why}"));
        let source = ImageRef::new(from.width, from.height, input, PixelType::U8x3);
        let source = source.map_err(|error| cannot(error.to_string()))?;
        let target = Image::from_slice_u8(to.width, rows.end - rows.start, output, PixelType::U8x3);
        let mut target = target.map_err(|error| cannot(error.to_string()))?;
        // The filter also reads what lies beyond the part, as Pillow's `box` does.
        let edge = |row: u32| f64::from(row) * f64::from(from.height) / f64::from(to.height);
        let (top, mut height) = (edge(rows.start), edge(rows.end) - edge(rows.start));
        // Rounding must not take it over the rim, where it is refused.
        while top + height > f64::from(from.height) {
            height = height.next_down();
        }
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(self.filter)).crop(
            0.0,
            top,
            f64::from(from.width),
            height,
        );
        self.resizer.resize(&source, &mut target, &options).map_err(|error| cannot(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FILTERS: [Filter; 2] = [Filter::Bilinear, Filter::Lanczos];

    fn scaled(filter: Filter, pixels: &[u8], from: Size, to: Size) -> Vec<u8> {
        let mut output = vec![0; to.rgb_len()];
        Scaler::new(filter).scale(pixels, from, &mut output, to).unwrap();
        output
    }

    #[test]
    fn an_even_picture_stays_even_at_any_size() {
        for filter in FILTERS {
            for (w, h) in [(1, 1), (7, 5), (40, 3), (3, 40), (64, 2), (5, 100)] {
                let (from, to) = (Size::new(7, 5), Size::new(w, h));
                let pixels = [200, 100, 50].repeat(from.area());
                assert_eq!(scaled(filter, &pixels, from, to), [200, 100, 50].repeat(to.area()), "{from} to {to}");
            }
        }
    }

    #[test]
    fn shrinking_averages_and_growing_keeps_the_ends() {
        let checks: Vec<u8> = (0..8 * 8).flat_map(|i| [if (i + i / 8) % 2 == 0 { 0 } else { 200 }; 3]).collect();
        let half = scaled(Filter::Bilinear, &checks, Size::new(8, 8), Size::new(4, 4));
        // At the rim the filter sees fewer pixels, so its mean is a little off.
        assert!(half.iter().all(|&b| b.abs_diff(100) <= 3), "{half:?}");

        let wide = scaled(Filter::Bilinear, &[10, 10, 10, 90, 90, 90], Size::new(2, 1), Size::new(6, 1));
        assert_eq!((wide[0], wide[15]), (10, 90));
        assert!(wide.windows(4).all(|w| w[3] >= w[0]), "{wide:?}");
    }

    #[test]
    fn strips_together_are_the_whole() {
        let (from, to) = (Size::new(23, 31), Size::new(50, 117));
        let pixels: Vec<u8> = (0..from.rgb_len()).map(|i| (i * 37 % 251) as u8).collect();
        let whole = scaled(Filter::Lanczos, &pixels, from, to);
        let mut scaler = Scaler::new(Filter::Lanczos);
        let mut strip = |rows: Range<u32>| {
            let mut output = vec![0; Size::new(to.width, rows.end - rows.start).rgb_len()];
            scaler.scale_rows(&pixels, from, &mut output, to, rows).unwrap();
            output
        };
        let strips: Vec<u8> = [0..40, 40..41, 41..117].into_iter().flat_map(&mut strip).collect();
        assert!(whole.iter().zip(&strips).all(|(a, b)| a.abs_diff(*b) <= 1));
    }

    #[test]
    fn every_size_becomes_every_other_whole_and_in_strips() {
        let mut scaler = Scaler::new(Filter::Bilinear);
        for (from, to) in (1..80).flat_map(|from| (1..80).map(move |to| (Size::new(1, from), Size::new(1, to)))) {
            scaler.scale(&vec![9; from.rgb_len()], from, &mut vec![0; to.rgb_len()], to).unwrap();
            for row in 0..to.height {
                scaler.scale_rows(&vec![9; from.rgb_len()], from, &mut [0; 3], to, row..row + 1).unwrap();
            }
        }
    }

    #[test]
    fn a_picture_of_another_length_is_refused() {
        let (from, to) = (Size::new(7, 5), Size::new(3, 3));
        assert!(Scaler::new(Filter::Lanczos).scale(&[0; 30], from, &mut [0; 27], to).is_err());
        assert!(Scaler::new(Filter::Lanczos).scale(&[0; 105], from, &mut [0; 20], to).is_err());
    }
}
