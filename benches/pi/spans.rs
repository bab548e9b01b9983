//! What `pi-estimate` runs under emulation: a student's layers as the kernels see them, and one call of a kernel.
//!
//! It is built by `rustc` alone, from the engine's own sources, without tract.
//!
//! - `spans layers m` prints a line for each layer at 640×480: rows, columns, vectors, rows and quads of the window, the
//!   step in bytes, whether it adds a shortcut, its multiply-accumulates without padding.
//! - `spans run neon ROWS QUADS STEP ADDS POSITIONS` calls the kernel once for one vector, between the functions
//!   `span_begins` and `span_ends`.

#![allow(dead_code, missing_docs, unreachable_pub)]

#[path = "../../src"]
mod src {
    pub mod frame;
    pub mod engine {
        pub mod kernels;
        pub mod reach;
        pub mod topology;
    }
}

use src::engine::kernels::{self, Group, Isa, LANES, MAX_VECTORS, Places, Shortcut, Span, WeightVector, Window};
use src::engine::topology::{StudentSize, Topology};
use src::{engine, frame};

// What they do differs, or the compiler would make one function of them.

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn span_begins() {
    std::hint::black_box(1);
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn span_ends() {
    std::hint::black_box(2);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["layers", "s"] => layers(StudentSize::S),
        ["layers", "m"] => layers(StudentSize::M),
        ["layers", "l"] => layers(StudentSize::L),
        ["run", isa, ref numbers @ ..] => {
            let numbers: Vec<usize> = numbers.iter().map(|n| n.parse().expect("a number")).collect();
            let [rows, quads, step, adds, positions] = numbers[..] else { panic!("five numbers") };
            run(isa.parse().expect("an instruction set"), rows, quads, step, adds != 0, positions);
        }
        _ => panic!("layers s|m|l, or run ISA ROWS QUADS STEP ADDS POSITIONS"),
    }
}

/// The numbers that `engine::fused` gives its kernels.
fn layers(size: StudentSize) {
    let picture = frame::Size::new(640, 480);
    // As styles are exported.
    let topology = Topology::two_scale(size).with_person_mask().with_eight_bits();
    let tensors = topology.tensors().expect("a sound topology");
    let last = topology.layers.len() - 1;
    for (i, layer) in topology.layers.iter().enumerate() {
        let bytes = |tensor: usize| if tensor == 0 { 3 } else { tensors[tensor].channels.next_multiple_of(LANES) };
        let block = layer.depth_to_space;
        let lanes =
            if i == last { layer.out_channels.next_multiple_of(LANES) } else { block * block * bytes(i + 1) };
        let scale = tensors[i + 1].scale() * block as u32;
        let (rows, columns) = ((picture.height / scale) as usize, (picture.width / scale) as usize);
        let side = 3 * layer.space_to_depth;
        println!(
            "{rows} {columns} {} {side} {} {} {} {}",
            lanes / LANES,
            (side * bytes(layer.input)).div_ceil(4),
            layer.space_to_depth * layer.stride * bytes(layer.input),
            u8::from(layer.add.is_some()),
            rows * columns * layer.weights()
        );
    }
}

fn run(isa: Isa, rows: usize, quads: usize, step: usize, adds: bool, positions: usize) {
    let pitch = (positions + kernels::READ_BEYOND) * step + 4 * quads;
    let group = Group {
        weights: vec![WeightVector([1; 4 * LANES]); rows * quads],
        initial: vec![[0; LANES]],
        multiplier: vec![[1e-3; LANES]],
        bias: vec![[0.5; LANES]],
    };
    let (input, added) = (vec![1; rows * pitch], vec![1; positions * LANES]);
    let mut output = vec![0; positions * LANES];
    let places = Places { at: [0; MAX_VECTORS], step: LANES, row: 0 };
    let mut span = Span {
        input: &input,
        input_at: 0,
        input_row: pitch,
        window: Window { rows, quads, pitch, step },
        rows: 1,
        positions,
        output: &mut output,
        places,
        flip: 0,
        highest: 127.0,
        shortcut: adds.then_some(Shortcut { data: &added, places, flip: 0, scale: 0.5 }),
        keep: None,
    };
    span_begins();
    kernels::run(isa, &group, &mut span);
    span_ends();
    std::hint::black_box(output);
}
