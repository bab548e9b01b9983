//! Where styles are found.

use std::path::{Path, PathBuf};

use crate::config::{self, StyleConfig};
use crate::engine::Generator;
use crate::error::Result;
use crate::style::{Card, Stylizer};

/// A style ready to run.
pub struct OpenStyle {
    /// Its card; of a file without one, only the name.
    pub card: Card,
    /// Its network.
    pub generator: Box<dyn Generator>,
    /// What had to be guessed about it, in sentences for the user.
    pub notes: Vec<String>,
}

/// The folders in which styles are looked for, after those compiled into the binary.
#[derive(Debug, Clone)]
pub struct Registry {
    folders: Vec<PathBuf>,
}

impl Registry {
    /// Styles of `extra`, of the user's data folder and of the installation's share folder; see
    /// [`config::style_folders`].
    pub fn discover(extra: Option<&Path>) -> Self {
        Self { folders: extra.map(Path::to_path_buf).into_iter().chain(config::style_folders()).collect() }
    }

    /// Opens a style by name, or an ONNX file by its path.
    ///
    /// # Errors
    /// [`Error::Style`](crate::Error::Style) with the names that exist where there is none of this name, or with what is
    /// wrong with its file.
    pub fn open(&self, name_or_path: &str, threads: usize) -> Result<OpenStyle> {
        let _ = (name_or_path, threads, &self.folders);
        Err(crate::Error::Style("styles are not there yet".into()))
    }

    /// Opens what `config` names, and returns what had to be guessed about it.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub fn stylizer(&self, config: &StyleConfig) -> Result<(Stylizer, Vec<String>)> {
        if config.style == "off" {
            return Ok((Stylizer::off(), Vec::new()));
        }
        let style = self.open(&config.style, config.threads)?;
        Ok((Stylizer::new(style.card.name, style.generator, config.strength), style.notes))
    }
}
