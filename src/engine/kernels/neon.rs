//! 64-bit Arm without dot products: products of two quads summed in 16 bits, which 2·127·127 and 2·128·63 fit, then
//! added to sums of 32 bits in pairs.

use std::arch::aarch64::*;

use super::{Group, Span, TILE, arm};

/// Positions whose sums fit the registers together.
const POSITIONS: usize = 2;

pub(super) fn run(group: &Group, span: &mut Span<'_>) {
    for tile in 0..span.positions.div_ceil(TILE) {
        for row in 0..span.rows {
            for part in 0..TILE / POSITIONS {
                let first = tile * TILE + part * POSITIONS;
                if first < span.positions {
                    for vector in 0..group.vectors() {
                        // SAFETY: every 64-bit Arm processor has NEON; `check` was called by our only caller; the
                        // tile, row and vector are within what it checked.
                        unsafe { positions(group, span, row, first, vector) };
                    }
                }
            }
        }
    }
}

/// [`POSITIONS`] positions from `first` on, for one vector.
///
/// # Safety
/// `check` has passed for `group` and `span`; `row`, `first` and `vector` are within them.
#[target_feature(enable = "neon")]
unsafe fn positions(group: &Group, span: &mut Span<'_>, row: usize, first: usize, vector: usize) {
    let window = span.window;
    let (vectors, step) = (group.vectors(), window.step);
    // Two lanes for each output channel: they are added at the end.
    let mut sums = [[vdupq_n_s32(0); 8]; POSITIONS];
    // SAFETY: `check` made sure that the windows of the positions, and of some beyond the last, lie within the input, and that
    // there are `rows * quads * vectors` weight vectors and `vectors` initial ones.
    unsafe {
        let start = span.input.as_ptr().add(span.input_at + row * span.input_row + first * step);
        let mut weights: *const i8 = group.weights.as_ptr().add(vector).cast();
        let stride = 64 * vectors;
        let quad = |at: *const u8| vreinterpretq_s8_s32(vdupq_n_s32(at.cast::<i32>().read_unaligned()));
        for y in 0..window.rows {
            let mut at = start.add(y * window.pitch);
            for _ in 0..window.quads / 2 {
                let quads: [_; POSITIONS] =
                    std::array::from_fn(|p| [quad(at.add(p * step)), quad(at.add(p * step + 4))]);
                for quarter in 0..4 {
                    let w =
                        [vld1q_s8(weights.add(16 * quarter)), vld1q_s8(weights.wrapping_add(stride).add(16 * quarter))];
                    for (sum, a) in sums.iter_mut().zip(quads) {
                        let low = vmull_s8(vget_low_s8(w[0]), vget_low_s8(a[0]));
                        let low = vmlal_s8(low, vget_low_s8(w[1]), vget_low_s8(a[1]));
                        sum[2 * quarter] = vpadalq_s16(sum[2 * quarter], low);
                        let high = vmlal_high_s8(vmull_high_s8(w[0], a[0]), w[1], a[1]);
                        sum[2 * quarter + 1] = vpadalq_s16(sum[2 * quarter + 1], high);
                    }
                }
                at = at.add(8);
                weights = weights.wrapping_add(2 * stride);
            }
            if window.quads % 2 == 1 {
                for (p, sum) in sums.iter_mut().enumerate() {
                    let a = quad(at.add(p * step));
                    for quarter in 0..4 {
                        let w = vld1q_s8(weights.add(16 * quarter));
                        let low = vmull_s8(vget_low_s8(w), vget_low_s8(a));
                        sum[2 * quarter] = vpadalq_s16(sum[2 * quarter], low);
                        sum[2 * quarter + 1] = vpadalq_s16(sum[2 * quarter + 1], vmull_high_s8(w, a));
                    }
                }
                weights = weights.wrapping_add(stride);
            }
        }
        let initial: *const i32 = group.initial.as_ptr().add(vector).cast();
        for (p, sums) in sums.iter().enumerate() {
            if first + p < span.positions {
                let sums = std::array::from_fn(|quarter| {
                    let sum = vpaddq_s32(sums[2 * quarter], sums[2 * quarter + 1]);
                    vaddq_s32(sum, vld1q_s32(initial.add(4 * quarter)))
                });
                arm::finish(group, span, row, first + p, vector, sums);
            }
        }
    }
}
