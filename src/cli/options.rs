//! Options that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::{self, StyleConfig};
use crate::engine::kernels::Isa;
use crate::engine::region::Region;
use crate::engine::{Options, Which};
use crate::error::Result;
use crate::style::{Registry, Stylizer};

/// Which style, how strongly, on how many threads.
#[derive(Debug, Clone, Args)]
pub struct StyleOptions {
    /// Style: a name from `nijigen styles`, an ONNX file, or "off" for the plain picture; or a mixture of styles of one base,
    /// each with its share, as anime:0.6+comic:0.4
    #[arg(long, value_name = "NAME|FILE.onnx|off", default_value = config::DEFAULT_STYLE)]
    pub style: String,
    /// Restore the photo before it is drawn: low light is lifted, and the style 'restore' takes away noise, JPEG's
    /// blocks, scratches and small holes; --style off shows it restored and no more
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, hide_possible_values = true)]
    pub enhance: bool,
    /// How much of the style: 0 is the photo, 1 the style alone
    #[arg(long, value_name = "0..1", default_value_t = 1.0, value_parser = strength, allow_negative_numbers = true)]
    pub strength: f32,
    /// Which part is drawn, where the style knows the person in a picture: person, background or all; the rest stays
    /// the photo
    #[arg(long, value_name = "PART", default_value_t)]
    pub region: Region,
    /// A further folder to look for styles in
    #[arg(long, value_name = "DIR")]
    pub styles: Option<PathBuf>,
    /// Worker threads of the engine [default: all cores but one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// What computes the network
    #[arg(long, value_enum, default_value_t)]
    pub engine: EngineChoice,
    /// Instruction set of the fused engine (scalar, avx2, avxvnni, avx512vnni, amx, neon, neondot) [default: the best that
    /// the processor has]
    #[arg(long, value_name = "NAME")]
    pub isa: Option<Isa>,
}

/// What computes the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// The fastest one that runs the style
    #[default]
    Auto,
    /// The fused int8 engine alone
    Fused,
    /// The ONNX runtime tract alone, in floats
    Tract,
}

impl From<EngineChoice> for Which {
    fn from(choice: EngineChoice) -> Self {
        match choice {
            EngineChoice::Auto => Self::Auto,
            EngineChoice::Fused => Self::Fused,
            EngineChoice::Tract => Self::Tract,
        }
    }
}

impl StyleOptions {
    /// The options with defaults filled in.
    pub fn resolve(&self) -> StyleConfig {
        StyleConfig {
            style: self.style.clone(),
            enhance: self.enhance,
            strength: self.strength,
            region: self.region,
            folder: self.styles.clone(),
            engine: Options {
                threads: self.threads.map_or_else(config::default_threads, usize::from),
                engine: self.engine.into(),
                isa: self.isa,
            },
        }
    }

    /// Opens the style and says what had to be guessed about it.
    ///
    /// # Errors
    /// When the style cannot be found, read or run.
    pub fn open(&self) -> Result<Stylizer> {
        let config = self.resolve();
        let (stylizer, notes) = Registry::discover(config.folder.as_deref()).stylizer(&config)?;
        for note in notes {
            tracing::warn!("{note}");
        }
        Ok(stylizer)
    }
}

/// Reads a stability.
pub fn stability(text: &str) -> std::result::Result<f32, String> {
    text.parse().ok().filter(|value| (0.0..=1.0).contains(value)).ok_or_else(|| {
        format!(
            "'{text}' is not a stability; give a number from 0 (every block is computed) to 1 (the stillest picture)"
        )
    })
}

fn strength(text: &str) -> std::result::Result<f32, String> {
    text.parse()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| format!("'{text}' is not a strength; give a number from 0 (the photo) to 1 (the style alone)"))
}
