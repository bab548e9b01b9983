//! The command line of `nijigen-train`: one file per subcommand.

mod distill;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Makes styles for nijigen.
#[derive(Debug, Parser)]
#[command(name = "nijigen-train", version, max_term_width = 100)]
struct Cli {
    /// Say more: -v tells each evaluation, -vv every detail
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Distill(distill::Args),
}

/// Runs the program and turns its result into an exit status: 0, 1 (failed) or 2 (wrong usage).
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match cli.verbose {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    env_logger::Builder::new().filter_module("nijigen_train", level).format_target(false).format_timestamp(None).init();
    let result = match cli.command {
        Command::Distill(args) => distill::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nijigen-train: {error:#}");
            ExitCode::FAILURE
        }
    }
}
