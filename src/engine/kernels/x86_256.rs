//! What the two kernels on 256 bits share: all but the product.

/// Makes `run` for the given CPU features and `dot!(sum, quad, weights)`, which adds the products of four bytes of 8
/// output channels to `sum`.
macro_rules! kernel_256 {
    ($isa:expr, $features:literal, $dot:ident) => {
        use std::arch::x86_64::*;

        use super::{Group, Span, TILE};

        /// Positions whose sums fit the registers together.
        const POSITIONS: usize = 4;

        pub(super) fn run(group: &Group, span: &mut Span<'_>) {
            assert!($isa.is_available(), "this processor has no {}", $isa);
            for tile in 0..span.positions.div_ceil(TILE) {
                for row in 0..span.rows {
                    for part in 0..TILE / POSITIONS {
                        let first = tile * TILE + part * POSITIONS;
                        if first < span.positions {
                            for vector in 0..group.vectors() {
                                // SAFETY: the processor has the features, as asserted; `check` was called by our only
                                // caller; the tile, row and vector are within what it checked.
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
        #[target_feature(enable = $features)]
        unsafe fn positions(group: &Group, span: &mut Span<'_>, row: usize, first: usize, vector: usize) {
            let window = span.window;
            let (vectors, step) = (group.vectors(), window.step);
            let mut sums = [[_mm256_setzero_si256(); 2]; POSITIONS];
            // SAFETY: `check` made sure that the windows of every tile, the last one whole, lie within the input, and
            // that there are `rows * quads * vectors` weight vectors and `vectors` initial ones.
            unsafe {
                let initial: *const __m256i = group.initial.as_ptr().add(vector).cast();
                for position in &mut sums {
                    *position = [_mm256_loadu_si256(initial), _mm256_loadu_si256(initial.add(1))];
                }
                let start = span.input.as_ptr().add(span.input_at + row * span.input_row + first * step);
                let mut weights = group.weights.as_ptr().add(vector);
                for y in 0..window.rows {
                    let mut at = start.add(y * window.pitch);
                    for _ in 0..window.quads {
                        let low = _mm256_load_si256(weights.cast());
                        let high = _mm256_load_si256(weights.cast::<__m256i>().add(1));
                        for (p, sum) in sums.iter_mut().enumerate() {
                            let quad = _mm256_set1_epi32(at.add(p * step).cast::<i32>().read_unaligned());
                            sum[0] = $dot!(sum[0], quad, low);
                            sum[1] = $dot!(sum[1], quad, high);
                        }
                        at = at.add(4);
                        weights = weights.wrapping_add(vectors);
                    }
                }
                for (p, sum) in sums.iter().enumerate() {
                    if first + p < span.positions {
                        finish(group, span, row, first + p, vector, *sum);
                    }
                }
            }
        }

        /// The epilogue of one position and one vector.
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
            vector: usize,
            sums: [__m256i; 2],
        ) {
            let place = |places: &super::Places| places.at[vector] + row * places.row + position * places.step;
            // SAFETY: `check` made sure that the places of all positions lie within their slices, and that there are
            // as many multipliers and biases as vectors, and a byte of `changed` for each tile.
            unsafe {
                let multiplier: *const f32 = group.multiplier.as_ptr().add(vector).cast();
                let bias: *const f32 = group.bias.as_ptr().add(vector).cast();
                let mut words = [_mm256_setzero_si256(); 2];
                for half in 0..2 {
                    let m = _mm256_loadu_ps(multiplier.add(8 * half));
                    let b = _mm256_loadu_ps(bias.add(8 * half));
                    let mut value = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[half]), m), b);
                    if let Some(shortcut) = &span.shortcut {
                        let from = shortcut.data.as_ptr().add(place(&shortcut.places) + 8 * half);
                        let kept = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast())));
                        value = _mm256_add_ps(value, _mm256_mul_ps(kept, _mm256_set1_ps(shortcut.scale)));
                    }
                    // Limited before it is rounded: the limits are whole numbers, and it then fits an i32.
                    value = _mm256_min_ps(_mm256_max_ps(value, _mm256_setzero_ps()), _mm256_set1_ps(span.highest));
                    words[half] = _mm256_cvtps_epi32(value);
                }
                // Packing works within 128 bits: the halves' quarters are put in order between its two steps.
                let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(words[0], words[1]));
                let bytes = _mm_packus_epi16(_mm256_castsi256_si128(packed), _mm256_extracti128_si256::<1>(packed));
                let to = span.output.as_mut_ptr().add(place(&span.places));
                match &mut span.keep {
                    None => _mm_storeu_si128(to.cast(), bytes),
                    Some(keep) => {
                        let kept = _mm_loadu_si128(to.cast());
                        let apart = _mm_or_si128(_mm_subs_epu8(bytes, kept), _mm_subs_epu8(kept, bytes));
                        let dead_zone = _mm_set1_epi8(keep.dead_zone.cast_signed());
                        let stays = _mm_cmpeq_epi8(_mm_min_epu8(apart, dead_zone), apart);
                        _mm_storeu_si128(to.cast(), _mm_blendv_epi8(bytes, kept, stays));
                        let changed = u8::from(_mm_movemask_epi8(stays) != 0xffff);
                        keep.changed[row * keep.row + position / TILE] |= changed << (position % TILE);
                    }
                }
            }
        }
    };
}

pub(super) use kernel_256;
