//! What each thread of a run does.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use super::mailbox::{Received, Sent};
use super::{Stop, Wires};
use crate::error::{Error, Result};
use crate::sink::{Flow, Sink};
use crate::source::{Source, Step};
use crate::style::Stylizer;

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
    let name = name.to_string();
    let body = {
        let name = name.clone();
        move || {
            let outcome = guarded(&name, work);
            // Nobody listens only when the run has ended without this thread.
            let _ = reports.send(Report { role, outcome });
        }
    };
    match thread::Builder::new().name(name.clone()).spawn(body) {
        Ok(_) => Ok(()),
        Err(e) => Err(Error::Tool(format!("the system gives no thread for '{name}' ({e}); close other programs"))),
    }
}

/// Runs `work`; a panic in it becomes an error.
pub fn guarded<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(Error::Tool(format!("the part '{name}' broke ({}); please report this as a bug", message(&*panic))))
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given")
}

/// Reads the source.
pub struct Capture {
    pub source: Box<dyn Source>,
    pub stop: Stop,
    pub wires: Arc<Wires>,
}

impl Capture {
    pub fn work(mut self) -> Result<()> {
        let size = self.source.info().size;
        while !self.stop.requested() {
            let mut frame = self.wires.pool.take(size);
            match self.source.read(&mut frame)? {
                Step::Idle => continue,
                Step::End => break,
                Step::Frame => self.wires.stats.captured(frame.captured),
            }
            match self.wires.captured.send(frame) {
                Sent::Delivered => {}
                Sent::Replaced => self.wires.stats.dropped(),
                Sent::Closed => break,
            }
        }
        self.wires.captured.close();
        Ok(())
    }
}

/// Runs the style.
pub struct Stylize {
    pub stylizer: Stylizer,
    pub frames: Option<u64>,
    pub wires: Arc<Wires>,
}

impl Stylize {
    pub fn work(mut self) -> Result<()> {
        let mut left = self.frames.unwrap_or(u64::MAX);
        while left > 0
            && let Received::Message(input) = self.wires.captured.receive(None)
        {
            let began = Instant::now();
            let mut output = self.wires.pool.take(input.size);
            let work = self.stylizer.run_live(&input.pixels, input.size, input.captured, &mut output.pixels)?;
            output.captured = input.captured;
            output.sequence = input.sequence;
            output.presented = input.presented;
            drop(input);
            self.wires.stats.stylized(began.elapsed());
            self.wires.stats.worked(work);
            left -= 1;
            let output = output.share();
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
                self.wires.stats.shown(self.outlet, began.elapsed(), frame.captured);
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
