//! `nijigen styles`: what there is to choose from.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use crate::engine::Options;
use crate::error::{Error, Result};
use crate::frame::Size;
use crate::style::{Found, OpenStyle, Registry};

/// List the styles
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nijigen styles
  nijigen styles --styles ~/styles
  nijigen -v styles                  also which engine runs each, and why

A style is an ONNX file, best with a card NAME.toml beside it. Styles are looked for in the folder given, in the program \
itself, in the data folder ($XDG_DATA_HOME/nijigen/styles, ~/.local/share/nijigen/styles) and in share/nijigen/styles \
beside the program's bin folder.")]
pub struct StylesArgs {
    /// A further folder to look for styles in
    #[arg(long, value_name = "DIR")]
    styles: Option<PathBuf>,
}

const HEADINGS: [&str; 5] = ["NAME", "SIZE", "COST AT 640x480", "LICENCE", "LOOKS LIKE"];

/// Runs the command.
///
/// # Errors
/// Where the folder that was named cannot be read, or standard output cannot be written.
pub fn run(args: &StylesArgs) -> Result<()> {
    let registry = Registry::discover(args.styles.as_deref());
    let mut table = vec![HEADINGS.map(str::to_owned)];
    let mut engines = vec![None];
    for found in registry.list()? {
        let (row, engine) = row(&found);
        table.push(row);
        engines.push(engine);
    }
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = io::stdout().lock();
    for (row, engine) in table.iter().zip(&engines) {
        let line: String = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
        let engine = engine.as_ref().filter(|_| tracing::enabled!(tracing::Level::INFO));
        let engine = engine.map(|engine| format!("\n  {engine}")).unwrap_or_default();
        writeln!(out, "{}{engine}", line.trim_end())
            .map_err(|error| Error::io("write", "standard output".as_ref(), error))?;
    }
    Ok(())
}

/// A style's line, and what runs it; of a broken one, why it is.
fn row(found: &Found) -> ([String; 5], Option<String>) {
    let name = found.name.clone();
    match Registry::open_found(found, Options::threads(1)) {
        Ok(OpenStyle { card, generator, bytes, obstacle, .. }) => {
            let gmac = generator.macs(Size::new(640, 480)) as f64 / 1e9;
            let class = card.size.map(|class| format!("{class}, ")).unwrap_or_default();
            let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
            let engine = match obstacle {
                None => format!("runs on the engine {} ({})", generator.engine(), generator.isa()),
                Some(why) => format!("runs on the engine {}, not wholly fused: {why}", generator.engine()),
            };
            let row = [
                name,
                format!("{class}{:.0} KB", bytes as f64 / 1000.0),
                format!("{gmac:.1} GMAC"),
                or(card.licence.unwrap_or_default(), "not stated"),
                or(card.description, "(no card)"),
            ];
            (row, Some(engine))
        }
        Err(error) => ([name, "broken".into(), "-".into(), "-".into(), error.to_string()], None),
    }
}
