//! What a restoring style gives back of photos that were damaged in a way that everybody can repeat.

use anyhow::{Context, Result, ensure};
use image::RgbImage;
use nijigen::style::Stylizer;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{Picture, Report, Sums, drawn};
use crate::data::augment::{add_noise, through_jpeg};
use crate::data::damage::chroma::halve_colours;
use crate::data::damage::{DEEPEST, Damage, LEAST_DIM, LEAST_RADIUS};
use crate::data::pairs::LargestScales;
use crate::data::parse_toml;
use crate::data::training_set::LoadedPair;
use crate::distill::config::Config;
use crate::metrics;

/// Deviation of the noise in each channel for itself, of 255.
const NOISE: f32 = 15.0;
/// Quality of the JPEG behind it.
const QUALITY: u8 = 40;
/// Seed of the first photo's noise; the others' follow.
const SEED: u64 = 1540;

/// What the PSNR of an untouched photo counts at most, dB: one that comes back exactly would make the mean infinite, and a
/// difference this small (one step of 255 in every fourth value) is not seen.
const UNSEEN: f64 = 54.0;

/// The configuration that says how strong each damage is at most.
const TRAINED_BY: &str = include_str!("../../configs/restore.toml");

/// A damage that is measured by itself.
struct Alone {
    /// The names of its measures before and after.
    measures: [&'static str; 2],
    damage: Damage,
    /// Whether it befalls single places, in which alone it is measured then: the rest of the picture would hide them.
    in_places: bool,
}

fn strongest() -> Result<Damage> {
    parse_toml::<Config>(TRAINED_BY)?.augment.damage.context("restore.toml does no damage")
}

/// What is measured, in words.
///
/// # Errors
/// When [`TRAINED_BY`] does no damage.
pub fn in_words() -> Result<String> {
    let strongest = strongest()?;
    Ok(format!(
        "What `--style off --enhance` gives back of the held-out photos, each once at its largest size, with noise \
         (deviation {NOISE} of 255, in each channel for itself) and behind it JPEG compression of quality {QUALITY}, once \
         with colours of half the resolution, as cameras send them; then, each alone, of what else befalls a picture: \
         out of focus by a radius of {LEAST_RADIUS} to {} pixels, scratches and holes in the pixels that they touch, low light \
         as a factor of {} to {LEAST_DIM} and a power of 1 to {DEEPEST}.",
        strongest.defocus_radius, strongest.dimmest
    ))
}

/// The damages that are measured by themselves, each as strong at most as [`TRAINED_BY`] says.
fn alone() -> Result<[Alone; 4]> {
    let none = strongest()?.never();
    let measures = |damage: Damage, measures, in_places| Alone { measures, damage, in_places };
    Ok([
        measures(
            Damage { defocus: 1.0, ..none.clone() },
            ["restore_blur_input_psnr_db", "restore_blur_psnr_db"],
            false,
        ),
        measures(
            Damage { scratches: 1.0, ..none.clone() },
            ["restore_scratches_input_psnr_db", "restore_scratches_psnr_db"],
            true,
        ),
        measures(Damage { holes: 1.0, ..none.clone() }, ["restore_holes_input_psnr_db", "restore_holes_psnr_db"], true),
        measures(Damage { dim: 1.0, ..none }, ["restore_low_light_input_psnr_db", "restore_low_light_psnr_db"], false),
    ])
}

/// Measures `restorer`, which is what `nijigen image --style off --enhance` runs, on `held_out` pairs whose targets are their
/// photos: each photo at its largest scale, and the copies that were reduced, whose detail is finer, on their own. The
/// pictures are damaged photo, photo, restored one; other damage has befallen two of three of them too.
///
/// # Errors
/// When there is no such pair, or the network fails.
pub fn evaluate(restorer: &mut Stylizer, held_out: &[LoadedPair]) -> Result<Report> {
    ensure!(
        !held_out.is_empty() && held_out.iter().all(|pair| pair.photo == pair.target),
        "these pairs are not for restoring: make some by `paint --recipe restore`, with photos held out"
    );
    let mut sums = Sums::default();
    let mut pictures = Vec::new();
    let alone = alone()?;
    let none = strongest()?.never();
    let also = [None, Some(Damage { scratches: 1.0, holes: 1.0, ..none.clone() }), Some(Damage { dim: 1.0, ..none })];
    let largest = LargestScales::of(held_out.iter().map(|pair| &pair.entry));
    for (i, LoadedPair { entry, photo, .. }) in held_out.iter().enumerate() {
        let input = damaged(photo, SEED + i as u64)?;
        let restored = restore(restorer, &input)?;
        let [before, after] = [&input, &restored].map(|picture| metrics::psnr(picture, photo));
        if !largest.is_of(entry) {
            sums.add("restore_reduced_input_psnr_db", before);
            sums.add("restore_reduced_psnr_db", after);
            continue;
        }
        sums.add("restore_input_psnr_db", before);
        sums.add("restore_psnr_db", after);
        let camera = damaged_by_a_camera(photo, SEED + i as u64)?;
        sums.add("restore_camera_input_psnr_db", metrics::psnr(&camera, photo));
        sums.add("restore_camera_psnr_db", metrics::psnr(&restore(restorer, &camera)?, photo));
        sums.add("restore_input_ssim", metrics::ssim(&input, photo));
        sums.add("restore_ssim", metrics::ssim(&restored, photo));
        // What it does to a photo that has nothing wrong.
        sums.add("restore_untouched_psnr_db", metrics::psnr(&restore(restorer, photo)?, photo).min(UNSEEN));
        for Alone { measures: [before, after], damage, in_places } in &alone {
            let mut damaged = photo.clone();
            damage.befall_each(std::iter::once(&mut damaged), SEED + i as u64);
            let restored = restore(restorer, &damaged)?;
            // Where nothing is to be seen of it, nothing can be restored.
            let befallen: Vec<bool> = damaged.pixels().zip(photo.pixels()).map(|(a, b)| !in_places || a != b).collect();
            for (measure, picture) in [(before, &damaged), (after, &restored)] {
                if let Some(psnr) = metrics::psnr_where(picture, photo, &befallen) {
                    sums.add(measure, psnr);
                }
            }
        }
        let (shown, output) = match &also[pictures.len() % also.len()] {
            None => (input, restored),
            Some(damage) => {
                let mut shown = photo.clone();
                damage.befall_each(std::iter::once(&mut shown), SEED + i as u64);
                let shown = damaged(&shown, SEED + i as u64)?;
                let output = restore(restorer, &shown)?;
                (shown, output)
            }
        };
        pictures.push(Picture { source: entry.source.clone(), photo: shown, target: photo.clone(), output });
    }
    Ok(Report { metrics: sums.means(), clips: Vec::new(), pictures })
}

fn restore(restorer: &mut Stylizer, photo: &RgbImage) -> Result<RgbImage> {
    drawn(photo, |pixels, size, output| restorer.run(pixels, size, output))
}

fn damaged(photo: &RgbImage, seed: u64) -> Result<RgbImage> {
    through_jpeg(&noisy(photo, seed), QUALITY).context("the JPEG codec failed")
}

/// As [`damaged`], but JPEG's colours have half the resolution.
fn damaged_by_a_camera(photo: &RgbImage, seed: u64) -> Result<RgbImage> {
    let mut noisy = noisy(photo, seed);
    halve_colours(&mut noisy);
    through_jpeg(&noisy, QUALITY).context("the JPEG codec failed")
}

fn noisy(photo: &RgbImage, seed: u64) -> RgbImage {
    let mut noisy = photo.clone();
    add_noise(&mut noisy, NOISE, 0.0, &mut ChaCha8Rng::seed_from_u64(seed));
    noisy
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgb;

    use super::*;

    #[test]
    fn the_damage_is_always_the_same_and_as_strong_as_said() {
        let photo = RgbImage::from_pixel(64, 64, Rgb([120, 130, 110]));
        let deviation = metrics::mse(&noisy(&photo, SEED), &photo).sqrt();
        assert!((14.0..16.0).contains(&deviation), "{deviation}");
        let twice = [1, 1].map(|seed| damaged(&photo, seed).unwrap());
        assert!(twice[0] == twice[1] && twice[0] != damaged(&photo, 2).unwrap());
    }
}
