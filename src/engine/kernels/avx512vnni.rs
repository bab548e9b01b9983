//! AVX512-VNNI: one `vpdpbusd` multiplies four bytes of 16 output channels.

use std::arch::x86_64::*;

use super::{Group, LANES, Span, TILE};

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
                        for (p, position) in row.iter_mut().enumerate() {
                            let quad = at.add(r * span.input_row + p * window.step).cast::<i32>().read_unaligned();
                            let quad = _mm512_set1_epi32(quad);
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
            finish(group, span, tile, &stored);
        }
    }
}

/// The epilogue of one tile.
///
/// # Safety
/// As [`tiles`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn finish<const V: usize, const R: usize>(
    group: &Group,
    span: &mut Span<'_>,
    tile: usize,
    sums: &[[[[i32; LANES]; V]; TILE]; R],
) {
    let positions = TILE.min(span.positions - tile * TILE);
    let (zero, highest) = (_mm512_setzero_ps(), _mm512_set1_ps(span.highest));
    for (r, row) in sums.iter().enumerate() {
        let mut changed = 0;
        for (p, position) in row.iter().enumerate() {
            if p < positions {
                for (v, sum) in position.iter().enumerate() {
                    let offset = r * span.places.row + (tile * TILE + p) * span.places.step;
                    // SAFETY: `check` made sure that the places of all positions lie within their slices, and that
                    // there are `V` multipliers and biases.
                    unsafe {
                        let multiplier = _mm512_loadu_ps(group.multiplier.as_ptr().add(v).cast());
                        let bias = _mm512_loadu_ps(group.bias.as_ptr().add(v).cast());
                        let sum = _mm512_cvtepi32_ps(_mm512_loadu_si512(sum.as_ptr().cast()));
                        let mut value = _mm512_add_ps(_mm512_mul_ps(sum, multiplier), bias);
                        if let Some(shortcut) = &span.shortcut {
                            let places = &shortcut.places;
                            let from = places.at[v] + r * places.row + (tile * TILE + p) * places.step;
                            let kept = _mm_loadu_si128(shortcut.data.as_ptr().add(from).cast());
                            let kept = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(kept));
                            value = _mm512_add_ps(value, _mm512_mul_ps(kept, _mm512_set1_ps(shortcut.scale)));
                        }
                        // Limited before it is rounded: the limits are whole numbers, and it then fits an i32.
                        let value = _mm512_min_ps(_mm512_max_ps(value, zero), highest);
                        let bytes = _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(value));
                        let to = span.output.as_mut_ptr().add(span.places.at[v] + offset);
                        match &span.keep {
                            None => _mm_storeu_si128(to.cast(), bytes),
                            Some(keep) => {
                                let kept = _mm_loadu_si128(to.cast());
                                let apart = _mm_or_si128(_mm_subs_epu8(bytes, kept), _mm_subs_epu8(kept, bytes));
                                let differs = _mm_cmpgt_epu8_mask(apart, _mm_set1_epi8(keep.dead_zone.cast_signed()));
                                _mm_mask_storeu_epi8(to.cast(), differs, bytes);
                                changed |= u8::from(differs != 0) << p;
                            }
                        }
                    }
                }
            }
        }
        if let Some(keep) = &mut span.keep {
            keep.changed[r * keep.row + tile] |= changed;
        }
    }
}
