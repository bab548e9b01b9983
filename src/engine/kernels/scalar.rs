//! The kernel in plain Rust: what the others are held to.

use super::{Group, LANES, Span, TILE};

pub(super) fn run(group: &Group, span: &mut Span<'_>) {
    for row in 0..span.rows {
        for position in 0..span.positions {
            for vector in 0..group.vectors() {
                let sums = sums(group, span, row, position, vector);
                store(group, span, row, position, vector, &sums);
            }
        }
    }
}

/// The sums of one position's window for the channels of one vector.
fn sums(group: &Group, span: &Span<'_>, row: usize, position: usize, vector: usize) -> [i32; LANES] {
    let window = &span.window;
    let first = span.input_at + row * span.input_row + position * window.step;
    let mut sums = group.initial[vector];
    let mut weights = group.weights.iter().skip(vector).step_by(group.vectors());
    for y in 0..window.rows {
        let run = &span.input[first + y * window.pitch..][..window.quads * 4];
        for (quad, weights) in run.as_chunks::<4>().0.iter().zip(weights.by_ref()) {
            for (sum, lane) in sums.iter_mut().zip(weights.0.as_chunks::<4>().0) {
                for (byte, weight) in quad.iter().zip(lane) {
                    *sum += i32::from(*byte) * i32::from(*weight);
                }
            }
        }
    }
    sums
}

/// The contract's epilogue, and what is stored of it.
fn store(group: &Group, span: &mut Span<'_>, row: usize, position: usize, vector: usize, sums: &[i32; LANES]) {
    let place = |places: &super::Places| places.at[vector] + row * places.row + position * places.step;
    let to = place(&span.places);
    for (lane, sum) in sums.iter().enumerate() {
        let mut value = *sum as f32 * group.multiplier[vector][lane];
        value += group.bias[vector][lane];
        if let Some(shortcut) = &span.shortcut {
            value += f32::from(shortcut.data[place(&shortcut.places) + lane]) * shortcut.scale;
        }
        let value = value.max(0.0).round_ties_even().min(span.highest) as u8;
        let kept = &mut span.output[to + lane];
        match &mut span.keep {
            Some(keep) if value.abs_diff(*kept) <= keep.dead_zone => {}
            Some(keep) => {
                *kept = value;
                keep.changed[row * keep.row + position / TILE] |= 1 << (position % TILE);
            }
            None => *kept = value,
        }
    }
}
