//! Finding and reading photos.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use fast_image_resize::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};

use crate::painter::resized;

const PHOTOS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];
const CLIPS: [&str; 7] = ["mkv", "mp4", "y4m", "mov", "webm", "avi", "m4v"];

/// Photos and clips among the paths that the user named, in a fixed order.
#[derive(Debug, Default, PartialEq)]
pub struct Sources {
    /// Photos.
    pub photos: Vec<PathBuf>,
    /// Clips.
    pub clips: Vec<PathBuf>,
}

impl Sources {
    /// Sorts files by their extension and looks into folders (also nested ones, where other files are passed over),
    /// but not into `output`, which may lie among them.
    pub fn find(paths: &[PathBuf], output: &Path) -> anyhow::Result<Self> {
        let output = output.canonicalize().ok();
        let mut found = Self::default();
        for path in paths {
            if path.is_dir() {
                found.look_into(path, output.as_deref())?;
            } else if !path.exists() {
                bail!("{} does not exist: name photos, clips, or folders of them", path.display());
            } else if !found.take(path) {
                bail!("{} is neither a photo (JPEG, PNG, WebP) nor a clip (MKV, MP4, Y4M, …)", path.display());
            }
        }
        for list in [&mut found.photos, &mut found.clips] {
            list.sort();
            list.dedup();
        }
        Ok(found)
    }

    fn look_into(&mut self, folder: &Path, output: Option<&Path>) -> anyhow::Result<()> {
        if output.is_some() && folder.canonicalize().ok().as_deref() == output {
            return Ok(());
        }
        let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
            if path.is_dir() {
                self.look_into(&path, output)?;
            } else {
                self.take(&path);
            }
        }
        Ok(())
    }

    fn take(&mut self, path: &Path) -> bool {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        if PHOTOS.contains(&extension.as_str()) {
            self.photos.push(path.to_path_buf());
        } else if CLIPS.contains(&extension.as_str()) {
            self.clips.push(path.to_path_buf());
        } else {
            return false;
        }
        true
    }
}

/// Decodes a photo, upright by its EXIF orientation; alpha is dropped.
pub fn decode(bytes: &[u8]) -> image::ImageResult<RgbImage> {
    let mut decoder = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut photo = DynamicImage::from_decoder(decoder)?;
    photo.apply_orientation(orientation);
    Ok(photo.to_rgb8())
}

/// The photo reduced (Lanczos) so that its longer side is `max_side` times `scale`; it is never enlarged.
pub fn reduced(photo: &RgbImage, max_side: u32, scale: f32) -> RgbImage {
    let longer = photo.width().max(photo.height()) as f32;
    let by = (max_side as f32 / longer).min(1.0) * scale;
    let side = |length: u32| ((length as f32 * by).round() as u32).max(1);
    resized(photo, (side(photo.width()), side(photo.height())), FilterType::Lanczos3)
}
