//! A band of rows of one layer: which tiles are computed, and where their bytes come from and go to.

use std::ops::Range;

use super::changed::BlockMask;
use super::layout::{BitLayout, Layout, Reading, flag_readers, spread};
use super::pack::{PackedGroup, PackedLayer};
use super::picture::{self, Place};
use super::tensor::Tensor;
use crate::engine::kernels::{self, Isa, Keep, LANES, Places, Shortcut, Span, TILE, Window};
use crate::engine::topology::LayerShape;

/// A layer about to run, for all of its bands.
pub(super) struct LayerRun<'a> {
    pub(super) isa: Isa,
    pub(super) shape: &'a LayerShape,
    pub(super) packed: &'a PackedLayer,
    pub(super) reading: Reading,
    pub(super) input: &'a Tensor,
    pub(super) shortcut: Option<&'a Tensor>,
    /// Positions in a row of the convolution.
    pub(super) columns: usize,
    pub(super) output_layout: Layout,
    pub(super) output_flip: u8,
    pub(super) bit_layout: BitLayout,
    /// Whether it is the last layer.
    pub(super) is_picture: bool,
    pub(super) extent: Extent<'a>,
}

/// How much of a layer is computed.
#[derive(Clone, Copy)]
pub(super) enum Extent<'a> {
    /// Everything.
    Whole,
    /// What reads something that changed, kept where it comes out within so many steps of what was there.
    Following(u8),
    /// What touches these blocks of the picture; a position is so many pixels wide and high.
    Within(&'a BlockMask, usize),
}

/// Rows of a layer that one thread computes.
pub(super) struct Band<'a> {
    /// The first row of the convolution.
    pub(super) first: usize,
    /// Its rows of the output, borders left and right included.
    pub(super) output: &'a mut [u8],
    /// Their bits.
    pub(super) bits: &'a mut [u8],
    /// Two flags per tile and row of the convolution.
    pub(super) marks: &'a mut [u8],
}

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    /// Tiles computed.
    pub(super) tiles: u64,
    /// Whether anything changed that is stored.
    pub(super) changed: bool,
}

impl Work {
    pub(super) fn and(self, other: Self) -> Self {
        Self { tiles: self.tiles + other.tiles, changed: self.changed | other.changed }
    }
}

/// Neighbouring positions in one row of a band, or in two.
#[derive(Clone, Copy)]
struct Run {
    /// The row of the convolution, counted in the layer.
    y: usize,
    /// The same, counted in the band.
    row: usize,
    /// 1 or 2 rows.
    rows: usize,
    /// The first position.
    x: usize,
    positions: usize,
}

impl LayerRun<'_> {
    /// Computes one band.
    pub(super) fn band(&self, mut band: Band<'_>) -> Work {
        let tiles = self.tiles();
        let band_rows = band.marks.len() / (2 * tiles);
        let together = if self.takes_two_rows() { 2 } else { 1 };
        let mut work = Work::default();
        for row in (0..band_rows).step_by(together) {
            let run =
                Run { y: band.first + row, row, rows: together.min(band_rows - row), x: 0, positions: self.columns };
            match self.extent {
                Extent::Whole => {
                    self.compute(&mut band, run);
                    work.tiles += (run.rows * tiles) as u64;
                    continue;
                }
                Extent::Following(_) => self.mark(&mut band, run),
                Extent::Within(mask, pixels) => {
                    let rows = run.y * pixels..(run.y + run.rows) * pixels;
                    let spans = mask.runs(rows, self.columns * pixels);
                    let mut spans = spans.map(|span| span.start / pixels..span.end.div_ceil(pixels)).peekable();
                    while let Some(mut span) = spans.next() {
                        while let Some(next) = spans.next_if(|next| self.together_cost_less(&span, next)) {
                            span.end = next.end;
                        }
                        self.compute(&mut band, Run { x: span.start, positions: span.len(), ..run });
                        work.tiles += (run.rows * span.len().div_ceil(TILE)) as u64;
                    }
                    continue;
                }
            }
            let mut done = 0;
            while let Some((start, end)) = next_run(&band.marks[row * 2 * tiles..][..tiles], done) {
                let x = start * TILE;
                self.compute(&mut band, Run { x, positions: (end * TILE).min(self.columns) - x, ..run });
                work.tiles += (run.rows * (end - start)) as u64;
                done = end;
            }
            if done > 0 && !self.is_picture {
                work.changed |= self.note_changes(&mut band, run);
            }
        }
        kernels::release(self.isa);
        work
    }

    /// Whether it costs no more to compute what lies between two runs of a row than to compute them apart.
    fn together_cost_less(&self, a: &Range<usize>, b: &Range<usize>) -> bool {
        let cost = |positions: usize| positions.div_ceil(self.isa.positions());
        cost(b.end - a.start) <= cost(a.len()) + cost(b.len())
    }

    /// Whether two rows are computed together.
    fn takes_two_rows(&self) -> bool {
        let groups = &self.packed.groups;
        // A single vector's sums leave half of the registers free.
        let narrow = groups.len() == 1 && groups[0].group.vectors() == 1;
        // Blocks are high but may be narrow: two rows of one use what AMX computes at once.
        let blocks = matches!(self.extent, Extent::Within(..))
            && groups.iter().all(|packed| self.isa.takes_two_rows(packed.group.vectors()));
        narrow || blocks
    }

    fn tiles(&self) -> usize {
        self.columns.div_ceil(TILE)
    }

    /// Marks the tiles of a run's rows that read or add something that changed, in its first row's flags, and clears the
    /// flags of what changed.
    fn mark(&self, band: &mut Band<'_>, run: Run) {
        let tiles = self.tiles();
        let flags = &mut band.marks[run.row * 2 * tiles..][..tiles];
        flags.fill(0);
        for y in run.y..run.y + run.rows {
            flag_readers(flags, &self.input.bits, &self.input.bit_layout, &self.reading, y);
            if let Some(shortcut) = self.shortcut.filter(|shortcut| shortcut.any) {
                let block = self.shape.depth_to_space;
                for y in y * block..(y + 1) * block {
                    let bits = &shortcut.bits[shortcut.bit_layout.row(y)..][..tiles * block];
                    for (flag, bits) in flags.iter_mut().zip(bits.chunks_exact(block)) {
                        *flag |= u8::from(bits.iter().any(|bits| *bits != 0));
                    }
                }
            }
        }
        for row in run.row..run.row + run.rows {
            band.marks[(row * 2 + 1) * tiles..][..tiles].fill(0);
        }
    }

    /// Turns the flags of what changed into the bits of the positions that are stored. Returns whether there is one.
    fn note_changes(&self, band: &mut Band<'_>, run: Run) -> bool {
        let (tiles, block, pitch) = (self.tiles(), self.shape.depth_to_space, self.bit_layout.pitch());
        let mut any = false;
        for row in run.row..run.row + run.rows {
            for (tile, changed) in band.marks[(row * 2 + 1) * tiles..][..tiles].iter().enumerate() {
                if *changed != 0 {
                    any = true;
                    let bits = spread(*changed, block).to_le_bytes();
                    for stored in row * block..(row + 1) * block {
                        band.bits[stored * pitch + 1 + tile * block..][..block].copy_from_slice(&bits[..block]);
                    }
                }
            }
        }
        any
    }

    /// Computes a run for all output channels.
    fn compute(&self, band: &mut Band<'_>, run: Run) {
        if !self.is_picture {
            for packed in &self.packed.groups {
                let shortcut = self.shortcut.map(|shortcut| Shortcut {
                    data: &shortcut.data,
                    flip: shortcut.flip,
                    places: self.places(
                        packed,
                        run,
                        shortcut.layout.before(run.y * self.shape.depth_to_space, 0, shortcut.layout.border),
                    ),
                    scale: self.packed.shortcut,
                });
                let places = self.places(packed, run, run.row * self.shape.depth_to_space * self.output_layout.pitch());
                let tiles = self.tiles();
                let changed = (run.row * 2 + 1) * tiles + run.x / TILE;
                let keep = match self.extent {
                    Extent::Following(dead_zone) => {
                        Some(Keep { dead_zone, changed: &mut band.marks[changed..], row: 2 * tiles })
                    }
                    Extent::Whole | Extent::Within(..) => None,
                };
                self.run_kernel(packed, run, Output { data: &mut *band.output, places }, shortcut, keep);
            }
            return;
        }
        for start in (0..run.positions).step_by(picture::RUN) {
            let positions = picture::RUN.min(run.positions - start);
            self.draw(band, Run { x: run.x + start, positions, ..run });
        }
    }

    /// Computes a run of the picture, at most [`picture::RUN`] positions, and puts its pixels in place.
    fn draw(&self, band: &mut Band<'_>, run: Run) {
        let block = self.shape.depth_to_space;
        let stride = self.packed.groups.iter().map(|packed| packed.group.vectors()).sum::<usize>() * LANES;
        let row = picture::RUN * stride;
        let mut drawn = [0; 2 * picture::RUN * picture::MAX_BYTES];
        let mut added = [0; 2 * picture::RUN * picture::MAX_BYTES];
        let place = |row: usize| Place {
            block,
            channels: self.output_layout.channels,
            x: run.x,
            y: run.y + row,
            positions: run.positions,
        };
        if let Some(shortcut) = self.shortcut {
            for r in 0..run.rows {
                picture::gather(&mut added[r * row..][..row], stride, shortcut, place(r));
            }
        }
        for packed in &self.packed.groups {
            let at = std::array::from_fn(|v| (packed.first + v) * LANES);
            let places = Places { at, step: stride, row };
            let shortcut =
                self.shortcut.map(|_| Shortcut { data: &added, flip: 0, places, scale: self.packed.shortcut });
            self.run_kernel(packed, run, Output { data: &mut drawn, places }, shortcut, None);
        }
        let pitch = self.output_layout.pitch();
        for r in 0..run.rows {
            let rows = &mut band.output[(run.row + r) * block * pitch..][..block * pitch];
            picture::scatter(&drawn[r * row..][..run.positions * stride], stride, rows, pitch, place(r));
        }
    }

    /// Where a group's vectors lie for the run's positions, in rows the first of which begins at `row` (its left border
    /// included).
    fn places(&self, packed: &PackedGroup, run: Run, row: usize) -> Places {
        let (layout, block) = (&self.output_layout, self.shape.depth_to_space);
        let per_place = layout.channels / LANES;
        let at = std::array::from_fn(|v| {
            let vector = packed.first + v;
            let (place, part) = (vector / per_place, vector % per_place);
            let (dx, dy) = (place % block, place / block);
            row + dy * layout.pitch() + (layout.border + run.x * block + dx) * layout.channels + part * LANES
        });
        Places { at, step: block * layout.channels, row: block * layout.pitch() }
    }

    fn run_kernel(
        &self,
        packed: &PackedGroup,
        run: Run,
        output: Output<'_>,
        shortcut: Option<Shortcut<'_>>,
        keep: Option<Keep<'_>>,
    ) {
        let (layout, reading) = (&self.input.layout, &self.reading);
        let step = reading.step * layout.channels;
        let mut span = Span {
            input: &self.input.data,
            input_at: layout.before(run.y * reading.step, reading.before, reading.before) + run.x * step,
            input_row: reading.step * layout.pitch(),
            window: Window {
                rows: reading.side,
                quads: (reading.side * layout.channels).div_ceil(4),
                pitch: layout.pitch(),
                step,
            },
            rows: run.rows,
            positions: run.positions,
            output: output.data,
            places: output.places,
            flip: self.output_flip,
            highest: self.packed.highest,
            shortcut,
            keep,
        };
        kernels::run(self.isa, &packed.group, &mut span);
    }
}

/// Where a kernel's results go.
struct Output<'a> {
    data: &'a mut [u8],
    places: Places,
}

/// The first run of set flags from `from` on: its first one, and behind its last.
fn next_run(flags: &[u8], from: usize) -> Option<(usize, usize)> {
    let start = from + flags[from..].iter().position(|flag| *flag != 0)?;
    let length = flags[start..].iter().position(|flag| *flag == 0).unwrap_or(flags.len() - start);
    Some((start, start + length))
}
