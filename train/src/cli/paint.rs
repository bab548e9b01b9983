//! `nijigen-train paint`: photos and clips in, pairs of photo and painted target out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, bail};
use image::imageops::FilterType;
use image::{GrayImage, RgbImage};
use indicatif::{ProgressBar, ProgressStyle};
use nijigen::Error;
use rayon::prelude::*;

use super::{output, run_folder};
use crate::data::clips::{Frame, Frames};
use crate::data::face_list::FaceList;
use crate::data::licences::Licences;
use crate::data::pairs::{Filled, INDEX, Pair, PairWriter, Pictures, Split, read_index};
use crate::data::person_mask::PersonMask;
use crate::data::photos::{self, Sources};
use crate::data::{read_text, sha256};
use crate::painter::{self, FaceBox, Recipe};

/// The recipe by which photos are their own targets.
pub(super) const RESTORE: &str = "restore";
/// Frames of a clip that are held in memory at a time.
const FRAMES_AT_ONCE: usize = 32;

/// Options of `paint`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nijigen-train paint --recipe anime photos/ -o pairs
  nijigen-train paint --recipe my.toml photos/ clips/ --faces faces.csv --scales 1,0.5 -o pairs

What PAIRS holds already (same source, recipe, scale and faces) is not painted again. Pairs of other photos and clips \
that it holds stay, if they were painted by the same recipe.")]
pub struct Args {
    /// Photos (JPEG, PNG, WebP), clips (MKV, MP4, Y4M, …; through ffmpeg), or folders of them
    #[arg(required = true, value_name = "PHOTOS")]
    pub(super) inputs: Vec<PathBuf>,
    /// The look: a built-in recipe (anime, film, comic, ink, watercolour, oil), a TOML file, or "restore", by which each
    /// photo is its own target: what is done to it is done while training. Clips are left out then, since they have noise
    #[arg(long, value_name = "NAME|FILE", default_value = "anime")]
    pub(super) recipe: String,
    /// The folder for the pairs
    #[arg(short, long, value_name = "PAIRS")]
    pub(super) output: PathBuf,
    /// Where the faces are: a CSV of source,frame,x,y,width,height in fractions of the picture
    #[arg(long, value_name = "FILE")]
    pub(super) faces: Option<PathBuf>,
    /// A person segmentation model (ONNX, 1x256x256x3 in 0..1): its mask is kept beside each photo, and shows where
    /// the head is where no face is listed
    #[arg(long, value_name = "FILE")]
    pub(super) person_mask: Option<PathBuf>,
    /// What the sources stand under: a CSV of beginning-of-name,licence; noted in the index
    #[arg(long, value_name = "FILE")]
    pub(super) licences: Option<PathBuf>,
    /// Sizes at which each photo is painted
    #[arg(long, value_delimiter = ',', value_name = "LIST", default_value = "1,0.7,0.5,0.35,0.25")]
    pub(super) scales: Vec<f32>,
    /// Sizes at which photos are painted that are held out to measure on (default: those of --scales)
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    pub(super) held_out_scales: Vec<f32>,
    /// Sizes at which each frame of a clip is painted
    #[arg(long, value_delimiter = ',', value_name = "LIST", default_value = "1,0.7")]
    pub(super) clip_scales: Vec<f32>,
    /// Longer side of a photo at scale 1, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 512)]
    pub(super) max_side: u32,
    /// Longer side of a clip's frame at scale 1, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 640)]
    pub(super) clip_max_side: u32,
    /// Take each Nth frame of a clip
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) every: u32,
    /// Measure on this photo or clip and never train on it: its file name without extension (repeatable). About 6 % of
    /// the photos, picked by their names, are held out anyway
    #[arg(long, value_name = "NAME")]
    pub(super) hold_out: Vec<String>,
    /// Threads to paint on (default: all cores)
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(super) threads: usize,
}

impl Args {
    /// Whether this photo or clip was named to be held out.
    fn holds_out(&self, path: &Path) -> bool {
        self.hold_out.contains(&stem(path))
    }

    fn split_of(&self, photo: &Path) -> Split {
        if self.holds_out(photo) { Split::HeldOut } else { Split::of_photo(&file_name(photo)) }
    }

    fn scales_of(&self, photo: &Path) -> &[f32] {
        let held_out = !self.held_out_scales.is_empty() && self.split_of(photo) == Split::HeldOut;
        if held_out { &self.held_out_scales } else { &self.scales }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    paint(args, output::stop_on_ctrl_c()?)
}

/// Paints until all is done or `stop` is set; what was painted by then is kept.
pub(super) fn paint(args: &Args, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    check(args)?;
    let recipe = if args.recipe == RESTORE { None } else { Some(read_recipe(&args.recipe)?) };
    let mut sources = Sources::find(&args.inputs, &args.output)?;
    if sources.photos.is_empty() && sources.clips.is_empty() {
        bail!("no photo (JPEG, PNG, WebP) or clip (MKV, MP4, Y4M, …) among what was named");
    }
    check_held_out(&args.hold_out, &sources)?;
    if recipe.is_none() && !sources.clips.is_empty() {
        log::warn!("{} clips are left out: their noise is no target", sources.clips.len());
        sources.clips.clear();
    }
    let bar = output::progress_bar(sources.photos.iter().map(|photo| args.scales_of(photo).len() as u64).sum());
    let template = "{bar:30} {pos}/{len} pictures, {per_sec}, {eta} left {msg}";
    bar.set_style(ProgressStyle::with_template(template).context("the progress bar's template is wrong")?);
    let faces = args.faces.as_deref().map(FaceList::read).transpose()?.unwrap_or_default();
    let person_mask = args.person_mask.as_deref().map(PersonMask::load).transpose()?;
    let licences = args.licences.as_deref().map(Licences::read).transpose()?.unwrap_or_default();
    let _lock = run_folder::enter(&args.output, &[INDEX])?;
    refuse_other_pairs(&args.output, recipe.as_ref().map_or(RESTORE, |(recipe, _)| &recipe.name))?;
    let job = Job {
        args,
        recipe_sha256: recipe.as_ref().map_or_else(|| sha256(RESTORE.as_bytes()), |(_, sha256)| sha256.clone()),
        recipe: recipe.map(|(recipe, _)| recipe),
        faces,
        person_mask,
        licences,
        writer: PairWriter::open(&args.output)?,
        bar,
        stop,
        tally: Tally::default(),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads).build().context("cannot start threads")?;
    let begin = Instant::now();
    pool.install(|| -> anyhow::Result<()> {
        let photos = job.without_copies(&sources.photos, |photo| args.scales_of(photo).len());
        photos.par_iter().try_for_each(|(path, sha256)| job.photo(path, sha256))?;
        // How many pictures a clip gives is known only when it is read.
        let clips = job.without_copies(&sources.clips, |_| 0);
        clips.iter().try_for_each(|(path, sha256)| job.clip(path, sha256))
    })?;
    job.report(begin)
}

/// Refuses options that make no sense together.
fn check(args: &Args) -> anyhow::Result<()> {
    let all = [
        ("--scales", &args.scales),
        ("--held-out-scales", &args.held_out_scales),
        ("--clip-scales", &args.clip_scales),
    ];
    for (option, scales) in all {
        let mut tags = BTreeSet::new();
        for &scale in scales {
            if !(0.01..=1.0).contains(&scale) {
                return Err(Error::Usage(format!("{option} {scale}: a scale is at least 0.01 and at most 1")).into());
            }
            if !tags.insert(scale_tag(scale)) {
                let text = format!("{option}: {scale} is the same as another scale to the hundredth; leave one out");
                return Err(Error::Usage(text).into());
            }
        }
    }
    if !(16..=8192).contains(&args.max_side) || !(16..=8192).contains(&args.clip_max_side) {
        return Err(Error::Usage("--max-side and --clip-max-side want 16 to 8192 pixels".into()).into());
    }
    Ok(())
}

/// Refuses to paint over pictures of a recipe of another name, or a teacher's, which may have cost hours.
pub(super) fn refuse_other_pairs(folder: &Path, recipe: &str) -> anyhow::Result<()> {
    // What cannot be read is for the writer to mend.
    let pairs = read_index(folder).unwrap_or_default();
    match pairs.iter().find(|pair| pair.recipe != recipe) {
        Some(Pair { recipe, .. }) => bail!(
            "{} holds pairs of '{recipe}', which would be lost: name another folder (-o), or remove it",
            folder.display()
        ),
        None => Ok(()),
    }
}

/// Refuses names to hold out that nothing has: a slip would train on what is to be measured on.
fn check_held_out(names: &[String], sources: &Sources) -> anyhow::Result<()> {
    let stems: BTreeSet<String> = sources.photos.iter().chain(&sources.clips).map(|path| stem(path)).collect();
    match names.iter().find(|name| !stems.contains(*name)) {
        Some(name) => bail!("--hold-out {name}: no photo or clip has this name (want it without folder and extension)"),
        None => Ok(()),
    }
}

/// A recipe, and the checksum of what it and this version of the painter make.
///
/// # Errors
/// When there is none of this name, or it cannot be used.
pub(super) fn read_recipe(name: &str) -> anyhow::Result<(Recipe, String)> {
    let text = recipe_text(name)?;
    let recipe = Recipe::parse(&text).with_context(|| format!("the recipe {name} cannot be used"))?;
    Ok((recipe, sha256(format!("{}\n{text}", painter::VERSION).as_bytes())))
}

/// The text of a built-in recipe or of a file.
fn recipe_text(name: &str) -> anyhow::Result<String> {
    if let Some(text) = Recipe::builtin(name) {
        return Ok(text.to_owned());
    }
    if !name.ends_with(".toml") {
        let known: Vec<_> = Recipe::builtin_names().collect();
        let text = format!("--recipe {name}: want a TOML file or a built-in recipe: {}", known.join(", "));
        return Err(Error::Usage(text).into());
    }
    Ok(read_text(Path::new(name))?)
}

/// What was done, counted from many threads.
#[derive(Default)]
struct Tally {
    painted: AtomicU64,
    kept: AtomicU64,
    broken: AtomicU64,
    faceless: AtomicU64,
}

/// A photo or a frame with what is known of it.
struct Source<'a> {
    picture: &'a RgbImage,
    /// File name.
    name: &'a str,
    frame: Option<u32>,
    sha256: &'a str,
    split: Split,
    /// Where a person is in it, where that is asked for.
    mask: Option<&'a GrayImage>,
    /// The clip's next frame.
    next: Option<&'a RgbImage>,
}

/// One run of the command.
struct Job<'a> {
    args: &'a Args,
    /// `None` where photos are their own targets.
    recipe: Option<Recipe>,
    recipe_sha256: String,
    faces: FaceList,
    person_mask: Option<PersonMask>,
    licences: Licences,
    writer: PairWriter,
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
    tally: Tally,
}

impl Job<'_> {
    /// Files with their hashes, each content once, whatever the order in which threads get to them. Each would have
    /// given as many pictures as `pictures` says.
    fn without_copies<'p>(&self, paths: &'p [PathBuf], pictures: impl Fn(&Path) -> usize) -> Vec<(&'p Path, String)> {
        let hash = |path: &'p PathBuf| std::fs::read(path).map(|bytes| (path.as_path(), sha256(&bytes)));
        let hashed: Vec<_> = paths.par_iter().map(hash).collect();
        let mut known = BTreeMap::new();
        let mut files = Vec::new();
        for (path, result) in paths.iter().zip(hashed) {
            match result {
                Err(error) => self.pass_over(path, &error.to_string(), pictures(path)),
                Ok((path, sha256)) => match known.get(&sha256) {
                    None => {
                        known.insert(sha256.clone(), path);
                        files.push((path, sha256));
                    }
                    Some(first) => {
                        log::info!("{} is the same as {}: passed over", path.display(), first.display());
                        self.bar.inc(pictures(path) as u64);
                    }
                },
            }
        }
        files
    }

    /// Paints a photo at all scales. A photo that cannot be used is named and passed over.
    fn photo(&self, path: &Path, sha256: &str) -> anyhow::Result<()> {
        let name = file_name(path);
        let (split, scales) = (self.args.split_of(path), self.args.scales_of(path));
        let read = || photos::decode(&std::fs::read(path)?);
        let picture = match read() {
            Ok(photo) => photo,
            Err(error) => {
                self.pass_over(path, &format!("{error:#}"), scales.len());
                return Ok(());
            }
        };
        let mask = self.mask_of(&picture)?;
        let source =
            Source { picture: &picture, name: &name, frame: None, sha256, split, mask: mask.as_ref(), next: None };
        scales.iter().try_for_each(|&scale| self.pair(&source, self.args.max_side, scale))
    }

    /// Paints frames of a clip. A clip that cannot be used is named and passed over, a missing ffmpeg is an error.
    fn clip(&self, path: &Path, sha256: &str) -> anyhow::Result<()> {
        let name = file_name(path);
        let split = if self.args.holds_out(path) { Split::HeldOut } else { Split::Train };
        let mut frames = Frames::open(path, self.args.every)?;
        loop {
            let mut some = Vec::new();
            let mut fault = None;
            while some.len() < FRAMES_AT_ONCE {
                self.go_on()?;
                match frames.next_frame() {
                    Ok(Some(frame)) => some.push(frame),
                    Ok(None) => break,
                    Err(error) => {
                        fault = Some(error);
                        break;
                    }
                }
            }
            let scales = &self.args.clip_scales;
            self.bar.inc_length((some.len() * scales.len()) as u64);
            some.par_iter().try_for_each(|Frame { number, picture, next }| {
                let mask = self.mask_of(picture)?;
                let (mask, next) = (mask.as_ref(), next.as_ref());
                let source = Source { picture, name: &name, frame: Some(*number), sha256, split, mask, next };
                scales.iter().try_for_each(|&scale| self.pair(&source, self.args.clip_max_side, scale))
            })?;
            // Ctrl-C ends ffmpeg as well: the clip then only seems to be at its end.
            self.go_on()?;
            if let Some(error) = fault {
                self.pass_over(path, &format!("{error:#}"), 0);
                return Ok(());
            }
            if some.len() < FRAMES_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// Makes one pair, unless it is there.
    fn pair(&self, source: &Source, max_side: u32, scale: f32) -> anyhow::Result<()> {
        self.go_on()?;
        let photo = photos::reduced(source.picture, max_side, scale);
        let faces = self.faces_in(source, &photo)?;
        if faces.is_empty() && self.recipe.is_some() {
            self.tally.faceless.fetch_add(1, Ordering::Relaxed);
            log::debug!("{}: no face known, painted at its own size only", source.name);
        }
        let name = pair_name(source, scale);
        let pair = Pair {
            photo: format!("photo/{name}.png"),
            target: format!("{}/{name}.png", if self.recipe.is_some() { "target" } else { "photo" }),
            source: source.name.to_owned(),
            frame: source.frame,
            scale,
            width: photo.width(),
            height: photo.height(),
            faces,
            licence: self.licences.of(source.name).map(str::to_owned),
            source_sha256: source.sha256.to_owned(),
            recipe: self.recipe.as_ref().map_or(RESTORE, |recipe| &recipe.name).to_owned(),
            recipe_sha256: self.recipe_sha256.clone(),
            split: source.split,
            mask: source.mask.map(|_| format!("mask/{name}.png")),
            next: source.next.map(|_| format!("next/{name}.png")),
        };
        if self.writer.has(&pair) {
            self.tally.kept.fetch_add(1, Ordering::Relaxed);
        } else {
            let paint = || match &self.recipe {
                Some(recipe) => painter::paint(&photo, recipe, &pair.faces),
                None => photo.clone(),
            };
            let target = (!self.writer.was_painted(&pair)).then(paint);
            let painted = target.as_ref().map(|target| (&photo, target));
            let (width, height) = photo.dimensions();
            let mask = source.mask.map(|mask| image::imageops::resize(mask, width, height, FilterType::Triangle));
            let next = source.next.map(|next| photos::reduced(next, max_side, scale));
            let pictures = Pictures { painted, mask: mask.as_ref(), next: next.as_ref() };
            self.writer.add(&pair, pictures)?;
            let count = if target.is_some() { &self.tally.painted } else { &self.tally.kept };
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.bar.inc(1);
        Ok(())
    }

    /// An error once the user has asked to stop.
    fn go_on(&self) -> anyhow::Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            bail!("interrupted; the same command goes on from here");
        }
        Ok(())
    }

    /// The faces in a picture: listed, else estimated from the person mask, else none.
    fn faces_in(&self, source: &Source, photo: &RgbImage) -> anyhow::Result<Vec<FaceBox>> {
        let listed = self.faces.faces(source.name, source.frame.unwrap_or(0), photo.width(), photo.height());
        match &self.person_mask {
            Some(mask) if listed.is_empty() => Ok(mask.face(photo)?.into_iter().collect()),
            _ => Ok(listed),
        }
    }

    /// Where a person is in a picture, if that is asked for.
    fn mask_of(&self, picture: &RgbImage) -> anyhow::Result<Option<GrayImage>> {
        self.person_mask.as_ref().map(|model| model.mask(picture)).transpose()
    }

    fn pass_over(&self, path: &Path, reason: &str, pictures: usize) {
        self.bar.suspend(|| log::warn!("{} is passed over: {reason}", path.display()));
        self.bar.inc(pictures as u64);
        self.tally.broken.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes the index and says what was done.
    fn report(self, begin: Instant) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        let Filled { pairs, earlier, dropped } = self.writer.finish(&self.recipe_sha256)?;
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let (painted, broken, faceless) =
            (count(&self.tally.painted), count(&self.tally.broken), count(&self.tally.faceless));
        let held_out = pairs.iter().filter(|p| p.split == Split::HeldOut).count();
        if faceless > 0 {
            log::info!("{faceless} pictures have no known face and were painted at their own size only");
        }
        if broken > 0 {
            log::warn!("files that could not be used: {broken}");
        }
        if dropped > 0 {
            log::warn!(
                "{dropped} earlier pairs are no longer in the index: another recipe or version painted them, their \
                 source was named without their scale, frame or face, or their files are gone"
            );
        }
        log::info!(
            "{} pairs in {} ({held_out} held out): {painted} painted, {} there before{}; {:.0} pictures a minute",
            pairs.len(),
            self.args.output.display(),
            count(&self.tally.kept),
            if earlier > 0 { format!(", {earlier} of sources not named this time") } else { String::new() },
            painted as f64 / begin.elapsed().as_secs_f64() * 60.0
        );
        if painted + count(&self.tally.kept) == 0 {
            bail!("no pair was made: none of the files could be used");
        }
        if held_out == 0 {
            log::warn!("no pair is held out to measure on, which `distill` and `eval` need: name one with --hold-out");
        }
        Ok(())
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A scale in a pair's file name.
fn scale_tag(scale: f32) -> String {
    format!("s{:03.0}", scale * 100.0)
}

/// File name of a pair: source, beginning of its hash (two folders may hold files of the same name), frame, scale.
fn pair_name(source: &Source, scale: f32) -> String {
    let stem = source.name.rsplit_once('.').map_or(source.name, |(stem, _)| stem);
    let stem: String = stem.chars().map(|c| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect();
    let frame = source.frame.map(|f| format!("-f{f:05}")).unwrap_or_default();
    format!("{stem}-{}{frame}-{}", &source.sha256[..6], scale_tag(scale))
}
