//! What `run` and `video` have in common.

use std::path::Path;

use crate::pipeline::stats::Summary;
use crate::source::StatusReport;

/// Whether both paths lead to the same file.
pub fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// One line that says what a run did. Latency is told where an end was `live`: elsewhere frames wait for one another, and
/// it says nothing of the style.
pub fn totals(summary: &Summary, live: bool) -> String {
    let Summary { stylized, seconds, fps, dropped, latency_ms, scale, .. } = summary;
    let frames = if *stylized == 1 { "frame" } else { "frames" };
    let lost = match *dropped {
        0 => "none dropped".to_string(),
        n => format!("{n} dropped before they were stylized"),
    };
    let latency = if live {
        format!("; latency {:.1} ms, 95 % below {:.1} ms", latency_ms.p50, latency_ms.p95)
    } else {
        String::new()
    };
    let returns = match summary.source_status.as_ref().map_or(0, StatusReport::reconnects) {
        0 => String::new(),
        1 => "; the camera was lost and came back once".to_string(),
        n => format!("; the camera was lost and came back {n} times"),
    };
    let scale = if *scale < 1.0 { format!("; drawn at {scale} of the size to keep up") } else { String::new() };
    format!("{stylized} {frames} in {seconds:.1} s, {fps:.1} per second, {lost}{latency}{scale}{returns}")
}
