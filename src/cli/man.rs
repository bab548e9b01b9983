//! `nijigen man`: manual pages.

use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;

use super::{Cli, print};
use crate::error::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  nijigen man | man -l -
  nijigen man run > nijigen-run.1";

/// Print a manual page
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Man {
    /// The page of this command [default: the page of nijigen itself]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl Man {
    /// Prints the page.
    ///
    /// # Errors
    /// When there is no such command, or standard output cannot be written to.
    pub fn run(&self) -> Result<()> {
        let mut root = Cli::command();
        root.build();
        let command = match &self.command {
            None => root,
            Some(name) => {
                let found = root.find_subcommand(name).cloned();
                found.ok_or_else(|| Error::Usage(format!("there is no command '{name}'; see `nijigen --help`")))?
            }
        };
        let mut page = Vec::new();
        Page::new(command).render(&mut page).map_err(|e| Error::Tool(format!("cannot write the page: {e}")))?;
        print(&String::from_utf8_lossy(&page))
    }
}
