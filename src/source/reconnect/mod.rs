//! A source for hours: what is lost is opened again, and meanwhile a placeholder is shown.
//!
//! A device that is gone, silent, damaged or has changed its format is closed and opened again after a pause that grows
//! from half a second to ten. The stream's size stays what it was: pictures of another size are fitted into it.

mod operator;
mod placeholder;
mod recovery;

use std::time::{Duration, Instant};

use super::{Rest, SharedStatus, Source, SourceInfo, SourceStatus, Step};
use crate::error::{Error, Result};
use crate::frame::{Frame, FrameKind, Size};
use crate::pixels::fit::Fitter;
use operator::{Operator, Threaded};
use placeholder::Placeholder;
use recovery::{Phase, Recovery};

/// From one placeholder to the next.
const PLACEHOLDER_PERIOD: Duration = Duration::from_millis(100);

/// Opens a device whenever it is asked to.
pub trait DeviceOpener: Send {
    /// Opens the device and starts it as near to `size` as it can. It may take its time. The device that it gave before
    /// is closed by then.
    ///
    /// # Errors
    /// When it is not there, in use, or gives nothing that can be read; the sentence says so.
    fn open(&mut self, size: Size) -> Result<Box<dyn Source>>;
}

/// A live source that never ends: it goes on when its device comes back.
pub struct Reconnecting {
    info: SourceInfo,
    operator: Box<dyn Operator>,
    /// What was opened, while it is open.
    device: Option<Box<dyn Source>>,
    recovery: Recovery,
    rest: Rest,
    status: SharedStatus,
    placeholder: Placeholder,
    /// When the next placeholder is due.
    due: Instant,
    /// Puts pictures of another size into the stream's.
    fitter: Fitter,
    /// A picture in the device's own size, where that is not the stream's.
    original: Frame,
    /// The number of the next frame, and of the device's first one.
    next: u64,
    base: u64,
}

impl Reconnecting {
    /// The pictures of `device`, which `opener` opened and will open again.
    ///
    /// # Errors
    /// When the system gives no thread to open it on.
    pub fn over(device: Box<dyn Source>, opener: Box<dyn DeviceOpener>) -> Result<Self> {
        let operator = Box::new(Threaded::start(opener)?);
        let recovery = Recovery::running(operator.now());
        Ok(Self::new(device.info().clone(), Some(device), operator, recovery))
    }

    /// A stream as `info` says, whose device is still to come: `reason` is why `opener` could not open it.
    ///
    /// # Errors
    /// When the system gives no thread to open it on.
    pub fn waiting(info: SourceInfo, reason: &Error, opener: Box<dyn DeviceOpener>) -> Result<Self> {
        let operator = Box::new(Threaded::start(opener)?);
        let recovery = Recovery::waiting(operator.now(), reason.to_string());
        Ok(Self::new(info, None, operator, recovery))
    }

    /// The same, which closes its device for as long as `rest` says so.
    pub fn resting_when(self, rest: Rest) -> Self {
        Self { rest, ..self }
    }

    fn new(info: SourceInfo, device: Option<Box<dyn Source>>, operator: Box<dyn Operator>, recovery: Recovery) -> Self {
        let due = operator.now();
        let fitter = Fitter::new(info.size);
        let source = Self {
            info: SourceInfo { live: true, frames: None, ..info },
            operator,
            device,
            recovery,
            rest: Rest::default(),
            status: SharedStatus::default(),
            placeholder: Placeholder::default(),
            due,
            fitter,
            original: Frame::black(Size::new(1, 1)),
            next: 0,
            base: 0,
        };
        source.tell();
        source
    }

    /// Brings the status up to date.
    fn tell(&self) {
        let recovery = &self.recovery;
        let status = match recovery.phase() {
            Phase::Running => SourceStatus::Running,
            Phase::Resting => SourceStatus::Resting { since: recovery.since() },
            _ => SourceStatus::Retrying {
                since: recovery.since(),
                attempt: recovery.attempt(),
                last_reason: recovery.reason().to_string(),
            },
        };
        self.status.set(status, recovery.reconnects());
    }

    /// Closes the device or has it opened again, where the wish has changed.
    fn follow_rest(&mut self) {
        let (wanted, now) = (self.rest.is_on(), self.operator.now());
        if wanted && self.recovery.rest(now) {
            if let Some(device) = self.device.take() {
                self.operator.close(device);
            }
            self.due = now;
            self.tell();
        } else if !wanted && self.recovery.phase() == Phase::Resting {
            self.recovery.wake(now);
            self.tell();
        }
    }

    /// A picture of the device, where it is open and has one.
    fn picture(&mut self, frame: &mut Frame) -> Step {
        let Some(device) = &mut self.device else { return Step::Idle };
        let read = if device.info().size == self.info.size {
            device.read(frame)
        } else {
            let (original, fitter, size) = (&mut self.original, &mut self.fitter, self.info.size);
            device.read(original).and_then(|step| {
                if step == Step::Frame {
                    frame.reshape(size);
                    frame.captured = original.captured;
                    frame.sequence = original.sequence;
                    frame.presented = None;
                    frame.pixels.copy_from_slice(fitter.fit(&original.pixels, original.size)?);
                }
                Ok(step)
            })
        };
        match read {
            Ok(Step::Frame) => {
                frame.kind = FrameKind::Picture;
                frame.sequence += self.base;
                self.next = frame.sequence + 1;
                self.pictured();
                Step::Frame
            }
            Ok(Step::Idle) => Step::Idle,
            Ok(Step::End) => {
                let name = &device.info().name;
                let reason = format!("{name} has ended its stream; plug it out and in");
                self.lost(reason)
            }
            Err(error) => self.lost(error.to_string()),
        }
    }

    /// A picture came.
    fn pictured(&mut self) {
        let (since, attempt, ran) = (self.recovery.since(), self.recovery.attempt(), self.recovery.ran());
        if !self.recovery.pictured() {
            return;
        }
        self.tell();
        let seconds = self.operator.now().saturating_duration_since(since).as_secs_f64();
        let name = self.device.as_ref().map_or(self.info.name.as_str(), |device| device.info().name.as_str());
        let what = if ran { "is back" } else { "is here" };
        tracing::info!("{name} {what} after {seconds:.1} s (attempt {attempt})");
    }

    /// The device gives no more pictures: it is closed.
    fn lost(&mut self, reason: String) -> Step {
        if let Some(device) = self.device.take() {
            self.operator.close(device);
        }
        self.failed(reason);
        Step::Idle
    }

    /// The device was lost, or could not be opened.
    fn failed(&mut self, reason: String) {
        // In hours of attempts, one line for each reason.
        if self.recovery.failed(self.operator.now(), reason) {
            tracing::warn!("{} (trying again)", self.recovery.reason());
        } else {
            tracing::debug!("{} (trying again)", self.recovery.reason());
        }
        self.tell();
    }

    /// Goes on with getting the device back, for up to `patience`.
    fn recover(&mut self, patience: Duration) {
        match self.recovery.phase() {
            Phase::Running | Phase::Starting => {}
            Phase::Resting => self.operator.sleep(patience),
            Phase::Waiting(until) => {
                let left = until.saturating_duration_since(self.operator.now());
                self.operator.sleep(left.min(patience));
                if self.recovery.begin(self.operator.now()) {
                    self.operator.open(self.info.size);
                    self.tell();
                }
            }
            Phase::Opening => match self.operator.opened(patience) {
                None => {}
                Some(Ok(device)) => {
                    self.base = self.next;
                    self.device = Some(device);
                    self.recovery.opened();
                }
                Some(Err(error)) => self.failed(error.to_string()),
            },
        }
    }
}

impl Source for Reconnecting {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn status(&self) -> Option<SharedStatus> {
        Some(self.status.clone())
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Step> {
        self.follow_rest();
        if self.picture(frame) == Step::Frame {
            return Ok(Step::Frame);
        }
        if self.recovery.phase() == Phase::Running {
            // It is silent for a moment: what it showed last stays.
            return Ok(Step::Idle);
        }
        self.recover(self.due.saturating_duration_since(self.operator.now()));
        let now = self.operator.now();
        if now < self.due {
            return Ok(Step::Idle);
        }
        // Who is late does not catch up with a burst.
        self.due = now + PLACEHOLDER_PERIOD;
        self.placeholder.draw(frame, self.info.size, &self.recovery, now);
        frame.sequence = self.next;
        self.next += 1;
        // A device that is open already counts from its first picture.
        self.base = self.next;
        Ok(Step::Frame)
    }
}

#[cfg(all(test, feature = "camera"))]
mod tests;
