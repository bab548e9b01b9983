//! From a camera's raw bytes to RGB.

use super::PixelFormat;
use crate::frame::Size;
use crate::pixels::mjpeg::BadJpeg;
use crate::pixels::{TooShort, mjpeg, nv12, packed, yuyv};

/// What a started camera sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawFormat {
    pub(super) format: PixelFormat,
    pub(super) size: Size,
    /// Bytes from one row to the next; 0 where rows are not padded.
    pub(super) stride: usize,
}

/// A frame that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadFrame {
    #[error(transparent)]
    Short(#[from] TooShort),
    #[error(transparent)]
    Jpeg(#[from] BadJpeg),
    #[error("a frame that the driver marks as damaged")]
    Marked,
}

/// Turns raw frames of one format into RGB.
pub(super) struct Decoder {
    raw: RawFormat,
    jpeg: mjpeg::Decoder,
}

impl Decoder {
    pub(super) fn new(raw: RawFormat) -> Self {
        Self { raw, jpeg: mjpeg::Decoder::default() }
    }

    /// Decodes `data` into `rgb` ([`Size::rgb_len`] bytes).
    ///
    /// # Errors
    /// When the data is shorter than the format says or a damaged JPEG.
    pub(super) fn decode(&mut self, data: &[u8], rgb: &mut [u8]) -> Result<(), BadFrame> {
        let RawFormat { format, size, stride } = self.raw;
        match format {
            PixelFormat::Rgb24 => packed::rgb24_to_rgb(data, stride, size, rgb)?,
            PixelFormat::Yuyv => yuyv::to_rgb(data, stride, size, rgb)?,
            PixelFormat::Nv12 => nv12::to_rgb(data, stride, size, rgb)?,
            PixelFormat::Yu12 => nv12::yu12_to_rgb(data, stride, size, rgb)?,
            PixelFormat::Grey => packed::grey_to_rgb(data, stride, size, rgb)?,
            PixelFormat::Mjpeg => self.jpeg.decode(data, size, rgb)?,
        }
        Ok(())
    }
}
