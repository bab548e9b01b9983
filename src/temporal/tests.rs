#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use super::difference::PIXEL;
use super::*;
use crate::engine::fused::{BLOCK, BlockMask};
use crate::frame::Size;

/// Not a multiple of a block.
const SIZE: Size = Size::new(331, 245);
const RATE: usize = 30;
/// Frames in which what stood still from the start has settled.
const SETTLED: usize = RATE;

/// A scene before a camera with a sensor's noise, and the detector that looks at it.
struct Camera {
    detector: ChangeDetector,
    size: Size,
    frame: Vec<u8>,
    began: Instant,
    frames: usize,
    random: u64,
    stability: f32,
}

impl Camera {
    fn new(size: Size) -> Self {
        let detector = ChangeDetector::new(size);
        let frame = vec![0; size.rgb_len()];
        Self { detector, size, frame, began: Instant::now(), frames: 0, random: 1, stability: 0.5 }
    }

    /// About −1, 0 or 1, as the bytes of a webcam's frame are off: a variance of 0.5.
    fn noise(&mut self) -> f32 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        [-1.0, 0.0, 0.0, 1.0][(z >> 62) as usize]
    }

    /// The next frame, of a scene that gives a pixel's brightness by column and row. Returns the share of blocks marked.
    fn look(&mut self, scene: impl Fn(usize, usize) -> f32) -> f32 {
        let width = self.size.width as usize;
        for i in 0..self.frame.len() {
            let (x, y) = (i / PIXEL % width, i / PIXEL / width);
            self.frame[i] = (scene(x, y) + self.noise() + 0.5) as u8;
        }
        self.frames += 1;
        let captured = self.began + Duration::from_secs(1) * self.frames as u32 / RATE as u32;
        share(self.detector.look(&self.frame, captured, self.stability))
    }

    /// How far the processed picture is from a scene: the mean, and the worst of any pixel.
    fn off(&self, scene: impl Fn(usize, usize) -> f32) -> (f32, f32) {
        let width = self.size.width as usize;
        let off = self.detector.processed().iter().enumerate().map(|(i, byte)| {
            let (x, y) = (i / PIXEL % width, i / PIXEL / width);
            (f32::from(*byte) - scene(x, y)).abs()
        });
        let (sum, worst) = off.fold((0.0, 0.0_f32), |(sum, worst), off| (sum + off, worst.max(off)));
        (sum / self.frame.len() as f32, worst)
    }
}

fn share(mask: &BlockMask) -> f32 {
    mask.count() as f32 / (mask.columns() * mask.rows()) as f32
}

/// A room: shades and edges.
fn room(x: usize, y: usize) -> f32 {
    60.0 + (x / 3) as f32 + if (x / 37 + y / 29).is_multiple_of(2) { 40.0 } else { 0.0 }
}

#[test]
fn the_first_frame_is_processed_whole() {
    for size in [SIZE, Size::new(1, 1), Size::new(16, 16), Size::new(17, 40)] {
        let mut camera = Camera::new(size);
        assert_eq!(camera.look(room), 1.0, "{size}");
        assert!(camera.detector.processed() == camera.frame);
    }
}

#[test]
fn noise_alone_marks_next_to_nothing_and_all_is_refreshed_in_time_without_a_jump() {
    let mut camera = Camera::new(SIZE);
    for _ in 0..SETTLED {
        camera.look(room);
    }
    let mut refreshed = BlockMask::new(SIZE);
    let (mut sum, mut most, frames) = (0.0, 0.0_f32, RATE * 9 / 2);
    for _ in 0..frames {
        let marked = camera.look(room);
        sum += marked;
        most = most.max(marked);
        let mask = camera.detector.mask();
        for row in 0..mask.rows() {
            for column in (0..mask.columns()).filter(|column| mask.get(*column, row)) {
                refreshed.set(column, row, true);
            }
        }
    }
    assert!(sum / (frames as f32) < 0.02, "{} of the blocks are marked in a frame", sum / frames as f32);
    assert!(most < 0.1, "{most} of the blocks are marked at once");
    assert_eq!(share(&refreshed), 1.0);
    // What has settled is nearer to the scene than any frame.
    let (mean, worst) = camera.off(room);
    assert!(mean < 0.3 && worst <= 1.0, "{mean} {worst}");
}

#[test]
fn what_is_not_marked_keeps_its_pixels() {
    let mut camera = Camera::new(SIZE);
    let width = SIZE.width as usize;
    for n in 0..2 * RATE {
        let before = camera.detector.processed().to_vec();
        let person = |x: usize, y: usize| if x.abs_diff(100 + 2 * n) < 30 && y > 60 { 200.0 } else { room(x, y) };
        camera.look(person);
        for (i, (a, b)) in before.iter().zip(camera.detector.processed()).enumerate() {
            let (x, y) = (i / PIXEL % width, i / PIXEL / width);
            assert!(a == b || camera.detector.mask().get(x / BLOCK, y / BLOCK), "frame {n}, pixel {x}, {y}");
        }
    }
}

#[test]
fn a_moving_square_is_processed_at_once_and_leaves_no_trail() {
    let mut camera = Camera::new(SIZE);
    let square = |n: usize| {
        let left = (40 + 7 * n) as f32;
        move |x: usize, y: usize| (x as f32 - left - 20.0).abs() < 20.0 && y.abs_diff(120) < 20
    };
    let width = SIZE.width as usize;
    for _ in 0..SETTLED {
        camera.look(room);
    }
    for n in 0..25 {
        let scene = |x, y| if square(n)(x, y) { 230.0 } else { room(x, y) };
        camera.look(scene);
        for (i, byte) in camera.detector.processed().iter().enumerate() {
            let (x, y) = (i / PIXEL % width, i / PIXEL / width);
            let off = (f32::from(*byte) - scene(x, y)).abs();
            assert!(off <= 2.0, "frame {n}: {off} at {x}, {y}");
        }
    }
    // It touches up to 4×4 blocks, where it was and where it is, and draws on those that are 3 away.
    let marked = camera.detector.mask().count();
    assert!(marked <= 11 * 10, "{marked} blocks are marked");
}

#[test]
fn a_slow_change_of_light_is_followed_within_half_a_second_and_without_a_jump() {
    // In levels per second, of 255: clouds, and a lamp that is turned up.
    for speed in [2.0, 20.0_f32] {
        let mut camera = Camera::new(SIZE);
        for _ in 0..SETTLED {
            camera.look(room);
        }
        let light = |n: usize| speed * n.min(2 * RATE) as f32 / RATE as f32;
        let mut most = 0.0_f32;
        for n in 0..=3 * RATE {
            most = most.max(camera.look(|x, y| room(x, y) + light(n)));
            if n >= RATE {
                // No darker than half a second ago, but for what is not seen as a change.
                let (late, now) = (light(n - RATE / 2), light(n));
                let darkest = (0..SIZE.height as usize)
                    .step_by(BLOCK)
                    .flat_map(|top| (0..SIZE.width as usize).step_by(BLOCK).map(move |left| (left, top)))
                    .map(|(left, top)| block_mean(&camera, left, top) - now);
                let behind = darkest.fold(0.0_f32, |worst, off| worst.min(off));
                assert!(behind >= late - now - 1.2, "frame {n} at {speed}: {behind}, light {late} to {now}");
            }
        }
        assert!(most < 0.5, "{most} of the blocks are marked at once at {speed}");
        let (mean, _) = camera.off(|x, y| room(x, y) + light(3 * RATE));
        assert!(mean < 0.8, "{mean} off in the end at {speed}");
    }
}

/// How much brighter a block is than the room, on average.
fn block_mean(camera: &Camera, left: usize, top: usize) -> f32 {
    let (width, height) = (SIZE.width as usize, SIZE.height as usize);
    let (mut sum, mut count) = (0.0, 0.0);
    for (y, x) in (top..(top + BLOCK).min(height)).flat_map(|y| (left..(left + BLOCK).min(width)).map(move |x| (y, x)))
    {
        sum += f32::from(camera.detector.processed()[(y * width + x) * PIXEL]) - room(x, y);
        count += 1.0;
    }
    sum / count
}

#[test]
fn a_hard_cut_is_processed_whole_at_once() {
    let mut camera = Camera::new(SIZE);
    for _ in 0..SETTLED {
        camera.look(room);
    }
    // Some of it looks as before.
    let other = |x: usize, y: usize| if x < 60 { room(x, y) } else { 255.0 - room(y, x) };
    assert_eq!(camera.look(other), 1.0);
    assert!(camera.detector.processed() == camera.frame);
}

#[test]
fn starting_anew_processes_the_next_frame_whole_and_no_other() {
    let mut camera = Camera::new(SIZE);
    for _ in 0..SETTLED {
        camera.look(room);
    }
    camera.detector.start_anew();
    assert_eq!(camera.look(room), 1.0);
    assert!(camera.detector.processed() == camera.frame);
    assert!(camera.look(room) < 0.1);
}

#[test]
fn the_noise_is_estimated_whatever_is_processed() {
    // Each frame's variance is 0.5; that of the difference of two is 1.
    for stability in [0.01, 0.5, 1.0] {
        let mut camera = Camera::new(SIZE);
        camera.stability = stability;
        for n in 0..2 * RATE {
            let person = |x: usize, y: usize| if x.abs_diff(100 + 2 * n) < 40 { 200.0 } else { room(x, y) };
            camera.look(person);
        }
        let noise = camera.detector.noise();
        assert!((0.85..1.15).contains(&noise), "{noise} at {stability}");
    }
}

#[test]
fn a_stiller_picture_processes_no_more() {
    let marked = [0.05, 0.5, 1.0].map(|stability| {
        let mut camera = Camera::new(SIZE);
        camera.stability = stability;
        (0..3 * RATE).map(|n| camera.look(|x, y| room(x, y) + ((x / 16 + n) % 13) as f32 / 4.0)).sum::<f32>()
    });
    assert!(marked[0] > marked[1] && marked[1] > marked[2], "{marked:?}");
}
