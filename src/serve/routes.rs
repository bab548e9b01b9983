//! Which address leads where, and what every answer says to browsers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::reply::Refusal;
use super::{Site, api};

/// The page loads nothing from elsewhere, is in nobody's frame, and its address (which may hold a token) is told nobody.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (X_FRAME_OPTIONS, "DENY"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What the program interface is, in OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

/// All routes.
pub fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(|| file("text/html; charset=utf-8", include_str!("page/page.html"))))
        .route("/page.css", get(|| file("text/css; charset=utf-8", include_str!("page/page.css"))))
        .route("/page.js", get(|| file("text/javascript; charset=utf-8", include_str!("page/page.js"))))
        .route("/stream.mjpg", get(api::stream))
        .route("/snapshot.jpg", get(api::snapshot))
        .route("/metrics", get(api::metrics))
        .route("/api/openapi.json", get(|| file("application/json", OPENAPI)))
        .route("/api/status", get(api::status))
        .route("/api/settings", get(api::settings).patch(api::change))
        .route("/api/styles", get(api::styles))
        .route("/api/styles/{name}/thumbnail.jpg", get(api::thumbnail))
        .route("/api/events", get(api::events))
        .route("/api/image", post(api::image))
        .route("/api/snapshot", post(api::keep))
        .method_not_allowed_fallback(not_so)
        .fallback(nowhere)
        .layer(middleware::from_fn_with_state(Arc::clone(&site), guarded))
        .with_state(site)
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind)], text).into_response()
}

async fn nowhere() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this address; /api/openapi.json tells what there is")
}

async fn not_so() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this address is not asked with this method; /api/openapi.json tells with which",
    )
}

async fn guarded(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let mut response = match site.guard.check(&parts) {
        Ok(()) => {
            // Who changes something is there; who only asks may be a program that watches.
            if !parts.method.is_safe() {
                site.attendant.somebody();
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => refusal.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
