//! What a distillation begins with.

use std::path::Path;

use anyhow::{Context, Result};

use super::config::{Config, Start};
use super::wake::wake;
use crate::data::batches::Batch;
use crate::data::read_file;
use crate::data::training_set::LoadedPair;
use crate::device::TrainBackend;
use crate::net::student::Student;
use crate::weights;
use nijigen::engine::topology::Topology;

/// The batches for waking are a stream of their own, so that those trained on do not depend on it.
const WAKING: u64 = 0x3a4e;

/// A student before its first step.
pub(super) struct Beginning<B: TrainBackend> {
    pub student: Student<B>,
    /// The steps of what its layers store: those of the weights that it begins with, or 1.
    pub activation_scales: Vec<f32>,
    /// Checksum of the weights from which it can be mixed with others.
    pub base_sha256: Option<String>,
}

impl<B: TrainBackend> Beginning<B> {
    /// The student of `topology` that `config` says, or that of the weights `base`, its idle channels
    /// [woken](super::wake::wake) on batches of `train` where `config` asks for it.
    ///
    /// # Errors
    /// When `base` cannot be read, does not fit, or has nothing to wake.
    pub fn new(
        config: &Config,
        topology: &Topology,
        base: Option<&Path>,
        train: &[LoadedPair],
        device: &B::Device,
    ) -> Result<Self> {
        let Some(path) = base else {
            let student = match config.start {
                Start::Random => Student::new(topology, config.seed, device),
                Start::Photo => Student::passing(topology, config.seed, device),
            };
            return Ok(Self { student, activation_scales: vec![1.0; topology.layers.len()], base_sha256: None });
        };
        let cannot = || format!("{} cannot be started from", path.display());
        let base = weights::load(path)?.fitted_to(config.size, topology, config.seed).with_context(cannot)?;
        let base_sha256 = Some(base.as_base(&read_file(path)?));
        let mut network = base.network;
        if config.wake > 0 {
            let batches = (0..config.wake)
                .map(|number| Batch::draw(train, &config.sampling(), config.seed ^ WAKING, number).tensors(device));
            network = wake::<B::InnerBackend>(&network, batches, device).with_context(cannot)?;
        }
        let activation_scales = network.activation_scales();
        Ok(Self { student: Student::from_network(&network, device), activation_scales, base_sha256 })
    }
}
