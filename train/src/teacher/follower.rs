//! Training a teacher on several devices: what the leader sends the other peers, and what they do with it.

use std::sync::mpsc::Receiver;

use anyhow::Result;

use super::batches::Draw;
use super::checkpoint::{Store, Which};
use super::config::Config;
use super::state::State;
use super::step::Step;
use crate::device::TrainBackend;
use crate::net::vgg::Vgg;
use crate::peers::{Group, Peer};

/// What a follower is to do.
pub enum Order {
    /// To take a step.
    Step {
        /// Its number.
        step: u64,
        /// What rollbacks have left of the rates.
        rate_factor: f64,
        /// Its share of what the step looks at.
        draw: Box<Draw>,
    },
    /// To go on from the last good checkpoint, as the leader does.
    GoBack,
}

impl Order {
    /// Has the followers of `group` take step `step` with their shares of `draw`; gives the leader's own share.
    ///
    /// # Errors
    /// [`Left`](crate::peers::Left) when one of them has ended.
    pub fn step<B: TrainBackend>(group: &Group<B, Self>, step: u64, rate_factor: f64, draw: Draw) -> Result<Draw> {
        group.share(draw.shares(group.size()), |draw| Self::Step { step, rate_factor, draw: Box::new(draw) })
    }

    /// Has them go back.
    ///
    /// # Errors
    /// [`Left`](crate::peers::Left) when one of them has ended.
    pub fn go_back<B: TrainBackend>(group: &Group<B, Self>) -> Result<()> {
        group.send((1..group.size()).map(|_| Self::GoBack))
    }
}

/// What a follower brings to its thread. Its networks are those of the leader's checkpoints, of which there is one from the
/// start on.
pub struct Follower<B: TrainBackend> {
    /// Where it computes.
    pub device: B::Device,
    /// As the leader's.
    pub state: State<B>,
    /// The features, where they are compared.
    pub vgg: Option<Vgg<B>>,
}

/// What all followers have in common with the leader.
pub struct Common<'a> {
    /// The run's configuration.
    pub config: &'a Config,
    /// Whether the targets are painted.
    pub painted: bool,
    /// Statistics of a style picture that the generator reads.
    pub statistics: usize,
    /// Where the checkpoints are.
    pub store: &'a Store,
}

impl Common<'_> {
    /// The networks and optimizers of a checkpoint.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn state<B: TrainBackend>(&self, which: Which, device: &B::Device) -> Result<State<B>> {
        let step = self.store.progress(which)?.step;
        self.store.load(which, State::new(self.config, self.statistics, step, device), device)
    }
}

impl<B: TrainBackend> Follower<B> {
    /// Does what is ordered, until there is nothing more.
    ///
    /// # Errors
    /// When a step fails or a checkpoint cannot be read.
    pub fn follow(mut self, common: &Common<'_>, peer: &Peer<B>, orders: Receiver<Order>) -> Result<()> {
        for order in orders {
            match order {
                Order::GoBack => self.state = common.state(Which::Good, &self.device)?,
                Order::Step { step, rate_factor, draw } => {
                    let taken = Step {
                        config: common.config,
                        vgg: self.vgg.as_ref(),
                        painted: common.painted,
                        step,
                        rate_factor,
                        device: &self.device,
                        peer: Some(peer),
                    };
                    taken.take(&mut self.state, *draw)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "collective"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use burn::backend::{Autodiff, NdArray};

    use crate::net::parameters::{Named, named};
    use crate::net::unet::UNet;
    use crate::teacher::collapse::Collapse;
    use crate::teacher::config::Config;
    use crate::teacher::model::Model;
    use crate::teacher::run::{Fault, NoFault, train};
    use crate::teacher::task::{Outcome, TEACHER};
    use crate::teacher::tests::{Break, Poison, config as with_dropout, figures, teacher};

    type B = Autodiff<NdArray>;

    /// Dropout is drawn anew on each device.
    fn config(steps: u64) -> Config {
        let mut config = with_dropout(steps);
        config.discriminator.dropout = 0.0;
        config
    }

    fn run(devices: usize, out: &Path, config: Config, stop: bool, fault: &mut impl Fault) -> Outcome {
        train::<B, _>(teacher(out, config, stop), &vec![Default::default(); devices], fault).unwrap()
    }

    fn weights(out: &Path) -> Vec<f32> {
        let network: UNet<NdArray> = Model::load(&out.join(TEACHER), &Default::default()).unwrap().network;
        named(&network).into_iter().flat_map(|Named { values, .. }| values).collect()
    }

    fn distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
    }

    #[test]
    fn a_run_of_two_peers_does_as_one_with_the_whole_batch() {
        let [begin, one, two] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let mut short = config(6);
        short.steps = 3;
        run(1, begin.path(), short, false, &mut NoFault);
        for (devices, out) in [(1, &one), (2, &two)] {
            assert!(run(devices, out.path(), config(6), false, &mut NoFault).finished);
        }
        let [begin, one, two] = [&begin, &one, &two].map(|out| weights(out.path()));
        let (apart, moved) = (distance(&one, &two), distance(&begin, &one));
        assert!(apart < 0.05 * moved, "{apart} apart, {moved} moved");
    }

    #[test]
    fn two_peers_go_back_together_and_a_stopped_run_of_theirs_goes_on_as_if_it_had_not_been() {
        let [whole, parts, back] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let expected = run(2, whole.path(), config(7), false, &mut NoFault);
        let mut outcome = run(2, parts.path(), config(7), true, &mut NoFault);
        assert_eq!((outcome.step, outcome.finished), (1, false));
        while !outcome.finished {
            outcome = run(2, parts.path(), config(7), true, &mut NoFault);
        }
        assert_eq!(outcome.validation, expected.validation);
        assert_eq!(figures(whole.path()), figures(parts.path()));
        assert!(weights(whole.path()) == weights(parts.path()));
        let outcome = run(2, back.path(), config(8), false, &mut Break { at: 5, times: 1, how: Poison });
        let reasons: Vec<Collapse> = outcome.rollbacks.iter().map(|rollback| rollback.reason).collect();
        assert_eq!((outcome.step, outcome.finished, reasons), (8, true, vec![Collapse::NotFinite]));
        assert!(weights(back.path()).iter().all(|value| value.is_finite()));
    }
}
