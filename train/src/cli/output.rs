//! What the commands print: results on standard output, progress on standard error; with `-q` neither.

use std::io::{self, Write};

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
