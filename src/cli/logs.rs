//! Where events are told: on standard error, or in the journal where that is what reads it.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;

/// Tells events of this program, up to `level`, from now on. Other libraries' events are not for its users.
pub fn start(level: LevelFilter) {
    let ours = Targets::new().with_target("nijigen", level);
    let lines = || {
        tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .without_time()
            .boxed()
    };
    let layer: Box<dyn Layer<Registry> + Send + Sync> = journal().unwrap_or_else(lines);
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(ours));
    // There is one already only where somebody else has started this program as a part of theirs.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// The journal, where systemd has connected standard error to it: events keep their level there, and no line is cut.
#[cfg(target_os = "linux")]
fn journal() -> Option<Box<dyn Layer<Registry> + Send + Sync>> {
    let stderr = std::fs::metadata("/proc/self/fd/2").ok()?;
    let is_connected = std::env::var("JOURNAL_STREAM").is_ok_and(|stream| stream == identity(&stderr));
    if !is_connected {
        return None;
    }
    Some(tracing_journald::layer().ok()?.with_syslog_identifier("nijigen".into()).boxed())
}

/// Device and inode, as systemd.exec(5) has them in `JOURNAL_STREAM`: the variable outlives a redirection.
#[cfg(target_os = "linux")]
fn identity(file: &std::fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt;

    format!("{}:{}", file.dev(), file.ino())
}

#[cfg(not(target_os = "linux"))]
fn journal() -> Option<Box<dyn Layer<Registry> + Send + Sync>> {
    None
}
