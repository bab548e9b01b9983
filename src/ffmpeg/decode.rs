//! Frames of any video file that ffmpeg reads.

use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::probe::{Probe, probe};
use super::process::{Process, command, file_argument};
use super::vsync_option;
use crate::error::{Error, Result};
use crate::frame::{Frame, MAX_SIDE, Size};
use crate::source::{Source, SourceInfo, Step};

/// How long the time of a frame may lag behind its pixels: both come from the same process.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a video file through ffmpeg: every frame, upright.
pub struct Decoder {
    process: Process,
    /// `None` after the end.
    pixels: Option<BufReader<ChildStdout>>,
    /// Times of the frames, where they are not equally spaced.
    times: Option<Receiver<Duration>>,
    info: SourceInfo,
    probe: Probe,
    /// Whether the next frame's header was read already.
    header_read: bool,
    count: u64,
    damage: Damage,
}

/// Whether a file turned out to be damaged, and how; clones tell the same. It is known once the source has ended.
#[derive(Debug, Clone, Default)]
pub struct Damage(Arc<OnceLock<String>>);

impl Damage {
    fn tell(&self, what: String) {
        // Only the first end is one.
        let _ = self.0.set(what);
    }

    /// What ffmpeg said of it.
    pub fn what(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

impl Decoder {
    /// Opens `path`.
    ///
    /// # Errors
    /// When ffmpeg is missing or cannot read the file.
    pub fn open(path: &Path) -> Result<Self> {
        let probe = probe(path)?;
        let name = path.display().to_string();
        let map = format!("0:{}", probe.stream);
        let mut call = command("ffmpeg");
        call.args(["-nostdin", "-hide_banner", "-v", "error", "-i"]).arg(file_argument(path));
        let every_frame = ["-map", &map, vsync_option()?, "passthrough"];
        if !probe.constant {
            // The times come first and as messages, which a thread of ours always reads: ffmpeg never waits for us
            // with a frame whose time we wait for.
            call.args(every_frame).args(["-enc_time_base", "1:1000000", "-c:v", "wrapped_avframe"]);
            call.args(["-flush_packets", "1", "-f", "framecrc", "pipe:2"]);
        }
        call.args(every_frame).args(["-c:v", "ppm", "-f", "image2pipe", "pipe:1"]).stdout(Stdio::piped());
        let (sender, times) = mpsc::channel();
        let timed = !probe.constant;
        let mut process = Process::start("ffmpeg", call, move |line| {
            // Nobody listens any more only when the decoder is going away.
            timed && framecrc_time(line).is_some_and(|time| time.is_none_or(|time| sender.send(time).is_ok()))
        })?;
        let Some(stdout) = process.stdout() else { unreachable!("it was asked for") };
        let mut pixels = BufReader::with_capacity(1 << 18, stdout);
        // The first frame tells the upright size.
        let Some(size) = read_ppm_header(&mut pixels) else {
            drop(pixels);
            process.wait().map_err(|failure| failure.reading(&name))?;
            return Err(Error::Input(format!("{name} holds no frames; give a whole video file")));
        };
        let info = SourceInfo { name, size, rate: Some(probe.rate), live: false, frames: probe.frames };
        let spacing = if probe.constant { "evenly" } else { "unevenly" };
        tracing::info!("{}: read through ffmpeg, {spacing} spaced, sound: {}", info.name, probe.sound);
        let times = timed.then_some(times);
        let damage = Damage::default();
        Ok(Self { process, pixels: Some(pixels), times, info, probe, header_read: true, count: 0, damage })
    }

    /// What the end will tell of the file.
    pub fn damage(&self) -> Damage {
        self.damage.clone()
    }

    /// What is known of the file.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// The end of ffmpeg's output: a good one, or one that it tells the reason of.
    fn ended(&mut self) -> Result<Step> {
        // Whatever it still wants to say finds no reader, so that the wait for it has an end.
        self.pixels = None;
        let name = &self.info.name;
        match self.process.wait().map_err(|failure| failure.reading(name))? {
            Some(complaint) if complaint.damage => self.damage.tell(complaint.text),
            Some(complaint) => tracing::info!("{name}: ffmpeg says: {}", complaint.text),
            None => {}
        }
        Ok(Step::End)
    }
}

impl Source for Decoder {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Step> {
        let Some(pixels) = &mut self.pixels else { return Ok(Step::End) };
        if !std::mem::take(&mut self.header_read) {
            match read_ppm_header(pixels) {
                None => return self.ended(),
                Some(size) if size == self.info.size => {}
                Some(size) => {
                    let SourceInfo { name, size: first, .. } = &self.info;
                    return Err(Error::Input(format!("{name} changes its size from {first} to {size} on the way")));
                }
            }
        }
        frame.captured = Instant::now();
        frame.reshape(self.info.size);
        if pixels.read_exact(&mut frame.pixels).is_err() {
            self.ended()?;
            return Err(Error::Tool(format!("ffmpeg ended within a frame of {}", self.info.name)));
        }
        if let Some(times) = &self.times {
            let lost = |_| Error::Tool(format!("ffmpeg does not tell the times of the frames of {}", self.info.name));
            frame.presented = Some(times.recv_timeout(PATIENCE).map_err(lost)?);
        }
        frame.sequence = self.count;
        self.count += 1;
        Ok(Step::Frame)
    }
}

/// The size in the next header, `None` where the stream ends or is no PPM.
fn read_ppm_header(from: &mut impl Read) -> Option<Size> {
    // As ffmpeg writes it: "P6\n640 480\n255\n".
    let mut header = Vec::with_capacity(20);
    while header.iter().filter(|&&b| b == b'\n').count() < 3 {
        let mut byte = [0];
        from.read_exact(&mut byte).ok()?;
        header.push(byte[0]);
        if header.len() > 32 {
            return None;
        }
    }
    let text = std::str::from_utf8(&header).ok()?;
    let (width, height) = text.strip_prefix("P6\n")?.strip_suffix("\n255\n")?.split_once(' ')?;
    let size = Size::new(width.parse().ok()?, height.parse().ok()?);
    let fits = |side| (1..=MAX_SIDE).contains(&side);
    (fits(size.width) && fits(size.height)).then_some(size)
}

/// The time on a line of the muxer `framecrc`, "0, dts, pts, duration, size, checksum" in microseconds; `Some(None)` for
/// its comments, `None` for lines that are not its own.
fn framecrc_time(line: &str) -> Option<Option<Duration>> {
    if line.starts_with('#') {
        return Some(None);
    }
    let mut fields = line.split(',').map(str::trim);
    let stream = fields.next()?;
    let (_, shown, rest) = (fields.next()?, fields.next()?, fields.count());
    if stream != "0" || rest < 3 {
        return None;
    }
    let micros: i64 = shown.parse().ok()?;
    Some(Some(Duration::from_micros(micros.max(0).unsigned_abs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_times_are_read() {
        assert_eq!(read_ppm_header(&mut &b"P6\n640 480\n255\nxyz"[..]), Some(Size::new(640, 480)));
        for bad in [&b""[..], b"P6\n640 48", b"P5\n6 4\n255\n", b"P6\n6 4\n65535\n", b"P6\n0 4\n255\n", &[b'x'; 99]] {
            assert_eq!(read_ppm_header(&mut &bad[..]), None);
        }
        let line = "0,      33000,      33000,    16683,      472, 0xf75116f5";
        assert_eq!(framecrc_time(line), Some(Some(Duration::from_millis(33))));
        assert_eq!(framecrc_time("#tb 0: 1/1000000"), Some(None));
        assert_eq!(framecrc_time("[h264 @ 0x5] error while decoding MB 3, 4"), None);
    }
}
