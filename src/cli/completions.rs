//! `nijigen completions`: a completion script for a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, print};
use crate::error::Result;

const EXAMPLES: &str = "\
Examples:
  nijigen completions bash > ~/.local/share/bash-completion/completions/nijigen
  nijigen completions fish > ~/.config/fish/completions/nijigen.fish
  nijigen completions zsh > ~/.zfunc/_nijigen";

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Completions {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    ///
    /// # Errors
    /// When standard output cannot be written to.
    pub fn run(&self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "nijigen", &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}
