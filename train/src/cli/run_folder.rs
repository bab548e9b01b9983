//! The folder that a run writes into: a new one or its own, and one program at a time.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result, bail};

const LOCK: &str = ".lock";

/// Makes the folder. If it holds anything already, one of `marks` must be there, which runs of this kind leave. The lock is
/// to be held as long as anything is written.
///
/// # Errors
/// When it cannot be made, holds something else, or another program works in it.
pub fn enter(folder: &Path, marks: &[&str]) -> Result<File> {
    if folder.is_file() {
        bail!("{} is a file: name a folder (-o)", folder.display());
    }
    if folder.exists() && !marks.iter().any(|mark| folder.join(mark).exists()) {
        let mut entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let is_other = |entry: &fs::DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
        if entries.any(|entry| entry.is_ok_and(|entry| is_other(&entry))) {
            bail!("{} holds something else already: name a new folder (-o)", folder.display());
        }
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let lock = File::create(folder.join(LOCK)).with_context(|| format!("cannot write in {}", folder.display()))?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => {
            bail!("another nijigen-train works in {}: wait for it, or name another folder (-o)", folder.display())
        }
        // Some file systems know no locks.
        Err(TryLockError::Error(error)) => log::debug!("{} cannot be locked: {error}", folder.display()),
        Ok(()) => {}
    }
    Ok(lock)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_folder_is_new_or_of_the_same_kind_and_written_by_one() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("new/run");
        let refused = |folder: &Path| enter(folder, &["losses.csv"]).unwrap_err().to_string();
        let lock = enter(&folder, &["losses.csv"]).unwrap();
        assert!(refused(&folder).contains("another nijigen-train"));
        drop(lock);
        fs::write(folder.join("metrics.csv"), "").unwrap();
        assert!(refused(&folder).contains("holds something else"));
        fs::write(folder.join("losses.csv"), "").unwrap();
        enter(&folder, &["losses.csv"]).unwrap();
        assert!(refused(&folder.join("losses.csv")).contains("is a file"));
    }
}
