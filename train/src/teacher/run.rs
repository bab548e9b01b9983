//! The training loop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use burn::module::AutodiffModule;
use log::{info, warn};

use super::batches::{Draw, Material, stream};
use super::checkpoint::{CHECKPOINTS, Store, Which};
use super::collapse::{Collapse, Seen};
use super::config::Config;
use super::evaluate::{Examples, Measured, spread};
use super::follower::{Common, Follower, Order};
use super::journal::{CURVES, Entry, Journal, METRICS};
use super::model::{self, About, Model};
use super::state::{Progress, Rollback, State};
use super::step::Step;
use super::task::{Eyes, Outcome, TEACHER, Teacher};
use crate::device::{Task, TrainBackend};
use crate::net::vgg::Vgg;
use crate::pace::time_left;
use crate::peers::{Group, Peer, devices, together};
use crate::run_description;
use crate::sheet;
use crate::utilisation::Utilisation;

/// Rows of the sample sheet, and the side of a picture on it.
const SHEET_ROWS: usize = 8;
const SHEET_CELL: u32 = 320;

/// What a test breaks, so that it can be seen whether it is noticed.
pub(super) trait Fault {
    /// Before the step, with what it will look at and what it will change.
    fn strike<B: TrainBackend>(&mut self, step: u64, draw: &mut Draw, state: &mut State<B>);
}

/// Nothing is broken.
pub(super) struct NoFault;

impl Fault for NoFault {
    fn strike<B: TrainBackend>(&mut self, _: u64, _: &mut Draw, _: &mut State<B>) {}
}

impl Task for Teacher {
    type Output = Outcome;

    fn run<B: TrainBackend>(self, device: B::Device) -> Result<Outcome> {
        let devices = devices::<B>(device, self.devices)?;
        train::<B, _>(self, &devices, &mut NoFault)
    }
}

/// Trains on `devices` together, one of which may be among them twice.
pub(super) fn train<B: TrainBackend, F: Fault>(
    mut teacher: Teacher,
    devices: &[B::Device],
    fault: &mut F,
) -> Result<Outcome> {
    let device = &devices[0];
    let material = Arc::new(std::mem::take(&mut teacher.material));
    let config = teacher.config.clone();
    teacher.check(&material)?;
    ensure!(
        config.batch.is_multiple_of(devices.len()),
        "'batch' is {}, it must be a multiple of --devices, which is {}",
        config.batch,
        devices.len()
    );
    let eyes = teacher.eyes::<B>(device)?;
    let statistics = match (&eyes, config.generator.reference) {
        (Some(eyes), true) => 2 * eyes.train.channels(),
        (None, true) => bail!("style by reference is read through VGG: give its weights (--vgg)"),
        (_, false) => 0,
    };
    let origin = teacher.origin()?;
    let store = Store::open(teacher.out.join(CHECKPOINTS), origin.clone())?;
    let mut progress = Progress::new();
    let (base, state);
    let common = Common { config: &config, painted: material.painted, statistics, store: &store };
    if store.has(Which::Latest) {
        progress = store.progress(Which::Latest)?;
        state = common.state(Which::Latest, device)?;
        base = teacher.base::<B>(statistics, device)?;
        info!("going on from step {} of {}", progress.step, teacher.out.display());
    } else {
        base = teacher.base(statistics, device)?;
        let new = State::<B>::new(&config, statistics, 0, device);
        state = match &base {
            Some(Model { network, .. }) => State { average: network.valid(), generator: network.clone(), ..new },
            None => new,
        };
        // There is always something to go back to.
        store.save(&progress, &state, true)?;
    }
    run_description::write::<B>(&teacher.out, device, teacher.vgg.as_deref(), &origin, &config)?;
    let features = |device: &B::Device| match (&teacher.vgg, &eyes) {
        (Some(path), Some(_)) => Vgg::load(path, config.half, device).map(Some),
        _ => Ok(None),
    };
    let mut followers = Vec::new();
    for device in &devices[1..] {
        followers.push(Follower {
            device: device.clone(),
            state: common.state(Which::Latest, device)?,
            vgg: features(device)?,
        });
    }
    let base = base.map(|base| base.about);
    let utilisation = Utilisation::of::<B>(devices);
    let leader =
        Leader { teacher: &teacher, base, material, eyes, common: &common, device, state, progress, utilisation };
    if followers.is_empty() {
        return leader.go_on(None, fault);
    }
    let follow = |peer: &Peer<B>, follower: Follower<B>, orders| follower.follow(&common, peer, orders);
    together(devices, followers, follow, |group| leader.go_on(Some(group), fault))
}

/// A training under way, where it is led.
struct Leader<'t, B: TrainBackend> {
    teacher: &'t Teacher,
    /// What it began as.
    base: Option<About>,
    material: Arc<Material>,
    eyes: Option<Eyes<B>>,
    common: &'t Common<'t>,
    device: &'t B::Device,
    state: State<B>,
    progress: Progress,
    utilisation: Utilisation,
}

impl<B: TrainBackend> Leader<'_, B> {
    /// From where it stands to its end, or to where it is stopped.
    fn go_on<F: Fault>(self, group: Option<&Group<B, Order>>, fault: &mut F) -> Result<Outcome> {
        let Self { teacher, base, material, eyes, common, device, mut state, mut progress, utilisation } = self;
        let Common { config, statistics, store, .. } = *common;
        let examples = Examples {
            pairs: spread(&teacher.validation, config.evaluate_pictures),
            painted: material.painted,
            references: if config.generator.reference { material.references.iter().collect() } else { Vec::new() },
            vgg: eyes.as_ref().map(|eyes| &eyes.measure),
        };
        let mut journal = Journal::open(teacher.out.join(METRICS), progress.step)?;
        let mut draws = stream(Arc::clone(&material), config.clone(), progress.step);
        let mut validation = None;
        let mut started = Instant::now();
        teacher.progress.set_length(config.steps);
        teacher.progress.set_position(progress.step);
        utilisation.forget();

        while progress.step < config.steps && !is_exhausted(config, &progress) {
            let step = progress.step;
            if step == config.warm.steps {
                // Another game: its losses mean something else.
                (progress.best, progress.stale) = (f64::INFINITY, 0);
            }
            let waiting = Instant::now();
            let Ok(mut draw) = draws.recv() else { bail!("the thread that draws batches has died") };
            let waited = waiting.elapsed().as_secs_f64();
            fault.strike(step, &mut draw, &mut state);
            if let Some(group) = group {
                draw = Order::step(group, step, progress.rate_factor, draw)?;
            }
            let taken = Step {
                config,
                vgg: eyes.as_ref().map(|eyes| &eyes.train),
                painted: material.painted,
                step,
                rate_factor: progress.rate_factor,
                device,
                peer: group.map(|group| &group.peer),
            };
            let figures = taken.take(&mut state, draw)?;
            let mut collapse = figures.iter().any(|(_, value)| !value.is_finite()).then_some(Collapse::NotFinite);
            progress.sums.add(&figures);
            progress.sums.add(&[("waited", waited), ("took", waiting.elapsed().as_secs_f64())]);
            progress.step += 1;
            teacher.progress.inc(1);

            let stopping = teacher.stop.load(Ordering::Relaxed);
            // Only at steps that do not depend on when the run was stopped, so that what it leaves does not either.
            let evaluating = progress.step == config.steps || progress.step.is_multiple_of(config.evaluate_every);
            if evaluating && collapse.is_none() {
                let gpu_utilisation = utilisation.take();
                let measured = examples.measure(config, &state.average, device);
                progress.seconds += started.elapsed().as_secs_f64();
                started = Instant::now();
                let entry = entry_of(config, &progress, &measured, gpu_utilisation);
                collapse = look(config, &mut progress, &entry, &measured);
                teacher.progress.set_message(message(&entry));
                let left = time_left(config.steps - progress.step, config.batch, entry.value("photos_per_second"));
                info!("step {} of {}: {}{left}", progress.step, config.steps, message(&entry));
                journal.push(entry)?;
                journal.plot(&teacher.out.join(CURVES), config.warm.steps)?;
                let rows = examples.rows(&measured);
                sheet::save_png(
                    &sheet::compose(&rows[..rows.len().min(SHEET_ROWS)], SHEET_CELL),
                    &teacher.out.join("sheet.png"),
                )?;
                if collapse.is_none() {
                    validation = Some(measured.validation);
                    progress.sums = Default::default();
                    let better = measured.validation < progress.best;
                    (progress.best, progress.stale) =
                        if better { (measured.validation, 0) } else { (progress.best, progress.stale + 1) };
                    if better || config.patience == 0 || step < config.warm.steps {
                        let (before, contested) =
                            base.as_ref().map_or((0, Some(0)), |base| (base.step, base.against_adversaries));
                        let about = About {
                            generator: config.generator.clone(),
                            statistics,
                            step: before + progress.step,
                            against_adversaries: contested
                                .map(|steps| steps + progress.step.saturating_sub(config.warm.steps)),
                        };
                        model::save(&teacher.out.join(TEACHER), &about, &state.average)?;
                    }
                }
            }
            if let Some(reason) = collapse {
                progress.seconds += started.elapsed().as_secs_f64();
                started = Instant::now();
                (progress, state) = go_back(teacher, common, &progress, reason, device)?;
                if let Some(group) = group {
                    Order::go_back(group)?;
                }
                teacher.progress.set_position(progress.step);
                journal = Journal::open(teacher.out.join(METRICS), progress.step)?;
                draws = stream(Arc::clone(&material), config.clone(), progress.step);
            } else if evaluating || stopping || started.elapsed() >= teacher.checkpoint_every {
                // Each evaluation is saved: what has not been counted has not been saved either.
                progress.seconds += started.elapsed().as_secs_f64();
                started = Instant::now();
                store.save(&progress, &state, evaluating && progress.watch.is_calm())?;
                if evaluating {
                    utilisation.forget();
                }
            }
            if stopping {
                break;
            }
        }
        let kept = teacher.out.join(TEACHER);
        Ok(Outcome {
            step: progress.step,
            finished: is_exhausted(config, &progress) || progress.step == config.steps,
            seconds: progress.seconds,
            rollbacks: progress.rollbacks,
            validation,
            teacher: kept.is_file().then_some(kept),
        })
    }
}

/// Whether training ends early because the validation loss has long not fallen.
fn is_exhausted(config: &Config, progress: &Progress) -> bool {
    progress.step > config.warm.steps && config.patience > 0 && progress.stale >= config.patience
}

/// Takes an evaluation into account.
fn look(config: &Config, progress: &mut Progress, entry: &Entry, measured: &Measured) -> Option<Collapse> {
    if !measured.validation.is_finite() {
        return Some(Collapse::NotFinite);
    }
    if progress.step <= config.warm.steps {
        // While it warms up, pictures are still grey.
        return None;
    }
    let accuracy = entry.value("accuracy_real").zip(entry.value("accuracy_fake"));
    let accuracy = accuracy.filter(|_| config.judges_at(progress.step));
    let seen = Seen {
        accuracy: accuracy.map(|(real, fake)| [real, fake]),
        diversity: measured.diversity / measured.diversity_photos.max(f64::MIN_POSITIVE),
    };
    progress.watch.look(&config.collapse, seen)
}

/// Back to the last good checkpoint with half the rates, or an end if that was done often enough.
fn go_back<B: TrainBackend>(
    teacher: &Teacher,
    common: &Common<'_>,
    progress: &Progress,
    reason: Collapse,
    device: &B::Device,
) -> Result<(Progress, State<B>)> {
    let at = progress.step;
    let store = common.store;
    let mut good = store.progress(Which::Good)?;
    if progress.rollbacks.len() >= teacher.config.collapse.rollbacks as usize {
        bail!(
            "training has collapsed at step {at} ({reason}) after {} returns to an earlier checkpoint: lower the rates or \
             the adversaries' weights and start in another folder (-o). The last good checkpoint, of step {}, is in {}",
            progress.rollbacks.len(),
            good.step,
            teacher.out.display()
        );
    }
    let state = common.state(Which::Good, device)?;
    good.rate_factor = progress.rate_factor / 2.0;
    good.seconds = progress.seconds;
    good.rollbacks.clone_from(&progress.rollbacks);
    good.rollbacks.push(Rollback { from: at, to: good.step, reason });
    let rates = good.rate_factor;
    warn!("step {at}: {reason}; back to step {} with rates × {rates}", good.step);
    store.save(&good, &state, false)?;
    Ok((good, state))
}

/// What the journal says of the steps since the last evaluation and of this one.
fn entry_of(config: &Config, progress: &Progress, measured: &Measured, gpu_utilisation: Option<f64>) -> Entry {
    let last = progress.step - 1;
    let mean = |name: &str| progress.sums.mean(name);
    Entry::new(progress.step, |name| match name {
        "generator_rate" => Some(config.generator_rate(last) * progress.rate_factor),
        "discriminator_rate" => {
            config.is_adversarial(last).then_some(config.adversary.discriminator_rate * progress.rate_factor)
        }
        "mse" => Some(measured.mse),
        "psnr" => Some(measured.psnr),
        "ssim" => Some(measured.ssim),
        "vgg" => measured.vgg,
        "diversity" => Some(measured.diversity),
        "diversity_photos" => Some(measured.diversity_photos),
        "validation" => Some(measured.validation),
        "rollbacks" => Some(progress.rollbacks.len() as f64),
        "photos_per_second" => mean("took").map(|seconds| config.batch as f64 / seconds),
        "waiting_share" => mean("waited").zip(mean("took")).map(|(waited, took)| waited / took),
        "seconds" => Some(progress.seconds),
        "gpu_utilisation" => gpu_utilisation,
        _ => mean(name),
    })
}

fn message(entry: &Entry) -> String {
    let figure = |label: &str, name: &str, decimals: usize| {
        entry.value(name).map(|value| format!("{label} {value:.decimals$}")).unwrap_or_default()
    };
    let parts = [
        figure("G", "generator", 4),
        figure("D", "discriminator", 3),
        figure("real", "accuracy_real", 2),
        figure("fake", "accuracy_fake", 2),
        figure("PSNR", "psnr", 2),
        figure("SSIM", "ssim", 3),
        figure("VGG", "vgg", 4),
        figure("diversity", "diversity", 1),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}
