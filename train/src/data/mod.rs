//! What a style is trained on: photos, frames of clips, faces in them, and painted pairs on disk.

pub mod augment;
pub mod batches;
pub mod clips;
pub mod face_list;
pub mod licences;
pub mod pairs;
pub mod person_mask;
pub mod photos;
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
