//! AVX512-VNNI: one `vpdpbusd` multiplies four bytes of 16 output channels.

use std::arch::x86_64::*;

use super::{Group, LANES, Places, Span, TILE};

pub(super) fn run(group: &Group, span: &mut Span<'_>) {
    assert!(super::Isa::Avx512Vnni.is_available(), "this processor has no AVX512-VNNI");
    // SAFETY: the processor has the features, as asserted; `check` was called by our only caller.
    unsafe {
        match (group.vectors(), span.rows) {
            (1, 1) => tiles::<1, 1>(group, span),
            (1, _) => tiles::<1, 2>(group, span),
            (2, _) => tiles::<2, 1>(group, span),
            _ => tiles::<3, 1>(group, span),
        }
    }
}

/// `V` vectors of `R` rows, tile by tile.
///
/// # Safety
/// `check` has passed for `group` and `span`, which have `V` vectors and `R` rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn tiles<const V: usize, const R: usize>(group: &Group, span: &mut Span<'_>) {
    let window = span.window;
    // Kept apart, so that each is an index register: the compiler would else add the step again and again.
    let offsets: [usize; TILE] = std::array::from_fn(|p| std::hint::black_box(p * window.step));
    for tile in 0..span.positions.div_ceil(TILE) {
        let mut sums = [[[_mm512_setzero_si512(); V]; TILE]; R];
        // SAFETY: `check` made sure that the windows of the positions, and of some beyond the last, lie within the input, and that
        // there are `rows * quads * V` weight vectors and `V` initial ones.
        unsafe {
            for row in &mut sums {
                for position in row {
                    for (v, sum) in position.iter_mut().enumerate() {
                        *sum = _mm512_loadu_si512(group.initial.as_ptr().add(v).cast());
                    }
                }
            }
            let first = span.input.as_ptr().add(span.input_at + tile * TILE * window.step);
            let mut weights = group.weights.as_ptr();
            for y in 0..window.rows {
                let mut at = first.add(y * window.pitch);
                for _ in 0..window.quads {
                    let mut w = [_mm512_setzero_si512(); V];
                    for (v, w) in w.iter_mut().enumerate() {
                        *w = _mm512_load_si512(weights.add(v).cast());
                    }
                    for (r, row) in sums.iter_mut().enumerate() {
                        let at = at.add(r * span.input_row);
                        for (position, offset) in row.iter_mut().zip(offsets) {
                            let quad = _mm512_set1_epi32(at.add(offset).cast::<i32>().read_unaligned());
                            for (sum, w) in position.iter_mut().zip(w) {
                                *sum = _mm512_dpbusd_epi32(*sum, quad, w);
                            }
                        }
                    }
                    at = at.add(4);
                    weights = weights.add(V);
                }
            }
            // A copy: what is read in a loop must lie in memory, and the sums shall stay in registers.
            let mut stored = [[[[0; LANES]; V]; TILE]; R];
            for (to, row) in stored.iter_mut().zip(sums) {
                for (to, position) in to.iter_mut().zip(row) {
                    for (to, sum) in to.iter_mut().zip(position) {
                        _mm512_storeu_si512(to.as_mut_ptr().cast(), sum);
                    }
                }
            }
            let (first, positions) = (tile * TILE, TILE.min(span.positions - tile * TILE));
            for (row, sums) in stored.iter().enumerate() {
                for vector in 0..V {
                    let sums = sums.as_ptr().cast::<i32>().add(vector * LANES);
                    finish(group, span, &Finish { row, first, positions, vector, sums, stride: V * LANES });
                }
            }
        }
    }
}

/// Sums of neighbouring positions for one vector.
pub(super) struct Finish {
    pub(super) row: usize,
    /// The first position, a multiple of [`TILE`].
    pub(super) first: usize,
    /// How many, at most 32.
    pub(super) positions: usize,
    pub(super) vector: usize,
    /// The first position's sums.
    pub(super) sums: *const i32,
    /// Numbers from a position's sums to the next one's.
    pub(super) stride: usize,
}

/// The epilogue of some positions of one vector.
///
/// # Safety
/// The processor has the features; `check` has passed for `group` and `span`; the row, positions and vector of `work`
/// are within them, and its sums are there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn finish(group: &Group, span: &mut Span<'_>, work: &Finish) {
    // SAFETY: the caller's.
    unsafe {
        match (span.shortcut.is_some(), span.keep.is_some()) {
            (false, false) => finish_as::<false, false>(group, span, work),
            (false, true) => finish_as::<false, true>(group, span, work),
            (true, false) => finish_as::<true, false>(group, span, work),
            (true, true) => finish_as::<true, true>(group, span, work),
        }
    }
}

/// [`finish`], for a span with or without a shortcut and something to keep.
///
/// # Safety
/// As [`finish`]; `span` is such a span.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn finish_as<const SHORTCUT: bool, const KEEP: bool>(group: &Group, span: &mut Span<'_>, work: &Finish) {
    let &Finish { row, first, positions, vector, sums, stride } = work;
    let place = |places: &Places| places.at[vector] + row * places.row + first * places.step;
    let (zero, highest) = (_mm512_setzero_ps(), _mm512_set1_ps(span.highest));
    // SAFETY: `check` made sure that the places of all positions lie within their slices, and that there are as many
    // multipliers and biases as vectors.
    unsafe {
        let multiplier = _mm512_loadu_ps(group.multiplier.as_ptr().add(vector).cast());
        let bias = _mm512_loadu_ps(group.bias.as_ptr().add(vector).cast());
        let (added, added_step, scale) = match &span.shortcut {
            Some(shortcut) if SHORTCUT => {
                let added = shortcut.data.as_ptr().add(place(&shortcut.places));
                (added, shortcut.places.step, _mm512_set1_ps(shortcut.scale))
            }
            _ => (std::ptr::null(), 0, zero),
        };
        let dead_zone = _mm_set1_epi8(span.keep.as_ref().map_or(0, |keep| keep.dead_zone).cast_signed());
        let to = span.output.as_mut_ptr().add(place(&span.places));
        let mut changed = 0_u32;
        for p in 0..positions {
            let sum = _mm512_cvtepi32_ps(_mm512_loadu_si512(sums.add(p * stride).cast()));
            let mut value = _mm512_add_ps(_mm512_mul_ps(sum, multiplier), bias);
            if SHORTCUT {
                let kept = _mm_loadu_si128(added.add(p * added_step).cast());
                let kept = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(kept));
                value = _mm512_add_ps(value, _mm512_mul_ps(kept, scale));
            }
            // Limited before it is rounded: the limits are whole numbers, and it then fits an i32.
            let value = _mm512_min_ps(_mm512_max_ps(value, zero), highest);
            let bytes = _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(value));
            let to = to.add(p * span.places.step);
            if KEEP {
                let kept = _mm_loadu_si128(to.cast());
                let apart = _mm_or_si128(_mm_subs_epu8(bytes, kept), _mm_subs_epu8(kept, bytes));
                let differs = _mm_cmpgt_epu8_mask(apart, dead_zone);
                _mm_mask_storeu_epi8(to.cast(), differs, bytes);
                changed |= u32::from(differs != 0) << p;
            } else {
                _mm_storeu_si128(to.cast(), bytes);
            }
        }
        if let Some(keep) = &mut span.keep {
            let tiles = &mut keep.changed[row * keep.row + first / TILE..];
            for (tile, changed) in tiles.iter_mut().zip(changed.to_le_bytes()).take(positions.div_ceil(TILE)) {
                *tile |= changed;
            }
        }
    }
}
