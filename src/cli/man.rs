//! `nijigen man`: manual pages.

use std::io;

use clap::{Arg, Args, Command, CommandFactory};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::{Cli, print};
use crate::error::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  nijigen man | man -l -
  nijigen man run > nijigen-run.1";

/// Print a manual page
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ManArgs {
    /// The page of this command [default: the page of nijigen itself]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// Prints the page.
///
/// # Errors
/// When there is no such command, or standard output cannot be written to.
pub fn run(args: &ManArgs) -> Result<()> {
    // The page of `nijigen help` would be one of few words, so nothing refers to it.
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let command = match &args.command {
        None => root,
        Some(name) => {
            let found = root.find_subcommand(name).cloned();
            found.ok_or_else(|| Error::Usage(format!("there is no command '{name}'; see `nijigen --help`")))?
        }
    };
    let page = page(&command).map_err(|e| Error::Tool(format!("cannot write the page: {e}")))?;
    print(&String::from_utf8_lossy(&page))
}

/// The page of `command`: clap_mangen's sections, but for the synopsis, which lacks the options' values there, and for
/// what stands behind the options, which it fills like running text.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let sections = Page::new(command.clone())
        .title(name)
        .section("1")
        // Left empty, it would not count, and what follows would stand in its place.
        .date(" ")
        .source(concat!("nijigen ", env!("CARGO_PKG_VERSION")))
        .manual("Nijigen Manual");
    let mut page = Vec::new();
    sections.render_title(&mut page)?;
    sections.render_name_section(&mut page)?;
    synopsis(command).to_writer(&mut page)?;
    sections.render_description_section(&mut page)?;
    sections.render_options_section(&mut page)?;
    if command.has_subcommands() {
        sections.render_subcommands_section(&mut page)?;
    }
    if let Some(text) = command.get_after_help() {
        after_options(&text.to_string()).to_writer(&mut page)?;
    }
    Ok(page)
}

fn synopsis(command: &Command) -> Roff {
    let mut line = vec![bold(command.get_bin_name().unwrap_or_else(|| command.get_name()))];
    let shown = || command.get_arguments().filter(|arg| !arg.is_hide_set());
    for arg in shown().filter(|arg| !arg.is_positional()) {
        let (open, close) = if arg.is_required_set() { (" ", "") } else { (" [", "]") };
        line.push(roman(open));
        line.extend(option(arg));
        line.push(roman(close));
    }
    for arg in shown().filter(|arg| arg.is_positional()) {
        let (open, close) = if arg.is_required_set() { (" ", "") } else { (" [", "]") };
        let more = if matches!(arg.get_action(), clap::ArgAction::Append) { "..." } else { "" };
        line.extend([roman(open), italic(values(arg)), roman(more), roman(close)]);
    }
    if command.has_subcommands() {
        line.extend([roman(" "), italic("command")]);
    }
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text(line);
    roff
}

/// "--size WxH", in the long form where there is one.
fn option(arg: &Arg) -> Vec<Inline> {
    let name = arg.get_long().map(|long| format!("--{long}"));
    let name = name.or_else(|| arg.get_short().map(|short| format!("-{short}"))).unwrap_or_default();
    let mut words = vec![bold(name)];
    if arg.get_action().takes_values() {
        words.extend([roman(" "), italic(values(arg))]);
    }
    words
}

fn values(arg: &Arg) -> String {
    arg.get_value_names().map_or_else(|| arg.get_id().to_string(), |names| names.join(" "))
}

/// The examples, line by line as they are, and the paragraphs behind them.
fn after_options(text: &str) -> Roff {
    let mut roff = Roff::new();
    let (examples, notes) = text.split_once("\n\n").unwrap_or((text, ""));
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in examples.lines().skip(1) {
        roff.text([roman(line.trim_start())]);
    }
    roff.control("fi", []);
    if !notes.is_empty() {
        roff.control("SH", ["NOTES"]);
        for paragraph in notes.split("\n\n") {
            roff.control("PP", []);
            roff.text([roman(paragraph.replace('\n', " "))]);
        }
    }
    roff
}
