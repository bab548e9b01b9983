//! The command line of `nijigen-train`: one file per subcommand.

pub mod apply;
mod devices;
pub mod distill;
pub mod eval;
mod eval_all;
pub mod export;
mod output;
pub mod paint;
pub mod prepare;
pub mod repaint;
mod run_folder;
pub mod style;
pub mod teacher;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Makes styles for nijigen: paints targets, distils a quantized student, exports it.
#[derive(Debug, Parser)]
#[command(name = "nijigen-train", version, max_term_width = 100)]
pub struct Cli {
    /// Say more: -v every detail
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
    /// Put a photo through a teacher
    Apply(apply::Args),
    /// Train a student on painted pairs; run again with the same arguments, it goes on where it was
    Distill(distill::Args),
    /// Measure a style: held-out pairs, features, flicker
    Eval(eval::Args),
    /// Turn trained weights into a style, after checking that all runtimes agree on it
    Export(export::Args),
    /// Paint photos and clips in a style: pairs of photo and target to train on
    Paint(paint::Args),
    /// Check, split and pack photos, art and clips into one file to train on
    Prepare(prepare::Args),
    /// Paint pairs anew by a teacher: what a student is distilled from
    Repaint(repaint::Args),
    /// Make a style of photos and art, all steps in one; run again with the same arguments, it goes on where it was
    Style(style::Args),
    /// Train a teacher: a generator against adversaries; run again with the same arguments, it goes on where it was
    Teacher(teacher::Args),
}

/// Runs the program and turns its result into an exit status: 0, 1 (failed) or 2 (wrong usage).
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => log::LevelFilter::Error,
        (_, 0) => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    // What the library tells of its own steps is detail here.
    let library = if cli.verbose == 0 { level.min(log::LevelFilter::Warn) } else { level };
    env_logger::Builder::new()
        .filter_module("nijigen", library)
        .filter_module("nijigen_train", level)
        .format_target(false)
        .format_timestamp(None)
        .init();
    let result = match &cli.command {
        Command::Apply(args) => apply::run(args),
        Command::Distill(args) => distill::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Export(args) => export::run(args),
        Command::Paint(args) => paint::run(args),
        Command::Prepare(args) => prepare::run(args),
        Command::Repaint(args) => repaint::run(args),
        Command::Style(args) => style::run(args),
        Command::Teacher(args) => teacher::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the result has seen enough; everything else is done by then.
        Err(error) if matches!(error.downcast_ref(), Some(nijigen::Error::BrokenPipe)) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nijigen-train: {}", told(&error));
            let usage = matches!(error.downcast_ref(), Some(nijigen::Error::Usage(_)));
            if usage { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// An error with its causes, up to one of the library's, which itself says what is behind it.
fn told(error: &anyhow::Error) -> String {
    let mut texts = Vec::new();
    for cause in error.chain() {
        texts.push(cause.to_string());
        if cause.is::<nijigen::Error>() {
            break;
        }
    }
    texts.join(": ")
}
