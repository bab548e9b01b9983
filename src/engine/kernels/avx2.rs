//! AVX2: products of pairs in 16 bits, which 2·127·127 fit, and 255·(v + w) within the
//! [limits](crate::engine::contract::WeightLimits) of weights, then in 32 bits.

/// `vpmaddubsw`, `vpmaddwd`, `vpaddd`.
macro_rules! dot {
    ($sum:expr, $quad:expr, $weights:expr) => {{
        let pairs = _mm256_maddubs_epi16($quad, $weights);
        _mm256_add_epi32($sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }};
}

super::x86_256::kernel_256!(super::Isa::Avx2, "avx2", dot);
