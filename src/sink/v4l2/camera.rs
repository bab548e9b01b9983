//! The virtual camera as a [`Sink`]: frames of its size and format, and patience when it goes away.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use super::OutputFormat;
use crate::error::Result;
use crate::frame::{Frame, Size};
use crate::pixels::fit::Fitter;
use crate::sink::{Flow, Sink};

/// How long after a failure the device is tried again: at first, and at most; each time twice as long as before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What a device takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) format: OutputFormat,
    /// Both sides are even.
    pub(super) size: Size,
}

/// An open device with its format set.
pub(super) trait Device: Send {
    fn agreed(&self) -> Agreed;

    /// Hands over one frame, [`OutputFormat::frame_len`] bytes; says how many were taken.
    fn write(&mut self, frame: &[u8]) -> io::Result<usize>;
}

/// Opens the device, again and again where need be.
pub(super) type Opener = Box<dyn FnMut() -> Result<Box<dyn Device>> + Send>;

/// Writes to a virtual camera.
pub(super) struct VirtualCamera {
    name: String,
    open: Opener,
    device: Option<Box<dyn Device>>,
    /// Since the last frame that was taken.
    trouble: Option<Trouble>,
    agreed: Agreed,
    fitter: Fitter,
    bytes: Vec<u8>,
}

struct Trouble {
    since: Instant,
    pause: Duration,
    again: Instant,
}

impl VirtualCamera {
    /// Opens the device. `name` is its path.
    ///
    /// # Errors
    /// What `open` gives this first time. Later it is tried again.
    pub(super) fn new(name: String, mut open: Opener) -> Result<Self> {
        let device = open()?;
        let agreed = device.agreed();
        let (fitter, bytes) = buffers(agreed);
        Ok(Self { name, open, device: Some(device), trouble: None, agreed, fitter, bytes })
    }

    fn show_at(&mut self, now: Instant, frame: &Frame) -> Result<()> {
        if self.device.is_none() {
            if self.trouble.as_ref().is_some_and(|trouble| now < trouble.again) {
                return Ok(());
            }
            match (self.open)() {
                Ok(device) => self.connect(device),
                Err(error) => {
                    self.failed(now, &error.to_string());
                    return Ok(());
                }
            }
        }
        let Some(device) = &mut self.device else { return Ok(()) };
        let rgb = self.fitter.fit(&frame.pixels, frame.size)?;
        self.agreed.format.convert(rgb, self.agreed.size, &mut self.bytes);
        let outcome = loop {
            match device.write(&self.bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        match outcome {
            Ok(taken) if taken == self.bytes.len() => {
                if let Some(trouble) = self.trouble.take() {
                    let seconds = now.saturating_duration_since(trouble.since).as_secs_f64();
                    tracing::warn!("{} takes frames again, after {seconds:.1} s", self.name);
                }
            }
            // Somebody gave it another size.
            Ok(taken) => self.failed(now, &format!("it took {taken} of {} bytes", self.bytes.len())),
            Err(error) => self.failed(now, &error.to_string()),
        }
        Ok(())
    }

    fn connect(&mut self, device: Box<dyn Device>) {
        let agreed = device.agreed();
        if agreed != self.agreed {
            self.agreed = agreed;
            (self.fitter, self.bytes) = buffers(agreed);
        }
        self.device = Some(device);
    }

    /// One line when it begins; what is tried after that is for those who look for it.
    fn failed(&mut self, now: Instant, why: &str) {
        self.device = None;
        let name = &self.name;
        let (since, pause) = match &self.trouble {
            None => {
                tracing::warn!(
                    "{name} takes no frames ({why}); it is tried again until it does, everything else goes on"
                );
                (now, FIRST_PAUSE)
            }
            Some(trouble) => {
                tracing::debug!("{name}: {why}");
                (trouble.since, LONGEST_PAUSE.min(trouble.pause * 2))
            }
        };
        self.trouble = Some(Trouble { since, pause, again: now + pause });
    }
}

/// What turns frames into those of the device.
fn buffers(agreed: Agreed) -> (Fitter, Vec<u8>) {
    (Fitter::new(agreed.size), vec![0; agreed.format.frame_len(agreed.size)])
}

impl Sink for VirtualCamera {
    fn name(&self) -> &str {
        &self.name
    }

    fn live(&self) -> bool {
        true
    }

    fn show(&mut self, frame: &Frame) -> Result<Flow> {
        self.show_at(Instant::now(), frame)?;
        Ok(Flow::Continue)
    }

    /// A driver in trouble may never return, and nothing is left to complete.
    fn may_hang(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::error::Error;

    /// A device that can be taken away; what it was given, and how often it was looked for.
    #[derive(Clone)]
    struct World(Arc<Mutex<State>>);

    struct State {
        there: bool,
        agreed: Agreed,
        /// The most bytes that it takes at once.
        room: usize,
        frames: Vec<Vec<u8>>,
        tries: u32,
    }

    const SIZE: Size = Size::new(4, 2);

    impl World {
        fn new() -> Self {
            let agreed = Agreed { format: OutputFormat::Yuyv, size: SIZE };
            Self(Arc::new(Mutex::new(State { there: true, agreed, room: 1000, frames: Vec::new(), tries: 0 })))
        }

        fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
            change(&mut self.0.lock().unwrap())
        }

        fn camera(&self) -> Result<VirtualCamera> {
            let world = self.clone();
            let open = move || {
                world.change(|state| {
                    state.tries += 1;
                    if state.there {
                        let device: Box<dyn Device> = Box::new(Opened(world.clone(), state.agreed));
                        Ok(device)
                    } else {
                        Err(Error::Camera("it is gone".into()))
                    }
                })
            };
            VirtualCamera::new("/dev/video10".into(), Box::new(open))
        }
    }

    struct Opened(World, Agreed);

    impl Device for Opened {
        fn agreed(&self) -> Agreed {
            self.1
        }

        fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
            self.0.change(|state| {
                if !state.there {
                    return Err(io::Error::from_raw_os_error(19));
                }
                state.frames.push(frame.to_vec());
                Ok(frame.len().min(state.room))
            })
        }
    }

    fn white(size: Size) -> Frame {
        let mut frame = Frame::black(size);
        frame.pixels.fill(255);
        frame
    }

    #[test]
    fn frames_of_any_size_arrive_in_the_size_agreed_on() {
        let world = World::new();
        let mut camera = world.camera().unwrap();
        for size in [SIZE, Size::new(5, 3), Size::new(400, 200), Size::new(2, 1)] {
            camera.show(&white(size)).unwrap();
        }
        assert_eq!(world.change(|state| std::mem::take(&mut state.frames)), vec![[235, 128].repeat(8); 4]);
    }

    #[test]
    fn a_device_that_is_not_there_at_the_start_is_an_error() {
        let world = World::new();
        world.change(|state| state.there = false);
        assert!(world.camera().is_err());
    }

    #[test]
    fn a_device_that_goes_away_is_tried_again_ever_more_seldom() {
        let world = World::new();
        let mut camera = world.camera().unwrap();
        let start = Instant::now();
        let at = |tenths: u64| start + Duration::from_millis(tenths * 100);
        camera.show_at(at(0), &white(SIZE)).unwrap();
        world.change(|state| state.there = false);
        for tenths in 1..600 {
            camera.show_at(at(tenths), &white(SIZE)).unwrap();
        }
        // After 0.5, 1, 2, 4, 8 seconds, then every 10.
        assert_eq!(world.change(|state| (state.tries, state.frames.len())), (1 + 5 + 4, 1));
        // It comes back with another size, as whoever made it wanted it.
        world.change(|state| {
            state.there = true;
            state.agreed = Agreed { format: OutputFormat::Yu12, size: Size::new(2, 2) };
        });
        for tenths in 600..720 {
            camera.show_at(at(tenths), &white(Size::new(2, 2))).unwrap();
        }
        let last = world.change(|state| state.frames.last().cloned());
        assert_eq!(last.unwrap(), [235, 235, 235, 235, 128, 128]);
        // A later failure begins with a short pause again.
        world.change(|state| state.there = false);
        camera.show_at(at(800), &white(SIZE)).unwrap();
        world.change(|state| state.there = true);
        let before = world.change(|state| state.frames.len());
        camera.show_at(at(806), &white(SIZE)).unwrap();
        assert_eq!(world.change(|state| state.frames.len()), before + 1);
    }

    #[test]
    fn a_device_that_takes_half_a_frame_is_opened_anew() {
        let world = World::new();
        let mut camera = world.camera().unwrap();
        world.change(|state| state.room = 3);
        let start = Instant::now();
        for second in 0..4 {
            camera.show_at(start + Duration::from_secs(second), &white(SIZE)).unwrap();
        }
        // At 0 s, after half a second and after one more, but not in the two seconds after that.
        assert_eq!(world.change(|state| state.tries), 3);
    }
}
