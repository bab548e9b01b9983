#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use super::*;
use crate::engine::contract::FloatNetwork;
use crate::engine::fused::FusedGenerator;
use crate::engine::kernels::Isa;
use crate::engine::topology::{StudentSize, Topology};
use crate::style::low_light::Curve;
use crate::style::{Scale, Stylizer};

/// Not a multiple of a block.
const SIZE: Size = Size::new(203, 157);

fn fused(topology: Topology, seed: u64) -> Box<dyn Generator> {
    let net = FloatNetwork::random(topology, seed).quantize().unwrap();
    Box::new(FusedGenerator::new(&net, Isa::best(), 1).unwrap())
}

fn restorer() -> Box<dyn Generator> {
    fused(Topology::two_scale(StudentSize::S), 7)
}

fn style() -> Box<dyn Generator> {
    fused(Topology::two_scale(StudentSize::S).with_person_mask(), 8)
}

fn enhanced(strength: f32) -> Stylizer {
    Stylizer::new("random", style(), strength).enhanced_by(restorer())
}

fn photo(size: Size, seed: u64) -> Vec<u8> {
    let mut at = seed;
    let byte = |_| {
        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (at >> 56) as u8
    };
    (0..size.rgb_len()).map(byte).collect()
}

fn drawn(stylizer: &mut Stylizer, photo: &[u8], size: Size) -> Vec<u8> {
    let mut output = vec![0; photo.len()];
    stylizer.run(photo, size, &mut output).unwrap();
    output
}

/// What one network after the other makes of a photo: restored, and drawn.
fn one_by_one(photo: &[u8], size: Size, region: Region) -> (Vec<u8>, Vec<u8>) {
    let (mut restored, mut picture) = (vec![0; photo.len()], vec![0; photo.len()]);
    restorer().run(photo, size, &mut restored).unwrap();
    let mut style = style();
    style.set_region(region);
    style.run(&restored, size, &mut picture).unwrap();
    (restored, picture)
}

#[test]
fn what_is_drawn_and_what_is_not_is_the_restored_photo() {
    let photo = photo(SIZE, 1);
    for region in [Region::All, Region::Person] {
        let (restored, picture) = one_by_one(&photo, SIZE, region);
        assert!(restored != photo);
        assert_eq!(picture == restored, region == Region::Person, "the random network sees nobody");
        for strength in [1.0, 0.6, 0.0] {
            let mut expected = picture.clone();
            blend(&restored, &mut expected, strength);
            let mut stylizer = enhanced(strength);
            stylizer.set_region(region);
            assert!(drawn(&mut stylizer, &photo, SIZE) == expected, "{region} at {strength}");
            let mut in_place = photo.clone();
            stylizer.run_in_place(&mut in_place, SIZE, &mut |_| Ok(())).unwrap();
            assert!(in_place == expected, "in place, {region} at {strength}");
        }
    }
    let (restored, _) = one_by_one(&photo, SIZE, Region::All);
    assert!(drawn(&mut Stylizer::off().enhanced_by(restorer()), &photo, SIZE) == restored);
    let mut off = enhanced(1.0);
    off.set_on(false);
    assert!(drawn(&mut off, &photo, SIZE) == photo, "switched off it is the camera's photo");
    off.set_on(true);
    assert!(drawn(&mut off, &photo, SIZE) != photo);
}

#[test]
fn a_photo_is_restored_at_its_own_size_and_drawn_at_the_styles() {
    let photo = photo(SIZE, 2);
    let (restored, _) = one_by_one(&photo, SIZE, Region::All);
    let detail = Detail::Side(80);
    let mut expected = restored;
    Stylizer::new("random", style(), 0.5)
        .with_detail(detail)
        .run_in_place(&mut expected, SIZE, &mut |_| Ok(()))
        .unwrap();
    let mut pixels = photo;
    let mut told = Vec::new();
    let mut progress = |share: f32| {
        told.push(share);
        Ok(())
    };
    enhanced(0.5).with_detail(detail).run_in_place(&mut pixels, SIZE, &mut progress).unwrap();
    assert!(pixels == expected);
    assert!(told.is_sorted() && told.iter().all(|share| (0.0..=1.0).contains(share)), "{told:?}");
    let restored_alone = Stylizer::off().enhanced_by(restorer()).with_detail(detail);
    assert!(restored_alone.manner(Size::new(4000, 3000)).ends_with("tiles"));
}

/// A square that moves through noise before a wall.
fn scene(frame: usize) -> Vec<u8> {
    let mut pixels = photo(SIZE, frame as u64);
    let width = SIZE.width as usize;
    for (i, byte) in pixels.iter_mut().enumerate() {
        let (x, y) = (i / 3 % width, i / 3 / width);
        let square = (frame * 5..frame * 5 + 30).contains(&x) && (40..70).contains(&y);
        *byte = 170 + (x / 8) as u8 + if square { 40 } else { 0 } + *byte % 3;
    }
    pixels
}

#[test]
fn a_live_picture_is_computed_where_it_changed_by_both_networks() {
    for scale in [Scale::Full, Scale::Half] {
        let mut stylizer = enhanced(0.8);
        stylizer.set_stability(0.5);
        stylizer.set_scale(scale);
        let began = Instant::now();
        let mut output = vec![0; SIZE.rgb_len()];
        let mut work = Vec::new();
        for frame in 0..24 {
            let before = output.clone();
            let now = began + Duration::from_millis(33) * frame as u32;
            work.push(stylizer.run_live(&scene(frame), SIZE, now, &mut output).unwrap());
            let mask = stylizer.held_mask().unwrap();
            let width = SIZE.width as usize;
            for y in 0..SIZE.height as usize {
                for x in (0..width).filter(|&x| !mask.get(x / 16, y / 16)) {
                    let at = (y * width + x) * 3;
                    assert_eq!(output[at..at + 3], before[at..at + 3], "frame {frame}, ({x}, {y}) at {scale}");
                }
            }
        }
        assert!(work[0].computed >= work[0].whole, "the first frame is drawn whole");
        let whole = restorer().macs(scale.of(SIZE)) + style().macs(scale.of(SIZE));
        assert_eq!(work[0].whole, whole);
        assert!(work[20..].iter().all(|work| work.computed > 0 && work.reuse() > 0.3), "at {scale}: {work:?}");
        // What has been kept is the picture of what was processed: whole, it is drawn the same.
        stylizer.start_anew();
        let last = scene(23);
        stylizer.run_live(&last, SIZE, began + Duration::from_secs(2), &mut output).unwrap();
        let mut fresh = enhanced(0.8);
        fresh.set_scale(scale);
        assert!(output == drawn(&mut fresh, &last, SIZE), "at {scale}");
    }
}

#[test]
fn another_size_and_strength_on_the_way_leave_nothing_behind() {
    let mut stylizer = enhanced(1.0);
    stylizer.set_stability(0.5);
    let began = Instant::now();
    let mut frames = 0;
    let mut live = |stylizer: &mut Stylizer, size: Size, seed: u64| {
        frames += 1;
        let mut output = vec![0; size.rgb_len()];
        stylizer.run_live(&photo(size, seed), size, began + Duration::from_millis(33) * frames, &mut output).unwrap();
        output
    };
    let small = Size::new(64, 80);
    live(&mut stylizer, SIZE, 1);
    live(&mut stylizer, small, 2);
    assert!(live(&mut stylizer, SIZE, 3) == drawn(&mut enhanced(1.0), &photo(SIZE, 3), SIZE));
    stylizer.set_strength(0.0);
    live(&mut stylizer, SIZE, 4);
    stylizer.set_strength(0.7);
    assert!(live(&mut stylizer, SIZE, 5) == drawn(&mut enhanced(0.7), &photo(SIZE, 5), SIZE));
}

#[test]
fn what_low_light_took_is_given_back_before_a_photo_is_restored() {
    let dim: Vec<u8> = photo(SIZE, 6).iter().map(|value| value / 3).collect();
    let mut lifted = dim.clone();
    Curve::of(&dim, SIZE).unwrap().lift(&mut lifted);
    assert!(lifted != dim);
    let (restored, picture) = one_by_one(&lifted, SIZE, Region::All);
    let mut in_place = dim.clone();
    enhanced(1.0).run_in_place(&mut in_place, SIZE, &mut |_| Ok(())).unwrap();
    assert!(in_place == picture && drawn(&mut enhanced(1.0), &dim, SIZE) == picture);
    let mut alone = Stylizer::off().enhanced_by(restorer());
    assert!(drawn(&mut alone, &dim, SIZE) == restored);
    // Live, it is drawn whole while the light changes, as a photo in good light is from the first frame in it.
    alone.set_stability(0.5);
    let began = Instant::now();
    let mut frames = 0;
    let mut live = |photo: &[u8]| {
        frames += 1;
        let mut output = vec![0; SIZE.rgb_len()];
        let captured = began + Duration::from_millis(33) * frames;
        let work = alone.run_live(photo, SIZE, captured, &mut output).unwrap();
        (output, work.computed >= work.whole)
    };
    let bright = photo(SIZE, 6);
    let of_bright = drawn(&mut Stylizer::off().enhanced_by(restorer()), &bright, SIZE);
    assert!(live(&dim) == (restored.clone(), true));
    assert!(live(&dim) == (restored.clone(), false));
    assert!(live(&bright) == (of_bright, true));
    let (on_its_way, whole) = live(&dim);
    assert!(whole && on_its_way != restored);
    let later: Vec<bool> = (0..60).map(|_| live(&dim).1).collect();
    assert!(later[..8].iter().all(|whole| *whole) && !later[50..].contains(&true), "{later:?}");
    assert!(live(&dim).0 == restored);
}
