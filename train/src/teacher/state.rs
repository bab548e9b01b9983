//! What changes while a teacher is trained: networks, their optimizers, and where the run stands.

use std::collections::BTreeMap;

use burn::grad_clipping::GradientClippingConfig;
use burn::module::AutodiffModule;
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{Adam, AdamConfig};
use burn::tensor::backend::AutodiffBackend;
use serde::{Deserialize, Serialize};

use super::adversary::Adversaries;
use super::collapse::{Collapse, Watch};
use super::config::Config;
use crate::device::TrainBackend;
use crate::distill::checkpoint::bits;
use crate::net::unet::UNet;

/// Networks and optimizers.
pub struct State<B: TrainBackend> {
    /// The generator that is trained.
    pub generator: UNet<B>,
    /// Its moving average.
    pub average: UNet<<B as AutodiffBackend>::InnerBackend>,
    /// The discriminators.
    pub adversaries: Adversaries<B>,
    /// Moments of the generator's gradients.
    pub generator_optimizer: OptimizerAdaptor<Adam, UNet<B>, B>,
    /// Those of the discriminators'.
    pub adversary_optimizer: OptimizerAdaptor<Adam, Adversaries<B>, B>,
}

/// Adam's first decay: the usual one while warming up, and the lower one that keeps two players from circling
/// (Radford et al. 2016).
const WARM_MOMENTUM: f32 = 0.9;
const GAME_MOMENTUM: f32 = 0.5;

fn adam(config: &Config, momentum: f32) -> AdamConfig {
    AdamConfig::new()
        .with_beta_1(momentum)
        .with_epsilon(1e-8)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(config.clip)))
}

impl<B: TrainBackend> State<B> {
    /// As a run begins, or as one that has come to `step` is read into.
    pub fn new(config: &Config, statistics: usize, step: u64, device: &B::Device) -> Self {
        let generator = UNet::new(&config.generator, statistics, config.seed, device);
        Self {
            average: generator.valid(),
            generator,
            adversaries: Adversaries::new(config, device),
            generator_optimizer: Self::generator_optimizer(config, step),
            adversary_optimizer: adam(config, GAME_MOMENTUM).init(),
        }
    }

    /// A new optimizer for the generator's steps from `step` on.
    pub fn generator_optimizer(config: &Config, step: u64) -> OptimizerAdaptor<Adam, UNet<B>, B> {
        adam(config, if step < config.warm.steps { WARM_MOMENTUM } else { GAME_MOMENTUM }).init()
    }
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps taken.
    pub step: u64,
    /// What is left of the configured rates.
    #[serde(with = "bits")]
    pub rate_factor: f64,
    /// How often it went back, and why.
    pub rollbacks: Vec<Rollback>,
    /// What looks suspicious.
    pub watch: Watch,
    /// The lowest validation loss since the warm start (while it lasts: since the start).
    #[serde(with = "bits")]
    pub best: f64,
    /// Evaluations since then.
    pub stale: u32,
    /// Seconds spent.
    #[serde(with = "bits")]
    pub seconds: f64,
    /// Figures since the last evaluation.
    pub sums: Sums,
}

/// A return to an earlier checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// The step at which the collapse was noticed.
    pub from: u64,
    /// The step that it went back to.
    pub to: u64,
    /// Why.
    pub reason: Collapse,
}

impl Progress {
    /// At the start.
    pub const fn new() -> Self {
        Self {
            step: 0,
            rate_factor: 1.0,
            rollbacks: Vec::new(),
            watch: Watch { won: 0, lost: 0 },
            best: f64::INFINITY,
            stale: 0,
            seconds: 0.0,
            sums: Sums(BTreeMap::new()),
        }
    }
}

/// Figures added up between two evaluations, by their names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums(BTreeMap<String, Sum>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    #[serde(with = "bits")]
    total: f64,
    count: u64,
}

impl Sums {
    /// Adds the figures of a step.
    pub fn add(&mut self, figures: &[(&'static str, f64)]) {
        for (name, value) in figures {
            let sum = self.0.entry((*name).to_owned()).or_default();
            sum.total += value;
            sum.count += 1;
        }
    }

    /// The mean of a figure, if any step had it.
    pub fn mean(&self, name: &str) -> Option<f64> {
        self.0.get(name).map(|sum| sum.total / sum.count as f64)
    }
}
