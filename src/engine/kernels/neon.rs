//! 64-bit Arm without dot products: products of two quads summed in 16 bits, which 2·127·128 and 2·128·127 fit, then
//! added to sums of 32 bits in pairs.

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Group, LANES, Span, arm};

/// Positions whose sums fit the registers together.
const POSITIONS: usize = 2;

pub(super) fn run(group: &Group, span: &mut Span<'_>) {
    // SAFETY: every 64-bit Arm processor has NEON; `check` was called by our only caller; `arm::run` stays within what it
    // checked.
    unsafe { arm::run(group, span, |span, row, first, vector| sums(group, span, row, first, vector)) }
}

/// Adds to the two positions' `sums` of four output channels (the low two's, the high two's) their `quads` times
/// `weights`.
///
/// In assembly: the compiler knows that both halves of a quad's register are the same, and rather moves the weights' high
/// halves down than use `smull2`. Four sums by turns hide the latency of a multiplication.
#[inline]
#[target_feature(enable = "neon")]
fn multiply(sums: [&mut [int32x4_t]; POSITIONS], weights: [int8x16_t; 2], quads: [[int8x16_t; 2]; POSITIONS]) {
    let [left, right] = sums;
    // SAFETY: it only reads and writes the registers that it names.
    unsafe {
        asm!(
            "smull {a:v}.8h, {w:v}.8b, {l:v}.8b",
            "smull2 {b:v}.8h, {w:v}.16b, {l:v}.16b",
            "smull {c:v}.8h, {w:v}.8b, {r:v}.8b",
            "smull2 {d:v}.8h, {w:v}.16b, {r:v}.16b",
            "smlal {a:v}.8h, {w1:v}.8b, {l1:v}.8b",
            "smlal2 {b:v}.8h, {w1:v}.16b, {l1:v}.16b",
            "smlal {c:v}.8h, {w1:v}.8b, {r1:v}.8b",
            "smlal2 {d:v}.8h, {w1:v}.16b, {r1:v}.16b",
            "sadalp {left0:v}.4s, {a:v}.8h",
            "sadalp {left1:v}.4s, {b:v}.8h",
            "sadalp {right0:v}.4s, {c:v}.8h",
            "sadalp {right1:v}.4s, {d:v}.8h",
            w = in(vreg) weights[0],
            w1 = in(vreg) weights[1],
            l = in(vreg) quads[0][0],
            l1 = in(vreg) quads[0][1],
            r = in(vreg) quads[1][0],
            r1 = in(vreg) quads[1][1],
            left0 = inout(vreg) left[0],
            left1 = inout(vreg) left[1],
            right0 = inout(vreg) right[0],
            right1 = inout(vreg) right[1],
            a = out(vreg) _,
            b = out(vreg) _,
            c = out(vreg) _,
            d = out(vreg) _,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
}

/// The sums of [`POSITIONS`] positions from `first` on, for one vector.
///
/// # Safety
/// `check` has passed for `group` and `span`; `row`, `first` and `vector` are within them.
#[target_feature(enable = "neon")]
unsafe fn sums(group: &Group, span: &Span<'_>, row: usize, first: usize, vector: usize) -> [[i32; LANES]; POSITIONS] {
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
                    let first = vld1q_s8(weights.add(16 * quarter));
                    let second = vld1q_s8(weights.wrapping_add(stride).add(16 * quarter));
                    let [left, right] = &mut sums;
                    let (left, right) = (&mut left[2 * quarter..][..2], &mut right[2 * quarter..][..2]);
                    multiply([left, right], [first, second], quads);
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
        // A copy: what is read in a loop must lie in memory, and the sums shall stay in registers.
        let mut stored = [[0; LANES]; POSITIONS];
        for (to, sums) in stored.iter_mut().zip(sums) {
            for quarter in 0..4 {
                let sum = vpaddq_s32(sums[2 * quarter], sums[2 * quarter + 1]);
                let sum = vaddq_s32(sum, vld1q_s32(initial.add(4 * quarter)));
                vst1q_s32(to.as_mut_ptr().add(4 * quarter), sum);
            }
        }
        stored
    }
}
