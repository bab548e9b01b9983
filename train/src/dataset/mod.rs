//! Data sets: photos, art and frames of clips, checked, split and packed into one file.
//!
//! The file is a zip archive whose entries are stored, not compressed (pictures are already): any program opens it, one
//! picture can be read without the others, and every entry has a checksum. `index.json` says what each entry is,
//! `licences.csv` what each source stands under.

pub mod edges;
pub mod fingerprint;
mod pack;
pub mod prepare;
mod trim;

use image::RgbImage;
use serde::{Deserialize, Serialize};

pub use pack::{Dataset, Packer};

/// A picture of the style and the same with its edges smoothed.
#[derive(Debug, Clone)]
pub struct Art {
    /// As it is.
    pub picture: RgbImage,
    /// What a discriminator must refuse.
    pub smoothed: RgbImage,
}

/// What a picture is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A photo to be turned into the style.
    Photo,
    /// A picture of the style.
    Art,
    /// A frame of a clip.
    Frame,
}

/// Which part of a data set a picture belongs to. All frames of a clip belong to the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// To train on.
    Train,
    /// To choose by while training.
    Validation,
    /// To measure on at the end.
    HeldOut,
}

/// One picture of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What it is there for.
    pub kind: Kind,
    /// Which part it belongs to.
    pub part: Part,
    /// Its entry in the archive.
    pub file: String,
    /// The entry with smoothed edges; art alone has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub smoothed: Option<String>,
    /// File name of the picture or clip that it was made from.
    pub source: String,
    /// Checksum of that file.
    pub source_sha256: String,
    /// Frame of the clip.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub frame: Option<u32>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Licence of the source, where known.
    pub licence: Option<String>,
}
