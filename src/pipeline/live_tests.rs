//! What a change of the settings does to the frames of a run.

#![allow(clippy::unwrap_used)]

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::*;
use crate::engine::Generator;
use crate::frame::{Frame, Size};
use crate::live::{Control, Opener, Patch, Settings};
use crate::sink::Flow;
use crate::source::{SourceInfo, Step};

const SIZE: Size = Size::new(4, 2);

/// A style that paints everything in one tone.
struct Paint(u8);

impl Generator for Paint {
    fn run(&mut self, _: &[u8], _: Size, output: &mut [u8]) -> Result<()> {
        if self.0 == 13 {
            return Err(Error::Style("13 cannot be drawn with".into()));
        }
        output.fill(self.0);
        Ok(())
    }

    fn macs(&self, _: Size) -> u64 {
        0
    }

    fn engine(&self) -> &'static str {
        "paint"
    }

    fn isa(&self) -> &'static str {
        "none"
    }

    fn halo(&self) -> Option<u32> {
        Some(0)
    }

    fn multiple(&self) -> u32 {
        1
    }
}

/// A frame, its pixels 0, 1, 2, 3 from the left, whenever the test wants one.
struct OnDemand(SourceInfo, Receiver<()>);

impl Source for OnDemand {
    fn info(&self) -> &SourceInfo {
        &self.0
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Step> {
        if self.1.recv().is_err() {
            return Ok(Step::End);
        }
        frame.reshape(SIZE);
        frame.captured = Instant::now();
        for (n, pixel) in frame.pixels.chunks_exact_mut(3).enumerate() {
            pixel.fill(n as u8 % 4);
        }
        Ok(Step::Frame)
    }
}

/// Gives each picture's first row of reds to the test.
struct Told(Sender<Vec<u8>>);

impl Sink for Told {
    fn name(&self) -> &str {
        "told"
    }

    fn show(&mut self, frame: &Frame) -> Result<Flow> {
        let reds = frame.pixels[..12].iter().step_by(3).copied().collect();
        Ok(if self.0.send(reds).is_ok() { Flow::Continue } else { Flow::Stop })
    }
}

/// A run that draws a frame when asked.
struct Live {
    control: Control,
    wanted: Sender<()>,
    told: Receiver<Vec<u8>>,
}

impl Live {
    fn start() -> (Self, thread::JoinHandle<Result<Summary>>) {
        let opener: Opener = Box::new(|look| match look.style.parse() {
            Ok(tone) => Ok(Stylizer::new(look.style.as_str(), Box::new(Paint(tone)), 1.0)),
            Err(_) => Err(Error::Usage(format!("there is no style '{}'", look.style))),
        });
        let settings = Settings::of_style("100");
        let control = Control::new(settings, Some(opener)).unwrap();
        let (wanted, wants) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let info = SourceInfo { name: "on demand".into(), size: SIZE, rate: None, live: false, frames: None };
        let known = control.clone();
        let run = thread::spawn(move || {
            let plan = Plan {
                source: Box::new(OnDemand(info, wants)),
                pace: Pace::default(),
                stylizer: Stylizer::new("100", Box::new(Paint(100)), 1.0),
                sinks: vec![Box::new(Told(tell))],
                window: None,
                frames: None,
                keep: Keep { when_stopped: true, when_failed: true },
                control: Some(known),
            };
            let stats = Arc::new(stats_for(&plan));
            run(plan, &Stop::default(), &stats, &mut |_| {})
        });
        (Self { control, wanted, told }, run)
    }

    fn frame(&self) -> Vec<u8> {
        self.wanted.send(()).unwrap();
        self.told.recv().unwrap()
    }

    /// Changes the settings and waits until they are what they will be.
    fn patch(&self, patch: Patch) -> Result<Settings> {
        let (tell, told) = mpsc::channel();
        self.control.patch(&patch, move |result| tell.send(result).unwrap())?;
        told.recv().unwrap()
    }
}

#[test]
fn settings_hold_from_the_next_frame_on() {
    let (live, run) = Live::start();
    assert_eq!(live.frame(), [100; 4]);
    live.patch(Patch { strength: Some(0.5), ..Patch::default() }).unwrap();
    assert_eq!(live.frame(), [50, 51, 51, 52]);
    live.patch(Patch { on: Some(false), ..Patch::default() }).unwrap();
    assert_eq!(live.frame(), [0, 1, 2, 3]);
    live.patch(Patch { on: Some(true), strength: Some(1.0), split: Some(Some(0.5)), ..Patch::default() }).unwrap();
    assert_eq!(live.frame(), [0, 1, 255, 100]);
    live.patch(Patch { mirror: Some(true), ..Patch::default() }).unwrap();
    assert_eq!(live.frame(), [3, 2, 255, 100]);
    let pair = live.control.newest().unwrap();
    assert_eq!((pair.photo.pixels[0], pair.picture.pixels[9], pair.number), (3, 100, 5));
    live.patch(Patch { split: Some(None), ..Patch::default() }).unwrap();
    assert_eq!(live.frame(), [100; 4]);
    drop(pair);
    drop(live.wanted);
    assert_eq!(run.join().unwrap().unwrap().stylized, 6);
    assert!(live.control.has_ended());
}

#[test]
fn another_style_comes_with_the_next_frame_and_a_bad_one_not_at_all() {
    let (live, run) = Live::start();
    assert_eq!(live.frame(), [100; 4]);
    live.patch(Patch { style: Some("7".into()), ..Patch::default() }).unwrap();
    assert_eq!(live.frame(), [7; 4]);
    // 13 cannot draw this picture: that is known before anybody sees it.
    for style in ["none such", "13"] {
        let refused = live.patch(Patch { style: Some(style.into()), ..Patch::default() });
        assert!(refused.unwrap_err().to_string().contains(style));
    }
    assert_eq!((live.frame(), live.control.settings().style), (vec![7; 4], "7".to_string()));
    // A frame is never missing: each that was wanted has come.
    drop(live.wanted);
    let summary = run.join().unwrap().unwrap();
    assert_eq!((summary.captured, summary.stylized), (3, 3));
}
