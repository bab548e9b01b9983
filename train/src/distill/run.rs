//! The training loop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::AutodiffModule;
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, Tensor};
use indicatif::{ProgressBar, ProgressStyle};
use log::{info, warn};
use nijigen::engine::contract::FloatNetwork;
use nijigen::engine::topology::Topology;

use super::checkpoint::{self, Progress};
use super::config::Config;
use super::evaluate::{calibrate, mean_l1, stylize};
use super::journal::{Entry, Journal};
use crate::data::batches::{Batch, stream};
use crate::data::training_set::LoadedPair;
use crate::device::{Task, TrainBackend};
use crate::net::student::{Arithmetic, Student};
use crate::net::vgg::Vgg;
use crate::weights::{self, Weights};
use crate::{loss, sheet};

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
    /// The run's folder: checkpoint, weights, curve, sheet.
    pub out: PathBuf,
    /// VGG weights; without them features are not compared.
    pub vgg: Option<PathBuf>,
    /// Weights to start from.
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
    /// The lowest held-out L1 of averaged, quantized weights, of 255.
    pub best: f64,
    /// Whether all steps were taken (or none helped any more).
    pub finished: bool,
    /// The averaged network as it stands.
    pub network: FloatNetwork,
}

/// Pictures on the sample sheet.
const SHEET_ROWS: usize = 8;
/// Steps between two looks at the activations' ranges while fake-quant is on.
const CALIBRATE_EVERY: u64 = 200;
/// How far a range moves toward a newly measured one.
const CALIBRATE_GAIN: f32 = 0.2;

/// The bar's look.
pub fn progress_style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} ETA {eta} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

struct Sums {
    pixel: f64,
    gradient: f64,
    steps: u64,
    features: f64,
    features_steps: u64,
}

impl Sums {
    const ZERO: Self = Self { pixel: 0.0, gradient: 0.0, steps: 0, features: 0.0, features_steps: 0 };
}

impl Task for Distillation {
    type Output = Outcome;

    fn run<B: TrainBackend>(self, device: B::Device) -> Result<Outcome> {
        type Inner<B> = <B as AutodiffBackend>::InnerBackend;
        let config = &self.config;
        let topology = &self.topology;
        ensure!(
            !self.train.is_empty() && !self.held_out.is_empty(),
            "there must be pairs to train on and held-out ones"
        );
        let vgg = match &self.vgg {
            Some(path) => Some(Vgg::<B>::load(path, &device)?),
            None => {
                warn!("no VGG weights were given: features are not compared");
                None
            }
        };
        let mut student = match &self.base {
            Some(path) => {
                let base = weights::load(path)?;
                ensure!(base.network.topology == *topology, "{} is of another size", path.display());
                Student::<B>::from_network(&base.network, &device)
            }
            None => Student::<B>::new(topology, config.seed, &device),
        };
        let mut average = student.valid();
        let mut optimizer = AdamConfig::new()
            .with_epsilon(1e-8)
            .with_grad_clipping(Some(GradientClippingConfig::Norm(config.clip)))
            .init::<B, Student<B>>();
        let fingerprint = crate::data::sha256(toml::to_string(config)?.as_bytes());
        let checkpoint_path = self.out.join("checkpoint.safetensors");
        let mut progress = Progress {
            step: 0,
            activation_scales: vec![1.0; topology.layers.len()],
            best: f64::INFINITY,
            stale: 0,
            seconds: 0.0,
            config: fingerprint.clone(),
        };
        if checkpoint_path.exists() {
            let record;
            (progress, student, average, record) = checkpoint::load::<B, Inner<B>, _, _, _>(
                &checkpoint_path,
                &fingerprint,
                student,
                average,
                (&device, &device),
            )?;
            optimizer = optimizer.load_record(record);
            info!("going on from step {}", progress.step);
        }
        let mut journal = Journal::open(self.out.join("losses.csv"), progress.step)?;
        let train = Arc::new(self.train);
        let batches = stream(Arc::clone(&train), config.sampling(), config.seed, progress.step);
        let mut started = Instant::now();
        let mut sums = Sums::ZERO;
        let mut finished_early = false;
        self.progress.set_length(config.steps);
        self.progress.set_position(progress.step);

        while progress.step < config.steps {
            let step = progress.step;
            let quantizing = step >= config.quantize_step();
            if step == config.quantize_step() {
                // What came before was measured without fake-quant.
                (progress.best, progress.stale) = (f64::INFINITY, 0);
            }
            if quantizing && (step == config.quantize_step() || step.is_multiple_of(CALIBRATE_EVERY)) {
                let fresh = calibrate_on(&average, topology, &train, config, step, &device)?;
                let gain = if step == config.quantize_step() { 1.0 } else { CALIBRATE_GAIN };
                for (scale, fresh) in progress.activation_scales.iter_mut().zip(fresh) {
                    *scale += gain * (fresh - *scale);
                }
            }
            let Ok(batch) = batches.recv() else { bail!("the thread that draws batches has died") };
            let (photo, target, weight) = batch.tensors::<B>(&device);
            let arithmetic = Arithmetic {
                half: config.half && step + config.finish < config.steps,
                activation_scales: quantizing.then_some(progress.activation_scales.as_slice()),
            };
            let output = student.forward(topology, photo, arithmetic);
            let pixel = loss::pixel(&output, &target, &weight);
            let gradient = loss::gradient(&output, &target, &weight);
            // Lines come after colours: from the first step on, the gradient loss would flatten the still random
            // picture, and its neurons would not come back.
            let ramp = (step as f32 / config.warmup.max(1) as f32).min(1.0);
            let mut total = pixel.clone() + gradient.clone() * (config.loss.gradient * ramp);
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
                bail!("the loss is no longer a number at step {step}; lower 'rate' and go on from the last checkpoint");
            }
            sums.pixel += value * 255.0;
            sums.gradient += gradient.into_scalar().elem::<f64>() * 255.0;
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
            let finished = progress.step == config.steps;
            if stopping || finished || progress.step.is_multiple_of(config.evaluate_every) {
                progress.seconds += started.elapsed().as_secs_f64();
                started = Instant::now();
                if !quantizing {
                    progress.activation_scales = calibrate_on(&average, topology, &train, config, step, &device)?;
                }
                let arithmetic = Arithmetic {
                    half: config.half,
                    activation_scales: quantizing.then_some(progress.activation_scales.as_slice()),
                };
                let held_out = mean_l1(&average, topology, &self.held_out, arithmetic, &device);
                let n = sums.steps as f64;
                let entry = Entry {
                    step: progress.step,
                    rate: config.rate_at(step),
                    pixel: sums.pixel / n,
                    gradient: sums.gradient / n,
                    features: (sums.features_steps > 0).then(|| sums.features / sums.features_steps as f64),
                    held_out,
                    quantized: quantizing,
                    seconds: progress.seconds,
                };
                sums = Sums::ZERO;
                self.progress.set_message(format!("L1 {:.2}, held-out {held_out:.3}", entry.pixel));
                info!("{entry:?}");
                journal.push(entry)?;
                journal.plot(&self.out.join("losses.png"))?;
                if held_out < progress.best {
                    (progress.best, progress.stale) = (held_out, 0);
                    let network = average.to_network(topology, &progress.activation_scales);
                    let best = Weights { size: config.size, step: progress.step, network };
                    weights::save(&self.out.join("weights.safetensors"), &best)?;
                } else {
                    progress.stale += 1;
                }
                write_sheet(&average, topology, &self.held_out, arithmetic, &device, &self.out.join("sheet.png"))?;
                checkpoint::save::<B, Inner<B>, _, _, _>(
                    &checkpoint_path,
                    &progress,
                    student.clone(),
                    average.clone(),
                    optimizer.to_record(),
                )?;
                let exhausted = quantizing && config.patience > 0 && progress.stale >= config.patience;
                if stopping || exhausted {
                    finished_early = exhausted;
                    break;
                }
            }
        }
        Ok(Outcome {
            step: progress.step,
            best: progress.best,
            finished: finished_early || progress.step == config.steps,
            network: average.to_network(topology, &progress.activation_scales),
        })
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
    let (photos, _, _) = Batch::draw(pairs, &config.sampling(), config.seed ^ 0xca11, step).tensors(device);
    calibrate(student, topology, photos)
}

/// Held-out photo, target and output side by side; for those with a face, its surroundings enlarged as well.
fn write_sheet<B: crate::net::conv::ConvBackend>(
    student: &Student<B>,
    topology: &Topology,
    pairs: &[LoadedPair],
    arithmetic: Arithmetic<'_>,
    device: &B::Device,
    path: &Path,
) -> Result<()> {
    let every = pairs.len().div_ceil(SHEET_ROWS).max(1);
    let rows: Vec<Vec<_>> = pairs
        .iter()
        .step_by(every)
        .map(|pair| {
            let output = stylize(student, topology, &pair.photo, arithmetic, device);
            let mut row = vec![pair.photo.clone(), pair.target.clone(), output.clone()];
            if let Some(face) = pair.entry.faces.first() {
                let part = |picture: &image::RgbImage| {
                    let (x, y) = ((face.x - 0.3 * face.width).max(0.0), (face.y - 0.3 * face.height).max(0.0));
                    let (w, h) = (1.6 * face.width, 1.6 * face.height);
                    image::imageops::crop_imm(picture, x as u32, y as u32, (w as u32).max(1), (h as u32).max(1))
                        .to_image()
                };
                row.extend([part(&pair.photo), part(&pair.target), part(&output)]);
            }
            row
        })
        .collect();
    sheet::save_png(&sheet::compose(&rows, 256), path)
}
