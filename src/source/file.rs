//! Frames from a file: Y4M is read here, everything else through ffmpeg.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::Source;
use super::y4m::{Y4mSource, looks_like_y4m};
use crate::error::{Error, Result};
use crate::ffmpeg::{Damage, Decoder, Original};
use crate::y4m::Header;

/// A file's frames, and what its kind of file knows beyond them.
pub struct Opened {
    /// The frames.
    pub source: Box<dyn Source>,
    /// What else there is.
    pub kind: Kind,
    /// Filled at the end where the file turned out to be damaged and its frames were given all the same; Y4M ends with
    /// an error there.
    pub damage: Option<Damage>,
}

/// The kinds of video file.
pub enum Kind {
    /// Y4M, with its header.
    Y4m(Header),
    /// Read through ffmpeg.
    Video(Box<Original>),
}

/// Opens the video file `path`.
///
/// # Errors
/// When it is missing, empty, a folder, not to be read, or no video; the sentence says which.
pub fn open(path: &Path) -> Result<Opened> {
    let failed = |e| Error::io("read", path, e);
    let name = path.display().to_string();
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Error::Input(format!("{name} is a folder; give a video file")));
    }
    if metadata.is_file() && metadata.len() == 0 {
        return Err(Error::Input(format!("{name} is empty; give a video")));
    }
    let mut file = BufReader::new(file);
    // A pipe cannot be given back to read it again, so it must be Y4M.
    if !metadata.is_file() || looks_like_y4m(&mut file).map_err(failed)? {
        return y4m(file, &name, metadata.is_file().then_some(metadata.len()));
    }
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("y4m")) {
        return Err(Error::Input(format!(
            "{name} is not a Y4M file, whatever its name says: it does not begin with YUV4MPEG2; if it is a video of \
             another kind, rename it, else make it again"
        )));
    }
    let decoder = Decoder::open(path)?;
    let damage = Some(decoder.damage());
    let original = Original { path: path.to_path_buf(), probe: decoder.probe().clone() };
    Ok(Opened { source: Box::new(decoder), kind: Kind::Video(Box::new(original)), damage })
}

/// Opens Y4M on standard input.
///
/// # Errors
/// When it is no Y4M.
pub fn stdin() -> Result<Opened> {
    y4m(std::io::stdin(), "standard input", None)
}

fn y4m(from: impl Read + Send + 'static, name: &str, len: Option<u64>) -> Result<Opened> {
    let source = Y4mSource::new(from, name, len)?;
    let header = source.header().clone();
    log::info!("{name}: Y4M, {}", header.line().trim_end());
    Ok(Opened { source: Box::new(source), kind: Kind::Y4m(header), damage: None })
}
