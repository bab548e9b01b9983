//! Every kernel against the scalar one, on random spans: bit for bit, and nothing written outside.

#![allow(clippy::unwrap_used)]

#[cfg(unix)]
mod guarded;

use proptest::prelude::*;

use super::*;
use crate::engine::contract::{PAIR_LIMIT, WEIGHT_LIMIT};

/// A small generator of numbers: proptest's own values would be shrunk one by one.
pub(in crate::engine) struct Numbers(pub(in crate::engine) u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(in crate::engine) fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }

    pub(in crate::engine) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    fn within(&mut self, low: i32, high: i32) -> i32 {
        low + self.below((high - low + 1) as usize) as i32
    }
}

/// A span's numbers, in the form in which every kernel can be given its own copy.
#[derive(Debug, Clone)]
struct Case {
    group: Group,
    window: Window,
    input: Vec<u8>,
    input_at: usize,
    rows: usize,
    positions: usize,
    output: Vec<u8>,
    places: Places,
    shortcut: Option<(Vec<u8>, f32)>,
    dead_zone: Option<u8>,
    highest: f32,
    /// Of the shortcut, and of the output.
    flips: [u8; 2],
}

impl Case {
    /// `reads_eight_bits`: bytes up to 255, and of two weights side by side those of one sign sum to 128 at most; else bytes
    /// up to 127.
    fn new(seed: u64, vectors: usize, reads_eight_bits: bool, keep: bool) -> Self {
        let mut n = Numbers(seed);
        let byte_limit = if reads_eight_bits { 256 } else { 128 };
        // Extremes more often than chance would have them.
        let byte = |n: &mut Numbers| if n.below(4) == 0 { (byte_limit - 1) as u8 } else { n.below(byte_limit) as u8 };
        let weight = |n: &mut Numbers| match n.below(4) {
            0 => WEIGHT_LIMIT,
            1 => -WEIGHT_LIMIT,
            _ => n.within(-WEIGHT_LIMIT, WEIGHT_LIMIT),
        };
        let pair = |n: &mut Numbers| {
            let (v, w) = (weight(n), weight(n));
            if reads_eight_bits && v * w > 0 {
                // What is left for the other, or less.
                let most = PAIR_LIMIT - v.abs();
                return [v, v.signum() * if n.below(2) == 0 { most } else { n.within(0, most) }];
            }
            [v, w]
        };
        let weights_of_lanes = |n: &mut Numbers| {
            let mut weights = [0; 4 * LANES];
            for to in weights.as_chunks_mut::<2>().0 {
                *to = pair(n).map(|weight| weight as i8);
            }
            WeightVector(weights)
        };
        let rows = 1 + n.below(2);
        let positions = 1 + n.below(9 * TILE);
        let window =
            Window { rows: 1 + n.below(6), quads: 1 + n.below(14), pitch: 64 + n.below(64), step: 1 + n.below(40) };
        let input_at = n.below(50);
        let last = positions - 1 + READ_BEYOND;
        let length = input_at + last * window.step + (window.rows + rows) * window.pitch + window.quads * 4;
        let input = (0..length).map(|_| byte(&mut n)).collect();
        let count = window.rows * window.quads * vectors;
        let weights = (0..count).map(|_| weights_of_lanes(&mut n)).collect();
        let group = Group {
            weights,
            initial: (0..vectors).map(|_| std::array::from_fn(|_| n.within(-1000, 1000))).collect(),
            multiplier: (0..vectors).map(|_| std::array::from_fn(|_| n.next() as f32 / 1e13)).collect(),
            bias: (0..vectors).map(|_| std::array::from_fn(|_| n.within(-50, 50) as f32 / 3.0)).collect(),
        };
        let step = vectors * LANES + n.below(9);
        let places = Places { at: [3, 3 + LANES, 3 + 2 * LANES], step, row: positions * step + 7 };
        let bytes = 3 + rows * places.row + step + LANES;
        let highest = if n.below(2) == 0 { 127.0 } else { 255.0 };
        let output = (0..bytes).map(|_| n.below(256) as u8).collect();
        let shortcut = (n.below(2) == 0).then(|| {
            let limit = n.one_of(&[128, 256]);
            ((0..bytes).map(|_| n.below(limit) as u8).collect(), n.next() as f32 / 1e9)
        });
        let dead_zone = keep.then(|| n.below(4) as u8);
        let flips = [0, 0];
        Self { flips, group, window, input, input_at, rows, positions, output, places, shortcut, dead_zone, highest }
    }

    /// The output and the flags of what changed.
    fn run(&self, isa: Isa) -> (Vec<u8>, Vec<u8>) {
        let mut output = self.output.clone();
        let shortcut = self.shortcut.as_ref().map(|(data, _)| &data[..]);
        let changed = self.run_on(isa, &self.input, shortcut, &mut output);
        (output, changed)
    }

    /// The same on other memory; returns the flags of what changed.
    fn run_on(&self, isa: Isa, input: &[u8], shortcut: Option<&[u8]>, output: &mut [u8]) -> Vec<u8> {
        let tiles = self.positions.div_ceil(TILE);
        let mut changed = vec![0; 2 * tiles];
        let scale = self.shortcut.as_ref().map_or(0.0, |(_, scale)| *scale);
        let mut span = Span {
            input,
            input_at: self.input_at,
            input_row: self.window.pitch,
            window: self.window,
            rows: self.rows,
            positions: self.positions,
            output,
            places: self.places,
            flip: self.flips[1],
            highest: self.highest,
            shortcut: shortcut.map(|data| Shortcut { data, flip: self.flips[0], places: self.places, scale }),
            keep: self.dead_zone.map(|dead_zone| Keep { dead_zone, changed: &mut changed, row: tiles }),
        };
        run(isa, &self.group, &mut span);
        changed
    }

    /// The same case with no byte more in its tensors than a span must have.
    #[cfg(unix)]
    fn tight(mut self) -> Self {
        let Self { window, places, rows, positions, .. } = self;
        let read = (positions - 1 + READ_BEYOND) * window.step + (rows - 1) * window.pitch + window.extent();
        let written = places.end(self.group.vectors(), rows, positions);
        self.input.truncate(self.input_at + read);
        self.output.truncate(written);
        if let Some((data, _)) = &mut self.shortcut {
            data.truncate(written);
        }
        // What lies before is cut off too.
        self.input.drain(..self.input_at);
        self.input_at = 0;
        self
    }

    /// The same case with bytes of eight bits as this instruction set stores them: those of the input, of the shortcut
    /// and of the output.
    fn stored_for(&self, isa: Isa, [input, shortcut, output]: [bool; 3]) -> Self {
        let mut case = self.clone();
        let flip = isa.eight_bit_flip();
        let flipped = |bytes: &mut [u8]| bytes.iter_mut().for_each(|byte| *byte ^= flip);
        if output {
            flipped(&mut case.output);
            case.flips[1] = flip;
        }
        if let Some((data, _)) = case.shortcut.as_mut().filter(|_| shortcut) {
            flipped(data);
            case.flips[0] = flip;
        }
        if input && flip != 0 {
            flipped(&mut case.input);
            let vectors = case.group.vectors();
            for (i, weights) in case.group.weights.iter().enumerate() {
                for (lane, weights) in weights.0.as_chunks::<4>().0.iter().enumerate() {
                    let sum: i32 = weights.iter().map(|weight| i32::from(*weight)).sum();
                    case.group.initial[i % vectors][lane] += 128 * sum;
                }
            }
        }
        case
    }
}

proptest! {
    #[test]
    fn every_kernel_gives_the_bytes_of_the_scalar_one(
        seed: u64,
        vectors in 1..=MAX_VECTORS,
        eight_bits: [bool; 3],
        keep: bool,
    ) {
        let case = Case::new(seed, vectors, eight_bits[0], keep);
        let expected = case.run(Isa::Scalar);
        for isa in Isa::available().into_iter().filter(|isa| case.rows == 1 || isa.takes_two_rows(vectors)) {
            let case = case.stored_for(isa, eight_bits);
            let (mut drawn, changed) = case.run(isa);
            drawn.iter_mut().for_each(|byte| *byte ^= case.flips[1]);
            prop_assert!((drawn, changed) == expected, "{isa} differs from scalar: {case:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn no_kernel_looks_beyond_its_memory() {
    use guarded::{Edge, Guarded};

    for isa in Isa::available() {
        for seed in 0..400 {
            let vectors = 1 + seed as usize % MAX_VECTORS;
            let mut case = Case::new(seed, vectors, seed % 2 == 0, seed % 3 == 0);
            if !isa.takes_two_rows(vectors) {
                case.rows = 1;
            }
            let case = case.tight();
            let expected = case.run(isa);
            for edge in [Edge::Before, Edge::Behind] {
                let (input, mut output) = (Guarded::new(&case.input, edge), Guarded::new(&case.output, edge));
                let shortcut = case.shortcut.as_ref().map(|(data, _)| Guarded::new(data, edge));
                let changed = case.run_on(isa, &input, shortcut.as_deref(), &mut output);
                assert!((&output[..], &changed) == (&expected.0[..], &expected.1), "{isa}, {seed}, {edge:?}");
            }
        }
    }
}

#[test]
fn a_span_beyond_its_slices_is_refused() {
    let case = Case { rows: 1, ..Case::new(1, 2, false, true) };
    let refused = |change: &dyn Fn(&mut Case)| {
        let mut case = case.clone();
        change(&mut case);
        std::panic::catch_unwind(|| case.run(Isa::best())).is_err()
    };
    assert!(!refused(&|_| {}));
    assert!(refused(&|case| case.input.truncate(case.input.len() / 2)));
    assert!(refused(&|case| case.output.truncate(case.places.end(2, case.rows, case.positions) - 1)));
    assert!(refused(&|case| case.group.weights.truncate(1)));
    assert!(refused(&|case| case.group.bias.truncate(1)));
    assert!(refused(&|case| case.positions = 0));
    assert!(refused(&|case| case.flips = [0, 1]));
    assert!(refused(&|case| {
        case.shortcut = Some((vec![0; case.output.len()], 1.0));
        case.flips = [1, 0];
    }));
    assert!(refused(&|case| case.places.at[0] = usize::MAX - 15));
    assert!(refused(&|case| {
        case.window = Window { rows: 1 << 63, quads: 2, pitch: 0, step: 1 };
        case.group.weights.clear();
    }));
    // Room for two rows is there, but nothing that takes them at once.
    let case = (1..).map(|seed| Case::new(seed, 2, false, true)).find(|case| case.rows == 2).unwrap();
    for isa in Isa::available() {
        assert_eq!(std::panic::catch_unwind(|| case.run(isa)).is_ok(), isa.takes_two_rows(2), "{isa}");
    }
}

#[test]
fn instruction_sets_are_found_by_name() {
    for isa in Isa::available() {
        assert_eq!(isa.name().parse::<Isa>(), Ok(isa));
    }
    assert!("sse9".parse::<Isa>().unwrap_err().contains("scalar"));
}
