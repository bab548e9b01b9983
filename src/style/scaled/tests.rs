#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::engine::contract::FloatNetwork;
use crate::engine::fused::BLOCK;
use crate::engine::kernels::Isa;
use crate::engine::topology::{LayerShape, Topology};

const SCALES: [Scale; 3] = [Scale::Full, Scale::ThreeQuarters, Scale::Half];

/// A small network of two scales.
fn engine() -> FusedGenerator {
    let layer = LayerShape::convolution;
    let layers = vec![
        LayerShape { space_to_depth: 2, ..layer(0, 12, 4) },
        LayerShape { stride: 2, ..layer(1, 4, 6) },
        LayerShape { add: Some(2), ..layer(2, 6, 6) },
        LayerShape { depth_to_space: 2, add: Some(1), ..layer(3, 6, 16) },
        LayerShape { depth_to_space: 2, ..layer(4, 4, 12) },
    ];
    let network = FloatNetwork::random(Topology { layers }, 4).quantize().unwrap();
    FusedGenerator::new(&network, Isa::Scalar, 1).unwrap()
}

fn hash(i: usize, seed: u64) -> u64 {
    (i as u64).wrapping_add(seed << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn picture(size: Size, seed: u64) -> Vec<u8> {
    (0..size.rgb_len()).map(|i| (hash(i, seed) >> 58) as u8 + ((i / 40) % 2) as u8 * 120).collect()
}

/// Other bytes in some blocks, which are marked, and sensor noise in all others, which are not.
fn next(frame: &mut [u8], size: Size, seed: u64) -> BlockMask {
    let mut mask = BlockMask::new(size);
    for row in 0..mask.rows() {
        for column in 0..mask.columns() {
            mask.set(column, row, hash(row * 1000 + column, seed) >> 62 == 0);
        }
    }
    for (i, byte) in frame.iter_mut().enumerate() {
        let (x, y) = (i / 3 % size.width as usize, i / 3 / size.width as usize);
        *byte = match mask.get(x / BLOCK, y / BLOCK) {
            true => (hash(i, seed) >> 56) as u8,
            false => byte.saturating_add((hash(i, seed) >> 62) as u8),
        };
    }
    mask
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    /// Against one that draws, in the same order, everything anew from the photo as it was last taken.
    #[test]
    fn what_is_kept_is_what_would_be_drawn(w in 1..150_u32, h in 1..110_u32, seed in 0..1000_u64) {
        let size = Size::new(w, h);
        let (mut kept, mut whole) = ((Scaled::default(), engine()), (Scaled::default(), engine()));
        let mut frame = picture(size, seed);
        let mut taken = frame.clone();
        let (mut output, mut expected) = (vec![0; size.rgb_len()], vec![0; size.rgb_len()]);
        for (n, scale) in [Scale::Half, Scale::ThreeQuarters, Scale::Full].into_iter().enumerate() {
            kept.0.set_scale(scale);
            whole.0.set_scale(scale);
            for step in 0..3 {
                let mask = next(&mut frame, size, seed + n as u64 * 10 + step);
                if step == 0 {
                    // After a change of scale the mask is of no use, and everything is taken.
                    taken.copy_from_slice(&frame);
                } else {
                    region::take_blocks(&mut taken, &frame, size, &mask);
                }
                kept.0.run_changed(&mut kept.1, &frame, size, Changed::Blocks(&mask), 0, &mut output).unwrap();
                whole.0.run_changed(&mut whole.1, &taken, size, Changed::Whole, 0, &mut expected).unwrap();
                prop_assert!(output == expected, "step {step} at {scale}");
            }
        }
    }

    #[test]
    fn what_stands_still_is_reduced_to_the_same_bytes(w in 1..150_u32, h in 1..110_u32, seed in 0..1000_u64) {
        let size = Size::new(w, h);
        let mut photo = picture(size, seed);
        for scale in [Scale::Half, Scale::ThreeQuarters] {
            let small = scale.of(size);
            let mut reducer = Reducer::new(size, small);
            let (mut before, mut after) = (vec![0; small.rgb_len()], vec![0; small.rgb_len()]);
            reducer.reduce(&photo, &mut before);
            let mut noisy = photo.clone();
            let mask = next(&mut noisy, size, seed + 1);
            region::take_blocks(&mut photo, &noisy, size, &mask);
            reducer.reduce(&photo, &mut after);
            let mut reduced = BlockMask::new(small);
            region::reduce_mask(&mask, size, small, &mut reduced);
            for (i, (a, b)) in before.iter().zip(&after).enumerate() {
                let (x, y) = (i / 3 % small.width as usize, i / 3 / small.width as usize);
                prop_assert!(a == b || reduced.get(x / BLOCK, y / BLOCK), "{x}, {y} at {scale}");
            }
        }
    }
}

#[test]
fn a_scale_that_comes_back_draws_the_picture_of_now() {
    let size = Size::new(96, 64);
    let (mut scaled, mut engine) = (Scaled::default(), engine());
    let (old, new) = (picture(size, 1), picture(size, 2));
    let unchanged = BlockMask::new(size);
    let mut output = vec![0; size.rgb_len()];
    let mut draw = |scale, photo: &[u8], changed: Changed<'_>| {
        scaled.set_scale(scale);
        scaled.run_changed(&mut engine, photo, size, changed, 0, &mut output).unwrap();
        output.clone()
    };
    for scale in SCALES {
        draw(scale, &old, Changed::Whole);
    }
    // The picture changed while it was drawn at half size; at the others, nothing has changed since.
    draw(Scale::Half, &new, Changed::Whole);
    let returned = [Scale::Full, Scale::ThreeQuarters, Scale::Half].map(|s| draw(s, &new, Changed::Blocks(&unchanged)));
    let whole = [Scale::Full, Scale::ThreeQuarters, Scale::Half].map(|s| draw(s, &new, Changed::Whole));
    assert!(returned == whole);
}

#[test]
fn any_generator_is_run_at_the_scale() {
    let size = Size::new(100, 60);
    let (mut scaled, mut engine) = (Scaled::default(), engine());
    let photo = picture(size, 3);
    let (mut output, mut expected) = (vec![0; size.rgb_len()], vec![0; size.rgb_len()]);
    for scale in SCALES {
        scaled.set_scale(scale);
        scaled.run(&mut engine, &photo, size, &mut output).unwrap();
        scaled.run_changed(&mut engine, &photo, size, Changed::Whole, 0, &mut expected).unwrap();
        assert!(output == expected, "{scale}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let size = Size::new(40, 40);
    let (mut scaled, mut engine) = (Scaled::default(), engine());
    let mut output = vec![0; size.rgb_len()];
    for scale in SCALES {
        scaled.set_scale(scale);
        assert!(scaled.run(&mut engine, &[0; 12], size, &mut output).is_err());
        let mask = BlockMask::new(Size::new(400, 400));
        let frame = picture(size, 1);
        assert!(scaled.run_changed(&mut engine, &frame, size, Changed::Blocks(&mask), 0, &mut output).is_err());
    }
}

#[test]
fn sides_are_rounded_and_never_vanish() {
    assert_eq!(Scale::Half.of(Size::new(1280, 720)), Size::new(640, 360));
    assert_eq!(Scale::ThreeQuarters.of(Size::new(641, 479)), Size::new(481, 359));
    assert_eq!(Scale::Half.of(Size::new(1, 1)), Size::new(1, 1));
    for (scale, text) in SCALES.into_iter().zip(["1", "0.75", "0.5"]) {
        assert_eq!(scale.to_string(), text);
        assert!(scale.smaller().is_none_or(|s| s < scale && s.larger() == Some(scale)));
    }
}
