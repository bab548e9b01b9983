//! Frames from a file or a pipe: Y4M and MJPEG are read here, everything else through ffmpeg.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::Source;
use super::mjpeg::{self, MjpegSource};
use super::y4m::{Y4mSource, looks_like_y4m};
use crate::error::{Error, Result};
use crate::ffmpeg::{Damage, Decoder, Original};
use crate::y4m::Header;

/// Which pipes are taken for a camera's, of which the newest frame counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LivePipe {
    /// None: every frame counts.
    No,
    /// Those that carry MJPEG, as cameras give it.
    Mjpeg,
    /// All.
    Yes,
}

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
    /// JPEGs, one behind the other.
    Mjpeg,
    /// Read through ffmpeg.
    Video(Box<Original>),
}

/// Opens the video file `path`; `live` is for those that are pipes.
///
/// # Errors
/// When it is missing, empty, a folder, not to be read, or no video; the sentence says which.
pub fn open(path: &Path, live: LivePipe) -> Result<Opened> {
    let failed = |e| Error::io("read", path, e);
    let name = path.display().to_string();
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Error::Input(format!("{name} is a folder; give a video file")));
    }
    if !metadata.is_file() {
        // A pipe cannot be given back to read it again, so ffmpeg does not get it.
        return pipe(file, &name, live);
    }
    if metadata.len() == 0 {
        return Err(Error::Input(format!("{name} is empty; give a video")));
    }
    let mut file = BufReader::new(file);
    if looks_like_y4m(&mut file).map_err(failed)? {
        return y4m(file, &name, Some(metadata.len()), false);
    }
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    if ending == "y4m" {
        return Err(Error::Input(format!(
            "{name} is not a Y4M file, whatever its name says: it does not begin with YUV4MPEG2; if it is a video of \
             another kind, rename it, else make it again"
        )));
    }
    // A photo begins in the same way, but has another name.
    let is_mjpeg =
        (ending == "mjpg" || ending == "mjpeg") && file.fill_buf().map_err(failed)?.starts_with(&mjpeg::MAGIC);
    if is_mjpeg {
        return mjpeg(file, &name, false);
    }
    let decoder = Decoder::open(path)?;
    let damage = Some(decoder.damage());
    let original = Original { path: path.to_path_buf(), probe: decoder.probe().clone() };
    Ok(Opened { source: Box::new(decoder), kind: Kind::Video(Box::new(original)), damage })
}

/// Opens Y4M or MJPEG on standard input.
///
/// # Errors
/// When it is neither.
pub fn stdin(live: LivePipe) -> Result<Opened> {
    pipe(io::stdin(), "standard input", live)
}

fn pipe(mut from: impl Read + Send + 'static, name: &str, live: LivePipe) -> Result<Opened> {
    let mut beginning = Vec::new();
    let read = from.by_ref().take(mjpeg::MAGIC.len() as u64).read_to_end(&mut beginning);
    read.map_err(|e| Error::Input(format!("cannot read {name}: {e}")))?;
    let is_mjpeg = beginning == mjpeg::MAGIC;
    let whole = io::Cursor::new(beginning).chain(from);
    if is_mjpeg { mjpeg(whole, name, live != LivePipe::No) } else { y4m(whole, name, None, live == LivePipe::Yes) }
}

fn y4m(from: impl Read + Send + 'static, name: &str, len: Option<u64>, live: bool) -> Result<Opened> {
    let source = Y4mSource::new(from, name, len, live)?;
    let header = source.header().clone();
    tracing::info!("{name}: Y4M, {}", header.line().trim_end());
    Ok(Opened { source: Box::new(source), kind: Kind::Y4m(header), damage: None })
}

fn mjpeg(from: impl Read + Send + 'static, name: &str, live: bool) -> Result<Opened> {
    Ok(Opened { source: Box::new(MjpegSource::new(from, name, live)?), kind: Kind::Mjpeg, damage: None })
}
