//! `nijigen config`: what a run would do, and why.

use clap::{ArgMatches, Args, Subcommand};

use super::print;
use super::run::{RunArgs, layers};
use crate::config;
use crate::error::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  nijigen config show
  nijigen config show --preset kiosk
  nijigen config show > kiosk.toml

A setting has the name of its flag in `nijigen run --help`, without the dashes:

  style = \"anime\"
  sink = [\"window\", \"v4l2:/dev/video10\"]
  mirror = true

Later ones overrule earlier ones: the built-in default, a preset, the configuration file, what was remembered of earlier \
runs (remember = true), the command line. What is printed can be used as a configuration file itself.";

/// Show the settings of a run, each with where it comes from
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print all settings as `nijigen run` would have them with the same flags
    Show(Box<RunArgs>),
}

/// Prints the settings; `matches` are those of the command.
///
/// # Errors
/// When a file cannot be read, or has a value that is none.
pub fn run(args: &ConfigArgs, matches: &ArgMatches) -> Result<()> {
    let ConfigCommand::Show(_) = &args.command;
    let flags = matches.subcommand_matches("show").ok_or_else(|| Error::Usage("show what?".into()))?;
    let layered = layers::resolve(flags)?;
    let file = match (&layered.args.config, config::file_path()) {
        (Some(path), _) => path.display().to_string(),
        (None, Some(path)) if path.exists() => path.display().to_string(),
        (None, Some(path)) => format!("{} (not there; write one to change what is below)", path.display()),
        (None, None) => "none: this system names no folder for it; use --config".into(),
    };
    print(&format!("# configuration file: {file}\n{}", layered.to_toml()))
}
