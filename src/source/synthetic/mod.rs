//! A made-up scene for measuring and trying out: a person who moves before a room that stands still.
//!
//! The scene is drawn once into a ring of frames, sensor noise included, and then replayed without end: a frame costs a
//! copy. The same seed and size give the same bytes.

mod canvas;
mod noise;
mod scene;

use std::time::Instant;

use rayon::prelude::*;

use super::{Source, SourceInfo, Step};
use crate::error::{Error, Result};
use crate::frame::{Frame, Rate, Size};
use canvas::Canvas;
use noise::Noise;
use scene::Scene;

/// Frames after which the movement begins again: one sway from side to side and back, 0.8 s at 30 frames per second.
const RING: usize = 24;
/// Where [`RING`] frames would need more bytes than this, the movement has fewer and larger steps.
const RING_BYTES: usize = 32 << 20;
/// The fewest frames of a ring.
const SHORTEST_RING: usize = 6;

/// Rows that are drawn at a time.
const BAND: usize = 48;

/// The most pixels of a frame: six of them then take 640 MB.
const LARGEST: usize = 8192 * 4320;

/// Frames of the ring.
fn ring_length(size: Size) -> usize {
    (RING_BYTES / size.rgb_len()).clamp(SHORTEST_RING, RING)
}

/// Replays the scene.
pub struct Synthetic {
    info: SourceInfo,
    ring: Vec<Vec<u8>>,
    count: u64,
}

impl Synthetic {
    /// Draws the scene in `size`; `rate` is what it says of itself, it paces nothing.
    ///
    /// # Errors
    /// [`Error::Usage`] where the frames would take too much memory.
    pub fn new(size: Size, rate: Rate, seed: u64) -> Result<Self> {
        if size.area() > LARGEST {
            return Err(Error::Usage(format!(
                "the made-up scene is kept in memory, and {size} is too large for that; give --size 8192x4320 or less"
            )));
        }
        let info = SourceInfo { name: "synthetic".into(), size, rate: Some(rate), live: false, frames: None };
        Ok(Self { info, ring: draw(&Scene::new(seed), size, seed), count: 0 })
    }
}

/// The ring's frames, drawn a band of rows at a time: the canvas of all of a frame is four times as large as the frame.
fn draw(scene: &Scene, size: Size, seed: u64) -> Vec<Vec<u8>> {
    let length = ring_length(size);
    let noise = |n: usize| Noise::new(seed ^ (n as u64 + 1).wrapping_mul(0xA076_1D64_78BD_642F));
    let mut ring: Vec<_> = (0..length).map(|n| (noise(n), Vec::with_capacity(size.rgb_len()))).collect();
    let height = size.height as usize;
    for top in (0..height).step_by(BAND) {
        let room = scene.room(size, top..(top + BAND).min(height));
        ring.par_iter_mut().enumerate().for_each(|(n, (noise, bytes))| {
            let mut canvas = room.clone();
            scene.figure(&mut canvas, n as f32 / length as f32);
            expose(&canvas, noise, bytes);
        });
    }
    ring.into_iter().map(|(_, bytes)| bytes).collect()
}

/// What a sensor makes of `canvas`: bytes with noise, put behind those of the rows above.
fn expose(canvas: &Canvas, noise: &mut Noise, bytes: &mut Vec<u8>) {
    for pixel in canvas.pixels() {
        let [r, g, b] = noise.pixel();
        // `as` saturates, and rounds toward zero: hence the half.
        bytes.extend([(pixel[0] + r + 0.5) as u8, (pixel[1] + g + 0.5) as u8, (pixel[2] + b + 0.5) as u8]);
    }
}

impl Source for Synthetic {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Step> {
        frame.captured = Instant::now();
        frame.sequence = self.count;
        frame.reshape(self.info.size);
        frame.pixels.copy_from_slice(&self.ring[(self.count % self.ring.len() as u64) as usize]);
        self.count += 1;
        Ok(Step::Frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn synthetic(size: Size, seed: u64) -> Synthetic {
        Synthetic::new(size, Rate::new(30, 1).expect("a rate"), seed).expect("it is small enough")
    }

    /// For each phase of the ring, how much of each pixel the figure covers: what a white ground does not change.
    fn figures(size: Size, seed: u64) -> Vec<Vec<f32>> {
        let scene = Scene::new(seed);
        let figure = |n| {
            let [black, white] = [0.0, 255.0].map(|ground| {
                let mut canvas = Canvas::new(size, 0..size.height as usize);
                canvas.flood(|_| [ground; 3]);
                scene.figure(&mut canvas, n as f32 / RING as f32);
                canvas
            });
            black.pixels().iter().zip(white.pixels()).map(|(b, w)| 1.0 - (w[0] - b[0]) / 255.0).collect()
        };
        (0..RING).map(figure).collect()
    }

    #[test]
    fn the_figure_fills_a_quarter_of_the_picture_or_more() {
        for (w, h) in [(320, 240), (320, 180), (180, 320), (240, 240), (64, 48), (640, 480)] {
            let size = Size::new(w, h);
            for (n, covered) in figures(size, 1).iter().enumerate() {
                let share = covered.iter().sum::<f32>() / size.area() as f32;
                assert!((0.25..0.6).contains(&share), "{size}, phase {n}: {share}");
            }
        }
    }

    #[test]
    fn the_figure_moves_in_each_frame_and_the_room_stands_but_for_its_noise() {
        let size = Size::new(320, 240);
        let synthetic = synthetic(size, 3);
        let figures = figures(size, 3);
        assert_eq!(synthetic.ring.len(), RING);
        let room: Vec<usize> = (0..size.area()).filter(|&i| figures.iter().all(|f| f[i] == 0.0)).collect();
        assert!(room.len() > size.area() / 4, "the room is to be seen: {}", room.len());
        for n in 0..RING {
            let (a, b) = (&synthetic.ring[n], &synthetic.ring[(n + 1) % RING]);
            let difference =
                |i: usize| (0..3).map(|c| f64::from(a[i * 3 + c].abs_diff(b[i * 3 + c]))).sum::<f64>() / 3.0;
            let noise = room.iter().map(|&i| difference(i)).sum::<f64>() / room.len() as f64;
            assert!((0.55..0.65).contains(&noise), "frame {n}: noise of {noise} of 255");
            let moved = (0..size.area()).filter(|&i| difference(i) > 6.0).count() as f64 / size.area() as f64;
            assert!(moved > 0.01, "frame {n}: {moved} of the picture moved");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let size = Size::new(48, 36);
        assert_eq!(synthetic(size, 5).ring, synthetic(size, 5).ring);
        assert_ne!(synthetic(size, 5).ring, synthetic(size, 6).ring);
    }

    #[test]
    fn it_goes_on_after_the_ring() {
        let size = Size::new(1, 1);
        let mut synthetic = synthetic(size, 1);
        let mut frame = Frame::black(size);
        for n in 0..3 * RING as u64 {
            assert_eq!(synthetic.read(&mut frame).expect("it does not fail"), Step::Frame);
            assert_eq!((frame.sequence, frame.pixels.len()), (n, 3));
        }
    }

    #[test]
    fn large_pictures_get_a_shorter_ring() {
        assert_eq!(synthetic(Size::new(1280, 720), 1).ring.len(), 12);
        assert_eq!(ring_length(Size::new(3840, 2160)), SHORTEST_RING);
    }

    #[test]
    fn what_would_fill_the_memory_is_refused() {
        let rate = Rate::new(30, 1).expect("a rate");
        let refused = Synthetic::new(Size::new(12_000, 12_000), rate, 1).err().expect("it is too large").to_string();
        assert!(refused.contains("12000x12000") && refused.contains("--size"), "{refused}");
    }
}
