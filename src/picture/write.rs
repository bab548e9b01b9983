//! Writing pictures.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError, ImageResult};

use super::{Format, Picture};
use crate::error::{Error, Result};
use crate::output::Output;

/// JPEG's quality: no visible loss on drawn lines.
const JPEG_QUALITY: u8 = 93;

/// Writes `picture` to `path`, which appears only when it is complete. JPEG shows what is transparent over white.
///
/// `stop` is asked now and then; where it says yes, nothing is left behind.
///
/// # Errors
/// [`Error::Io`] where it cannot be written, [`Error::Input`] where it is too large for the format,
/// [`Error::Interrupted`] where it was stopped.
pub fn write(path: &Path, picture: Picture, format: Format, stop: &dyn Fn() -> bool) -> Result<()> {
    let Picture { size, rgb, alpha, profile } = picture;
    if size.width.max(size.height) > format.max_side() {
        return Err(Error::Input(format!("a picture of {size} is too large for {}; write PNG", format.name())));
    }
    let (bytes, kind) = match (alpha, format) {
        (None, _) => (rgb, ExtendedColorType::Rgb8),
        (Some(alpha), Format::Jpeg) => (over_white(rgb, &alpha), ExtendedColorType::Rgb8),
        (Some(alpha), _) => (merge(rgb, &alpha), ExtendedColorType::Rgba8),
    };
    let mut output = Output::create(path)?;
    let mut writer = BufWriter::new(Stoppable { file: output.file(), stop });
    encode(&mut writer, format, &bytes, (size.width, size.height), kind, profile)
        .and_then(|()| writer.flush().map_err(ImageError::IoError))
        .map_err(|error| match error {
            ImageError::IoError(error) => Error::io("write", path, error),
            other => Error::Input(format!("{} cannot be written: {other}", path.display())),
        })
        .map_err(|error| if stop() { Error::Interrupted } else { error })?;
    drop(writer);
    output.commit()
}

/// A writer that fails where `stop` says yes.
struct Stoppable<'a> {
    file: &'a mut File,
    stop: &'a dyn Fn() -> bool,
}

impl Write for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.stop)() { Err(io::Error::other("interrupted")) } else { self.file.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn encode(
    writer: &mut dyn Write,
    format: Format,
    bytes: &[u8],
    (width, height): (u32, u32),
    kind: ExtendedColorType,
    profile: Option<Vec<u8>>,
) -> ImageResult<()> {
    fn with_profile<E: ImageEncoder>(mut encoder: E, profile: Option<Vec<u8>>) -> E {
        if let Some(profile) = profile {
            // A format that cannot hold one shows the colours as sRGB, as it would without us.
            let _ = encoder.set_icc_profile(profile);
        }
        encoder
    }
    match format {
        Format::Jpeg => with_profile(JpegEncoder::new_with_quality(writer, JPEG_QUALITY), profile)
            .write_image(bytes, width, height, kind),
        Format::Png => with_profile(PngEncoder::new(writer), profile).write_image(bytes, width, height, kind),
        Format::WebP => {
            with_profile(WebPEncoder::new_lossless(writer), profile).write_image(bytes, width, height, kind)
        }
    }
}

fn over_white(mut rgb: Vec<u8>, alpha: &[u8]) -> Vec<u8> {
    for (pixel, alpha) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(alpha) {
        let alpha = u32::from(*alpha);
        *pixel = pixel.map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
    }
    rgb
}

/// Puts RGBA together within RGB's own memory, from the end.
fn merge(mut rgb: Vec<u8>, alpha: &[u8]) -> Vec<u8> {
    rgb.resize(alpha.len() * 4, 0);
    for (i, alpha) in alpha.iter().enumerate().rev() {
        rgb.copy_within(i * 3..i * 3 + 3, i * 4);
        rgb[i * 4 + 3] = *alpha;
    }
    rgb
}
