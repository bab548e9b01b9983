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

use anyhow::Context;
use sha2::{Digest, Sha256};

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Writes a file beside its final place and renames it, so that no half of it is ever seen there.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut options = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // A temporary file is its owner's alone; what is kept is for whom the umask allows.
        use std::os::unix::fs::PermissionsExt;
        options.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let write = || -> std::io::Result<()> {
        let mut file = options.tempfile_in(parent)?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
