//! AVX-VNNI: one `vpdpbusd` multiplies four bytes of 8 output channels.

/// `vpdpbusd` in its VEX form.
macro_rules! dot {
    ($sum:expr, $quad:expr, $weights:expr) => {
        _mm256_dpbusd_avx_epi32($sum, $quad, $weights)
    };
}

super::x86_256::kernel_256!(super::Isa::AvxVnni, "avx2,avxvnni", dot);
