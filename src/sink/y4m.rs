//! Frames as a Y4M stream: into a file or a pipe.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

use super::{Flow, Sink};
use crate::error::{Error, Result};
use crate::frame::{Frame, Rate};
use crate::output::Output;
use crate::pixels::yuv::rgb_to_yuv;
use crate::y4m::Header;

/// What stands before each picture.
const FRAME: &[u8] = b"FRAME\n";
/// Length of a header whose frame rate is corrected at the end: room for any rate, but not more than ffmpeg reads (96).
const ROOMY_HEADER: usize = 80;

/// One picture as the stream holds it.
pub(crate) struct Encoder {
    header: Header,
    bytes: Vec<u8>,
}

impl Encoder {
    /// For a stream with `header`.
    pub fn new(header: Header) -> Self {
        let mut bytes = FRAME.to_vec();
        bytes.resize(FRAME.len() + header.frame_len(), 0);
        Self { header, bytes }
    }

    /// The bytes of `frame`, with what stands before each picture.
    pub fn encode(&mut self, frame: &Frame) -> &[u8] {
        rgb_to_yuv(&frame.pixels, frame.size, self.header.chroma, &mut self.bytes[FRAME.len()..]);
        &self.bytes
    }

    /// The bytes of the frame before.
    pub fn encoded(&self) -> &[u8] {
        &self.bytes
    }
}

/// Writes Y4M into a file that appears when it is finished.
pub struct Y4mFile {
    name: String,
    encoder: Encoder,
    output: Option<Output>,
    retime: bool,
    span: Option<(Instant, Instant)>,
    frames: u64,
}

impl Y4mFile {
    /// Begins the file `path`. With `retime` the frame rate in its header becomes, at the end, the one that frames were
    /// captured with: where frames are dropped, the file still plays at the speed of life.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path, header: Header, retime: bool) -> Result<Self> {
        let mut output = Output::create(path)?;
        let retime = retime && output.is_pending();
        let line = header.line_of_len(if retime { ROOMY_HEADER } else { 0 });
        output.file().write_all(line.as_bytes()).map_err(|e| Error::io("write", path, e))?;
        let name = path.display().to_string();
        Ok(Self { name, encoder: Encoder::new(header), output: Some(output), retime, span: None, frames: 0 })
    }
}

impl Sink for Y4mFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn show(&mut self, frame: &Frame) -> Result<Flow> {
        let Some(output) = &mut self.output else { return Ok(Flow::Stop) };
        let bytes = self.encoder.encode(frame);
        output.file().write_all(bytes).map_err(|e| Error::io("write", output.path(), e))?;
        self.frames += 1;
        let first = self.span.map_or(frame.captured, |(first, _)| first);
        self.span = Some((first, frame.captured));
        Ok(Flow::Continue)
    }

    fn finish(&mut self) -> Result<()> {
        let Some(mut output) = self.output.take() else { return Ok(()) };
        let Some((first, last)) = self.span else { return Ok(()) };
        if let Some(rate) = measured(last.saturating_duration_since(first).as_secs_f64(), self.frames)
            && self.retime
        {
            self.encoder.header.rate = Some(rate);
            let line = self.encoder.header.line_of_len(ROOMY_HEADER);
            // Only a header with unusual words is longer than its room: it keeps the nominal rate.
            if line.len() == ROOMY_HEADER {
                let file = output.file();
                let rewritten = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(line.as_bytes()));
                rewritten.map_err(|e| Error::io("write", output.path(), e))?;
            }
        }
        output.commit()
    }
}

/// Frames per second of `frames` frames whose first and last lie `seconds` apart.
fn measured(seconds: f64, frames: u64) -> Option<Rate> {
    if frames < 2 || seconds <= 0.0 {
        return None;
    }
    Rate::new(((frames - 1) as f64 / seconds * 1000.0).round() as u32, 1000)
}

/// Writes Y4M to standard output.
pub struct Y4mPipe {
    encoder: Encoder,
    begun: bool,
}

impl Y4mPipe {
    /// A stream with `header`; nothing is written before the first frame.
    pub fn new(header: Header) -> Self {
        Self { encoder: Encoder::new(header), begun: false }
    }

    fn write(&mut self, frame: &Frame) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if !self.begun {
            out.write_all(self.encoder.header.line().as_bytes())?;
            self.begun = true;
        }
        out.write_all(self.encoder.encode(frame))?;
        out.flush()
    }
}

impl Sink for Y4mPipe {
    fn name(&self) -> &str {
        "-"
    }

    fn may_hang(&self) -> bool {
        true
    }

    fn show(&mut self, frame: &Frame) -> Result<Flow> {
        self.write(frame).map_err(|e| Error::io("write to", Path::new("standard output"), e))?;
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;
    use crate::frame::Size;
    use crate::pixels::yuv::Chroma;

    #[test]
    fn the_measured_rate_counts_intervals() {
        assert_eq!(measured(1.0, 31), Rate::new(30_000, 1000));
        assert_eq!(measured(0.0, 5), None);
        assert_eq!(measured(3.0, 1), None);
        assert_eq!(measured(1e-9, 1_000_000), None, "faster than any rate");
    }

    #[test]
    fn a_live_recording_plays_at_the_speed_of_life() {
        let folder = tempfile::tempdir().unwrap();
        let size = Size::new(4, 2);
        let nominal = Header::new(size, Rate::new(30, 1), Chroma::C420);
        for (retime, rate) in [(true, Rate::new(8_000, 1000)), (false, nominal.rate)] {
            let path = folder.path().join("a.y4m");
            let mut sink = Y4mFile::create(&path, nominal.clone(), retime).unwrap();
            let mut frame = Frame::black(size);
            for _ in 0..3 {
                frame.captured += Duration::from_millis(125);
                sink.show(&frame).unwrap();
            }
            sink.finish().unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let header = Header::read(&mut &bytes[..], "it").unwrap();
            assert_eq!(header.rate, rate);
            let line = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
            assert!(line <= 96, "ffmpeg reads no longer header than 96 bytes: {line}");
            assert_eq!(bytes.len() - line, 3 * (FRAME.len() + 12));
        }
    }
}
