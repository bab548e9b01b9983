//! Mixtures with other styles of the same base, trained on too.
//!
//! A common base is not enough for two styles to mix well: the further each is trained, the rather there lies a network
//! between them that draws like neither, with colours that none of them has (the barrier of Frankle et al. 2020, "Linear
//! Mode Connectivity and the Lottery Ticket Hypothesis"). So a student also draws with its weights interpolated with those of
//! one of its companions, which stay as they are, and what comes of it is to be the mean of both pictures.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::tensor::Tensor;
use nijigen::engine::topology::Topology;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::config::Config;
use crate::data::{read_file, sha256};
use crate::device::TrainBackend;
use crate::loss;
use crate::net::student::{Activations, Arithmetic, Student};
use crate::weights;

/// The companion's part of a mixture: nearer to either end there is little to learn.
const SHARES: std::ops::Range<f32> = 0.2..0.8;

/// A style to mix with.
#[derive(Debug, Clone)]
struct Companion<B: TrainBackend> {
    student: Student<B::InnerBackend>,
    /// Steps of its layers' stored activations.
    activation_scales: Vec<f32>,
}

/// The styles that a student is to mix with.
#[derive(Debug, Clone)]
pub struct Companions<B: TrainBackend>(Vec<Companion<B>>);

/// What a mixture is to draw.
pub struct Wanted<'a, B: TrainBackend> {
    /// `[b, 3, h, w]`, 0 ..= 255.
    pub photos: &'a Tensor<B, 4>,
    /// The student's own pictures of them, 0..1.
    pub targets: &'a Tensor<B, 4>,
    /// See [`loss::pixel`].
    pub weights: &'a Tensor<B, 4>,
    /// The persons in them, 0..1, where the mask is learned.
    pub masks: Option<&'a Tensor<B, 4>>,
}

impl<B: TrainBackend> Companions<B> {
    /// None at all.
    #[cfg(test)]
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Those of `files`, for a student of this configuration and network whose base is `base`.
    ///
    /// # Errors
    /// When a file cannot be read, or holds weights of another size, kind or base.
    pub fn load(
        files: &[PathBuf],
        config: &Config,
        topology: &Topology,
        base: Option<&str>,
        device: &B::Device,
    ) -> Result<Self> {
        let companion = |path: &PathBuf| {
            let weights = weights::load(path)?;
            ensure!(
                base.is_some(),
                "a student that has no base mixes with nothing: give --base, or leave --mix-with out"
            );
            ensure!(
                weights.base.as_deref() == base,
                "{} did not grow from the base of this student, so that they do not mix: name another for --mix-with",
                path.display()
            );
            // It must not be widened or changed otherwise, but for its bits: the engine mixes it as it is.
            let other = &weights.network.topology;
            ensure!(
                weights.size == config.size
                    && other.has_person_mask() == topology.has_person_mask()
                    && other.is_residual() == topology.is_residual(),
                "{} is of another size than the student, or one of them alone has a person mask or is a residual, so that \
                 they do not mix: name another for --mix-with",
                path.display()
            );
            let weights = weights
                .fitted_to(config.size, topology, config.seed)
                .with_context(|| format!("{} cannot be mixed with", path.display()))?;
            Ok(Companion {
                student: Student::from_network(&weights.network, device),
                activation_scales: weights.network.activation_scales(),
            })
        };
        Ok(Self(files.iter().map(companion).collect::<Result<_>>()?))
    }

    /// The same on another device.
    pub fn fork(&self, device: &B::Device) -> Self {
        let fork = |companion: &Companion<B>| Companion {
            student: companion.student.clone().fork(device),
            activation_scales: companion.activation_scales.clone(),
        };
        Self(self.0.iter().map(fork).collect())
    }

    /// The loss, as of the student itself, of its mixture with one of them; which, and how much of it, is drawn anew for each
    /// step `number`. `activation_scales` are the student's, with fake-quant. `None` where there are no companions.
    ///
    /// # Errors
    /// As [`Student::forward`].
    pub fn loss(
        &self,
        config: &Config,
        topology: &Topology,
        number: u64,
        student: &Student<B>,
        activation_scales: Option<&[f32]>,
        wanted: Wanted<'_, B>,
    ) -> Result<Option<Tensor<B, 1>>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        rng.set_stream(number);
        let Companion { student: companion, activation_scales: of_companion } =
            &self.0[rng.random_range(0..self.0.len())];
        let share = rng.random_range(SHARES);
        // Half of them do: a mixture costs as much as the student.
        let count = wanted.photos.dims()[0].div_ceil(2);
        let part = |x: &Tensor<B, 4>| x.clone().narrow(0, 0, count);
        let (photos, weights) = (part(wanted.photos), part(wanted.weights));
        let half = config.is_half_at(number);
        let drawn = companion.forward(
            topology,
            photos.clone().inner(),
            Arithmetic { half, activations: Activations::Saturating(of_companion) },
        )?;
        let drawn = Tensor::from_inner(drawn.clamp(0.0, 1.0));
        let between = |own: &Tensor<B, 4>, first, channels| {
            part(own) * (1.0 - share) + drawn.clone().narrow(1, first, channels) * share
        };
        let target = between(wanted.targets, 0, 3);
        // A mixture has the larger of the ranges, as in the engine.
        let scales: Option<Vec<f32>> =
            activation_scales.map(|own| own.iter().zip(of_companion).map(|(a, b)| a.max(*b)).collect());
        let arithmetic = Arithmetic { half, activations: Activations::quantized_in(scales.as_deref()) };
        let output = student.mixed_with(companion, share).forward(topology, photos, arithmetic)?;
        let picture = output.clone().narrow(1, 0, 3);
        let gradient = loss::gradient(&picture, &target, &weights) * config.loss.gradient;
        let mut loss = loss::pixel(&picture, &target, &weights) + gradient;
        if let Some(masks) = wanted.masks {
            let apart = (output.narrow(1, 3, 1) - between(masks, 3, 1)).abs().mean();
            loss = loss + apart * config.loss.person_mask;
        }
        Ok(Some(loss))
    }
}

/// The checksum of `files` together, in their order; `None` where there are none.
///
/// # Errors
/// When one cannot be read.
pub fn checksum(files: &[PathBuf]) -> Result<Option<String>> {
    let each = files.iter().map(|path| Ok(sha256(&read_file(path)?))).collect::<Result<Vec<_>>>()?;
    Ok((!each.is_empty()).then(|| sha256(each.concat().as_bytes())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::backend::{Autodiff, NdArray};
    use burn::module::AutodiffModule;
    use burn::tensor::ElementConversion;

    use super::*;
    use crate::data::batches::Batch;
    use crate::data::pairs::Split;
    use crate::distill::config::Losses;
    use crate::distill::step::{Learner, Step};
    use crate::distill::tests::{config, pair};
    use crate::net::parameters::named;

    type B = Autodiff<NdArray>;

    fn topology() -> Topology {
        Topology::two_scale_with(4, 4, 4)
    }

    fn companion(seed: u64) -> Companion<B> {
        let student = Student::<B>::new(&topology(), seed, &Default::default()).valid();
        Companion { student, activation_scales: vec![1e3; topology().layers.len()] }
    }

    /// The loss of the mixture of step `number`.
    fn of(companions: &Companions<B>, student: &Student<B>, targets: Option<Tensor<B, 4>>, number: u64) -> f32 {
        let config = config(100);
        let batch = Batch::draw(&[pair(1, Split::Train)], &config.sampling(), 1, 0).tensors::<B>(&Default::default());
        let targets = targets.unwrap_or(batch.targets);
        let wanted = Wanted { photos: &batch.photos, targets: &targets, weights: &batch.weights, masks: None };
        let loss = companions.loss(&config, &topology(), number, student, None, wanted).unwrap();
        loss.unwrap().into_scalar().elem()
    }

    #[test]
    fn between_a_style_and_itself_nothing_is_wrong() {
        let student = Student::<B>::new(&topology(), 3, &Default::default());
        let batch = Batch::draw(&[pair(1, Split::Train)], &config(100).sampling(), 1, 0);
        let photos = batch.tensors::<B>(&Default::default()).photos;
        let drawn = student.forward(&topology(), photos, Arithmetic::default()).unwrap().clamp(0.0, 1.0);
        let itself = Companions(vec![companion(3)]);
        let other = Companions(vec![companion(4)]);
        for number in 0..3 {
            assert!(of(&itself, &student, Some(drawn.clone()), number) < 0.01);
            assert!(of(&other, &student, Some(drawn.clone()), number) > 0.02);
        }
    }

    #[test]
    fn a_student_learns_to_mix_and_its_companion_stays_as_it_is() {
        let device = Default::default();
        let config = Config { rate: 4e-3, loss: Losses { mixture: 1.0, ..config(100).loss }, ..config(100) };
        let companions = Companions(vec![companion(5)]);
        let before = named(&companions.0[0].student);
        let mut learner = Learner::<B>::new(Student::new(&topology(), 1, &device), &config, &device);
        let all = |learner: &Learner<B>| (0..8).map(|n| of(&companions, &learner.student, None, n)).sum::<f32>();
        let at_first = all(&learner);
        for number in 0..60 {
            let step = Step {
                config: &config,
                topology: &topology(),
                vgg: None,
                companions: &companions,
                number,
                activation_scales: None,
                device: &device,
                peer: None,
            };
            let batch = Batch::draw(&[pair(1, Split::Train)], &config.sampling(), 1, number);
            assert!(step.take(&mut learner, batch).unwrap().unwrap().mixture.is_some());
        }
        assert!(all(&learner) < 0.8 * at_first, "{} of {at_first}", all(&learner));
        assert_eq!(before, named(&companions.0[0].student));
    }
}
