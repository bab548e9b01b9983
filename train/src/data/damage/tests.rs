#![allow(clippy::unwrap_used)]

use super::*;
use crate::metrics::{l1, mse};

const WHOLE: Damage = Damage {
    dim: 1.0,
    dimmest: 0.3,
    defocus: 1.0,
    defocus_radius: 2.0,
    motion: 1.0,
    motion_length: 7.0,
    noise: 1.0,
    noise_deviation: 25.0,
    noise_grey: 0.8,
    noise_coarse: 0.5,
    scratches: 1.0,
    scratches_most: 3,
    holes: 1.0,
    holes_most: 3,
    holes_radius: 5.0,
    touched_weight: 0.0,
    jpeg: 1.0,
    jpeg_from: 25,
    jpeg_to: 95,
    jpeg_halved: 0.0,
    noiseless: 0.0,
    noiseless_defocus: 0.0,
};

fn photo() -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| if x < 24 { Rgb([60, 50, 40]) } else { Rgb([200, 90 + y as u8, 120]) })
}

fn flat() -> RgbImage {
    RgbImage::from_pixel(64, 48, Rgb([120; 3]))
}

fn suffered(damage: &Damage, seed: u64) -> Suffered {
    damage.suffered(&mut ChaCha8Rng::seed_from_u64(seed))
}

fn damaged(photo: &RgbImage, damage: &Damage, seed: u64) -> RgbImage {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let suffered = damage.suffered(&mut rng);
    let mut photo = photo.clone();
    suffered.befall(&mut photo, &mut rng);
    photo
}

#[test]
fn what_is_not_asked_for_does_not_befall() {
    assert!(damaged(&photo(), &Damage::default(), 1) == photo());
    assert_eq!(toml::from_str::<Damage>("").unwrap(), Damage::default());
    assert!(Damage::default().fault().is_none() && WHOLE.fault().is_none());
}

#[test]
fn low_light_darkens_shadows_most() {
    let bright = Damage { dim: 1.0, dimmest: 0.7, ..Damage::default() };
    assert!(bright.fault().is_some_and(|fault| fault.contains("'dimmest'")));
    for seed in 0..8 {
        let dim = damaged(&photo(), &Damage { dim: 1.0, dimmest: 0.3, ..Damage::default() }, seed);
        let share = |x: u32| f32::from(dim.get_pixel(x, 0).0[0]) / f32::from(photo().get_pixel(x, 0).0[0]);
        assert!(share(0) < 1.0 && share(0) <= share(40) + 0.02, "{} {}", share(0), share(40));
        assert!((0.2..0.61).contains(&share(40)), "{}", share(40));
    }
}

#[test]
fn a_blur_spreads_what_there_is() {
    let mut point = RgbImage::new(33, 33);
    point.put_pixel(16, 16, Rgb([255; 3]));
    let mut directions = std::collections::BTreeSet::new();
    for seed in 0..12 {
        for blur in [
            Damage { defocus: 1.0, defocus_radius: 2.0, ..Damage::default() },
            Damage { motion: 1.0, motion_length: 7.0, ..Damage::default() },
        ] {
            let spread = damaged(&point, &blur, seed);
            let lit: Vec<(i32, i32)> = spread
                .enumerate_pixels()
                .filter(|p| p.2.0[0] > 8)
                .map(|p| (p.0 as i32 - 16, p.1 as i32 - 16))
                .collect();
            let sum: u32 = spread.pixels().map(|p| u32::from(p.0[0])).sum();
            assert!(lit.len() > 1 && (200..320).contains(&sum), "{sum} in {lit:?}");
            // Alike on both sides of the point.
            assert!(lit.iter().all(|(x, y)| spread.get_pixel((16 - x) as u32, (16 - y) as u32).0[0] > 2), "{lit:?}");
            let wide = lit.iter().map(|p| p.0.abs()).max() > lit.iter().map(|p| p.1.abs()).max();
            directions.insert(wide && blur.motion > 0.0);
        }
        assert!(damaged(&flat(), &Damage { defocus: 1.0, defocus_radius: 2.0, ..Damage::default() }, seed) == flat());
    }
    assert_eq!(directions.len(), 2, "cameras move in several directions");
}

#[test]
fn noise_has_many_levels_fine_and_coarse() {
    let noise = |coarse, seed| {
        let damage = Damage { noise: 1.0, noise_deviation: 25.0, noise_coarse: coarse, ..Damage::default() };
        let picture = damaged(&flat(), &damage, seed);
        // How much a value has in common with its neighbour.
        let centred = |x: u32, y: u32| f64::from(picture.get_pixel(x, y).0[1]) - 120.0;
        let pairs = (0..48).flat_map(|y| (0..63).map(move |x| (x, y)));
        let common: f64 = pairs.clone().map(|(x, y)| centred(x, y) * centred(x + 1, y)).sum();
        let own: f64 = pairs.map(|(x, y)| centred(x, y).powi(2)).sum();
        (mse(&picture, &flat()).sqrt(), common / own)
    };
    let levels: Vec<f64> = (0..24).map(|seed| noise(0.0, seed).0).collect();
    assert!(levels.iter().any(|&d| d < 6.0) && levels.iter().any(|&d| (18.0..27.0).contains(&d)), "{levels:?}");
    for seed in [1, 2, 3] {
        let ((fine, apart), (coarse, together)) = (noise(0.0, seed), noise(1.0, seed));
        assert!((fine - coarse).abs() < 0.15 * fine + 0.5, "as strong: {fine} and {coarse}");
        assert!(apart.abs() < 0.1 && together > 0.3, "{apart} and {together}");
    }
}

#[test]
fn scratches_and_holes_are_small_and_the_same_in_the_next_moment() {
    for seed in 0..12 {
        let scratches = Damage { scratches: 1.0, scratches_most: 2, ..Damage::default() };
        let holes = Damage { holes: 1.0, holes_most: 2, holes_radius: 4.0, ..Damage::default() };
        for damage in [scratches, holes] {
            let picture = damaged(&flat(), &damage, seed);
            let touched = picture.pixels().zip(flat().pixels()).filter(|(a, b)| a != b).count();
            assert!((1..64 * 48 / 4).contains(&touched), "{touched} pixels");
            let suffered = suffered(&damage, seed);
            let [now, later] = [1, 2].map(|moment| {
                let mut photo = photo();
                let touched = suffered.befall(&mut photo, &mut ChaCha8Rng::seed_from_u64(moment));
                let whole = self::photo();
                let differs = photo.pixels().zip(whole.pixels()).map(|(a, b)| a != b);
                assert!(touched.into_iter().eq(differs), "they alone are told of");
                photo
            });
            assert!(now == later && now != photo());
        }
    }
}

#[test]
fn what_is_measured_on_is_always_damaged_alike() {
    let measured = |seed| {
        let mut photos = [photo(), photo()];
        WHOLE.befall_each(photos.iter_mut(), seed);
        photos
    };
    assert!(measured(1) == measured(1) && measured(1) != measured(2));
    assert!(measured(1)[0] != measured(1)[1] && measured(1)[0] != photo());
}

#[test]
fn the_lower_the_quality_the_worse() {
    let jpeg = |quality| {
        let damage = Damage { jpeg: 1.0, jpeg_from: quality, jpeg_to: quality, ..Damage::default() };
        l1(&damaged(&photo(), &damage, 1), &photo())
    };
    assert!(jpeg(25) > jpeg(60) && jpeg(60) > jpeg(95) && jpeg(95) > 0.0);
}

#[test]
fn colours_at_half_the_resolution_lose_thin_stripes() {
    let striped = RgbImage::from_fn(32, 32, |x, _| Rgb([[180, 40, 60], [20, 122, 60]][x as usize % 2]));
    let halved = |jpeg_halved| {
        let damage = Damage { jpeg: 1.0, jpeg_from: 95, jpeg_to: 95, jpeg_halved, ..Damage::default() };
        l1(&damaged(&striped, &damage, 1), &striped)
    };
    assert!(halved(1.0) > 3.0 * halved(0.0));
}

#[test]
fn photos_without_noise_are_blurred_by_a_share_of_their_own() {
    let damage = Damage { defocus: 0.0, noiseless: 0.5, noiseless_defocus: 1.0, ..WHOLE };
    let drawn: Vec<Suffered> = (0..32).map(|seed| suffered(&damage, seed)).collect();
    let blurred = drawn.iter().filter(|drawn| drawn.defocus.is_some());
    assert!((8..24).contains(&blurred.clone().count()));
    assert!(blurred.clone().all(|drawn| drawn.noise.is_none() && drawn.jpeg.is_none() && drawn.scratches > 0));
    assert!(drawn.iter().all(|drawn| drawn.defocus.is_some() || drawn.noise.is_some() && drawn.jpeg.is_some()));
    assert!(suffered(&damage.never(), 1) == suffered(&WHOLE.never(), 1));
}

#[test]
fn a_value_that_makes_no_sense_is_named() {
    for (damage, name) in [
        (Damage { dim: 1.5, ..WHOLE }, "shares"),
        (Damage { noise_grey: f32::NAN, ..WHOLE }, "shares"),
        (Damage { noiseless: -0.1, ..WHOLE }, "shares"),
        (Damage { dimmest: 0.0, ..WHOLE }, "dimmest"),
        (Damage { defocus_radius: 0.1, ..WHOLE }, "defocus_radius"),
        (Damage { motion_length: 100.0, ..WHOLE }, "motion_length"),
        (Damage { noise_deviation: -1.0, ..WHOLE }, "noise_deviation"),
        (Damage { scratches_most: 0, ..WHOLE }, "scratches_most"),
        (Damage { holes_radius: 0.0, ..WHOLE }, "holes_radius"),
        (Damage { jpeg_from: 0, ..WHOLE }, "jpeg_from"),
        (Damage { jpeg_from: 90, jpeg_to: 80, ..WHOLE }, "jpeg_from"),
    ] {
        assert!(damage.fault().unwrap().contains(name), "{damage:?}");
    }
}
