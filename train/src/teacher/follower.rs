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
