//! What a core can do at most: the same instructions as the kernels', on registers alone. For benchmarks.

#![allow(clippy::missing_panics_doc)]

use super::Isa;

/// Sums that do not wait for one another: enough for every instruction's latency.
const CHAINS: usize = 12;

/// Runs `rounds` rounds of `isa`'s multiplying instructions on registers. Returns the multiply-accumulates done, and a
/// number that depends on all of them. `None` where this processor lacks it, or there is nothing to measure (scalar).
pub fn run(isa: Isa, rounds: u64) -> Option<(u64, i32)> {
    if rounds == 0 || !isa.is_available() {
        return None;
    }
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Amx {
        super::amx::peak(rounds);
        return Some((rounds * super::amx::PEAK_PRODUCTS * 16 * 16 * 64, 0));
    }
    // SAFETY: the processor has the instructions, as has just been found.
    #[allow(unused_unsafe)]
    let (lanes, sum) = unsafe {
        match isa {
            Isa::Scalar => return None,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => (32, x86::avx2(rounds)),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => (32, x86::avxvnni(rounds)),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => (64, x86::avx512vnni(rounds)),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => (16, arm::neon(rounds)),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => (16, arm::neondot(rounds)),
            #[allow(unreachable_patterns)]
            _ => return None,
        }
    };
    Some((rounds * CHAINS as u64 * lanes, sum))
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::CHAINS;

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn avx512vnni(rounds: u64) -> i32 {
        let (a, b) = black_box((_mm512_set1_epi8(3), _mm512_set1_epi8(5)));
        let mut sums = [_mm512_setzero_si512(); CHAINS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, a, b);
            }
        }
        let total = sums.into_iter().fold(_mm512_setzero_si512(), |a, b| _mm512_add_epi32(a, b));
        _mm512_reduce_add_epi32(total)
    }

    /// The sum of the first lanes.
    #[target_feature(enable = "avx2")]
    fn first_lanes(sums: [__m256i; CHAINS]) -> i32 {
        sums.into_iter().map(|sum| _mm256_extract_epi32::<0>(sum)).fold(0, i32::wrapping_add)
    }

    #[target_feature(enable = "avx2,avxvnni")]
    pub(super) fn avxvnni(rounds: u64) -> i32 {
        let (a, b) = black_box((_mm256_set1_epi8(3), _mm256_set1_epi8(5)));
        let mut sums = [_mm256_setzero_si256(); CHAINS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm256_dpbusd_avx_epi32(*sum, a, b);
            }
        }
        first_lanes(sums)
    }

    /// In assembly: the compiler would otherwise take the products, which are always the same, out of the loop.
    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(rounds: u64) -> i32 {
        let (a, b, ones) = (_mm256_set1_epi8(3), _mm256_set1_epi8(5), _mm256_set1_epi16(1));
        let mut sums = [_mm256_setzero_si256(); CHAINS];
        for _ in 0..rounds {
            for sum in &mut sums {
                // SAFETY: it only reads and writes the registers that it names.
                unsafe {
                    std::arch::asm!(
                        "vpmaddubsw {t}, {a}, {b}",
                        "vpmaddwd {t}, {t}, {ones}",
                        "vpaddd {sum}, {sum}, {t}",
                        a = in(ymm_reg) a,
                        b = in(ymm_reg) b,
                        ones = in(ymm_reg) ones,
                        sum = inout(ymm_reg) *sum,
                        t = out(ymm_reg) _,
                        options(nomem, nostack, preserves_flags)
                    );
                }
            }
        }
        first_lanes(sums)
    }
}

/// In assembly: the compiler would otherwise take the products, which are always the same, out of the loop, and the
/// intrinsic of `sdot` is not stable yet.
#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;
    use std::arch::asm;

    use super::CHAINS;

    /// The sum of the first lanes.
    fn first_lanes(sums: [int32x4_t; CHAINS]) -> i32 {
        // SAFETY: every 64-bit Arm processor has NEON.
        sums.into_iter().map(|sum| unsafe { vgetq_lane_s32::<0>(sum) }).fold(0, i32::wrapping_add)
    }

    #[target_feature(enable = "neon")]
    pub(super) fn neon(rounds: u64) -> i32 {
        let (a, b) = (vdupq_n_s8(3), vdupq_n_s8(5));
        let mut sums = [vdupq_n_s32(0); CHAINS];
        for _ in 0..rounds {
            for sum in &mut sums {
                // SAFETY: it only reads and writes the registers that it names.
                unsafe {
                    asm!(
                        "smull {t:v}.8h, {a:v}.8b, {b:v}.8b",
                        "smlal2 {t:v}.8h, {a:v}.16b, {b:v}.16b",
                        "sadalp {sum:v}.4s, {t:v}.8h",
                        a = in(vreg) a,
                        b = in(vreg) b,
                        sum = inout(vreg) *sum,
                        t = out(vreg) _,
                        options(nomem, nostack, preserves_flags)
                    );
                }
            }
        }
        first_lanes(sums)
    }

    #[target_feature(enable = "neon,dotprod")]
    pub(super) fn neondot(rounds: u64) -> i32 {
        let (a, b) = (vdupq_n_s8(3), vdupq_n_s8(5));
        let mut sums = [vdupq_n_s32(0); CHAINS];
        for _ in 0..rounds {
            for sum in &mut sums {
                // SAFETY: it only reads and writes the registers that it names.
                unsafe {
                    asm!(
                        "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
                        a = in(vreg) a,
                        b = in(vreg) b,
                        sum = inout(vreg) *sum,
                        options(nomem, nostack, preserves_flags)
                    );
                }
            }
        }
        first_lanes(sums)
    }
}
