//! The fused inner loops: a convolution's sums, its bias, shortcut, ReLU and rounding in one pass over a row, written
//! once per instruction set.
//!
//! All kernels give the same bytes: sums of products of 7 (or 8) and 8 bits are exact in an i32 whatever their order,
//! and the epilogue's f32 operations are the same ones in the same order, none of them contracted.
//! [`scalar`] is what the others are held to.
//!
//! A tensor is stored position by position, channels innermost and padded to [`LANES`], so that a window's row is one
//! contiguous run of bytes, taken four at a time (a *quad*). Space-to-depth by b in front of a 3×3 convolution of
//! stride s is a window of 3b×3b positions of the tensor in front of it, moved by b·s: no pass of its own.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "aarch64")]
mod arm;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512vnni;
#[cfg(target_arch = "x86_64")]
mod avxvnni;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neondot;
pub mod peak;
mod scalar;
#[cfg(test)]
pub(in crate::engine) mod tests;
#[cfg(target_arch = "x86_64")]
mod x86_256;

use std::fmt;
use std::str::FromStr;

/// Output channels of a vector; channels of a stored tensor are padded to a multiple of it.
pub const LANES: usize = 16;
/// Neighbouring positions that are computed together.
pub const TILE: usize = 8;
/// Vectors that are computed together, at most.
pub const MAX_VECTORS: usize = 3;
/// Positions beyond a span's last one whose windows a kernel may read: it computes several at once, needed or not.
pub const READ_BEYOND: usize = 15;

/// An instruction set that there is a kernel for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust.
    Scalar,
    /// x86-64 with AVX2: `vpmaddubsw`, `vpmaddwd`.
    Avx2,
    /// x86-64 with AVX-VNNI: `vpdpbusd` on 256 bits.
    AvxVnni,
    /// x86-64 with AVX512-VNNI: `vpdpbusd` on 512 bits.
    Avx512Vnni,
    /// x86-64 with AMX (Xeons since 2023): `tdpbusd` on tiles.
    Amx,
    /// 64-bit Arm (Raspberry Pi 4): `smull`, `sadalp`.
    Neon,
    /// 64-bit Arm with dot products (Raspberry Pi 5): `sdot`.
    NeonDot,
}

impl Isa {
    const ALL: [Self; 7] =
        [Self::Scalar, Self::Avx2, Self::AvxVnni, Self::Avx512Vnni, Self::Amx, Self::Neon, Self::NeonDot];

    /// Those that this processor has, the fastest last.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// The fastest one that this processor has.
    pub fn best() -> Self {
        Self::available().pop().unwrap_or(Self::Scalar)
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Amx => Self::Avx512Vnni.is_available() && amx::is_available(),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// Its name on the command line and in statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avxvnni",
            Self::Avx512Vnni => "avx512vnni",
            Self::Amx => "amx",
            Self::Neon => "neon",
            Self::NeonDot => "neondot",
        }
    }

    /// Positions that its kernel computes at once, whether there are so many or not.
    pub fn positions(self) -> usize {
        if self == Self::Amx { 2 * TILE } else { TILE }
    }

    /// Whether its kernel takes two rows at once of a group of so many vectors.
    pub fn takes_two_rows(self, vectors: usize) -> bool {
        vectors == 1 || matches!(self, Self::Scalar | Self::Amx)
    }

    /// What a byte of a tensor of eight bits, for instance the image, is xored with when it is stored. Arm multiplies
    /// signed bytes only: it stores what is less by 128, and its sums begin at 128·Σw.
    pub fn eight_bit_flip(self) -> u8 {
        match self {
            Self::Neon | Self::NeonDot => 0x80,
            _ => 0,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Isa {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::available().iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ");
        match Self::ALL.into_iter().find(|isa| isa.name() == name) {
            Some(isa) if isa.is_available() => Ok(isa),
            Some(isa) => Err(format!("this processor has no {isa}; it has: {}", names())),
            None => Err(format!("there is no instruction set '{name}'; this processor has: {}", names())),
        }
    }
}

/// The weights of [`LANES`] output channels for four bytes of input: `[lane][byte]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct WeightVector(pub [i8; 4 * LANES]);

/// What a position's sums are made of, in bytes of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows of the window.
    pub rows: usize,
    /// Groups of four bytes in each row.
    pub quads: usize,
    /// From a row to the next.
    pub pitch: usize,
    /// From a position's window to its right neighbour's.
    pub step: usize,
}

impl Window {
    /// Bytes from a window's first byte to behind its last one.
    fn extent(&self) -> usize {
        (self.rows - 1).saturating_mul(self.pitch).saturating_add(self.quads.saturating_mul(4))
    }
}

/// What belongs to up to [`MAX_VECTORS`] vectors of output channels.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// `[row][quad][vector]`
    pub weights: Vec<WeightVector>,
    /// What the sums begin with, per vector and lane.
    pub initial: Vec<[i32; LANES]>,
    /// The epilogue's factor, per vector and lane.
    pub multiplier: Vec<[f32; LANES]>,
    /// What the epilogue adds, per vector and lane.
    pub bias: Vec<[f32; LANES]>,
}

impl Group {
    /// The number of vectors.
    pub fn vectors(&self) -> usize {
        self.multiplier.len()
    }
}

/// Where a group's bytes lie: `LANES` at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Where the first position's bytes of each vector begin.
    pub at: [usize; MAX_VECTORS],
    /// From a position to its right neighbour.
    pub step: usize,
    /// From the span's first row to its second.
    pub row: usize,
}

/// What is added before the ReLU.
pub struct Shortcut<'a> {
    /// The tensor that holds it.
    pub data: &'a [u8],
    /// What its bytes are xored with; 0 or [`Isa::eight_bit_flip`].
    pub flip: u8,
    /// Where in `data`.
    pub places: Places,
    /// Its factor.
    pub scale: f32,
}

/// How what is stored is compared with what was there.
pub struct Keep<'a> {
    /// A byte stays that differs by no more than this.
    pub dead_zone: u8,
    /// Per row and tile, a bit for each position (the first is the lowest); those whose bytes changed are set, none
    /// is cleared.
    pub changed: &'a mut [u8],
    /// From the first row's tiles to the second's.
    pub row: usize,
}

/// Neighbouring positions of one row, or of two rows one above the other.
pub struct Span<'a> {
    /// The tensor that is read.
    pub input: &'a [u8],
    /// Where the first position's window begins.
    pub input_at: usize,
    /// From the first row's windows to the second's.
    pub input_row: usize,
    /// How its windows look.
    pub window: Window,
    /// 1, or 2 where the kernel [takes two](Isa::takes_two_rows).
    pub rows: usize,
    /// Positions of each row, at least 1.
    pub positions: usize,
    /// Where the results go.
    pub output: &'a mut [u8],
    /// Where in `output`.
    pub places: Places,
    /// What the results are xored with; 0 or [`Isa::eight_bit_flip`].
    pub flip: u8,
    /// The largest value that is stored: 127, or 255 in eight bits.
    pub highest: f32,
    /// What is added.
    pub shortcut: Option<Shortcut<'a>>,
    /// Whether what is stored already may stay.
    pub keep: Option<Keep<'a>>,
}

impl Places {
    /// Behind the last byte of `rows` rows of `positions`.
    fn end(&self, vectors: usize, rows: usize, positions: usize) -> usize {
        let first = self.at[..vectors].iter().copied().max().unwrap_or(0);
        let last = (positions - 1).saturating_mul(self.step);
        first.saturating_add((rows - 1).saturating_mul(self.row)).saturating_add(last).saturating_add(LANES)
    }
}

/// Computes `span` for the output channels of `group`.
///
/// # Panics
/// When the span reaches beyond its slices, the group's parts differ in length, or this processor lacks `isa`.
pub fn run(isa: Isa, group: &Group, span: &mut Span<'_>) {
    check(isa, group, span);
    match isa {
        Isa::Scalar => scalar::run(group, span),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2::run(group, span),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni => avxvnni::run(group, span),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => avx512vnni::run(group, span),
        #[cfg(target_arch = "x86_64")]
        Isa::Amx => amx::run(group, span),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => neon::run(group, span),
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot => neondot::run(group, span),
        #[allow(unreachable_patterns)]
        _ => panic!("this processor has no {isa}"),
    }
}

/// To be called by a thread that computes no more spans for now: it gives back what the kernel holds of the processor.
pub fn release(isa: Isa) {
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Amx {
        amx::release();
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = isa;
}

/// What every kernel relies on: with it no address that it forms lies outside its slice.
fn check(isa: Isa, group: &Group, span: &Span<'_>) {
    let (vectors, window) = (group.vectors(), &span.window);
    assert!((1..=MAX_VECTORS).contains(&vectors), "a group of {vectors} vectors");
    assert!(group.initial.len() == vectors && group.bias.len() == vectors, "a group's parts differ in length");
    assert!(window.rows > 0 && window.quads > 0 && span.positions > 0, "an empty span");
    let weights = window.rows.saturating_mul(window.quads).saturating_mul(vectors);
    assert!(group.weights.len() == weights, "weights do not fit the window");
    assert!(span.rows == 1 || span.rows == 2 && isa.takes_two_rows(vectors), "so many rows are not taken at once");
    let tiles = span.positions.div_ceil(TILE);
    // Saturating: what does not fit a usize fits no slice either.
    let last = (span.positions - 1).saturating_add(READ_BEYOND).saturating_mul(window.step);
    let row = (span.rows - 1).saturating_mul(span.input_row);
    let read = span.input_at.saturating_add(row).saturating_add(last).saturating_add(window.extent());
    assert!(read <= span.input.len(), "a span reads beyond its input");
    assert!(
        span.places.end(vectors, span.rows, span.positions) <= span.output.len(),
        "a span writes beyond its output"
    );
    let flips = [span.flip, span.shortcut.as_ref().map_or(0, |shortcut| shortcut.flip)];
    assert!(flips.iter().all(|flip| *flip == 0 || *flip == isa.eight_bit_flip()), "{isa} does not store bytes so");
    if let Some(shortcut) = &span.shortcut {
        let end = shortcut.places.end(vectors, span.rows, span.positions);
        assert!(end <= shortcut.data.len(), "a span reads beyond its shortcut");
    }
    if let Some(keep) = &span.keep {
        let end = (span.rows - 1).saturating_mul(keep.row).saturating_add(tiles);
        assert!(end <= keep.changed.len(), "a span marks beyond its tiles");
    }
}
