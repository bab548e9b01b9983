//! The header of a Y4M (YUV4MPEG2) stream, as mjpegtools' `yuv4mpeg(5)` describes it and ffmpeg extends it.
//!
//! A stream is one header line, then for each picture a line that begins with `FRAME` and the planes.

use std::fmt::Write as _;
use std::io::{self, BufRead};

use crate::error::{Error, Result};
use crate::frame::{MAX_SIDE, Rate, Size};
use crate::pixels::yuv::{Chroma, Range};

/// What every Y4M stream begins with.
pub const MAGIC: &[u8] = b"YUV4MPEG2";

/// The longest line that is read: real headers have some 100 bytes.
const LONGEST_LINE: usize = 4096;

/// What the header line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Pixels per row and rows.
    pub size: Size,
    /// Frames per second, `None` where unknown (`F0:0`).
    pub rate: Option<Rate>,
    /// The planes.
    pub chroma: Chroma,
    /// Limited, unless the extension `XCOLORRANGE=FULL` stands there.
    pub range: Range,
    /// Words that we hand on as they are: interlacing `I…`, pixel aspect `A…`, and the exact name of the format `C…`.
    kept: Kept,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    interlacing: String,
    aspect: String,
    colour: String,
}

impl Header {
    /// A progressive stream of square pixels in limited range.
    pub fn new(size: Size, rate: Option<Rate>, chroma: Chroma) -> Self {
        let colour = match chroma {
            Chroma::C420 => "420jpeg",
            Chroma::C422 => "422",
            Chroma::C444 => "444",
            Chroma::Mono => "mono",
        };
        let kept = Kept { interlacing: "p".into(), aspect: "1:1".into(), colour: colour.into() };
        Self { size, rate, chroma, range: Range::Limited, kept }
    }

    /// The same with pixels of another shape, `width` to `height`.
    #[must_use]
    pub fn with_aspect(mut self, (width, height): (u32, u32)) -> Self {
        self.kept.aspect = format!("{width}:{height}");
        self
    }

    /// The header of what is made from this stream: the same but for `size` and `rate`, in limited range. Grey becomes
    /// 4:2:0, since a style has colours.
    pub fn for_output(&self, size: Size, rate: Option<Rate>) -> Self {
        let colour = if self.chroma == Chroma::Mono { Chroma::C420 } else { self.chroma };
        let mut header = Self::new(size, rate, colour);
        if self.chroma != Chroma::Mono {
            header.kept = self.kept.clone();
        }
        header
    }

    /// Bytes of one picture, without its `FRAME` line.
    pub fn frame_len(&self) -> usize {
        self.chroma.frame_len(self.size)
    }

    /// The header line, its newline included. `name` is the stream's for error messages.
    ///
    /// # Errors
    /// When it is not Y4M, has no size, or is of a kind that we do not read; the sentence says what to do.
    pub fn read(from: &mut impl BufRead, name: &str) -> Result<Self> {
        let line = read_line(from).map_err(|e| Error::Input(format!("cannot read {name}: {e}")))?;
        let line = match line {
            Line::Whole(line) => line,
            Line::End => return Err(Error::Input(format!("{name} is empty; give a video"))),
            Line::Cut | Line::TooLong => return Err(not_y4m(name)),
        };
        let text = std::str::from_utf8(&line).map_err(|_| not_y4m(name))?;
        Self::parse(text, name)
    }

    fn parse(line: &str, name: &str) -> Result<Self> {
        let mut words = line.split(' ').filter(|w| !w.is_empty());
        if words.next().map(str::as_bytes) != Some(MAGIC) {
            return Err(not_y4m(name));
        }
        let bad = |what: &str| Error::Input(format!("the Y4M header of {name} {what}"));
        let (mut width, mut height, mut rate, mut range) = (None, None, None, Range::Limited);
        let mut kept = Kept { interlacing: "p".into(), aspect: "1:1".into(), colour: "420jpeg".into() };
        for word in words {
            let Some((key, value)) = word.split_at_checked(1) else { continue };
            match key {
                "W" => width = Some(side(value).ok_or_else(|| bad(&bad_side("width", value)))?),
                "H" => height = Some(side(value).ok_or_else(|| bad(&bad_side("height", value)))?),
                "F" if value == "0:0" => {}
                "F" => {
                    let text = value.replacen(':', "/", 1);
                    rate = Some(text.parse().map_err(|_| bad(&format!("has an impossible frame rate F{value}")))?);
                }
                "I" => kept.interlacing = value.into(),
                "A" => kept.aspect = value.into(),
                "C" => kept.colour = value.into(),
                "X" if value == "COLORRANGE=FULL" => range = Range::Full,
                _ => {}
            }
        }
        let chroma = match kept.colour.as_str() {
            "420" | "420jpeg" | "420mpeg2" | "420paldv" => Chroma::C420,
            "422" => Chroma::C422,
            "444" => Chroma::C444,
            "mono" => Chroma::Mono,
            other => {
                return Err(bad(&format!(
                    "asks for the pixel format C{other}, which is not read here; \
                     convert it to 8-bit C420, C422, C444 or Cmono (ffmpeg: -pix_fmt yuv420p)"
                )));
            }
        };
        match (width, height) {
            (Some(width), Some(height)) => Ok(Self { size: Size::new(width, height), rate, chroma, range, kept }),
            _ => Err(bad("lacks the width or the height")),
        }
    }

    /// The header line with its newline.
    pub fn line(&self) -> String {
        self.line_of_len(0)
    }

    /// The header line with its newline, filled up to `len` bytes with a comment that readers skip.
    pub fn line_of_len(&self, len: usize) -> String {
        let (numerator, denominator) = self.rate.map_or((0, 0), |r| (r.numerator(), r.denominator()));
        let Kept { interlacing, aspect, colour } = &self.kept;
        let Size { width, height } = self.size;
        let mut line =
            format!("YUV4MPEG2 W{width} H{height} F{numerator}:{denominator} I{interlacing} A{aspect} C{colour}");
        if line.len() + 1 < len {
            // Writing to a string cannot fail.
            let _ = write!(line, " X{:=<1$}", "", (len - line.len()).saturating_sub(3));
        }
        line.push('\n');
        line
    }
}

fn side(text: &str) -> Option<u32> {
    text.parse().ok().filter(|n| (1..=MAX_SIDE).contains(n))
}

fn bad_side(which: &str, value: &str) -> String {
    format!("gives the {which} as '{value}'; each side is 1 to {MAX_SIDE} pixels")
}

fn not_y4m(name: &str) -> Error {
    Error::Input(format!(
        "{name} is not a Y4M stream (nor MJPEG); make one with: ffmpeg -i VIDEO -pix_fmt yuv420p -f yuv4mpegpipe -"
    ))
}

/// What stood before the next newline.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line without its newline.
    Whole(Vec<u8>),
    /// The stream ended where a line would have begun.
    End,
    /// The stream ended within the line.
    Cut,
    /// No newline within the limit: this is not text.
    TooLong,
}

/// Reads up to the next newline, at most [`LONGEST_LINE`] bytes.
///
/// # Errors
/// What the reader gives.
pub fn read_line(from: &mut impl BufRead) -> io::Result<Line> {
    let mut line = Vec::new();
    io::Read::take(from, LONGEST_LINE as u64).read_until(b'\n', &mut line)?;
    Ok(match line.pop() {
        None => Line::End,
        Some(b'\n') => Line::Whole(line),
        Some(_) if line.len() + 1 < LONGEST_LINE => Line::Cut,
        Some(_) => Line::TooLong,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> Result<Header> {
        Header::read(&mut format!("{line}\n").as_bytes(), "it")
    }

    #[test]
    fn what_ffmpeg_writes_is_read() {
        let header = parse("YUV4MPEG2 W7 H5 F30000:1001 It A8:9 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=FULL")
            .expect("it is valid");
        assert_eq!((header.size, header.chroma, header.range), (Size::new(7, 5), Chroma::C420, Range::Full));
        assert_eq!(header.rate, Rate::new(30000, 1001));
        let out = header.for_output(header.size, header.rate);
        assert_eq!(out.line(), "YUV4MPEG2 W7 H5 F30000:1001 It A8:9 C420mpeg2\n");
    }

    #[test]
    fn grey_gets_colours_and_the_rate_may_be_unknown() {
        let header = parse("YUV4MPEG2 H5 W7 F0:0 Cmono").expect("it is valid");
        assert_eq!((header.chroma, header.rate), (Chroma::Mono, None));
        assert_eq!(header.for_output(Size::new(2, 2), None).line(), "YUV4MPEG2 W2 H2 F0:0 Ip A1:1 C420jpeg\n");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (line, said) in [
            ("RIFF", "not a Y4M stream"),
            ("YUV4MPEG2 W0 H5", "gives the width as '0'"),
            ("YUV4MPEG2 W5 H4000000000", "gives the height as '4000000000'"),
            ("YUV4MPEG2 W5", "lacks the width or the height"),
            ("YUV4MPEG2 W5 H5 F25:0", "impossible frame rate F25:0"),
            ("YUV4MPEG2 W5 H5 C420p10", "C420p10"),
        ] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(said), "{line}: {error}");
        }
        let error = Header::read(&mut &b""[..], "clip.y4m").expect_err("empty").to_string();
        assert!(error.contains("clip.y4m is empty"), "{error}");
        let zeros = vec![0; 100_000];
        let error = Header::read(&mut &zeros[..], "it").expect_err("zeros").to_string();
        assert!(error.contains("not a Y4M"), "{error}");
    }

    proptest! {
        #[test]
        fn a_line_of_any_length_reads_back(w in 1..=MAX_SIDE, h in 1..=MAX_SIDE, n in 1u32..240, len in 0usize..200) {
            for chroma in [Chroma::C420, Chroma::C422, Chroma::C444, Chroma::Mono] {
                let header = Header::new(Size::new(w, h), Rate::new(n, 1), chroma);
                let line = header.line_of_len(len);
                prop_assert!(line.len() == len || len < header.line().len() + 2);
                prop_assert_eq!(&Header::read(&mut line.as_bytes(), "it").unwrap(), &header);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut text = b"YUV4MPEG2 ".to_vec();
            text.extend(bytes);
            let _ = Header::read(&mut &text[..], "it");
        }
    }
}
