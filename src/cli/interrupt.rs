//! Ctrl-C in commands that have something to tidy up.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};
use crate::output;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C (or a request to terminate) is only noted; the second one ends the program at once.
///
/// # Errors
/// [`Error::Input`] where the system lets no signal be caught.
pub fn watch() -> Result<()> {
    listen().map_err(|error| Error::Input(format!("Ctrl-C cannot be watched for: {error}")))
}

/// Whether Ctrl-C was pressed.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

fn noted() {
    if REQUESTED.swap(true, Ordering::Relaxed) {
        output::remove_pending();
        std::process::exit(1);
    }
}

#[cfg(unix)]
fn listen() -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    if !hangup_is_ignored() {
        signals.handle().add_signal(SIGHUP)?;
    }
    std::thread::Builder::new().name("signals".into()).spawn(move || signals.forever().for_each(|_| noted()))?;
    Ok(())
}

/// Whether whoever started us wants us to outlive its terminal, as `nohup` does.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Bit 0 stands for signal 1, SIGHUP.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(not(unix))]
fn listen() -> io::Result<()> {
    ctrlc::set_handler(noted).map_err(io::Error::other)
}
