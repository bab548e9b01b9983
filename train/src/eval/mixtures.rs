//! How near a mixture of two styles comes to what lies between their pictures.

use anyhow::Result;
use image::RgbImage;

use super::{Picture, of_the_same_photos};

/// How far the pictures of a mixture in equal parts are from the mean of both styles' pictures, of 255: means over the
/// pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Apart {
    /// L1.
    pub l1: f64,
    /// The colour channel that is furthest off, on the mean of the picture: a cast that neither style has.
    pub cast: f64,
}

/// A mixture of two styles in equal parts, by their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixed {
    /// Both styles.
    pub styles: [String; 2],
    /// How far it is from what lies between them.
    pub apart: Apart,
}

/// Of what `mixture` makes of photos, by the pictures that both styles have; `None` where there are none.
///
/// # Errors
/// The mixture's.
pub fn apart(
    mut mixture: impl FnMut(&RgbImage) -> Result<RgbImage>,
    one: &[Picture],
    other: &[Picture],
) -> Result<Option<Apart>> {
    let (mut sum, mut count) = (Apart { l1: 0.0, cast: 0.0 }, 0.0);
    for (a, b) in of_the_same_photos(one, other) {
        let drawn = mixture(&a.photo)?;
        let (mut l1, mut channels) = (0.0, [0.0; 3]);
        for ((pixel, a), b) in drawn.pixels().zip(a.output.pixels()).zip(b.output.pixels()) {
            for (c, sum) in channels.iter_mut().enumerate() {
                let off = f64::from(pixel.0[c]) - (f64::from(a.0[c]) + f64::from(b.0[c])) / 2.0;
                l1 += off.abs();
                *sum += off;
            }
        }
        let pixels = f64::from(drawn.width()) * f64::from(drawn.height());
        sum.l1 += l1 / (3.0 * pixels);
        sum.cast += channels.iter().map(|sum| (sum / pixels).abs()).fold(0.0, f64::max);
        count += 1.0;
    }
    Ok((count > 0.0).then(|| Apart { l1: sum.l1 / count, cast: sum.cast / count }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgb;

    use super::*;

    #[test]
    fn a_cast_is_what_neither_of_both_has() {
        let picture = |source: &str, colour: [u8; 3]| {
            let of = |colour| RgbImage::from_pixel(8, 6, Rgb(colour));
            Picture { source: source.into(), photo: of([9; 3]), target: of([9; 3]), output: of(colour) }
        };
        let (a, b) = ([picture("a", [100, 100, 100])], [picture("a", [120, 100, 160])]);
        let plain =
            |colour| move |photo: &RgbImage| Ok(RgbImage::from_pixel(photo.width(), photo.height(), Rgb(colour)));
        let of = |colour| apart(plain(colour), &a, &b).unwrap().unwrap();
        assert_eq!(of([110, 100, 130]), Apart { l1: 0.0, cast: 0.0 });
        assert_eq!(of([110, 130, 130]), Apart { l1: 10.0, cast: 30.0 });
        assert_eq!(apart(plain([0; 3]), &a, &[picture("b", [0; 3])]).unwrap(), None);
    }
}
