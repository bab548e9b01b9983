//! 64-bit Arm with dot products: one `sdot` multiplies four bytes of 4 output channels.

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Group, LANES, Span, arm};

/// Positions whose sums fit the registers together.
const POSITIONS: usize = 4;

pub(super) fn run(group: &Group, span: &mut Span<'_>) {
    assert!(super::Isa::NeonDot.is_available(), "this processor has no dot products");
    // SAFETY: the processor has the feature, as asserted; `check` was called by our only caller; `arm::run` stays within
    // what it checked.
    unsafe { arm::run(group, span, |span, row, first, vector| sums(group, span, row, first, vector)) }
}

/// `sum + quad[LANE] · weights`; the intrinsic is not stable yet.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot<const LANE: usize>(mut sum: int32x4_t, weights: int8x16_t, quads: int8x16_t) -> int32x4_t {
    // SAFETY: it only reads and writes the registers that it names.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {weights:v}.16b, {quads:v}.4b[{lane}]",
            sum = inout(vreg) sum,
            weights = in(vreg) weights,
            quads = in(vreg) quads,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}

/// The sums of [`POSITIONS`] positions from `first` on, for one vector.
///
/// # Safety
/// `check` has passed for `group` and `span`; `row`, `first` and `vector` are within them.
#[target_feature(enable = "neon,dotprod")]
unsafe fn sums(group: &Group, span: &Span<'_>, row: usize, first: usize, vector: usize) -> [[i32; LANES]; POSITIONS] {
    let window = span.window;
    let (vectors, step) = (group.vectors(), window.step);
    let mut sums = [[vdupq_n_s32(0); 4]; POSITIONS];
    // SAFETY: `check` made sure that the windows of the positions, and of some beyond the last, lie within the input, and that
    // there are `rows * quads * vectors` weight vectors and `vectors` initial ones.
    unsafe {
        let initial: *const i32 = group.initial.as_ptr().add(vector).cast();
        for position in &mut sums {
            for (quarter, sum) in position.iter_mut().enumerate() {
                *sum = vld1q_s32(initial.add(4 * quarter));
            }
        }
        let start = span.input.as_ptr().add(span.input_at + row * span.input_row + first * step);
        let mut weights: *const i8 = group.weights.as_ptr().add(vector).cast();
        /// Multiplies the quad in lane `$lane` of `$quads` by the next weights.
        macro_rules! multiply {
            ($quads:expr, $lane:literal) => {
                for quarter in 0..4 {
                    let w = vld1q_s8(weights.add(16 * quarter));
                    for (sum, quads) in sums.iter_mut().zip($quads) {
                        sum[quarter] = dot::<$lane>(sum[quarter], w, quads);
                    }
                }
                weights = weights.wrapping_add(64 * vectors);
            };
        }
        for y in 0..window.rows {
            let mut at: *const i8 = start.add(y * window.pitch).cast();
            for _ in 0..window.quads / 4 {
                let quads: [_; POSITIONS] = std::array::from_fn(|p| vld1q_s8(at.add(p * step)));
                multiply!(quads, 0);
                multiply!(quads, 1);
                multiply!(quads, 2);
                multiply!(quads, 3);
                at = at.add(16);
            }
            for _ in 0..window.quads % 4 {
                let quads: [_; POSITIONS] = std::array::from_fn(|p| {
                    vreinterpretq_s8_s32(vdupq_n_s32(at.add(p * step).cast::<i32>().read_unaligned()))
                });
                multiply!(quads, 0);
                at = at.add(4);
            }
        }
        // A copy: what is read in a loop must lie in memory, and the sums shall stay in registers.
        let mut stored = [[0; LANES]; POSITIONS];
        for (to, sums) in stored.iter_mut().zip(sums) {
            for (quarter, sum) in sums.into_iter().enumerate() {
                vst1q_s32(to.as_mut_ptr().add(4 * quarter), sum);
            }
        }
        stored
    }
}
