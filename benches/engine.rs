//! The fused engine against what the processor can do: each kernel against a loop of its instruction on registers, the
//! whole network against its own count of multiply-accumulates.
//!
//! `cargo bench --bench engine` prints a table of shares of that peak, then criterion's figures.

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nijigen::engine::contract::FloatNetwork;
use nijigen::engine::fused::{Changed, FusedGenerator};
use nijigen::engine::kernels::{self, Group, Isa, Places, Span, WeightVector, Window, peak};
use nijigen::engine::topology::{StudentSize, Topology};
use nijigen::engine::{Generator, contract::QuantizedNetwork};
use nijigen::frame::Size;

const SIZE: Size = Size::new(640, 480);
/// Channels, positions and rows of the layer on which the kernels are measured.
const CHANNELS: usize = 48;
const COLUMNS: usize = 160;
const ROWS: usize = 120;
/// Measurements of each thing, taken in turns; the median counts.
const TURNS: usize = 11;
/// An engine's turn, of which the second half counts: until then its buffers are in the caches again, and the system has
/// noticed that there is work for several cores.
const TURN: Duration = Duration::from_millis(300);
/// Frames of a turn, at least.
const FRAMES: usize = 4;

/// Ten convolutions' worth of nothing but kernel calls: a layer of 48 channels at a quarter of 640×480.
struct Layer {
    group: Group,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Layer {
    const PITCH: usize = (COLUMNS + 2) * CHANNELS;
    const MACS: u64 = (ROWS * COLUMNS * 9 * CHANNELS * CHANNELS) as u64;

    fn new() -> Self {
        let vectors = CHANNELS / kernels::LANES;
        let quads = 3 * CHANNELS / 4;
        let weight = |i: usize| WeightVector(std::array::from_fn(|lane| (((i * 64 + lane) * 40_503) >> 5) as i8));
        Self {
            group: Group {
                weights: (0..3 * quads * vectors).map(weight).collect(),
                initial: vec![[0; kernels::LANES]; vectors],
                multiplier: vec![[3e-4; kernels::LANES]; vectors],
                bias: vec![[1.0; kernels::LANES]; vectors],
            },
            input: (0..(ROWS + 3) * Self::PITCH + kernels::READ_BEYOND * CHANNELS)
                .map(|i| (i * 31 % 128) as u8)
                .collect(),
            output: vec![0; ROWS * COLUMNS * CHANNELS],
        }
    }

    fn run(&mut self, isa: Isa) {
        for y in 0..ROWS {
            let mut span = Span {
                input: &self.input,
                input_at: y * Self::PITCH,
                input_row: Self::PITCH,
                window: Window { rows: 3, quads: 3 * CHANNELS / 4, pitch: Self::PITCH, step: CHANNELS },
                rows: 1,
                positions: COLUMNS,
                output: &mut self.output,
                places: Places {
                    at: std::array::from_fn(|v| (y * COLUMNS) * CHANNELS + v * kernels::LANES),
                    step: CHANNELS,
                    row: 0,
                },
                flip: 0,
                highest: 127.0,
                shortcut: None,
                keep: None,
            };
            kernels::run(isa, &self.group, &mut span);
        }
    }
}

fn network() -> QuantizedNetwork {
    FloatNetwork::random(Topology::two_scale(StudentSize::M), 1).quantize().expect("a random network is a sound one")
}

fn photo() -> Vec<u8> {
    (0..SIZE.rgb_len()).map(|i| ((i * 31 + i / 977 * 7) % 256) as u8).collect()
}

fn engine(isa: Isa, threads: usize) -> FusedGenerator {
    FusedGenerator::new(&network(), isa, threads).expect("the student can be fused")
}

/// An engine whose threads stay on the processor's cores from `core` on: some systems pack the threads of a process that is
/// idle now and then on one core, and it is the engine that is measured here. Where there is no `taskset`, they go free.
fn pinned(isa: Isa, threads: usize, core: usize) -> FusedGenerator {
    let bands = || -> Vec<PathBuf> {
        let all = fs::read_dir("/proc/self/task").into_iter().flatten().flatten().map(|entry| entry.path());
        all.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("band-"))).collect()
    };
    let before = bands();
    let engine = engine(isa, threads);
    // They name themselves once they run.
    let came = || bands().into_iter().filter(|task| !before.contains(task)).collect::<Vec<_>>();
    let patience = Instant::now();
    while came().len() < threads && patience.elapsed() < Duration::from_secs(1) {
        thread::yield_now();
    }
    for task in came() {
        let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
        let band: usize = name.trim().trim_start_matches("band-").parse().unwrap_or(0);
        let id = task.file_name().unwrap_or_default();
        let taskset = Command::new("taskset").arg("-pc").arg((core + band).to_string()).arg(id).output();
        if !taskset.is_ok_and(|output| output.status.success()) {
            eprintln!("the threads could not be kept on their cores");
        }
    }
    engine
}

/// Multiply-accumulates per second of the frames of an engine's turn that count.
fn turn(engine: &mut FusedGenerator, photo: &[u8], out: &mut [u8]) -> Vec<f64> {
    let (macs, start, mut rates) = (engine.macs(SIZE) as f64, Instant::now(), Vec::new());
    while rates.len() < FRAMES || start.elapsed() < TURN {
        let began = Instant::now();
        engine.run(photo, SIZE, black_box(&mut *out)).expect("a frame of the right size");
        rates.push(macs / began.elapsed().as_secs_f64());
    }
    rates.split_off(rates.len() / 2)
}

/// Multiply-accumulates per second of each of two engines of one thread that run at the same time, on frames of their own.
fn side_by_side(engines: &mut [FusedGenerator; 2], photo: &[u8]) -> Vec<f64> {
    let start = Barrier::new(engines.len());
    let mut rates = Vec::new();
    thread::scope(|scope| {
        let runs = engines.each_mut().map(|engine| {
            let start = &start;
            scope.spawn(move || {
                let mut out = vec![0; SIZE.rgb_len()];
                start.wait();
                let mut rates = turn(engine, photo, &mut out);
                // Who is done first leaves the other one alone with the machine.
                rates.pop();
                rates
            })
        });
        for run in runs {
            rates.extend(run.join().expect("no panic"));
        }
    });
    rates
}

/// Prints each kernel's and the whole network's share of the measured peak, and what a second thread adds. How much a
/// second core of this machine can add at all is seen where two engines of one thread each run side by side.
fn shares(_: &mut Criterion) {
    println!(
        "isa           peak GMAC/s   3x3, 48 channels   network, 1 thread      2 threads: faster, two engines side by side"
    );
    for isa in Isa::available() {
        let mut layer = Layer::new();
        let (mut one, mut two) = (pinned(isa, 1, 0), pinned(isa, 2, 0));
        let mut pair = [pinned(isa, 1, 0), pinned(isa, 1, 1)];
        let (photo, mut out) = (photo(), vec![0; SIZE.rgb_len()]);
        let macs = one.macs(SIZE) as f64;
        let mut rates = [const { Vec::new() }; 5];
        for _ in 0..if isa == Isa::Scalar { 3 } else { TURNS } {
            let began = Instant::now();
            if let Some((macs, sum)) = peak::run(isa, if isa == Isa::Amx { 200_000 } else { 2_000_000 }) {
                black_box(sum);
                rates[0].push(macs as f64 / began.elapsed().as_secs_f64());
            }
            let began = Instant::now();
            layer.run(isa);
            rates[1].push(Layer::MACS as f64 / began.elapsed().as_secs_f64());
            for (engine, rates) in [&mut one, &mut two].into_iter().zip(&mut rates[2..4]) {
                rates.extend(turn(engine, &photo, &mut out));
            }
            rates[4].extend(side_by_side(&mut pair, &photo));
        }
        let [peak, kernel, one, two, beside] = rates.map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN) / 1e9
        });
        println!(
            "{:<12} {peak:>10.1} {kernel:>10.1} ({:>4.1} %) {one:>10.1} ({:>4.1} %) {:>6.2} ms {:>6.2} ms {:>7.2}x {:>7.2}x",
            isa.name(),
            100.0 * kernel / peak,
            100.0 * one / peak,
            macs / one / 1e6,
            macs / two / 1e6,
            two / one,
            2.0 * beside / one,
        );
    }
}

fn kernel(c: &mut Criterion) {
    let mut group = c.benchmark_group("3x3 convolution, 48 channels, 160x120");
    group.throughput(Throughput::Elements(Layer::MACS));
    let mut layer = Layer::new();
    for isa in Isa::available().into_iter().filter(|isa| *isa != Isa::Scalar) {
        group.bench_function(isa.name(), |b| b.iter(|| layer.run(black_box(isa))));
    }
    group.finish();
}

fn whole(c: &mut Criterion) {
    let mut group = c.benchmark_group("network m, 640x480");
    group.sample_size(20);
    let (photo, mut out) = (photo(), vec![0; SIZE.rgb_len()]);
    for isa in Isa::available().into_iter().filter(|isa| *isa != Isa::Scalar) {
        for threads in [1, 2] {
            let mut engine = engine(isa, threads);
            group.throughput(Throughput::Elements(engine.macs(SIZE)));
            group.bench_function(format!("{isa}, {threads} threads"), |b| {
                b.iter(|| engine.run(&photo, SIZE, black_box(&mut out)).is_ok());
            });
        }
    }
    let mut engine = engine(Isa::best(), 2);
    group.bench_function("the same frame again, found by comparing", |b| {
        b.iter(|| engine.run_changed(&photo, SIZE, Changed::Unknown, 1, black_box(&mut out)).is_ok());
    });
    group.finish();
}

criterion_group!(benches, shares, kernel, whole);
criterion_main!(benches);
