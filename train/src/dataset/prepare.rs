//! Making a data set of files that a user has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use image::RgbImage;
use indicatif::ProgressBar;
use nijigen::output::Output;
use rayon::prelude::*;

use super::edges::smooth_edges;
use super::fingerprint::Fingerprint;
use super::trim::{opaque, without_bars};
use super::{Item, Kind, Packer, Part};
use crate::data::clips::{Frame, Frames};
use crate::data::licences::Licences;
use crate::data::pairs::{Split, is_for_validation};
use crate::data::photos::{decode, decode_upright, reduced};
use crate::data::sha256;

/// Pictures that are held in memory at a time.
const AT_ONCE: usize = 32;

/// What to make a data set of.
#[derive(Debug)]
pub struct Preparation {
    /// Photos.
    pub photos: Vec<PathBuf>,
    /// Art.
    pub art: Vec<PathBuf>,
    /// Clips.
    pub clips: Vec<PathBuf>,
    /// The file to write.
    pub out: PathBuf,
    /// What the sources stand under.
    pub licences: Licences,
    /// Longer side to which pictures are reduced, pixels.
    pub max_side: u32,
    /// Shorter side, after that, below which a picture is passed over.
    pub min_side: u32,
    /// Each so manieth frame of a clip is taken.
    pub every: u32,
    /// File names without extension that are held out, whatever their hash.
    pub hold_out: Vec<String>,
    /// Set from outside to end; nothing is then left behind.
    pub stop: Arc<AtomicBool>,
    /// Shown while it runs.
    pub progress: ProgressBar,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Prepared {
    /// All that was packed.
    pub items: Vec<Item>,
    /// Files that could not be used.
    pub broken: usize,
    /// Files that are copies of others, to the byte or nearly.
    pub copies: usize,
}

/// A file whose picture has been made ready.
struct Ready {
    name: String,
    sha256: String,
    picture: RgbImage,
    fingerprint: Fingerprint,
    smoothed: Option<RgbImage>,
}

impl Preparation {
    /// Makes the data set.
    ///
    /// # Errors
    /// When nothing can be used, the file cannot be written, or it was interrupted.
    pub fn run(self) -> Result<Prepared> {
        let mut output = Output::create(&self.out)?;
        ensure!(output.is_pending(), "{} is no plain file: name another place", self.out.display());
        let mut packer = Packer::new(&mut output);
        let mut prepared = Prepared::default();
        // Copies are looked for across photos and art: a picture cannot be both.
        let mut known: Vec<(String, Fingerprint)> = Vec::new();
        let mut hashes = BTreeMap::new();
        for (kind, paths) in [(Kind::Photo, &self.photos), (Kind::Art, &self.art)] {
            for some in paths.chunks(AT_ONCE) {
                self.go_on()?;
                let ready: Vec<_> = some.par_iter().map(|path| self.ready(path, kind)).collect();
                for (path, ready) in some.iter().zip(ready) {
                    self.progress.inc(1);
                    match ready {
                        Ok(ready) => self.add(ready, kind, &mut packer, &mut known, &mut hashes, &mut prepared)?,
                        Err(error) => self.pass_over(path, &format!("{error:#}"), &mut prepared),
                    }
                }
            }
        }
        for clip in &self.clips {
            self.clip(clip, &mut packer, &mut hashes, &mut prepared)?;
            self.progress.inc(1);
        }
        prepared.items = packer.finish()?;
        ensure!(!prepared.items.is_empty(), "none of the files could be used");
        output.commit()?;
        Ok(prepared)
    }

    /// Reads a picture, cuts off what is none, and reduces it.
    fn ready(&self, path: &Path, kind: Kind) -> Result<Ready> {
        let bytes = std::fs::read(path)?;
        let picture = match kind {
            Kind::Art => decode_art(&bytes)?,
            Kind::Photo | Kind::Frame => decode(&bytes)?,
        };
        let picture = reduced(&without_bars(&picture), self.max_side, 1.0);
        self.check_size(&picture)?;
        Ok(Ready {
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            sha256: sha256(&bytes),
            fingerprint: Fingerprint::of(&picture),
            smoothed: (kind == Kind::Art).then(|| smooth_edges(&picture)),
            picture,
        })
    }

    fn check_size(&self, picture: &RgbImage) -> Result<()> {
        let (width, height) = picture.dimensions();
        ensure!(
            width.min(height) >= self.min_side,
            "it has {width}×{height} pixels of picture, the shorter side must have {} (--min-side)",
            self.min_side
        );
        Ok(())
    }

    fn add(
        &self,
        ready: Ready,
        kind: Kind,
        packer: &mut Packer<'_>,
        known: &mut Vec<(String, Fingerprint)>,
        hashes: &mut BTreeMap<String, String>,
        prepared: &mut Prepared,
    ) -> Result<()> {
        let Ready { name, sha256, picture, fingerprint, smoothed } = ready;
        let same = hashes
            .get(&sha256)
            .or_else(|| known.iter().find(|(_, other)| other.is_like(&fingerprint)).map(|(name, _)| name));
        if let Some(first) = same {
            self.progress.suspend(|| log::info!("{name} is the same picture as {first}: passed over"));
            prepared.copies += 1;
            return Ok(());
        }
        let item = self.item(kind, &name, &sha256, None, &picture);
        packer.add(item, &picture, smoothed.as_ref())?;
        hashes.insert(sha256, name.clone());
        known.push((name, fingerprint));
        Ok(())
    }

    fn item(&self, kind: Kind, name: &str, sha256: &str, frame: Option<u32>, picture: &RgbImage) -> Item {
        Item {
            kind,
            part: self.part_of(name, sha256, kind),
            file: String::new(),
            smoothed: None,
            source: name.to_owned(),
            source_sha256: sha256.to_owned(),
            frame,
            width: picture.width(),
            height: picture.height(),
            licence: self.licences.of(name).map(str::to_owned),
        }
    }

    /// A photo is held out if `paint` holds it out, by its name: what one command never trains on, no other does. What
    /// is for validation goes by content. Art is never measured on: all of it is trained on, unless it is named.
    fn part_of(&self, name: &str, sha256: &str, kind: Kind) -> Part {
        let stem = Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if self.hold_out.contains(&stem) || (kind == Kind::Photo && Split::of_photo(name) == Split::HeldOut) {
            Part::HeldOut
        } else if kind != Kind::Art && is_for_validation(sha256) {
            Part::Validation
        } else {
            Part::Train
        }
    }

    /// Packs frames of a clip. A clip that cannot be used is named and passed over; a missing ffmpeg is an error.
    fn clip(
        &self,
        path: &Path,
        packer: &mut Packer<'_>,
        hashes: &mut BTreeMap<String, String>,
        prepared: &mut Prepared,
    ) -> Result<()> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let sha256 = match std::fs::read(path) {
            Ok(bytes) => sha256(&bytes),
            Err(error) => {
                self.pass_over(path, &error.to_string(), prepared);
                return Ok(());
            }
        };
        if let Some(first) = hashes.get(&sha256) {
            self.progress.suspend(|| log::info!("{name} is the same clip as {first}: passed over"));
            prepared.copies += 1;
            return Ok(());
        }
        hashes.insert(sha256.clone(), name.clone());
        let mut frames = Frames::open(path, self.every)?;
        loop {
            self.go_on()?;
            let next = frames.next_frame();
            // Ctrl-C ends ffmpeg as well: the clip then only seems to be at its end.
            self.go_on()?;
            match next {
                Ok(Some(Frame { number, picture, .. })) => {
                    let frame = reduced(&picture, self.max_side, 1.0);
                    if let Err(error) = self.check_size(&frame) {
                        self.pass_over(path, &format!("{error:#}"), prepared);
                        return Ok(());
                    }
                    packer.add(self.item(Kind::Frame, &name, &sha256, Some(number), &frame), &frame, None)?;
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.pass_over(path, &format!("{error:#}"), prepared);
                    return Ok(());
                }
            }
        }
    }

    fn pass_over(&self, path: &Path, reason: &str, prepared: &mut Prepared) {
        self.progress.suspend(|| log::warn!("{} is passed over: {reason}", path.display()));
        prepared.broken += 1;
    }

    fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            bail!("interrupted; nothing was written");
        }
        Ok(())
    }
}

/// A drawn picture: what is transparent in it is cut off, or white.
fn decode_art(bytes: &[u8]) -> Result<RgbImage> {
    let art = decode_upright(bytes)?;
    if art.color().has_alpha() {
        opaque(&art.into_rgba8()).context("all of it is transparent")
    } else {
        Ok(art.into_rgb8())
    }
}
