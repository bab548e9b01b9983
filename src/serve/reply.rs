//! Answers: JSON, pictures, and refusals that say what to do.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

/// How long a body may stand still: who walked away with a phone is not waited for.
const STANDSTILL: Duration = Duration::from_secs(10);
/// The seconds after which it is worth asking again where something is busy.
const AGAIN: HeaderValue = HeaderValue::from_static("5");

/// A request that was not carried out.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    why: String,
}

impl Refusal {
    /// With one sentence.
    pub fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }

    /// 400: the request makes no sense.
    pub fn bad(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    /// 503: not now, but soon.
    pub fn busy(why: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, why)
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.why }).to_string();
        let mut response = (self.status, [(CONTENT_TYPE, "application/json")], body).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, AGAIN);
        }
        response
    }
}

/// `value` as JSON.
pub fn json(value: &impl Serialize) -> Result<Response, Refusal> {
    let text = serde_json::to_string(value)
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("no JSON: {error}")))?;
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}

/// A JPEG picture.
pub fn jpeg(bytes: impl Into<Bytes>) -> Response {
    ([(CONTENT_TYPE, "image/jpeg")], bytes.into()).into_response()
}

fn too_large(limit: usize) -> Refusal {
    let why = format!("this is larger than {} KiB, the most that is taken", limit >> 10);
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why)
}

/// Refuses a request that says beforehand that its body is larger than `limit` bytes.
pub fn check_length(headers: &HeaderMap, limit: usize) -> Result<(), Refusal> {
    let stated = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|stated| stated > limit as u64) { Err(too_large(limit)) } else { Ok(()) }
}

/// The body of a request, of at most `limit` bytes, that is there within `patience` and comes without long pauses.
pub async fn body(headers: &HeaderMap, body: Body, limit: usize, patience: Duration) -> Result<Vec<u8>, Refusal> {
    check_length(headers, limit)?;
    let late = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request's body took too long");
    let read = async {
        let mut bytes = Vec::new();
        let mut parts = body.into_data_stream();
        while let Some(part) = timeout(STANDSTILL, parts.next()).await.map_err(late)? {
            let part = part.map_err(|_| Refusal::bad("the request ended before its body did"))?;
            if bytes.len() + part.len() > limit {
                return Err(too_large(limit));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    };
    timeout(patience, read).await.map_err(late)?
}
