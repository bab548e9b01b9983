//! The interface for programs, as `openapi.json` describes it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::gallery::{Exhibit, OFF};
use super::photo::Wish;
use super::reply::{self, Refusal};
use super::{SINK, Site, jpeg, metrics};
use crate::error::Error;
use crate::frame::FrameKind;
use crate::live::{Look, Patch};
use crate::source::SourceStatus;
use crate::style::Mixture;

/// The largest change of settings in bytes.
const MAX_PATCH: usize = 16 << 10;
/// Until a change of settings is there.
const PATCH_PATIENCE: Duration = Duration::from_secs(5);
/// Until a style is loaded.
const STYLE_PATIENCE: Duration = Duration::from_secs(30);

type Answer = Result<Response, Refusal>;
type Shared = State<Arc<Site>>;

impl Site {
    /// How the run goes. What is new in its statistics appears here by itself.
    pub fn status(&self) -> Value {
        let newest = self.control.newest();
        let recent = self.stats.recent(SINK);
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "state": if self.control.has_ended() { "ended" } else { "running" },
            "source": self.source,
            "size": newest.map(|pair| pair.picture.size.to_string()),
            "uptime_seconds": self.began.elapsed().as_secs(),
            "stream_readers": self.stream.readers(),
            "recent": {
                "capture_fps": tenth(recent.capture_fps),
                "fps": tenth(recent.stylize_fps),
                "drops": tenth(recent.drops),
                "latency_ms": { "p50": tenth(recent.latency_p50), "p95": tenth(recent.latency_p95) },
            },
            "settings": self.control.settings(),
            "stats": self.stats.summary(),
        })
    }

    /// The names that may be chosen. A path is not one of them: nobody opens files of this machine from outside, but for
    /// the one that it was started with.
    fn style_names(&self) -> Vec<String> {
        let found = self.shelf.styles();
        let mut names: Vec<String> = found.iter().map(|offer| offer.style.name.clone()).collect();
        self.gallery.want(found);
        let current = self.control.settings().style;
        for name in [current, OFF.into()] {
            // A mixture is chosen by its parts.
            if !names.contains(&name) && Mixture::parse(&name).is_none() {
                names.push(name);
            }
        }
        names
    }

    /// Why there is no picture now.
    fn away(&self) -> Refusal {
        match self.stats.source_status().map(|status| status.get()) {
            Some(SourceStatus::Retrying { last_reason, .. }) => {
                Refusal::busy(format!("the camera is away, and there is no picture until it is back: {last_reason}"))
            }
            Some(SourceStatus::Resting { .. }) => {
                Refusal::busy("the camera was let go, since nobody was there; it comes back for whoever opens the page")
            }
            _ => Refusal::busy("the camera is away; try again in a moment"),
        }
    }

    fn check_style(&self, style: &str) -> Result<(), Refusal> {
        let names = self.style_names();
        if names.iter().any(|name| name == style) {
            return Ok(());
        }
        if let Some(mixture) = Mixture::parse(style) {
            return mixture.map_err(Refusal::bad)?.parts.iter().try_for_each(|(part, _)| self.check_style(part));
        }
        Err(Refusal::bad(format!("there is no style '{style}'; there are: {}", names.join(", "))))
    }
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Reads a change of settings. An object is asked for: serde would take a list for one, too.
fn read_patch(body: &[u8]) -> serde_json::Result<Patch> {
    Patch::deserialize(Value::Object(serde_json::from_slice::<Map<_, _>>(body)?))
}

pub async fn status(State(site): Shared) -> Answer {
    reply::json(&site.status())
}

pub async fn metrics(State(site): Shared) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::text(&site.status())).into_response()
}

pub async fn settings(State(site): Shared) -> Answer {
    reply::json(&site.control.settings())
}

/// Answers when the change has taken effect, with the settings that came of it.
pub async fn change(State(site): Shared, headers: HeaderMap, body: Body) -> Answer {
    let body = reply::body(&headers, body, MAX_PATCH, PATCH_PATIENCE).await?;
    let patch = read_patch(&body).map_err(|error| Refusal::bad(format!("these are no settings: {error}")))?;
    if let Some(style) = &patch.style {
        site.check_style(style)?;
    }
    let (done, changed) = oneshot::channel();
    // Nobody may be waiting any more.
    let tell = move |settings| drop(done.send(settings));
    site.control.patch(&patch, tell).map_err(refused)?;
    let late = |_| Refusal::busy("the style is still being loaded; it will be taken when it is there");
    let changed = timeout(STYLE_PATIENCE, changed).await.map_err(late)?;
    let settings = changed.map_err(|_| Refusal::busy("the run has ended"))?.map_err(refused)?;
    reply::json(&settings)
}

fn refused(error: Error) -> Refusal {
    match error {
        Error::Usage(why) => Refusal::bad(why),
        Error::Camera(why) => Refusal::busy(why),
        Error::Style(why) => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, why),
        other => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, other.to_string()),
    }
}

pub async fn styles(State(site): Shared) -> Answer {
    let current = site.control.settings().style;
    let styles: Vec<Value> = site
        .style_names()
        .into_iter()
        .map(|name| {
            let Exhibit { description, base, has_person_mask, thumbnail, fault, edition } =
                site.gallery.exhibit(&name).unwrap_or_default();
            json!({
                "current": name == current, "name": name, "description": description, "fault": fault,
                "has_thumbnail": thumbnail.is_some(), "edition": edition, "base": base,
                "has_person_mask": has_person_mask,
            })
        })
        .collect();
    reply::json(&styles)
}

pub async fn thumbnail(State(site): Shared, style: Result<Path<String>, PathRejection>) -> Answer {
    // A name that is no text is none that there is.
    let exhibit = style.ok().and_then(|Path(style)| site.gallery.exhibit(&style));
    let thumbnail = exhibit.and_then(|exhibit| exhibit.thumbnail);
    let none = || Refusal::new(StatusCode::NOT_FOUND, "there is no such style, or its picture is not drawn yet");
    thumbnail.map(reply::jpeg).ok_or_else(none)
}

pub async fn stream(State(site): Shared) -> Answer {
    site.stream.reader()
}

pub async fn events(State(site): Shared) -> Answer {
    super::events::events(site)
}

/// Keeps a picture in the run's folder for snapshots, after the countdown where there is one. Its name is told, but not
/// where that is: those in the network need not know.
pub async fn keep(State(site): Shared) -> Answer {
    let (done, kept) = oneshot::channel();
    let tell = move |path| drop(done.send(path));
    site.attendant.snapshot(tell).map_err(|error| Refusal::busy(error.to_string()))?;
    let untaken = |_| Refusal::busy("the snapshot was not taken; try again in a moment");
    let path = kept.await.map_err(untaken)?.map_err(refused)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    reply::json(&json!({ "file": name }))
}

/// The newest picture at its own size.
pub async fn snapshot(State(site): Shared) -> Answer {
    let picture = site.control.newest().map(|pair| pair.picture);
    let picture = picture.ok_or_else(|| Refusal::busy("there is no picture yet; try again in a moment"))?;
    if picture.kind == FrameKind::Placeholder {
        return Err(site.away());
    }
    let drawn = tokio::task::spawn_blocking(move || jpeg::still(&picture)).await;
    let broke = |why: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why);
    Ok(reply::jpeg(drawn.map_err(|e| broke(e.to_string()))?.map_err(|e| broke(e.to_string()))?))
}

/// Takes a photo. The query may name a `style`, a `strength`, a `region` and `enhance` other than the run's.
pub async fn image(State(site): Shared, RawQuery(query): RawQuery, headers: HeaderMap, body: Body) -> Answer {
    let (mut style, mut enhance, mut strength, mut region) = (None, None, None, None);
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "style" => style = Some(value.into_owned()),
            "enhance" => {
                let no_truth = |_| Refusal::bad("enhance is true or false");
                enhance = Some(value.parse().map_err(no_truth)?);
            }
            // What is no number is out of range, and said to be.
            "strength" => strength = Some(value.parse().unwrap_or(f32::NAN)),
            "region" => {
                let read = value.parse().map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, why));
                region = Some(read?);
            }
            _ => {}
        }
    }
    // Said before the photo is sent where it can be.
    Patch { strength, ..Patch::default() }.check().map_err(refused)?;
    let settings = site.control.settings();
    let style = style.unwrap_or(settings.style);
    site.check_style(&style)?;
    let offer = site.shelf.styles().into_iter().find(|offer| offer.style.name == style);
    let (style, edition) = offer.map_or((style, 0), |offer| (offer.address(), offer.edition));
    let (strength, region) = (strength.unwrap_or(settings.strength), region.unwrap_or(settings.region));
    let look = Look { style, enhance: enhance.unwrap_or(settings.enhance) };
    let wish = Wish { look, edition, strength, region };
    let photo = site.studio.receive(&headers, body).await?;
    site.studio.draw(photo, wish).await.map(reply::jpeg)
}
