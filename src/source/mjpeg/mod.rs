//! Frames from a stream of JPEGs, one behind the other: MJPEG as `rpicam-vid` and ffmpeg write it, into a file or a pipe.

mod splitter;

use std::io::Read;
use std::time::Instant;

use super::coded::{Fed, Feed, Pictures};
use super::{Source, SourceInfo, Step};
use crate::error::{Error, Result};
use crate::frame::{Frame, Size};
use crate::pixels::fit::Fitter;
use crate::pixels::mjpeg::{self, BadJpeg};
use splitter::{Piece, Splitter};

/// What every JPEG begins with.
pub const MAGIC: [u8; 2] = [0xff, 0xd8];

/// The most bytes that one JPEG may have.
const LARGEST: usize = 64 << 20;

/// That many damaged JPEGs at the beginning, and none that is whole, make no video.
const MAX_DAMAGED: u64 = 30;

/// A stream of bytes as JPEGs.
struct Jpegs<R> {
    splitter: Splitter<R>,
    name: String,
    count: u64,
}

impl<R: Read + Send + 'static> Pictures for Jpegs<R> {
    fn next(&mut self, data: &mut Vec<u8>) -> Result<bool> {
        let Self { splitter, name, count } = self;
        match splitter.next(data).map_err(|e| Error::Input(format!("cannot read {name}: {e}")))? {
            Piece::Picture => *count += 1,
            Piece::End => return Ok(false),
            Piece::Cut => {
                // Where it is the only one, that is an error, which says it.
                if *count > 0 {
                    tracing::warn!("{name} ends within frame {count}, which is dropped");
                }
                return Ok(false);
            }
            Piece::TooLong => {
                let megabytes = LARGEST >> 20;
                return Err(Error::Input(format!(
                    "{name} is no MJPEG any more: frame {count} does not end within {megabytes} MiB; make it again"
                )));
            }
        }
        Ok(true)
    }
}

/// Reads MJPEG from any stream of bytes. Its size is that of the first frame; later ones of another size are fitted to it.
/// Damaged frames are skipped: the first is told of by a warning, their number at the end.
pub struct MjpegSource {
    info: SourceInfo,
    feed: Feed,
    decoder: mjpeg::Decoder,
    fitter: Fitter,
    /// The coded picture that was taken last.
    jpeg: Vec<u8>,
    /// Number and time of the first picture, which lies in `jpeg` until it is read.
    first: Option<(u64, Instant)>,
    /// The last picture of another size than the stream's.
    other: Vec<u8>,
    damage: Damage,
}

impl MjpegSource {
    /// Reads up to the first frame that is whole. `name` is the stream's for messages; `live` says that a camera writes it:
    /// then the newest frame counts, and it is read on a thread of its own.
    ///
    /// # Errors
    /// When the stream cannot be read, or holds no JPEG that can.
    pub fn new(from: impl Read + Send + 'static, name: &str, live: bool) -> Result<Self> {
        let mut jpegs = Jpegs { splitter: Splitter::new(from, LARGEST), name: name.into(), count: 0 };
        let (mut decoder, mut jpeg, mut rgb) = (mjpeg::Decoder::default(), Vec::new(), Vec::new());
        let mut damage = Damage { name: name.into(), count: 0 };
        let size = loop {
            if !jpegs.next(&mut jpeg)? {
                return Err(Error::Input(format!("{name} holds no whole JPEG; give MJPEG, one JPEG behind the other")));
            }
            match decode(&mut decoder, &jpeg, &mut rgb) {
                Ok(size) => break size,
                Err(bad) if damage.count + 1 == MAX_DAMAGED => {
                    return Err(Error::Input(format!(
                        "{name} holds no JPEG that can be read: the first {MAX_DAMAGED} were damaged, the last is {bad}"
                    )));
                }
                Err(bad) => damage.note(jpegs.count - 1, &bad),
            }
        };
        let first = Some((jpegs.count - 1, Instant::now()));
        tracing::info!("{name}: MJPEG {size}");
        let count = jpegs.count;
        Ok(Self {
            info: SourceInfo { name: name.into(), size, rate: None, live, frames: None },
            feed: Feed::new(jpegs, name, live, count)?,
            decoder,
            fitter: Fitter::new(size),
            jpeg,
            first,
            other: rgb,
            damage,
        })
    }
}

/// Decodes a JPEG of any size into `rgb`.
fn decode(decoder: &mut mjpeg::Decoder, jpeg: &[u8], rgb: &mut Vec<u8>) -> std::result::Result<Size, BadJpeg> {
    let size = mjpeg::size(jpeg)?;
    rgb.resize(size.rgb_len(), 0);
    decoder.decode(jpeg, size, rgb)?;
    Ok(size)
}

impl Source for MjpegSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Step> {
        let (sequence, captured) = match self.first.take() {
            Some(first) => first,
            None => match self.feed.next(&mut self.jpeg)? {
                Fed::Picture { sequence, captured } => (sequence, captured),
                Fed::Idle => return Ok(Step::Idle),
                Fed::End => return Ok(Step::End),
            },
        };
        frame.reshape(self.info.size);
        let same_size = mjpeg::size(&self.jpeg).is_ok_and(|size| size == self.info.size);
        let decoded = if same_size {
            self.decoder.decode(&self.jpeg, self.info.size, &mut frame.pixels).map(|()| None)
        } else {
            decode(&mut self.decoder, &self.jpeg, &mut self.other).map(Some)
        };
        match decoded {
            Ok(None) => {}
            Ok(Some(size)) => frame.pixels.copy_from_slice(self.fitter.fit(&self.other, size)?),
            Err(bad) => {
                self.damage.note(sequence, &bad);
                return Ok(Step::Idle);
            }
        }
        frame.captured = captured;
        frame.sequence = sequence;
        frame.presented = None;
        Ok(Step::Frame)
    }
}

/// The damaged frames of a stream: the first is a warning, the rest are counted.
struct Damage {
    name: String,
    count: u64,
}

impl Damage {
    fn note(&mut self, sequence: u64, bad: &BadJpeg) {
        let name = &self.name;
        if self.count == 0 {
            tracing::warn!("{name}: frame {sequence} is skipped, it is {bad}; more such frames are only counted");
        } else {
            tracing::debug!("{name}: skipped frame {sequence}, {bad}");
        }
        self.count += 1;
    }
}

impl Drop for Damage {
    fn drop(&mut self) {
        if self.count > 1 {
            tracing::warn!("{}: {} damaged frames were skipped", self.name, self.count);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Cursor;

    use image::codecs::jpeg::JpegEncoder;

    use super::*;

    /// A colour with some grain, as JPEG.
    fn jpeg(size: Size, colour: [u8; 3]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
        let rgb: Vec<u8> = (0..size.area()).flat_map(|i| colour.map(|c| c + (i * 7919 % 13) as u8)).collect();
        encoder.encode(&rgb, size.width, size.height, image::ExtendedColorType::Rgb8).unwrap();
        bytes
    }

    /// The JPEG up to the middle of its picture.
    fn half(jpeg: &[u8]) -> &[u8] {
        let scan = jpeg.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
        &jpeg[..(scan + jpeg.len()) / 2]
    }

    const SIZE: Size = Size::new(48, 32);
    const COLOURS: [[u8; 3]; 3] = [[200, 30, 30], [30, 180, 30], [90, 90, 90]];

    fn frames(stream: Vec<u8>, live: bool) -> Vec<Frame> {
        let mut source = MjpegSource::new(Cursor::new(stream), "it", live).unwrap();
        assert_eq!((source.info().size, source.info().live), (SIZE, live));
        let mut frames = Vec::new();
        loop {
            let mut frame = Frame::black(Size::new(1, 1));
            match source.read(&mut frame).unwrap() {
                Step::Frame => frames.push(frame),
                Step::Idle => {}
                Step::End => return frames,
            }
        }
    }

    fn is(frame: &Frame, colour: [u8; 3]) -> bool {
        frame.size == SIZE
            && frame.pixels.chunks_exact(3).all(|p| p.iter().zip(colour).all(|(a, b)| a.abs_diff(b + 6) <= 12))
    }

    #[test]
    fn every_frame_of_a_stream_comes_in_order() {
        let stream = COLOURS.map(|colour| jpeg(SIZE, colour)).concat();
        let frames = frames(stream, false);
        assert_eq!(frames.iter().map(|frame| frame.sequence).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(frames.iter().zip(COLOURS).all(|(frame, colour)| is(frame, colour)));
    }

    #[test]
    fn a_live_stream_ends_with_its_last_frame() {
        let stream = COLOURS.map(|colour| jpeg(SIZE, colour)).concat();
        let frames = frames(stream, true);
        assert!(is(&frames[0], COLOURS[0]) && is(frames.last().unwrap(), COLOURS[2]));
    }

    #[test]
    fn damaged_frames_and_half_a_frame_at_the_end_are_skipped() {
        let [a, b, c] = COLOURS.map(|colour| jpeg(SIZE, colour));
        let broken = half(&a);
        let stream = [broken, &a, half(&b), &c, b"\0noise\0", broken, &b, half(&c)].concat();
        let frames = frames(stream, false);
        let colours = [COLOURS[0], COLOURS[2], COLOURS[1]];
        assert_eq!(frames.len(), 3);
        assert!(frames.iter().zip(colours).all(|(frame, colour)| is(frame, colour)));
        // The gaps tell of those that were skipped.
        assert_eq!(frames.iter().map(|frame| frame.sequence).collect::<Vec<_>>(), [1, 3, 5]);
    }

    #[test]
    fn another_size_is_fitted_to_the_first() {
        let larger = Size::new(SIZE.width * 3, SIZE.height * 3);
        let wide = Size::new(96, 32);
        let stream = [jpeg(SIZE, COLOURS[0]), jpeg(larger, COLOURS[1]), jpeg(wide, COLOURS[2]), jpeg(SIZE, COLOURS[0])];
        let frames = frames(stream.concat(), false);
        assert!(is(&frames[0], COLOURS[0]) && is(&frames[1], COLOURS[1]) && is(&frames[3], COLOURS[0]));
        // Twice as wide: black bars above and below.
        let row = |y: usize| &frames[2].pixels[y * 144..][..144];
        assert!(row(0).iter().all(|&byte| byte == 0) && row(16).iter().all(|&byte| byte.abs_diff(96) <= 12));
    }

    #[test]
    fn what_holds_no_jpeg_is_said() {
        let whole = jpeg(SIZE, COLOURS[0]);
        for (stream, said) in [
            (Vec::new(), "holds no whole JPEG"),
            (whole[..300].to_vec(), "holds no whole JPEG"),
            (half(&whole).repeat(50), "the first 30 were damaged"),
        ] {
            let error = MjpegSource::new(Cursor::new(stream), "it", false).err().unwrap().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
