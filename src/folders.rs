//! The user's own folders for pictures and videos, and names for what is put there.

use std::fs;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use jiff::Zoned;

use crate::error::{Error, Result};

/// The folder for pictures.
pub fn pictures() -> Option<PathBuf> {
    user_folder("XDG_PICTURES_DIR", "Pictures")
}

/// The folder for videos.
pub fn videos() -> Option<PathBuf> {
    user_folder("XDG_VIDEOS_DIR", if cfg!(target_os = "macos") { "Movies" } else { "Videos" })
}

/// Where xdg-user-dirs has put a folder, or where it lies when nobody has moved it.
fn user_folder(key: &str, usual: &str) -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    let home = base.home_dir();
    let named = fs::read_to_string(base.config_dir().join("user-dirs.dirs")).ok();
    Some(named.and_then(|text| named_folder(&text, key, home)).unwrap_or_else(|| home.join(usual)))
}

/// The folder that a `user-dirs.dirs` names for `key`, as its manual page says: `KEY="$HOME/yyy"` or `KEY="/yyy"`.
fn named_folder(text: &str, key: &str, home: &Path) -> Option<PathBuf> {
    let value = text.lines().rev().find_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('='))?;
    let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
    match value.strip_prefix("$HOME") {
        Some(rest) => Some(home.join(rest.trim_start_matches('/'))),
        None => Some(PathBuf::from(value)).filter(|path| path.is_absolute()),
    }
}

/// A path in `folder` that is named after the local time, like `nijigen-2026-05-01-134502`, with `ending` behind it; with
/// a number before that where another file has the name already.
pub fn name_by_time(folder: &Path, ending: &str) -> PathBuf {
    unused(folder, &stem_by_time(), ending)
}

/// The name, without an ending, of what is made now.
pub fn stem_by_time() -> String {
    format!("nijigen-{}", Zoned::now().strftime("%Y-%m-%d-%H%M%S"))
}

/// `folder/stem` with `ending`, or with `-2`, `-3`, … before it where there is such a file.
pub fn unused(folder: &Path, stem: &str, ending: &str) -> PathBuf {
    numbered(stem)
        .map(|stem| folder.join(format!("{stem}{ending}")))
        .find(|path| path.symlink_metadata().is_err())
        .unwrap_or_default()
}

/// `stem`, and then `stem-2`, `stem-3`, …
pub fn numbered(stem: &str) -> impl Iterator<Item = String> {
    std::iter::once(stem.to_string()).chain((2..).map(move |number: u32| format!("{stem}-{number}")))
}

/// Makes `folder` where it is missing.
///
/// # Errors
/// [`Error::Io`] naming it where it cannot be made.
pub fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))
}

/// Makes `folder` where it is missing, and tries whether files can be made in it.
///
/// # Errors
/// [`Error::Io`] naming it where they cannot.
pub fn make_writable(folder: &Path) -> Result<()> {
    make(folder)?;
    tempfile::tempfile_in(folder).map(drop).map_err(|error| Error::io("write into", folder, error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_folder_lies_where_it_was_moved_to() {
        let text = "# comment\nXDG_MUSIC_DIR=\"$HOME/Music\"\nXDG_PICTURES_DIR=\"$HOME/图片/mine\"\n\
                    XDG_VIDEOS_DIR=\"/mnt/films\"\nXDG_DESKTOP_DIR=relative\n";
        let home = Path::new("/home/a");
        assert_eq!(named_folder(text, "XDG_PICTURES_DIR", home).unwrap(), Path::new("/home/a/图片/mine"));
        assert_eq!(named_folder(text, "XDG_VIDEOS_DIR", home).unwrap(), Path::new("/mnt/films"));
        assert_eq!(named_folder("XDG_VIDEOS_DIR=\"$HOME/\"", "XDG_VIDEOS_DIR", home).unwrap(), home);
        for key in ["XDG_DESKTOP_DIR", "XDG_DOCUMENTS_DIR"] {
            assert_eq!(named_folder(text, key, home), None);
        }
    }

    #[test]
    fn no_name_is_given_twice() {
        let folder = tempfile::tempdir().unwrap();
        let first = unused(folder.path(), "a", ".png");
        assert_eq!(first, folder.path().join("a.png"));
        fs::write(&first, "").unwrap();
        let second = unused(folder.path(), "a", ".png");
        assert_eq!(second, folder.path().join("a-2.png"));
        fs::write(&second, "").unwrap();
        assert_eq!(unused(folder.path(), "a", ".png"), folder.path().join("a-3.png"));
        assert_eq!(unused(folder.path(), "a", ".jpg"), folder.path().join("a.jpg"));
        let named = name_by_time(folder.path(), ".mp4").file_name().unwrap().to_str().unwrap().to_string();
        assert_eq!(named.len(), "nijigen-2026-05-01-134502.mp4".len(), "{named}");
    }
}
