//! What `run` and `video` have in common.

use std::path::Path;

use crate::error::{Error, Result};
use crate::pipeline::Stop;
use crate::pipeline::stats::Summary;

/// A [`Stop`] that Ctrl-C (or a polite kill) requests. Who presses it twice does not want to wait.
///
/// # Errors
/// When the system takes no handler.
pub fn stop_on_interrupt() -> Result<Stop> {
    let stop = Stop::default();
    let asked = stop.clone();
    ctrlc::set_handler(move || {
        if asked.requested() {
            std::process::exit(1);
        }
        asked.request();
    })
    .map_err(|e| Error::Tool(format!("cannot listen for Ctrl-C: {e}")))?;
    Ok(stop)
}

/// Whether both paths lead to the same file.
pub fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// One line that says what a run did.
pub fn totals(summary: &Summary) -> String {
    let Summary { stylized, seconds, fps, dropped, latency_ms, .. } = summary;
    let frames = if *stylized == 1 { "frame" } else { "frames" };
    let lost = match *dropped {
        0 => "none dropped".to_string(),
        n => format!("{n} dropped before they were stylized"),
    };
    format!(
        "{stylized} {frames} in {seconds:.1} s, {fps:.1} per second, {lost}; latency {:.1} ms, 95 % below {:.1} ms",
        latency_ms.p50, latency_ms.p95
    )
}
