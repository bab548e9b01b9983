//! What a style does to skin, by its tone and by the light that it is seen in.

use image::RgbImage;

use crate::painter::FaceBox;
use crate::painter::plane::Lab;

/// The part of a face box that is looked at, as a share of its sides: cheeks and nose, no hair and no background.
const MIDDLE: f32 = 0.6;
/// Oklab lightness of a face in even light, from which on it is light, and below which it is dark.
const LIGHT_FROM: f32 = 0.68;
const DARK_BELOW: f32 = 0.52;
/// Mean Oklab lightness of a picture below which it is a dark one.
const DARK_PICTURE: f32 = 0.35;
/// A face is backlit where the picture about it is lighter by this much.
const BACKLIT_BY: f32 = 0.15;

/// Faces that are looked at together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skin {
    /// Light skin in even light.
    Light,
    /// Neither light nor dark.
    Medium,
    /// Dark skin in even light.
    Dark,
    /// Any skin in a dark picture.
    DarkPicture,
    /// Any skin before a bright background.
    Backlit,
}

impl Skin {
    /// What the measures of its means begin with.
    fn name(self) -> &'static str {
        match self {
            Self::Light => "skin_light",
            Self::Medium => "skin_medium",
            Self::Dark => "skin_dark",
            Self::DarkPicture => "dark_picture",
            Self::Backlit => "backlit",
        }
    }
}

/// What became of one face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// Of which kind it is.
    pub skin: Skin,
    /// Of its mean Oklab lightness, which is 0..1.
    pub lightness: f32,
    /// Of its mean hue, in degrees, towards yellow where positive; grey has none.
    pub hue: Option<f32>,
}

/// What the names of shifts of lightness and of hue end with, and what is behind it where the shift is the target's: the
/// style's own grade.
pub const LIGHTNESS: &str = "_lightness_shift";
/// See [`LIGHTNESS`].
pub const HUE: &str = "_hue_shift";
/// See [`LIGHTNESS`].
pub const OF_TARGET: &str = "_of_target";

impl Shift {
    /// Its values by the names of the measures whose means they belong to; `behind` the names comes this.
    pub fn measures(self, behind: &str) -> impl Iterator<Item = (String, f64)> {
        let Self { skin, lightness, hue } = self;
        let name = |end: &str| format!("{}{end}{behind}", skin.name());
        [Some((name(LIGHTNESS), lightness.into())), hue.map(|hue| (name(HUE), hue.into()))].into_iter().flatten()
    }
}

/// The shift of a face from a photo to a picture of the same size; `None` where the box lies outside.
pub fn shift(picture: &RgbImage, photo: &RgbImage, face: &FaceBox) -> Option<Shift> {
    let (before, after) = (mean_of(photo, Some(face))?, mean_of(picture, Some(face))?);
    let whole = mean_of(photo, None)?;
    let skin = if whole[0] - before[0] > BACKLIT_BY {
        Skin::Backlit
    } else if whole[0] < DARK_PICTURE {
        Skin::DarkPicture
    } else if before[0] >= LIGHT_FROM {
        Skin::Light
    } else if before[0] < DARK_BELOW {
        Skin::Dark
    } else {
        Skin::Medium
    };
    let hue = |lab: [f32; 3]| lab[2].atan2(lab[1]).to_degrees();
    let turned = (hue(after) - hue(before) + 540.0).rem_euclid(360.0) - 180.0;
    let has_hue = |lab: [f32; 3]| lab[1].hypot(lab[2]) > 0.01;
    let hue = (has_hue(before) && has_hue(after)).then_some(turned);
    Some(Shift { skin, lightness: after[0] - before[0], hue })
}

/// Mean lightness, a and b of the middle of a face, or of all of the picture.
fn mean_of(picture: &RgbImage, face: Option<&FaceBox>) -> Option<[f32; 3]> {
    let (width, height) = picture.dimensions();
    let (left, top, right, bottom) = match face {
        None => (0, 0, width, height),
        Some(face) => {
            let margin = (1.0 - MIDDLE) / 2.0;
            let (x, y) = (face.x + margin * face.width, face.y + margin * face.height);
            let clamped = |v: f32, limit: u32| v.clamp(0.0, limit as f32) as u32;
            let (right, bottom) = (x + MIDDLE * face.width, y + MIDDLE * face.height);
            (clamped(x, width), clamped(y, height), clamped(right, width), clamped(bottom, height))
        }
    };
    if right <= left || bottom <= top {
        return None;
    }
    let lab = Lab::from_rgb(&image::imageops::crop_imm(picture, left, top, right - left, bottom - top).to_image());
    Some([&lab.l, &lab.a, &lab.b].map(|plane| plane.values.iter().sum::<f32>() / plane.values.len() as f32))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgb;

    use super::*;

    const FACE: FaceBox = FaceBox { x: 20.0, y: 20.0, width: 20.0, height: 20.0 };

    fn portrait(skin: [u8; 3], room: [u8; 3]) -> RgbImage {
        RgbImage::from_fn(60, 60, |x, y| Rgb(if (18..42).contains(&x) && (18..42).contains(&y) { skin } else { room }))
    }

    #[test]
    fn faces_are_told_apart_by_tone_and_light() {
        for (skin, room, expected) in [
            ([225, 180, 160], [150, 150, 150], Skin::Light),
            ([170, 120, 95], [130, 130, 130], Skin::Medium),
            ([90, 60, 45], [100, 100, 100], Skin::Dark),
            ([90, 60, 45], [230, 230, 230], Skin::Backlit),
            ([60, 40, 30], [20, 20, 20], Skin::DarkPicture),
        ] {
            let photo = portrait(skin, room);
            let same = shift(&photo, &photo, &FACE).unwrap();
            assert_eq!((same.skin, same.lightness, same.hue), (expected, 0.0, Some(0.0)));
        }
    }

    #[test]
    fn a_lighter_and_yellower_face_is_shifted_so() {
        let room = [150; 3];
        let found = shift(&portrait([240, 200, 150], room), &portrait([225, 180, 160], room), &FACE).unwrap();
        assert!(found.lightness > 0.02 && found.hue.unwrap() > 5.0, "{found:?}");
        let grey = shift(&portrait([200; 3], room), &portrait([225, 180, 160], room), &FACE).unwrap();
        assert!(grey.lightness != 0.0 && grey.hue.is_none(), "{grey:?}");
        let outside = FaceBox { x: 100.0, ..FACE };
        assert_eq!(shift(&portrait([9, 8, 7], room), &portrait([9, 8, 7], room), &outside), None);
    }
}
