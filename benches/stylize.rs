//! What a frame costs on its way: the network, the blend with the photo, the conversions of Y4M.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nijigen::engine::contract::FloatNetwork;
use nijigen::engine::reference::Reference;
use nijigen::engine::topology::{StudentSize, Topology};
use nijigen::engine::{Options, Stated, Which, load};
use nijigen::frame::Size;
use nijigen::pixels::blend::blend;
use nijigen::pixels::yuv::{Chroma, Range, rgb_to_yuv, yuv_to_rgb};

/// Small enough that plain tract takes a fraction of a second.
const SIZE: Size = Size::new(320, 240);

fn photo() -> Vec<u8> {
    (0..SIZE.rgb_len()).map(|i| ((i * 31 + i / 977 * 7) % 256) as u8).collect()
}

/// The shipped topology with random weights: the figures depend on the shapes alone.
fn networks(c: &mut Criterion) {
    let mut group = c.benchmark_group("network 320x240");
    group.sample_size(10);
    let (photo, mut output) = (photo(), vec![0; SIZE.rgb_len()]);
    for (name, size) in [("s", StudentSize::S), ("m", StudentSize::M)] {
        let topology = Topology::two_scale(size);
        group.throughput(Throughput::Elements(topology.macs(SIZE)));
        let network = FloatNetwork::random(topology, 1).quantize().expect("a random network is a sound one");
        let reference = Reference::new(&network);
        group.bench_function(format!("reference {name}"), |b| b.iter(|| black_box(reference.run(&photo, SIZE))));
        let options = Options { engine: Which::Tract, ..Options::threads(1) };
        let mut tract = load(&network.to_qdq_onnx(), Stated::default(), options).expect("tract reads our files");
        group.bench_function(format!("tract {name}"), |b| {
            b.iter(|| tract.generator.run(&photo, SIZE, black_box(&mut output)).is_ok());
        });
    }
    group.finish();
}

fn pixels(c: &mut Criterion) {
    let mut group = c.benchmark_group("pixels 320x240");
    group.throughput(Throughput::Bytes(SIZE.rgb_len() as u64));
    let (photo, mut styled) = (photo(), vec![128; SIZE.rgb_len()]);
    group.bench_function("blend", |b| b.iter(|| blend(&photo, black_box(&mut styled), 0.5)));
    let mut yuv = vec![0; Chroma::C420.frame_len(SIZE)];
    group.bench_function("RGB to 4:2:0", |b| b.iter(|| rgb_to_yuv(&photo, SIZE, Chroma::C420, black_box(&mut yuv))));
    let mut rgb = photo.clone();
    group.bench_function("4:2:0 to RGB", |b| {
        b.iter(|| yuv_to_rgb(&yuv, SIZE, Chroma::C420, Range::Limited, black_box(&mut rgb)));
    });
    group.finish();
}

criterion_group!(benches, networks, pixels);
criterion_main!(benches);
