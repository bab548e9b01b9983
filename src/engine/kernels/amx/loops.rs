//! The loops over a window on tiles, in assembly: one for each number of tiles of positions and of vectors.

use std::arch::asm;
use std::mem::offset_of;

/// What a loop reads.
#[repr(C)]
pub(super) struct Work {
    /// What the sums begin with, 64 bytes per vector.
    pub(super) initial: *const i32,
    /// The first position's window.
    pub(super) input: *const u8,
    /// Bytes from a tile's first position to the next tile's.
    pub(super) next_tile: usize,
    /// Bytes from a position to its neighbour.
    pub(super) step: usize,
    /// The first part's weights.
    pub(super) weights: *const i8,
    /// Bytes from a quad's weights to the next one's.
    pub(super) quad: usize,
    /// Rows of the window.
    pub(super) rows: usize,
    /// Parts of a row of the window.
    pub(super) parts: usize,
    /// Bytes of such a part.
    pub(super) part_bytes: usize,
    /// Bytes of such a part's weights.
    pub(super) part_weights: usize,
    /// Bytes from behind a row's last part to the next row's first.
    pub(super) next_row: usize,
    /// Where the sums go.
    pub(super) sums: *mut i32,
}

/// A loop over the rows and parts of a window: `$begin` loads the sums, `$part` takes a part, `$end` stores the sums.
macro_rules! tile_loop {
    ($name:ident, $begin:expr, $part:expr, $end:expr) => {
        /// # Safety
        /// The tiles are configured for this number of vectors, and all of `work`'s addresses are valid as far as the
        /// loop goes.
        pub(super) unsafe fn $name(work: &Work) {
            // SAFETY: the caller's. All tiles that are written are named.
            unsafe {
                asm!(
                    "mov {t}, [{work} + {initial}]",
                    "xor {stride:e}, {stride:e}",
                    $begin,
                    "mov {a}, [{work} + {input}]",
                    "mov {b}, {a}",
                    "add {b}, [{work} + {next_tile}]",
                    "mov {step}, [{work} + {step_bytes}]",
                    "mov {w}, [{work} + {weights}]",
                    "mov {stride}, [{work} + {quad}]",
                    "mov {rows}, [{work} + {window_rows}]",
                    "2:",
                    "mov {t}, [{work} + {parts}]",
                    "3:",
                    $part,
                    "add {a}, [{work} + {part_bytes}]",
                    "add {b}, [{work} + {part_bytes}]",
                    "add {w}, [{work} + {part_weights}]",
                    "dec {t}",
                    "jnz 3b",
                    "add {a}, [{work} + {next_row}]",
                    "add {b}, [{work} + {next_row}]",
                    "dec {rows}",
                    "jnz 2b",
                    "mov {t}, [{work} + {sums}]",
                    "mov {stride:e}, 64",
                    $end,
                    work = in(reg) work,
                    initial = const offset_of!(Work, initial),
                    input = const offset_of!(Work, input),
                    next_tile = const offset_of!(Work, next_tile),
                    step_bytes = const offset_of!(Work, step),
                    weights = const offset_of!(Work, weights),
                    quad = const offset_of!(Work, quad),
                    window_rows = const offset_of!(Work, rows),
                    parts = const offset_of!(Work, parts),
                    part_bytes = const offset_of!(Work, part_bytes),
                    part_weights = const offset_of!(Work, part_weights),
                    next_row = const offset_of!(Work, next_row),
                    sums = const offset_of!(Work, sums),
                    a = out(reg) _,
                    b = out(reg) _,
                    w = out(reg) _,
                    t = out(reg) _,
                    step = out(reg) _,
                    stride = out(reg) _,
                    rows = out(reg) _,
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
    };
}

tile_loop!(
    one_by_one,
    "tileloadd tmm0, [{t} + {stride}]",
    concat!("tileloadd tmm4, [{a} + {step}]\n", "tileloadd tmm6, [{w} + {stride}]\n", "tdpbusd tmm0, tmm4, tmm6",),
    "tilestored [{t} + {stride}], tmm0"
);

tile_loop!(
    two_by_one,
    concat!("tileloadd tmm0, [{t} + {stride}]\n", "tileloadd tmm1, [{t} + {stride}]"),
    concat!(
        "tileloadd tmm6, [{w} + {stride}]\n",
        "tileloadd tmm4, [{a} + {step}]\n",
        "tileloadd tmm5, [{b} + {step}]\n",
        "tdpbusd tmm0, tmm4, tmm6\n",
        "tdpbusd tmm1, tmm5, tmm6",
    ),
    concat!("tilestored [{t} + {stride}], tmm0\n", "tilestored [{t} + {stride} + 1024], tmm1")
);

tile_loop!(
    one_by_two,
    concat!("tileloadd tmm0, [{t} + {stride}]\n", "tileloadd tmm1, [{t} + {stride} + 64]"),
    concat!(
        "tileloadd tmm4, [{a} + {step}]\n",
        "tileloadd tmm6, [{w} + {stride}]\n",
        "tileloadd tmm7, [{w} + {stride} + 64]\n",
        "tdpbusd tmm0, tmm4, tmm6\n",
        "tdpbusd tmm1, tmm4, tmm7",
    ),
    concat!("tilestored [{t} + {stride}], tmm0\n", "tilestored [{t} + {stride} + 1024], tmm1")
);

tile_loop!(
    two_by_two,
    concat!(
        "tileloadd tmm0, [{t} + {stride}]\n",
        "tileloadd tmm1, [{t} + {stride} + 64]\n",
        "tileloadd tmm2, [{t} + {stride}]\n",
        "tileloadd tmm3, [{t} + {stride} + 64]",
    ),
    concat!(
        "tileloadd tmm4, [{a} + {step}]\n",
        "tileloadd tmm6, [{w} + {stride}]\n",
        "tdpbusd tmm0, tmm4, tmm6\n",
        "tileloadd tmm7, [{w} + {stride} + 64]\n",
        "tdpbusd tmm1, tmm4, tmm7\n",
        "tileloadd tmm5, [{b} + {step}]\n",
        "tdpbusd tmm2, tmm5, tmm6\n",
        "tdpbusd tmm3, tmm5, tmm7",
    ),
    concat!(
        "tilestored [{t} + {stride}], tmm0\n",
        "tilestored [{t} + {stride} + 1024], tmm1\n",
        "tilestored [{t} + {stride} + 2048], tmm2\n",
        "tilestored [{t} + {stride} + 3072], tmm3",
    )
);

tile_loop!(
    one_by_three,
    concat!(
        "tileloadd tmm0, [{t} + {stride}]\n",
        "tileloadd tmm1, [{t} + {stride} + 64]\n",
        "tileloadd tmm2, [{t} + {stride} + 128]",
    ),
    concat!(
        "tileloadd tmm6, [{a} + {step}]\n",
        "tileloadd tmm7, [{w} + {stride}]\n",
        "tdpbusd tmm0, tmm6, tmm7\n",
        "tileloadd tmm7, [{w} + {stride} + 64]\n",
        "tdpbusd tmm1, tmm6, tmm7\n",
        "tileloadd tmm7, [{w} + {stride} + 128]\n",
        "tdpbusd tmm2, tmm6, tmm7",
    ),
    concat!(
        "tilestored [{t} + {stride}], tmm0\n",
        "tilestored [{t} + {stride} + 1024], tmm1\n",
        "tilestored [{t} + {stride} + 2048], tmm2",
    )
);

tile_loop!(
    two_by_three,
    concat!(
        "tileloadd tmm0, [{t} + {stride}]\n",
        "tileloadd tmm1, [{t} + {stride} + 64]\n",
        "tileloadd tmm2, [{t} + {stride} + 128]\n",
        "tileloadd tmm3, [{t} + {stride}]\n",
        "tileloadd tmm4, [{t} + {stride} + 64]\n",
        "tileloadd tmm5, [{t} + {stride} + 128]",
    ),
    concat!(
        "tileloadd tmm6, [{a} + {step}]\n",
        "tileloadd tmm7, [{w} + {stride}]\n",
        "tdpbusd tmm0, tmm6, tmm7\n",
        "tileloadd tmm7, [{w} + {stride} + 64]\n",
        "tdpbusd tmm1, tmm6, tmm7\n",
        "tileloadd tmm7, [{w} + {stride} + 128]\n",
        "tdpbusd tmm2, tmm6, tmm7\n",
        "tileloadd tmm6, [{b} + {step}]\n",
        "tdpbusd tmm5, tmm6, tmm7\n",
        "tileloadd tmm7, [{w} + {stride} + 64]\n",
        "tdpbusd tmm4, tmm6, tmm7\n",
        "tileloadd tmm7, [{w} + {stride}]\n",
        "tdpbusd tmm3, tmm6, tmm7",
    ),
    concat!(
        "tilestored [{t} + {stride}], tmm0\n",
        "tilestored [{t} + {stride} + 1024], tmm1\n",
        "tilestored [{t} + {stride} + 2048], tmm2\n",
        "tilestored [{t} + {stride} + 3072], tmm3\n",
        "tilestored [{t} + {stride} + 4096], tmm4\n",
        "tilestored [{t} + {stride} + 5120], tmm5",
    )
);
