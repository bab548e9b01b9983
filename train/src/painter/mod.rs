//! The painter: a classical, deterministic picture of a style.
//!
//! A photo goes through four stages, each a function of its own: [`flatten`] takes texture away, [`cel`] puts the
//! lightness in soft steps, [`ink`] draws lines, [`grade`] colours. Radii are pixels, so what is small is lost: heads
//! smaller than the recipe's ideal are painted enlarged, scaled back, and blended in.

pub mod cel;
pub mod faces;
pub mod flatten;
pub mod grade;
pub mod ink;
pub mod plane;
pub mod recipe;

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

pub use faces::FaceBox;
use faces::Patch;
use grade::Rgb;
use plane::{Lab, Plane};
pub use recipe::Recipe;

/// Changes whenever the same recipe gives another picture; part of what a painted pair is recognised by.
pub const VERSION: u32 = 1;

/// Paints a picture. `faces` are the faces in it, in its pixels; without them it is painted at its own size only.
/// The result has the size of the photo and depends on nothing but the arguments.
pub fn paint(photo: &RgbImage, recipe: &Recipe, faces: &[FaceBox]) -> RgbImage {
    let (width, height) = photo.dimensions();
    if width == 0 || height == 0 {
        return photo.clone();
    }
    let mut picture = paint_once(photo, recipe, faces);
    for face in faces {
        if let Some(patch) = Patch::around(face, width, height, &recipe.faces) {
            paint_patch(&mut picture, photo, recipe, faces, face, &patch);
        }
    }
    grade::glow(&mut picture, &recipe.glow);
    to_image(&picture)
}

/// All stages but the glow, at the picture's own size.
fn paint_once(photo: &RgbImage, recipe: &Recipe, faces: &[FaceBox]) -> Rgb {
    let mut lab = Lab::from_rgb(photo);
    let detail = faces::features(lab.l.width, lab.l.height, faces);
    faces::bring_out(&mut lab, &detail, &recipe.faces);
    let flat = flatten::flatten(&lab, &detail, &recipe.flatten);
    let light = cel::cel(&flat, &recipe.cel);
    let ink = ink::ink(&lab, &flat, &detail, &recipe.ink);
    grade::grade(&flat, &light, &ink, &recipe.grade)
}

/// Paints the surroundings of `face` enlarged and blends them into `picture`.
fn paint_patch(picture: &mut Rgb, photo: &RgbImage, recipe: &Recipe, faces: &[FaceBox], face: &FaceBox, patch: &Patch) {
    let crop = image::imageops::crop_imm(photo, patch.left, patch.top, patch.width, patch.height).to_image();
    let large = resized(&crop, patch.painted, FilterType::CatmullRom);
    let (left, top) = (patch.left as f32, patch.top as f32);
    let by = patch.painted.1 as f32 / patch.height as f32;
    let moved: Vec<FaceBox> = faces.iter().map(|f| f.moved(left, top, by)).collect();
    let painted = to_image(&paint_once(&large, recipe, &moved));
    let small = resized(&painted, (patch.width, patch.height), FilterType::CatmullRom);
    let head = faces::heads(patch.width as usize, patch.height as usize, &[face.moved(left, top, 1.0)], &recipe.faces);
    for (x, y, pixel) in small.enumerate_pixels() {
        let share = head.row(y as usize)[x as usize];
        for (plane, &value) in picture.iter_mut().zip(&pixel.0) {
            let i = (y + patch.top) as usize * plane.width + (x + patch.left) as usize;
            plane.values[i] += share * (f32::from(value) / 255.0 - plane.values[i]);
        }
    }
}

/// A picture in bytes.
fn to_image(picture: &[Plane; 3]) -> RgbImage {
    let [r, g, b] = picture;
    RgbImage::from_fn(r.width as u32, r.height as u32, |x, y| {
        let i = y as usize * r.width + x as usize;
        image::Rgb([r, g, b].map(|p| (p.values[i].clamp(0.0, 1.0) * 255.0).round() as u8))
    })
}

/// The picture at another size.
pub fn resized(picture: &RgbImage, (width, height): (u32, u32), filter: FilterType) -> RgbImage {
    if picture.dimensions() == (width, height) {
        return picture.clone();
    }
    let source = Image::from_vec_u8(picture.width(), picture.height(), picture.as_raw().clone(), PixelType::U8x3)
        .expect("three bytes per pixel");
    let mut target = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    Resizer::new().resize(&source, &mut target, &options).expect("both pictures are of the same type");
    RgbImage::from_raw(width, height, target.into_vec()).expect("three bytes per pixel")
}
