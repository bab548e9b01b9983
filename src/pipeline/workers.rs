//! What each thread of a run does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::follow::Follower;
use super::mailbox::{Received, Sent};
use super::rate::{Moment, RateControl, Verdict};
use super::{Stop, Wires};
use crate::error::Result;
use crate::frame::{FrameKind, PooledFrame, SharedFrame};
use crate::host;
use crate::pixels;
use crate::pixels::split::split;
use crate::sink::{Flow, Sink};
use crate::source::{Source, Step};
use crate::style::Stylizer;
use crate::threads::{self, guarded};

/// Which kind of thread reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads the source.
    Capture,
    /// Runs the style.
    Stylize,
    /// Feeds a sink.
    Sink,
    /// Feeds a sink that [may hang](crate::sink::Sink::may_hang).
    Pipe,
}

/// The last thing that a thread says.
#[derive(Debug)]
pub struct Report {
    /// Who says it.
    pub role: Role,
    /// How it ended.
    pub outcome: Result<()>,
}

/// Starts a thread that reports how `work` ended, whatever happens in it. All that `work` owns is gone by then.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(
    name: &str,
    role: Role,
    work: Box<dyn FnOnce() -> Result<()> + Send>,
    reports: Sender<Report>,
) -> Result<()> {
    let part = name.to_string();
    let body = move || {
        let outcome = guarded(&part, work);
        // Nobody listens only when the run has ended without this thread.
        let _ = reports.send(Report { role, outcome });
    };
    threads::spawn(name, body).map(drop)
}

/// Reads the source.
pub struct Capture {
    pub source: Box<dyn Source>,
    pub stop: Stop,
    pub follower: Option<Follower>,
    pub wires: Arc<Wires>,
}

impl Capture {
    pub fn work(mut self) -> Result<()> {
        let size = self.source.info().size;
        // What lies in the mailbox at most: what the last frame was.
        let mut last = FrameKind::Picture;
        while !self.stop.requested() {
            let mut frame = self.wires.pool.take(size);
            match self.source.read(&mut frame)? {
                Step::Idle => continue,
                Step::End => break,
                Step::Frame => {}
            }
            if let Some(follower) = &mut self.follower {
                follower.renew();
                // What is written on a placeholder is to be read.
                if follower.settings().mirror && frame.kind == FrameKind::Picture {
                    let width = frame.size.width;
                    pixels::mirror(&mut frame.pixels, width);
                    frame.mirrored = true;
                }
            }
            match frame.kind {
                FrameKind::Picture => self.wires.stats.captured(frame.captured),
                FrameKind::Placeholder => self.wires.stats.placeholder(),
            }
            let replaced = std::mem::replace(&mut last, frame.kind);
            match self.wires.captured.send(frame) {
                Sent::Replaced if replaced == FrameKind::Picture => self.wires.stats.dropped(),
                Sent::Delivered | Sent::Replaced => {}
                Sent::Closed => break,
            }
        }
        self.wires.captured.close();
        Ok(())
    }
}

/// Runs the style.
pub struct Stylize {
    stylizer: Stylizer,
    frames: Option<u64>,
    follower: Option<Follower>,
    rate: RateControl,
    /// When the thread began: the rate's clock counts from here.
    start: Instant,
    /// Whether the last picture was mirrored.
    mirrored: bool,
    wires: Arc<Wires>,
}

impl Stylize {
    pub fn new(
        stylizer: Stylizer,
        frames: Option<u64>,
        follower: Option<Follower>,
        rate: RateControl,
        wires: Arc<Wires>,
    ) -> Self {
        Self { stylizer, frames, follower, rate, start: Instant::now(), mirrored: false, wires }
    }

    pub fn work(mut self) -> Result<()> {
        let mut left = self.frames.unwrap_or(u64::MAX);
        while left > 0
            && let Received::Message(input) = self.wires.captured.receive(None)
        {
            let output = match input.kind {
                FrameKind::Placeholder => self.pass(input),
                FrameKind::Picture => {
                    match self.rate.judge(self.moment(), input.captured.saturating_duration_since(self.start)) {
                        Verdict::Draw => {}
                        Verdict::Skip => {
                            self.wires.stats.dropped();
                            continue;
                        }
                        Verdict::Rest(time) => self.wires.captured.rest(time),
                    }
                    left -= 1;
                    let began = Instant::now();
                    let output = self.draw(input)?;
                    self.account(began.elapsed());
                    output
                }
            };
            for (outlet, mailbox) in self.wires.stylized.iter().enumerate() {
                if mailbox.send(output.clone()) == Sent::Replaced {
                    self.wires.stats.missed(outlet);
                }
            }
        }
        self.wires.captured.close();
        self.wires.stylized.iter().for_each(|mailbox| mailbox.close());
        Ok(())
    }

    fn moment(&self) -> Moment {
        Moment { now: self.start.elapsed(), cpu: host::cpu_time() }
    }

    /// Tells of a frame that took so long, and draws the next ones smaller or larger where that is called for.
    fn account(&mut self, took: Duration) {
        self.wires.stats.stylized(took);
        let finding = self.rate.drawn(self.moment(), took);
        if finding.over_budget {
            self.wires.stats.over_budget();
        }
        if let Some(scale) = finding.step {
            tracing::debug!("frames are drawn at a scale of {scale} from now on");
            self.stylizer.set_scale(scale);
            self.wires.stats.scaled(scale);
        }
    }

    /// A placeholder, as it is.
    fn pass(&mut self, input: PooledFrame) -> SharedFrame {
        // What is seen behind it may be something else.
        self.stylizer.start_anew();
        let output = input.share();
        if let Some(follower) = &self.follower {
            follower.control().publish(output.clone(), output.clone());
        }
        output
    }

    /// Makes the picture of `input`, as the settings are now.
    fn draw(&mut self, input: PooledFrame) -> Result<SharedFrame> {
        if let Some(follower) = &mut self.follower
            && follower.renew()
        {
            if let Some(stylizer) = follower.control().take_style() {
                self.stylizer = stylizer;
                // It begins at the scale of the one before, which is likelier to fit than the whole.
                let (before, smallest) = (self.rate.scale(), self.stylizer.smallest_scale(input.size));
                self.rate.begin_style(smallest);
                let scale = self.rate.scale();
                self.stylizer.set_scale(scale);
                if scale != before {
                    self.wires.stats.scaled(scale);
                }
            }
            let settings = follower.settings();
            self.stylizer.set_on(settings.on);
            self.stylizer.set_strength(settings.strength);
            self.stylizer.set_region(settings.region);
            self.stylizer.set_stability(settings.stability);
        }
        if std::mem::replace(&mut self.mirrored, input.mirrored) != input.mirrored {
            self.stylizer.start_anew();
        }
        let mut output = self.wires.pool.take(input.size);
        let work = self.stylizer.run_live(&input.pixels, input.size, input.captured, &mut output.pixels)?;
        self.wires.stats.worked(work);
        output.captured = input.captured;
        output.sequence = input.sequence;
        output.presented = input.presented;
        let Some(follower) = &self.follower else {
            return Ok(output.share());
        };
        if let Some(share) = follower.settings().split {
            split(&input.pixels, &mut output.pixels, input.size, share);
        }
        let (photo, output) = (input.share(), output.share());
        follower.control().publish(photo, output.clone());
        Ok(output)
    }
}

/// What a sink's turn led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There is more to come.
    GoOn,
    /// The sink wants no more.
    Stop,
    /// Nothing more will come.
    End,
}

/// Feeds a sink.
pub struct Show<S> {
    sink: S,
    outlet: usize,
    wires: Arc<Wires>,
}

impl<S: Sink + ?Sized> Show<Box<S>> {
    pub fn new(sink: Box<S>, outlet: usize, wires: Arc<Wires>) -> Self {
        Self { sink, outlet, wires }
    }

    /// Waits for a frame, up to `patience`, and shows it.
    pub fn turn(&mut self, patience: Option<Duration>) -> Result<Turn> {
        let flow = match self.wires.stylized[self.outlet].receive(patience) {
            Received::Closed => return Ok(Turn::End),
            Received::Nothing => self.sink.idle()?,
            Received::Message(frame) => {
                let began = Instant::now();
                let flow = self.sink.show(&frame)?;
                match frame.kind {
                    FrameKind::Picture => self.wires.stats.shown(self.outlet, began.elapsed(), frame.captured),
                    FrameKind::Placeholder => self.wires.stats.shown_placeholder(self.outlet),
                }
                flow
            }
        };
        Ok(if flow == Flow::Stop { Turn::Stop } else { Turn::GoOn })
    }

    /// Completes what the sink wrote, unless the run is to leave nothing behind.
    pub fn end(&mut self) -> Result<()> {
        if self.wires.discard.load(Ordering::Acquire) { Ok(()) } else { self.sink.finish() }
    }

    /// Takes no more frames.
    pub fn refuse(&self) {
        self.wires.stylized[self.outlet].abort();
    }

    /// All of it, for a sink with its own thread.
    pub fn work(mut self) -> Result<()> {
        while self.turn(None)? == Turn::GoOn {}
        self.refuse();
        self.end()
    }
}
