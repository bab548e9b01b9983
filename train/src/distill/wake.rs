//! Idle channels, put to work.
//!
//! A restoring student learns from noise first, and learns soon that what has none needs nothing: there every channel of
//! its last block falls below 0, the picture gets nothing added, and no gradient comes back by which it could learn more.
//! What is missing there (the edges of what is out of focus) is small beside noise, and a least-squares fit finds it where
//! steps along gradients do not: as new neurons are begun with by Evci et al. 2022 ("GradMax"), the directions in which
//! most of the error lies (reduced-rank regression, Izenman 1975) are given to channels that hardly ever fire. Training
//! goes on from there.

use anyhow::{Context, Result, ensure};
use burn::tensor::Tensor;
use log::info;
use nalgebra::{DMatrix, SymmetricEigen};
use nijigen::engine::contract::FloatNetwork;
use nijigen::engine::topology::{LayerShape, Topology};

use crate::data::batches::BatchTensors;
use crate::net::conv::{ConvBackend, space_to_depth};
use crate::net::student::Student;

/// A channel that fires in a smaller share of the places than this is idle: the little that it did is lost.
const SELDOM: f64 = 0.02;
/// What a woken channel gives where nothing is missing, so that it can tell of less as well as of more: within what the
/// other channels give.
const MIDDLE: f64 = 0.4;
/// How many standard deviations below its middle it stops at 0.
const REACH: f64 = 6.0;
/// What keeps the fit from weights that are large and cancel each other, as a share of the places.
const RIDGE: f64 = 1e-6;
/// At most so many places of a batch are looked at: neighbours tell nearly the same.
const PLACES: usize = 4096;
/// Places of a 3×3 kernel, and the one in its middle.
const TAPS: usize = 9;
const CENTRE: usize = 4;

/// What was seen of a network: how often each channel of its last block fires, and, where none of them does, what lies
/// before the block against what its picture lacks.
struct Seen {
    places: u64,
    fired: Vec<u64>,
    /// How many silent places are in the sums below.
    silent: u64,
    /// Products of the patches before the block with each other; the last row and column are of a constant 1.
    patches: DMatrix<f64>,
    /// Products of the patches with what is missing.
    missing: DMatrix<f64>,
    /// Sum of the squares of what is missing.
    energy: f64,
}

impl Seen {
    fn new(block: &LayerShape, head: &LayerShape) -> Self {
        let inputs = block.in_channels * TAPS + 1;
        Self {
            places: 0,
            fired: vec![0; block.out_channels],
            silent: 0,
            patches: DMatrix::zeros(inputs, inputs),
            missing: DMatrix::zeros(inputs, head.out_channels),
            energy: 0.0,
        }
    }

    /// Counts a batch: `before` and `after` the block, and `missing` in the head's channels, all `[b, c, h, w]`.
    fn add<B: ConvBackend>(&mut self, before: Tensor<B, 4>, after: Tensor<B, 4>, missing: Tensor<B, 4>) {
        let [count, channels, height, width] = before.dims();
        let [fired, outputs] = [self.fired.len(), self.missing.ncols()];
        let values = |tensor: Tensor<B, 4>| tensor.into_data().iter().collect::<Vec<f32>>();
        let (before, after, missing) = (values(before), values(after), values(missing));
        let area = height * width;
        let at = |values: &[f32], channels: usize, item: usize, channel: usize, place: usize| {
            values[(item * channels + channel) * area + place]
        };
        let mut silent = Vec::new();
        for item in 0..count {
            let fires = |channel: usize, place: usize| at(&after, fired, item, channel, place) > 0.0;
            for (channel, fired) in self.fired.iter_mut().enumerate() {
                *fired += (0..area).filter(|&place| fires(channel, place)).count() as u64;
            }
            let loud: Vec<bool> = (0..area).map(|place| (0..fired).any(|channel| fires(channel, place))).collect();
            silent.extend(
                (0..area)
                    .filter(|&place| neighbours(place, height, width).all(|n| n.is_none_or(|n| !loud[n])))
                    .map(|place| (item, place)),
            );
        }
        self.places += (count * area) as u64;
        let stride = silent.len().div_ceil(PLACES).max(1);
        let silent: Vec<_> = silent.into_iter().step_by(stride).collect();
        let inputs = self.patches.ncols();
        let patches = DMatrix::from_fn(silent.len(), inputs, |row, column| {
            let (item, place) = silent[row];
            let tap = || neighbours(place, height, width).nth(column % TAPS).flatten();
            match column / TAPS {
                channel if channel == channels => 1.0,
                channel => tap().map_or(0.0, |n| f64::from(at(&before, channels, item, channel, n))),
            }
        });
        let missing = DMatrix::from_fn(silent.len(), outputs, |row, output| {
            f64::from(at(&missing, outputs, silent[row].0, output, silent[row].1))
        });
        self.patches += patches.tr_mul(&patches);
        self.missing += patches.tr_mul(&missing);
        self.energy += missing.norm_squared();
        self.silent += silent.len() as u64;
    }
}

/// The places under a 3×3 kernel about `place`, row by row; `None` beyond the border.
fn neighbours(place: usize, height: usize, width: usize) -> impl Iterator<Item = Option<usize>> {
    let (y, x) = (place / width, place % width);
    (0..TAPS).map(move |tap| {
        let (y, x) = ((y + tap / 3).checked_sub(1)?, (x + tap % 3).checked_sub(1)?);
        (y < height && x < width).then_some(y * width + x)
    })
}

/// A direction in which the picture lacks something: how much of it, told from the patch before the block (the last weight
/// is the bias), and what it is in the head's channels.
struct Direction {
    weights: Vec<f64>,
    outputs: Vec<f64>,
    /// Its deviation over the silent places.
    deviation: f64,
}

/// The `count` directions in which most of what is missing lies, and the share of its squares that all of them tell.
fn directions(seen: &Seen, count: usize) -> Result<(Vec<Direction>, f64)> {
    let ridge = DMatrix::identity(seen.patches.nrows(), seen.patches.ncols()) * (RIDGE * seen.silent as f64);
    let factors = (&seen.patches + ridge)
        .cholesky()
        .context("'wake' cannot fit what is missing: the weights are not finite; start from others")?;
    let all = factors.solve(&seen.missing);
    let told = SymmetricEigen::new(all.transpose() * &seen.patches * &all);
    let mut order: Vec<usize> = (0..told.eigenvalues.len()).collect();
    order.sort_by(|a, b| told.eigenvalues[*b].total_cmp(&told.eigenvalues[*a]));
    let directions: Vec<_> = order.into_iter().take(count).filter(|i| told.eigenvalues[*i] > 0.0).collect();
    let share = directions.iter().map(|i| told.eigenvalues[*i]).sum::<f64>() / seen.energy.max(f64::MIN_POSITIVE);
    let directions = directions.into_iter().map(|i| {
        let outputs = told.eigenvectors.column(i);
        Direction {
            weights: (&all * outputs).iter().copied().collect(),
            outputs: outputs.iter().copied().collect(),
            deviation: (told.eigenvalues[i] / seen.silent as f64).sqrt(),
        }
    });
    Ok((directions.collect(), share))
}

/// `network` with the idle channels of its last block put to work: what each adds is fitted where none of the block's channels
/// fires. They act everywhere from then on, and what they do elsewhere is left to training. All other channels keep their
/// weights.
///
/// # Errors
/// When the network is not a residual one of [`Topology::two_scale`]'s kind, no channel is idle, one fires in every place,
/// nothing is missing, or the weights are not finite.
pub fn wake<B: ConvBackend>(
    network: &FloatNetwork,
    batches: impl Iterator<Item = BatchTensors<B>>,
    device: &B::Device,
) -> Result<FloatNetwork> {
    let topology = &network.topology;
    let (block, head) = last_block(topology).context("'wake' is for residual students alone")?;
    let mut seen = Seen::new(block, head);
    let student = Student::<B>::from_network(network, device);
    let block_at = topology.layers.len() - 2;
    for BatchTensors { photos, targets, .. } in batches {
        let (mut before, mut after) = (None, None);
        let picture = student.forward_float(topology, photos, false, |layer, stored| {
            if layer + 1 == block.input {
                before = Some(stored.clone());
            } else if layer == block_at {
                after = Some(stored.clone());
            }
            stored
        });
        if let Some((before, after)) = before.zip(after) {
            seen.add(before, after, space_to_depth(targets - picture, head.depth_to_space));
        }
    }
    let idle = |fired: &u64| (*fired as f64) < SELDOM * seen.places as f64;
    let idle: Vec<usize> = (0..seen.fired.len()).filter(|channel| idle(&seen.fired[*channel])).collect();
    ensure!(!idle.is_empty(), "'wake' finds no channel that does nothing: take it out");
    ensure!(seen.silent > 0, "'wake' finds no place that the network leaves as it is: take it out");
    let (directions, share) = directions(&seen, idle.len())?;
    ensure!(!directions.is_empty(), "'wake' finds nothing that is missing where the network leaves the photo as it is");
    info!(
        "{} channels that did nothing tell {:.1} % of what is missing where the network leaves the photo as it is",
        directions.len(),
        100.0 * share
    );

    let mut values: Vec<_> = network.layers.iter().map(|layer| (layer.weight.clone(), layer.bias.clone())).collect();
    for (&channel, direction) in idle.iter().zip(&directions) {
        let gain = MIDDLE / (REACH * direction.deviation);
        let (bias, weights) = direction.weights.split_last().context("a direction without weights")?;
        let (of_block, block_bias) = &mut values[block_at];
        let row = &mut of_block[channel * weights.len()..(channel + 1) * weights.len()];
        for (to, weight) in row.iter_mut().zip(weights) {
            *to = (weight * gain) as f32;
        }
        // The block adds what it reads.
        row[channel * TAPS + CENTRE] -= 1.0;
        block_bias[channel] = (bias * gain + MIDDLE) as f32;
        let (of_head, head_bias) = &mut values[block_at + 1];
        for (output, share) in direction.outputs.iter().enumerate() {
            let taps = (output * head.in_channels + channel) * TAPS;
            of_head[taps..taps + TAPS].fill(0.0);
            of_head[taps + CENTRE] = (share / gain) as f32;
            head_bias[output] -= (share / gain * MIDDLE) as f32;
        }
    }
    Ok(FloatNetwork::in_full_range(topology.clone(), values, &network.activation_scales()))
}

/// The last block, which adds what it reads, and the head behind it that gives what is added to the photo.
fn last_block(topology: &Topology) -> Option<(&LayerShape, &LayerShape)> {
    let [.., block, head] = topology.layers.as_slice() else { return None };
    let plain = |shape: &LayerShape| shape.space_to_depth == 1 && shape.stride == 1;
    let fits = topology.is_residual() && block.add == Some(block.input) && block.depth_to_space == 1;
    (fits && head.input == topology.layers.len() - 1 && plain(block) && plain(head)).then_some((block, head))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::backend::NdArray;
    use burn::tensor::TensorData;

    use super::*;

    const SIDE: usize = 32;

    /// A student that carries the photo to its last block, of whose channels those before `awake` fire everywhere, without
    /// any use, and the others nowhere.
    fn student(awake: usize) -> FloatNetwork {
        let plain = Topology::two_scale_with(16, 16, 16);
        let device = Default::default();
        let passing = Student::<NdArray>::passing(&plain, 1, &device);
        let topology = plain.as_residual();
        let count = topology.layers.len();
        let mut values: Vec<_> = passing
            .to_network(&Topology::two_scale_with(16, 16, 16), &vec![0.01; count])
            .layers
            .into_iter()
            .map(|layer| (layer.weight, layer.bias))
            .collect();
        for channel in 0..16 {
            values[count - 2].1[channel] = if channel < awake { 9.0 } else { -9.0 };
        }
        values[count - 1] = (vec![0.0; 12 * 16 * 9], vec![0.0; 12]);
        FloatNetwork::in_full_range(topology, values, &vec![0.01; count])
    }

    /// Stripes and their like out of focus, in 32×32 pixels; every other one is dark.
    fn batches() -> impl Iterator<Item = BatchTensors<NdArray>> {
        (0..8).map(|seed| {
            let device = Default::default();
            let sharp = |x: usize, y: usize| {
                let wave = ((x * (seed + 3) + y * (11 - seed)) as f32 * 0.21).sin();
                let middle = if seed % 2 == 0 { 65.0 } else { 190.0 };
                middle + 50.0 * wave.signum() * wave.abs().sqrt()
            };
            let blurred = |x: usize, y: usize| {
                let near = |v: usize| [v.saturating_sub(1), v, (v + 1).min(SIDE - 1)];
                near(y).iter().flat_map(|y| near(x).map(|x| sharp(x, *y))).sum::<f32>() / 9.0
            };
            let tensor = |value: &dyn Fn(usize, usize) -> f32, scale: f32| {
                let plane: Vec<f32> = (0..SIDE * SIDE).map(|i| value(i % SIDE, i / SIDE) * scale).collect();
                Tensor::<NdArray, 4>::from_data(TensorData::new(plane.repeat(3), [1, 3, SIDE, SIDE]), &device)
            };
            BatchTensors {
                photos: tensor(&blurred, 1.0),
                targets: tensor(&sharp, 1.0 / 255.0),
                weights: Tensor::ones([1, 1, SIDE, SIDE], &device),
                masks: None,
                twins: None,
            }
        })
    }

    /// The mean squared error of the dark photos and of the bright ones.
    fn errors(network: &FloatNetwork) -> [f32; 2] {
        let student = Student::<NdArray>::from_network(network, &Default::default());
        let errors = batches().map(|BatchTensors { photos, targets, .. }| {
            let picture = student.forward_float(&network.topology, photos, false, |_, stored| stored);
            (picture - targets).powi_scalar(2).mean().into_scalar()
        });
        let errors: Vec<f32> = errors.collect();
        [0, 1].map(|first| errors.iter().skip(first).step_by(2).sum())
    }

    #[test]
    fn what_fires_nowhere_learns_at_once_to_sharpen() {
        let asleep = student(0);
        let awake = wake(&asleep, batches(), &Default::default()).unwrap();
        let (before, after) = (errors(&asleep), errors(&awake));
        assert!(after.iter().sum::<f32>() < 0.5 * before.iter().sum::<f32>(), "{after:?} of {before:?}");
        let stored = awake.layers.len() - 1;
        assert!(awake.layers[..stored - 1] == asleep.layers[..stored - 1], "what lies before the block stays");
    }

    #[test]
    fn what_fires_at_times_keeps_its_weights() {
        // The photo's first pixel of a block, which the first channel carries, fires where it is bright: in half the photos.
        let mut network = student(0);
        let count = network.layers.len();
        network.layers[count - 2].bias[0] = -0.5;
        network.layers[count - 1].weight[0] = 0.25;
        let woken = wake(&network, batches(), &Default::default()).unwrap();
        let rows = |network: &FloatNetwork| network.layers[count - 2].weight[..16 * TAPS].to_vec();
        assert!(rows(&woken) == rows(&network) && woken.layers[count - 2].bias[0] == -0.5);
        for output in 0..12 {
            let taps = |network: &FloatNetwork| {
                let at = output * 16 * TAPS;
                network.layers[count - 1].weight[at..at + TAPS].to_vec()
            };
            assert!(taps(&woken) == taps(&network), "the head of {output}");
        }
        assert!(errors(&woken)[0] < 0.5 * errors(&network)[0], "{:?} of {:?}", errors(&woken), errors(&network));
    }

    #[test]
    fn a_network_with_nothing_idle_or_nowhere_silent_is_refused() {
        for (awake, says) in [(16, "no channel"), (1, "no place")] {
            let refused = wake(&student(awake), batches(), &Default::default()).unwrap_err().to_string();
            assert!(refused.contains(says), "{refused}");
        }
        let plain = Student::<NdArray>::new(
            &Topology::two_scale(nijigen::engine::topology::StudentSize::S),
            1,
            &Default::default(),
        );
        let plain = plain.to_network(&Topology::two_scale(nijigen::engine::topology::StudentSize::S), &[0.01; 15]);
        assert!(wake(&plain, batches(), &Default::default()).unwrap_err().to_string().contains("residual"));
    }
}
