#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex, MutexGuard};

use super::*;
use crate::frame::Rate;
use crate::source::camera::Camera;
use crate::source::camera::identity::{Known, candidates};
use crate::source::{CameraSelector, StatusReport};

const SIZE: Size = Size::new(64, 48);
/// The longest that a read may take: who reads looks then whether to stop.
const LONGEST_READ: Duration = Duration::from_millis(250);

/// What a simulated camera does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    Gives,
    Silent,
    Damaged,
    Busy,
}

/// A simulated camera that is plugged in.
#[derive(Debug, Clone)]
struct Plugged {
    camera: Camera,
    size: Size,
    manner: Manner,
    /// Which plugging in this is: who opened it before has lost it.
    generation: u32,
}

/// A world with cameras and a clock of its own.
struct World {
    now: Instant,
    plugged: Vec<Plugged>,
    generation: u32,
    opening_takes: Duration,
    /// Devices that are open, and the most that ever were.
    open: u32,
    most: u32,
}

type Shared = Arc<Mutex<World>>;

fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap()
}

impl World {
    fn shared() -> Shared {
        let world = Self {
            now: Instant::now(),
            plugged: Vec::new(),
            generation: 0,
            opening_takes: Duration::from_millis(30),
            open: 0,
            most: 0,
        };
        Arc::new(Mutex::new(world))
    }

    fn plug(&mut self, index: u32, name: &str, size: Size) {
        self.generation += 1;
        let camera = Camera {
            index,
            name: name.into(),
            path: Some(format!("/dev/video{index}").into()),
            links: vec![],
            bus: Some(format!("port of {name}")),
        };
        self.plugged.push(Plugged { camera, size, manner: Manner::Gives, generation: self.generation });
    }

    fn unplug(&mut self, name: &str) {
        self.plugged.retain(|plugged| plugged.camera.name != name);
    }

    fn set(&mut self, manner: Manner) {
        self.plugged.iter_mut().for_each(|plugged| plugged.manner = manner);
    }
}

/// An open camera. It behaves as a real one does: see `camera::capture`.
struct Device {
    world: Shared,
    generation: u32,
    info: SourceInfo,
    sequence: u64,
    heard: Instant,
    damaged: u32,
}

impl Source for Device {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Step> {
        let mut world = lock(&self.world);
        let Some(plugged) = world.plugged.iter().find(|plugged| plugged.generation == self.generation) else {
            return Err(Error::Camera(format!("{} is gone", self.info.name)));
        };
        let (manner, size) = (plugged.manner, plugged.size);
        if manner == Manner::Silent {
            world.now += Duration::from_millis(200);
            return if world.now - self.heard < Duration::from_secs(2) {
                Ok(Step::Idle)
            } else {
                Err(Error::Camera(format!("{} sends no frames", self.info.name)))
            };
        }
        world.now += Duration::from_millis(33);
        self.heard = world.now;
        // A camera that has changed its format sends what it did not announce.
        if manner == Manner::Damaged || size != self.info.size {
            self.damaged += 1;
            return if self.damaged < 30 { Ok(Step::Idle) } else { Err(Error::Camera("damaged".into())) };
        }
        self.damaged = 0;
        frame.reshape(size);
        frame.pixels.fill(200);
        frame.captured = world.now;
        frame.sequence = self.sequence;
        self.sequence += 1;
        Ok(Step::Frame)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        lock(&self.world).open -= 1;
    }
}

/// Opens cameras of the world in its time.
struct Simulated {
    world: Shared,
    selector: CameraSelector,
    known: Option<Known>,
    /// When the attempt under way ends.
    until: Option<Instant>,
}

impl Simulated {
    fn new(world: &Shared, selector: &str) -> Self {
        Self { world: Arc::clone(world), selector: selector.parse().unwrap(), known: None, until: None }
    }

    fn attempt(&mut self) -> Result<Box<dyn Source>> {
        let mut world = lock(&self.world);
        let cameras: Vec<Camera> = world.plugged.iter().map(|plugged| plugged.camera.clone()).collect();
        let found = candidates(&self.selector.which, self.known.as_ref(), &cameras);
        let camera = *found.first().ok_or_else(|| Error::Camera("it is not there".into()))?;
        let plugged = world.plugged.iter().find(|plugged| plugged.camera == *camera).unwrap().clone();
        if plugged.manner == Manner::Busy {
            return Err(Error::Camera(format!("{camera} is in use by another program")));
        }
        self.known = Some(Known::new(camera.clone(), &self.selector.which, self.known.as_ref()));
        world.open += 1;
        world.most = world.most.max(world.open);
        let info = SourceInfo {
            name: camera.to_string(),
            size: plugged.size,
            rate: Rate::new(30, 1),
            live: true,
            frames: None,
        };
        Ok(Box::new(Device {
            world: Arc::clone(&self.world),
            generation: plugged.generation,
            info,
            sequence: 0,
            heard: world.now,
            damaged: 0,
        }))
    }
}

impl Operator for Simulated {
    fn now(&self) -> Instant {
        lock(&self.world).now
    }

    fn sleep(&mut self, time: Duration) {
        lock(&self.world).now += time;
    }

    fn close(&mut self, device: Box<dyn Source>) {
        drop(device);
    }

    fn open(&mut self, _: Size) {
        assert_eq!(self.until, None, "one attempt at a time");
        let world = lock(&self.world);
        self.until = Some(world.now + world.opening_takes);
    }

    fn opened(&mut self, patience: Duration) -> Option<Result<Box<dyn Source>>> {
        let until = self.until.expect("an attempt is under way");
        let mut world = lock(&self.world);
        let reached = world.now + patience;
        world.now = reached.min(until.max(world.now));
        drop(world);
        if reached < until {
            return None;
        }
        self.until = None;
        Some(self.attempt())
    }
}

/// Reads a source and holds it to what it promises.
struct Reader {
    world: Shared,
    source: Reconnecting,
    frame: Frame,
    next: u64,
}

impl Reader {
    /// A source over the camera that `selector` means, which is there.
    fn over(world: &Shared, selector: &str) -> Self {
        let mut operator = Simulated::new(world, selector);
        let device = operator.attempt().unwrap();
        let recovery = Recovery::running(operator.now());
        Self::new(world, Reconnecting::new(device.info().clone(), Some(device), Box::new(operator), recovery))
    }

    fn new(world: &Shared, source: Reconnecting) -> Self {
        Self { world: Arc::clone(world), source, frame: Frame::black(Size::new(1, 1)), next: 0 }
    }

    fn now(&self) -> Instant {
        lock(&self.world).now
    }

    /// One read; what came, if something did.
    fn read(&mut self) -> Option<FrameKind> {
        let began = self.now();
        let step = self.source.read(&mut self.frame).expect("it never fails");
        assert!(self.now() - began <= LONGEST_READ, "a read took {:?}", self.now() - began);
        assert_ne!(step, Step::End, "it never ends");
        if step == Step::Idle {
            return None;
        }
        let size = self.source.info().size;
        assert_eq!((self.frame.size, self.frame.pixels.len()), (size, size.rgb_len()));
        assert!(self.frame.sequence >= self.next, "frame {} again", self.frame.sequence);
        assert!(self.frame.captured >= began);
        self.next = self.frame.sequence + 1;
        Some(self.frame.kind)
    }

    /// Reads until a picture comes, and tells how long that took.
    fn until_picture(&mut self) -> Duration {
        let began = self.now();
        while self.read() != Some(FrameKind::Picture) {
            assert!(self.now() - began < Duration::from_secs(60), "it does not come back");
        }
        self.now() - began
    }

    /// Reads for so long.
    fn for_a(&mut self, time: Duration) {
        let began = self.now();
        while self.now() - began < time {
            self.read();
        }
    }

    fn status(&self) -> SourceStatus {
        self.source.status().unwrap().get()
    }

    fn reconnects(&self) -> u64 {
        self.source.status().unwrap().reconnects()
    }
}

/// Numbers that look random, the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn a_camera_that_nobody_needs_is_closed_until_somebody_does() {
    let world = World::shared();
    lock(&world).plug(0, "webcam", SIZE);
    let mut reader = Reader::over(&world, ":0");
    let rest = Rest::default();
    reader.source.rest = rest.clone();
    reader.until_picture();
    for round in 0..3 {
        rest.begin();
        assert_eq!(reader.read(), Some(FrameKind::Placeholder), "{round}");
        assert_eq!(lock(&world).open, 0);
        assert!(matches!(reader.status(), SourceStatus::Resting { .. }));
        reader.for_a(Duration::from_secs(60));
        assert_eq!(lock(&world).open, 0, "nobody opens it");
        assert!(rest.end());
        assert!(reader.until_picture() < Duration::from_secs(1));
        assert_eq!((reader.status(), reader.reconnects()), (SourceStatus::Running, 0));
    }
    // It is unplugged while it rests: that is noticed once it is wanted, and it comes back as ever.
    rest.begin();
    reader.for_a(Duration::from_secs(1));
    lock(&world).unplug("webcam");
    rest.end();
    reader.for_a(Duration::from_secs(3));
    assert!(matches!(reader.status(), SourceStatus::Retrying { .. }));
    lock(&world).plug(0, "webcam", SIZE);
    reader.until_picture();
}

#[test]
fn it_comes_back_from_a_thousand_losses_of_every_kind() {
    for selector in [":0", ":webcam"] {
        let world = World::shared();
        lock(&world).plug(0, "webcam", SIZE);
        let mut reader = Reader::over(&world, selector);
        let mut dice = Dice(7);
        for loss in 0..1000 {
            reader.for_a(Duration::from_millis(dice.roll(1500)));
            reader.until_picture();
            assert_eq!((reader.status(), reader.reconnects()), (SourceStatus::Running, loss));
            assert_eq!(lock(&world).open, 1);
            // Whoever opens it now: the number that it had may be another camera's.
            let outage = Duration::from_millis(dice.roll(if loss % 10 == 0 { 40_000 } else { 3000 }));
            let kind = dice.roll(4);
            match kind {
                0 => lock(&world).unplug("webcam"),
                1 => lock(&world).set(Manner::Silent),
                2 => lock(&world).set(Manner::Damaged),
                _ => {
                    lock(&world).unplug("webcam");
                    let number = 10 + dice.roll(5) as u32;
                    lock(&world).plug(number, "webcam", SIZE);
                    lock(&world).set(Manner::Busy);
                }
            }
            // Silence and damage are noticed after two seconds and one.
            let noticed = if kind == 1 || kind == 2 { Duration::from_millis(2400) } else { Duration::ZERO };
            reader.for_a(noticed + outage);
            let SourceStatus::Retrying { since, .. } = reader.status() else { panic!("it runs without a picture") };
            assert!(reader.now() - since <= noticed + outage + LONGEST_READ);
            lock(&world).opening_takes = Duration::from_millis(dice.roll(300));
            if kind == 0 {
                lock(&world).plug(dice.roll(20) as u32, "webcam", SIZE);
            } else {
                lock(&world).set(Manner::Gives);
            }
            // Pauses double, so none is longer than what came before it, nor than the longest one.
            let pause = (noticed + outage + Duration::from_millis(1500)).min(recovery::LONGEST_PAUSE);
            let took = reader.until_picture();
            assert!(took <= pause + Duration::from_secs(1), "{took:?} after {outage:?}");
        }
        assert_eq!(lock(&world).most, 1, "no device was open twice");
    }
}

#[test]
fn placeholders_come_ten_times_a_second_and_say_why() {
    let world = World::shared();
    lock(&world).plug(0, "webcam", SIZE);
    let mut reader = Reader::over(&world, "");
    reader.until_picture();
    lock(&world).unplug("webcam");
    let began = reader.now();
    assert_eq!(reader.read(), Some(FrameKind::Placeholder), "at once");
    let first = reader.frame.pixels.clone();
    let mut count = 1;
    while reader.now() - began < Duration::from_secs(20) {
        count += u32::from(reader.read() == Some(FrameKind::Placeholder));
    }
    assert!((190..=201).contains(&count), "{count} in 20 seconds");
    assert_ne!(reader.frame.pixels, first, "it moves");
    let SourceStatus::Retrying { since, attempt, last_reason } = reader.status() else { panic!("it is lost") };
    // After 0.5, 1, 2, 4 and 8 seconds.
    assert_eq!((since, attempt, last_reason.as_str()), (began, 5, "it is not there"));
}

#[test]
fn a_camera_that_opens_and_stays_silent_is_no_recovery() {
    let world = World::shared();
    lock(&world).plug(0, "webcam", SIZE);
    let mut reader = Reader::over(&world, "");
    reader.until_picture();
    lock(&world).set(Manner::Silent);
    reader.for_a(Duration::from_secs(30));
    let SourceStatus::Retrying { attempt, last_reason, .. } = reader.status() else { panic!("it runs") };
    assert!((3..8).contains(&attempt) && last_reason.contains("sends no frames"), "{attempt}: {last_reason}");
    assert_eq!(reader.reconnects(), 0);
    lock(&world).set(Manner::Gives);
    reader.until_picture();
    assert_eq!((reader.status(), reader.reconnects()), (SourceStatus::Running, 1));
}

#[test]
fn a_short_silence_is_no_loss() {
    let world = World::shared();
    lock(&world).plug(0, "webcam", SIZE);
    let mut reader = Reader::over(&world, "");
    reader.until_picture();
    lock(&world).set(Manner::Silent);
    for _ in 0..9 {
        assert_eq!(reader.read(), None);
    }
    lock(&world).set(Manner::Gives);
    assert_eq!(reader.read(), Some(FrameKind::Picture));
    assert_eq!(reader.reconnects(), 0);
}

#[test]
fn a_camera_of_another_format_fills_the_same_stream() {
    let world = World::shared();
    lock(&world).plug(0, "webcam", SIZE);
    let mut reader = Reader::over(&world, "");
    reader.until_picture();
    for plugged in &mut lock(&world).plugged {
        plugged.size = Size::new(128, 48);
    }
    reader.for_a(Duration::from_secs(2));
    reader.until_picture();
    assert_eq!(reader.reconnects(), 1);
    // Half as high as it is wide, between two bars.
    let rows: Vec<u8> = reader.frame.pixels.chunks_exact(64 * 3).map(|row| row[96]).collect();
    assert!(rows[..12].iter().chain(&rows[36..]).all(|&red| red == 0), "{rows:?}");
    assert!(rows[12..36].iter().all(|&red| red == 200), "{rows:?}");
}

#[test]
fn another_camera_is_not_taken_for_the_one_that_was_lost() {
    let world = World::shared();
    lock(&world).plug(0, "webcam", SIZE);
    lock(&world).plug(1, "integrated", SIZE);
    let mut reader = Reader::over(&world, "");
    reader.until_picture();
    lock(&world).unplug("webcam");
    reader.for_a(Duration::from_secs(10));
    assert!(matches!(reader.status(), SourceStatus::Retrying { .. }));
    lock(&world).plug(4, "webcam", SIZE);
    reader.until_picture();
    assert!(reader.source.device.as_ref().unwrap().info().name.contains("camera 4 (webcam"));
}

#[test]
fn opening_may_take_for_ever() {
    let world = World::shared();
    lock(&world).plug(0, "webcam", SIZE);
    let mut reader = Reader::over(&world, "");
    reader.until_picture();
    lock(&world).unplug("webcam");
    lock(&world).opening_takes = Duration::from_secs(3600);
    // Each read is short all the same.
    reader.for_a(Duration::from_secs(60));
    assert!(matches!(reader.status(), SourceStatus::Retrying { attempt: 1, .. }));
}

#[test]
fn a_camera_is_waited_for_from_the_start() {
    let world = World::shared();
    let info = SourceInfo { name: "camera".into(), size: Size::new(80, 60), rate: None, live: true, frames: None };
    let operator = Simulated::new(&world, ":webcam");
    let recovery = Recovery::waiting(operator.now(), "there is no camera named 'webcam'".into());
    let mut reader = Reader::new(&world, Reconnecting::new(info, None, Box::new(operator), recovery));
    assert_eq!(reader.read(), Some(FrameKind::Placeholder));
    assert_eq!(reader.frame.size, Size::new(80, 60));
    reader.for_a(Duration::from_secs(100));
    let status = reader.source.status().unwrap().report();
    assert!(matches!(status, StatusReport::Retrying { reconnects: 0, .. }), "{status:?}");
    lock(&world).plug(3, "webcam", SIZE);
    reader.until_picture();
    assert_eq!((reader.status(), reader.reconnects()), (SourceStatus::Running, 0));
    lock(&world).unplug("webcam");
    reader.for_a(Duration::from_secs(1));
    lock(&world).plug(5, "webcam", SIZE);
    reader.until_picture();
    assert_eq!(reader.reconnects(), 1);
}
