#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::engine::contract::FloatNetwork;
use crate::engine::fused::FusedGenerator;
use crate::engine::kernels::Isa;
use crate::engine::topology::{StudentSize, Topology};
use crate::engine::{Generator, Options};
use crate::style::{Registry, Scale, Stylizer};

/// Not a multiple of a block.
const SIZE: Size = Size::new(203, 157);
const PERIOD: Duration = Duration::from_millis(33);
/// Frames in which what stands still from the start has settled.
const SETTLED: usize = 30;

fn engine(seed: u64) -> Box<dyn Generator> {
    let net = FloatNetwork::random(Topology::two_scale(StudentSize::S), seed).quantize().unwrap();
    Box::new(FusedGenerator::new(&net, Isa::best(), 1).unwrap())
}

/// Pictures before a camera, and the stylizer that draws them.
struct Stage {
    stylizer: Stylizer,
    size: Size,
    began: Instant,
    frames: u32,
    shown: Vec<u8>,
}

impl Stage {
    fn new(stylizer: Stylizer, stability: f32) -> Self {
        let mut stage = Self { stylizer, size: SIZE, began: Instant::now(), frames: 0, shown: vec![0; SIZE.rgb_len()] };
        stage.stylizer.set_stability(stability);
        stage
    }

    fn random(stability: f32) -> Self {
        Self::new(Stylizer::new("random", engine(1), 1.0), stability)
    }

    fn draw(&mut self, frame: &[u8]) -> Work {
        self.frames += 1;
        self.shown.resize(self.size.rgb_len(), 0);
        self.stylizer.run_live(frame, self.size, self.began + PERIOD * self.frames, &mut self.shown).unwrap()
    }

    /// Draws a standing scene until it has settled.
    fn settle(&mut self) {
        for _ in 0..SETTLED {
            let frame = noisy(self.size, self.frames.into(), room);
            self.draw(&frame);
        }
    }

    /// Whether the next frame is drawn whole, and as by a stylizer that knows nothing else.
    fn draws_whole(&mut self, fresh: Stylizer) -> bool {
        let frame = noisy(self.size, self.frames.into(), room);
        let work = self.draw(&frame);
        let mut other = Self { size: self.size, ..Self::new(fresh, 0.0) };
        other.draw(&frame);
        work.computed >= work.whole && self.shown == other.shown
    }
}

fn room(x: usize, y: usize) -> u8 {
    60 + (x / 3) as u8 + if (x / 37 + y / 29).is_multiple_of(2) { 40 } else { 0 }
}

/// A scene with noise of −1 to 1.
fn noisy(size: Size, seed: u64, scene: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    let width = size.width as usize;
    let noise = |i: usize| {
        let mut z = (i as u64 + (seed << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        [0, 1, 1, 2][(z >> 62) as usize]
    };
    (0..size.rgb_len()).map(|i| scene(i / 3 % width, i / 3 / width) + noise(i) - 1).collect()
}

#[test]
fn a_stability_of_0_computes_everything() {
    for (strength, scale) in [(1.0, Scale::Full), (0.6, Scale::Half)] {
        let mut stage = Stage::new(Stylizer::new("random", engine(1), strength), 0.0);
        let mut other = Stylizer::new("random", engine(1), strength);
        stage.stylizer.set_scale(scale);
        other.set_scale(scale);
        let mut expected = vec![0; SIZE.rgb_len()];
        for n in 0..5 {
            let frame = noisy(SIZE, n, room);
            let work = stage.draw(&frame);
            other.run(&frame, SIZE, &mut expected).unwrap();
            assert!(stage.shown == expected && work.computed == work.whole && work.reuse() == 0.0);
        }
    }
}

#[test]
fn what_rests_keeps_its_bytes_at_any_strength_and_scale() {
    for (strength, scale) in [(1.0, Scale::Full), (0.5, Scale::Full), (0.5, Scale::ThreeQuarters), (1.0, Scale::Half)] {
        let mut stage = Stage::new(Stylizer::new("random", engine(1), strength), 0.5);
        stage.stylizer.set_scale(scale);
        stage.settle();
        for n in 0..40 {
            let before = stage.shown.clone();
            let hand = |x: usize, y: usize| if x.abs_diff(40 + n) < 15 && y > 100 { 220 } else { room(x, y) };
            let frame = noisy(SIZE, n as u64 + 1000, hand);
            stage.draw(&frame);
            let mask = stage.stylizer.held_mask().unwrap();
            assert!(mask.any() && mask.count() * 2 < mask.columns() * mask.rows());
            for (i, (a, b)) in before.iter().zip(&stage.shown).enumerate() {
                let (x, y) = (i / 3 % SIZE.width as usize, i / 3 / SIZE.width as usize);
                assert!(a == b || mask.get(x / 16, y / 16), "frame {n}: {x}, {y} at {strength} and {scale}");
            }
        }
    }
}

#[test]
fn changes_of_how_it_is_drawn_begin_a_new_picture() {
    let random = |strength| Stylizer::new("random", engine(1), strength);
    let scaled = |scale| {
        let mut stylizer = random(1.0);
        stylizer.set_scale(scale);
        stylizer
    };
    let mut stage = Stage::random(0.5);
    assert!(stage.draws_whole(random(1.0)));
    stage.settle();
    assert!(!stage.draws_whole(random(1.0)));
    stage.stylizer.set_strength(1.0);
    assert!(!stage.draws_whole(random(1.0)), "nothing had changed");
    stage.stylizer.set_strength(0.4);
    assert!(stage.draws_whole(random(0.4)));
    stage.settle();
    // Off, and on again.
    stage.stylizer.set_strength(0.0);
    stage.settle();
    stage.stylizer.set_strength(1.0);
    assert!(stage.draws_whole(random(1.0)));
    stage.settle();
    // A placeholder, a mirrored picture.
    stage.stylizer.start_anew();
    assert!(stage.draws_whole(random(1.0)));
    for scale in [Scale::Half, Scale::ThreeQuarters, Scale::Full] {
        stage.settle();
        stage.stylizer.set_scale(scale);
        assert!(stage.draws_whole(scaled(scale)), "{scale}");
    }
    stage.settle();
    let mut photo = noisy(SIZE, 5, |x, y| 200 - room(x, y));
    stage.stylizer.run_in_place(&mut photo, SIZE, &mut |_| Ok(())).unwrap();
    assert!(stage.draws_whole(random(1.0)), "after a photo");
    stage.settle();
    stage.size = Size::new(90, 130);
    assert!(stage.draws_whole(random(1.0)), "another size");
    stage.settle();
    stage.stylizer.set_stability(0.0);
    assert!(stage.draws_whole(random(1.0)), "stability 0");
    stage.stylizer.set_stability(0.7);
    assert!(stage.draws_whole(random(1.0)), "another stability after it");
}

#[test]
fn a_moving_square_leaves_no_trail_in_the_drawing() {
    let open = || Registry::discover(None).open("anime", Options::threads(2)).unwrap().generator;
    let mut stage = Stage::new(Stylizer::new("anime", open(), 1.0), 0.5);
    stage.size = Size::new(320, 200);
    let mut whole = Stylizer::new("anime", open(), 1.0);
    let mut expected = vec![0; stage.size.rgb_len()];
    stage.settle();
    let left = |n: usize| 20 + 8 * n;
    let covers = |n: usize, x: usize, y: usize| (left(n)..left(n) + 40).contains(&x) && y.abs_diff(100) < 20;
    let (mut behind, mut elsewhere) = ((0.0, 0.0), (0.0, 0.0));
    let mut at_the_end = 0.0;
    for n in 0..90 {
        let frame = noisy(stage.size, 5000 + n as u64, |x, y| if covers(n, x, y) { 230 } else { room(x % 200, y) });
        stage.draw(&frame);
        whole.run(&frame, stage.size, &mut expected).unwrap();
        at_the_end = 0.0;
        for (i, (a, b)) in stage.shown.iter().zip(&expected).enumerate() {
            let (x, y, off) = (i / 3 % 320, i / 3 / 320, f64::from(a.abs_diff(*b)));
            at_the_end += off / expected.len() as f64;
            // Where the square was two frames ago, and is no more.
            let is_behind = n >= 2 && covers(n - 2, x, y) && !covers(n - 1, x, y);
            let (sum, count) = if is_behind { &mut behind } else { &mut elsewhere };
            if is_behind || y < 30 {
                *sum += off;
                *count += 1.0;
            }
        }
    }
    let (behind, elsewhere) = (behind.0 / behind.1, elsewhere.0 / elsewhere.1);
    assert!(behind < elsewhere + 1.0, "{behind} off where the square just was, {elsewhere} where nothing ever moved");
    // A second and a half after it has gone.
    assert!(at_the_end < elsewhere + 0.5, "{at_the_end} off in the end, {elsewhere} where nothing ever moved");
}
