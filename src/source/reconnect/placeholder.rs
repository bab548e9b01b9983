//! The picture that is shown while there is none.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::recovery::{Phase, Recovery};
use crate::draw::{Canvas, Notice, NoticePainter};
use crate::frame::{Frame, FrameKind, Size};

/// Once around.
const SPINNER_PERIOD: Duration = Duration::from_millis(1500);

/// Draws it.
#[derive(Default)]
pub(super) struct Placeholder {
    painter: NoticePainter,
    footer: String,
}

impl Placeholder {
    /// Makes `frame` a placeholder of `size` that says how the recovery goes.
    pub(super) fn draw(&mut self, frame: &mut Frame, size: Size, recovery: &Recovery, now: Instant) {
        frame.reshape(size);
        frame.kind = FrameKind::Placeholder;
        frame.captured = now;
        frame.presented = None;
        self.footer.clear();
        // Writing to a String does not fail.
        let _ = self.say(recovery, now);
        let turned = now.saturating_duration_since(recovery.since()).as_secs_f64() / SPINNER_PERIOD.as_secs_f64();
        if recovery.phase() == Phase::Resting {
            let notice = Notice { title: "Asleep", text: "Press a key to go on.", footer: "", turn: None };
            return self.painter.paint(&mut Canvas::new(&mut frame.pixels, size), &notice);
        }
        let notice = Notice {
            title: if recovery.ran() { "Camera lost" } else { "Waiting for the camera" },
            text: recovery.reason(),
            footer: &self.footer,
            turn: Some(turned.fract() as f32),
        };
        self.painter.paint(&mut Canvas::new(&mut frame.pixels, size), &notice);
    }

    fn say(&mut self, recovery: &Recovery, now: Instant) -> std::fmt::Result {
        let attempt = recovery.attempt();
        match recovery.phase() {
            Phase::Waiting(until) => {
                let left = until.saturating_duration_since(now).as_secs_f64().ceil();
                write!(self.footer, "attempt {} in {left} s", attempt.saturating_add(1))
            }
            Phase::Opening => write!(self.footer, "attempt {attempt}: opening it"),
            Phase::Starting | Phase::Running | Phase::Resting => {
                write!(self.footer, "attempt {attempt}: waiting for a picture")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_far_the_attempts_are() {
        let start = Instant::now();
        let mut recovery = Recovery::running(start);
        let mut placeholder = Placeholder::default();
        let mut said = |recovery: &Recovery, now| {
            let mut frame = Frame::black(Size::new(3, 2));
            placeholder.draw(&mut frame, Size::new(64, 48), recovery, now);
            assert_eq!((frame.size, frame.kind, frame.captured), (Size::new(64, 48), FrameKind::Placeholder, now));
            placeholder.footer.clone()
        };
        recovery.failed(start, "it is gone".into());
        assert_eq!(said(&recovery, start), "attempt 1 in 1 s");
        let later = start + Duration::from_millis(500);
        recovery.begin(later);
        assert_eq!(said(&recovery, later), "attempt 1: opening it");
        recovery.opened();
        assert_eq!(said(&recovery, later), "attempt 1: waiting for a picture");
        recovery.failed(later, "it is gone".into());
        recovery.begin(later + Duration::from_secs(1));
        recovery.failed(later + Duration::from_secs(1), "it is gone".into());
        assert_eq!(said(&recovery, later + Duration::from_millis(1800)), "attempt 3 in 2 s");
    }
}
