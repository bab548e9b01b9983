//! RGB pictures as JPEG.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::error::{Error, Result};
use crate::frame::{Frame, Size};
use crate::picture::Picture;
use crate::pixels::resize::{Filter, Scaler};

/// Of the stream: drawn lines stay clean.
const STREAM_QUALITY: u8 = 85;
/// The largest picture in the stream; a larger one is reduced.
const STREAM_SIZE: Size = Size::new(1920, 1080);
/// Of what is kept: no visible loss on drawn lines.
const STILL_QUALITY: u8 = 93;

/// Encodes the pictures of a stream. It keeps its buffers.
#[derive(Debug)]
pub struct StreamEncoder {
    scaler: Scaler,
    reduced: Vec<u8>,
}

impl Default for StreamEncoder {
    fn default() -> Self {
        Self { scaler: Scaler::new(Filter::Bilinear), reduced: Vec::new() }
    }
}

impl StreamEncoder {
    /// Appends `frame` to `output`.
    ///
    /// # Errors
    /// [`Error::Input`] where it cannot be encoded.
    pub fn encode(&mut self, frame: &Frame, output: &mut Vec<u8>) -> Result<()> {
        let size = frame.size.fit_within(STREAM_SIZE);
        if size == frame.size {
            return encode(&frame.pixels, size, STREAM_QUALITY, None, output);
        }
        self.reduced.resize(size.rgb_len(), 0);
        self.scaler.scale(&frame.pixels, frame.size, &mut self.reduced, size)?;
        encode(&self.reduced, size, STREAM_QUALITY, None, output)
    }
}

/// A frame as it is.
///
/// # Errors
/// [`Error::Input`] where it cannot be encoded.
pub fn still(frame: &Frame) -> Result<Vec<u8>> {
    let mut output = Vec::new();
    encode(&frame.pixels, frame.size, STILL_QUALITY, None, &mut output)?;
    Ok(output)
}

/// A picture with its colour profile, over white where it is transparent.
///
/// # Errors
/// [`Error::Input`] where it cannot be encoded.
pub fn picture(picture: Picture) -> Result<Vec<u8>> {
    let picture = picture.over_white();
    let mut output = Vec::new();
    encode(&picture.rgb, picture.size, STILL_QUALITY, picture.profile.as_deref(), &mut output)?;
    Ok(output)
}

fn encode(rgb: &[u8], size: Size, quality: u8, profile: Option<&[u8]>, output: &mut Vec<u8>) -> Result<()> {
    let cannot = |why: String| Error::Input(format!("a picture of {size} cannot be written as JPEG: {why}"));
    let side = |side: u32| u16::try_from(side).map_err(|_| cannot("it is too large".into()));
    let (width, height) = (side(size.width)?, side(size.height)?);
    let mut encoder = Encoder::new(output, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    if let Some(profile) = profile {
        // One too large for JPEG is left out: the colours then show as sRGB.
        let _ = encoder.add_icc_profile(profile);
    }
    encoder.encode(rgb, width, height, ColorType::Rgb).map_err(|error| cannot(error.to_string()))
}
