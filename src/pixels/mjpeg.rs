//! The frames of an MJPEG camera to RGB.
//!
//! Each is a JPEG on its own, with two liberties that files do not take: the Huffman tables may be left out (then the
//! typical ones of the JPEG standard are meant), and a transfer that broke off leaves half a picture, which is to be
//! noticed and not shown.

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::frame::{MAX_SIDE, Size};

/// By how many pixels a side may exceed what the camera announced: some count in whole 16×16 blocks (1920×1088).
const BLOCK: usize = 16;

/// A JPEG that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum BadJpeg {
    /// Damaged or cut off.
    #[error("a damaged JPEG: {0:?}")]
    Damaged(DecodeErrors),
    /// It ends before its picture does.
    #[error("a JPEG that breaks off")]
    Truncated,
    /// A size that no picture has.
    #[error("a JPEG of {0}, where each side is 1 to {MAX_SIDE} pixels")]
    ImpossibleSize(Size),
    /// A picture of another size than announced.
    #[error("a JPEG of {width}x{height} where {announced} was announced")]
    OtherSize {
        /// The width it has.
        width: usize,
        /// The height it has.
        height: usize,
        /// The size it should have.
        announced: Size,
    },
}

/// The size that a JPEG says it has.
///
/// # Errors
/// [`BadJpeg::Truncated`] where it breaks off before that, [`BadJpeg::ImpossibleSize`] where a side is 0 (the height then
/// stands behind the picture, which no camera does) or larger than [`MAX_SIDE`].
pub fn size(jpeg: &[u8]) -> Result<Size, BadJpeg> {
    let (width, height) = Headers::read(jpeg).and_then(|headers| headers.size).ok_or(BadJpeg::Truncated)?;
    let size = Size::new(width.into(), height.into());
    let possible = [size.width, size.height].iter().all(|side| (1..=MAX_SIDE).contains(side));
    possible.then_some(size).ok_or(BadJpeg::ImpossibleSize(size))
}

/// Decodes JPEG after JPEG, keeping its buffers.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The last frame with Huffman tables added.
    completed: Vec<u8>,
    /// The last picture that was larger than announced.
    larger: Vec<u8>,
}

impl Decoder {
    /// Decodes `jpeg` into `rgb` ([`Size::rgb_len`] bytes). What follows the end of the JPEG is ignored.
    ///
    /// # Errors
    /// When it is damaged, breaks off, or has another size; `rgb` then holds anything.
    pub fn decode(&mut self, jpeg: &[u8], size: Size, rgb: &mut [u8]) -> Result<(), BadJpeg> {
        let headers = Headers::read(jpeg).ok_or(BadJpeg::Truncated)?;
        let jpeg = if headers.has_huffman_tables {
            jpeg
        } else {
            let (head, scan) = jpeg.split_at(headers.scan_start);
            self.completed.clear();
            self.completed.extend_from_slice(head);
            push_typical_huffman_tables(&mut self.completed);
            self.completed.extend_from_slice(scan);
            &self.completed
        };
        let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
        decoder.decode_headers().map_err(BadJpeg::Damaged)?;
        let info = decoder.info().ok_or(BadJpeg::Truncated)?;
        let (width, height) = (usize::from(info.width), usize::from(info.height));
        let (wanted_width, wanted_height) = (size.width as usize, size.height as usize);
        if (width, height) == (wanted_width, wanted_height) {
            return decoder.decode_into(rgb).map_err(BadJpeg::Damaged);
        }
        let fits = |side: usize, wanted: usize| (wanted..wanted + BLOCK).contains(&side);
        if !fits(width, wanted_width) || !fits(height, wanted_height) {
            return Err(BadJpeg::OtherSize { width, height, announced: size });
        }
        self.larger.resize(width * height * 3, 0);
        decoder.decode_into(&mut self.larger).map_err(BadJpeg::Damaged)?;
        for (row, out) in self.larger.chunks_exact(width * 3).zip(rgb.chunks_exact_mut(wanted_width * 3)) {
            out.copy_from_slice(&row[..wanted_width * 3]);
        }
        Ok(())
    }
}

/// What the segments before a JPEG's picture data say.
struct Headers {
    has_huffman_tables: bool,
    /// Width and height, from the frame header.
    size: Option<(u16, u16)>,
    /// Where the start-of-scan marker stands.
    scan_start: usize,
}

impl Headers {
    /// Walks over the segments (ITU-T T.81, section B.1.1); `None` where there is no JPEG or it breaks off in them.
    fn read(jpeg: &[u8]) -> Option<Self> {
        const SOI: u8 = 0xd8;
        const DHT: u8 = 0xc4;
        const SOS: u8 = 0xda;
        if jpeg.get(..2)? != [0xff, SOI] {
            return None;
        }
        let (mut has_huffman_tables, mut size) = (false, None);
        let mut at = 2;
        loop {
            // Before a marker there may be any number of fill bytes.
            while *jpeg.get(at)? != 0xff || *jpeg.get(at + 1)? == 0xff {
                at += 1;
            }
            match jpeg[at + 1] {
                SOS => return Some(Self { has_huffman_tables, size, scan_start: at }),
                DHT => has_huffman_tables = true,
                // The start of a frame, of any of the codings; three of the codes in between mean something else.
                0xc0..=0xcf if ![DHT, 0xc8, 0xcc].contains(&jpeg[at + 1]) => {
                    size = Some((word(jpeg, at + 7)?, word(jpeg, at + 5)?));
                }
                _ => {}
            }
            at += 2 + usize::from(word(jpeg, at + 2)?);
        }
    }
}

/// Two bytes as a number, the high one first.
fn word(jpeg: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*jpeg.get(at)?, *jpeg.get(at + 1)?]))
}

/// Appends a DHT segment with the tables of ITU-T T.81, section K.3: luminance in slot 0, chrominance in slot 1.
fn push_typical_huffman_tables(jpeg: &mut Vec<u8>) {
    let tables = [
        (0x00, &DC_LUMA_COUNTS, &DC_VALUES[..]),
        (0x10, &AC_LUMA_COUNTS, &AC_LUMA_VALUES[..]),
        (0x01, &DC_CHROMA_COUNTS, &DC_VALUES[..]),
        (0x11, &AC_CHROMA_COUNTS, &AC_CHROMA_VALUES[..]),
    ];
    let length: usize = 2 + tables.iter().map(|(_, counts, values)| 1 + counts.len() + values.len()).sum::<usize>();
    jpeg.extend_from_slice(&[0xff, 0xc4]);
    jpeg.extend_from_slice(&(length as u16).to_be_bytes());
    for (slot, counts, values) in tables {
        jpeg.push(slot);
        jpeg.extend_from_slice(counts);
        jpeg.extend_from_slice(values);
    }
}

// How many codes there are of each length from 1 to 16 bits, and the values of the codes in order (tables K.3 to K.6).
const DC_LUMA_COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const DC_CHROMA_COUNTS: [u8; 16] = [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
const DC_VALUES: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const AC_LUMA_COUNTS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d];
const AC_CHROMA_COUNTS: [u8; 16] = [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77];
#[rustfmt::skip]
const AC_LUMA_VALUES: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];
#[rustfmt::skip]
const AC_CHROMA_VALUES: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
    0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
    0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::codecs::jpeg::JpegEncoder;
    use proptest::prelude::*;

    use super::*;

    /// A smooth picture with some texture, as JPEG.
    fn jpeg(size: Size) -> Vec<u8> {
        let rgb: Vec<u8> = (0..size.area() as u32)
            .flat_map(|i| {
                let (x, y) = (i % size.width, i / size.width);
                [(x * 2) as u8, (y * 3) as u8, ((x * y) % 97 + 60) as u8]
            })
            .collect();
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 85);
        encoder.encode(&rgb, size.width, size.height, image::ExtendedColorType::Rgb8).unwrap();
        bytes
    }

    fn decoded(jpeg: &[u8], size: Size) -> Result<Vec<u8>, BadJpeg> {
        let mut rgb = vec![0; size.rgb_len()];
        Decoder::default().decode(jpeg, size, &mut rgb).map(|()| rgb)
    }

    /// The JPEG without its DHT segments.
    fn without_tables(jpeg: &[u8]) -> Vec<u8> {
        let mut out = jpeg[..2].to_vec();
        let mut at = 2;
        while jpeg[at + 1] != 0xda {
            let length = 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
            if jpeg[at + 1] != 0xc4 {
                out.extend_from_slice(&jpeg[at..at + length]);
            }
            at += length;
        }
        out.extend_from_slice(&jpeg[at..]);
        out
    }

    const SIZE: Size = Size::new(75, 53);

    #[test]
    fn agrees_with_another_decoder() {
        let jpeg = jpeg(SIZE);
        let ours = decoded(&jpeg, SIZE).unwrap();
        let theirs = image::load_from_memory(&jpeg).unwrap().to_rgb8();
        assert_eq!(ours, theirs.into_raw());
    }

    #[test]
    fn missing_huffman_tables_are_the_typical_ones() {
        let jpeg = jpeg(SIZE);
        let bare = without_tables(&jpeg);
        assert!(bare.len() + 400 < jpeg.len());
        assert_eq!(decoded(&bare, SIZE).unwrap(), decoded(&jpeg, SIZE).unwrap());
    }

    #[test]
    fn the_size_is_known_before_the_picture() {
        let jpeg = jpeg(SIZE);
        assert!(matches!(size(&jpeg), Ok(SIZE)));
        let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        for (at, side) in [(frame + 5, 0), (frame + 7, MAX_SIDE as u16 + 1)] {
            let mut odd = jpeg.clone();
            odd[at..at + 2].copy_from_slice(&side.to_be_bytes());
            assert!(matches!(size(&odd), Err(BadJpeg::ImpossibleSize(_))));
        }
        assert!(matches!(size(&jpeg[..frame + 6]), Err(BadJpeg::Truncated)));
    }

    #[test]
    fn grey_becomes_rgb() {
        let mut bytes = Vec::new();
        JpegEncoder::new(&mut bytes).encode(&[90; 64], 8, 8, image::ExtendedColorType::L8).unwrap();
        let rgb = decoded(&bytes, Size::new(8, 8)).unwrap();
        assert!(rgb.iter().all(|&c| c.abs_diff(90) <= 1), "{rgb:?}");
    }

    #[test]
    fn padding_behind_the_end_is_ignored() {
        let mut padded = jpeg(SIZE);
        let whole = decoded(&padded, SIZE).unwrap();
        padded.extend_from_slice(&[0; 1000]);
        assert_eq!(decoded(&padded, SIZE).unwrap(), whole);
    }

    #[test]
    fn a_picture_of_whole_blocks_is_cropped() {
        let jpeg = jpeg(Size::new(64, 48));
        let whole = decoded(&jpeg, Size::new(64, 48)).unwrap();
        let cropped = decoded(&jpeg, Size::new(64, 36)).unwrap();
        assert_eq!(cropped, whole[..cropped.len()]);
    }

    #[test]
    fn another_size_is_refused() {
        let jpeg = jpeg(Size::new(64, 48));
        for other in [Size::new(64, 49), Size::new(48, 32), Size::new(640, 480)] {
            assert!(matches!(decoded(&jpeg, other), Err(BadJpeg::OtherSize { width: 64, height: 48, .. })), "{other}");
        }
    }

    #[test]
    fn a_jpeg_that_breaks_off_is_refused() {
        let jpeg = jpeg(SIZE);
        let scan = Headers::read(&jpeg).unwrap().scan_start;
        // Seven rows of blocks. In the last one a decoder that demands no end marker cannot tell; some cameras send none.
        let last_row = scan + (jpeg.len() - scan) * 3 / 4;
        for cut in (0..last_row).step_by(7) {
            assert!(decoded(&jpeg[..cut], SIZE).is_err(), "cut at {cut} of {}, scan at {scan}", jpeg.len());
        }
        assert!(decoded(&jpeg[..jpeg.len() - 2], SIZE).is_ok(), "without the end marker");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn damage_never_panics(edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
            let mut jpeg = jpeg(SIZE);
            for (at, byte) in edits {
                let at = at.index(jpeg.len());
                jpeg[at] = byte;
            }
            let _ = decoded(&jpeg, SIZE);
        }

        #[test]
        fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let mut jpeg = vec![0xff, 0xd8, 0xff];
            jpeg.extend(bytes);
            let _ = decoded(&jpeg, SIZE);
        }
    }
}
