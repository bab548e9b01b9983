//! The `nijigen` command: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    nijigen::cli::main()
}
