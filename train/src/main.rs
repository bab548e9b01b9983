//! The `nijigen-train` command: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    nijigen_train::cli::main()
}
