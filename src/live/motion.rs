//! Whether anything moves before a camera, as seen from time to time.

use crate::frame::{Frame, Size};

/// The picture is divided into so many cells each way: each holds enough pixels for their mean to be free of noise.
const CELLS: (usize, usize) = (16, 12);
/// Of a cell's rows and columns each so manieth is looked at.
const STEP: usize = 2;
/// A cell has changed whose mean differs by this from what it was, of 255: several times what noise makes of the mean,
/// and less than a sleeve makes of it.
const CHANGED: f32 = 6.0;

/// Compares a picture with the last one that it was shown.
#[derive(Debug, Default)]
pub struct Motion {
    size: Option<Size>,
    means: Vec<f32>,
}

impl Motion {
    /// Whether `frame` shows something else than the last one. The first one does not.
    pub fn look(&mut self, frame: &Frame) -> bool {
        let means = means(frame);
        let comparable = self.size.replace(frame.size) == Some(frame.size);
        let changed = means.iter().zip(&self.means).any(|(now, before)| (now - before).abs() > CHANGED);
        self.means = means;
        comparable && changed
    }

    /// Forgets what it was shown.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

/// The mean of each cell's green bytes: half of what the eye calls brightness and more.
fn means(frame: &Frame) -> Vec<f32> {
    let (width, height) = (frame.size.width as usize, frame.size.height as usize);
    let mut sums = vec![(0_u32, 0_u32); CELLS.0 * CELLS.1];
    for y in (0..height).step_by(STEP) {
        for x in (0..width).step_by(STEP) {
            let cell = &mut sums[y * CELLS.1 / height * CELLS.0 + x * CELLS.0 / width];
            cell.0 += u32::from(frame.pixels[(y * width + x) * 3 + 1]);
            cell.1 += 1;
        }
    }
    sums.into_iter().map(|(sum, count)| sum as f32 / count.max(1) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(321, 240);

    /// A grey picture with noise of ±12, and a square of another brightness at `square`.
    fn picture(seed: u32, square: Option<usize>) -> Frame {
        let mut frame = Frame::black(SIZE);
        let mut state = seed;
        for (i, pixel) in frame.pixels.chunks_exact_mut(3).enumerate() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (x, y) = (i % 321, i / 321);
            let inside = square.is_some_and(|at| (at..at + 20).contains(&x) && (100..120).contains(&y));
            let base = if inside { 180 } else { 100 };
            pixel.fill((base - 12 + (state >> 24) % 25) as u8);
        }
        frame
    }

    #[test]
    fn noise_is_no_motion_and_a_hand_is() {
        let mut motion = Motion::default();
        assert!(!motion.look(&picture(1, None)));
        for seed in 2..20 {
            assert!(!motion.look(&picture(seed, None)), "{seed}");
        }
        assert!(motion.look(&picture(30, Some(40))));
        assert!(!motion.look(&picture(31, Some(40))));
        assert!(motion.look(&picture(32, Some(90))));
        assert!(motion.look(&picture(33, None)));
        motion.forget();
        assert!(!motion.look(&picture(34, Some(40))));
    }

    #[test]
    fn another_size_is_a_new_beginning() {
        let mut motion = Motion::default();
        assert!(!motion.look(&picture(1, None)));
        assert!(!motion.look(&Frame::black(Size::new(5, 3))));
        assert!(!motion.look(&Frame::black(Size::new(5, 3))));
    }
}
