//! `nijigen-train apply`: a photo through a teacher.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::{ImageFormat, RgbImage};
use nijigen::Error;

use super::output;
use crate::data::{photos, read_file, write_whole};
use crate::device::{Device, Task, TrainBackend, default_device, dispatch};
use crate::teacher::model::{Model, condition, stylize};

/// Options of `apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nijigen-train apply --teacher run/teacher.safetensors photo.jpg -o out.png
  nijigen-train apply --teacher run/teacher.safetensors --reference style.jpg photo.jpg -o out.png")]
pub struct Args {
    /// A teacher, made by `nijigen-train teacher`
    #[arg(long, value_name = "FILE")]
    teacher: PathBuf,
    /// A picture to take the style from, for a teacher that was trained with references; any picture will do
    #[arg(long, value_name = "PICTURE")]
    reference: Option<PathBuf>,
    /// VGG-19 weights up to relu3_1 (.npz), through which the style picture is read (default: those with which the teacher
    /// was trained, while it and they lie where they lay)
    #[arg(long, value_name = "FILE")]
    vgg: Option<PathBuf>,
    /// The photo (JPEG, PNG, WebP)
    photo: PathBuf,
    /// The picture to write (PNG or JPEG, by its ending)
    #[arg(short, long, value_name = "PICTURE")]
    out: PathBuf,
    /// What computes
    #[arg(long, value_enum, default_value_t = default_device())]
    device: Device,
}

struct Apply<'a> {
    args: &'a Args,
    photo: RgbImage,
    reference: Option<RgbImage>,
}

impl Task for Apply<'_> {
    type Output = RgbImage;

    fn run<B: TrainBackend>(self, device: B::Device) -> Result<RgbImage> {
        let path = &self.args.teacher;
        // On the back end beneath: nothing is learned here.
        let model = Model::<B::InnerBackend>::load(path, &device)?;
        let style = condition(&model, path, (self.reference.as_ref(), self.args.vgg.as_deref()), &device)?;
        Ok(stylize(&model.network, &self.photo, style, &device))
    }
}

/// Runs the subcommand.
///
/// # Errors
/// When an input cannot be read, or the output cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let format = match ImageFormat::from_path(&args.out) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
        _ => return Err(Error::Usage(format!("{}: want a name in .png or .jpg", args.out.display())).into()),
    };
    let picture = |path: &Path| -> Result<RgbImage> {
        photos::decode(&read_file(path)?).with_context(|| format!("{} is no picture", path.display()))
    };
    let task =
        Apply { args, photo: picture(&args.photo)?, reference: args.reference.as_deref().map(picture).transpose()? };
    let made = dispatch(args.device, task)?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    made.write_to(&mut bytes, format).with_context(|| format!("cannot encode {}", args.out.display()))?;
    write_whole(&args.out, bytes.get_ref())?;
    output::line(&format!("{} ({}×{})", args.out.display(), made.width(), made.height()))
}
