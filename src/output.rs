//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// A file being written. Until [`Output::commit`] it lies under another name beside its place, and is removed when this
/// is dropped. What is no plain file (a pipe, `/dev/null`) is written to directly.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Beside(NamedTempFile),
    Direct(File),
}

impl Output {
    /// Begins the file `path`; what stands there stays until the new one is whole.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be written to, or the file there may not be replaced.
    pub fn create(path: &Path) -> Result<Self> {
        let failed = |e| Error::io("write", path, e);
        // A link is followed: it stays, and what it points to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if let Ok(metadata) = fs::metadata(&path) {
            // Opening what is there tells whether it may be written to, and changes nothing.
            let file = OpenOptions::new().write(true).open(&path).map_err(failed)?;
            if !metadata.is_file() {
                return Ok(Self { path, place: Place::Direct(file) });
            }
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let ending = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        // Temporary files are private by default; this one becomes an ordinary file, less what the umask takes.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o666);
        let mut builder = tempfile::Builder::new();
        builder.prefix(".nijigen-").suffix(&ending);
        // Opened here and not by tempfile, which adds the name that nobody asked for to the error.
        let beside = builder.make_in(folder, |path| options.open(path)).map_err(failed)?;
        Ok(Self { path, place: Place::Beside(beside) })
    }

    /// Where it will lie.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it lies while it is written, for programs that write it in our place.
    pub fn working_path(&self) -> &Path {
        match &self.place {
            Place::Beside(file) => file.path(),
            Place::Direct(_) => &self.path,
        }
    }

    /// Whether it lies beside its place: then it can be read, sought in, and taken back.
    pub fn is_pending(&self) -> bool {
        matches!(self.place, Place::Beside(_))
    }

    /// What is written to.
    pub fn file(&mut self) -> &mut File {
        match &mut self.place {
            Place::Beside(file) => file.as_file_mut(),
            Place::Direct(file) => file,
        }
    }

    /// Puts the file into its place, over what stood there.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn commit(self) -> Result<()> {
        match self.place {
            Place::Beside(file) => {
                file.persist(&self.path).map_err(|e| Error::io("write", &self.path, e.error))?;
            }
            Place::Direct(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn the_old_file_stays_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.y4m");
        fs::write(&path, "old").unwrap();
        let mut dropped = Output::create(&path).unwrap();
        dropped.file().write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"old".to_vec(), vec!["a.y4m".to_string()]));

        let mut output = Output::create(&path).unwrap();
        assert_eq!(output.working_path().extension(), path.extension());
        output.file().write_all(b"new").unwrap();
        output.commit().unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(folder.path()).len()), (b"new".to_vec(), 1));
    }

    #[cfg(unix)]
    #[test]
    fn links_devices_and_permissions_are_as_with_any_program() {
        use std::os::unix::fs::{MetadataExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a"), folder.path().join("link"));
        Output::create(&path).unwrap().commit().unwrap();
        let plain = folder.path().join("plain");
        fs::write(&plain, "").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode(), fs::metadata(&plain).unwrap().mode());

        symlink(&path, &link).unwrap();
        let mut output = Output::create(&link).unwrap();
        output.file().write_all(b"through").unwrap();
        output.commit().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"through");

        let null = Output::create(Path::new("/dev/null")).unwrap();
        assert!(!null.is_pending());
        null.commit().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());

        let error = Output::create(&folder.path().join("none/a")).unwrap_err().to_string();
        assert!(!error.contains(".nijigen-"), "{error}");
        assert!(Output::create(folder.path()).is_err(), "a folder is no file");
    }
}
