use std::sync::Mutex;

use super::*;
use crate::engine::Generator;
use crate::frame::{Frame, FrameKind, Size};
use crate::live::{Control, Settings};
use crate::sink::Flow;
use crate::source::{SharedStatus, SourceInfo, StatusReport, Step};
use crate::style::Scale;

const SIZE: Size = Size::new(4, 2);
const KEEP: Keep = Keep { when_stopped: true, when_failed: false };

/// What a test's source does after its frames.
enum Then {
    End,
    Fail,
    Panic,
    /// Hangs in a read, as standard input does.
    Hang,
}

struct Numbered {
    info: SourceInfo,
    left: u64,
    then: Then,
}

fn numbered(frames: u64, live: bool, then: Then) -> Box<dyn Source> {
    let info = SourceInfo { name: "numbered".into(), size: SIZE, rate: None, live, frames: None };
    Box::new(Numbered { info, left: frames, then })
}

impl Source for Numbered {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Step> {
        if self.left == 0 {
            match self.then {
                Then::End => return Ok(Step::End),
                Then::Fail => return Err(Error::Input("the source fails".into())),
                Then::Panic => panic!("the source panics"),
                Then::Hang => std::thread::sleep(Duration::from_secs(3600)),
            }
        }
        self.left -= 1;
        frame.reshape(SIZE);
        frame.captured = Instant::now();
        frame.sequence += 1;
        Ok(Step::Frame)
    }
}

/// What happened to a sink.
#[derive(Debug, Default, Clone, PartialEq)]
struct Fate {
    frames: u64,
    finished: bool,
}

#[derive(Clone, Copy)]
enum Manner {
    Takes,
    /// Asks for the end after so many frames.
    StopsAfter(u64),
    FailsAfter(u64),
    PipeBreaksAfter(u64),
    PanicsAfter(u64),
    Slow,
}

struct Recorder {
    manner: Manner,
    live: bool,
    fate: Arc<Mutex<Fate>>,
}

impl Recorder {
    fn new(manner: Manner) -> (Box<Self>, Arc<Mutex<Fate>>) {
        let fate = Arc::new(Mutex::new(Fate::default()));
        (Box::new(Self { manner, live: false, fate: Arc::clone(&fate) }), fate)
    }
}

impl Sink for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    fn live(&self) -> bool {
        self.live
    }

    fn show(&mut self, _: &Frame) -> Result<Flow> {
        let mut fate = self.fate.lock().expect("no panic under it");
        fate.frames += 1;
        let frames = fate.frames;
        drop(fate);
        match self.manner {
            Manner::StopsAfter(n) if frames >= n => Ok(Flow::Stop),
            Manner::FailsAfter(n) if frames >= n => Err(Error::Input("the sink fails".into())),
            Manner::PipeBreaksAfter(n) if frames >= n => Err(Error::BrokenPipe),
            Manner::PanicsAfter(n) if frames >= n => panic!("the sink panics"),
            Manner::Slow => {
                std::thread::sleep(Duration::from_millis(2));
                Ok(Flow::Continue)
            }
            _ => Ok(Flow::Continue),
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.fate.lock().expect("no panic under it").finished = true;
        Ok(())
    }
}

fn plan(source: Box<dyn Source>, sinks: Vec<Box<dyn Sink + Send>>) -> Plan {
    let pace = Pace::default();
    Plan { source, stylizer: Stylizer::off(), sinks, window: None, frames: None, pace, keep: KEEP, control: None }
}

fn go(plan: Plan) -> Result<Summary> {
    let stats = Arc::new(stats_for(&plan));
    run(plan, &Stop::default(), &stats, &mut |_| {})
}

fn fate(fate: &Mutex<Fate>) -> (u64, bool) {
    let fate = fate.lock().expect("no panic under it");
    (fate.frames, fate.finished)
}

#[test]
fn without_a_live_end_no_frame_is_lost() {
    let ((quick, one), (slow, two)) = (Recorder::new(Manner::Takes), Recorder::new(Manner::Slow));
    let summary = go(plan(numbered(100, false, Then::End), vec![quick, slow])).expect("it runs");
    assert_eq!((summary.captured, summary.stylized, summary.dropped), (100, 100, 0));
    assert_eq!((fate(&one), fate(&two)), ((100, true), (100, true)));
    assert_eq!(summary.sinks[1].dropped, 0);
}

#[test]
fn with_a_live_end_late_frames_are_dropped_and_counted() {
    for (source, window) in [(numbered(2000, false, Then::End), true), (numbered(2000, true, Then::End), false)] {
        let (slow, _) = Recorder::new(Manner::Slow);
        let mut plan = plan(source, vec![slow]);
        if window {
            let (mut slow, _) = Recorder::new(Manner::Slow);
            slow.live = true;
            plan.window = Some(slow);
        }
        let summary = go(plan).expect("it runs");
        assert_eq!((summary.captured, summary.stylized + summary.dropped), (2000, 2000));
        for sink in &summary.sinks {
            assert_eq!(sink.frames + sink.dropped, summary.stylized);
            assert!(sink.frames < 2000, "a slow sink cannot have taken all");
        }
    }
}

#[test]
fn a_number_of_frames_is_kept_to() {
    let (sink, seen) = Recorder::new(Manner::Takes);
    let summary = go(Plan { frames: Some(7), ..plan(numbered(u64::MAX, false, Then::End), vec![sink]) });
    assert_eq!(summary.expect("it runs").stylized, 7);
    assert_eq!(fate(&seen), (7, true));
}

#[test]
fn any_failure_ends_all_and_becomes_one_error() {
    for (source, manner, said) in [
        (numbered(5, false, Then::Fail), Manner::Takes, "the source fails"),
        (numbered(5, false, Then::Panic), Manner::Takes, "the part 'capture' broke (the source panics)"),
        (numbered(u64::MAX, false, Then::End), Manner::FailsAfter(3), "the sink fails"),
        (numbered(u64::MAX, false, Then::End), Manner::PanicsAfter(3), "the part 'sink 0' broke (the sink panics)"),
        (numbered(u64::MAX, true, Then::End), Manner::FailsAfter(3), "the sink fails"),
    ] {
        let (sink, seen) = Recorder::new(manner);
        let (other, also_seen) = Recorder::new(Manner::Takes);
        let error = go(plan(source, vec![sink, other])).expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
        assert!(!fate(&seen).1 && !fate(&also_seen).1, "nothing is completed after: {said}");
    }
}

#[test]
fn a_failure_on_the_main_thread_ends_all() {
    for manner in [Manner::FailsAfter(2), Manner::PanicsAfter(2)] {
        let (window, _) = Recorder::new(manner);
        let plan = Plan { window: Some(window), ..plan(numbered(u64::MAX, false, Then::End), vec![]) };
        assert!(go(plan).is_err());
    }
}

#[test]
fn what_was_recorded_of_a_live_source_survives_its_failure() {
    let (sink, seen) = Recorder::new(Manner::Takes);
    let keep = Keep { when_stopped: true, when_failed: true };
    let result = go(Plan { keep, ..plan(numbered(5, true, Then::Fail), vec![sink]) });
    assert!(result.is_err());
    assert!(fate(&seen).1);
}

#[test]
fn a_closed_window_is_a_good_end() {
    let ((window, _), (file, seen)) = (Recorder::new(Manner::StopsAfter(3)), Recorder::new(Manner::Takes));
    let plan = Plan { window: Some(window), ..plan(numbered(u64::MAX, false, Then::End), vec![file]) };
    let summary = go(plan).expect("closing is no failure");
    assert_eq!(summary.sinks[1].frames, 3);
    assert!(fate(&seen).1);
}

#[test]
fn a_reader_that_goes_away_ends_quietly_and_other_sinks_complete() {
    let ((pipe, _), (file, seen)) = (Recorder::new(Manner::PipeBreaksAfter(3)), Recorder::new(Manner::Takes));
    let result = go(plan(numbered(u64::MAX, false, Then::End), vec![pipe, file]));
    assert!(matches!(result, Err(Error::BrokenPipe)), "{result:?}");
    assert!(fate(&seen).1);
}

#[test]
fn a_stop_completes_or_discards_as_asked() {
    for when_stopped in [true, false] {
        let (sink, seen) = Recorder::new(Manner::Takes);
        let keep = Keep { when_stopped, when_failed: false };
        let plan = Plan { keep, ..plan(numbered(u64::MAX, false, Then::End), vec![sink]) };
        let stats = Arc::new(stats_for(&plan));
        let stop = Stop::default();
        let result = run(plan, &stop, &stats, &mut |stats| {
            if stats.frames() > 10 {
                stop.request();
            }
        });
        match result {
            Ok(summary) => assert!(when_stopped && summary.stylized > 10),
            Err(error) => assert!(!when_stopped && matches!(error, Error::Interrupted), "{error}"),
        }
        assert_eq!(fate(&seen).1, when_stopped);
    }
}

#[test]
fn a_source_that_hangs_does_not_hold_up_the_end() {
    let (sink, seen) = Recorder::new(Manner::Takes);
    let summary = go(Plan { frames: Some(3), ..plan(numbered(3, false, Then::Hang), vec![sink]) });
    assert_eq!(summary.expect("it ends").stylized, 3);
    assert_eq!(fate(&seen), (3, true));
}

/// A source that gives a placeholder after each picture, and keeps its status.
struct Interrupted(Box<dyn Source>, bool);

impl Source for Interrupted {
    fn info(&self) -> &SourceInfo {
        self.0.info()
    }

    fn status(&self) -> Option<SharedStatus> {
        Some(SharedStatus::default())
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Step> {
        self.1 = !self.1;
        if self.1 {
            return self.0.read(frame);
        }
        frame.reshape(SIZE);
        frame.pixels.fill(1);
        frame.pixels[0] = 9;
        frame.kind = FrameKind::Placeholder;
        frame.captured = Instant::now();
        Ok(Step::Frame)
    }
}

/// A style that makes everything white.
struct White;

impl Generator for White {
    fn run(&mut self, _: &[u8], _: Size, output: &mut [u8]) -> Result<()> {
        output.fill(255);
        Ok(())
    }

    fn macs(&self, _: Size) -> u64 {
        0
    }

    fn engine(&self) -> &'static str {
        "test"
    }

    fn isa(&self) -> &'static str {
        "test"
    }

    fn halo(&self) -> Option<u32> {
        Some(0)
    }

    fn multiple(&self) -> u32 {
        1
    }
}

/// Keeps what it was shown: whether it was a placeholder, and its first byte.
struct Looker(Arc<Mutex<Vec<(FrameKind, u8)>>>);

impl Sink for Looker {
    fn name(&self) -> &str {
        "looker"
    }

    fn show(&mut self, frame: &Frame) -> Result<Flow> {
        self.0.lock().expect("no panic under it").push((frame.kind, frame.pixels[0]));
        Ok(Flow::Continue)
    }
}

#[test]
fn placeholders_are_shown_as_they_are_and_counted_apart() {
    let seen = Arc::default();
    let source = Box::new(Interrupted(numbered(5, false, Then::End), false));
    let stylizer = Stylizer::new("white", Box::new(White), 1.0);
    // Nor are they mirrored.
    let settings = Settings { mirror: true, ..Settings::of_style("white") };
    let control = Some(Control::new(settings, None).expect("it needs no thread"));
    let plan = Plan { stylizer, frames: Some(4), control, ..plan(source, vec![Box::new(Looker(Arc::clone(&seen)))]) };
    let summary = go(plan).expect("it runs");
    let (picture, placeholder) = ((FrameKind::Picture, 255), (FrameKind::Placeholder, 9));
    let mut shown = [picture, placeholder].repeat(4);
    // With the fourth picture it ends.
    shown.pop();
    assert_eq!(*seen.lock().expect("no panic under it"), shown);
    assert_eq!((summary.stylized, summary.sinks[0].frames), (4, 7));
    assert!(summary.captured <= 5 && summary.placeholders >= 3, "{summary:?}");
    assert_eq!(summary.source_status, Some(StatusReport::Running { reconnects: 0 }));
}

#[test]
fn the_steady_state_allocates_no_frames() {
    let pool = Pool::default();
    let (sink, _) = Recorder::new(Manner::Takes);
    let wires = Arc::new(Wires {
        captured: Mailbox::new(HandOver::Wait),
        stylized: vec![Mailbox::new(HandOver::Wait)],
        stats: Arc::new(Stats::new([])),
        pool: pool.clone(),
        discard: AtomicBool::new(false),
    });
    let capture = Capture {
        source: numbered(1000, false, Then::End),
        stop: Stop::default(),
        follower: None,
        wires: Arc::clone(&wires),
    };
    let situation = Situation { source: None, live: false, smallest: Scale::Full, cores: 1 };
    let rate = RateControl::new(Pace::default(), situation);
    let stylize = Stylize::new(Stylizer::off(), None, None, rate, Arc::clone(&wires));
    let sink: Box<dyn Sink + Send> = sink;
    let show = Show::new(sink, 0, Arc::clone(&wires));
    std::thread::scope(|s| {
        s.spawn(|| capture.work());
        s.spawn(|| stylize.work());
        s.spawn(|| show.work());
    });
    // One in each hand and one in each mailbox: capture 1, stylize 2, sink 1, mailboxes 2.
    assert!(pool.allocated() <= 6, "{}", pool.allocated());
}
