//! Whether eyes and mouths of small faces are still there.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use image::RgbImage;

use crate::data::read_text;
use crate::metrics::luma;

/// An eye or a mouth, as fractions of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeatureBox {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// One frame of a clip, and the boxes marked in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MarkedFrame {
    /// Its number, from 0 on.
    pub frame: u32,
    /// Eyes and mouths.
    pub boxes: Vec<FeatureBox>,
}

/// The marked frame of each clip, by the clip's file name, from a CSV of `source,frame,feature,x,y,width,height`.
///
/// # Errors
/// When it cannot be read, a line is not of this form, or a clip has marks in two frames.
pub fn read(path: &Path) -> Result<BTreeMap<String, MarkedFrame>> {
    let text = read_text(path)?;
    parse(&text).with_context(|| format!("{} is no list of eyes and mouths", path.display()))
}

fn parse(text: &str) -> Result<BTreeMap<String, MarkedFrame>> {
    let mut marked: BTreeMap<String, MarkedFrame> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("source,") {
            continue;
        }
        let wanted = || format!("line {}: want source,frame,feature,x,y,width,height", number + 1);
        // From the right: a file name may hold commas.
        let fields: Vec<&str> = line.rsplitn(7, ',').collect();
        let [height, width, y, x, _, frame, source] = fields[..] else { bail!(wanted()) };
        let share = |text: &str| text.parse::<f64>().ok().filter(|v| (0.0..=1.0).contains(v)).with_context(wanted);
        let found = FeatureBox { x: share(x)?, y: share(y)?, width: share(width)?, height: share(height)? };
        let frame = frame.parse().ok().with_context(wanted)?;
        let entry = marked.entry(source.to_owned()).or_insert_with(|| MarkedFrame { frame, boxes: Vec::new() });
        ensure!(entry.frame == frame, "line {}: {source} is marked in two frames", number + 1);
        entry.boxes.push(found);
    }
    Ok(marked)
}

/// What is left of a feature in a picture of `photo`, of the same size: the deviation of its luminance as a share of the
/// photo's, and the correlation with the photo's luminance (-1..1). `None` where the photo shows nothing in the box.
pub fn kept(picture: &RgbImage, photo: &RgbImage, place: &FeatureBox) -> Option<(f64, f64)> {
    let (width, height) = (f64::from(photo.width()), f64::from(photo.height()));
    let along = |from: f64, length: f64, whole: f64| {
        let (start, end) = ((from * whole).round(), ((from + length) * whole).round());
        start as u32..end.min(whole) as u32
    };
    let (columns, rows) = (along(place.x, place.width, width), along(place.y, place.height, height));
    let part = |of: &RgbImage| {
        let part = image::imageops::crop_imm(of, columns.start, rows.start, columns.len() as u32, rows.len() as u32);
        luma(&part.to_image())
    };
    let (a, b) = (part(picture), part(photo));
    let count = a.len() as f64;
    let mean = |v: &[f64]| v.iter().sum::<f64>() / count;
    let (ma, mb) = (mean(&a), mean(&b));
    let product =
        |x: &[f64], mx: f64, y: &[f64], my: f64| x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>() / count;
    let (va, vb, both) = (product(&a, ma, &a, ma), product(&b, mb, &b, mb), product(&a, ma, &b, mb));
    (vb > 0.0).then(|| ((va / vb).sqrt(), if va > 0.0 { both / (va * vb).sqrt() } else { 0.0 }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgb;

    use super::*;

    const EYE: FeatureBox = FeatureBox { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };

    fn eye(skin: u8, pupil: u8) -> RgbImage {
        RgbImage::from_fn(40, 40, |x, y| {
            Rgb([if (16..24).contains(&x) && (17..23).contains(&y) { pupil } else { skin }; 3])
        })
    }

    #[test]
    fn an_eye_keeps_its_contrast_or_loses_it() {
        let photo = eye(150, 90);
        let (deviation, correlation) = kept(&eye(170, 140), &photo, &EYE).unwrap();
        assert!((deviation - 0.5).abs() < 1e-9 && (correlation - 1.0).abs() < 1e-9);
        assert_eq!(kept(&eye(170, 170), &photo, &EYE), Some((0.0, 0.0)), "melted away");
        assert!((kept(&eye(90, 150), &photo, &EYE).unwrap().1 + 1.0).abs() < 1e-9, "a negative");
        assert_eq!(kept(&photo, &eye(150, 150), &EYE), None);
    }

    #[test]
    fn marks_are_read_and_what_is_none_is_named() {
        let marks = parse(
            "# by hand\nsource,frame,feature,x,y,width,height\na.mkv,16,eye,0.1,0.2,0.3,0.4\na.mkv,16,mouth,0,0,1,1\n",
        );
        let marks = marks.unwrap();
        assert_eq!((marks["a.mkv"].frame, marks["a.mkv"].boxes.len()), (16, 2));
        for (text, words) in
            [("a,1,eye,2,0,0,0", "line 1"), ("a", "line 1"), ("a,1,e,0,0,1,1\na,2,e,0,0,1,1", "two frames")]
        {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
        let shipped = parse(include_str!("../../data/eyes-and-mouths.csv")).unwrap();
        assert!(shipped.len() == 15 && shipped.values().all(|marks| (2..=3).contains(&marks.boxes.len())));
    }
}
