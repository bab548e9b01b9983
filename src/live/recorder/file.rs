//! A recording's file: where it lies while it goes on, and how it becomes whole.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::ffmpeg::{self, Recording};
use crate::folders;
use crate::frame::{Frame, Rate, Size};
use crate::pixels::yuv::Chroma;
use crate::sink::y4m::Encoder;
use crate::y4m::Header;

/// What a recording is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingKind {
    /// Through ffmpeg.
    Mp4,
    /// By ourselves; large.
    Y4m,
}

impl RecordingKind {
    /// The kind that a file name's extension stands for.
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "mp4" => Some(Self::Mp4),
            "y4m" => Some(Self::Y4m),
            _ => None,
        }
    }

    /// The one that this computer can write.
    fn available() -> Self {
        if ffmpeg::vsync_option().is_ok() { Self::Mp4 } else { Self::Y4m }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Mp4 => ".mp4",
            Self::Y4m => ".y4m",
        }
    }
}

/// Where a recording goes.
pub(super) enum Place {
    /// Here; taken already.
    Claimed(Claim),
    /// Into this folder, which is made when it is missing.
    Folder(PathBuf),
}

/// A recording's place, and the empty file that keeps it. It is removed where nothing is recorded.
pub(super) struct Claim {
    path: PathBuf,
    kind: RecordingKind,
    working: PathBuf,
    file: File,
}

impl Place {
    /// The file `path`.
    ///
    /// # Errors
    /// Where it cannot be made beside that, or stands for no kind of recording.
    pub(super) fn file(path: &Path) -> Result<Self> {
        let kind = RecordingKind::of_path(path)
            .ok_or_else(|| Error::Usage(format!("'{}': a recording is .mp4 or .y4m", path.display())))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = path.parent().unwrap_or(Path::new(""));
        let working = folders::unused(folder, &format!("{stem}.recording"), kind.ending());
        let file = new_file(&working).map_err(|error| Error::io("write", path, error))?;
        Ok(Self::Claimed(Claim { path: path.to_path_buf(), kind, working, file }))
    }

    /// Makes the folder.
    pub(super) fn prepare(&self) -> Result<()> {
        let Self::Folder(folder) = self else { return Ok(()) };
        folders::make(folder)
    }

    /// Takes a place in the folder, named after the time.
    pub(super) fn claim(self) -> Result<Claim> {
        let folder = match self {
            Self::Claimed(claim) => return Ok(claim),
            Self::Folder(folder) => folder,
        };
        let kind = RecordingKind::available();
        for stem in folders::numbered(&folders::stem_by_time()) {
            let path = folder.join(format!("{stem}{}", kind.ending()));
            let working = folder.join(format!("{stem}.recording{}", kind.ending()));
            match new_file(&working) {
                // The one before, of the same second, may just have taken its place.
                Ok(_) if path.symlink_metadata().is_ok() => {
                    let _ = fs::remove_file(&working);
                }
                Ok(file) => return Ok(Claim { path, kind, working, file }),
                // It is still being completed.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("write", &path, error)),
            }
        }
        unreachable!("there is always one more number")
    }

    /// Gives the place back: nothing was recorded.
    pub(super) fn give_back(self) -> Error {
        let path = match self {
            Self::Claimed(claim) => {
                // Nothing is in it; that it stays is less than why.
                let _ = fs::remove_file(&claim.working);
                claim.path
            }
            Self::Folder(folder) => folder,
        };
        Error::Input(format!("{}: no picture came, so nothing was recorded", path.display()))
    }
}

fn new_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// A recording under its other name.
pub(super) struct RecordedFile {
    path: PathBuf,
    working: PathBuf,
    size: Size,
    first: Option<Instant>,
    pictures: u64,
    format: Format,
}

enum Format {
    Mp4(Recording),
    Y4m { file: BufWriter<File>, header: u64, encoder: Encoder, beat: Beat },
}

impl RecordedFile {
    /// Begins the file, with pictures of `size`, `rate` per second.
    pub(super) fn begin(claim: Claim, size: Size, rate: Rate) -> Result<Self> {
        let Claim { path, kind, working, mut file } = claim;
        let format = match kind {
            RecordingKind::Mp4 => Recording::create(&path, &working, size, rate).map(Format::Mp4),
            RecordingKind::Y4m => {
                let header = Header::new(size, Some(rate), Chroma::C420);
                let line = header.line();
                let written = file.write_all(line.as_bytes()).map_err(|error| Error::io("write", &path, error));
                written.map(|()| Format::Y4m {
                    file: BufWriter::new(file),
                    header: line.len() as u64,
                    encoder: Encoder::new(header),
                    beat: Beat { rate, written: 0 },
                })
            }
        };
        let format = format.inspect_err(|_| {
            // Nothing is in it; that it stays is less than why.
            let _ = fs::remove_file(&working);
        })?;
        Ok(Self { path, working, size, first: None, pictures: 0, format })
    }

    /// Where it will lie.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a picture at its place in time.
    pub(super) fn add(&mut self, picture: &Frame) -> Result<()> {
        if picture.size != self.size {
            let (first, now) = (self.size, picture.size);
            return Err(Error::Input(format!("pictures changed their size from {first} to {now}; record again")));
        }
        let first = *self.first.get_or_insert(picture.captured);
        let at = picture.captured.saturating_duration_since(first);
        match &mut self.format {
            Format::Mp4(recording) => recording.add(picture, at)?,
            Format::Y4m { file, encoder, beat, .. } => {
                let failed = |error| Error::io("write", &self.path, error);
                let Some(repeats) = beat.repeats_before(at) else { return Ok(()) };
                for _ in 0..repeats {
                    file.write_all(encoder.encoded()).map_err(failed)?;
                }
                file.write_all(encoder.encode(picture)).map_err(failed)?;
            }
        }
        self.pictures += 1;
        Ok(())
    }

    /// Puts the file into its place; tells how many pictures it was given. After a failure too it holds what came before,
    /// and can be played up to there; where that is nothing, it is removed.
    pub(super) fn finish(self) -> Result<u64> {
        let Self { path, working, pictures, format, .. } = self;
        let failed = |error| Error::io("write", &path, error);
        let completed = match format {
            Format::Mp4(recording) => recording.finish(),
            Format::Y4m { file, header, encoder, .. } => {
                let (file, flushed) = match file.into_inner() {
                    Ok(file) => (file, Ok(())),
                    Err(error) => {
                        let (error, file) = error.into_parts();
                        // What is buffered does not fit.
                        (file.into_parts().0, Err(error))
                    }
                };
                let cut = cut_to_whole(&file, header, encoder.encoded().len() as u64);
                flushed.and(cut).map_err(failed)
            }
        };
        let is_empty = fs::metadata(&working).is_ok_and(|metadata| metadata.len() == 0);
        if is_empty { fs::remove_file(&working) } else { fs::rename(&working, &path) }.map_err(failed)?;
        completed.map(|()| pictures)
    }
}

/// Takes the beginning of a picture from the end of a file that begins with `header` bytes, to be followed by pictures of
/// `picture` bytes each; all of it where there is no whole one.
fn cut_to_whole(file: &File, header: u64, picture: u64) -> std::io::Result<()> {
    let pictures = file.metadata()?.len().saturating_sub(header) / picture;
    file.set_len(if pictures == 0 { 0 } else { header + pictures * picture })
}

/// Keeps a file without times at the speed of life.
#[derive(Debug)]
struct Beat {
    rate: Rate,
    /// Pictures in the file.
    written: u64,
}

impl Beat {
    /// How often the picture before is to be written again before one that is shown `at` this time after the start;
    /// `None` where its place is taken. Counts both.
    fn repeats_before(&mut self, at: Duration) -> Option<u64> {
        let place = (at.as_secs_f64() * self.rate.as_f64()).round() as u64;
        let repeats = place.checked_sub(self.written)?;
        self.written = place + 1;
        Some(repeats)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn pictures_have_their_places_in_time() {
        let mut beat = Beat { rate: Rate::new(10, 1).unwrap(), written: 0 };
        let mut at = |millis| beat.repeats_before(Duration::from_millis(millis));
        assert_eq!((at(0), at(100), at(130), at(200)), (Some(0), Some(0), None, Some(0)));
        // Three are missing: the one before stands for them.
        assert_eq!((at(600), at(640), at(700)), (Some(3), None, Some(0)));
    }

    #[test]
    fn a_file_that_was_cut_ends_with_a_whole_picture() {
        for (length, kept) in [(10 + 3 * 7 + 6, 10 + 3 * 7), (10 + 7, 10 + 7), (10 + 6, 0), (4, 0)] {
            let file = tempfile::tempfile().unwrap();
            file.set_len(length).unwrap();
            cut_to_whole(&file, 10, 7).unwrap();
            assert_eq!(file.metadata().unwrap().len(), kept, "{length}");
        }
    }
}
