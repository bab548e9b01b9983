//! The adversary of a distillation: a small discriminator that learns to tell targets from the student's pictures, and so
//! asks for what L1 flattens out (Isola et al. 2017).

use anyhow::{Context, Result, ensure};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{Adam, AdamConfig, GradientsParams, Optimizer};
use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, Part, to_bytes};
use super::config::Config;
use crate::device::TrainBackend;
use crate::game::{Game, Verdict, mean};
use crate::net::patch_discriminator::{DiscriminatorShape, PatchDiscriminator};
use crate::peers::Peer;

/// What an adversary is told: a [`PatchDiscriminator`] that takes one step of its own before each of the student's. It is
/// small, as it takes part in every step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adversary {
    /// How its verdict becomes a loss.
    pub game: Game,
    /// Channels of its layers; all but the last halve the sides.
    pub channels: Vec<usize>,
    /// Its learning rate, which stays as it is; above 0 and at most 1.
    pub rate: f64,
    /// The share of the steps after which it begins, 0 to 1: a picture that is still grey teaches it nothing. Its weight in
    /// the student's loss rises from there over `warmup` steps.
    pub from: f64,
}

impl Default for Adversary {
    /// About half as many multiply-adds for a picture as the student `m`; the rate is pix2pix's (Isola et al. 2017).
    fn default() -> Self {
        Self { game: Game::Lsgan, channels: vec![16, 32, 48], rate: 2e-4, from: 0.1 }
    }
}

impl Adversary {
    /// Then it is not written, so that configurations from before there was an adversary are the same.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn shape(&self) -> DiscriminatorShape {
        DiscriminatorShape { channels: self.channels.clone(), dropout: 0.0 }
    }

    /// Whether it can look at crops of this side.
    ///
    /// # Errors
    /// When a value makes no sense; the text names it.
    pub(super) fn check(&self, crop: u32) -> Result<()> {
        ensure!(
            (1..=6).contains(&self.channels.len()) && self.channels.iter().all(|c| (1..=1024).contains(c)),
            "'adversary.channels' are {:?}, they must be 1 to 6 numbers from 1 to 1024",
            self.channels
        );
        let least = self.shape().least_side();
        ensure!(crop as usize >= least, "'crop' is {crop}, 'adversary.channels' want at least {least}");
        // Written so that NaN is refused.
        ensure!(
            self.rate > 0.0 && self.rate <= 1.0,
            "'adversary.rate' is {}, it must be above 0 and at most 1",
            self.rate
        );
        ensure!((0.0..=1.0).contains(&self.from), "'adversary.from' is {}, it must lie within 0 to 1", self.from);
        Ok(())
    }
}

/// Adam's first decay, which keeps two players from circling (Radford et al. 2016).
const GAME_MOMENTUM: f32 = 0.5;

/// The adversary at play.
pub struct Opponent<B: TrainBackend> {
    network: PatchDiscriminator<B>,
    optimizer: OptimizerAdaptor<Adam, PatchDiscriminator<B>, B>,
}

impl<B: TrainBackend> Opponent<B> {
    /// Where the configuration wants one: random weights, the same on every back end for one seed.
    pub fn new(config: &Config, device: &B::Device) -> Option<Self> {
        let rng = &mut ChaCha8Rng::seed_from_u64(config.seed ^ 0xd15c);
        let Adversary { game, .. } = config.adversary;
        config.is_adversarial().then(|| {
            let network = PatchDiscriminator::new(&config.adversary.shape(), 3, game.border(), rng, device);
            Self::before_a_step(network, config)
        })
    }

    fn before_a_step(network: PatchDiscriminator<B>, config: &Config) -> Self {
        let optimizer = AdamConfig::new()
            .with_beta_1(GAME_MOMENTUM)
            .with_epsilon(1e-8)
            .with_grad_clipping(Some(GradientClippingConfig::Norm(config.clip)));
        Self { network, optimizer: optimizer.init() }
    }

    /// The same network on another device, before its first step there.
    pub fn fork(&self, config: &Config, device: &B::Device) -> Self {
        Self::before_a_step(self.network.clone().fork(device), config)
    }

    /// Its step: what it makes of targets and of the student's pictures, which carry no gradient; `[b, 3, h, w]` in 0..1.
    /// Where it is one of several peers, the step is that of all.
    ///
    /// # Errors
    /// When another peer has ended.
    pub fn learn(
        &mut self,
        config: &Config,
        real: &Tensor<B, 4>,
        fake: &Tensor<B, 4>,
        half: bool,
        peer: Option<&Peer<B>>,
    ) -> Result<Verdict<B>> {
        self.network = self.network.clone().advance();
        let (n, m) = (real.dims()[0], fake.dims()[0]);
        // Looked at all at once: nothing in the networks mixes pictures.
        let scores = self.network.normalised().judge(Tensor::cat(vec![real.clone(), fake.clone()], 0), None, half);
        let verdicts = scores.map(|scores| {
            config.adversary.game.verdict(&scores.clone().narrow(0, 0, n), &scores.narrow(0, n, m), None, 0.0)
        });
        let verdict = Verdict::mean(verdicts.into()).context("the adversary sees nothing")?;
        let mut gradients = GradientsParams::from_grads(verdict.loss.backward(), &self.network);
        if let Some(peer) = peer {
            gradients = peer.mean_gradients(gradients)?;
        }
        self.network = self.optimizer.step(config.adversary.rate, self.network.clone(), gradients);
        Ok(verdict)
    }

    /// The student's loss on its pictures `fake` (`[b, 3, h, w]` in 0..1), `[1]`. The discriminator takes no gradient here.
    ///
    /// # Errors
    /// None for a network that has layers.
    pub fn deceive(&self, config: &Config, fake: Tensor<B, 4>, half: bool) -> Result<Tensor<B, 1>> {
        let scores = self.network.clone().no_grad().normalised().judge(fake, None, half);
        let losses = scores.iter().map(|scores| config.adversary.game.deceiving(scores)).collect();
        mean(losses).context("the adversary sees nothing")
    }

    /// Its parts of a checkpoint.
    ///
    /// # Errors
    /// When they cannot be serialized.
    pub fn parts(&self) -> Result<[Part; 2]> {
        Ok([
            ("adversary", to_bytes::<B, _>(self.network.clone().into_record())?),
            ("adversary_optimizer", to_bytes::<B, _>(self.optimizer.to_record())?),
        ])
    }

    /// As it was when `checkpoint` was written.
    ///
    /// # Errors
    /// When its parts are missing or damaged.
    pub fn restored(self, checkpoint: &Checkpoint, device: &B::Device) -> Result<Self> {
        Ok(Self {
            network: self.network.load_record(checkpoint.record::<B, _>("adversary", device)?),
            optimizer: self.optimizer.load_record(checkpoint.record::<B, _>("adversary_optimizer", device)?),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::backend::{Autodiff, NdArray};
    use burn::module::AutodiffModule;
    use burn::tensor::TensorData;
    use nijigen::engine::topology::Topology;

    use super::*;
    use crate::data::batches::Batch;
    use crate::data::pairs::Split;
    use crate::distill::mixtures::Companions;
    use crate::distill::step::{Learner, Step};
    use crate::distill::tests::{config, pair};
    use crate::net::parameters::named;
    use crate::net::student::Student;

    type B = Autodiff<NdArray>;

    /// A configuration with an adversary from the first step on.
    fn adversarial() -> Config {
        let mut config = config(6);
        config.loss.adversarial = 0.5;
        config.adversary = Adversary { channels: vec![4, 6], rate: 1e-2, from: 0.0, ..Adversary::default() };
        config
    }

    /// A picture of columns that are light and dark by turns, `width` pixels each.
    fn columns(width: usize) -> Tensor<B, 4> {
        let values: Vec<f32> =
            (0..3 * 16 * 16).map(|i| if (i % 16 / width).is_multiple_of(2) { 0.9 } else { 0.1 }).collect();
        Tensor::from_data(TensorData::new(values, [1, 3, 16, 16]), &Default::default())
    }

    #[test]
    fn it_learns_to_tell_the_two_sides_apart_and_rewards_what_resembles_the_real_one() {
        let config = adversarial();
        let mut opponent = Opponent::<B>::new(&config, &Default::default()).unwrap();
        let (real, fake) = (columns(1), columns(4));
        let mut learn = || opponent.learn(&config, &real, &fake, false, None).unwrap();
        let first = learn().loss.into_scalar();
        let last = (0..60).map(|_| learn()).last().unwrap();
        assert!(last.loss.into_scalar() < 0.5 * first, "at first it is {first}");
        let (of_real, of_fake) = (last.real.into_scalar(), last.fake.into_scalar());
        assert!(of_real > 0.8 && of_fake > 0.8, "{of_real}, {of_fake}");
        let deceive = |picture| opponent.deceive(&config, picture, false).unwrap().into_scalar();
        assert!(deceive(real) < deceive(fake));
    }

    #[test]
    fn an_adversary_that_has_diverged_ends_training_and_leaves_the_student_as_it_is() {
        let (config, device) = (adversarial(), Default::default());
        let topology = Topology::two_scale_with(4, 4, 4);
        let mut learner = Learner::<B>::new(Student::new(&topology, 1, &device), &config, &device);
        let before = named(&learner.student.valid());
        let step = Step {
            config: &config,
            topology: &topology,
            vgg: None,
            companions: &Companions::none(),
            number: 0,
            activation_scales: None,
            device: &device,
            peer: None,
        };
        let batch = || Batch::draw(&[pair(1, Split::Train)], &config.sampling(), 1, 0);
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        learner.opponent.as_mut().unwrap().network =
            PatchDiscriminator::new(&config.adversary.shape(), 3, f32::NAN, rng, &device);
        assert_eq!(step.take(&mut learner, batch()).unwrap(), None);
        assert_eq!(named(&learner.student.valid()), before);
        learner.opponent = Opponent::new(&config, &device);
        assert!(step.take(&mut learner, batch()).unwrap().is_some_and(|figures| figures.adversary.is_some()));
        assert_ne!(named(&learner.student.valid()), before);
    }

    #[test]
    fn a_value_that_makes_no_sense_is_named() {
        Adversary::default().check(192).unwrap();
        for (line, word) in [
            ("rate = 0.0", "'adversary.rate'"),
            ("rate = nan", "'adversary.rate'"),
            ("from = -0.1", "'adversary.from'"),
            ("from = nan", "'adversary.from'"),
            ("channels = []", "'adversary.channels'"),
            ("channels = [0]", "'adversary.channels'"),
        ] {
            let error = toml::from_str::<Adversary>(line).unwrap().check(192).unwrap_err().to_string();
            assert!(error.contains(word), "{line}: {error}");
        }
        let deep = Adversary { channels: vec![1; 5], ..Adversary::default() };
        deep.check(32).unwrap();
        assert!(deep.check(24).unwrap_err().to_string().contains("'crop' is 24"));
        assert!(toml::from_str::<Adversary>("game = \"draughts\"").is_err());
    }
}
