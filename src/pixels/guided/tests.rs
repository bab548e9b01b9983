use proptest::prelude::*;

use super::*;
use crate::pixels::resize::{Filter, Scaler};

/// Bytes that follow from `seed`, smooth enough in places for lines to be fitted.
fn picture(size: Size, seed: u64) -> Vec<u8> {
    let noise = |i: u64| (i.wrapping_add(seed << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as u8;
    let width = size.width as usize * 3;
    (0..size.rgb_len()).map(|i| noise(i as u64) + (((i % width) / 24 + i / width / 7) % 2) as u8 * 150).collect()
}

fn enlarged(small: Size, large: Size, pictures: Pictures<'_>, parts: &[Part]) -> Vec<u8> {
    let mut guided = Guided::new(small, large);
    let mut output = vec![0; large.rgb_len()];
    parts.iter().for_each(|part| guided.enlarge(pictures, part, &mut output));
    output
}

fn whole(size: Size) -> Part {
    Part { columns: 0..size.width as usize, rows: 0..size.height as usize }
}

fn scaled(pixels: &[u8], from: Size, to: Size) -> Vec<u8> {
    let mut output = vec![0; to.rgb_len()];
    Scaler::new(Filter::Bilinear).scale(pixels, from, &mut output, to).expect("both have their lengths");
    output
}

/// The same in floats, as the papers write it.
fn reference(small: Size, large: Size, pictures: Pictures<'_>) -> Vec<f64> {
    let at = |picture: &[u8], x: isize, y: isize, c: usize| {
        let (x, y) = (x.clamp(0, small.width as isize - 1), y.clamp(0, small.height as isize - 1));
        f64::from(picture[(y as usize * small.width as usize + x as usize) * 3 + c])
    };
    let line = |x: usize, y: usize, c: usize| {
        let mut sums = [0.0; 4];
        for (dy, dx) in (-1..=1_isize).flat_map(|dy| (-1..=1_isize).map(move |dx| (dy, dx))) {
            let weight = f64::from((2 - dx.abs() as i32) * (2 - dy.abs() as i32)) / 16.0;
            let (x, y) = (x as isize + dx, y as isize + dy);
            let (photo, drawn) = (at(pictures.small, x, y, c), at(pictures.drawn, x, y, c));
            let terms = [photo, drawn, photo * photo, photo * drawn];
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += weight * term);
        }
        let [photo, drawn, squares, products] = sums;
        let slope = (products - photo * drawn) / (squares - photo * photo + f64::from(FLAT));
        let slope = slope.clamp(f64::from(-STEEPEST), f64::from(STEEPEST));
        (slope, drawn - slope * photo)
    };
    let place = |n: usize, small: u32, large: u32| {
        let place = (n as f64 + 0.5) * f64::from(small) / f64::from(large) - 0.5;
        let place = place.clamp(0.0, f64::from(small - 1));
        (place as usize, (place as usize + 1).min(small as usize - 1), place.fract())
    };
    let mut output = Vec::new();
    for y in 0..large.height as usize {
        let (top, bottom, down) = place(y, small.height, large.height);
        for x in 0..large.width as usize {
            let (left, right, along) = place(x, small.width, large.width);
            for c in 0..3 {
                let mix = |a: (f64, f64), b: (f64, f64), t: f64| (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t);
                let above = mix(line(left, top, c), line(right, top, c), along);
                let below = mix(line(left, bottom, c), line(right, bottom, c), along);
                let (slope, value) = mix(above, below, down);
                let photo = f64::from(pictures.photo[(y * large.width as usize + x) * 3 + c]);
                output.push((slope * photo + value).clamp(0.0, 255.0));
            }
        }
    }
    output
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn it_is_the_guided_filter(w in 1..40_u32, h in 1..30_u32, more in 0..40_u32, seed in 0..1000_u64) {
        let (small, large) = (Size::new(w, h), Size::new(w + more, h + more / 2));
        let (drawn, photo) = (picture(small, seed), picture(large, seed + 1));
        let small_photo = scaled(&photo, large, small);
        let pictures = Pictures { drawn: &drawn, small: &small_photo, photo: &photo };
        let output = enlarged(small, large, pictures, &[whole(large)]);
        for (got, want) in output.iter().zip(reference(small, large, pictures)) {
            prop_assert!((f64::from(*got) - want).abs() < 1.3, "{got} should be {want}");
        }
    }

    #[test]
    fn parts_are_what_the_whole_is(
        w in 1..50_u32, h in 1..50_u32, more in 0..50_u32, cut in (0.0..1.0_f64, 0.0..1.0_f64), seed in 0..1000_u64
    ) {
        let (small, large) = (Size::new(w, h), Size::new(w + more, h + more));
        let (drawn, photo) = (picture(small, seed), picture(large, seed + 1));
        let small_photo = scaled(&photo, large, small);
        let pictures = Pictures { drawn: &drawn, small: &small_photo, photo: &photo };
        let (wide, high) = (large.width as usize, large.height as usize);
        let (x, y) = ((cut.0 * wide as f64) as usize, (cut.1 * high as f64) as usize);
        let parts: Vec<Part> = [(0..x, 0..y), (x..wide, 0..y), (0..x, y..high), (x..wide, y..high)]
            .map(|(columns, rows)| Part { columns, rows })
            .into();
        let once = enlarged(small, large, pictures, &[whole(large)]);
        prop_assert!(enlarged(small, large, pictures, &parts) == once);
    }
}

#[test]
fn a_flat_drawing_stays_flat_whatever_the_photo_is() {
    let (small, large) = (Size::new(20, 10), Size::new(40, 20));
    let (drawn, photo) = ([10, 120, 250].repeat(small.area()), picture(large, 1));
    let pictures = Pictures { drawn: &drawn, small: &scaled(&photo, large, small), photo: &photo };
    assert_eq!(enlarged(small, large, pictures, &[whole(large)]), [10, 120, 250].repeat(large.area()));
}

#[test]
fn an_edge_is_as_sharp_as_in_the_large_photo() {
    // A dark and a bright half; the drawing turns 60 and 200 into 20 and 240.
    let (small, large) = (Size::new(16, 8), Size::new(32, 16));
    let halves = |size: Size, edge: u32, dark: u8, bright: u8| -> Vec<u8> {
        (0..size.area() as u32).flat_map(|i| [if i % size.width < edge { dark } else { bright }; 3]).collect()
    };
    // The edge lies in the middle of a small pixel, which is a mixture.
    let photo = halves(large, 15, 60, 200);
    let small_photo = scaled(&photo, large, small);
    let drawn: Vec<u8> =
        small_photo.iter().map(|&b| (f64::from(b) * 220.0 / 140.0 - 74.0).clamp(20.0, 240.0) as u8).collect();
    let pictures = Pictures { drawn: &drawn, small: &small_photo, photo: &photo };
    let sharp = enlarged(small, large, pictures, &[whole(large)]);
    let row = &sharp[8 * 32 * 3..9 * 32 * 3];
    assert!(row[14 * 3] < 40 && row[15 * 3] > 220, "{row:?}");
    let blurred = scaled(&drawn, small, large);
    let row = &blurred[8 * 32 * 3..9 * 32 * 3];
    assert!(row[15 * 3] - row[14 * 3] < 100, "{row:?}");
}
