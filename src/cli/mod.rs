//! The command line: one file per subcommand.

pub mod bench;
pub mod completions;
pub mod devices;
pub mod image;
mod interrupt;
pub mod man;
pub mod options;
pub mod run;
mod stream;
pub mod styles;
pub mod video;

use std::io::{self, Write};
use std::panic;
use std::path::Path;
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
#[allow(missing_docs, reason = "each is documented at its arguments, which is where --help takes it from")]
pub enum Command {
    /// Measure how fast styles run on this machine
    Bench(bench::Bench),
    /// Print a completion script for a shell
    Completions(completions::Completions),
    /// List the cameras with their formats, sizes and rates
    Devices(devices::DevicesArgs),
    Image(image::ImageArgs),
    /// Print a manual page
    Man(man::Man),
    /// Stylize a camera, a video or a made-up scene while it runs
    Run(run::Run),
    Styles(styles::StylesArgs),
    /// Stylize a video file from its first to its last frame
    Video(video::Video),
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
    // A panic becomes one sentence further up; where it came from is for those who look for it.
    panic::set_hook(Box::new(|what| log::debug!("{what}")));
    let result = panic::catch_unwind(|| run(&cli)).unwrap_or_else(|what| {
        let text = what.downcast_ref::<String>().map(String::as_str).or(what.downcast_ref::<&str>().copied());
        let text = text.unwrap_or("no reason given");
        Err(Error::Tool(format!("this broke: {text}; please report it as a bug, with what -vv says")))
    });
    match result {
        Ok(()) | Err(Error::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nijigen: {error}");
            if matches!(error, Error::Usage(_)) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Bench(bench) => bench.run(),
        Command::Completions(completions) => completions.run(),
        Command::Devices(args) => devices::run(args),
        Command::Image(args) => image::run(args),
        Command::Man(man) => man.run(),
        Command::Run(run) => run.run(cli.quiet),
        Command::Styles(args) => styles::run(args),
        Command::Video(video) => video.run(cli.quiet),
    }
}

/// Prints `text` on standard output as it is.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| Error::io("write to", Path::new("standard output"), e))
}
