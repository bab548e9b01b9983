//! Drawing onto RGB pictures: shapes, text, and notices made of both.
//!
//! Everything is anti-aliased and clipped to the picture. Sizes are in pixels; who draws scales them to the picture.

mod lettering;
mod notice;

pub use lettering::Lettering;
pub use notice::{Notice, NoticePainter};

use crate::frame::Size;

/// A colour: red, green, blue.
pub type Colour = [u8; 3];

/// A rectangle in pixels; it may reach beyond the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// Its left edge.
    pub left: f32,
    /// Its top edge.
    pub top: f32,
    /// How wide it is.
    pub width: f32,
    /// How high it is.
    pub height: f32,
}

/// A picture that is drawn on.
#[derive(Debug)]
pub struct Canvas<'a> {
    pixels: &'a mut [u8],
    size: Size,
}

impl<'a> Canvas<'a> {
    /// Draws on `pixels` (RGB, `size.rgb_len()` bytes; rows that are missing are not drawn).
    pub fn new(pixels: &'a mut [u8], size: Size) -> Self {
        Self { pixels, size }
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Paints everything in one colour.
    pub fn fill(&mut self, colour: Colour) {
        let row = self.size.width as usize * 3;
        let (first, rest) = self.pixels.split_at_mut(row.min(self.pixels.len()));
        first.as_chunks_mut().0.fill(colour);
        for line in rest.chunks_exact_mut(row) {
            line.copy_from_slice(first);
        }
    }

    /// Lays `colour` over a rectangle with corners rounded by `radius`, `opacity` of it: 0 is nothing, 1 hides the
    /// picture. What is written on it is readable over any picture.
    pub fn panel(&mut self, area: Rect, radius: f32, colour: Colour, opacity: f32) {
        let (half_width, half_height) = (area.width / 2.0, area.height / 2.0);
        let radius = radius.clamp(0.0, half_width.min(half_height).max(0.0));
        let (x, y) = (area.left + half_width, area.top + half_height);
        self.shape(area, colour, opacity, |px, py| {
            let (dx, dy) = ((px - x).abs() - half_width + radius, (py - y).abs() - half_height + radius);
            dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius
        });
    }

    /// Lays a disc of `radius` around (`x`, `y`) over the picture, `opacity` of it.
    pub fn disc(&mut self, x: f32, y: f32, radius: f32, colour: Colour, opacity: f32) {
        let area = Rect { left: x - radius, top: y - radius, width: radius * 2.0, height: radius * 2.0 };
        self.shape(area, colour, opacity, |px, py| (px - x).hypot(py - y) - radius);
    }

    /// Lays `colour` over where `distance` (pixels, at a pixel's middle) is negative, within `area`.
    fn shape(&mut self, area: Rect, colour: Colour, opacity: f32, distance: impl Fn(f32, f32) -> f32) {
        // One pixel more on each side for the soft edge; `as` saturates.
        let span = |from: f32, length: f32, end: u32| {
            let first = ((from - 1.0) as usize).min(end as usize);
            first..((from + length + 1.0).ceil() as usize).clamp(first, end as usize)
        };
        let columns = span(area.left, area.width, self.size.width);
        let rows = span(area.top, area.height, self.size.height);
        let top = rows.start;
        let row = self.size.width as usize * 3;
        for (n, line) in self.pixels.chunks_exact_mut(row).skip(top).take(rows.len()).enumerate() {
            let y = (top + n) as f32 + 0.5;
            let pixels = line.as_chunks_mut::<3>().0;
            for (x, pixel) in columns.clone().zip(&mut pixels[columns.clone()]) {
                let cover = (0.5 - distance(x as f32 + 0.5, y)).clamp(0.0, 1.0);
                lay(pixel, colour, (cover * opacity.clamp(0.0, 1.0) * 255.0).round() as u8);
            }
        }
    }

    /// Lays `colour` over the picture where `coverage` (rows of `width`, 255 hides) says, its first byte at (`left`, `top`).
    fn stamp(&mut self, left: i32, top: i32, width: u32, coverage: &[u8], colour: Colour) {
        let row = self.size.width as usize * 3;
        let hidden_rows = top.min(0).unsigned_abs() as usize;
        let hidden_columns = left.min(0).unsigned_abs() as usize;
        let lines = self.pixels.chunks_exact_mut(row).skip(top.max(0) as usize);
        for (line, coverage) in lines.zip(coverage.chunks_exact(width.max(1) as usize).skip(hidden_rows)) {
            let pixels = line.as_chunks_mut::<3>().0.iter_mut().skip(left.max(0) as usize);
            for (pixel, &cover) in pixels.zip(coverage.iter().skip(hidden_columns)) {
                lay(pixel, colour, cover);
            }
        }
    }
}

/// Mixes `cover` of 255 of `colour` into a pixel.
fn lay(pixel: &mut Colour, colour: Colour, cover: u8) {
    let share = u32::from(cover);
    for (channel, colour) in pixel.iter_mut().zip(colour) {
        *channel = ((u32::from(*channel) * (255 - share) + u32::from(colour) * share + 127) / 255) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(20, 10);

    fn drawn(draw: impl FnOnce(&mut Canvas)) -> Vec<u8> {
        let mut pixels = vec![100; SIZE.rgb_len()];
        draw(&mut Canvas::new(&mut pixels, SIZE));
        pixels.iter().step_by(3).copied().collect()
    }

    fn at(reds: &[u8], x: usize, y: usize) -> u8 {
        reds[y * SIZE.width as usize + x]
    }

    #[test]
    fn a_panel_lets_the_picture_through_and_ends_at_its_edges() {
        let area = Rect { left: 4.0, top: 2.0, width: 10.0, height: 6.0 };
        let reds = drawn(|canvas| canvas.panel(area, 2.0, [0, 0, 0], 0.5));
        assert_eq!((at(&reds, 8, 4), at(&reds, 8, 2), at(&reds, 13, 5)), (50, 50, 50));
        assert_eq!((at(&reds, 3, 4), at(&reds, 14, 4), at(&reds, 8, 1), at(&reds, 8, 8)), (100, 100, 100, 100));
        // The corner is rounded, and soft.
        assert!((51..100).contains(&at(&reds, 4, 2)), "{}", at(&reds, 4, 2));
    }

    #[test]
    fn what_reaches_beyond_the_picture_is_clipped() {
        for (x, y) in [(-3.0, -3.0), (21.0, 5.0), (10.0, 40.0), (-1e9, 1e9), (f32::NAN, 0.0)] {
            drawn(|canvas| {
                canvas.disc(x, y, 5.0, [255; 3], 1.0);
                canvas.panel(Rect { left: x, top: y, width: 1e6, height: 1e6 }, 3.0, [0; 3], 1.0);
                canvas.stamp(x as i32, y as i32, 3, &[255; 9], [9; 3]);
                canvas.panel(Rect { left: 3.0, top: 3.0, width: -9.0, height: -9.0 }, 3.0, [0; 3], 1.0);
            });
        }
        let reds = drawn(|canvas| canvas.stamp(-1, -2, 3, &[0, 1, 2, 3, 4, 5, 6, 255, 0], [0; 3]));
        assert_eq!((at(&reds, 0, 0), at(&reds, 1, 0), at(&reds, 0, 1)), (0, 100, 100));
    }

    #[test]
    fn a_disc_is_round() {
        let reds = drawn(|canvas| canvas.disc(10.0, 5.0, 4.0, [0; 3], 1.0));
        assert_eq!((at(&reds, 10, 5), at(&reds, 6, 1), at(&reds, 15, 5)), (0, 100, 100));
        let covered: f32 = reds.iter().map(|&red| 1.0 - f32::from(red) / 100.0).sum();
        assert!((covered - 16.0 * std::f32::consts::PI).abs() < 0.5, "{covered}");
    }

    #[test]
    fn everything_is_filled() {
        let mut pixels = vec![0; SIZE.rgb_len()];
        Canvas::new(&mut pixels, SIZE).fill([1, 2, 3]);
        assert_eq!(pixels, [1, 2, 3].repeat(SIZE.area()));
    }
}
