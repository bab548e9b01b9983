//! Reading pictures.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{Picture, orientation, whole};
use crate::error::{Error, Result};
use crate::frame::{MAX_SIDE, Size};

/// The largest file: an uncompressed picture of the largest size stays below.
const MAX_FILE: u64 = 2 << 30;
/// The most memory for decoding: 12,000×12,000 pixels of 16-bit RGBA, and some.
const MAX_DECODED: u64 = 2 << 30;
/// What a decoder may need besides the pixels: rows, a colour profile.
const BESIDE_PIXELS: u64 = 8 << 20;
/// Bytes of a pixel of 8-bit RGB, which limits are stated in.
const USUAL_PIXEL: u64 = 3;

/// Reads a JPEG, PNG or WebP picture (by its content, whatever its name) of at most [`MAX_SIDE`] a side. It comes out
/// upright (EXIF orientation applied), in 8 bits of RGB, its transparency apart. Of an animation it is the first frame.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::Input`] where it is no such picture, is damaged, truncated or
/// too large.
pub fn read(path: &Path) -> Result<Picture> {
    let cannot = |error| Error::io("read", path, error);
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(Error::Input(format!("{} is not a file; give a picture or a folder of pictures", path.display())));
    }
    if metadata.len() > MAX_FILE {
        let most = MAX_FILE >> 30;
        return Err(Error::Input(format!("{} is larger than {most} GiB; that is no picture", path.display())));
    }
    decode_from(BufReader::new(file), metadata.len(), u64::MAX)
        .map_err(|why| Error::Input(format!("{} {why}", path.display())))
}

/// Reads a picture of at most `most` pixels from memory, as [`read`] does from a file. Pixels that take more than the 3
/// bytes of 8-bit RGB, for their depth or transparency, count accordingly more. What is larger is refused before any pixel
/// is decoded.
///
/// # Errors
/// A clause that goes on from the picture's name.
pub fn decode(bytes: &[u8], most: u64) -> std::result::Result<Picture, String> {
    decode_from(Cursor::new(bytes), bytes.len() as u64, most)
}

/// The bytes by which a picture's type is known.
const HEAD: u64 = 64;
const TRUNCATED: &str = "is truncated: its end is missing; copy it again from its source";

/// Whether a JPEG, PNG or WebP picture's end is there. What is none of these counts as whole.
pub fn is_whole(bytes: &[u8]) -> bool {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => whole::jpeg(bytes),
        Ok(ImageFormat::Png) => whole::png(&mut Cursor::new(bytes)).unwrap_or(false),
        Ok(ImageFormat::WebP) => whole::webp(bytes, bytes.len() as u64),
        _ => true,
    }
}

/// Decodes a picture of at most `most` pixels from a file of `length` bytes.
///
/// # Errors
/// A clause that goes on from the file's name.
fn decode_from<R: BufRead + Seek>(mut file: R, length: u64, most: u64) -> std::result::Result<Picture, String> {
    if length == 0 {
        return Err("is empty; give a JPEG, PNG or WebP picture".into());
    }
    let unread = |error: io::Error| damaged(&error.into());
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head).map_err(unread)?;
    file.rewind().map_err(unread)?;
    match image::guess_format(&head) {
        Ok(format @ ImageFormat::Jpeg) => {
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(length as usize).map_err(|_| NO_MEMORY)?;
            file.read_to_end(&mut bytes).map_err(unread)?;
            if !whole::jpeg(&bytes) {
                return Err(TRUNCATED.into());
            }
            decode_as(Cursor::new(bytes), format, most)
        }
        // Their decoders are content once they have all pixels.
        Ok(ImageFormat::Png) if !whole::png(&mut file).map_err(unread)? => Err(TRUNCATED.into()),
        Ok(ImageFormat::WebP) if !whole::webp(&head, length) => Err(TRUNCATED.into()),
        Ok(format @ (ImageFormat::Png | ImageFormat::WebP)) => {
            file.rewind().map_err(unread)?;
            decode_as(file, format, most)
        }
        _ => Err("is not a JPEG, PNG or WebP picture; convert it to one of these".into()),
    }
}

const NO_MEMORY: &str = "needs more memory than there is; close other programs or reduce it";

fn decode_as<R: BufRead + Seek>(file: R, format: ImageFormat, most: u64) -> std::result::Result<Picture, String> {
    let mut reader = ImageReader::with_format(file, format);
    let mut limits = Limits::no_limits();
    let most_bytes = most.saturating_mul(USUAL_PIXEL).min(MAX_DECODED);
    limits.max_alloc = Some((most_bytes + BESIDE_PIXELS).min(MAX_DECODED));
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| damaged(&error))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err("has no pixels; it is damaged".into());
    }
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(format!(
            "is a picture of {width}x{height}; sides of up to {MAX_SIDE} pixels are taken, so reduce it first"
        ));
    }
    let pixels = u64::from(width) * u64::from(height);
    let pixel = u64::from(decoder.color_type().bytes_per_pixel()).max(USUAL_PIXEL);
    if pixels > most || pixels * pixel > most_bytes {
        let megapixels = (most_bytes / pixel) as f64 / 1e6;
        return Err(format!(
            "is a picture of {width}x{height}; up to {megapixels:.0} million pixels of its kind are taken, so reduce it \
             first"
        ));
    }
    let turn = decoder.orientation().map_err(|error| damaged(&error))?;
    let profile = decoder.icc_profile().ok().flatten().filter(|profile| is_rgb(profile));
    let image = DynamicImage::from_decoder(decoder).map_err(|error| damaged(&error))?;
    let stored = Size::new(width, height);
    let (mut rgb, mut alpha) = if image.color().has_alpha() {
        let (rgb, alpha) = split(image.into_rgba8().into_raw());
        (rgb, alpha.iter().any(|a| *a != 255).then_some(alpha))
    } else {
        (image.into_rgb8().into_raw(), None)
    };
    if let Some(alpha) = &mut alpha {
        orientation::apply(alpha, stored, turn);
    }
    let size = orientation::apply(rgb.as_chunks_mut::<3>().0, stored, turn);
    Ok(Picture { size, rgb, alpha, profile })
}

/// Takes RGBA apart within its own memory.
fn split(mut rgba: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let pixels = rgba.len() / 4;
    let alpha = rgba.iter().skip(3).step_by(4).copied().collect();
    for i in 0..pixels {
        rgba.copy_within(i * 4..i * 4 + 3, i * 3);
    }
    rgba.truncate(pixels * 3);
    rgba.shrink_to_fit();
    (rgba, alpha)
}

/// Whether an ICC profile describes RGB (ICC.1, 7.2.6); others do not fit the pixels any more.
fn is_rgb(profile: &[u8]) -> bool {
    profile.get(16..20) == Some(b"RGB ")
}

fn damaged(error: &ImageError) -> String {
    match error {
        ImageError::Limits(_) => "needs more memory than a picture of the largest size does; reduce it first".into(),
        ImageError::Unsupported(why) => {
            format!("is of a kind that is not taken ({why}); save it again in 8 bits of RGB")
        }
        other => format!("is damaged or truncated ({other}); copy it again from its source"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::{ExtendedColorType, ImageEncoder};
    use proptest::prelude::*;

    use super::*;

    fn files() -> Vec<Vec<u8>> {
        let pixels: Vec<u8> = (0..33 * 21 * 3).map(|i| (i * 29 % 256) as u8).collect();
        let (mut jpeg, mut png, mut webp) = (Vec::new(), Vec::new(), Vec::new());
        let kind = ExtendedColorType::Rgb8;
        image::codecs::jpeg::JpegEncoder::new(&mut jpeg).write_image(&pixels, 33, 21, kind).unwrap();
        image::codecs::png::PngEncoder::new(&mut png).write_image(&pixels, 33, 21, kind).unwrap();
        image::codecs::webp::WebPEncoder::new_lossless(&mut webp).write_image(&pixels, 33, 21, kind).unwrap();
        vec![jpeg, png, webp]
    }

    #[test]
    fn more_pixels_than_are_taken_are_refused() {
        for file in files() {
            assert!(decode(&file, 33 * 21).is_ok());
            assert!(decode(&file, 33 * 21 - 1).unwrap_err().contains("33x21"));
        }
    }

    #[test]
    fn pixels_count_by_their_bytes() {
        for (kind, bytes, counted) in
            [(ExtendedColorType::L8, 1, 3), (ExtendedColorType::Rgba8, 4, 4), (ExtendedColorType::Rgba16, 8, 8)]
        {
            let mut file = Vec::new();
            let pixels = vec![7; 30 * 20 * bytes];
            image::codecs::png::PngEncoder::new(&mut file).write_image(&pixels, 30, 20, kind).unwrap();
            let most = 30_u64 * 20 * counted / 3;
            assert!(decode(&file, most).is_ok(), "{kind:?}");
            assert!(decode(&file, most - 1).unwrap_err().contains("30x20"), "{kind:?}");
        }
    }

    proptest! {
        #[test]
        fn damaged_files_are_errors_or_pictures(
            which in 0..3_usize,
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            keep in any::<prop::sample::Index>(),
            truncated in any::<bool>(),
        ) {
            let mut file = files().swap_remove(which);
            for (place, value) in changes {
                let place = place.index(file.len());
                file[place] = value;
            }
            if truncated {
                let len = keep.index(file.len());
                file.truncate(len);
            }
            if let Ok(picture) = decode(&file, u64::MAX) {
                prop_assert_eq!(picture.rgb.len(), picture.size.rgb_len());
            }
        }

        #[test]
        fn a_file_cut_short_is_an_error(which in 0..3_usize, lost in 1..400_usize) {
            let mut file = files().swap_remove(which);
            prop_assert!(is_whole(&file));
            file.truncate(file.len().saturating_sub(lost));
            prop_assert!(decode(&file, u64::MAX).is_err());
            // A file so short that its kind is not to be told any more is none of those that are looked at.
            prop_assert!(!is_whole(&file) || image::guess_format(&file).is_err());
        }
    }
}
