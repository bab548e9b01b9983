//! Writing pictures.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError, ImageResult};
use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Filter, Info};

use super::{Format, Picture};
use crate::error::{Error, Result};
use crate::frame::Size;
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
    let mut output = Output::create(path)?;
    let mut writer = BufWriter::new(Stoppable { file: output.file(), stop, failure: None });
    let (width, height) = (size.width, size.height);
    let written = match (format, alpha) {
        (Format::Jpeg, alpha) => {
            let rgb = match alpha {
                Some(alpha) => over_white(rgb, &alpha),
                None => rgb,
            };
            with_profile(JpegEncoder::new_with_quality(&mut writer, JPEG_QUALITY), profile).write_image(
                &rgb,
                width,
                height,
                ExtendedColorType::Rgb8,
            )
        }
        (Format::Png, alpha) => write_png(&mut writer, size, &rgb, alpha.as_deref(), profile),
        (Format::WebP, alpha) => {
            let (bytes, kind) = match alpha {
                Some(alpha) => (merge(rgb, &alpha), ExtendedColorType::Rgba8),
                None => (rgb, ExtendedColorType::Rgb8),
            };
            with_profile(WebPEncoder::new_lossless(&mut writer), profile).write_image(&bytes, width, height, kind)
        }
    };
    written
        .and_then(|()| writer.flush().map_err(ImageError::IoError))
        .map_err(|error| match error {
            ImageError::IoError(error) => Error::io("write", path, writer.get_mut().failure.take().unwrap_or(error)),
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
    /// Why the file could not be written: encoders hand on only its words.
    failure: Option<io::Error>,
}

impl Write for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.stop)() {
            return Err(io::Error::other("interrupted"));
        }
        self.file
            .write(bytes)
            .inspect_err(|error| self.failure = error.raw_os_error().map(io::Error::from_raw_os_error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn with_profile<E: ImageEncoder>(mut encoder: E, profile: Option<Vec<u8>>) -> E {
    if let Some(profile) = profile {
        // A format that cannot hold one shows the colours as sRGB, as it would without us.
        let _ = encoder.set_icc_profile(profile);
    }
    encoder
}

/// Writes PNG row by row. (The encoder of `image` compresses the whole picture in memory before it writes.)
fn write_png(
    writer: &mut dyn Write,
    size: Size,
    rgb: &[u8],
    alpha: Option<&[u8]>,
    profile: Option<Vec<u8>>,
) -> ImageResult<()> {
    let failed = |error| match error {
        EncodingError::IoError(error) => ImageError::IoError(error),
        other => ImageError::IoError(io::Error::other(other)),
    };
    let mut info = Info::with_size(size.width, size.height);
    info.icc_profile = profile.map(Cow::Owned);
    info.bit_depth = BitDepth::Eight;
    info.color_type = if alpha.is_some() { ColorType::Rgba } else { ColorType::Rgb };
    let mut encoder = Encoder::with_info(writer, info).map_err(failed)?;
    encoder.set_compression(Compression::Fast);
    encoder.set_filter(Filter::Adaptive);
    let mut file = encoder.write_header().map_err(failed)?;
    let mut stream = file.stream_writer().map_err(failed)?;
    let width = size.width as usize;
    let mut with_alpha = Vec::new();
    for (y, row) in rgb.chunks_exact(width * 3).enumerate() {
        let row = match alpha {
            None => row,
            Some(alpha) => {
                with_alpha.clear();
                let pixels = row.as_chunks::<3>().0.iter().zip(&alpha[y * width..]);
                with_alpha.extend(pixels.flat_map(|([r, g, b], a)| [*r, *g, *b, *a]));
                &with_alpha
            }
        };
        stream.write_all(row).map_err(ImageError::IoError)?;
    }
    stream.finish().and_then(|()| file.finish()).map_err(failed)
}

pub(super) fn over_white(mut rgb: Vec<u8>, alpha: &[u8]) -> Vec<u8> {
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
