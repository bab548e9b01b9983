//! What a style is trained on: photos, frames of clips, faces in them, and painted pairs on disk.

pub mod augment;
pub mod batches;
pub mod clips;
pub mod damage;
pub mod face_list;
pub mod licences;
pub mod pairs;
pub mod person_mask;
pub mod photos;
pub mod standing;
pub mod training_set;

use std::io::Write;
use std::path::Path;

use nijigen::output::Output;
pub use nijigen::style::sha256;

/// Writes a file so that no half of it is ever seen at its place.
///
/// # Errors
/// When it cannot be written; what stood there stays.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = Output::create(path)?;
    output.file().write_all(bytes).map_err(|error| nijigen::Error::io("write", path, error))?;
    Ok(output.commit()?)
}

/// The whole of a file.
///
/// # Errors
/// When it cannot be read; the text names it and says what to do.
pub fn read_file(path: &Path) -> nijigen::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| nijigen::Error::io("read", path, error))
}

/// The whole of a text file.
///
/// # Errors
/// As [`read_file`], and where it is not UTF-8.
pub fn read_text(path: &Path) -> nijigen::Result<String> {
    std::fs::read_to_string(path).map_err(|error| nijigen::Error::io("read", path, error))
}

/// What a TOML text holds.
///
/// # Errors
/// When it is not of the wanted form; the text names the line.
pub fn parse_toml<T: serde::de::DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        anyhow::anyhow!("line {line}: {}", error.message().trim())
    })
}
