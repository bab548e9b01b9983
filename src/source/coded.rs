//! Coded pictures out of a stream of bytes: each when it is asked for, or the newest that has come.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long a [`Feed`] waits for a picture.
const MOMENT: Duration = Duration::from_millis(200);

/// A stream cut into coded pictures.
pub(super) trait Pictures: Send + 'static {
    /// Puts the next picture into `data`, in the place of what is there; `false` at the end.
    ///
    /// # Errors
    /// When the stream cannot be read or is no longer what it began as.
    fn next(&mut self, data: &mut Vec<u8>) -> Result<bool>;
}

/// What a [`Feed`] gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// A picture: how many came before it, and when its last byte came.
    Picture { sequence: u64, captured: Instant },
    /// Nothing came for a moment.
    Idle,
    /// Nothing will come.
    End,
}

/// Gives pictures to a source.
pub(super) enum Feed {
    /// Every picture; who writes them waits until they are wanted.
    Every { pictures: Box<dyn Pictures>, count: u64 },
    /// The newest picture: a thread of its own reads, so that nothing old waits in the pipe.
    Newest(Newest),
}

impl Feed {
    /// The pictures of a stream called `name`: the newest where it is `live`, or else every one. `count` of them have been
    /// taken already.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn new(pictures: impl Pictures, name: &str, live: bool, count: u64) -> Result<Self> {
        if live {
            return Ok(Self::Newest(Newest::start(pictures, name, count)?));
        }
        Ok(Self::Every { pictures: Box::new(pictures), count })
    }

    /// Puts a picture into `data`.
    ///
    /// # Errors
    /// What the stream gives, once all pictures before were taken.
    pub(super) fn next(&mut self, data: &mut Vec<u8>) -> Result<Fed> {
        match self {
            Self::Newest(newest) => newest.next(data),
            Self::Every { pictures, count } => {
                if !pictures.next(data)? {
                    return Ok(Fed::End);
                }
                *count += 1;
                Ok(Fed::Picture { sequence: *count - 1, captured: Instant::now() })
            }
        }
    }
}

/// A thread that reads, and the newest picture that it read.
pub(super) struct Newest {
    name: String,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    slot: Mutex<Slot>,
    changed: Condvar,
}

struct Slot {
    data: Vec<u8>,
    /// Of the picture in `data`, until it is taken.
    fresh: Option<(u64, Instant)>,
    /// How the stream ended, until that is told.
    end: Option<Result<()>>,
    /// Whether nobody listens any more.
    closed: bool,
}

impl Shared {
    /// Nothing that can panic runs while the lock is held.
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newest {
    fn start(mut pictures: impl Pictures, name: &str, count: u64) -> Result<Self> {
        let slot = Slot { data: Vec::new(), fresh: None, end: None, closed: false };
        let shared = Arc::new(Shared { slot: Mutex::new(slot), changed: Condvar::new() });
        let work = {
            let shared = Arc::clone(&shared);
            move || {
                let mut data = Vec::new();
                for sequence in count.. {
                    let next = pictures.next(&mut data);
                    let mut slot = shared.lock();
                    let goes_on = matches!(next, Ok(true));
                    match next {
                        Ok(true) => {
                            mem::swap(&mut slot.data, &mut data);
                            slot.fresh = Some((sequence, Instant::now()));
                        }
                        Ok(false) => slot.end = Some(Ok(())),
                        Err(error) => slot.end = Some(Err(error)),
                    }
                    shared.changed.notify_all();
                    if !goes_on || slot.closed {
                        return;
                    }
                }
            }
        };
        let thread = thread::Builder::new().name("read".into()).spawn(work);
        let thread = thread.map_err(|e| {
            Error::Tool(format!("the system gives no thread to read {name} ({e}); close other programs"))
        })?;
        Ok(Self { name: name.into(), shared, thread })
    }

    fn next(&mut self, data: &mut Vec<u8>) -> Result<Fed> {
        let waiting = |slot: &mut Slot| slot.fresh.is_none() && slot.end.is_none();
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), MOMENT, waiting);
        let (mut slot, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some((sequence, captured)) = slot.fresh.take() {
            mem::swap(data, &mut slot.data);
            return Ok(Fed::Picture { sequence, captured });
        }
        match slot.end.take() {
            Some(Ok(())) => Ok(Fed::End),
            Some(Err(error)) => Err(error),
            None if self.thread.is_finished() => {
                Err(Error::Tool(format!("the part that reads {} broke; please report this as a bug", self.name)))
            }
            None => Ok(Fed::Idle),
        }
    }
}

impl Drop for Newest {
    /// The thread ends with its next picture; it is not waited for, since that may never come.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Gives what a test sends it.
    struct Script(Receiver<Result<u8>>);

    impl Pictures for Script {
        fn next(&mut self, data: &mut Vec<u8>) -> Result<bool> {
            match self.0.recv() {
                Ok(byte) => {
                    data.clear();
                    data.push(byte?);
                    Ok(true)
                }
                Err(_) => Ok(false),
            }
        }
    }

    fn feed(live: bool) -> (Sender<Result<u8>>, Feed) {
        let (sender, receiver) = channel();
        (sender, Feed::new(Script(receiver), "it", live, 3).unwrap())
    }

    /// The number and the content of the next picture.
    fn picture(feed: &mut Feed) -> Option<(u64, u8)> {
        let mut data = Vec::new();
        loop {
            match feed.next(&mut data).unwrap() {
                Fed::Picture { sequence, .. } => return Some((sequence, data[0])),
                Fed::Idle => {}
                Fed::End => return None,
            }
        }
    }

    #[test]
    fn every_picture_is_given_where_nobody_is_in_a_hurry() {
        let (sender, mut feed) = feed(false);
        (0..5).for_each(|byte| sender.send(Ok(byte)).unwrap());
        drop(sender);
        let all: Vec<_> = std::iter::from_fn(|| picture(&mut feed)).collect();
        assert_eq!(all, [(3, 0), (4, 1), (5, 2), (6, 3), (7, 4)]);
    }

    #[test]
    fn a_live_stream_gives_its_newest_picture() {
        let (sender, mut feed) = feed(true);
        sender.send(Ok(0)).unwrap();
        assert_eq!(picture(&mut feed), Some((3, 0)));
        assert_eq!(feed.next(&mut Vec::new()).unwrap(), Fed::Idle);
        (1..=20).for_each(|byte| sender.send(Ok(byte)).unwrap());
        drop(sender);
        let Feed::Newest(newest) = &feed else { panic!("it is live") };
        while !newest.thread.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        // All have been read, whether or not somebody took them.
        assert_eq!(picture(&mut feed), Some((23, 20)));
        assert_eq!(picture(&mut feed), None);
    }

    #[test]
    fn an_error_comes_after_the_pictures_before_it() {
        for live in [false, true] {
            let (sender, mut feed) = feed(live);
            sender.send(Ok(7)).unwrap();
            assert_eq!(picture(&mut feed), Some((3, 7)));
            sender.send(Err(Error::Input("torn".into()))).unwrap();
            let mut data = Vec::new();
            let error = loop {
                match feed.next(&mut data) {
                    Ok(fed) => assert_eq!(fed, Fed::Idle),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.to_string(), "torn");
        }
    }
}
