//! Everything a distillation needs to go on exactly where it was, in one file.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::record::{BinBytesRecorder, FullPrecisionSettings, Record, Recorder};
use burn::tensor::backend::Backend;
use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::data::sha256;

/// Where training stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps taken.
    pub step: u64,
    /// Step of each layer's stored activation.
    pub activation_scales: Vec<f32>,
    /// The lowest held-out L1 since fake-quant began (before it: since the start), of 255.
    pub best: f64,
    /// Evaluations since then.
    pub stale: u32,
    /// Seconds spent.
    pub seconds: f64,
    /// Checksum of the configuration that it belongs to.
    pub config: String,
}

/// The parts that are stored as Burn records.
const PARTS: [&str; 3] = ["student", "average", "optimizer"];

fn to_bytes<B: Backend, R: Record<B>>(record: R) -> Result<Vec<u8>> {
    Recorder::<B>::record(&BinBytesRecorder::<FullPrecisionSettings>::default(), record, ())
        .context("cannot serialize a checkpoint")
}

fn from_bytes<B: Backend, R: Record<B>>(bytes: &[u8], device: &B::Device) -> Result<R> {
    Recorder::<B>::load(&BinBytesRecorder::<FullPrecisionSettings>::default(), bytes.to_vec(), device)
        .context("cannot read a checkpoint's record")
}

/// Writes a checkpoint beside `path`, then renames.
///
/// # Errors
/// When it cannot be written.
pub fn save<B: Backend, I: Backend, S: Module<B>, A: Module<I>, O: Record<B>>(
    path: &Path,
    progress: &Progress,
    student: S,
    average: A,
    optimizer: O,
) -> Result<()> {
    let parts = [
        to_bytes::<B, _>(student.into_record())?,
        to_bytes::<I, _>(average.into_record())?,
        to_bytes::<B, _>(optimizer)?,
    ];
    let mut metadata = HashMap::from([("progress".to_owned(), serde_json::to_string(progress)?)]);
    for (name, part) in PARTS.iter().zip(&parts) {
        metadata.insert(format!("sha256.{name}"), sha256(part));
    }
    let arrays: Vec<_> =
        PARTS.iter().zip(parts).map(|(name, part)| ((*name).to_owned(), vec![part.len()], part)).collect();
    crate::weights::write(path, &arrays, Dtype::U8, metadata)
}

/// Reads a checkpoint into networks and optimizer of the same shape.
///
/// # Errors
/// When it cannot be read, is damaged, or belongs to another configuration.
pub fn load<B: Backend, I: Backend, S: Module<B>, A: Module<I>, O: Record<B>>(
    path: &Path,
    config: &str,
    student: S,
    average: A,
    device: (&B::Device, &I::Device),
) -> Result<(Progress, S, A, O)> {
    let damaged = || format!("the checkpoint {} is damaged; delete it to start anew", path.display());
    let bytes = fs::read(path).with_context(|| format!("cannot read the checkpoint {}", path.display()))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).with_context(damaged)?;
    let metadata = header.metadata().clone().with_context(damaged)?;
    let tensors = SafeTensors::deserialize(&bytes).with_context(damaged)?;
    let progress: Progress =
        serde_json::from_str(metadata.get("progress").with_context(damaged)?).with_context(damaged)?;
    if progress.config != config {
        bail!(
            "the checkpoint {} belongs to another configuration; use that one, or another output folder",
            path.display()
        );
    }
    let part = |name: &str| -> Result<Vec<u8>> {
        let data = tensors.tensor(name)?.data().to_vec();
        if metadata.get(&format!("sha256.{name}")) != Some(&sha256(&data)) {
            bail!("checksum of '{name}' is wrong");
        }
        Ok(data)
    };
    let [of_student, of_average, of_optimizer] = PARTS.map(|name| part(name).with_context(damaged));
    let student = student.load_record(from_bytes::<B, _>(&of_student?, device.0).with_context(damaged)?);
    let average = average.load_record(from_bytes::<I, _>(&of_average?, device.1).with_context(damaged)?);
    let optimizer = from_bytes::<B, O>(&of_optimizer?, device.0).with_context(damaged)?;
    Ok((progress, student, average, optimizer))
}
