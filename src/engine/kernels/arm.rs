//! What the two Arm kernels share: the epilogue.

use std::arch::aarch64::*;

use super::{Group, Places, Span, TILE};

/// The epilogue of one position and one vector, whose sums are four times four.
///
/// # Safety
/// `check` has passed for `group` and `span`; `row`, `position` and `vector` are within them.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn finish(
    group: &Group,
    span: &mut Span<'_>,
    row: usize,
    position: usize,
    vector: usize,
    sums: [int32x4_t; 4],
) {
    let place = |places: &Places| places.at[vector] + row * places.row + position * places.step;
    // SAFETY: `check` made sure that the places of all positions lie within their slices, and that there are as many
    // multipliers and biases as vectors.
    unsafe {
        let multiplier: *const f32 = group.multiplier.as_ptr().add(vector).cast();
        let bias: *const f32 = group.bias.as_ptr().add(vector).cast();
        let shortcut = span.shortcut.as_ref().map(|shortcut| {
            let bytes = vld1q_u8(shortcut.data.as_ptr().add(place(&shortcut.places)));
            let (low, high) = (vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes));
            let words = [
                vmovl_u16(vget_low_u16(low)),
                vmovl_high_u16(low),
                vmovl_u16(vget_low_u16(high)),
                vmovl_high_u16(high),
            ];
            (words, vdupq_n_f32(shortcut.scale))
        });
        let mut words = [vdupq_n_u32(0); 4];
        for (quarter, word) in words.iter_mut().enumerate() {
            let m = vld1q_f32(multiplier.add(4 * quarter));
            let b = vld1q_f32(bias.add(4 * quarter));
            let mut value = vaddq_f32(vmulq_f32(vcvtq_f32_s32(sums[quarter]), m), b);
            if let Some((kept, scale)) = shortcut {
                value = vaddq_f32(value, vmulq_f32(vcvtq_f32_u32(kept[quarter]), scale));
            }
            // Limited before it is rounded: the limits are whole numbers.
            value = vminq_f32(vmaxq_f32(value, vdupq_n_f32(0.0)), vdupq_n_f32(span.highest));
            *word = vcvtnq_u32_f32(value);
        }
        let low = vmovn_high_u32(vmovn_u32(words[0]), words[1]);
        let high = vmovn_high_u32(vmovn_u32(words[2]), words[3]);
        let bytes = vmovn_high_u16(vmovn_u16(low), high);
        let to = span.output.as_mut_ptr().add(place(&span.places));
        match &mut span.keep {
            None => vst1q_u8(to, bytes),
            Some(keep) => {
                let kept = vld1q_u8(to);
                let differs = vcgtq_u8(vabdq_u8(bytes, kept), vdupq_n_u8(keep.dead_zone));
                vst1q_u8(to, vbslq_u8(differs, bytes, kept));
                let changed = u8::from(vmaxvq_u8(differs) != 0);
                keep.changed[row * keep.row + position / TILE] |= changed << (position % TILE);
            }
        }
    }
}
