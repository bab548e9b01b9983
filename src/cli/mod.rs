//! The command line: one file per subcommand.

pub mod devices;
pub mod options;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Error, Result};

/// Anime filters for a live camera, a video or a photo, on an ordinary CPU.
#[derive(Debug, Parser)]
#[command(name = "nijigen", version, max_term_width = 100)]
pub struct Cli {
    /// Say more: -v tells what is being done, -vv every detail
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the cameras with their formats, sizes and rates
    Devices(devices::DevicesArgs),
}

/// Runs the program and turns its result into an exit status: 0, 1 (failed) or 2 (wrong usage).
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => log::LevelFilter::Error,
        (_, 0) => log::LevelFilter::Warn,
        (_, 1) => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    env_logger::Builder::new().filter_module("nijigen", level).format_target(false).format_timestamp(None).init();
    match run(&cli) {
        Ok(()) | Err(Error::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nijigen: {error}");
            if matches!(error, Error::Usage(_)) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Devices(args) => devices::run(args),
    }
}
