//! Checkpoints: an index that names pieces by their content, each below 16 MiB. Pieces are written first and the index
//! last, each beside its place and then renamed, so that what the index names is always whole.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::module::Module;
use burn::optim::Optimizer;
use burn::record::Record;
use burn::tensor::backend::Backend;
use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::state::{Progress, State};
use crate::data::{sha256, write_whole};
use crate::device::TrainBackend;
use crate::distill::checkpoint::{from_bytes, to_bytes};

/// Which of the two checkpoints of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The newest: to go on from.
    Latest,
    /// The newest at which nothing was suspicious: to go back to.
    Good,
}

impl Which {
    const fn file(self) -> &'static str {
        match self {
            Self::Latest => "latest.json",
            Self::Good => "good.json",
        }
    }
}

/// What a run is made from, by checksums: it goes on only from the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The configuration.
    pub config: String,
    /// The pairs' index.
    pub pairs: Option<String>,
    /// The data set.
    pub dataset: Option<String>,
    /// The style pictures named on the command line.
    pub references: Vec<String>,
    /// The VGG weights.
    pub vgg: Option<String>,
    /// The teacher that it began as, where it did not begin with random weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

impl Origin {
    /// What differs from `other`, in words that a user knows it by.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        [
            (self.config != other.config, "another configuration (--config)"),
            (self.pairs != other.pairs, "other pairs (--pairs; they may have been painted again since)"),
            (self.dataset != other.dataset, "another data set (--dataset)"),
            (self.references != other.references, "other style pictures (--reference)"),
            (
                self.base != other.base,
                "another teacher to begin as (--base), or with one where it is now without or the other way round",
            ),
            (self.vgg != other.vgg, "other VGG weights, or with --vgg where it is now without or the other way round"),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }
}

/// What an index file holds behind its checksum.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    progress: Progress,
    origin: Origin,
    /// Names of the pieces' files, which are their checksums.
    pieces: [String; 3],
}

/// The folder of a run's checkpoints.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    origin: Origin,
}

type Parts = Vec<(&'static str, Vec<u8>)>;

/// The folder in a run's folder that they lie in, which is made before anything else.
pub const CHECKPOINTS: &str = "checkpoint";

impl Store {
    /// In `folder`, which is made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: PathBuf, origin: Origin) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self { folder, origin })
    }

    /// Whether there is such a checkpoint.
    pub fn has(&self, which: Which) -> bool {
        self.folder.join(which.file()).exists()
    }

    /// Writes the newest checkpoint; with `good` it is also the one to go back to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save<B: TrainBackend>(&self, progress: &Progress, state: &State<B>, good: bool) -> Result<()> {
        let pieces: [Parts; 3] = [
            vec![
                ("generator", to_bytes::<B, _>(state.generator.clone().into_record())?),
                ("average", to_bytes::<B::InnerBackend, _>(state.average.clone().into_record())?),
            ],
            vec![("moments", to_bytes::<B, _>(state.generator_optimizer.to_record())?)],
            vec![
                ("adversaries", to_bytes::<B, _>(state.adversaries.clone().into_record())?),
                ("moments", to_bytes::<B, _>(state.adversary_optimizer.to_record())?),
            ],
        ];
        let mut names: [String; 3] = Default::default();
        for (name, parts) in names.iter_mut().zip(pieces) {
            *name = self.save_piece(parts)?;
        }
        let index = Index { progress: progress.clone(), origin: self.origin.clone(), pieces: names };
        let json = serde_json::to_string(&index)?;
        let text = format!("{}\n{json}\n", sha256(json.as_bytes()));
        write_whole(&self.folder.join(Which::Latest.file()), text.as_bytes())?;
        if good {
            write_whole(&self.folder.join(Which::Good.file()), text.as_bytes())?;
        }
        self.remove_unnamed()
    }

    fn save_piece(&self, parts: Parts) -> Result<String> {
        let mut hashes = String::new();
        let arrays: Vec<_> = parts
            .into_iter()
            .map(|(name, bytes)| {
                hashes.push_str(&sha256(&bytes));
                (name.to_owned(), vec![bytes.len()], bytes)
            })
            .collect();
        let name = sha256(hashes.as_bytes());
        let path = self.piece(&name);
        if !path.exists() {
            crate::weights::write(&path, &arrays, Dtype::U8, HashMap::new())?;
        }
        Ok(name)
    }

    fn piece(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}.safetensors", name.get(..16).unwrap_or(name)))
    }

    /// Pieces that neither index names are of no use.
    fn remove_unnamed(&self) -> Result<()> {
        let mut named = BTreeSet::new();
        for which in [Which::Latest, Which::Good].into_iter().filter(|which| self.has(*which)) {
            // One that cannot be read is named when it is wanted; until then nothing is removed.
            let Ok(index) = self.index(which) else { return Ok(()) };
            named.extend(index.pieces.iter().map(|name| self.piece(name)));
        }
        let reading = || format!("cannot read {}", self.folder.display());
        for entry in fs::read_dir(&self.folder).with_context(reading)? {
            let path = entry.with_context(reading)?.path();
            if path.extension().is_some_and(|e| e == "safetensors") && !named.contains(&path) {
                fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        Ok(())
    }

    fn index(&self, which: Which) -> Result<Index> {
        let path = self.folder.join(which.file());
        let damaged = || damaged(&path);
        let bytes = fs::read(&path).with_context(|| format!("cannot read the checkpoint {}", path.display()))?;
        let text = String::from_utf8(bytes).with_context(damaged)?;
        let (sum, json) = text.trim_end().split_once('\n').with_context(damaged)?;
        ensure!(sum == sha256(json.as_bytes()), "{}: its checksum is wrong", damaged());
        serde_json::from_str(json).with_context(damaged)
    }

    /// Where a checkpoint stands.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or was not made from this store's origin.
    pub fn progress(&self, which: Which) -> Result<Progress> {
        let index = self.index(which)?;
        if let Some(what) = index.origin.difference(&self.origin) {
            bail!(
                "the checkpoint in {} was made with {what}: give what it was made with, or another folder",
                self.folder.display()
            );
        }
        Ok(index.progress)
    }

    /// Reads networks and optimizers into `state`, which is of the same configuration.
    ///
    /// # Errors
    /// When a piece is missing or damaged.
    pub fn load<B: TrainBackend>(&self, which: Which, state: State<B>, device: &B::Device) -> Result<State<B>> {
        let pieces = self.index(which)?.pieces;
        let [networks, moments, adversaries] = [
            self.load_piece(&pieces[0], &["generator", "average"])?,
            self.load_piece(&pieces[1], &["moments"])?,
            self.load_piece(&pieces[2], &["adversaries", "moments"])?,
        ];
        Ok(State {
            generator: state.generator.load_record(self.record::<B, _>(&networks[0], device)?),
            average: state.average.load_record(self.record::<B::InnerBackend, _>(&networks[1], device)?),
            generator_optimizer: state.generator_optimizer.load_record(self.record::<B, _>(&moments[0], device)?),
            adversaries: state.adversaries.load_record(self.record::<B, _>(&adversaries[0], device)?),
            adversary_optimizer: state.adversary_optimizer.load_record(self.record::<B, _>(&adversaries[1], device)?),
        })
    }

    fn record<B: Backend, R: Record<B>>(&self, bytes: &[u8], device: &B::Device) -> Result<R> {
        from_bytes::<B, R>(bytes, device).with_context(|| damaged(&self.folder))
    }

    fn load_piece(&self, name: &str, parts: &[&str]) -> Result<Vec<Vec<u8>>> {
        let path = self.piece(name);
        let damaged = || damaged(&path);
        let bytes = fs::read(&path).with_context(damaged)?;
        let tensors = SafeTensors::deserialize(&bytes).with_context(damaged)?;
        let part = |part: &&str| Ok(tensors.tensor(part).with_context(damaged)?.data().to_vec());
        let parts: Vec<Vec<u8>> = parts.iter().map(part).collect::<Result<_>>()?;
        let hashes: String = parts.iter().map(|part| sha256(part)).collect();
        ensure!(sha256(hashes.as_bytes()) == name, "{}: its checksum is wrong", damaged());
        Ok(parts)
    }
}

fn damaged(path: &Path) -> String {
    format!("the checkpoint {} is damaged or of another version; delete its folder to start anew", path.display())
}
