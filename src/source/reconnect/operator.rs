//! Who closes and opens the device, and tells the time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::DeviceOpener;
use crate::error::{Error, Result};
use crate::frame::Size;
use crate::source::Source;
use crate::threads;

/// What happens outside, as [`super::Reconnecting`] sees it; tests have a world of their own.
pub(super) trait Operator: Send {
    /// The time.
    fn now(&self) -> Instant;

    /// Lets time pass.
    fn sleep(&mut self, time: Duration);

    /// Closes a device, without keeping the caller waiting.
    fn close(&mut self, device: Box<dyn Source>);

    /// Begins to open the device, once the one before is closed. [`Operator::opened`] tells what came of it.
    fn open(&mut self, size: Size);

    /// What came of opening it, waited for up to `patience`; `None` as long as that is unknown.
    fn opened(&mut self, patience: Duration) -> Option<Result<Box<dyn Source>>>;
}

/// Closes and opens on a thread, since a system may take its time for either. All of it happens on the one thread, one
/// thing after the other: two are never in one device.
pub(super) struct Threaded {
    jobs: Sender<Job>,
    outcomes: Receiver<Result<Box<dyn Source>>>,
}

enum Job {
    Close(Box<dyn Source>),
    Open(Size),
}

impl Threaded {
    /// One that opens devices with `opener`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(mut opener: Box<dyn DeviceOpener>) -> Result<Self> {
        let ((jobs, inbox), (sender, outcomes)) = (channel(), channel());
        let work = move || {
            // It ends when the source is gone; a device that is then being opened is closed here.
            while let Ok(job) = inbox.recv() {
                match job {
                    // A driver in a bad way may refuse to stop, at which the library below panics. It is closed all the same.
                    Job::Close(device) => drop(catch_unwind(AssertUnwindSafe(|| drop(device)))),
                    Job::Open(size) => {
                        let device = catch_unwind(AssertUnwindSafe(|| opener.open(size)));
                        if sender.send(device.unwrap_or_else(|_| Err(broke()))).is_err() {
                            return;
                        }
                    }
                }
            }
        };
        threads::spawn("camera", work)?;
        Ok(Self { jobs, outcomes })
    }
}

fn broke() -> Error {
    Error::Camera("opening the camera broke; plug it out and in, or choose another one".into())
}

impl Operator for Threaded {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&mut self, time: Duration) {
        thread::sleep(time);
    }

    fn close(&mut self, device: Box<dyn Source>) {
        // The thread lives as long as we do; were it gone, the device would be closed here.
        let _ = self.jobs.send(Job::Close(device));
    }

    fn open(&mut self, size: Size) {
        // Were the thread gone, `opened` would say so.
        let _ = self.jobs.send(Job::Open(size));
    }

    fn opened(&mut self, patience: Duration) -> Option<Result<Box<dyn Source>>> {
        match self.outcomes.recv_timeout(patience) {
            Ok(device) => Some(device),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(broke())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::frame::Frame;
    use crate::source::{SourceInfo, Step};

    const SIZE: Size = Size::new(4, 2);
    const PATIENCE: Duration = Duration::from_secs(60);

    /// What happens to devices, in order.
    #[derive(Debug, PartialEq)]
    enum Event {
        Opened(usize),
        Closed(usize),
    }

    struct Device {
        info: SourceInfo,
        number: usize,
        events: Sender<Event>,
    }

    impl Source for Device {
        fn info(&self) -> &SourceInfo {
            &self.info
        }

        fn read(&mut self, _: &mut Frame) -> Result<Step> {
            Ok(Step::Idle)
        }
    }

    impl Drop for Device {
        fn drop(&mut self) {
            self.events.send(Event::Closed(self.number)).unwrap();
            assert_ne!(self.number, 2, "the driver refuses to stop");
        }
    }

    /// Opens a device each time that it is let, and breaks at number 3.
    struct Gated {
        gate: Receiver<()>,
        count: usize,
        events: Sender<Event>,
    }

    impl DeviceOpener for Gated {
        fn open(&mut self, size: Size) -> Result<Box<dyn Source>> {
            self.gate.recv().unwrap();
            self.count += 1;
            assert_ne!(self.count, 3, "it breaks");
            let info = SourceInfo { name: "it".into(), size, rate: None, live: true, frames: None };
            self.events.send(Event::Opened(self.count)).unwrap();
            Ok(Box::new(Device { info, number: self.count, events: self.events.clone() }))
        }
    }

    fn threaded() -> (Threaded, Sender<()>, Receiver<Event>) {
        let ((gate, locked), (events, seen)) = (channel(), channel());
        (Threaded::start(Box::new(Gated { gate: locked, count: 0, events })).unwrap(), gate, seen)
    }

    #[test]
    fn nobody_waits_for_a_device_that_hangs_and_each_is_closed_before_the_next_opens() {
        let (mut threaded, gate, seen) = threaded();
        threaded.open(SIZE);
        assert!(threaded.opened(Duration::ZERO).is_none());
        for _ in 1..=2 {
            gate.send(()).unwrap();
            let device = threaded.opened(PATIENCE).unwrap().unwrap();
            threaded.close(device);
            threaded.open(SIZE);
        }
        // The second panicked when it was closed, the third when it was opened: the fourth is opened all the same.
        gate.send(()).unwrap();
        assert!(threaded.opened(PATIENCE).unwrap().is_err());
        gate.send(()).unwrap();
        threaded.open(SIZE);
        assert_eq!(threaded.opened(PATIENCE).unwrap().unwrap().info().size, SIZE);
        let order = [1, 2, 4].map(|number| [Event::Opened(number), Event::Closed(number)]);
        for event in order.as_flattened() {
            assert_eq!(seen.recv().unwrap(), *event);
        }
    }

    #[test]
    fn a_device_that_opens_when_nobody_wants_it_any_more_is_closed() {
        let (mut threaded, gate, seen) = threaded();
        threaded.open(SIZE);
        drop(threaded);
        gate.send(()).unwrap();
        assert_eq!([seen.recv().unwrap(), seen.recv().unwrap()], [Event::Opened(1), Event::Closed(1)]);
    }
}
