//! Where the convolutions' time goes in a distillation step (size `m`, 10 crops of 192×192, 32 bits): each of the student's
//! layers and VGG's, forward and its gradients.
//!
//! ```sh
//! cargo bench -p nijigen-train --bench convolution
//! NIJIGEN_DEVICE=tch RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1 cargo bench -p nijigen-train --features tch --bench convolution
//! ```
//!
//! `forward` is what a step computes to have the output and whatever the back end wants to keep for the gradients.

use std::time::Instant;

use anyhow::{Result, anyhow};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Distribution, Tensor};
use clap::ValueEnum;
use nijigen::engine::topology::{StudentSize, Topology};
use nijigen_train::device::{Device, Task, TrainBackend, default_device, dispatch};
use nijigen_train::net::conv::{BlockRun, BlockShape, ConvBackend, Wanted};

const BATCH: usize = 10;
const CROP: usize = 192;
/// Of how many steps one compares features, and on which part of each crop.
const FEATURES_EVERY: f64 = 8.0;
const FEATURES_CROP: usize = 96;
const REPEATS: usize = 5;

/// Convolutions of one form.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Form {
    inputs: usize,
    outputs: usize,
    /// Sides of the input.
    side: usize,
    stride: usize,
}

/// How often a step computes a form: forward, the input's gradient, the parameters' gradient.
type Counts = [f64; 3];

fn main() -> Result<()> {
    let device = match std::env::var("NIJIGEN_DEVICE") {
        Ok(name) => Device::from_str(&name, true).map_err(|why| anyhow!("NIJIGEN_DEVICE: {why}"))?,
        Err(_) => default_device(),
    };
    dispatch(device, Convolutions)
}

struct Convolutions;

impl Task for Convolutions {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) -> Result<()> {
        println!("| input | output | forward, ms | input's gradient, ms | weights' gradient, ms |");
        println!("|---|---|--:|--:|--:|");
        let mut all = [0.0; 3];
        for (form, counts) in forms() {
            let each = measure::<B::InnerBackend>(form, &device);
            for ((sum, ms), count) in all.iter_mut().zip(each).zip(counts) {
                *sum += ms * count;
            }
            let cells: Vec<String> = each
                .iter()
                .zip(counts)
                .map(|(ms, count)| if count > 0.0 { format!("{count} × {ms:.2}") } else { "–".to_owned() })
                .collect();
            let Form { inputs, outputs, side, stride } = form;
            println!("| {inputs} at {side}×{side} | {outputs} at {0}×{0} | {1} |", side / stride, cells.join(" | "));
        }
        let [forward, of_input, of_weights] = all;
        println!("| all | | {forward:.1} | {of_input:.1} | {of_weights:.1} |");
        Ok(())
    }
}

/// All forms of a step.
fn forms() -> Vec<(Form, Counts)> {
    let mut forms: Vec<(Form, Counts)> = Vec::new();
    let mut add = |form, counts: Counts| match forms.iter_mut().find(|(other, _)| *other == form) {
        Some((_, sums)) => sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count),
        None => forms.push((form, counts)),
    };
    let topology = Topology::two_scale(StudentSize::M).with_person_mask();
    let mut sides = vec![CROP];
    for layer in &topology.layers {
        let side = sides[layer.input] / layer.space_to_depth;
        sides.push(side / layer.stride * layer.depth_to_space);
        let form = Form { inputs: layer.in_channels, outputs: layer.out_channels, side, stride: layer.stride };
        // Nobody waits for the photo's gradient.
        add(form, [1.0, if layer.input == 0 { 0.0 } else { 1.0 }, 1.0]);
    }
    for (inputs, outputs, reduced) in [(3, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 2), (128, 256, 4)] {
        // Of output and target; the gradient of the output alone.
        let form = Form { inputs, outputs, side: FEATURES_CROP / reduced, stride: 1 };
        add(form, [2.0 / FEATURES_EVERY, 1.0 / FEATURES_EVERY, 0.0]);
    }
    forms
}

/// Milliseconds of the three, medians.
fn measure<B: ConvBackend>(form: Form, device: &B::Device) -> [f64; 3] {
    let Form { inputs, outputs, side, stride } = form;
    let shape = BlockShape { stride, relu: false };
    // Pixel by pixel in memory, as the trainer's tensors are.
    let picture = |channels, side: usize| -> Tensor<B, 4> {
        Tensor::random([BATCH, side, side, channels], Distribution::Normal(0.0, 1.0), device).permute([0, 3, 1, 2])
    };
    let primitive = |tensor: &Tensor<B, 4>| tensor.clone().into_primitive().tensor();
    let (x, grad) = (picture(inputs, side), picture(outputs, side / stride));
    let weight = Tensor::<B, 4>::random([outputs, inputs, 3, 3], Distribution::Normal(0.0, 0.1), device);
    let bias = || Tensor::<B, 1>::zeros([outputs], device).into_primitive().tensor();
    let forward = |wanted| -> BlockRun<FloatTensor<B>> {
        let (_, kept) = B::block_forward(primitive(&x), primitive(&weight), bias(), None, shape, wanted);
        BlockRun { x: primitive(&x), weight: primitive(&weight), bias: bias(), y: None, kept }
    };
    let all = Wanted { input: true, parameters: true };
    let input = Wanted { parameters: false, ..all };
    let parameters = Wanted { input: false, ..all };
    [
        median::<B, _>(device, || (), |()| drop(forward(all))),
        median::<B, _>(device, || forward(input), |run| drop(B::block_backward(run, primitive(&grad), shape, input))),
        median::<B, _>(
            device,
            || forward(parameters),
            |run| drop(B::block_backward(run, primitive(&grad), shape, parameters)),
        ),
    ]
}

/// Milliseconds of `work` on what `prepare` gives it, after a first time that does not count.
fn median<B: Backend, T>(device: &B::Device, prepare: impl Fn() -> T, work: impl Fn(T)) -> f64 {
    let mut times: Vec<f64> = (0..=REPEATS)
        .map(|_| {
            let prepared = prepare();
            // What the device cannot tell would only be seen in the figures.
            let _ = B::sync(device);
            let started = Instant::now();
            work(prepared);
            let _ = B::sync(device);
            started.elapsed().as_secs_f64() * 1e3
        })
        .skip(1)
        .collect();
    times.sort_by(f64::total_cmp);
    times[REPEATS / 2]
}
