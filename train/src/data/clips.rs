//! Frames of clips, read through the `ffmpeg` program.

use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context, bail};
use image::RgbImage;

/// The frames of a clip, one by one with their number. The program behind it ends with this value.
pub struct Frames {
    ffmpeg: Child,
    pipe: BufReader<ChildStdout>,
    /// The end of what ffmpeg says on standard error, once it has ended.
    said: Option<JoinHandle<String>>,
    next: u32,
    every: u32,
    /// What was read already, since it may be the next one of a frame that was wanted.
    ahead: Option<anyhow::Result<Option<RgbImage>>>,
}

/// A frame that was wanted.
pub struct Frame {
    /// Its number in the clip, from 0 on.
    pub number: u32,
    /// What it shows.
    pub picture: RgbImage,
    /// The one after it, where the clip goes on.
    pub next: Option<RgbImage>,
}

impl Frames {
    /// Starts to read every `every`th frame of a clip, the first among them.
    pub fn open(clip: &Path, every: u32) -> anyhow::Result<Self> {
        // Where there is no ffmpeg, the next call says so.
        let vsync = nijigen::ffmpeg::vsync_option().unwrap_or("-fps_mode");
        let mut ffmpeg = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i"])
            .arg(clip)
            // Each frame once: by default those of a clip with a varying rate are repeated to fill a constant one.
            .args(["-map", "0:v:0", vsync, "passthrough", "-f", "image2pipe", "-c:v", "ppm", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => anyhow::anyhow!(
                    "clips are read through the program ffmpeg, which is not installed: install it (Debian, Ubuntu: \
                     apt install ffmpeg) or name photos only"
                ),
                _ => anyhow::Error::new(error).context("cannot start ffmpeg"),
            })?;
        let pipe = BufReader::new(ffmpeg.stdout.take().context("ffmpeg gives no output")?);
        // Read while the frames are: of a damaged clip ffmpeg says more than a pipe holds, and waits until it is read.
        let said = ffmpeg
            .stderr
            .take()
            .map(|stderr| thread::Builder::new().name("ffmpeg's errors".into()).spawn(move || tail(stderr)));
        let said = said.transpose().context("cannot start a thread")?;
        Ok(Self { ffmpeg, pipe, said, next: 0, every: every.max(1), ahead: None })
    }

    /// The next frame wanted; `None` after the last one.
    pub fn next_frame(&mut self) -> anyhow::Result<Option<Frame>> {
        loop {
            let read = self.ahead.take().unwrap_or_else(|| self.read());
            let Some(frame) = read? else { return self.end().map(|()| None) };
            let number = self.next;
            self.next += 1;
            if number.is_multiple_of(self.every) {
                // Where the clip is damaged, this frame is whole, and whoever wants the next one is told.
                let ahead = self.read();
                let next = ahead.as_ref().ok().and_then(Option::as_ref);
                let next = next.filter(|next| next.dimensions() == frame.dimensions()).cloned();
                self.ahead = Some(ahead);
                return Ok(Some(Frame { number, picture: frame, next }));
            }
        }
    }

    fn read(&mut self) -> anyhow::Result<Option<RgbImage>> {
        read_ppm(&mut self.pipe).context("ffmpeg's output cannot be read")
    }

    /// Asks ffmpeg how it went. A clip that ends early is its frames until there.
    fn end(&mut self) -> anyhow::Result<()> {
        let status = self.ffmpeg.wait().context("ffmpeg cannot be waited for")?;
        let said = self.said.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if self.next == 0 {
            let reason = said.lines().last().unwrap_or("it holds no frames");
            bail!("ffmpeg (5.1 or newer is needed) cannot read the clip ({status}): {reason}");
        }
        Ok(())
    }
}

/// Reads a stream to its end and keeps the last of it.
fn tail(mut stream: impl Read) -> String {
    const KEPT: usize = 4096;
    let (mut kept, mut chunk) = (Vec::new(), [0; KEPT]);
    // A stream that cannot be read is one that has ended.
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        kept.extend_from_slice(&chunk[..count]);
        kept.drain(..kept.len().saturating_sub(KEPT));
    }
    String::from_utf8_lossy(&kept).into_owned()
}

impl Drop for Frames {
    fn drop(&mut self) {
        // Either may fail only because the program has ended already.
        let _ = self.ffmpeg.kill();
        let _ = self.ffmpeg.wait();
    }
}

/// Reads one binary PPM with 8 bits; `None` at the end of the stream.
fn read_ppm(stream: &mut impl Read) -> io::Result<Option<RgbImage>> {
    let mut fields = Vec::new();
    let mut field = String::new();
    loop {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            if fields.is_empty() && field.is_empty() {
                return Ok(None);
            }
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !byte[0].is_ascii_whitespace() {
            field.push(char::from(byte[0]));
        } else if !field.is_empty() {
            fields.push(std::mem::take(&mut field));
            if fields.len() == 4 {
                break;
            }
        }
        if field.len() > 16 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let number = |i: usize| fields[i].parse::<u32>().map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    let (width, height) = (number(1)?, number(2)?);
    let bytes = (u64::from(width) * u64::from(height)).saturating_mul(3);
    if fields[0] != "P6" || fields[3] != "255" || bytes > 1 << 30 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut pixels = vec![0; bytes as usize];
    stream.read_exact(&mut pixels)?;
    Ok(RgbImage::from_raw(width, height, pixels))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn pictures_follow_one_another_until_the_stream_ends() {
        let mut stream: &[u8] = b"P6\n2 1\n255\nabcdefP6 1 1 255 xyz";
        assert_eq!(read_ppm(&mut stream).unwrap().unwrap().as_raw(), b"abcdef");
        assert_eq!(read_ppm(&mut stream).unwrap().unwrap().as_raw(), b"xyz");
        assert!(read_ppm(&mut stream).unwrap().is_none());
    }

    #[test]
    fn of_a_long_complaint_the_end_is_kept() {
        let complaint = format!("{}the reason", "x\n".repeat(100_000));
        let kept = tail(complaint.as_bytes());
        assert!(kept.ends_with("the reason") && kept.len() <= 4096);
        assert_eq!(tail(b"short".as_slice()), "short");
    }

    #[test]
    fn what_is_cut_off_or_no_picture_is_an_error() {
        for wrong in [
            "P6\n2 1\n255\nabc",
            "P6\n2",
            "P5 1 1 255 abc",
            "P6 4000000000 4000000000 255 a",
            "garbage garbage garbage",
        ] {
            assert!(read_ppm(&mut wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
