//! Pictures to another size.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::frame::Size;

/// Scales RGB pictures, bilinearly when they grow and by the area that a pixel covers when they shrink. It keeps its
/// buffers, so that a stream of equal pictures allocates nothing.
#[derive(Debug, Default)]
pub struct Scaler {
    resizer: Resizer,
}

impl Scaler {
    /// Scales `input` (RGB, `from.rgb_len()` bytes) into `output` (RGB, `to.rgb_len()` bytes). Sides of 0 give nothing.
    ///
    /// # Panics
    /// When a buffer's length does not fit its size.
    pub fn scale(&mut self, input: &[u8], from: Size, output: &mut [u8], to: Size) {
        assert_eq!((input.len(), output.len()), (from.rgb_len(), to.rgb_len()));
        if from.area() == 0 || to.area() == 0 {
            return;
        }
        if from == to {
            output.copy_from_slice(input);
            return;
        }
        let source = ImageRef::new(from.width, from.height, input, PixelType::U8x3);
        let target = Image::from_slice_u8(to.width, to.height, output, PixelType::U8x3);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
        let (Ok(source), Ok(mut target)) = (source, target) else { unreachable!("the lengths were checked") };
        let done = self.resizer.resize(&source, &mut target, &options);
        debug_assert!(done.is_ok(), "both are U8x3 and nothing is cropped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_averages_and_growing_keeps_the_ends() {
        let mut scaler = Scaler::default();
        let checks: Vec<u8> = (0..8 * 8).flat_map(|i| [if (i + i / 8) % 2 == 0 { 0 } else { 200 }; 3]).collect();
        let mut half = [0; 4 * 4 * 3];
        scaler.scale(&checks, Size::new(8, 8), &mut half, Size::new(4, 4));
        // At the rim the filter sees fewer pixels, so its mean is a little off.
        assert!(half.iter().all(|&b| b.abs_diff(100) <= 3), "{half:?}");

        let mut wide = [0; 6 * 3];
        scaler.scale(&[10, 10, 10, 90, 90, 90], Size::new(2, 1), &mut wide, Size::new(6, 1));
        assert_eq!((wide[0], wide[15]), (10, 90));
        assert!(wide.windows(4).all(|w| w[3] >= w[0]), "{wide:?}");
    }

    #[test]
    fn any_two_sizes_work() {
        let mut scaler = Scaler::default();
        for (w, h) in [(1, 1), (3, 7), (64, 2), (5, 100)] {
            let (from, to) = (Size::new(w, h), Size::new(h, w * 2));
            let mut out = vec![0; to.rgb_len()];
            scaler.scale(&vec![77; from.rgb_len()], from, &mut out, to);
            assert!(out.iter().all(|&b| b == 77), "{from} to {to}");
        }
    }
}
