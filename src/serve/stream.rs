//! The picture as a stream: JPEG after JPEG in `multipart/x-mixed-replace`.
//!
//! One thread encodes each picture once for all readers, and only while there are any. A reader that is not done with a
//! picture when the next one comes misses that one; nobody waits for it.

use std::convert::Infallible;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::jpeg::StreamEncoder;
use super::reply::Refusal;
use crate::live::{Attendant, Control};

/// Readers at a time.
const MAX_READERS: usize = 32;
/// After so long without a new picture the last one is sent again, which shows whether the reader is still there.
const REPEAT: Duration = Duration::from_secs(5);
/// Between two pictures: a faster run is shown at 60 per second, which spares its processor for drawing.
const INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / 60);
/// How long the encoder waits for a picture before it looks whether anybody still reads.
const PATIENCE: Duration = Duration::from_millis(250);
/// A browser that opens the stream itself makes a page of it, which it styles, as does OBS.
const STYLED: &str = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'";
/// Begins each part. It is sent right after a picture, since browsers show one when they see that it has ended.
const BOUNDARY: &str = "--nijigen\r\n";

/// The newest part.
#[derive(Debug, Clone)]
enum Latest {
    /// None that is new.
    Nothing,
    /// Headers, picture and the boundary behind it.
    Part(Bytes),
    /// There will be no more.
    End,
}

/// What readers and encoder share.
#[derive(Debug)]
pub struct Stream {
    latest: watch::Sender<Latest>,
    audience: Mutex<Audience>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Audience {
    readers: usize,
    ended: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self { latest: watch::Sender::new(Latest::Nothing), audience: Mutex::default(), changed: Condvar::new() }
    }
}

impl Stream {
    /// Encodes what the run draws, as long as it and the service last. Who reads counts as somebody who is there.
    pub fn feed(&self, control: &Control, attendant: &Attendant) {
        let mut encoder = StreamEncoder::default();
        let mut last_length = 0;
        while self.is_wanted() {
            let mut number = 0;
            let mut due = Instant::now();
            while self.readers() > 0 && !control.has_ended() {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let Some(pair) = control.newer_than(number, PATIENCE) else { continue };
                number = pair.number;
                attendant.somebody();
                due = (due + INTERVAL).max(Instant::now());
                let picture = pair.picture;
                drop(pair.photo);
                let mut jpeg = Vec::with_capacity(last_length);
                if let Err(error) = encoder.encode(&picture, &mut jpeg) {
                    tracing::warn!("the stream ended: {error}");
                    return self.end();
                }
                drop(picture);
                // A little more, so that a busier picture seldom makes the buffer grow.
                last_length = jpeg.len() + jpeg.len() / 8;
                self.latest.send_replace(Latest::Part(part(&jpeg)));
            }
            if control.has_ended() {
                return self.end();
            }
            // Who comes later shall not begin with a picture from long ago.
            self.latest.send_if_modified(|latest| {
                if matches!(latest, Latest::Part(_)) {
                    *latest = Latest::Nothing;
                }
                false
            });
        }
    }

    /// Waits for readers. False where there will be none.
    fn is_wanted(&self) -> bool {
        let mut audience = self.audience();
        while audience.readers == 0 && !audience.ended {
            audience = self.changed.wait(audience).unwrap_or_else(PoisonError::into_inner);
        }
        !audience.ended
    }

    /// How many read now.
    pub fn readers(&self) -> usize {
        let audience = self.audience();
        if audience.ended { 0 } else { audience.readers }
    }

    /// Ends the stream for all.
    pub fn end(&self) {
        self.audience().ended = true;
        self.latest.send_replace(Latest::End);
        self.changed.notify_all();
    }

    /// A stream for one more reader.
    ///
    /// # Errors
    /// A refusal where there are too many.
    pub fn reader(self: &Arc<Self>) -> Result<Response, Refusal> {
        let mut audience = self.audience();
        if audience.readers >= MAX_READERS {
            return Err(Refusal::busy(format!("{MAX_READERS} read the stream already; try again later")));
        }
        audience.readers += 1;
        drop(audience);
        self.changed.notify_all();
        let mut latest = self.latest.subscribe();
        latest.mark_changed();
        let reader = Reader { latest, _seat: Seat(Arc::clone(self)) };
        let parts = stream::unfold(reader, |mut reader| async {
            let part = reader.next().await?;
            Some((part, reader))
        });
        let first = stream::once(async { Bytes::from_static(BOUNDARY.as_bytes()) });
        let body = Body::from_stream(first.chain(parts).map(Ok::<_, Infallible>));
        let headers =
            [(CONTENT_TYPE, "multipart/x-mixed-replace; boundary=nijigen"), (CONTENT_SECURITY_POLICY, STYLED)];
        Ok((headers, body).into_response())
    }

    fn audience(&self) -> MutexGuard<'_, Audience> {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reader's place, given back when its connection ends.
struct Seat(Arc<Stream>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.audience().readers -= 1;
    }
}

struct Reader {
    latest: watch::Receiver<Latest>,
    _seat: Seat,
}

impl Reader {
    /// The newest part that was not sent yet, or the last one again.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // An error says that the service is gone; silence, that the last part is repeated.
            if let Ok(changed) = timeout(REPEAT, self.latest.changed()).await {
                changed.ok()?;
            }
            match &*self.latest.borrow_and_update() {
                Latest::Part(part) => return Some(part.clone()),
                Latest::End => return None,
                Latest::Nothing => {}
            }
        }
    }
}

fn part(jpeg: &[u8]) -> Bytes {
    let mut part = Vec::with_capacity(jpeg.len() + 96);
    // Writing to memory cannot fail.
    let _ = write!(part, "Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
    part.extend_from_slice(jpeg);
    part.extend_from_slice(b"\r\n");
    part.extend_from_slice(BOUNDARY.as_bytes());
    part.into()
}
