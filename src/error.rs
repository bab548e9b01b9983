//! What can go wrong, and what the user can do about it.
//!
//! Every message is one sentence (two at most) that names the thing at fault and the way out.

use std::io;
use std::path::{Path, PathBuf};

/// The library's result type.
pub type Result<T> = std::result::Result<T, Error>;

/// The kinds of failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written. Retry after fixing the path, its permissions or the disk.
    #[error("cannot {doing} {}: {}", path.display(), reason(source))]
    Io {
        /// What was tried, as a verb: "read", "write", "create".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Input that cannot be used: wrong type, truncated, too large. The text says what to do.
    #[error("{0}")]
    Input(String),
    /// A style that cannot be found, read or run. The text says what to do.
    #[error("{0}")]
    Style(String),
    /// A camera that is absent, busy, gone or lies about its format. The text says what to do.
    #[error("{0}")]
    Camera(String),
    /// No window can be shown. The text names another sink.
    #[error("{0}")]
    Window(String),
    /// A helper program (ffmpeg) is missing or failed. The text says what to do.
    #[error("{0}")]
    Tool(String),
    /// An address that cannot be served at. The text says what to do.
    #[error("{0}")]
    Serve(String),
    /// Options that contradict each other or cannot be understood: the command exits with 2.
    #[error("{0}")]
    Usage(String),
    /// The reader of our output went away: a quiet end, not a failure worth a message.
    #[error("the reader of the output closed it")]
    BrokenPipe,
    /// The user pressed Ctrl-C in a command whose unfinished output is discarded.
    #[error("interrupted")]
    Interrupted,
}

/// The system's reason in words, with what to do about the commonest ones.
fn reason(error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder; check the name",
        io::ErrorKind::PermissionDenied => "it is not permitted; use another place, or change the permissions",
        io::ErrorKind::StorageFull => "the disk is full; free some space, or use another disk",
        io::ErrorKind::QuotaExceeded => "your share of the disk is used up; free some space, or use another disk",
        io::ErrorKind::ReadOnlyFilesystem => "nothing can be written there; use another place",
        io::ErrorKind::IsADirectory => "it is a folder; name a file",
        io::ErrorKind::NotADirectory => "part of its path is no folder; check the name",
        _ => return error.to_string(),
    };
    remedy.into()
}

impl Error {
    /// Wraps an I/O error on `path`; a broken pipe becomes [`Error::BrokenPipe`].
    pub fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::BrokenPipe {
            return Self::BrokenPipe;
        }
        Self::Io { doing, path: path.to_path_buf(), source }
    }
}
