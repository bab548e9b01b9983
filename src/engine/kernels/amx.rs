//! AMX (Xeons since 2023): `tdpbusd` multiplies 16 positions' 64 bytes with 16 output channels' at once.
//!
//! The tensors' and weights' order is already that of tiles: 16 positions lie one step apart, each with a run of bytes;
//! 16 weight vectors are 64 bytes of 16 channels.

mod loops;

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use self::loops::Work;
use super::avx512vnni::{self, Finish};
use super::{Group, LANES, Span};

/// Rows of a tile: positions, or quads.
const ROWS: usize = 16;
/// Tiles of positions that are computed together.
const TILES: usize = 2;

/// Whether the processor has it, the system saves it, and this process may use it.
pub(super) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_instructions() && is_permitted())
}

fn has_instructions() -> bool {
    // Intel's manual, volume 2A, CPUID: leaf 7, EDX 24 (AMX-TILE) and 25 (AMX-INT8); leaf 1, ECX 27 (OSXSAVE).
    let largest = __cpuid(0).eax;
    if largest < 7 || __cpuid(1).ecx >> 27 & 1 == 0 || __cpuid_count(7, 0).edx >> 24 & 3 != 3 {
        return false;
    }
    // XCR0 17 and 18: the system keeps the tiles' state.
    // SAFETY: OSXSAVE says that the instruction is there.
    let enabled = unsafe { xcr0() };
    enabled >> 17 & 3 == 3
}

/// # Safety
/// The processor has OSXSAVE.
#[target_feature(enable = "xsave")]
unsafe fn xcr0() -> u64 {
    // SAFETY: the caller's.
    unsafe { _xgetbv(0) }
}

/// Linux gives the tiles' large state only to processes that ask for it (arch_prctl, ARCH_REQ_XCOMP_PERM).
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: this call takes two numbers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

/// What `ldtilecfg` reads.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Bytes of a row, for each tile.
    bytes: [u16; 16],
    rows: [u8; 16],
}

/// Sums of up to [`TILES`] tiles and three vectors: `[tile][vector][position][lane]`.
#[repr(C, align(64))]
struct Sums([[[i32; LANES]; ROWS]; TILES * 3]);

pub(super) fn run(group: &Group, span: &mut Span<'_>) {
    assert!(is_available(), "this processor has no AMX, or it is not permitted");
    let window = span.window;
    let vectors = group.vectors();
    let quads = quads_per_part(window.quads);
    // A row's positions in tiles of the same height: what a product costs is the height of its tile, used or not.
    let count = span.positions.div_ceil(ROWS);
    // What is to be kept is noted in bytes of eight positions, which a tile must not share.
    let height = if span.keep.is_some() { ROWS } else { span.positions.div_ceil(count) };
    // A span can be a single tile: nothing is done here that its products do not need.
    let mut sums = MaybeUninit::<Sums>::uninit();
    configure(vectors, quads, height);
    for row in 0..span.rows {
        for tile in (0..count).step_by(TILES) {
            // A row's last tile goes together with the one below it.
            let both = span.rows == 2 && tile + 1 == count;
            if both && row > 0 {
                continue;
            }
            let tiles = if both || tile + 1 < count { 2 } else { 1 };
            let first = tile * height;
            let part_bytes = quads * 4;
            let parts = window.quads / quads;
            let work = Work {
                initial: group.initial.as_ptr().cast(),
                input: span.input[span.input_at + row * span.input_row + first * window.step..].as_ptr(),
                next_tile: if both { span.input_row } else { height * window.step },
                step: window.step,
                weights: group.weights.as_ptr().cast(),
                quad: vectors * 64,
                rows: window.rows,
                parts,
                part_bytes,
                part_weights: quads * vectors * 64,
                next_row: window.pitch.wrapping_sub(parts * part_bytes),
                sums: sums.as_mut_ptr().cast(),
            };
            // SAFETY: `check` made sure that the windows of the positions, and of 15 beyond the last, lie within the
            // input, and that there are `rows * quads * vectors` weight vectors and `vectors` initial ones; `sums` has
            // room for all tiles.
            unsafe {
                match (vectors, tiles) {
                    (1, 1) => loops::one_by_one(&work),
                    (1, _) => loops::two_by_one(&work),
                    (2, 1) => loops::one_by_two(&work),
                    (2, _) => loops::two_by_two(&work),
                    (_, 1) => loops::one_by_three(&work),
                    _ => loops::two_by_three(&work),
                }
            }
            for tile in 0..tiles {
                let (row, first) = if both { (tile, first) } else { (row, first + tile * height) };
                let positions = height.min(span.positions - first);
                for vector in 0..vectors {
                    // SAFETY: a processor with AMX has AVX-512; these are within what `check` checked, and the sums of
                    // these tiles have just been stored.
                    unsafe {
                        let sums = sums.as_ptr().cast::<i32>().add((tile * vectors + vector) * ROWS * LANES);
                        avx512vnni::finish(group, span, &Finish { row, first, positions, vector, sums, stride: LANES });
                    }
                }
            }
        }
    }
}

thread_local! {
    /// The vectors, quads and height for which this thread's tiles are configured; zeros where they are not.
    static CONFIGURED: Cell<[usize; 3]> = const { Cell::new([0; 3]) };
}

/// Configures this thread's tiles, unless they are already: it takes longer than a product.
fn configure(vectors: usize, quads: usize, height: usize) {
    let wanted = [vectors, quads, height];
    if CONFIGURED.replace(wanted) != wanted {
        let configuration = &CONFIGURATIONS[vectors - 1][quads - 1][height - 1];
        // SAFETY: `run` made sure that the processor has AMX and the process may use it; the configuration is one of
        // palette 1. It lasts until `release`, since nothing else in this thread uses tiles.
        unsafe { asm!("ldtilecfg [{}]", in(reg) configuration, options(nostack, preserves_flags)) };
    }
}

/// Gives this thread's tiles back: their state is large, and the system saves it as long as there is one.
pub(super) fn release() {
    if CONFIGURED.replace([0; 3]) != [0; 3] {
        // SAFETY: they were configured, so that the processor has AMX.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// As many quads as fill a tile, all parts of a row alike.
fn quads_per_part(quads: usize) -> usize {
    /// Of each number of quads that the layers of today's styles have.
    const PARTS: [u8; 128] = {
        let mut parts = [1; 128];
        let mut quads = 1;
        while quads < parts.len() {
            let mut part = 1;
            while part <= ROWS {
                if quads % part == 0 {
                    parts[quads] = part as u8;
                }
                part += 1;
            }
            quads += 1;
        }
        parts
    };
    let searched = || (1..=ROWS).rev().find(|part| quads.is_multiple_of(*part)).unwrap_or(1);
    PARTS.get(quads).map_or_else(searched, |part| usize::from(*part))
}

/// `[vectors − 1][quads − 1][height − 1]`
static CONFIGURATIONS: [[[Configuration; ROWS]; ROWS]; 3] = {
    let mut all = [[[Configuration::EMPTY; ROWS]; ROWS]; 3];
    let mut vectors = 1;
    while vectors <= 3 {
        let mut quads = 1;
        while quads <= ROWS {
            let mut height = 1;
            while height <= ROWS {
                all[vectors - 1][quads - 1][height - 1] = Configuration::new(vectors, quads, height);
                height += 1;
            }
            quads += 1;
        }
        vectors += 1;
    }
    all
};

impl Configuration {
    const EMPTY: Self = Self { palette: 1, start_row: 0, reserved: [0; 14], bytes: [0; 16], rows: [0; 16] };

    /// For a number of vectors, quads in a part of a window's row, and positions in a tile.
    const fn new(vectors: usize, quads: usize, height: usize) -> Self {
        let mut configuration = Self::EMPTY;
        let mut tile = 0;
        while tile < 8 {
            let (bytes, rows) = match (tile, vectors) {
                // Positions.
                (6, 3) | (4 | 5, 1 | 2) => (quads * 4, height),
                // Weights.
                (7, 3) | (6 | 7, 1 | 2) => (64, quads),
                // Sums.
                _ => (64, height),
            };
            configuration.bytes[tile] = bytes as u16;
            configuration.rows[tile] = rows as u8;
            tile += 1;
        }
        configuration
    }
}

/// `rounds` times [`PEAK_PRODUCTS`] products of whole tiles, on registers alone.
pub(super) fn peak(rounds: u64) {
    assert!(is_available(), "this processor has no AMX, or it is not permitted");
    release();
    let mut configuration = Configuration::EMPTY;
    configuration.bytes[..8].fill(64);
    configuration.rows[..8].fill(ROWS as u8);
    // SAFETY: the processor has AMX and the process may use it, as asserted; the configuration is one of palette 1.
    unsafe {
        asm!(
            "ldtilecfg [{configuration}]",
            "2:",
            "tdpbusd tmm0, tmm6, tmm7",
            "tdpbusd tmm1, tmm6, tmm7",
            "tdpbusd tmm2, tmm6, tmm7",
            "tdpbusd tmm3, tmm6, tmm7",
            "tdpbusd tmm4, tmm6, tmm7",
            "tdpbusd tmm5, tmm6, tmm7",
            "dec {rounds}",
            "jnz 2b",
            "tilerelease",
            configuration = in(reg) &raw const configuration,
            rounds = inout(reg) rounds => _,
            out("tmm0") _,
            out("tmm1") _,
            out("tmm2") _,
            out("tmm3") _,
            out("tmm4") _,
            out("tmm5") _,
            out("tmm6") _,
            out("tmm7") _,
            options(nostack)
        );
    }
}

/// Products in a round of [`peak`].
pub(super) const PEAK_PRODUCTS: u64 = 6;
