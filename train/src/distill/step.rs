//! One step of training: the losses of a batch, and what they change.

use anyhow::Result;
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{Adam, AdamConfig, GradientsParams, Optimizer};
use burn::tensor::{ElementConversion, Tensor};
use nijigen::engine::topology::Topology;

use super::adversary::Opponent;
use super::checkpoint::Checkpoint;
use super::config::Config;
use super::mixtures::{Companions, Wanted};
use crate::data::batches::{Batch, BatchTensors, Twins};
use crate::device::TrainBackend;
use crate::loss;
use crate::net::student::{Activations, Arithmetic, Student};
use crate::net::vgg::Vgg;
use crate::peers::Peer;

/// What a step changes: the student and its adversary, each with its optimizer.
pub struct Learner<B: TrainBackend> {
    /// The network that is trained.
    pub student: Student<B>,
    /// Moments of its gradients.
    pub optimizer: OptimizerAdaptor<Adam, Student<B>, B>,
    /// The adversary, where there is one.
    pub opponent: Option<Opponent<B>>,
}

impl<B: TrainBackend> Learner<B> {
    /// A student before its first step.
    pub fn new(student: Student<B>, config: &Config, device: &B::Device) -> Self {
        let optimizer = AdamConfig::new()
            .with_epsilon(1e-8)
            .with_grad_clipping(Some(GradientClippingConfig::Norm(config.clip)))
            .init();
        Self { student, optimizer, opponent: Opponent::new(config, device) }
    }

    /// The same networks on another device, before their first step there.
    pub fn fork(&self, config: &Config, device: &B::Device) -> Self {
        let opponent = self.opponent.as_ref().map(|opponent| opponent.fork(config, device));
        Self { opponent, ..Self::new(self.student.clone().fork(device), config, device) }
    }

    /// As it was when `checkpoint` was written.
    ///
    /// # Errors
    /// When its parts are missing or damaged.
    pub fn restored(self, checkpoint: &Checkpoint, device: &B::Device) -> Result<Self> {
        Ok(Self {
            student: self.student.load_record(checkpoint.record::<B, _>("student", device)?),
            optimizer: self.optimizer.load_record(checkpoint.record::<B, _>("optimizer", device)?),
            opponent: self.opponent.map(|opponent| opponent.restored(checkpoint, device)).transpose()?,
        })
    }
}

/// What a step is taken with.
pub struct Step<'a, B: TrainBackend> {
    /// The run's configuration.
    pub config: &'a Config,
    /// The student's network.
    pub topology: &'a Topology,
    /// The features, where they are compared.
    pub vgg: Option<&'a Vgg<B>>,
    /// The styles that it is to mix with.
    pub companions: &'a Companions<B>,
    /// Its number, from 0 on.
    pub number: u64,
    /// Steps of the layers' stored activations, with fake-quant.
    pub activation_scales: Option<&'a [f32]>,
    /// Where it is computed.
    pub device: &'a B::Device,
    /// Who takes it along with others, each with a share of the batch.
    pub peer: Option<&'a Peer<B>>,
}

/// Losses of a step, not weighted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Pixel loss, of 1.
    pub pixel: f64,
    /// Gradient loss, of 1.
    pub gradient: f64,
    /// Loss of the person mask, where it is learned.
    pub person_mask: Option<f64>,
    /// Flicker between twins, where there are any.
    pub flicker: Option<f64>,
    /// Feature distance, where features were compared.
    pub features: Option<f64>,
    /// Loss of a mixture, where there is one.
    pub mixture: Option<f64>,
    /// What came of the adversary, once it takes part.
    pub adversary: Option<Contest>,
}

/// What came of the adversary in a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contest {
    /// The student's loss.
    pub adversarial: f64,
    /// The discriminator's loss.
    pub discriminator: f64,
    /// Share of the targets' patches that were taken for real.
    pub accuracy_real: f64,
    /// Share of the student's that were not.
    pub accuracy_fake: f64,
}

impl Figures {
    /// The mean over all peers.
    fn mean<B: TrainBackend>(mut self, peer: &Peer<B>) -> Result<Self> {
        let mut values = vec![&mut self.pixel, &mut self.gradient];
        let others = [&mut self.person_mask, &mut self.flicker, &mut self.features, &mut self.mixture];
        values.extend(others.into_iter().flatten());
        if let Some(contest) = &mut self.adversary {
            let Contest { adversarial, discriminator, accuracy_real, accuracy_fake } = contest;
            values.extend([adversarial, discriminator, accuracy_real, accuracy_fake]);
        }
        let means = peer.mean(&values.iter().map(|value| **value).collect::<Vec<_>>())?;
        for (value, mean) in values.into_iter().zip(means) {
            *value = mean;
        }
        Ok(self)
    }

    /// Whether all losses are numbers.
    fn are_finite(&self) -> bool {
        let contest = self.adversary.map(|contest| [contest.adversarial, contest.discriminator]);
        let losses =
            [Some(self.pixel), Some(self.gradient), self.person_mask, self.flicker, self.features, self.mixture];
        losses.into_iter().flatten().chain(contest.into_iter().flatten()).all(f64::is_finite)
    }
}

impl<B: TrainBackend> Step<'_, B> {
    /// Takes the step; `None` where a loss is no longer a number, with nothing changed but the adversary.
    ///
    /// # Errors
    /// As [`Student::forward`], and when another peer has ended.
    pub fn take(&self, learner: &mut Learner<B>, batch: Batch) -> Result<Option<Figures>> {
        let (config, step) = (self.config, self.number);
        let BatchTensors { photos, targets: target, weights: weight, masks, twins } = batch.tensors::<B>(self.device);
        let half = config.is_half_at(step);
        let arithmetic = Arithmetic { half, activations: Activations::quantized_in(self.activation_scales) };
        let output = learner.student.forward(self.topology, photos.clone(), arithmetic)?;
        let of_mask = masks.as_ref().map(|masks| (output.clone().narrow(1, 3, 1) - masks.clone()).abs().mean());
        let output = output.narrow(1, 0, 3);
        let flicker = twins.map(|twins| flicker(&twins, &output, &photos));
        let pixel = loss::pixel(&output, &target, &weight);
        let gradient = loss::gradient(&output, &target, &weight);
        // Lines come after colours: from the first step on, the gradient loss would flatten the still random
        // picture, and its neurons would not come back.
        let ramp = (step as f32 / config.warmup.max(1) as f32).min(1.0);
        let mut total = pixel.clone() + gradient.clone() * (config.loss.gradient * ramp);
        if let Some(of_mask) = &of_mask {
            total = total + of_mask.clone() * config.loss.person_mask;
        }
        if let Some(flicker) = &flicker {
            total = total + flicker.clone() * config.flicker_at(step);
        }
        let features = self.vgg.filter(|_| step.is_multiple_of(config.loss.features_every)).map(|vgg| {
            let distance = vgg.distance(self.part(output.clone()), self.part(target.clone()));
            (distance.clone(), distance * (config.loss.features * config.loss.features_every as f32))
        });
        let features = features.map(|(distance, weighted)| {
            total = total.clone() + weighted;
            distance
        });
        let wanted = Wanted { photos: &photos, targets: &target, weights: &weight, masks: masks.as_ref() };
        let (companions, student) = (self.companions, &learner.student);
        let mixture = companions.loss(config, self.topology, step, student, self.activation_scales, wanted)?;
        if let Some(mixture) = &mixture {
            total = total + mixture.clone() * config.loss.mixture;
        }
        let mut contest = None;
        if let (Some(opponent), Some(weight)) = (&mut learner.opponent, config.adversarial_at(step)) {
            let verdict = opponent.learn(config, &target, &output.clone().detach(), half, self.peer)?;
            let adversarial = opponent.deceive(config, output, half)?;
            total = total + adversarial.clone() * weight;
            contest = Some(Contest {
                adversarial: value(adversarial),
                discriminator: value(verdict.loss),
                accuracy_real: value(verdict.real),
                accuracy_fake: value(verdict.fake),
            });
        }
        let mut figures = Figures {
            pixel: value(pixel),
            gradient: value(gradient),
            person_mask: of_mask.map(value),
            flicker: flicker.map(value),
            features: features.map(value),
            mixture: mixture.map(value),
            adversary: contest,
        };
        if let Some(peer) = self.peer {
            // What is no number with one peer is none with any, and all end here.
            figures = figures.mean(peer)?;
        }
        if !figures.are_finite() {
            return Ok(None);
        }
        let mut gradients = GradientsParams::from_grads(total.backward(), &learner.student);
        if let Some(peer) = self.peer {
            gradients = peer.mean_gradients(gradients)?;
        }
        learner.student = learner.optimizer.step(config.rate_at(step), learner.student.clone(), gradients);
        Ok(Some(figures))
    }

    /// The part of each crop on which features are compared: another one from step to step.
    fn part(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let at = self.config.loss.features_crop;
        let places = self.config.crop as usize - at + 1;
        let number = self.number as usize;
        x.narrow(2, (number * 8) % places, at).narrow(3, (number * 24) % places, at)
    }
}

/// How much more the pictures of twins change than their photos.
fn flicker<B: TrainBackend>(twins: &Twins<B>, output: &Tensor<B, 4>, photos: &Tensor<B, 4>) -> Tensor<B, 1> {
    let count = twins.standing.dims()[0];
    let first = output.dims()[0] - count;
    let part = |x: &Tensor<B, 4>, first| x.clone().narrow(0, first, count);
    let moments = |x: &Tensor<B, 4>| loss::Moments { elders: part(x, 0), twins: part(x, first), shift: twins.shift };
    loss::flicker(&moments(output), &moments(photos), &twins.standing)
}

fn value<B: TrainBackend>(loss: Tensor<B, 1>) -> f64 {
    loss.into_scalar().elem()
}
