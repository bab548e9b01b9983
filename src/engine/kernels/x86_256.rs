//! What the two kernels on 256 bits share: all but the product.

/// Makes `run` for the given CPU features and `dot!(sum, quad, weights)`, which adds the products of four bytes of 8
/// output channels to `sum`.
macro_rules! kernel_256 {
    ($isa:expr, $features:literal, $dot:ident) => {
        use std::arch::x86_64::*;

        use super::{Group, LANES, Places, Span, TILE};

        /// Output channels of a register.
        const HALF: usize = LANES / 2;
        /// Positions whose sums fit the registers together: twelve sums, two weights, and what multiplies them.
        const POSITIONS: usize = 6;

        pub(super) fn run(group: &Group, span: &mut Span<'_>) {
            assert!($isa.is_available(), "this processor has no {}", $isa);
            for first in (0..span.positions).step_by(POSITIONS) {
                for row in 0..span.rows {
                    for vector in 0..group.vectors() {
                        // SAFETY: the processor has the features, as asserted; `check` was called by our only caller;
                        // the row, positions and vector are within what it checked.
                        unsafe { positions(group, span, row, first, vector) };
                    }
                }
            }
        }

        /// [`POSITIONS`] positions from `first` on, for one vector.
        ///
        /// # Safety
        /// `check` has passed for `group` and `span`; `row`, `first` and `vector` are within them.
        #[target_feature(enable = $features)]
        unsafe fn positions(group: &Group, span: &mut Span<'_>, row: usize, first: usize, vector: usize) {
            let window = span.window;
            let step = window.step;
            let mut sums = [[_mm256_setzero_si256(); 2]; POSITIONS];
            // A copy: what is read in a loop must lie in memory, and the sums shall stay in registers.
            let mut stored = [[[0; HALF]; 2]; POSITIONS];
            // SAFETY: `check` made sure that the windows of the positions, and of some beyond the last, lie within the input, and
            // that there are `rows * quads * vectors` weight vectors and `vectors` initial ones, of two halves each.
            unsafe {
                let initial: *const __m256i = group.initial.as_ptr().cast();
                for position in &mut sums {
                    for (h, sum) in position.iter_mut().enumerate() {
                        *sum = _mm256_loadu_si256(initial.add(2 * vector + h));
                    }
                }
                let start = span.input.as_ptr().add(span.input_at + row * span.input_row + first * step);
                let mut weights: *const __m256i = group.weights.as_ptr().cast();
                weights = weights.add(2 * vector);
                for y in 0..window.rows {
                    let mut at = start.add(y * window.pitch);
                    for _ in 0..window.quads {
                        let mut w = [_mm256_setzero_si256(); 2];
                        for (h, w) in w.iter_mut().enumerate() {
                            *w = _mm256_load_si256(weights.add(h));
                        }
                        for (p, position) in sums.iter_mut().enumerate() {
                            let quad = _mm256_set1_epi32(at.add(p * step).cast::<i32>().read_unaligned());
                            for (sum, w) in position.iter_mut().zip(w) {
                                *sum = $dot!(*sum, quad, w);
                            }
                        }
                        at = at.add(4);
                        weights = weights.wrapping_add(2 * group.vectors());
                    }
                }
                for (to, position) in stored.iter_mut().zip(sums) {
                    for (to, sum) in to.iter_mut().zip(position) {
                        _mm256_storeu_si256(to.as_mut_ptr().cast(), sum);
                    }
                }
            }
            for (position, sums) in (first..span.positions).zip(&stored) {
                for (h, sums) in sums.iter().enumerate() {
                    // SAFETY: as above.
                    unsafe { finish(group, span, row, position, 2 * vector + h, sums) };
                }
            }
        }

        /// The epilogue of one position and half a vector.
        ///
        /// # Safety
        /// As [`positions`].
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn finish(
            group: &Group,
            span: &mut Span<'_>,
            row: usize,
            position: usize,
            half: usize,
            sums: &[i32; HALF],
        ) {
            let place =
                |places: &Places| places.at[half / 2] + half % 2 * HALF + row * places.row + position * places.step;
            // SAFETY: `check` made sure that the places of all positions lie within their slices, and that there are
            // as many multipliers and biases as vectors, and a byte of `changed` for each tile.
            unsafe {
                let multiplier = _mm256_loadu_ps(group.multiplier.as_ptr().cast::<f32>().add(half * HALF));
                let bias = _mm256_loadu_ps(group.bias.as_ptr().cast::<f32>().add(half * HALF));
                let sum = _mm256_cvtepi32_ps(_mm256_loadu_si256(sums.as_ptr().cast()));
                let mut value = _mm256_add_ps(_mm256_mul_ps(sum, multiplier), bias);
                if let Some(shortcut) = &span.shortcut {
                    let from = shortcut.data.as_ptr().add(place(&shortcut.places));
                    let kept = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast())));
                    value = _mm256_add_ps(value, _mm256_mul_ps(kept, _mm256_set1_ps(shortcut.scale)));
                }
                // Limited before it is rounded: the limits are whole numbers, and it then fits an i32.
                value = _mm256_min_ps(_mm256_max_ps(value, _mm256_setzero_ps()), _mm256_set1_ps(span.highest));
                let words = _mm256_cvtps_epi32(value);
                let words = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
                let bytes = _mm_packus_epi16(words, words);
                let to = span.output.as_mut_ptr().add(place(&span.places));
                match &mut span.keep {
                    None => _mm_storel_epi64(to.cast(), bytes),
                    Some(keep) => {
                        let kept = _mm_loadl_epi64(to.cast_const().cast());
                        let apart = _mm_or_si128(_mm_subs_epu8(bytes, kept), _mm_subs_epu8(kept, bytes));
                        let dead_zone = _mm_set1_epi8(keep.dead_zone.cast_signed());
                        let stays = _mm_cmpeq_epi8(_mm_min_epu8(apart, dead_zone), apart);
                        _mm_storel_epi64(to.cast(), _mm_blendv_epi8(bytes, kept, stays));
                        let changed = u8::from(_mm_movemask_epi8(stays) & 0xff != 0xff);
                        keep.changed[row * keep.row + position / TILE] |= changed << (position % TILE);
                    }
                }
            }
        }
    };
}

pub(super) use kernel_256;
