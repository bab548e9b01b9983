//! Finding and reading photos.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use fast_image_resize::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader, Rgb, RgbImage, RgbaImage};
use nijigen::picture::is_whole;

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

/// Bytes of the largest picture that is decoded: above 12,000×12,000 pixels with four channels.
const LARGEST: u64 = 1 << 30;

/// Decodes a photo, upright by its EXIF orientation; a drawn character without a background is put on white, since what its
/// transparent pixels hide is no picture.
///
/// # Errors
/// Those of [`decode_upright`].
pub fn decode(bytes: &[u8]) -> anyhow::Result<RgbImage> {
    let photo = decode_upright(bytes)?;
    Ok(if photo.color().has_alpha() { over_white(&photo.into_rgba8()) } else { photo.into_rgb8() })
}

/// Decodes a picture with its transparency, if it has any, upright by its EXIF orientation.
///
/// # Errors
/// When it is no picture, is damaged, or declares more pixels than [`LARGEST`] bytes hold.
pub fn decode_upright(bytes: &[u8]) -> anyhow::Result<DynamicImage> {
    // Decoders fill what is missing with grey.
    if !is_whole(bytes) {
        bail!("it is truncated: its end is missing; copy it again from its source");
    }
    let mut decoder = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?.into_decoder()?;
    // Before memory is asked for: a few bytes can declare any size.
    if decoder.total_bytes() > LARGEST {
        let (width, height) = decoder.dimensions();
        bail!("{width}×{height} pixels are too many: reduce it to 12,000×12,000 or less");
    }
    let orientation = decoder.orientation()?;
    let mut photo = DynamicImage::from_decoder(decoder)?;
    photo.apply_orientation(orientation);
    Ok(photo)
}

/// The picture on white.
pub fn over_white(picture: &RgbaImage) -> RgbImage {
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [r, g, b, a] = picture[(x, y)].0;
        let over = |value: u8| ((u32::from(value) * u32::from(a) + 255 * (255 - u32::from(a)) + 127) / 255) as u8;
        Rgb([over(r), over(g), over(b)])
    })
}

/// The photo reduced (Lanczos) so that its longer side is `max_side` times `scale`; it is never enlarged.
pub fn reduced(photo: &RgbImage, max_side: u32, scale: f32) -> RgbImage {
    let longer = photo.width().max(photo.height()) as f32;
    let by = (max_side as f32 / longer).min(1.0) * scale;
    let side = |length: u32| ((length as f32 * by).round() as u32).max(1);
    resized(photo, (side(photo.width()), side(photo.height())), FilterType::Lanczos3)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A JPEG with the Exif orientation 6: its first row is the picture's right side.
    fn turned(photo: &RgbImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        photo.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
        let tiff = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let mut segment = vec![0xff, 0xe1, 0, tiff.len() as u8 + 2];
        segment.extend_from_slice(tiff);
        let mut bytes = bytes.into_inner();
        bytes.splice(2..2, segment);
        bytes
    }

    #[test]
    fn a_photo_is_upright_by_its_orientation() {
        let photo = RgbImage::from_fn(32, 16, |_, y| Rgb(if y < 8 { [250; 3] } else { [5; 3] }));
        let upright = decode(&turned(&photo)).unwrap();
        assert_eq!(upright.dimensions(), (16, 32));
        assert!(upright.get_pixel(14, 3).0[0] > 200 && upright.get_pixel(1, 3).0[0] < 50);
    }

    #[test]
    fn half_a_photo_is_refused() {
        for format in [image::ImageFormat::Jpeg, image::ImageFormat::Png] {
            let mut bytes = Cursor::new(Vec::new());
            let photo = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * y) as u8, x as u8, y as u8]));
            photo.write_to(&mut bytes, format).unwrap();
            let bytes = bytes.into_inner();
            decode(&bytes).unwrap();
            assert!(decode(&bytes[..bytes.len() * 3 / 4]).unwrap_err().to_string().contains("truncated"), "{format:?}");
        }
    }

    #[test]
    fn what_is_transparent_is_white() {
        let column = [image::Rgba([200, 40, 0, 255]), image::Rgba([0, 0, 0, 0]), image::Rgba([0, 0, 0, 128])];
        let drawn = RgbaImage::from_fn(8, 3, |_, y| column[y as usize]);
        let mut bytes = Cursor::new(Vec::new());
        drawn.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        let read = decode(bytes.get_ref()).unwrap();
        assert_eq!(read.get_pixel(4, 0).0, [200, 40, 0]);
        assert_eq!(read.get_pixel(4, 1).0, [255; 3]);
        assert!(read.get_pixel(4, 2).0.iter().all(|value| (126..=128).contains(value)));
    }

    #[test]
    fn a_picture_that_declares_too_much_is_refused_before_it_is_decoded() {
        let mut png = Cursor::new(Vec::new());
        RgbImage::new(1, 1).write_to(&mut png, image::ImageFormat::Png).unwrap();
        let mut png = png.into_inner();
        // Width and height of the header, and the checksum over it.
        png[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        let mut crc = !0_u32;
        for &byte in &png[12..29] {
            crc = (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()));
        }
        png[29..33].copy_from_slice(&(!crc).to_be_bytes());
        let error = decode(&png).unwrap_err().to_string();
        assert!(error.contains("60000×60000"), "{error}");
    }

    #[test]
    fn a_small_photo_is_not_enlarged() {
        let photo = RgbImage::new(40, 20);
        assert_eq!(reduced(&photo, 512, 1.0).dimensions(), (40, 20));
        assert_eq!(reduced(&photo, 20, 0.5).dimensions(), (10, 5));
        assert_eq!(reduced(&photo, 512, 0.001).dimensions(), (1, 1));
    }
}
