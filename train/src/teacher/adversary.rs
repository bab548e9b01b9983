//! The adversaries: three views of a picture, each with a discriminator of its own.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::config::{Adversary, Config, Losses};
use super::losses::{Term, grey, guided};
use crate::game::{Verdict, mean};
use crate::net::conv::ConvBackend;
use crate::net::patch_discriminator::{Dropout, Normalised, PatchDiscriminator};

/// The discriminators of the views whose losses have a weight.
#[derive(Module, Debug)]
pub struct Adversaries<B: Backend> {
    colour: Option<PatchDiscriminator<B>>,
    texture: Option<PatchDiscriminator<B>>,
    surface: Option<PatchDiscriminator<B>>,
}

/// What an adversary looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
enum View {
    Colour,
    /// Grey by these weights.
    Texture([f32; 3]),
    Surface,
}

impl View {
    fn of<B: Backend>(self, picture: &Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Colour => picture.clone(),
            Self::Texture(weights) => grey(picture, weights),
            Self::Surface => guided(picture.clone()),
        }
    }
}

/// What chance decides for the adversaries at one step.
#[derive(Debug)]
pub struct Chance {
    /// Weights of red, green and blue in the texture's grey.
    grey: [f32; 3],
    /// What dropout draws from.
    rng: ChaCha8Rng,
}

impl Chance {
    /// Of a step; the same for the same seed and step.
    pub fn of(seed: u64, step: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x9a3e);
        rng.set_stream(step + 1);
        // White-box Cartoonization's: BT.601's weights, each moved by up to 0.1, to a sum of one.
        let drawn = [0.299, 0.587, 0.114].map(|weight: f32| weight + rng.random_range(-0.1..0.1));
        let sum: f32 = drawn.iter().sum();
        Self { grey: drawn.map(|weight| weight / sum), rng }
    }
}

impl<B: ConvBackend> Adversaries<B> {
    /// Random weights, the same on every back end for one seed.
    pub fn new(config: &Config, device: &B::Device) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed ^ 0xd15c);
        let mut of = |weight: f32, channels| {
            let start = config.adversary.game.border();
            (weight > 0.0).then(|| PatchDiscriminator::new(&config.discriminator, channels, start, &mut rng, device))
        };
        let [colour, texture, surface] = config.loss.adversaries();
        Self { colour: of(colour, 3), texture: of(texture, 1), surface: of(surface, 3) }
    }

    /// One step of power iteration in every layer.
    pub fn advance(self) -> Self {
        let advance = |one: Option<PatchDiscriminator<B>>| one.map(PatchDiscriminator::advance);
        Self { colour: advance(self.colour), texture: advance(self.texture), surface: advance(self.surface) }
    }

    /// The views that are looked at: weight in the generator's loss, name, view, weights.
    fn views(&self, losses: &Losses, chance: &Chance) -> Vec<(f32, &'static str, View, Normalised<B>)> {
        let all = [
            (losses.adversarial, "adversarial", View::Colour, &self.colour),
            (losses.texture, "texture", View::Texture(chance.grey), &self.texture),
            (losses.surface, "surface", View::Surface, &self.surface),
        ];
        all.into_iter()
            .filter_map(|(weight, name, view, network)| Some((weight, name, view, network.as_ref()?.normalised())))
            .collect()
    }

    /// The discriminators' loss on real pictures, made ones, and (where there are any) real ones with smoothed edges.
    pub fn judge(
        &self,
        config: &Config,
        chance: &mut Chance,
        real: &Tensor<B, 4>,
        fake: &Tensor<B, 4>,
        smoothed: Option<&Tensor<B, 4>>,
    ) -> Option<Verdict<B>> {
        let Adversary { game, label_smoothing, smoothed: smoothed_weight, .. } = config.adversary;
        let (n, m) = (real.dims()[0], fake.dims()[0]);
        // Looked at all at once: nothing in the networks mixes pictures.
        let mut all = vec![real.clone(), fake.clone()];
        all.extend(smoothed.filter(|_| smoothed_weight > 0.0).cloned());
        let has_smoothed = all.len() > 2;
        let all = Tensor::cat(all, 0);
        let mut verdicts = Vec::new();
        for (_, _, view, network) in self.views(&config.loss, chance) {
            for scores in network.judge(view.of(&all), dropout(config, &mut chance.rng), config.half) {
                let of_real = scores.clone().narrow(0, 0, n);
                let of_fake = scores.clone().narrow(0, n, m);
                let of_smoothed = has_smoothed.then(|| scores.clone().narrow(0, n + m, n));
                let of_smoothed = of_smoothed.as_ref().map(|scores| (scores, smoothed_weight));
                verdicts.push(game.verdict(&of_real, &of_fake, of_smoothed, label_smoothing));
            }
        }
        Verdict::mean(verdicts)
    }

    /// The generator's losses on what it made. The networks take no gradient here.
    pub fn deceive(&self, config: &Config, chance: &mut Chance, step: u64, fake: &Tensor<B, 4>) -> Vec<Term<B>> {
        let frozen = self.clone().no_grad();
        let views = frozen.views(&config.loss, chance);
        let risen = config.risen(step);
        views
            .into_iter()
            .filter_map(|(weight, name, view, network)| {
                let scores = network.judge(view.of(fake), dropout(config, &mut chance.rng), config.half);
                let value = mean(scores.iter().map(|scores| config.adversary.game.deceiving(scores)).collect())?;
                Some(Term { name, weight: weight * risen, value })
            })
            .collect()
    }
}

fn dropout<'r>(config: &Config, rng: &'r mut ChaCha8Rng) -> Option<Dropout<'r>> {
    let share = config.discriminator.dropout;
    (share > 0.0).then_some(Dropout { share, rng })
}
