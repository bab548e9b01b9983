//! What a training writes of itself into its folder when it begins, and what is read there later.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::backend::Backend;
use nijigen::Error;
use serde::{Deserialize, Serialize};

use crate::data::{read_file, read_text, sha256, write_whole};

/// The version of Burn that this crate pins.
pub const BURN: &str = "0.21.0";
/// The name of the file in a run's folder that says what it was begun with.
pub const RUN: &str = "run.toml";

/// Writes down what the run in `folder` is: versions, checksums of what it is `made_from`, configuration with its seed, and
/// where the VGG weights lay.
///
/// # Errors
/// When it cannot be written.
pub fn write<B: Backend>(
    folder: &Path,
    device: &B::Device,
    vgg: Option<&Path>,
    made_from: &impl Serialize,
    config: &impl Serialize,
) -> Result<()> {
    #[derive(Serialize)]
    struct Description<'a, O, C> {
        nijigen_train: &'static str,
        burn: &'static str,
        backend: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        vgg: Option<PathBuf>,
        made_from: &'a O,
        config: &'a C,
    }
    let description = Description {
        nijigen_train: env!("CARGO_PKG_VERSION"),
        burn: BURN,
        backend: B::name(device),
        // Read from anywhere later.
        vgg: vgg.map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned())),
        made_from,
        config,
    };
    let text = toml::to_string(&description).context("cannot write down the configuration")?;
    write_whole(&folder.join(RUN), text.as_bytes())
}

/// The VGG weights with which the run in `folder` was begun.
///
/// # Errors
/// [`Error::Usage`] when the folder does not tell, or they are not there any more.
pub fn vgg_of(folder: &Path) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct MadeFrom {
        vgg: Option<String>,
    }
    #[derive(Deserialize)]
    struct Told {
        vgg: PathBuf,
        made_from: MadeFrom,
    }
    let file = folder.join(RUN);
    let name_them = |why: String| Error::Usage(format!("name the VGG weights of its training (--vgg): {why}"));
    let told: Option<Told> = read_text(&file).ok().and_then(|text| toml::from_str(&text).ok());
    let Told { vgg, made_from } = told.ok_or_else(|| name_them(format!("{} does not tell", file.display())))?;
    let unchanged = read_file(&vgg).is_ok_and(|bytes| made_from.vgg == Some(sha256(&bytes)));
    if !unchanged {
        return Err(name_them(format!("{} are not they", vgg.display())).into());
    }
    Ok(vgg)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_version_of_burn_is_the_pinned_one() {
        let manifest = include_str!("../Cargo.toml");
        assert!(manifest.contains(&format!("version = \"={BURN}\"")));
    }

    #[test]
    fn vgg_weights_are_found_where_the_run_read_them_unless_they_are_others() {
        let folder = tempfile::tempdir().unwrap();
        let vgg = folder.path().join("vgg.npz");
        std::fs::write(&vgg, "weights").unwrap();
        let error = |text: &str| {
            std::fs::write(folder.path().join(RUN), text).unwrap();
            vgg_of(folder.path()).unwrap_err().to_string()
        };
        assert!(error("burn = \"0\"\n[made_from]\n").contains("run.toml does not tell"));
        let told = format!("vgg = '{}'\n[made_from]\nvgg = \"{}\"\n", vgg.display(), sha256(b"weights"));
        assert!(error(&told.replace("vgg.npz", "other.npz")).contains("other.npz are not they"));
        std::fs::write(&vgg, "others").unwrap();
        assert!(error(&told).contains("vgg.npz are not they"));
        std::fs::write(&vgg, "weights").unwrap();
        assert_eq!(vgg_of(folder.path()).unwrap(), vgg);
    }
}
