//! One step of training.

use anyhow::{Context, Result};
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use burn::module::AutodiffModule;

use super::adversary::Chance;
use super::batches::Draw;
use super::config::Config;
use super::losses::{self, Compared, grey};
use super::state::State;
use crate::data::batches::BatchTensors;
use crate::device::TrainBackend;
use crate::loss;
use crate::net::adain::statistics;
use crate::net::parameters::{average, gradient_norm};
use crate::net::vgg::Vgg;
use crate::peers::Peer;

/// What a step is taken with.
pub struct Step<'a, B: TrainBackend> {
    /// The run's configuration.
    pub config: &'a Config,
    /// The features, where they are compared.
    pub vgg: Option<&'a Vgg<B>>,
    /// Whether the targets are painted.
    pub painted: bool,
    /// Its number.
    pub step: u64,
    /// What rollbacks have left of the rates.
    pub rate_factor: f64,
    /// Where it is computed.
    pub device: &'a B::Device,
    /// Who takes it along with others, each with a share of what is looked at. What dropout forgets is the same for all.
    pub peer: Option<&'a Peer<B>>,
}

/// Figures of a step by their names in the journal.
pub type Figures = Vec<(&'static str, f64)>;

impl<B: TrainBackend> Step<'_, B> {
    /// Takes the step.
    ///
    /// # Errors
    /// When the configuration leaves nothing to train by, or another peer has ended.
    pub fn take(&self, state: &mut State<B>, draw: Draw) -> Result<Figures> {
        let (config, step) = (self.config, self.step);
        if step == config.warm.steps {
            // Another game: its gradients are of another size.
            state.generator_optimizer = State::generator_optimizer(config, step);
        }
        let BatchTensors { photos: bytes, targets: target, weights: weight, .. } =
            draw.content.tensors::<B>(self.device);
        let photo = bytes.div_scalar(255.0);
        let references = draw.references.map(|pictures| pictures.tensor::<B>(self.device));
        let style = match (&references, self.vgg) {
            (Some(pictures), Some(vgg)) => Some(statistics(vgg.features(pictures.clone())[2].clone())),
            _ => None,
        };
        let output = state.generator.forward(photo.clone(), style, config.half);
        let mut scalars = Scalars::default();
        let eyes = self.vgg.filter(|_| step.is_multiple_of(config.features_every));
        let raised = config.features_every as f32;

        let total = if step < config.warm.steps {
            let pixel = loss::pixel(&output, &target, &weight);
            scalars.push("warm_l1", pixel.clone());
            match eyes.filter(|_| config.warm.features > 0.0) {
                Some(vgg) => {
                    let features = vgg.distance(output, target);
                    scalars.push("warm_features", features.clone());
                    pixel + features * (config.warm.features * raised)
                }
                None => pixel,
            }
        } else {
            let real = draw.real.map(|pictures| pictures.tensor::<B>(self.device));
            let smoothed = draw.smoothed.map(|pictures| pictures.tensor::<B>(self.device));
            let mut chance = Chance::of(config.seed, step);
            if let Some(real) = real.as_ref().filter(|_| config.is_adversarial(step)) {
                self.teach_adversaries(
                    state,
                    &mut chance,
                    real,
                    &output.clone().detach(),
                    smoothed.as_ref(),
                    &mut scalars,
                )?;
            }
            // A reference gives its colours too; else, as in AnimeGAN, texture is taken from the style and colour is not.
            let style = references.or_else(|| real.map(|real| grey(&real, [0.299, 0.587, 0.114]).repeat_dim(1, 3)));
            let compared = Compared {
                photo: &photo,
                painted: self.painted.then_some(&target),
                weight: &weight,
                style: style.as_ref(),
                by_reference: config.generator.reference,
            };
            let mut terms = losses::terms(&config.loss, eyes.map(|vgg| (vgg, raised)), &compared, &output);
            if config.is_adversarial(step) {
                terms.extend(state.adversaries.deceive(config, &mut chance, step, &output));
            }
            for term in &terms {
                scalars.push(term.name, term.value.clone());
            }
            losses::sum(&terms).context("no loss is left to train by: give --vgg or --pairs, or a weight in [loss]")?
        };
        scalars.push("generator", total.clone());

        let gradients = self.mean_gradients(GradientsParams::from_grads(total.backward(), &state.generator))?;
        scalars.push_inner("generator_gradient", gradient_norm::<B, _>(&gradients, &state.generator, self.device));
        let rate = config.generator_rate(step) * self.rate_factor;
        state.generator = state.generator_optimizer.step(rate, state.generator.clone(), gradients);
        // Young averages follow closely, so that the first thousand steps do not weigh on them.
        let decay = config.average.min((1.0 + step as f32) / (10.0 + step as f32));
        state.average = average(state.average.clone(), &state.generator.valid(), decay);
        let mut figures = scalars.read();
        if let Some(peer) = self.peer {
            let means = peer.mean(&figures.iter().map(|(_, value)| *value).collect::<Vec<_>>())?;
            for ((_, value), mean) in figures.iter_mut().zip(means) {
                *value = mean;
            }
        }
        Ok(figures)
    }

    /// The mean over all peers.
    fn mean_gradients(&self, gradients: GradientsParams) -> Result<GradientsParams> {
        match self.peer {
            Some(peer) => peer.mean_gradients(gradients),
            None => Ok(gradients),
        }
    }

    fn teach_adversaries(
        &self,
        state: &mut State<B>,
        chance: &mut Chance,
        real: &Tensor<B, 4>,
        fake: &Tensor<B, 4>,
        smoothed: Option<&Tensor<B, 4>>,
        scalars: &mut Scalars<B>,
    ) -> Result<()> {
        state.adversaries = state.adversaries.clone().advance();
        let Some(verdict) = state.adversaries.judge(self.config, chance, real, fake, smoothed) else {
            return Ok(());
        };
        scalars.push("discriminator", verdict.loss.clone());
        scalars.push("accuracy_real", verdict.real);
        scalars.push("accuracy_fake", verdict.fake);
        let gradients =
            self.mean_gradients(GradientsParams::from_grads(verdict.loss.backward(), &state.adversaries))?;
        scalars
            .push_inner("discriminator_gradient", gradient_norm::<B, _>(&gradients, &state.adversaries, self.device));
        let rate = self.config.adversary.discriminator_rate * self.rate_factor;
        state.adversaries = state.adversary_optimizer.step(rate, state.adversaries.clone(), gradients);
        Ok(())
    }
}

/// Numbers that are still on the device: they are read together, so that it is waited for once.
struct Scalars<B: AutodiffBackend> {
    named: Vec<(&'static str, Tensor<B::InnerBackend, 1>)>,
}

impl<B: AutodiffBackend> Default for Scalars<B> {
    fn default() -> Self {
        Self { named: Vec::new() }
    }
}

impl<B: AutodiffBackend> Scalars<B> {
    fn push(&mut self, name: &'static str, value: Tensor<B, 1>) {
        self.push_inner(name, value.inner());
    }

    fn push_inner(&mut self, name: &'static str, value: Tensor<B::InnerBackend, 1>) {
        self.named.push((name, value));
    }

    fn read(self) -> Figures {
        let (names, values): (Vec<_>, Vec<_>) = self.named.into_iter().unzip();
        let data = Tensor::cat(values, 0).into_data();
        names.into_iter().zip(data.iter::<f64>()).collect()
    }
}
