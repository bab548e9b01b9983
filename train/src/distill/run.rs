//! The training loop.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::AutodiffModule;
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, Tensor};
use indicatif::{ProgressBar, ProgressStyle};
use log::{info, warn};
use nijigen::engine::contract::FloatNetwork;
use nijigen::engine::topology::Topology;

use super::checkpoint::{self, Origin, Progress, Sums};
use super::config::{Config, Start};
use super::evaluate::{calibrate, mean_l1};
use super::journal::{Entry, Journal};
use super::sample_sheet;
use crate::data::batches::{Batch, BatchTensors, Twins, stream};
use crate::data::training_set::LoadedPair;
use crate::data::{read_file, sha256};
use crate::device::{Task, TrainBackend};
use crate::loss;
use crate::net::student::{Activations, Arithmetic, Student};
use crate::net::vgg::Vgg;
use crate::weights::{self, Weights};

/// A distillation to run or to go on with.
#[derive(Debug)]
pub struct Distillation {
    /// The network; that of `config.size` unless a test wants a smaller one.
    pub topology: Topology,
    /// What to do.
    pub config: Config,
    /// Pairs to train on.
    pub train: Vec<LoadedPair>,
    /// Pairs to measure on.
    pub held_out: Vec<LoadedPair>,
    /// Checksum of the index that both come from.
    pub pairs_sha256: String,
    /// The run's folder: checkpoint, weights, curve, sheet.
    pub out: PathBuf,
    /// VGG weights; without them features are not compared.
    pub vgg: Option<PathBuf>,
    /// Weights to start from; not read where there is a checkpoint to go on from.
    pub base: Option<PathBuf>,
    /// Set from outside to end at the next step, saving first.
    pub stop: Arc<AtomicBool>,
    /// Shown while it runs.
    pub progress: ProgressBar,
}

/// How a distillation ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Steps taken.
    pub step: u64,
    /// The lowest held-out L1 of averaged, quantized weights (before fake-quant: of float ones), of 255; infinite where
    /// none was measured yet.
    pub best: f64,
    /// Whether all steps were taken (or none helped any more).
    pub finished: bool,
    /// Seconds spent, those before interruptions counted in.
    pub seconds: f64,
    /// The averaged network as it stands.
    pub network: FloatNetwork,
}

/// The best weights' file in the run's folder.
pub const WEIGHTS: &str = "weights.safetensors";

/// The bar's look.
pub fn progress_style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} ETA {eta} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Task for Distillation {
    type Output = Outcome;

    fn run<B: TrainBackend>(mut self, device: B::Device) -> Result<Outcome> {
        type Inner<B> = <B as AutodiffBackend>::InnerBackend;
        if let Some(damage) = &self.config.augment.damage {
            // What leaves a whole photo as it is would be the best student otherwise.
            damage.befall_each(self.held_out.iter_mut().map(|pair| &mut pair.photo), self.config.seed);
        }
        let train = Arc::new(std::mem::take(&mut self.train));
        let config = &self.config;
        let topology = &self.topology;
        ensure!(!train.is_empty(), "there are no pairs to train on: all are held out; paint more photos");
        let without_mask = train.iter().find(|pair| config.person_mask && pair.mask.is_none());
        ensure!(
            without_mask.is_none(),
            "the pair {} has no person mask, which 'person_mask' wants: paint with --person-mask",
            without_mask.map_or("", |pair| &pair.entry.photo)
        );
        ensure!(
            !self.held_out.is_empty(),
            "there are no held-out pairs to measure on: paint with --hold-out NAME, or more photos"
        );
        let vgg = match &self.vgg {
            Some(path) => Some(Vgg::<B>::load(path, config.half, &device)?),
            None => {
                warn!("no VGG weights were given: features are not compared");
                None
            }
        };
        let origin = self.origin()?;
        let checkpoint_path = self.out.join("checkpoint.safetensors");
        let resumes = checkpoint_path.exists();
        let mut base_sha256 = None;
        let mut activation_scales = vec![1.0; topology.layers.len()];
        let mut student = match &self.base {
            Some(path) if !resumes => {
                let mut base = weights::load(path)?;
                base_sha256 = Some(base.as_base(&read_file(path)?));
                if config.person_mask {
                    base = base.with_person_mask();
                }
                ensure!(
                    base.network.topology == *topology,
                    "{} is of size {}, the configuration says {}: make 'size' the same",
                    path.display(),
                    base.size,
                    config.size
                );
                activation_scales = base.network.activation_scales();
                Student::<B>::from_network(&base.network, &device)
            }
            _ => match config.start {
                Start::Random => Student::<B>::new(topology, config.seed, &device),
                Start::Photo => Student::<B>::passing(topology, config.seed, &device),
            },
        };
        let mut average = student.valid();
        let mut optimizer = AdamConfig::new()
            .with_epsilon(1e-8)
            .with_grad_clipping(Some(GradientClippingConfig::Norm(config.clip)))
            .init::<B, Student<B>>();
        let mut progress = Progress {
            step: 0,
            activation_scales,
            best: f64::INFINITY,
            stale: 0,
            seconds: 0.0,
            sums: Sums::default(),
            origin: origin.clone(),
            base: base_sha256,
        };
        if resumes {
            let record;
            (progress, student, average, record) = checkpoint::load::<B, Inner<B>, _, _, _>(
                &checkpoint_path,
                &origin,
                student,
                average,
                (&device, &device),
            )?;
            optimizer = optimizer.load_record(record);
            info!("going on from step {} of {}", progress.step, self.out.display());
            if self.base.is_some() {
                info!("--base is not read: the checkpoint goes before it");
            }
        }
        let keeps_ranges = self.base.is_some() && config.quantize_step() == 0 && config.activation_range.is_none();
        let mut journal = Journal::open(self.out.join("losses.csv"), progress.step)?;
        let batches = stream(Arc::clone(&train), config.sampling(), config.seed, progress.step);
        let mut started = Instant::now();
        let mut exhausted = config.is_exhausted(progress.step, progress.stale);
        self.progress.set_length(config.steps);
        self.progress.set_position(progress.step);

        while progress.step < config.steps && !exhausted {
            let step = progress.step;
            let quantizing = step >= config.quantize_step();
            if step == config.quantize_step() {
                // What came before was measured without fake-quant.
                (progress.best, progress.stale) = (f64::INFINITY, 0);
            }
            if step == config.quantize_step() && !keeps_ranges {
                progress.activation_scales =
                    calibrate_on(&average, topology, &train, config, step, &device).with_context(|| self.diverged())?;
            }
            let Ok(batch) = batches.recv() else { bail!("the thread that draws batches has died") };
            let BatchTensors { photos, targets: target, weights: weight, masks, twins } = batch.tensors::<B>(&device);
            let arithmetic = Arithmetic {
                half: config.half && step + config.finish < config.steps,
                activations: Activations::quantized_in(quantizing.then_some(progress.activation_scales.as_slice())),
            };
            let output = student.forward(topology, photos.clone(), arithmetic).with_context(|| self.diverged())?;
            let of_mask = masks.map(|masks| (output.clone().narrow(1, 3, 1) - masks).abs().mean());
            let output = output.narrow(1, 0, 3);
            let flicker = twins.map(|Twins { standing, shift }| {
                let (count, first) = (config.twins, config.batch - config.twins);
                let part = |x: &Tensor<B, 4>, first| x.clone().narrow(0, first, count);
                let moments = |x: &Tensor<B, 4>| loss::Moments { elders: part(x, 0), twins: part(x, first), shift };
                loss::flicker(&moments(&output), &moments(&photos), &standing)
            });
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
                total = total + flicker.clone() * (config.loss.flicker * ramp);
            }
            let features = match &vgg {
                Some(vgg) if step.is_multiple_of(config.loss.features_every) => {
                    let at = config.loss.features_crop;
                    let part = |x: Tensor<B, 4>| {
                        x.narrow(2, (step as usize * 8) % (config.crop as usize - at + 1), at).narrow(
                            3,
                            (step as usize * 24) % (config.crop as usize - at + 1),
                            at,
                        )
                    };
                    let distance = vgg.distance(part(output), part(target));
                    total = total + distance.clone() * (config.loss.features * config.loss.features_every as f32);
                    Some(distance)
                }
                _ => None,
            };
            let value: f64 = pixel.into_scalar().elem();
            if !value.is_finite() {
                bail!("{} (the loss is no longer a number at step {step})", self.diverged());
            }
            let sums = &mut progress.sums;
            sums.pixel += value * 255.0;
            sums.gradient += gradient.into_scalar().elem::<f64>() * 255.0;
            sums.person_mask += of_mask.map_or(0.0, |of_mask| of_mask.into_scalar().elem());
            sums.flicker += flicker.map_or(0.0, |flicker| flicker.into_scalar().elem());
            sums.steps += 1;
            if let Some(features) = features {
                sums.features += features.into_scalar().elem::<f64>();
                sums.features_steps += 1;
            }
            let gradients = GradientsParams::from_grads(total.backward(), &student);
            student = optimizer.step(config.rate_at(step), student, gradients);
            // Young averages follow closely, so that the first thousand steps do not weigh on them.
            let decay = config.average.min((1.0 + step as f32) / (10.0 + step as f32));
            average.average(&student.valid(), decay);
            progress.step += 1;
            self.progress.inc(1);

            let stopping = self.stop.load(Ordering::Relaxed);
            // Only at steps that do not depend on when the run was stopped, so that what it leaves does not either.
            let evaluating = progress.step == config.steps || progress.step.is_multiple_of(config.evaluate_every);
            if evaluating {
                progress.seconds += started.elapsed().as_secs_f64();
                started = Instant::now();
                if !quantizing {
                    progress.activation_scales = calibrate_on(&average, topology, &train, config, step, &device)
                        .with_context(|| self.diverged())?;
                }
                // In 32 bits, as the engine computes: in 16 it would be another network that is judged.
                let arithmetic = Arithmetic {
                    half: false,
                    activations: Activations::quantized_in(quantizing.then_some(progress.activation_scales.as_slice())),
                };
                let held_out = mean_l1(&average, topology, &self.held_out, arithmetic, &device)
                    .with_context(|| self.diverged())?;
                let sums = std::mem::take(&mut progress.sums);
                let n = sums.steps as f64;
                let entry = Entry {
                    step: progress.step,
                    rate: config.rate_at(step),
                    pixel: sums.pixel / n,
                    gradient: sums.gradient / n,
                    features: (sums.features_steps > 0).then(|| sums.features / sums.features_steps as f64),
                    flicker: (config.twins > 0).then(|| sums.flicker / n),
                    person_mask: config.person_mask.then(|| sums.person_mask / n),
                    held_out,
                    quantized: quantizing,
                    seconds: progress.seconds,
                };
                self.progress.set_message(format!("L1 {:.2}, held-out {held_out:.3}", entry.pixel));
                info!("{entry:?}");
                journal.push(entry)?;
                journal.plot(&self.out.join("losses.png"))?;
                if held_out < progress.best {
                    (progress.best, progress.stale) = (held_out, 0);
                    let network = average.to_network(topology, &progress.activation_scales);
                    let best = Weights { size: config.size, step: progress.step, base: progress.base.clone(), network };
                    weights::save(&self.out.join(WEIGHTS), &best)?;
                } else {
                    progress.stale += 1;
                }
                let sheet = self.out.join("sheet.png");
                sample_sheet::write(&average, topology, &self.held_out, arithmetic, &device, &sheet)?;
                exhausted = config.is_exhausted(progress.step, progress.stale);
            }
            if evaluating || stopping {
                progress.seconds += started.elapsed().as_secs_f64();
                started = Instant::now();
                checkpoint::save::<B, Inner<B>, _, _, _>(
                    &checkpoint_path,
                    &progress,
                    student.clone(),
                    average.clone(),
                    optimizer.to_record(),
                )?;
            }
            if stopping {
                break;
            }
        }
        Ok(Outcome {
            step: progress.step,
            best: progress.best,
            finished: exhausted || progress.step == config.steps,
            seconds: progress.seconds,
            network: average.to_network(topology, &progress.activation_scales),
        })
    }
}

impl Distillation {
    /// What this run is made from.
    fn origin(&self) -> Result<Origin> {
        let vgg = self.vgg.as_ref().map(|path| read_file(path));
        Ok(Origin {
            config: sha256(toml::to_string(&self.config)?.as_bytes()),
            pairs: self.pairs_sha256.clone(),
            vgg: vgg.transpose()?.map(|bytes| sha256(&bytes)),
        })
    }

    /// What to do when training has diverged: the checkpoint may be as sick as the network, and going on with another
    /// rate would be refused.
    fn diverged(&self) -> String {
        let best = self.out.join(WEIGHTS);
        let base = if best.is_file() { format!(" and --base {}", best.display()) } else { String::new() };
        format!(
            "training has diverged: lower 'rate' in the configuration and start with it in another folder (-o){base}"
        )
    }
}

fn calibrate_on<B: crate::net::conv::ConvBackend>(
    student: &Student<B>,
    topology: &Topology,
    pairs: &[LoadedPair],
    config: &Config,
    step: u64,
    device: &B::Device,
) -> Result<Vec<f32>> {
    // A stream of its own, so that the batches trained on do not depend on when ranges are looked at.
    let batch = Batch::draw(pairs, &config.sampling(), config.seed ^ 0xca11, step).tensors(device);
    let mut scales = calibrate(student, topology, batch.photos)?;
    let share = config.activation_range.unwrap_or(1.0);
    scales.iter_mut().for_each(|scale| *scale *= share);
    Ok(scales)
}
