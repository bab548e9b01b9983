//! Frames from a Y4M stream: a file or a pipe.

use std::io::{self, BufRead, BufReader, Read};

use super::coded::{Fed, Feed, Pictures};
use super::{Source, SourceInfo, Step};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::pixels::yuv::yuv_to_rgb;
use crate::y4m::{Header, Line, read_line};

/// Bytes read at a time: a few rows of a large picture.
const BUFFER: usize = 1 << 18;

/// A stream of bytes as the planes of pictures.
struct Planes<R> {
    from: BufReader<R>,
    name: String,
    wanted: usize,
    live: bool,
    count: u64,
}

impl<R: Read + Send + 'static> Pictures for Planes<R> {
    fn next(&mut self, data: &mut Vec<u8>) -> Result<bool> {
        let failed = |name: &str, e: io::Error| Error::Input(format!("cannot read {name}: {e}"));
        match read_line(&mut self.from).map_err(|e| failed(&self.name, e))? {
            Line::End => return Ok(false),
            Line::Whole(line) if line == b"FRAME" || line.starts_with(b"FRAME ") => {}
            Line::Cut => return self.cut(),
            Line::Whole(_) | Line::TooLong => {
                return Err(Error::Input(format!(
                    "{} is damaged: frame {} does not begin with the word FRAME",
                    self.name, self.count
                )));
            }
        }
        if !self.read_planes(data).map_err(|e| failed(&self.name, e))? {
            return self.cut();
        }
        self.count += 1;
        Ok(true)
    }
}

impl<R: Read> Planes<R> {
    /// The planes of one picture. The buffer grows as bytes arrive, so that a header that lies about its size costs no
    /// memory.
    fn read_planes(&mut self, data: &mut Vec<u8>) -> io::Result<bool> {
        if data.len() == self.wanted {
            return match self.from.read_exact(data) {
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
                other => other.map(|()| true),
            };
        }
        data.clear();
        self.from.by_ref().take(self.wanted as u64).read_to_end(data)?;
        Ok(data.len() == self.wanted)
    }

    /// A camera ends where it is switched off; a file that ends there is not whole.
    fn cut(&self) -> Result<bool> {
        let Self { name, count, .. } = self;
        if self.live {
            tracing::warn!("{name} ends within frame {count}, which is dropped");
            return Ok(false);
        }
        Err(Error::Input(format!(
            "{name} is cut off within frame {count}; copy or make it again, the frames before are whole"
        )))
    }
}

/// Reads 8-bit Y4M from any stream of bytes.
pub struct Y4mSource {
    header: Header,
    info: SourceInfo,
    feed: Feed,
    planes: Vec<u8>,
}

impl Y4mSource {
    /// Reads the header. `name` is the stream's for messages, `len` its length in bytes where that is known; `live` says that
    /// a camera writes it: then the newest frame counts, and it is read on a thread of its own.
    ///
    /// # Errors
    /// When the stream is no Y4M that we read.
    pub fn new(from: impl Read + Send + 'static, name: &str, len: Option<u64>, live: bool) -> Result<Self> {
        let mut from = BufReader::with_capacity(BUFFER, from);
        let header = Header::read(&mut from, name)?;
        let wanted = header.frame_len();
        // Exact where nothing stands behind the word FRAME, which is the rule; it serves progress bars only.
        let frames = len.map(|len| len.saturating_sub(header.line().len() as u64) / (wanted as u64 + 6));
        let info = SourceInfo { name: name.into(), size: header.size, rate: header.rate, live, frames };
        let planes = Planes { from, name: name.into(), wanted, live, count: 0 };
        Ok(Self { header, info, feed: Feed::new(planes, name, live, 0)?, planes: Vec::new() })
    }

    /// What the header line says.
    pub fn header(&self) -> &Header {
        &self.header
    }
}

impl Source for Y4mSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Step> {
        match self.feed.next(&mut self.planes)? {
            Fed::Picture { sequence, captured } => (frame.sequence, frame.captured) = (sequence, captured),
            Fed::Idle => return Ok(Step::Idle),
            Fed::End => return Ok(Step::End),
        }
        frame.reshape(self.header.size);
        yuv_to_rgb(&self.planes, self.header.size, self.header.chroma, self.header.range, &mut frame.pixels);
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
