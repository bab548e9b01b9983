//! Frames from a Y4M stream: a file or a pipe.

use std::io::{self, BufRead, BufReader, Read};
use std::time::Instant;

use super::{Source, SourceInfo, Step};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::pixels::yuv::yuv_to_rgb;
use crate::y4m::{Header, Line, read_line};

/// Bytes read at a time: a few rows of a large picture.
const BUFFER: usize = 1 << 18;

/// Reads 8-bit Y4M from any stream of bytes.
pub struct Y4mSource<R> {
    from: BufReader<R>,
    header: Header,
    info: SourceInfo,
    planes: Vec<u8>,
    count: u64,
}

impl<R: Read + Send> Y4mSource<R> {
    /// Reads the header. `name` is the stream's for messages, `len` its length in bytes where that is known.
    ///
    /// # Errors
    /// When the stream is no Y4M that we read.
    pub fn new(from: R, name: &str, len: Option<u64>) -> Result<Self> {
        let mut from = BufReader::with_capacity(BUFFER, from);
        let header = Header::read(&mut from, name)?;
        // Exact where nothing stands behind the word FRAME, which is the rule; it serves progress bars only.
        let frames = len.map(|len| len.saturating_sub(header.line().len() as u64) / (header.frame_len() as u64 + 6));
        let info = SourceInfo { name: name.into(), size: header.size, rate: header.rate, live: false, frames };
        Ok(Self { from, header, info, planes: Vec::new(), count: 0 })
    }

    /// What the header line says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    fn truncated(&self) -> Error {
        Error::Input(format!(
            "{} is cut off within frame {}; copy or make it again, the frames before are whole",
            self.info.name, self.count
        ))
    }

    /// The planes of one picture. The buffer grows as bytes arrive, so that a header that lies about its size costs no
    /// memory.
    fn read_planes(&mut self) -> io::Result<bool> {
        let wanted = self.header.frame_len();
        if self.planes.len() == wanted {
            return match self.from.read_exact(&mut self.planes) {
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
                other => other.map(|()| true),
            };
        }
        self.planes.clear();
        self.from.by_ref().take(wanted as u64).read_to_end(&mut self.planes)?;
        Ok(self.planes.len() == wanted)
    }
}

impl<R: Read + Send> Source for Y4mSource<R> {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Step> {
        let failed = |name: &str, e: io::Error| Error::Input(format!("cannot read {name}: {e}"));
        match read_line(&mut self.from).map_err(|e| failed(&self.info.name, e))? {
            Line::End => return Ok(Step::End),
            Line::Whole(line) if line == b"FRAME" || line.starts_with(b"FRAME ") => {}
            Line::Cut => return Err(self.truncated()),
            Line::Whole(_) | Line::TooLong => {
                return Err(Error::Input(format!(
                    "{} is damaged: frame {} does not begin with the word FRAME",
                    self.info.name, self.count
                )));
            }
        }
        if !self.read_planes().map_err(|e| failed(&self.info.name, e))? {
            return Err(self.truncated());
        }
        frame.captured = Instant::now();
        frame.sequence = self.count;
        frame.reshape(self.header.size);
        yuv_to_rgb(&self.planes, self.header.size, self.header.chroma, self.header.range, &mut frame.pixels);
        self.count += 1;
        Ok(Step::Frame)
    }
}

/// Whether a stream begins like Y4M; consumes nothing.
///
/// # Errors
/// What the reader gives.
pub fn looks_like_y4m(from: &mut impl BufRead) -> io::Result<bool> {
    Ok(from.fill_buf()?.starts_with(crate::y4m::MAGIC))
}
