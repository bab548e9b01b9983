//! `nijigen-train prepare`: photos, art and clips to a data set in one file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use indicatif::ProgressStyle;
use nijigen::Error;

use super::output;
use crate::data::licences::Licences;
use crate::data::photos::Sources;
use crate::dataset::prepare::{Preparation, Prepared};
use crate::dataset::{Kind, Part};

/// Options of `prepare`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  nijigen-train prepare photos/ art/ clips/ --licences licences.csv -o set.zip

Copies are passed over, also such as were saved anew in another size or quality. The data set is a zip archive that any \
program opens; index.json and licences.csv in it say what is there and what it stands under.")]
pub struct Args {
    /// Photos (JPEG, PNG, WebP), then pictures of the style, then clips (MKV, MP4, Y4M, …; through ffmpeg): a folder each
    #[arg(value_names = ["PHOTOS", "ART", "CLIPS"], num_args = 0..=3)]
    pub(super) named: Vec<PathBuf>,
    /// Photos, or folders of them, beside those of PHOTOS
    #[arg(long, value_name = "PHOTOS", num_args = 1..)]
    pub(super) photos: Vec<PathBuf>,
    /// Pictures of the style, or folders of them, beside those of ART
    #[arg(long, value_name = "ART", num_args = 1..)]
    pub(super) art: Vec<PathBuf>,
    /// Clips, or folders of them, beside those of CLIPS
    #[arg(long, value_name = "CLIPS", num_args = 1..)]
    pub(super) clips: Vec<PathBuf>,
    /// The file to write
    #[arg(short, long, value_name = "DATASET")]
    pub(super) out: PathBuf,
    /// What the sources stand under: a CSV of beginning-of-name,licence
    #[arg(long, value_name = "FILE")]
    pub(super) licences: Option<PathBuf>,
    /// Longer side to which pictures are reduced, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 512, value_parser = clap::value_parser!(u32).range(64..=4096))]
    pub(super) max_side: u32,
    /// Pass over pictures whose shorter side is then below this, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(super) min_side: u32,
    /// Take each Nth frame of a clip
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) every: u32,
    /// Hold this photo, picture or clip out: its file name without extension (repeatable). About 6 % of the photos, the
    /// same that `paint` holds out, are held out anyway
    #[arg(long, value_name = "NAME")]
    pub(super) hold_out: Vec<String>,
}

/// Photos, art and clips among what the user named, each in a fixed order.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) photos: Vec<PathBuf>,
    pub(super) art: Vec<PathBuf>,
    pub(super) clips: Vec<PathBuf>,
}

impl Found {
    /// Looks into folders, but not into `out`, which may lie among them.
    ///
    /// # Errors
    /// When something does not exist, is of another kind, or nothing is found.
    pub(super) fn look(photos: &[PathBuf], art: &[PathBuf], clips: &[PathBuf], out: &Path) -> Result<Self> {
        let (art_folders, named_clips) = (art, clips);
        let photos = Sources::find(photos, out)?;
        let art = Sources::find(art, out)?;
        let clips = Sources::find(clips, out)?;
        if let Some(clip) = art.clips.first() {
            bail!("{}: art is pictures, this is a clip; take frames out of it first", clip.display());
        }
        if let Some(photo) = clips.photos.first().filter(|photo| named_clips.contains(photo)) {
            bail!("{}: among the clips there is this photo; name it among the photos", photo.display());
        }
        for (what, named, is_empty) in
            [("art", art_folders, art.photos.is_empty()), ("clips", named_clips, clips.clips.is_empty())]
        {
            if let (Some(path), true) = (named.first(), is_empty) {
                bail!("{}: no {what} there that can be used; name what holds some, or leave it out", path.display());
            }
        }
        let mut clips = clips.clips;
        clips.extend(photos.clips);
        clips.sort();
        clips.dedup();
        if photos.photos.is_empty() && art.photos.is_empty() && clips.is_empty() {
            bail!("no photo, art or clip among what was named");
        }
        Ok(Self { photos: photos.photos, art: art.photos, clips })
    }
}

/// Runs the subcommand.
///
/// # Errors
/// When nothing can be used, or the file cannot be written.
pub fn run(args: &Args) -> Result<()> {
    prepare(args, output::stop_on_ctrl_c()?)?.iter().try_for_each(|line| output::line(line))
}

/// Makes the data set, unless `stop` is set meanwhile; returns what is in it, line by line.
pub(super) fn prepare(args: &Args, stop: Arc<AtomicBool>) -> Result<Vec<String>> {
    if args.min_side > args.max_side {
        return Err(Error::Usage("--min-side is above --max-side: nothing would be left".into()).into());
    }
    if args.out.is_dir() {
        bail!("{} is a folder: name a file for the data set (-o), like set.zip", args.out.display());
    }
    for (path, what) in args.named.iter().skip(1).zip(["art", "clips"]) {
        if path.is_file() {
            return Err(Error::Usage(format!(
                "{}: this place is for the folder of {what}; name single files behind --photos, --art or --clips",
                path.display()
            ))
            .into());
        }
    }
    // Of what is named without an option, the first is photos, the second art, the third clips.
    let [photos, art, clips] = [&args.photos, &args.art, &args.clips];
    let all =
        |place: usize, more: &[PathBuf]| args.named.get(place).into_iter().chain(more).cloned().collect::<Vec<_>>();
    let Found { photos, art, clips } = Found::look(&all(0, photos), &all(1, art), &all(2, clips), &args.out)?;
    let stem = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let stems: BTreeSet<String> = photos.iter().chain(&art).chain(&clips).map(stem).collect();
    if let Some(name) = args.hold_out.iter().find(|name| !stems.contains(*name)) {
        bail!("--hold-out {name}: nothing has this name (want it without folder and extension)");
    }
    let progress = output::progress_bar((photos.len() + art.len() + clips.len()) as u64);
    let template = "{bar:30} {pos}/{len} files, {eta} left {msg}";
    progress.set_style(ProgressStyle::with_template(template).context("the progress bar's template is wrong")?);
    let preparation = Preparation {
        photos,
        art,
        clips,
        out: args.out.clone(),
        licences: args.licences.as_deref().map(Licences::read).transpose()?.unwrap_or_default(),
        max_side: args.max_side,
        min_side: args.min_side,
        every: args.every,
        hold_out: args.hold_out.clone(),
        stop,
        progress: progress.clone(),
    };
    let prepared = preparation.run()?;
    progress.finish_and_clear();
    Ok(report(&prepared, &args.out))
}

/// Says what was packed.
fn report(prepared: &Prepared, out: &Path) -> Vec<String> {
    let count = |kind, part| prepared.items.iter().filter(|item| (item.kind, item.part) == (kind, part)).count();
    if prepared.broken > 0 {
        log::warn!("files that could not be used: {}", prepared.broken);
    }
    if prepared.copies > 0 {
        log::info!("files that are copies of others: {}", prepared.copies);
    }
    let unlicensed: BTreeSet<&str> =
        prepared.items.iter().filter(|item| item.licence.is_none()).map(|item| item.source_sha256.as_str()).collect();
    if !unlicensed.is_empty() {
        log::info!("sources without a licence in the list (--licences): {}", unlicensed.len());
    }
    let mut lines = Vec::new();
    for (name, kind) in [("photos", Kind::Photo), ("pictures of art", Kind::Art), ("frames", Kind::Frame)] {
        let [train, validation, held_out] =
            [Part::Train, Part::Validation, Part::HeldOut].map(|part| count(kind, part));
        if train + validation + held_out > 0 {
            lines.push(format!("{name}: {train} to train on, {validation} for validation, {held_out} held out"));
        }
    }
    lines.push(format!("{}: {} pictures", out.display(), prepared.items.len()));
    lines
}
