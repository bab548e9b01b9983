//! What a picture is written as: pixels in one of several formats, or a drawing.

use std::path::Path;

use super::{Format, Picture, write};
use crate::error::Result;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// A picture in pixels.
    Pixels(Format),
    /// A drawing of areas, which scales without end: SVG.
    Areas,
}

impl Written {
    /// What a file name's extension stands for.
    pub fn of_path(path: &Path) -> Option<Self> {
        let svg = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
        if svg { Some(Self::Areas) } else { Format::of_path(path).map(Self::Pixels) }
    }

    /// What its files are named with, the point included.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Pixels(format) => format.ending(),
            Self::Areas => ".svg",
        }
    }

    /// The format whose limits a picture has to keep to.
    pub fn format(self) -> Format {
        match self {
            Self::Pixels(format) => format,
            // Areas have no limits; PNG's are the widest.
            Self::Areas => Format::Png,
        }
    }

    /// Writes `picture` to `path`, which appears only when it is complete; `stop` is asked on the way.
    ///
    /// # Errors
    /// As [`write`] and [`write_svg`](super::write_svg); [`Error::Usage`](crate::Error::Usage) where this program was built
    /// without SVG.
    pub fn write(self, path: &Path, picture: Picture, stop: &dyn Fn() -> bool) -> Result<()> {
        match self {
            Self::Pixels(format) => write(path, picture, format, stop),
            Self::Areas => write_svg(path, &picture, stop),
        }
    }
}

#[cfg(feature = "svg")]
use super::write_svg;

#[cfg(not(feature = "svg"))]
fn write_svg(path: &Path, _: &Picture, _: &dyn Fn() -> bool) -> Result<()> {
    let path = path.display();
    Err(crate::error::Error::Usage(format!(
        "'{path}': this nijigen was built without SVG; write PNG, or build it with the feature 'svg'"
    )))
}
