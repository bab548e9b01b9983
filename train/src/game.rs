//! How a discriminator's verdict becomes a loss: its own, and that of the network that is to deceive it.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

/// How the adversary's verdict becomes a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Game {
    /// Least squares (Mao et al. 2017).
    Lsgan,
    /// Hinge (Lim and Ye 2017).
    Hinge,
    /// Binary cross-entropy (Goodfellow et al. 2014, not saturating).
    CrossEntropy,
}

/// What discriminators made of real pictures and made ones.
#[derive(Debug)]
pub struct Verdict<B: Backend> {
    /// Their loss, `[1]`.
    pub loss: Tensor<B, 1>,
    /// Share of real patches that were taken for real, `[1]`.
    pub real: Tensor<B, 1>,
    /// Share of made ones that were not, `[1]`.
    pub fake: Tensor<B, 1>,
}

impl<B: Backend> Verdict<B> {
    /// The mean of several, such as those of two scales; `None` of none.
    pub fn mean(verdicts: Vec<Self>) -> Option<Self> {
        let (mut losses, mut taken, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for Self { loss, real, fake } in verdicts {
            losses.push(loss);
            taken.push(real);
            refused.push(fake);
        }
        Some(Self { loss: mean(losses)?, real: mean(taken)?, fake: mean(refused)? })
    }
}

/// The mean of losses `[1]`; `None` of none.
pub fn mean<B: Backend>(values: Vec<Tensor<B, 1>>) -> Option<Tensor<B, 1>> {
    let count = values.len() as f32;
    values.into_iter().reduce(|a, b| a + b).map(|sum| sum.div_scalar(count))
}

impl Game {
    /// The discriminator's loss on scores of what is real (or is not), `[1]`.
    pub fn judging<B: Backend>(self, scores: &Tensor<B, 4>, real: bool, smoothing: f32) -> Tensor<B, 1> {
        let label = if real { 1.0 - smoothing } else { smoothing };
        match self {
            Self::Lsgan => scores.clone().sub_scalar(label).powi_scalar(2).mean(),
            Self::Hinge => {
                let signed = if real { scores.clone().neg() } else { scores.clone() };
                activation::relu(signed.add_scalar(1.0)).mean()
            }
            Self::CrossEntropy => cross_entropy(scores, label),
        }
    }

    /// The verdict on `real` pictures and on made ones by the scores of their patches. What else is not real comes by its
    /// scores and its weight beside the made ones'.
    pub fn verdict<B: Backend>(
        self,
        real: &Tensor<B, 4>,
        fake: &Tensor<B, 4>,
        other: Option<(&Tensor<B, 4>, f32)>,
        smoothing: f32,
    ) -> Verdict<B> {
        let mut refusing = self.judging(fake, false, smoothing);
        if let Some((scores, weight)) = other {
            // All that is not real weighs as much as what is. Else patches that cannot be told apart, as of plain walls, get
            // scores below the border, and the accuracy says that much is seen through where nothing is.
            let other = self.judging(scores, false, smoothing).mul_scalar(weight);
            refusing = (refusing + other).div_scalar(1.0 + weight);
        }
        Verdict {
            loss: self.judging(real, true, smoothing) + refusing,
            real: real.clone().greater_elem(self.border()).float().mean(),
            fake: fake.clone().lower_equal_elem(self.border()).float().mean(),
        }
    }

    /// The generator's loss on scores of its pictures, `[1]`.
    pub fn deceiving<B: Backend>(self, scores: &Tensor<B, 4>) -> Tensor<B, 1> {
        match self {
            Self::Lsgan => scores.clone().sub_scalar(1.0).powi_scalar(2).mean(),
            Self::Hinge => scores.clone().mean().neg(),
            Self::CrossEntropy => cross_entropy(scores, 1.0),
        }
    }

    /// The score above which a patch is taken for real.
    pub const fn border(self) -> f32 {
        match self {
            Self::Lsgan => 0.5,
            Self::Hinge | Self::CrossEntropy => 0.0,
        }
    }
}

/// Binary cross-entropy of logits, in a form that does not overflow.
fn cross_entropy<B: Backend>(scores: &Tensor<B, 4>, label: f32) -> Tensor<B, 1> {
    let rest = scores.clone().abs().neg().exp().log1p();
    (activation::relu(scores.clone()) - scores.clone().mul_scalar(label) + rest).mean()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::backend::NdArray;

    use super::*;

    type B = NdArray;

    #[test]
    fn each_game_rewards_the_right_verdict_and_is_lost_by_the_wrong_one() {
        for game in [Game::Lsgan, Game::Hinge, Game::CrossEntropy] {
            let scores = |value: f32| Tensor::<B, 4>::full([1, 1, 4, 4], value, &Default::default());
            let judging = |value: f32, real| game.judging(&scores(value), real, 0.1).into_scalar();
            let (high, low) = (game.border() + 0.4, game.border() - 0.4);
            assert!(judging(high, true) < judging(low, true) && judging(low, false) < judging(high, false), "{game:?}");
            assert!(game.deceiving(&scores(high)).into_scalar() < game.deceiving(&scores(low)).into_scalar());
            // Scores far out overflow nothing.
            assert!(judging(-200.0, true).is_finite() && judging(200.0, false).is_finite());
        }
        let score = Tensor::<B, 4>::full([1, 1, 1, 1], 0.3, &Default::default());
        let logistic = 1.0 / (1.0 + (-0.3_f32).exp());
        let expected = -(0.9 * logistic.ln() + 0.1 * (1.0 - logistic).ln());
        assert!((Game::CrossEntropy.judging(&score, true, 0.1).into_scalar() - expected).abs() < 1e-5);
    }

    #[test]
    fn a_verdict_counts_what_was_taken_for_what_it_is() {
        let scores = |values: [f32; 4]| Tensor::<B, 1>::from_floats(values, &Default::default()).reshape([1, 1, 2, 2]);
        let (real, fake) = (scores([0.9, 0.9, 0.9, 0.1]), scores([0.9, 0.9, 0.1, 0.1]));
        let verdict = Game::Lsgan.verdict(&real, &fake, None, 0.0);
        assert_eq!((verdict.real.clone().into_scalar(), verdict.fake.clone().into_scalar()), (0.75, 0.5));
        let alone = verdict.loss.clone().into_scalar();
        assert!((alone - (3.0 * 0.01 + 0.81) / 4.0 - (2.0 * 0.81 + 2.0 * 0.01) / 4.0).abs() < 1e-6, "{alone}");
        let right = Game::Lsgan.verdict(&scores([1.0; 4]), &scores([0.0; 4]), None, 0.0);
        let both = Verdict::mean(vec![verdict, right]).unwrap();
        assert_eq!((both.real.into_scalar(), both.fake.into_scalar()), (0.875, 0.75));
        assert!((both.loss.into_scalar() - alone / 2.0).abs() < 1e-6, "the other lost nothing");
    }

    #[test]
    fn what_cannot_be_told_apart_is_best_put_on_the_border() {
        for game in [Game::Lsgan, Game::Hinge, Game::CrossEntropy] {
            let loss = |away: f32| {
                let scores = Tensor::<B, 4>::full([1, 1, 2, 2], game.border() + away, &Default::default());
                game.verdict(&scores, &scores, Some((&scores, 0.5)), 0.1).loss.into_scalar()
            };
            assert!(loss(0.0) <= loss(-0.1).min(loss(0.1)) + 1e-6, "{game:?}");
        }
    }
}
