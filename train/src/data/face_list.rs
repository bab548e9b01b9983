//! The list of faces: a CSV of `source,frame,x,y,width,height`, boxes as fractions of the picture.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};

use super::read_text;
use crate::painter::FaceBox;

/// Faces by the file name of their photo or clip.
#[derive(Debug, Default)]
pub struct FaceList {
    /// Per source: the frame (0 for a photo) and a box in fractions.
    boxes: BTreeMap<String, Vec<(u32, FaceBox)>>,
}

impl FaceList {
    /// Reads the list.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = read_text(path)?;
        Self::parse(&text).with_context(|| format!("{} is no list of faces", path.display()))
    }

    /// Parses the list's text; empty lines, the header and lines that begin with # are passed over.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut list = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || line == "source,frame,x,y,width,height" {
                continue;
            }
            let (source, frame, face) =
                parse_line(line).with_context(|| format!("line {}: want source,frame,x,y,width,height", number + 1))?;
            list.boxes.entry(source).or_default().push((frame, face));
        }
        Ok(list)
    }

    /// The faces in a photo (`frame` 0) or in a clip's frame, in pixels of a picture of that size. Of a clip, the
    /// listed frame nearest to `frame` counts. Empty if the source is not listed.
    pub fn faces(&self, source: &str, frame: u32, width: u32, height: u32) -> Vec<FaceBox> {
        let Some(boxes) = self.boxes.get(source) else { return Vec::new() };
        let nearest = boxes.iter().map(|(f, _)| f.abs_diff(frame)).min();
        let listed = boxes.iter().filter(|(f, _)| Some(f.abs_diff(frame)) == nearest);
        // Two listed frames may be equally near: the earlier one.
        let first = listed.clone().map(|(f, _)| *f).min();
        let (w, h) = (width as f32, height as f32);
        listed
            .filter(|(f, _)| Some(*f) == first)
            .map(|(_, b)| FaceBox { x: b.x * w, y: b.y * h, width: b.width * w, height: b.height * h })
            .collect()
    }
}

fn parse_line(line: &str) -> anyhow::Result<(String, u32, FaceBox)> {
    // From the right: a file name may hold commas.
    let fields: Vec<&str> = line.rsplitn(6, ',').collect();
    let [height, width, y, x, frame, source] = fields[..] else { bail!("{} fields", fields.len()) };
    let number = |text: &str| -> anyhow::Result<f32> {
        let value: f32 = text.trim().parse().with_context(|| format!("\"{text}\" is no number"))?;
        if !(-1.0..=2.0).contains(&value) {
            bail!("{value} is no fraction of a picture");
        }
        Ok(value)
    };
    let frame = if frame.trim().is_empty() { 0 } else { frame.trim().parse().context("the frame is no number")? };
    let face = FaceBox { x: number(x)?, y: number(y)?, width: number(width)?, height: number(height)? };
    if face.width <= 0.0 || face.height <= 0.0 {
        bail!("the box is empty");
    }
    Ok((source.to_owned(), frame, face))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LIST: &str = "# faces\nsource,frame,x,y,width,height\na, b.jpg,,0.25,0.5,0.25,0.25\nc.mkv,0,0,0,0.5,0.5\n\
                        c.mkv,8,0.5,0,0.5,0.5\n";

    #[test]
    fn boxes_come_in_pixels_of_the_picture() {
        let list = FaceList::parse(LIST).unwrap();
        let face = FaceBox { x: 50.0, y: 50.0, width: 50.0, height: 25.0 };
        assert_eq!(list.faces("a, b.jpg", 0, 200, 100), [face]);
        assert_eq!(list.faces("other.jpg", 0, 200, 100), []);
    }

    #[test]
    fn a_frame_takes_the_nearest_listed_one() {
        let list = FaceList::parse(LIST).unwrap();
        let left = |frame| list.faces("c.mkv", frame, 10, 10)[0].x;
        assert_eq!([0, 3, 4, 5, 90].map(left), [0.0, 0.0, 0.0, 5.0, 5.0]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for wrong in ["a.jpg,,0.1,0.1,0.2", "a.jpg,,0.1,0.1,0.2,x", "a.jpg,,0.1,0.1,0.2,nan", "a.jpg,,0,0,0,0.1"] {
            let error = FaceList::parse(&format!("# one\n{wrong}\n")).unwrap_err();
            assert!(format!("{error:#}").contains("line 2"), "{error:#}");
        }
    }
}
