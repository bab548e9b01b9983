//! The painter: a classical, deterministic picture of a style.
//!
//! A photo goes through four stages, each a function of its own: [`flatten`] takes texture away, [`cel`] puts the
//! lightness in soft steps, [`ink`] draws lines, [`grade`] colours. A recipe may add others: [`dodge`] lifts the dark,
//! [`brush`] paints in dabs, [`tone`] puts few tones and solid blacks in place of the steps, [`wash`] makes
//! watercolour, [`relief`] thick paint, and [`pattern`] lays paper or a screen of dots over it all.
//!
//! Radii are pixels, so what is small is lost: heads smaller than the recipe's ideal are painted enlarged, scaled back,
//! and blended in. Every stage is a function of the picture with smooth weights, and nothing is random: what does not
//! follow from a photo no student can learn.

pub mod brush;
pub mod cel;
mod check;
pub mod dodge;
pub mod faces;
pub mod flatten;
pub mod flow;
pub mod grade;
pub mod ink;
pub mod pattern;
pub mod plane;
pub mod recipe;
pub mod relief;
pub mod stages;
pub mod tone;
pub mod wash;

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

pub use faces::FaceBox;
use faces::Patch;
use grade::Rgb;
use plane::{Lab, Plane};
pub use recipe::Recipe;
use stages::PatternKind;

/// Changes whenever the same recipe gives another picture; part of what a painted pair is recognised by.
pub const VERSION: u32 = 3;

/// Paints a picture. `faces` are the faces in it, in its pixels; without them it is painted at its own size only.
/// The result has the size of the photo and depends on nothing but the arguments.
pub fn paint(photo: &RgbImage, recipe: &Recipe, faces: &[FaceBox]) -> RgbImage {
    let (width, height) = photo.dimensions();
    if width == 0 || height == 0 {
        return photo.clone();
    }
    let mut painting = paint_once(photo, recipe, faces);
    for face in faces {
        if let Some(patch) = Patch::around(face, width, height, &recipe.faces) {
            paint_patch(&mut painting, photo, recipe, faces, face, &patch);
        }
    }
    let Painting { mut picture, tone } = painting;
    grade::glow(&mut picture, &recipe.glow);
    if let Some(pattern) = &recipe.pattern {
        pattern::lay(&mut picture, tone.as_ref(), pattern);
    }
    to_image(&picture)
}

/// A picture before glow and pattern.
struct Painting {
    picture: Rgb,
    /// Grey that is to be printed in dots. `picture` is white there.
    tone: Option<Plane>,
}

/// All stages but the glow and the pattern, at the picture's own size.
fn paint_once(photo: &RgbImage, recipe: &Recipe, faces: &[FaceBox]) -> Painting {
    let mut lab = Lab::from_rgb(photo);
    if let Some(dodge) = &recipe.dodge {
        dodge::dodge(&mut lab, dodge);
    }
    let detail = faces::features(lab.l.width, lab.l.height, faces);
    faces::bring_out(&mut lab, &detail, &recipe.faces);
    let mut flat = flatten::flatten(&lab, &detail, &recipe.flatten);
    if let Some(brush) = &recipe.brush {
        flat = brush::brush(&flat, &detail, brush);
    }
    let mut light = match (&recipe.cel, &recipe.tone) {
        (Some(cel), _) => cel::cel(&flat, cel),
        (None, Some(tone)) => tone::tone(&flat, &detail, tone),
        (None, None) => flat.l.clone(),
    };
    let mut ink = ink::ink(&lab, &flat, &detail, &recipe.ink);
    if let Some(spot) = &recipe.spot {
        tone::spot(&mut ink, &flat, &detail, spot);
    }
    if let Some(wash) = &recipe.wash {
        wash::wash(&mut flat, &mut light, wash);
    }
    let mut tone = None;
    if recipe.pattern.as_ref().is_some_and(|pattern| pattern.kind == PatternKind::Dots) {
        let white = Plane::filled(light.width, light.height, 1.0);
        tone = Some(std::mem::replace(&mut light, white));
        flat.a.values.fill(0.0);
        flat.b.values.fill(0.0);
    }
    let mut picture = grade::grade(&flat, &light, &ink, &recipe.grade);
    if let Some(relief) = &recipe.relief {
        relief::relief(&mut picture, &lab, &flat, &detail, relief);
    }
    Painting { picture, tone }
}

/// Paints the surroundings of `face` enlarged and blends them into `painting`.
fn paint_patch(
    painting: &mut Painting,
    photo: &RgbImage,
    recipe: &Recipe,
    faces: &[FaceBox],
    face: &FaceBox,
    patch: &Patch,
) {
    let crop = image::imageops::crop_imm(photo, patch.left, patch.top, patch.width, patch.height).to_image();
    let large = resized(&crop, patch.painted, FilterType::CatmullRom);
    let (left, top) = (patch.left as f32, patch.top as f32);
    let by = patch.painted.1 as f32 / patch.height as f32;
    let moved: Vec<FaceBox> = faces.iter().map(|f| f.moved(left, top, by)).collect();
    let painted = paint_once(&large, recipe, &moved);
    let head = faces::heads(patch.width as usize, patch.height as usize, &[face.moved(left, top, 1.0)], &recipe.faces);
    let blend = |large: &Rgb, planes: &mut [&mut Plane]| {
        let small = resized(&to_image(large), (patch.width, patch.height), FilterType::CatmullRom);
        for (x, y, pixel) in small.enumerate_pixels() {
            let share = head.row(y as usize)[x as usize];
            for (plane, &value) in planes.iter_mut().zip(&pixel.0) {
                let i = (y + patch.top) as usize * plane.width + (x + patch.left) as usize;
                plane.values[i] += share * (f32::from(value) / 255.0 - plane.values[i]);
            }
        }
    };
    blend(&painted.picture, &mut painting.picture.each_mut());
    if let (Some(tone), Some(under)) = (painted.tone, &mut painting.tone) {
        blend(&[tone.clone(), tone.clone(), tone], &mut [under]);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn anime() -> Recipe {
        Recipe::parse(Recipe::builtin("anime").unwrap()).unwrap()
    }

    /// Even noise of ±`by` around a colour, seeded.
    fn noisy(width: u32, height: u32, colour: [u8; 3], by: i32, seed: u64) -> RgbImage {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        RgbImage::from_fn(width, height, |_, _| {
            image::Rgb(colour.map(|c| (i32::from(c) + rng.random_range(-by..=by)).clamp(0, 255) as u8))
        })
    }

    fn spread(picture: &RgbImage) -> u8 {
        (0..3)
            .map(|c| {
                let values = picture.pixels().map(|p| p.0[c]);
                values.clone().max().unwrap() - values.min().unwrap()
            })
            .max()
            .unwrap()
    }

    fn cast(pixel: &image::Rgb<u8>) -> u8 {
        pixel.0.iter().max().unwrap() - pixel.0.iter().min().unwrap()
    }

    #[test]
    fn a_flat_area_with_sensor_noise_becomes_flat() {
        for colour in [[200, 205, 200], [90, 60, 40], [30, 30, 34]] {
            let painted = paint(&noisy(64, 48, colour, 3, 1), &anime(), &[]);
            assert!(spread(&painted) <= 6, "{colour:?} spreads over {}", spread(&painted));
        }
    }

    #[test]
    fn two_noisy_frames_of_one_scene_differ_less_when_painted() {
        let scene = |seed| {
            let mut picture = noisy(80, 60, [190, 195, 190], 4, seed);
            let chair = noisy(30, 60, [40, 50, 90], 4, seed + 100);
            image::imageops::replace(&mut picture, &chair, 40, 0);
            picture
        };
        let apart = |a: &RgbImage, b: &RgbImage| {
            a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>()
        };
        let (first, second) = (scene(1), scene(2));
        let painted = apart(&paint(&first, &anime(), &[]), &paint(&second, &anime(), &[]));
        assert!(painted < apart(&first, &second) / 2);
    }

    #[test]
    fn an_edge_gets_a_dark_line_and_the_areas_beside_it_none() {
        let photo = RgbImage::from_fn(64, 48, |x, _| image::Rgb(if x < 32 { [220, 200, 180] } else { [120, 90, 80] }));
        let painted = paint(&photo, &anime(), &[]);
        let luma = |x: u32| painted.get_pixel(x, 24).0.iter().map(|&v| u32::from(v)).sum::<u32>();
        let darkest = (24..40).map(luma).min().unwrap();
        assert!(darkest + 60 < luma(60), "the line ({darkest}) does not stand out from the dark side ({})", luma(60));
        assert!(luma(4) > luma(60));
    }

    #[test]
    fn greys_stay_neutral_and_a_white_wall_stays_white() {
        for grey in [0, 20, 60, 128, 190, 230, 255] {
            let painted = paint(&RgbImage::from_pixel(24, 24, image::Rgb([grey; 3])), &anime(), &[]);
            assert!(painted.pixels().all(|p| cast(p) <= 1), "grey {grey} became {:?}", painted.get_pixel(12, 12));
        }
        let wall = paint(&RgbImage::from_pixel(24, 24, image::Rgb([226, 230, 228])), &anime(), &[]);
        let pixel = wall.get_pixel(12, 12);
        assert!(pixel.0.iter().all(|&v| v >= 226) && cast(pixel) <= 4, "{pixel:?}");
    }

    #[test]
    fn a_cast_on_near_neutral_colours_does_not_grow() {
        for colour in [[198, 205, 203], [60, 62, 58], [30, 27, 29]] {
            let photo = RgbImage::from_pixel(24, 24, image::Rgb(colour));
            let painted = paint(&photo, &anime(), &[]);
            let (before, after) = (cast(photo.get_pixel(0, 0)), cast(painted.get_pixel(12, 12)));
            assert!(after <= before + 2, "{colour:?} became {:?}", painted.get_pixel(12, 12));
        }
    }

    #[test]
    fn a_clear_colour_becomes_more_vivid() {
        let photo = RgbImage::from_pixel(24, 24, image::Rgb([180, 120, 100]));
        let painted = paint(&photo, &anime(), &[]);
        assert!(cast(painted.get_pixel(12, 12)) > cast(photo.get_pixel(12, 12)));
    }

    fn looks() -> impl Iterator<Item = Recipe> {
        Recipe::builtin_names().map(|name| Recipe::parse(Recipe::builtin(name).unwrap()).unwrap())
    }

    #[test]
    fn each_look_goes_by_its_name_and_has_no_stage_that_it_leaves_out() {
        assert!(looks().map(|look| look.name).eq(Recipe::builtin_names()));
        let Recipe { cel, spot, wash, relief, pattern, grade, ink, .. } = anime();
        assert!(cel.is_none() && spot.is_none() && wash.is_none() && relief.is_none() && pattern.is_none());
        assert!(grade.lift.is_none() && ink.bold.is_none());
    }

    #[test]
    fn a_flat_area_with_sensor_noise_stays_flat_in_each_look() {
        for look in looks() {
            let grid = look.grid();
            for colour in [[200, 205, 200], [110, 75, 55], [30, 30, 34]] {
                let painted = paint(&noisy(64, 48, colour, 3, 1), &look, &[]);
                // Places of the pattern apart.
                for (x, y) in (0..grid).flat_map(|y| (0..grid).map(move |x| (x, y))) {
                    let same =
                        RgbImage::from_fn(64 / grid, 48 / grid, |i, j| *painted.get_pixel(x + i * grid, y + j * grid));
                    assert!(spread(&same) <= 12, "{}: {colour:?} spreads over {}", look.name, spread(&same));
                }
            }
        }
    }

    #[test]
    fn a_near_neutral_wall_gets_no_cast_in_any_look() {
        for look in looks() {
            for colour in [[226, 230, 228], [198, 205, 203], [150, 152, 149]] {
                let painted = paint(&RgbImage::from_pixel(24, 24, image::Rgb(colour)), &look, &[]);
                let (before, after) = (cast(&image::Rgb(colour)), painted.pixels().map(cast).max().unwrap());
                assert!(after <= before + 3, "{}: {colour:?} became {:?}", look.name, painted.get_pixel(12, 12));
            }
        }
    }

    #[test]
    fn skin_of_any_tone_keeps_its_hue_and_its_order_in_each_look() {
        let skins = [[92, 62, 48], [141, 98, 74], [196, 150, 122], [232, 200, 180]];
        for look in looks() {
            let mut before = 0;
            for skin in skins {
                let photo = RgbImage::from_pixel(48, 48, image::Rgb(skin));
                let painted = paint(&photo, &look, &[FaceBox { x: 4.0, y: 4.0, width: 40.0, height: 40.0 }]);
                let mean = |c: usize| painted.pixels().map(|p| u32::from(p.0[c])).sum::<u32>() / 48 / 48;
                let [r, g, b] = [mean(0), mean(1), mean(2)];
                let coloured = look.name != "ink";
                assert!(!coloured || (r > g + 8 && g + 2 >= b), "{}: {skin:?} became {r}, {g}, {b}", look.name);
                assert!(r + g + b >= before, "{}: {skin:?} is darker than the one before", look.name);
                assert!(r + g + b > 150, "{}: {skin:?} has become black", look.name);
                before = r + g + b;
            }
        }
    }

    /// A face of 50 pixels: skin, two eyes, a mouth, drawn with as little contrast as a webcam shows.
    fn small_face() -> (RgbImage, FaceBox) {
        let photo = RgbImage::from_fn(120, 120, |x, y| {
            let (dx, dy) = (x as f32 - 60.0, y as f32 - 60.0);
            let eye = |cx: f32| (dx - cx).abs() < 4.0 && (dy + 8.0).abs() < 1.8;
            let mouth = dx.abs() < 8.0 && (dy - 14.0).abs() < 1.2;
            image::Rgb(if eye(-9.0) || eye(9.0) || mouth {
                [150, 120, 112]
            } else if (dx / 20.0).powi(2) + (dy / 25.0).powi(2) < 1.0 {
                [196, 166, 152]
            } else {
                [205, 208, 206]
            })
        });
        (photo, FaceBox { x: 40.0, y: 35.0, width: 40.0, height: 50.0 })
    }

    #[test]
    fn eyes_of_a_small_face_stand_out_more_than_in_the_photo() {
        let (photo, face) = small_face();
        let contrast = |picture: &RgbImage, x, y| {
            i32::from(picture.get_pixel(60, 62).0[1]) - i32::from(picture.get_pixel(x, y).0[1])
        };
        for look in looks() {
            let painted = paint(&photo, &look, &[face]);
            for (x, y) in [(51, 52), (69, 52), (60, 74)] {
                assert!(contrast(&painted, x, y) > contrast(&photo, x, y), "{}: at {x},{y}", look.name);
            }
        }
    }

    #[test]
    fn a_pattern_begins_at_the_corner_whatever_is_shown() {
        // Cut at a multiple of the grid, a painted picture is what the cut photo is painted as.
        for look in looks().filter(|look| look.grid() > 1) {
            let grey = |width| RgbImage::from_pixel(width, 64, image::Rgb([140, 140, 140]));
            let (large, small) = (paint(&grey(96), &look, &[]), paint(&grey(96 - 2 * look.grid()), &look, &[]));
            let cut = image::imageops::crop_imm(&large, 2 * look.grid(), 0, small.width(), 64).to_image();
            assert_eq!(cut, small, "{}", look.name);
            assert_eq!(image::imageops::flip_horizontal(&small), small, "{}", look.name);
        }
    }

    #[test]
    fn a_face_changes_nothing_far_away_from_it() {
        let photo = noisy(300, 60, [150, 120, 100], 20, 5);
        let face = FaceBox { x: 20.0, y: 10.0, width: 30.0, height: 40.0 };
        let (with, without) = (paint(&photo, &anime(), &[face]), paint(&photo, &anime(), &[]));
        assert!((200..300).all(|x| (0..60).all(|y| with.get_pixel(x, y) == without.get_pixel(x, y))));
        assert_ne!(with, without);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_size_with_any_faces_keeps_its_size_and_is_painted_the_same_again(
            width in 1u32..40, height in 1u32..40, seed: u64,
            faces in prop::collection::vec((-50f32..50.0, -50f32..50.0, -1f32..60.0, -1f32..60.0), 0..3),
            look in 0usize..6,
        ) {
            let look = looks().nth(look).unwrap();
            let photo = noisy(width, height, [128, 100, 90], 120, seed);
            let faces: Vec<FaceBox> =
                faces.into_iter().map(|(x, y, width, height)| FaceBox { x, y, width, height }).collect();
            let painted = paint(&photo, &look, &faces);
            prop_assert_eq!(painted.dimensions(), (width, height));
            prop_assert_eq!(painted, paint(&photo, &look, &faces));
        }
    }
}
