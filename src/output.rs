//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// A file being written. Until [`Output::commit`] it lies under another name beside its place, and is removed when this
/// is dropped. What is no plain file (a pipe, `/dev/null`) is written to directly.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    place: Place,
    began: Instant,
    _listed: Option<Listed>,
}

#[derive(Debug)]
enum Place {
    Beside(NamedTempFile),
    Direct(File),
}

/// Files under their other names, for an end of the program that drops nothing.
static PENDING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// An entry of [`PENDING`].
#[derive(Debug)]
struct Listed(PathBuf);

impl Listed {
    fn new(path: &Path) -> Self {
        PENDING.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_path_buf());
        Self(path.to_path_buf())
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        PENDING.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.0);
    }
}

/// Removes every file that is not whole yet. For the moment before the program ends without dropping anything.
pub fn remove_pending() {
    for path in PENDING.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        // There is nobody left to tell.
        let _ = fs::remove_file(path);
    }
}

/// The file that `path` leads to, whether or not it exists: links are followed.
fn resolve(path: &Path) -> PathBuf {
    /// As many as Linux follows.
    const LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path
}

/// Checks that the folder that `path` is to lie in exists.
///
/// # Errors
/// [`Error::Io`] that names the folder.
pub fn check_folder(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    match fs::metadata(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = folder.display();
            let missing = io::Error::other(format!("the folder {folder} is missing; make it, or name another"));
            Err(Error::io("write", path, missing))
        }
        // Whatever else is wrong with it is said when the file is made.
        _ => Ok(()),
    }
}

/// The folder that `path` is to lie in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Output {
    /// Begins the file `path`; what stands there stays until the new one is whole.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be written to, or the file there may not be replaced.
    pub fn create(path: &Path) -> Result<Self> {
        let failed = |e| Error::io("write", path, e);
        let began = Instant::now();
        // A link stays, and what it points to is replaced.
        let path = resolve(path);
        let mut permissions = None;
        if let Ok(metadata) = fs::metadata(&path) {
            // Opening what is there tells whether it may be written to, and changes nothing.
            let file = OpenOptions::new().write(true).open(&path).map_err(failed)?;
            if !metadata.is_file() {
                return Ok(Self { path, place: Place::Direct(file), began, _listed: None });
            }
            permissions = Some(metadata.permissions());
        }
        check_folder(&path)?;
        let folder = folder_of(&path);
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
        let listed = Listed::new(beside.path());
        if let Some(permissions) = permissions {
            // Those of the file that it replaces.
            beside.as_file().set_permissions(permissions).map_err(failed)?;
        }
        Ok(Self { path, place: Place::Beside(beside), began, _listed: Some(listed) })
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
                let file = file.persist(&self.path).map_err(|e| Error::io("write", &self.path, e.error))?;
                if let Ok(metadata) = file.metadata() {
                    let (path, seconds) = (self.path.display(), self.began.elapsed().as_secs_f64());
                    tracing::info!("{path}: {} bytes in {seconds:.2} s", metadata.len());
                }
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

        let (ahead, target) = (folder.path().join("ahead"), folder.path().join("target"));
        symlink("target", &ahead).unwrap();
        Output::create(&ahead).unwrap().commit().unwrap();
        assert!(target.exists() && fs::symlink_metadata(&ahead).unwrap().is_symlink());

        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&target, private).unwrap();
        Output::create(&target).unwrap().commit().unwrap();
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o600);

        let null = Output::create(Path::new("/dev/null")).unwrap();
        assert!(!null.is_pending());
        null.commit().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());

        let error = Output::create(&folder.path().join("none/a")).unwrap_err().to_string();
        assert!(!error.contains(".nijigen-") && error.contains("none is missing"), "{error}");
        assert!(Output::create(folder.path()).is_err(), "a folder is no file");
    }
}
