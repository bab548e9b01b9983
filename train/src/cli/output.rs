//! What the commands print: results on standard output, progress on standard error; with `-q` neither. And how they hear
//! that the user wants no more of it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use indicatif::ProgressBar;
use nijigen::Error;

/// Whether the user wants to see errors only.
fn quiet() -> bool {
    log::max_level() < log::LevelFilter::Info
}

/// Prints a line of the result.
///
/// # Errors
/// [`Error::BrokenPipe`] when nobody reads it any more, another when it cannot be written.
pub fn line(text: &str) -> anyhow::Result<()> {
    if quiet() {
        return Ok(());
    }
    writeln!(io::stdout().lock(), "{text}").map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Error::BrokenPipe.into(),
        _ => anyhow::Error::new(error).context("cannot write to standard output"),
    })
}

/// A bar of `length` steps.
pub fn progress_bar(length: u64) -> ProgressBar {
    if quiet() { ProgressBar::hidden() } else { ProgressBar::new(length) }
}

/// A flag that Ctrl-C sets, in place of ending the program; to be asked for once.
///
/// # Errors
/// When the system does not let it be watched for.
pub fn stop_on_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    ctrlc::set_handler(move || told.store(true, Ordering::Relaxed)).context("cannot watch for Ctrl-C")?;
    Ok(stop)
}

/// A count from 1 on, as an option's value.
///
/// # Errors
/// When it is none.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&count| count > 0).ok_or_else(|| "it must be a number from 1 on".into())
}
