//! The command line: one file per subcommand.

pub mod bench;
pub mod completions;
pub mod config;
pub mod devices;
pub mod doctor;
pub mod image;
mod interrupt;
mod logs;
pub mod man;
pub mod options;
pub mod run;
mod serving;
mod stream;
pub mod styles;
pub mod video;

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing::level_filters::LevelFilter;

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
    Bench(bench::BenchArgs),
    Completions(completions::CompletionsArgs),
    Config(config::ConfigArgs),
    Devices(devices::DevicesArgs),
    Doctor(doctor::DoctorArgs),
    Image(image::ImageArgs),
    Man(man::ManArgs),
    Run(Box<run::RunArgs>),
    Styles(styles::StylesArgs),
    Video(video::VideoArgs),
}

/// Runs the program and turns its result into an exit status: 0, 1 (failed) or 2 (wrong usage).
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    logs::start(match (cli.quiet, cli.verbose) {
        (true, _) => LevelFilter::ERROR,
        (_, 0) => LevelFilter::WARN,
        (_, 1) => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    });
    // A panic becomes one sentence further up; where it came from is for those who look for it.
    panic::set_hook(Box::new(|what| tracing::debug!("{what}")));
    let result = panic::catch_unwind(AssertUnwindSafe(|| run(&cli, &matches))).unwrap_or_else(|what| {
        let text = what.downcast_ref::<String>().map(String::as_str).or(what.downcast_ref::<&str>().copied());
        let text = text.unwrap_or("no reason given");
        Err(Error::Tool(format!("this broke: {text}; please report it as a bug, with what -vv says")))
    });
    match result {
        Ok(()) | Err(Error::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("nijigen: {error}"));
            if matches!(error, Error::Usage(_)) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: &Cli, matches: &ArgMatches) -> Result<()> {
    let matches = matches.subcommand().map_or(matches, |(_, of_command)| of_command);
    match &cli.command {
        Command::Bench(args) => bench::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Config(args) => config::run(args, matches),
        Command::Devices(args) => devices::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Image(args) => image::run(args),
        Command::Man(args) => man::run(args),
        Command::Run(_) => run::run(matches),
        Command::Styles(args) => styles::run(args),
        Command::Video(args) => video::run(args),
    }
}

/// Whether `--quiet` was given.
fn is_quiet() -> bool {
    LevelFilter::current() <= LevelFilter::ERROR
}

/// Prints a line on standard error. Where that is closed or full nobody can be told, and the exit status says it.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints `text` on standard output as it is.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| Error::io("write to", Path::new("standard output"), e))
}
