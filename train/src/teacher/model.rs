//! A trained teacher on disk, and what it makes of a photo.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::Tensor;
use image::RgbImage;
use nijigen::Error;
use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::data::photos::reduced;
use crate::data::read_file;
use crate::distill::evaluate::{bytes_tensor, picture_of};
use crate::net::adain::statistics;
use crate::net::conv::ConvBackend;
use crate::net::parameters::{Named, named, with_named};
use crate::net::unet::{GeneratorShape, MULTIPLE, UNet};
use crate::net::vgg::Vgg;
use crate::run_description;

/// Longer side to which a style picture is reduced before it is looked at: about the scale at which crops of such
/// pictures are seen in training.
const REFERENCE_SIDE: u32 = 384;

/// What a teacher's file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The network's form.
    pub generator: GeneratorShape,
    /// Statistics of a style picture that it takes; 0 without.
    pub statistics: usize,
    /// Training steps taken, those of the teacher that it began as among them.
    pub step: u64,
    /// How many of them were against adversaries; not known of a teacher from before this was kept.
    #[serde(default)]
    pub against_adversaries: Option<u64>,
}

/// A generator with what it says of itself.
#[derive(Debug)]
pub struct Model<B: ConvBackend> {
    /// What it is.
    pub about: About,
    /// Its weights.
    pub network: UNet<B>,
}

const KEY: &str = "teacher";

impl About {
    /// What the bytes of a teacher's file say.
    ///
    /// # Errors
    /// When they are no such file's.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let about = header.metadata().as_ref().and_then(|m| m.get(KEY)).context("it does not say what it is")?;
        serde_json::from_str(about).context("what it says of itself cannot be read")
    }
}

/// Writes a teacher beside `path`, then renames.
///
/// # Errors
/// When it cannot be written.
pub fn save<B: ConvBackend>(path: &Path, about: &About, network: &UNet<B>) -> Result<()> {
    let arrays: Vec<_> = named(network)
        .into_iter()
        .map(|Named { name, shape, values }| {
            (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
        })
        .collect();
    let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(about)?)]);
    crate::weights::write(path, &arrays, Dtype::F32, metadata)
}

impl<B: ConvBackend> Model<B> {
    /// Reads what [`save`] wrote.
    ///
    /// # Errors
    /// When the file is missing, is not such a file, or lacks an array.
    pub fn load(path: &Path, device: &B::Device) -> Result<Self> {
        let bytes = read_file(path)?;
        Self::parse(&bytes, device).with_context(|| format!("{} does not hold a teacher", path.display()))
    }

    fn parse(bytes: &[u8], device: &B::Device) -> Result<Self> {
        let about = About::read(bytes)?;
        about.generator.check()?;
        ensure!(about.statistics <= 4096, "it wants {} statistics of a style", about.statistics);
        let tensors = SafeTensors::deserialize(bytes)?;
        let mut values = Vec::new();
        for (name, view) in tensors.tensors() {
            ensure!(view.dtype() == Dtype::F32, "'{name}' does not hold 32-bit floats");
            values.push(Named {
                name,
                shape: view.shape().to_vec(),
                values: view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            });
        }
        let network = with_named(UNet::new(&about.generator, about.statistics, 0, device), values)?;
        Ok(Self { about, network })
    }
}

/// What `network` makes of `photo`, of any size; `style` are the statistics of a style picture, where it takes one.
pub fn stylize<B: ConvBackend>(
    network: &UNet<B>,
    photo: &RgbImage,
    style: Option<Tensor<B, 2>>,
    device: &B::Device,
) -> RgbImage {
    let bytes = bytes_tensor(photo, MULTIPLE, device);
    picture_of(network.forward(bytes.div_scalar(255.0), style, false), photo.width(), photo.height())
}

/// What `model`, read from `path`, is to be conditioned on: the statistics of `reference`, read through the VGG weights at
/// `vgg`, or where there are none through those with which it was trained; `None` for a teacher that takes no style from a
/// picture.
///
/// # Errors
/// [`Error::Usage`] where it takes none and is given one, or the other way round, or the weights are not those that it
/// was trained with, or not to be found; when they cannot be read.
pub fn condition<B: ConvBackend>(
    model: &Model<B>,
    path: &Path,
    (reference, vgg): (Option<&RgbImage>, Option<&Path>),
    device: &B::Device,
) -> Result<Option<Tensor<B, 2>>> {
    let (name, wanted) = (path.display(), model.about.statistics);
    let Some(reference) = reference else {
        if wanted > 0 {
            return Err(
                Error::Usage(format!("{name} takes its style from a picture: name one with --reference")).into()
            );
        }
        return Ok(None);
    };
    if wanted == 0 {
        return Err(Error::Usage(format!("{name} takes no style from a picture: leave --reference out")).into());
    }
    let vgg = match vgg {
        Some(vgg) => vgg.to_owned(),
        None => run_description::vgg_of(path.parent().unwrap_or(Path::new("")))?,
    };
    let style = style_of(&Vgg::<B>::load(&vgg, false, device)?, reference, device);
    let given = style.dims()[1];
    if given != wanted {
        return Err(Error::Usage(format!(
            "{name} was trained with other VGG weights ({wanted} statistics, these give {given}): give those"
        ))
        .into());
    }
    Ok(Some(style))
}

/// What a style picture is known by, `[1, n]`.
pub fn style_of<B: ConvBackend>(vgg: &Vgg<B>, picture: &RgbImage, device: &B::Device) -> Tensor<B, 2> {
    let small = reduced(picture, REFERENCE_SIDE, 1.0);
    let [_, _, feature] = vgg.features(bytes_tensor(&small, 4, device).div_scalar(255.0));
    statistics(feature)
}
