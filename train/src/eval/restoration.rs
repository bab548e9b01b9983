//! What a restoring style gives back of photos that were damaged in a way that everybody can repeat.

use anyhow::{Context, Result, ensure};
use image::RgbImage;
use nijigen::engine::Generator;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{Picture, Report, Sums, run_generator};
use crate::data::augment::{add_noise, through_jpeg};
use crate::data::damage::Damage;
use crate::data::pairs::LargestScales;
use crate::data::training_set::LoadedPair;
use crate::metrics;

/// Deviation of the noise in each channel for itself, of 255.
pub const NOISE: f32 = 15.0;
/// Quality of the JPEG behind it.
pub const QUALITY: u8 = 40;
/// Seed of the first photo's noise; the others' follow.
const SEED: u64 = 1540;

/// Damages that are measured one by one, each as strong at most as the shipped `restore` was trained on: the names of
/// its measures before and after, and the damage.
fn alone() -> [([&'static str; 2], Damage); 4] {
    [
        (
            ["restore_blur_input_psnr_db", "restore_blur_psnr_db"],
            Damage { defocus: 1.0, defocus_radius: 1.8, ..Damage::default() },
        ),
        (
            ["restore_scratches_input_psnr_db", "restore_scratches_psnr_db"],
            Damage { scratches: 1.0, scratches_most: 4, ..Damage::default() },
        ),
        (
            ["restore_holes_input_psnr_db", "restore_holes_psnr_db"],
            Damage { holes: 1.0, holes_most: 6, holes_radius: 4.0, ..Damage::default() },
        ),
        (
            ["restore_low_light_input_psnr_db", "restore_low_light_psnr_db"],
            Damage { dim: 1.0, dimmest: 0.45, ..Damage::default() },
        ),
    ]
}

/// Measures on `held_out` pairs whose targets are their photos: each photo at its largest scale, and the copies that were
/// reduced, whose detail is finer, on their own. The pictures are damaged photo, photo, restored one.
///
/// # Errors
/// When there is no such pair, or the network fails.
pub fn evaluate(generator: &mut dyn Generator, held_out: &[LoadedPair]) -> Result<Report> {
    ensure!(
        !held_out.is_empty() && held_out.iter().all(|pair| pair.photo == pair.target),
        "these pairs are not for restoring: make some by `paint --recipe restore`, with photos held out"
    );
    let mut sums = Sums::default();
    let mut pictures = Vec::new();
    let largest = LargestScales::of(held_out.iter().map(|pair| &pair.entry));
    for (i, LoadedPair { entry, photo, .. }) in held_out.iter().enumerate() {
        let damaged = damaged(photo, SEED + i as u64)?;
        let restored = run_generator(generator, &damaged)?;
        let [before, after] = [&damaged, &restored].map(|picture| metrics::psnr(picture, photo));
        if !largest.is_of(entry) {
            sums.add("restore_reduced_input_psnr_db", before);
            sums.add("restore_reduced_psnr_db", after);
            continue;
        }
        sums.add("restore_input_psnr_db", before);
        sums.add("restore_psnr_db", after);
        sums.add("restore_input_ssim", metrics::ssim(&damaged, photo));
        sums.add("restore_ssim", metrics::ssim(&restored, photo));
        // What it does to a photo that has nothing wrong.
        sums.add("restore_untouched_psnr_db", metrics::psnr(&run_generator(generator, photo)?, photo));
        for ([before, after], damage) in alone() {
            let mut damaged = photo.clone();
            damage.befall_each(std::iter::once(&mut damaged), SEED + i as u64);
            sums.add(before, metrics::psnr(&damaged, photo));
            sums.add(after, metrics::psnr(&run_generator(generator, &damaged)?, photo));
        }
        let source = entry.source.clone();
        pictures.push(Picture { source, photo: damaged, target: photo.clone(), output: restored });
    }
    Ok(Report { metrics: sums.means(), clips: Vec::new(), pictures })
}

fn damaged(photo: &RgbImage, seed: u64) -> Result<RgbImage> {
    let mut noisy = photo.clone();
    add_noise(&mut noisy, NOISE, 0.0, &mut ChaCha8Rng::seed_from_u64(seed));
    through_jpeg(&noisy, QUALITY).context("the JPEG codec failed")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgb;

    use super::*;

    #[test]
    fn the_damage_is_always_the_same_and_as_strong_as_said() {
        let photo = RgbImage::from_pixel(64, 64, Rgb([120, 130, 110]));
        let mut noisy = photo.clone();
        add_noise(&mut noisy, NOISE, 0.0, &mut ChaCha8Rng::seed_from_u64(SEED));
        let deviation = metrics::mse(&noisy, &photo).sqrt();
        assert!((14.0..16.0).contains(&deviation), "{deviation}");
        let twice = [1, 1].map(|seed| damaged(&photo, seed).unwrap());
        assert!(twice[0] == twice[1] && twice[0] != damaged(&photo, 2).unwrap());
    }
}
