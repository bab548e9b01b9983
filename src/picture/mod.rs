//! Pictures on disk: JPEG, PNG and WebP, upright and with their transparency.

#[cfg(feature = "svg")]
mod drawing;
mod orientation;
mod read;
mod whole;
mod write;
mod written;

use std::path::Path;

#[cfg(feature = "svg")]
pub use drawing::write_svg;
pub use read::{decode, is_whole, read};
pub use write::write;
pub use written::Written;

use crate::error::{Error, Result};
use crate::frame::Size;

/// A picture, upright.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width and height.
    pub size: Size,
    /// `size.rgb_len()` bytes.
    pub rgb: Vec<u8>,
    /// One byte per pixel, 255 opaque; `None` where all of it is.
    pub alpha: Option<Vec<u8>>,
    /// The ICC colour profile that `rgb` is in, where the file had one.
    pub profile: Option<Vec<u8>>,
}

impl Picture {
    /// The same without transparency: what was transparent shows white.
    #[must_use]
    pub fn over_white(self) -> Self {
        match &self.alpha {
            Some(alpha) => Self { rgb: write::over_white(self.rgb, alpha), alpha: None, ..self },
            None => self,
        }
    }
}

/// A file format of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JPEG: no transparency.
    Jpeg,
    /// PNG.
    Png,
    /// WebP, written lossless.
    WebP,
}

impl Format {
    /// The format that a file name's extension stands for.
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "png" => Some(Self::Png),
            "webp" => Some(Self::WebP),
            _ => None,
        }
    }

    /// What its files are named with, the point included.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Jpeg => ".jpg",
            Self::Png => ".png",
            Self::WebP => ".webp",
        }
    }

    /// The largest side that it can hold, in pixels.
    fn max_side(self) -> u32 {
        match self {
            Self::Jpeg => 65_535,
            Self::Png => i32::MAX as u32,
            Self::WebP => 16_383,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
        }
    }
}

/// Two pictures of one size side by side.
pub struct Beside {
    picture: Picture,
}

impl Beside {
    /// Puts `left` at the left; the right half waits for [`Beside::with_right`].
    ///
    /// # Errors
    /// [`Error::Input`] where both together are too wide for `format`.
    pub fn new(left: &Picture, format: Format) -> Result<Self> {
        let size = Size::new(left.size.width * 2, left.size.height);
        if size.width > format.max_side() {
            return Err(Error::Input(format!(
                "two pictures of {} side by side are too wide for {}; write PNG",
                left.size,
                format.name()
            )));
        }
        let mut rgb = vec![0; size.rgb_len()];
        put(&mut rgb, &left.rgb, left.size.width as usize * 3, 0);
        let alpha = left.alpha.as_ref().map(|alpha| {
            let mut both = vec![0; size.area()];
            put(&mut both, alpha, left.size.width as usize, 0);
            put(&mut both, alpha, left.size.width as usize, 1);
            both
        });
        Ok(Self { picture: Picture { size, rgb, alpha, profile: left.profile.clone() } })
    }

    /// Completes it with `right`, of the same size.
    pub fn with_right(mut self, right: &Picture) -> Picture {
        put(&mut self.picture.rgb, &right.rgb, right.size.width as usize * 3, 1);
        self.picture
    }
}

/// Copies rows of `row` bytes into the left (0) or right (1) half of rows twice as long.
fn put(both: &mut [u8], one: &[u8], row: usize, half: usize) {
    for (to, from) in both.chunks_exact_mut(row * 2).zip(one.chunks_exact(row)) {
        to[half * row..(half + 1) * row].copy_from_slice(from);
    }
}
