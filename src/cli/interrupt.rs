//! Ctrl-C in commands that have something to tidy up.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C (or a request to terminate) is only noted; the second one ends the program at once.
///
/// # Errors
/// [`Error::Input`] where the system lets no signal be caught.
pub fn watch() -> Result<()> {
    ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            // 128 + SIGINT, as a shell reports it.
            std::process::exit(130);
        }
    })
    .map_err(|error| Error::Input(format!("Ctrl-C cannot be watched for: {error}")))
}

/// Whether Ctrl-C was pressed.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
