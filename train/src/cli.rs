//! The command line of `nijigen-train`.

use std::process::ExitCode;

/// Runs the program and turns its result into an exit status.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
