#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::engine::contract::FloatNetwork;
use crate::engine::fused::BLOCK;
use crate::engine::fused::FusedGenerator;
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

/// Some blocks.
fn some(size: Size, seed: u64) -> BlockMask {
    let mut mask = BlockMask::new(size);
    for row in 0..mask.rows() {
        for column in 0..mask.columns() {
            mask.set(column, row, hash(row * 1000 + column, seed) >> 62 == 0);
        }
    }
    mask
}

/// Whether a byte of a picture lies in one of the blocks.
fn lies_in(mask: &BlockMask, size: Size, byte: usize) -> bool {
    let (x, y) = (byte / 3 % size.width as usize, byte / 3 / size.width as usize);
    mask.get(x / BLOCK, y / BLOCK)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn blocks_are_drawn_and_nothing_else(w in 1..150_u32, h in 1..110_u32, seed in 0..1000_u64) {
        let size = Size::new(w, h);
        let (mut scaled, mut engine) = (Scaled::default(), engine());
        let (mut output, mut expected) = (vec![0; size.rgb_len()], vec![0; size.rgb_len()]);
        let all = { let mut all = BlockMask::new(size); all.fill(true); all };
        for scale in SCALES {
            scaled.set_scale(scale);
            // Whatever the mask says: nothing was drawn yet.
            let first = picture(size, seed);
            scaled.run_only(&mut engine, &first, size, &some(size, seed), &mut output).unwrap();
            Scaled { scale, ..Scaled::default() }.run(&mut self::engine(), &first, size, &mut expected).unwrap();
            prop_assert!(output == expected, "at first, at {scale}");
            let (mask, before) = (some(size, seed + 1), output.clone());
            let second = picture(size, seed + 1);
            scaled.run_only(&mut engine, &second, size, &mask, &mut output).unwrap();
            for (i, (a, b)) in before.iter().zip(&output).enumerate() {
                prop_assert!(a == b || lies_in(&mask, size, i), "byte {i} at {scale}");
            }
            scaled.run_only(&mut engine, &second, size, &all, &mut output).unwrap();
            Scaled { scale, ..Scaled::default() }.run(&mut self::engine(), &second, size, &mut expected).unwrap();
            prop_assert!(output == expected, "all blocks, at {scale}");
        }
    }
}

/// The network reaches less than two blocks of the smallest picture, and so less than four of the whole one.
#[test]
fn a_change_is_drawn_by_drawing_all_that_follows_from_it() {
    let size = Size::new(330, 250);
    let (mut scaled, mut engine) = (Scaled::default(), engine());
    let (mut output, mut expected) = (vec![0; size.rgb_len()], vec![0; size.rgb_len()]);
    for scale in SCALES {
        scaled.set_scale(scale);
        let mut photo = picture(size, 1);
        let mut mask = BlockMask::new(size);
        scaled.run_only(&mut engine, &photo, size, &mask, &mut output).unwrap();
        let drawn = output.clone();
        for (y, x) in (128..144).flat_map(|y| (160..176).map(move |x| (y, x))) {
            photo[(y * 330 + x) * 3] ^= 0x55;
        }
        for (row, column) in (4..13).flat_map(|row| (6..15).map(move |column| (row, column))) {
            mask.set(column, row, true);
        }
        scaled.run_only(&mut engine, &photo, size, &mask, &mut output).unwrap();
        Scaled { scale, ..Scaled::default() }.run(&mut self::engine(), &photo, size, &mut expected).unwrap();
        assert!(output == expected && output != drawn, "{scale}");
    }
}

#[test]
fn a_scale_that_comes_back_draws_the_picture_of_now() {
    let size = Size::new(96, 64);
    let (mut scaled, mut engine) = (Scaled::default(), engine());
    let (old, new) = (picture(size, 1), picture(size, 2));
    let nothing = BlockMask::new(size);
    let (mut output, mut expected) = (vec![0; size.rgb_len()], vec![0; size.rgb_len()]);
    for (photo, scale) in SCALES.map(|scale| (&old, scale)).into_iter().chain(SCALES.map(|scale| (&new, scale))) {
        scaled.set_scale(scale);
        scaled.run_only(&mut engine, photo, size, &nothing, &mut output).unwrap();
        Scaled { scale, ..Scaled::default() }.run(&mut self::engine(), photo, size, &mut expected).unwrap();
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
        assert!(scaled.run_only(&mut engine, &picture(size, 1), size, &mask, &mut output).is_err());
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
