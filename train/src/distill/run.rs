//! The training loop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use burn::module::{AutodiffModule, Module};
use burn::optim::Optimizer;
use indicatif::ProgressBar;
use log::{info, warn};
use nijigen::engine::contract::FloatNetwork;
use nijigen::engine::topology::Topology;
use serde::Serialize;

use super::checkpoint::{self, Checkpoint, Origin, Part, Progress, Sums, to_bytes};
use super::config::{Config, Keep};
use super::evaluate::{calibrate, mean_l1};
use super::follower::{Follower, Order};
use super::journal::{Columns, Entry, Journal, Pace};
use super::mixtures::{self, Companions};
use super::sample_sheet;
use super::start::Beginning;
use super::step::{Learner, Step};
use crate::data::batches::{Batch, stream};
use crate::data::training_set::LoadedPair;
use crate::data::{read_file, sha256};
use crate::device::{Task, TrainBackend};
use crate::net::student::{Activations, Arithmetic, Student};
use crate::net::vgg::Vgg;
use crate::pace::time_left;
use crate::peers::{Group, Left, Peer, devices, together};
use crate::run_description;
use crate::utilisation::Utilisation;
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
    /// Pairs to choose the weights by.
    pub validation: Vec<LoadedPair>,
    /// Checksum of the index that both come from.
    pub pairs_sha256: String,
    /// The run's folder: checkpoint, weights, curve, sheet.
    pub out: PathBuf,
    /// VGG weights; without them features are not compared.
    pub vgg: Option<PathBuf>,
    /// Weights to start from; not read where there is a checkpoint to go on from.
    pub base: Option<PathBuf>,
    /// Weights of the styles that the student is to mix with.
    pub mix_with: Vec<PathBuf>,
    /// How many devices of the back end train together; 1 unless it was built with the feature `collective`.
    pub devices: usize,
    /// After how long, between evaluations, it is saved.
    pub checkpoint_every: Duration,
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
    /// The lowest validation L1 of averaged, quantized weights (before fake-quant: of float ones), of 255; infinite where
    /// none was measured yet.
    pub best: f64,
    /// Whether all steps were taken (or none helped any more).
    pub finished: bool,
    /// Seconds spent, those before interruptions counted in.
    pub seconds: f64,
    /// The averaged network as it stands.
    pub network: FloatNetwork,
}

/// The curve's file in the run's folder, the first that is written.
pub const LOSSES: &str = "losses.csv";
/// The kept weights' file in the run's folder.
pub const WEIGHTS: &str = "weights.safetensors";
/// The checkpoint's file in the run's folder.
const CHECKPOINT: &str = "checkpoint.safetensors";

impl Task for Distillation {
    type Output = Outcome;

    fn run<B: TrainBackend>(self, device: B::Device) -> Result<Outcome> {
        let devices = devices::<B>(device, self.devices)?;
        self.train_on::<B>(&devices)
    }
}

impl Distillation {
    /// Trains on `devices` together, one of which may be among them twice.
    pub(super) fn train_on<B: TrainBackend>(mut self, devices: &[B::Device]) -> Result<Outcome> {
        if let Some(damage) = &self.config.augment.damage {
            // What leaves a whole photo as it is would be the best student otherwise.
            damage.befall_each(self.validation.iter_mut().map(|pair| &mut pair.photo), self.config.seed);
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
            !self.validation.is_empty(),
            "there are no pairs to choose the weights by: paint more photos, or with --hold-out NAME"
        );
        ensure!(
            config.batch.is_multiple_of(devices.len()) && config.twins.is_multiple_of(devices.len()),
            "'batch' is {} and 'twins' {}: both must be multiples of --devices, which is {}",
            config.batch,
            config.twins,
            devices.len()
        );
        ensure!(
            self.mix_with.is_empty() == (config.loss.mixture == 0.0),
            "'mixture', which is {}, and --mix-with belong together: give both, or none",
            config.loss.mixture
        );
        let checkpoint_path = self.out.join(CHECKPOINT);
        let resumes = checkpoint_path.exists();
        ensure!(
            config.wake == 0 || self.base.is_some() || resumes,
            "'wake' is for what was trained before: give it as --base, or take 'wake' out"
        );
        let features =
            |device: &B::Device| self.vgg.as_ref().map(|path| Vgg::<B>::load(path, config.half, device)).transpose();
        let device = devices[0].clone();
        let vgg = features(&device)?;
        if vgg.is_none() {
            warn!("no VGG weights were given: features are not compared");
        }
        let origin = self.origin()?;
        let base = self.base.as_deref().filter(|_| !resumes);
        let Beginning { student, activation_scales, base_sha256 } =
            Beginning::new(config, topology, base, &train, &device)?;
        let learner = Learner::new(student, config, &device);
        let progress = Progress {
            step: 0,
            activation_scales,
            best: f64::INFINITY,
            stale: 0,
            seconds: 0.0,
            sums: Sums::default(),
            origin: origin.clone(),
            base: base_sha256,
        };
        let average = learner.student.valid();
        let utilisation = Utilisation::of::<B>(devices);
        let checkpoint = if resumes { Some(Checkpoint::read(&checkpoint_path, &origin)?) } else { None };
        let base = checkpoint.as_ref().map_or(&progress.base, |checkpoint| &checkpoint.progress.base);
        let companions = Companions::load(&self.mix_with, config, topology, base.as_deref(), &device)?;
        let mut training =
            Training { task: &self, train, device, vgg, companions, learner, average, progress, utilisation };
        let mut followers = Vec::new();
        for device in &devices[1..] {
            let learner = training.learner.fork(config, device);
            let learner = match &checkpoint {
                Some(checkpoint) => learner.restored(checkpoint, device)?,
                None => learner,
            };
            let companions = training.companions.fork(device);
            followers.push(Follower { device: device.clone(), learner, vgg: features(device)?, companions });
        }
        if let Some(checkpoint) = &checkpoint {
            training = training.restored(checkpoint)?;
            info!("going on from step {} of {}", training.progress.step, self.out.display());
            if self.base.is_some() {
                info!("--base is not read: the checkpoint goes before it");
            }
        }
        drop(checkpoint);
        if followers.is_empty() {
            return training.go_on(&checkpoint_path, None);
        }
        let follow = |peer: &Peer<B>, follower: Follower<B>, orders| follower.follow(&self, peer, orders);
        together(devices, followers, follow, |group| training.go_on(&checkpoint_path, Some(group)))
    }
}

/// What a run is made from, by checksums.
#[derive(Serialize)]
struct MadeFrom<'a> {
    #[serde(flatten)]
    origin: &'a Origin,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<&'a str>,
}

/// A distillation under way.
struct Training<'t, B: TrainBackend> {
    task: &'t Distillation,
    train: Arc<Vec<LoadedPair>>,
    device: B::Device,
    vgg: Option<Vgg<B>>,
    companions: Companions<B>,
    learner: Learner<B>,
    /// The moving average of the student.
    average: Student<B::InnerBackend>,
    progress: Progress,
    utilisation: Utilisation,
}

impl<B: TrainBackend> Training<'_, B> {
    /// From where it stands to its end, or to where it is stopped.
    fn go_on(mut self, checkpoint_path: &Path, group: Option<&Group<B, Order>>) -> Result<Outcome> {
        let (task, config) = (self.task, &self.task.config);
        // What a woken channel gives is not within the ranges that it slept in.
        let keeps_ranges =
            task.base.is_some() && config.quantize_step() == 0 && config.activation_range.is_none() && config.wake == 0;
        let mut journal = Journal::open(task.out.join(LOSSES), self.progress.step, Columns::of(config))?;
        let made_from = MadeFrom { origin: &self.progress.origin, base: self.progress.base.as_deref() };
        run_description::write::<B>(&task.out, &self.device, task.vgg.as_deref(), &made_from, config)?;
        let batches = stream(Arc::clone(&self.train), config.sampling(), config.seed, self.progress.step);
        let mut pace = Pace::default();
        let mut started = Instant::now();
        let mut exhausted = config.is_exhausted(self.progress.step, self.progress.stale);
        task.progress.set_length(config.steps);
        task.progress.set_position(self.progress.step);
        self.utilisation.forget();

        while self.progress.step < config.steps && !exhausted {
            let step = self.progress.step;
            let quantizing = step >= config.quantize_step();
            if step == config.quantize_step() {
                // What came before was measured without fake-quant.
                (self.progress.best, self.progress.stale) = (f64::INFINITY, 0);
                if !keeps_ranges {
                    self.calibrate(step)?;
                }
            }
            let waiting = Instant::now();
            let Ok(batch) = batches.recv() else { bail!("the thread that draws batches has died") };
            let waited = waiting.elapsed();
            self.step(step, quantizing, batch, group)?;
            pace.add(waited, waiting.elapsed());
            task.progress.inc(1);

            let stopping = task.stop.load(Ordering::Relaxed);
            // Only at steps that do not depend on when the run was stopped, so that what it leaves does not either.
            let evaluating =
                self.progress.step == config.steps || self.progress.step.is_multiple_of(config.evaluate_every);
            if evaluating {
                pace.gpu_utilisation = self.utilisation.take();
                self.progress.seconds += started.elapsed().as_secs_f64();
                started = Instant::now();
                if !quantizing {
                    self.calibrate(step)?;
                }
                self.evaluate(step, quantizing, std::mem::take(&mut pace), &mut journal)?;
                exhausted = config.is_exhausted(self.progress.step, self.progress.stale);
            }
            // Each evaluation is saved: what has not been counted has not been saved either.
            if evaluating || stopping || started.elapsed() >= task.checkpoint_every {
                self.progress.seconds += started.elapsed().as_secs_f64();
                started = Instant::now();
                checkpoint::save(checkpoint_path, &self.progress, self.parts()?)?;
                if evaluating {
                    self.utilisation.forget();
                }
            }
            if stopping {
                break;
            }
        }
        Ok(Outcome {
            step: self.progress.step,
            best: self.progress.best,
            finished: exhausted || self.progress.step == config.steps,
            seconds: self.progress.seconds,
            network: self.average.to_network(&task.topology, &self.progress.activation_scales),
        })
    }

    /// Takes step `step`, with the whole group if there is one, and counts it.
    fn step(&mut self, step: u64, quantizing: bool, mut batch: Batch, group: Option<&Group<B, Order>>) -> Result<()> {
        let (task, config) = (self.task, &self.task.config);
        let activation_scales = quantizing.then_some(self.progress.activation_scales.as_slice());
        if let Some(group) = group {
            batch = Order::give(group, step, batch, activation_scales)?;
        }
        let taken = Step {
            config,
            topology: &task.topology,
            vgg: self.vgg.as_ref(),
            companions: &self.companions,
            number: step,
            activation_scales,
            device: &self.device,
            peer: group.map(|group| &group.peer),
        };
        let Some(figures) = taken.take(&mut self.learner, batch).map_err(|error| task.failed(error))? else {
            bail!("{} (a loss is no longer a number at step {step})", task.diverged());
        };
        self.progress.sums.add(&figures);
        // Young averages follow closely, so that the first thousand steps do not weigh on them.
        let decay = config.average.min((1.0 + step as f32) / (10.0 + step as f32));
        self.average.average(&self.learner.student.valid(), decay);
        self.progress.step += 1;
        Ok(())
    }

    /// Sets the ranges of the activations to what is best for the averaged network now.
    fn calibrate(&mut self, step: u64) -> Result<()> {
        let (task, config) = (self.task, &self.task.config);
        // A stream of its own, so that the batches trained on do not depend on when ranges are looked at.
        let batch = Batch::draw(&self.train, &config.sampling(), config.seed ^ 0xca11, step).tensors(&self.device);
        let mut scales = calibrate(&self.average, &task.topology, batch.photos).with_context(|| task.diverged())?;
        let share = config.activation_range.unwrap_or(1.0);
        scales.iter_mut().for_each(|scale| *scale *= share);
        self.progress.activation_scales = scales;
        Ok(())
    }

    /// Measures the averaged network and writes down how it stands; keeps it if it is the best, or the last is to be kept.
    fn evaluate(&mut self, step: u64, quantizing: bool, pace: Pace, journal: &mut Journal) -> Result<()> {
        let (task, config, topology) = (self.task, &self.task.config, &self.task.topology);
        let progress = &mut self.progress;
        let scales = progress.activation_scales.clone();
        // In 32 bits, as the engine computes: in 16 it would be another network that is judged.
        let arithmetic =
            Arithmetic { half: false, activations: Activations::quantized_in(quantizing.then_some(scales.as_slice())) };
        let validation = mean_l1(&self.average, topology, &task.validation, arithmetic, &self.device)
            .with_context(|| task.diverged())?;
        let sums = std::mem::take(&mut progress.sums);
        let entry = Entry::of(config, &sums, pace, step, validation, progress.seconds);
        task.progress.set_message(format!("L1 {:.2}, validation {validation:.3}", entry.pixel));
        let left = time_left(config.steps - entry.step, config.batch, entry.photos_per_second);
        info!("step {} of {}: {entry}{left}", entry.step, config.steps);
        journal.push(entry)?;
        journal.plot(&task.out.join("losses.png"))?;
        let is_better = validation < progress.best;
        (progress.best, progress.stale) = if is_better { (validation, 0) } else { (progress.best, progress.stale + 1) };
        if is_better || config.keep == Keep::Last {
            let network = self.average.to_network(topology, &scales);
            let kept = Weights { size: config.size, step: progress.step, base: progress.base.clone(), network };
            weights::save(&task.out.join(WEIGHTS), &kept)?;
        }
        let sheet = task.out.join("sheet.png");
        sample_sheet::write(&self.average, topology, &task.validation, arithmetic, &self.device, &sheet)
    }

    /// All that a checkpoint holds beside the progress.
    fn parts(&self) -> Result<Vec<Part>> {
        let mut parts = vec![
            ("student", to_bytes::<B, _>(self.learner.student.clone().into_record())?),
            ("average", to_bytes::<B::InnerBackend, _>(self.average.clone().into_record())?),
            ("optimizer", to_bytes::<B, _>(self.learner.optimizer.to_record())?),
        ];
        if let Some(opponent) = &self.learner.opponent {
            parts.extend(opponent.parts()?);
        }
        Ok(parts)
    }

    /// As it was when `checkpoint` was written.
    fn restored(self, checkpoint: &Checkpoint) -> Result<Self> {
        let learner = self.learner.restored(checkpoint, &self.device)?;
        let average = self.average.load_record(checkpoint.record::<B::InnerBackend, _>("average", &self.device)?);
        Ok(Self { learner, average, progress: checkpoint.progress.clone(), ..self })
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
            mix_with: mixtures::checksum(&self.mix_with)?,
        })
    }

    /// What a failed step tells: that training has diverged, unless another device's did not come to its end.
    pub(super) fn failed(&self, error: anyhow::Error) -> anyhow::Error {
        if error.is::<Left>() { error } else { error.context(self.diverged()) }
    }

    /// What to do when training has diverged: the checkpoint may be as sick as the network, and going on with another
    /// rate would be refused.
    fn diverged(&self) -> String {
        let best = self.out.join(WEIGHTS);
        let base = if best.is_file() { format!(" and --base {}", best.display()) } else { String::new() };
        let rates = if self.config.is_adversarial() { "'rate' or 'adversary.rate'" } else { "'rate'" };
        format!(
            "training has diverged: lower {rates} in the configuration and start with it in another folder (-o){base}"
        )
    }
}
