//! Sheets: pictures side by side, to look at.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result};
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage, imageops};

/// Puts rows of pictures on one sheet, each picture fitted into `cell`×`cell` pixels (small ones enlarged to it).
pub fn compose(rows: &[Vec<RgbImage>], cell: u32) -> RgbImage {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let mut sheet =
        RgbImage::from_pixel(columns.max(1) * cell, (rows.len() as u32).max(1) * cell, image::Rgb([255; 3]));
    for (row, pictures) in rows.iter().enumerate() {
        for (column, picture) in pictures.iter().enumerate() {
            let factor = f64::from(cell) / f64::from(picture.width().max(picture.height()).max(1));
            let side = |length: u32| ((f64::from(length) * factor).round() as u32).clamp(1, cell);
            let filter = if factor < 1.0 { imageops::FilterType::Triangle } else { imageops::FilterType::Nearest };
            let fitted = imageops::resize(picture, side(picture.width()), side(picture.height()), filter);
            let (x, y) = (column as u32 * cell, row as u32 * cell);
            imageops::replace(&mut sheet, &fitted, i64::from(x), i64::from(y));
        }
    }
    sheet
}

/// The picture as a JPEG of this quality (1 to 100).
///
/// # Errors
/// When it cannot be encoded.
pub fn encode_jpeg(picture: &RgbImage, quality: u8) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(picture).context("cannot encode a JPEG")?;
    Ok(bytes)
}

/// Writes a PNG whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn save_png(picture: &RgbImage, path: &Path) -> Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).with_context(|| format!("cannot encode {}", path.display()))?;
    crate::data::write_whole(path, bytes.get_ref())
}
