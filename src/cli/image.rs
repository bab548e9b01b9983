//! `nijigen image`: photos become pictures of a style.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::options::StyleOptions;
use super::{interrupt, is_quiet, say};
use crate::config::{self, Detail};
use crate::error::{Error, Result};
use crate::folders;
use crate::frame::Size;
use crate::output;
use crate::picture::{self, Beside, Format, Written};
use crate::style::Stylizer;

/// Turn photos into pictures of a style
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nijigen image me.jpg -o anime.png
  nijigen image me.jpg -o both.jpg --compare
  nijigen image holiday/ more/*.webp -o drawn/ --strength 0.7
  nijigen image group.jpg -o anime.jpg --detail 2000
  nijigen image me.jpg -o anime.svg             a drawing that scales
  nijigen image me.jpg -o out.png --style ./Hayao.onnx")]
pub struct ImageArgs {
    /// Photos (JPEG, PNG, WebP), or folders of them; folders within a folder are left alone
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// The picture to write (its extension gives the format: .jpg, .png, .webp, which takes the most memory, or .svg), or
    /// for several photos the folder
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    #[command(flatten)]
    style: StyleOptions,
    /// Longer side at which a photo is drawn: a larger one is drawn reduced and enlarged again to its own size, since lines
    /// are a few pixels thick at any size and would vanish in a large photo. More keeps small things (faces of a group),
    /// with thinner lines; "full" draws every photo at its own size
    #[arg(long, value_name = "PIXELS|full", default_value_t = config::DEFAULT_DETAIL)]
    detail: Detail,
    /// Write the photo and its picture side by side
    #[arg(long)]
    compare: bool,
    /// Write drawings of coloured areas (SVG) in place of pictures, where -o names a folder
    #[arg(long)]
    svg: bool,
}

/// One photo to do.
#[derive(Debug, PartialEq, Eq)]
struct Job {
    input: PathBuf,
    output: PathBuf,
    written: Written,
}

/// What is to be done.
struct Plan {
    jobs: Vec<Job>,
    /// The folder that all of it goes into.
    folder: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Wrong usage before anything is written; the one photo's error, or the number of those that failed.
pub fn run(args: &ImageArgs) -> Result<()> {
    let Plan { jobs, folder } = plan(&args.inputs, &args.output, args.svg)?;
    let mut stylizer = args.style.open()?.with_detail(args.detail);
    interrupt::watch()?;
    match &folder {
        Some(folder) => folders::make(folder)?,
        // Said now and not when all is drawn.
        None => jobs.iter().try_for_each(|job| output::check_folder(&job.output))?,
    }
    let began = Instant::now();
    let bar = progress_bar(jobs.len());
    let mut failed = 0;
    let mut last = None;
    for (index, job) in jobs.iter().enumerate() {
        bar.set_message(job.input.file_name().unwrap_or_default().to_string_lossy().into_owned());
        let begin = index as u64 * STEPS;
        bar.set_position(begin);
        let mut progress = |share: f32| {
            if bar.is_hidden() && !is_quiet() && began.elapsed() > PATIENCE {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            bar.set_position(begin + (share * STEPS as f32) as u64);
            if interrupt::requested() { Err(Error::Interrupted) } else { Ok(()) }
        };
        match progress(0.0).and_then(|()| draw(job, &mut stylizer, args.compare, &mut progress)) {
            Ok(size) => last = Some(size),
            Err(error @ Error::Interrupted) => return Err(error),
            Err(error) if jobs.len() == 1 => return Err(error),
            Err(error) => {
                bar.suspend(|| say(&format!("nijigen: {error}")));
                failed += 1;
            }
        }
    }
    bar.finish_and_clear();
    match failed {
        0 => {
            if !is_quiet() {
                let seconds = began.elapsed().as_secs_f64();
                match (&folder, last) {
                    (Some(folder), _) => {
                        let pictures = if jobs.len() == 1 { "picture" } else { "pictures" };
                        say(&format!("{}: {} {pictures} in {seconds:.1} s", folder.display(), jobs.len()));
                    }
                    (None, Some(size)) => say(&format!("{}: {size} in {seconds:.1} s", args.output.display())),
                    (None, None) => {}
                }
            }
            Ok(())
        }
        _ => Err(Error::Input(format!("{failed} of {} photos failed; the others are done", jobs.len()))),
    }
}

/// Steps of the bar for one photo.
const STEPS: u64 = 1000;

/// How long a user waits without being shown a bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar that is hidden at first: it is for those who wait, and shows itself on a terminal only.
fn progress_bar(photos: usize) -> ProgressBar {
    let template = "{wide_bar} {percent:>3} %, {eta} left  {msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(photos as u64 * STEPS), ProgressDrawTarget::hidden()).with_style(style)
}

/// Does one job; the size of what it wrote.
fn draw(
    job: &Job,
    stylizer: &mut Stylizer,
    compare: bool,
    progress: &mut dyn FnMut(f32) -> Result<()>,
) -> Result<Size> {
    let mut picture = picture::read(&job.input)?;
    progress(0.0)?;
    tracing::info!("{}: {}, drawn {}", job.input.display(), picture.size, stylizer.manner(picture.size));
    let began = Instant::now();
    let beside = compare.then(|| Beside::new(&picture, job.written.format())).transpose()?;
    if let Some(reduced) = stylizer.reduced(picture.size) {
        tracing::warn!(
            "{}: the style {} looks at the whole picture, so one of {} is drawn at {reduced} and enlarged",
            job.input.display(),
            stylizer.name(),
            picture.size
        );
    }
    stylizer.run_in_place(&mut picture.rgb, picture.size, progress)?;
    progress(1.0)?;
    tracing::info!("{}: drawn in {:.2} s", job.input.display(), began.elapsed().as_secs_f64());
    if picture.alpha.is_some() && job.written == Written::Pixels(Format::Jpeg) {
        tracing::warn!("{}: JPEG has no transparency; what was transparent is white", job.output.display());
    }
    let picture = match beside {
        Some(beside) => beside.with_right(&picture),
        None => picture,
    };
    let size = picture.size;
    job.written.write(&job.output, picture, &interrupt::requested)?;
    Ok(size)
}

/// Which photo becomes which file, checked before anything is written.
fn plan(inputs: &[PathBuf], output: &Path, svg: bool) -> Result<Plan> {
    let plan = match inputs {
        [input] if !input.is_dir() && !is_folder(output) => {
            let written = Written::of_path(output).filter(|written| !svg || *written == Written::Areas);
            let endings = if svg { ".svg" } else { ".jpg, .png, .webp or .svg" };
            let written = written.ok_or_else(|| {
                Error::Usage(format!(
                    "'{}' does not end in {endings}; give -o a name that does, or a folder with a / behind it",
                    output.display()
                ))
            })?;
            Plan { jobs: vec![Job { input: input.clone(), output: output.to_path_buf(), written }], folder: None }
        }
        _ => Plan { jobs: into_folder(inputs, output, svg)?, folder: Some(output.to_path_buf()) },
    };
    check_outputs(&plan.jobs)?;
    Ok(plan)
}

/// Whether `output` is a folder or written like one.
fn is_folder(output: &Path) -> bool {
    output.is_dir() || output.as_os_str().to_string_lossy().ends_with(['/', std::path::MAIN_SEPARATOR])
}

/// Every photo under its own name in the folder `output`.
fn into_folder(inputs: &[PathBuf], output: &Path, svg: bool) -> Result<Vec<Job>> {
    let name = output.display();
    if output.exists() && !output.is_dir() {
        return Err(Error::Usage(format!("'{name}' is a file; for several photos -o names a folder")));
    }
    // With a / behind it, or a folder already, it is meant.
    if !is_folder(output) && Written::of_path(output).is_some() {
        return Err(Error::Usage(format!(
            "'{name}' is a picture's name; for several photos -o names a folder, '{name}/' if it is to be called so"
        )));
    }
    let mut photos = Vec::new();
    for input in inputs {
        if input.is_dir() {
            photos.extend(photos_in(input)?);
        } else {
            photos.push(input.clone());
        }
    }
    let job = |input: PathBuf| {
        let mut name = PathBuf::from(input.file_name().map_or_else(|| OsString::from("picture"), OsString::from));
        if svg {
            name.set_extension("svg");
            return Job { input, output: output.join(name), written: Written::Areas };
        }
        let format = Format::of_path(&name).unwrap_or_else(|| {
            name.as_mut_os_string().push(".png");
            Format::Png
        });
        Job { input, output: output.join(name), written: Written::Pixels(format) }
    };
    Ok(photos.into_iter().map(job).collect())
}

/// The photos in a folder, by name.
fn photos_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = |error| Error::io("read", folder, error);
    let mut photos = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if Format::of_path(&path).is_some() && !path.is_dir() {
            photos.push(path);
        }
    }
    if photos.is_empty() {
        return Err(Error::Input(format!(
            "{} holds no JPEG, PNG or WebP pictures; name a folder that does (folders within it are not looked into)",
            folder.display()
        )));
    }
    photos.sort();
    Ok(photos)
}

/// No two photos may become one file, and none may replace a photo that is still to be read.
fn check_outputs(jobs: &[Job]) -> Result<()> {
    let mut sources = HashMap::new();
    for job in jobs {
        if let Some(other) = sources.insert(&job.output, &job.input) {
            return Err(Error::Usage(format!(
                "'{}' and '{}' would both become '{}'; do them one after the other into different folders",
                other.display(),
                job.input.display(),
                job.output.display()
            )));
        }
    }
    let inputs: HashMap<PathBuf, &Job> =
        jobs.iter().filter_map(|job| Some((job.input.canonicalize().ok()?, job))).collect();
    for job in jobs {
        if let Some(source) = job.output.canonicalize().ok().and_then(|path| inputs.get(&path)) {
            return Err(Error::Usage(format!(
                "'{}' would replace the photo '{}'; choose another -o",
                job.output.display(),
                source.input.display()
            )));
        }
    }
    Ok(())
}
