//! Server-sent events: how the run goes, and what was changed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Site;
use super::reply::Refusal;

/// How often it is looked for a change of the settings.
const LOOK: Duration = Duration::from_millis(100);
/// Those who listen at a time.
pub const MAX_LISTENERS: usize = 16;
/// A status goes out each so many looks: each half second.
const STATUS_EACH: u32 = 5;

struct Watch {
    site: Arc<Site>,
    /// Given back when the connection ends.
    _seat: OwnedSemaphorePermit,
    looks: Interval,
    count: u32,
    generation: Option<u64>,
    ended: bool,
}

/// Events until the run ends: `settings` at first and with each change, `status` each half second.
///
/// # Errors
/// A refusal where too many listen.
pub fn events(site: Arc<Site>) -> Result<Response, Refusal> {
    let seat = Arc::clone(&site.listeners).try_acquire_owned();
    let seat = seat.map_err(|_| {
        Refusal::busy(format!("{MAX_LISTENERS} listen to the events already; close other pages, or try again later"))
    })?;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = Watch { site, _seat: seat, looks, count: 0, generation: None, ended: false };
    let events = stream::unfold(watch, |mut watch| async {
        let events = watch.next().await?;
        Some((events, watch))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream")];
    Ok((headers, Body::from_stream(events.map(Ok::<_, Infallible>))).into_response())
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        loop {
            self.looks.tick().await;
            let mut events = String::new();
            let generation = self.site.control.generation();
            if self.generation != Some(generation) {
                self.generation = Some(generation);
                push(&mut events, "settings", &serde_json::to_string(&self.site.control.settings()).ok()?);
            }
            // The last status says that it was the last.
            self.ended = self.site.control.has_ended();
            if self.count.is_multiple_of(STATUS_EACH) || self.ended {
                push(&mut events, "status", &self.site.status().to_string());
            }
            self.count = self.count.wrapping_add(1);
            if !events.is_empty() {
                return Some(events.into());
            }
        }
    }
}

fn push(events: &mut String, name: &str, data: &str) {
    for part in ["event: ", name, "\ndata: ", data, "\n\n"] {
        events.push_str(part);
    }
}
