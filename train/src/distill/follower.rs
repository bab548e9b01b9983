//! Distillation on several devices: what the leader sends the other peers, and what they do with it.

use std::sync::mpsc::Receiver;

use anyhow::{Result, ensure};

use super::Distillation;
use super::mixtures::Companions;
use super::step::{Learner, Step};
use crate::data::batches::Batch;
use crate::device::TrainBackend;
use crate::net::vgg::Vgg;
use crate::peers::{Group, Left, Peer};

/// A step for a follower to take.
pub struct Order {
    number: u64,
    /// Its share.
    batch: Batch,
    /// Steps of the layers' stored activations, with fake-quant: the leader's, as only it looks for them.
    activation_scales: Option<Vec<f32>>,
}

impl Order {
    /// Has the followers of `group` take step `number` with their shares of `batch`; gives the leader's own share.
    ///
    /// # Errors
    /// [`Left`] when one of them has ended.
    pub fn give<B: TrainBackend>(
        group: &Group<B, Self>,
        number: u64,
        batch: Batch,
        activation_scales: Option<&[f32]>,
    ) -> Result<Batch> {
        let order = |batch| Self { number, batch, activation_scales: activation_scales.map(<[f32]>::to_vec) };
        group.share(batch.shares(group.size()), order)
    }
}

/// What a follower brings to its thread.
pub struct Follower<B: TrainBackend> {
    /// Where it computes.
    pub device: B::Device,
    /// A student and an adversary that equal the leader's.
    pub learner: Learner<B>,
    /// The features, where they are compared.
    pub vgg: Option<Vgg<B>>,
    /// The styles that the student is to mix with.
    pub companions: Companions<B>,
}

impl<B: TrainBackend> Follower<B> {
    /// Takes the steps that are ordered, until there are no more.
    ///
    /// # Errors
    /// When a step fails; [`Left`] when it fails for all, which the leader tells of.
    pub fn follow(mut self, task: &Distillation, peer: &Peer<B>, orders: Receiver<Order>) -> Result<()> {
        for Order { number, batch, activation_scales } in orders {
            let step = Step {
                config: &task.config,
                topology: &task.topology,
                vgg: self.vgg.as_ref(),
                companions: &self.companions,
                number,
                activation_scales: activation_scales.as_deref(),
                device: &self.device,
                peer: Some(peer),
            };
            ensure!(step.take(&mut self.learner, batch).map_err(|error| task.failed(error))?.is_some(), Left);
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "collective"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;
    use std::sync::Mutex;

    use burn::backend::{Autodiff, NdArray};
    use burn::module::AutodiffModule;
    use nijigen::engine::topology::Topology;

    use super::*;
    use crate::data::pairs::Split;
    use crate::distill::Outcome;
    use crate::distill::config::Config;
    use crate::distill::tests::{config, curve, distillation, pair, with_adversary};
    use crate::net::parameters::{Named, named};
    use crate::net::student::Student;
    use crate::peers::together;

    type B = Autodiff<NdArray>;

    const STEPS: u64 = 6;
    /// What rounding may change, as a share of what training does. Not a bound for each weight: where a gradient is nought
    /// but for rounding, Adam's step, which knows no size, is as large as any.
    const ROUNDING: f32 = 0.02;

    /// Distance of two networks, weight by weight (Euclidean).
    fn distance<'a>(a: impl Iterator<Item = &'a f32>, b: impl Iterator<Item = &'a f32>) -> f32 {
        a.zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
    }

    fn values(parameters: &[Named]) -> impl Iterator<Item = &f32> {
        parameters.iter().flat_map(|part| &part.values)
    }

    /// Weights after each step of what starts as `learner`, which takes part `number` of `count` of every batch.
    fn weights_of(
        mut learner: Learner<B>,
        config: &Config,
        peer: Option<&Peer<B>>,
        number: usize,
        count: usize,
    ) -> Vec<Vec<Named>> {
        let pairs: Vec<_> = (0..3).map(|n| pair(n, Split::Train)).collect();
        let topology = Topology::two_scale_with(4, 4, 4);
        let take = |step: u64| {
            let batch = Batch::draw(&pairs, &config.sampling(), config.seed, step).shares(count).swap_remove(number);
            let step = Step {
                config,
                topology: &topology,
                vgg: None,
                companions: &Companions::none(),
                number: step,
                activation_scales: None,
                device: &Default::default(),
                peer,
            };
            assert!(step.take(&mut learner, batch).unwrap().is_some());
            named(&learner.student.valid())
        };
        (0..STEPS).map(take).collect()
    }

    #[test]
    fn two_peers_stay_equal_and_do_as_one_with_the_whole_batch() {
        let (config, device) = (with_adversary(config(STEPS)), Default::default());
        let student = Student::<B>::new(&Topology::two_scale_with(4, 4, 4), 1, &device);
        let start = named(&student.valid());
        let learner = Learner::new(student, &config, &device);
        let fork = || learner.fork(&config, &device);
        let alone = weights_of(fork(), &config, None, 0, 1);
        let second = Mutex::new(Vec::new());
        let follow = |peer: &Peer<B>, learner, _: Receiver<()>| {
            *second.lock().unwrap() = weights_of(learner, &config, Some(peer), 1, 2);
            Ok(())
        };
        let lead = |group: &Group<B, ()>| Ok(weights_of(fork(), &config, Some(&group.peer), 0, 2));
        let first = together(&[device; 2], vec![fork()], follow, lead).unwrap();
        for (step, (both, alone)) in first.iter().zip(second.lock().unwrap().iter()).zip(&alone).enumerate() {
            assert_eq!(both.0, both.1, "step {step}");
            let (apart, moved) = (distance(values(both.0), values(alone)), distance(values(&start), values(alone)));
            assert!(apart < ROUNDING * moved, "step {step}: {apart} apart, {moved} moved");
        }
    }

    fn run_on(devices: usize, out: &Path, config: &Config, stop: bool) -> Outcome {
        distillation(out, config.clone(), stop).train_on::<B>(&vec![Default::default(); devices]).unwrap()
    }

    #[test]
    fn a_run_of_two_peers_that_was_stopped_ends_as_if_it_had_not_been() {
        let config = with_adversary(Config { evaluate_every: 2, ..config(7) });
        let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let expected = run_on(2, whole.path(), &config, false);
        let mut outcome = run_on(2, parts.path(), &config, true);
        assert_eq!((outcome.step, outcome.finished), (1, false));
        while !outcome.finished {
            outcome = run_on(2, parts.path(), &config, true);
        }
        assert_eq!((outcome.step, outcome.best), (expected.step, expected.best));
        assert_eq!(outcome.network.layers, expected.network.layers);
        assert_eq!(curve(whole.path()), curve(parts.path()));
    }

    #[test]
    fn a_run_goes_on_with_another_number_of_devices() {
        let config = Config { quantize_from: 1.0, ..config(4) };
        let (one, changed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let expected = run_on(1, one.path(), &config, false);
        let first = run_on(2, changed.path(), &config, true);
        assert_eq!(first.step, 1);
        assert_eq!(run_on(1, changed.path(), &config, true).step, 2);
        let outcome = run_on(2, changed.path(), &config, false);
        assert!(outcome.finished && (outcome.best - expected.best).abs() < 0.05, "{outcome:?}");
        let weights = |outcome: &Outcome| -> Vec<f32> {
            outcome.network.layers.iter().flat_map(|layer| layer.weight.clone()).collect()
        };
        let [first, outcome, expected] = [&first, &outcome, &expected].map(weights);
        let (apart, moved) = (distance(outcome.iter(), expected.iter()), distance(first.iter(), expected.iter()));
        assert!(apart < ROUNDING * moved, "{apart} apart, {moved} moved");
    }
}
