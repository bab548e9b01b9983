//! A started camera as a [`Source`]: patience with silence and with damaged frames.

use std::time::{Duration, Instant};

use super::decode::{BadFrame, Decoder, RawFormat};
use crate::error::{Error, Result};
use crate::frame::{Frame, Rate};
use crate::source::{Source, SourceInfo, Step};

/// How long one [`Source::read`] waits for a frame.
const MOMENT: Duration = Duration::from_millis(200);

/// A running camera is dead after this long without a frame, or after [`SILENT_PERIODS`] of its frames.
const SILENCE: Duration = Duration::from_secs(2);
const SILENT_PERIODS: u32 = 4;

/// The same for the first frame: some cameras take seconds to wake up.
const WAKING: Duration = Duration::from_secs(5);

/// That many damaged frames one after the other are a defect. A few at the start are usual.
const MAX_DAMAGED: u32 = 30;

/// A camera that sends frames.
pub(super) trait Device: Send {
    /// Waits up to `patience` for a frame and puts the newest into `data`; `None` where none came.
    ///
    /// # Errors
    /// When the device fails or is gone; the sentence says what to do.
    fn next(&mut self, patience: Duration, data: &mut Vec<u8>) -> Result<Option<RawFrame>>;
}

/// What a device says about a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawFrame {
    /// How many frames after the device's first this one is, lost ones counted.
    pub(super) sequence: u64,
    /// Whether the driver says that its bytes are damaged.
    pub(super) damaged: bool,
}

/// A running camera.
pub(super) struct Capture {
    device: Box<dyn Device>,
    info: SourceInfo,
    raw: RawFormat,
    decoder: Decoder,
    data: Vec<u8>,
    /// When the last frame came, or the camera was started.
    heard: Instant,
    silence: Duration,
    damaged: u32,
}

impl Capture {
    /// Frames of `device`, which was just started and sends `raw`; `name` as in "camera 0 (vivid, /dev/video0)".
    pub(super) fn new(device: Box<dyn Device>, name: String, raw: RawFormat, rate: Option<Rate>) -> Self {
        Self {
            device,
            info: SourceInfo { name, size: raw.size, rate, live: true, frames: None },
            raw,
            decoder: Decoder::new(raw),
            data: Vec::new(),
            heard: Instant::now(),
            silence: WAKING,
            damaged: 0,
        }
    }

    fn too_silent(&self) -> Error {
        Error::Camera(format!(
            "{} sends no frames (none for {} seconds); plug it out and in, or choose another camera or --size",
            self.info.name,
            self.silence.as_secs()
        ))
    }

    fn too_damaged(&self, last: &BadFrame) -> Error {
        Error::Camera(format!(
            "{} sends frames that are not what it announced ({} {}): {MAX_DAMAGED} in a row were damaged, the last is \
             {last}; try another --size, or another format (--source camera:…,format=…, see nijigen devices)",
            self.info.name, self.raw.format, self.raw.size
        ))
    }
}

impl Source for Capture {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Step> {
        let Some(raw) = self.device.next(MOMENT, &mut self.data)? else {
            return if self.heard.elapsed() < self.silence { Ok(Step::Idle) } else { Err(self.too_silent()) };
        };
        let now = Instant::now();
        self.heard = now;
        self.silence = self.info.rate.map_or(SILENCE, |rate| SILENCE.max(rate.period() * SILENT_PERIODS));
        frame.reshape(self.info.size);
        let decoded =
            if raw.damaged { Err(BadFrame::Marked) } else { self.decoder.decode(&self.data, &mut frame.pixels) };
        if let Err(bad) = decoded {
            self.damaged += 1;
            tracing::debug!("{}: skipped frame {}, {bad}", self.info.name, raw.sequence);
            return if self.damaged < MAX_DAMAGED { Ok(Step::Idle) } else { Err(self.too_damaged(&bad)) };
        }
        self.damaged = 0;
        frame.captured = now;
        frame.sequence = raw.sequence;
        frame.presented = None;
        Ok(Step::Frame)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::VecDeque;

    use super::*;
    use crate::frame::Size;
    use crate::source::camera::PixelFormat;

    /// Plays back what it was given, then stays silent.
    struct Script(VecDeque<(RawFrame, Vec<u8>)>);

    impl Device for Script {
        fn next(&mut self, _: Duration, data: &mut Vec<u8>) -> Result<Option<RawFrame>> {
            Ok(self.0.pop_front().map(|(raw, bytes)| {
                *data = bytes;
                raw
            }))
        }
    }

    const SIZE: Size = Size::new(2, 2);

    fn capture(frames: impl IntoIterator<Item = Vec<u8>>) -> Capture {
        let frames =
            (0..).zip(frames).map(|(sequence, bytes)| (RawFrame { sequence, damaged: false }, bytes)).collect();
        let raw = RawFormat { format: PixelFormat::Grey, size: SIZE, stride: 0 };
        Capture::new(Box::new(Script(frames)), "camera 7 (test)".into(), raw, Rate::new(1000, 1))
    }

    #[test]
    fn decodes_and_counts() {
        let mut camera = capture([vec![1, 2, 3, 4], vec![5; 4]]);
        let mut frame = Frame::black(Size::new(9, 9));
        assert_eq!(camera.read(&mut frame).unwrap(), Step::Frame);
        assert_eq!((frame.size, frame.sequence), (SIZE, 0));
        assert_eq!(frame.pixels, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
        assert_eq!(camera.read(&mut frame).unwrap(), Step::Frame);
        assert_eq!((frame.sequence, frame.pixels[0]), (1, 5));
        assert_eq!(camera.read(&mut frame).unwrap(), Step::Idle);
    }

    #[test]
    fn a_damaged_frame_is_skipped() {
        let mut camera = capture([vec![1; 4], vec![1; 3], vec![2; 4]]);
        let mut frame = Frame::black(SIZE);
        assert_eq!(camera.read(&mut frame).unwrap(), Step::Frame);
        assert_eq!(camera.read(&mut frame).unwrap(), Step::Idle);
        assert_eq!(camera.read(&mut frame).unwrap(), Step::Frame);
        // The gap tells of it.
        assert_eq!(frame.sequence, 2);
    }

    #[test]
    fn a_camera_that_lies_about_its_format_is_an_error() {
        let mut camera = capture(vec![vec![0; 3]; 100]);
        let mut frame = Frame::black(SIZE);
        let mut idle = 0;
        let error = loop {
            match camera.read(&mut frame) {
                Ok(step) => assert_eq!(step, Step::Idle),
                Err(error) => break error.to_string(),
            }
            idle += 1;
        };
        assert_eq!(idle, MAX_DAMAGED - 1);
        assert!(error.contains("camera 7 (test)") && error.contains("GREY 2x2"), "{error}");
        assert!(error.contains("3 bytes where the picture takes 4"), "{error}");
    }

    #[test]
    fn a_camera_that_falls_silent_is_an_error() {
        let mut camera = capture([vec![1; 4]]);
        let mut frame = Frame::black(SIZE);
        camera.read(&mut frame).unwrap();
        assert_eq!(camera.read(&mut frame).unwrap(), Step::Idle);
        camera.heard -= SILENCE;
        let error = camera.read(&mut frame).unwrap_err().to_string();
        assert!(error.contains("sends no frames (none for 2 seconds)"), "{error}");
    }
}
