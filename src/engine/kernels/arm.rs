//! What the two Arm kernels share: the order of the blocks, and the epilogue.

use std::arch::aarch64::*;

use super::{Group, LANES, Places, Span, TILE};

/// Computes a span `P` positions at a time; `sums(row, first, vector)` gives those from position `first` on, of which the
/// last ones may lie beyond the span.
///
/// Vector by vector: its weights (up to 14 KB for 96 channels) stay in a first-level cache of 32 KB, which those of all
/// vectors would not.
///
/// # Safety
/// `check` has passed for `group` and `span`.
pub(super) unsafe fn run<const P: usize>(
    group: &Group,
    span: &mut Span<'_>,
    sums: impl Fn(&Span<'_>, usize, usize, usize) -> [[i32; LANES]; P],
) {
    for vector in 0..group.vectors() {
        for row in 0..span.rows {
            for first in (0..span.positions).step_by(P) {
                let sums = sums(span, row, first, vector);
                // SAFETY: every 64-bit Arm processor has NEON; the row, first position and vector are within the span.
                unsafe { finish(group, span, row, first, vector, &sums) };
            }
        }
    }
}

/// The epilogue of the positions from `first` on, for one vector.
///
/// # Safety
/// `check` has passed for `group` and `span`; `row`, `first` and `vector` are within them.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn finish(group: &Group, span: &mut Span<'_>, row: usize, first: usize, vector: usize, sums: &[[i32; LANES]]) {
    // SAFETY: `check` made sure that there are as many multipliers and biases as vectors.
    let (multiplier, bias) = unsafe {
        let multiplier: *const f32 = group.multiplier.as_ptr().add(vector).cast();
        let bias: *const f32 = group.bias.as_ptr().add(vector).cast();
        let quarters = |from: *const f32| [0, 4, 8, 12].map(|at| vld1q_f32(from.add(at)));
        (quarters(multiplier), quarters(bias))
    };
    let highest = vdupq_n_u8(span.highest as u8);
    let flip = vdupq_n_u8(span.flip);
    // 2²³, and the upper half of its bits.
    let (shift, upper) = (vdupq_n_f32(8_388_608.0), vdupq_n_u16(0x4b00));
    for (position, sums) in (first..span.positions).zip(sums) {
        let place = |places: &Places| places.at[vector] + row * places.row + position * places.step;
        // SAFETY: `check` made sure that the places of all positions lie within their slices.
        unsafe {
            let mut values = [vdupq_n_f32(0.0); 4];
            for (quarter, value) in values.iter_mut().enumerate() {
                let sum = vcvtq_f32_s32(vld1q_s32(sums.as_ptr().add(4 * quarter)));
                *value = vaddq_f32(vmulq_f32(sum, multiplier[quarter]), bias[quarter]);
            }
            if let Some(shortcut) = &span.shortcut {
                let bytes = vld1q_u8(shortcut.data.as_ptr().add(place(&shortcut.places)));
                let bytes = veorq_u8(bytes, vdupq_n_u8(shortcut.flip));
                // Behind the upper half of 2²³ a byte makes the number 2²³ more than it is; a conversion takes longer.
                let (low, high) = (vzip1q_u8(bytes, vdupq_n_u8(0)), vzip2q_u8(bytes, vdupq_n_u8(0)));
                let (low, high) = (vreinterpretq_u16_u8(low), vreinterpretq_u16_u8(high));
                let kept =
                    [vzip1q_u16(low, upper), vzip2q_u16(low, upper), vzip1q_u16(high, upper), vzip2q_u16(high, upper)];
                for (value, kept) in values.iter_mut().zip(kept) {
                    let kept = vsubq_f32(vreinterpretq_f32_u16(kept), shift);
                    *value = vaddq_f32(*value, vmulq_n_f32(kept, shortcut.scale));
                }
            }
            // To even; what is below 0 becomes 0. Narrowing, too, stops at the largest value that fits.
            let words = values.map(|value| vcvtnq_u32_f32(value));
            let low = vqmovn_high_u32(vqmovn_u32(words[0]), words[1]);
            let high = vqmovn_high_u32(vqmovn_u32(words[2]), words[3]);
            let bytes = vminq_u8(vqmovn_high_u16(vqmovn_u16(low), high), highest);
            let to = span.output.as_mut_ptr().add(place(&span.places));
            match &mut span.keep {
                None => vst1q_u8(to, veorq_u8(bytes, flip)),
                Some(keep) => {
                    let kept = veorq_u8(vld1q_u8(to), flip);
                    let differs = vcgtq_u8(vabdq_u8(bytes, kept), vdupq_n_u8(keep.dead_zone));
                    vst1q_u8(to, veorq_u8(vbslq_u8(differs, bytes, kept), flip));
                    let changed = u8::from(vmaxvq_u8(differs) != 0);
                    keep.changed[row * keep.row + position / TILE] |= changed << (position % TILE);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::kernels::Isa;

    // An emulated processor that was given too much or too little would test the wrong kernel.

    #[test]
    #[ignore = "holds on a Cortex-A72 only: tests/aarch64.sh"]
    fn a_cortex_a72_has_no_dot_products() {
        assert_eq!(Isa::available(), [Isa::Scalar, Isa::Neon]);
    }

    #[test]
    #[ignore = "holds on a Cortex-A76 only: tests/aarch64.sh"]
    fn a_cortex_a76_has_dot_products() {
        assert_eq!(Isa::available(), [Isa::Scalar, Isa::Neon, Isa::NeonDot]);
    }
}
