//! Sources around sources: another size, mirrored, paced.

use std::time::{Duration, Instant};

use super::{SharedStatus, Source, SourceInfo, Step};
use crate::error::Result;
use crate::frame::{Frame, Rate, Size};
use crate::pixels::resize::{Filter, Scaler};

/// Gives every frame in another size; the aspect is not kept.
pub struct Scaled {
    inner: Box<dyn Source>,
    info: SourceInfo,
    original: Frame,
    scaler: Scaler,
}

impl Scaled {
    /// The frames of `inner` in `size`.
    pub fn new(inner: Box<dyn Source>, size: Size) -> Self {
        let info = SourceInfo { size, ..inner.info().clone() };
        let original = Frame::black(inner.info().size);
        Self { inner, info, original, scaler: Scaler::new(Filter::Bilinear) }
    }
}

impl Source for Scaled {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn status(&self) -> Option<SharedStatus> {
        self.inner.status()
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Step> {
        let step = self.inner.read(&mut self.original)?;
        if step == Step::Frame {
            frame.reshape(self.info.size);
            frame.captured = self.original.captured;
            frame.sequence = self.original.sequence;
            frame.presented = self.original.presented;
            frame.kind = self.original.kind;
            self.scaler.scale(&self.original.pixels, self.original.size, &mut frame.pixels, frame.size)?;
        }
        Ok(step)
    }
}

/// Holds frames back until they are due, at most a frame rate's worth of them per second.
pub struct Paced {
    inner: Box<dyn Source>,
    info: SourceInfo,
    period: Duration,
    due: Option<Instant>,
}

/// The longest that a read may wait before its caller looks whether to stop.
const PATIENCE: Duration = Duration::from_millis(200);

impl Paced {
    /// The frames of `inner`, `rate` of them per second.
    pub fn new(inner: Box<dyn Source>, rate: Rate) -> Self {
        let info = SourceInfo { rate: Some(rate), ..inner.info().clone() };
        Self { inner, info, period: rate.period(), due: None }
    }

    /// The same as a camera would give them: who is late loses some.
    #[must_use]
    pub fn live(mut self) -> Self {
        self.info.live = true;
        self
    }
}

impl Source for Paced {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn status(&self) -> Option<SharedStatus> {
        self.inner.status()
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Step> {
        let now = Instant::now();
        let due = *self.due.get_or_insert(now);
        let wait = due.saturating_duration_since(now);
        if wait > PATIENCE {
            std::thread::sleep(PATIENCE);
            return Ok(Step::Idle);
        }
        std::thread::sleep(wait);
        // Who is late by more than a frame does not catch up with a burst.
        self.due = Some(due.max(now.checked_sub(self.period).unwrap_or(now)) + self.period);
        self.inner.read(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameKind;

    /// Three frames of 2×1, the left pixel 10, the right one 90.
    struct Three(SourceInfo, u64);

    impl Three {
        fn boxed() -> Box<dyn Source> {
            let info =
                SourceInfo { name: "three".into(), size: Size::new(2, 1), rate: None, live: false, frames: Some(3) };
            Box::new(Self(info, 0))
        }
    }

    impl Source for Three {
        fn info(&self) -> &SourceInfo {
            &self.0
        }

        fn read(&mut self, frame: &mut Frame) -> Result<Step> {
            if self.1 == 3 {
                return Ok(Step::End);
            }
            frame.reshape(self.0.size);
            frame.pixels.copy_from_slice(&[10, 10, 10, 90, 90, 90]);
            frame.sequence = self.1;
            frame.captured = Instant::now();
            self.1 += 1;
            Ok(Step::Frame)
        }
    }

    fn all(mut source: impl Source) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let mut frame = Frame::black(Size::new(1, 1));
            match source.read(&mut frame).expect("it does not fail") {
                Step::Frame => frames.push(frame),
                Step::Idle => {}
                Step::End => return frames,
            }
        }
    }

    #[test]
    fn adapters_keep_every_frame() {
        let scaled = Scaled::new(Three::boxed(), Size::new(4, 3));
        assert_eq!(scaled.info().size, Size::new(4, 3));
        let scaled = all(scaled);
        assert!(scaled.iter().all(|f| f.size == Size::new(4, 3) && f.pixels.len() == 36));

        let fast = Rate::new(1000, 1).expect("a rate");
        let paced = all(Paced::new(Three::boxed(), fast));
        for frames in [scaled, paced] {
            assert_eq!(frames.iter().map(|f| f.sequence).collect::<Vec<_>>(), [0, 1, 2]);
        }
    }

    /// The same, as placeholders.
    struct Notices(Box<dyn Source>);

    impl Source for Notices {
        fn info(&self) -> &SourceInfo {
            self.0.info()
        }

        fn read(&mut self, frame: &mut Frame) -> Result<Step> {
            frame.kind = FrameKind::Placeholder;
            self.0.read(frame)
        }
    }

    #[test]
    fn placeholders_stay_placeholders() {
        let frames = all(Scaled::new(Box::new(Notices(Three::boxed())), Size::new(2, 2)));
        assert!(frames.iter().all(|f| f.kind == FrameKind::Placeholder));
    }

    #[test]
    fn frames_come_no_faster_than_their_pace() {
        let start = Instant::now();
        all(Paced::new(Three::boxed(), Rate::new(20, 1).expect("a rate")));
        // The first comes at once, the end is asked for three periods later.
        assert!(start.elapsed() >= Duration::from_millis(149), "{:?}", start.elapsed());
    }

    #[test]
    fn a_slow_pace_still_lets_its_caller_stop() {
        let mut paced = Paced::new(Three::boxed(), "0.01".parse().expect("a rate"));
        let mut frame = Frame::black(Size::new(2, 1));
        assert_eq!(paced.read(&mut frame).expect("fine"), Step::Frame);
        assert_eq!(paced.read(&mut frame).expect("fine"), Step::Idle);
    }
}
