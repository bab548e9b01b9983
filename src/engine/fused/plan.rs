//! The plan of a generator for one size: its buffers, and the run through its layers.

use std::ops::Range;

use rayon::prelude::*;

use super::changed::{BlockMask, Changed};
use super::intake;
use super::layer::{Band, Extent, LayerRun, Work};
use super::layout::{Layout, Reading, padded_channels};
use super::network::Network;
use super::tensor::Tensor;
use crate::engine::kernels::{Isa, TILE};
use crate::engine::person::Person;
use crate::engine::region::{Region, mix};
use crate::frame::Size;

/// Bands for each thread where everything is computed: neighbouring rows stay in the same core's cache.
const BANDS_PER_THREAD: usize = 2;
/// Likewise where only what changed is: the work lies here and there, and who has little takes over from others.
const PARTIAL_BANDS_PER_THREAD: usize = 8;

/// How a frame that was taken in is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Everything.
    Whole,
    /// What follows from what was taken in, with a dead zone.
    Following(u8),
    /// The blocks that were taken in, and nothing else.
    Only,
}

/// A layer's place in a plan.
pub(super) struct PlannedLayer {
    /// Rows of its convolution.
    pub(super) rows: usize,
    /// Positions in a row of its convolution.
    pub(super) columns: usize,
    /// Per row: for each tile whether it is computed, then for each tile which of its positions changed.
    marks: Vec<u8>,
    /// Multiply-accumulates of a tile.
    tile_macs: u64,
}

/// What the layers' values allow for the next frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nothing went through yet.
    Whole,
    /// Some do not follow from the pixels taken in.
    Only,
    Any,
}

/// Everything that a frame of one size needs.
pub(super) struct Plan {
    pub(super) size: Size,
    /// The image, then what each layer stores; the last one is the picture.
    pub(super) tensors: Vec<Tensor>,
    layers: Vec<PlannedLayer>,
    threads: usize,
    isa: Isa,
    /// The blocks of [`Pass::Only`].
    only: BlockMask,
    /// The passes that need not compute everything.
    next: Next,
    /// The largest dead zone since everything was computed: what is kept may be off by so much.
    dead_zone: u8,
    /// Where the person is, found anew for each picture of which a region is drawn.
    person: Person,
}

impl Plan {
    pub(super) fn new(network: &Network, size: Size, isa: Isa, threads: usize) -> Self {
        let padded = size.round_up(network.topology.multiple());
        let border = network.topology.layers.iter().map(|layer| Reading::of(layer).before).max().unwrap_or(1);
        let last = network.shapes.len() - 1;
        let tensors = network.shapes.iter().enumerate().map(|(i, shape)| {
            let scale = shape.scale() as usize;
            let (width, height) = (padded.width as usize / scale, padded.height as usize / scale);
            // The picture stands alone: nothing reads it, and its rows are copied out as they are.
            let (channels, border) = match i {
                0 => (shape.channels, border),
                _ if i == last => (shape.channels, 0),
                _ => (padded_channels(shape.channels), border),
            };
            let flipped = i != last && network.topology.has_eight_bits_in(i);
            Tensor::new(Layout { width, height, channels, border }, if flipped { isa.eight_bit_flip() } else { 0 })
        });
        let tensors: Vec<_> = tensors.collect();
        let layers = network.topology.layers.iter().zip(&tensors[1..]).map(|(layer, output)| {
            let block = layer.depth_to_space;
            let (rows, columns) = (output.layout.height / block, output.layout.width / block);
            PlannedLayer {
                rows,
                columns,
                marks: vec![0; rows * 2 * columns.div_ceil(TILE)],
                tile_macs: (TILE * layer.weights()) as u64,
            }
        });
        Self {
            size,
            layers: layers.collect(),
            tensors,
            threads,
            isa,
            only: BlockMask::new(size),
            next: Next::Whole,
            dead_zone: 0,
            person: Person::default(),
        }
    }

    /// Takes in what changed in `frame`. Returns how it is to be computed.
    pub(super) fn take(&mut self, frame: &[u8], changed: Changed<'_>, dead_zone: u8) -> Pass {
        let changed = if self.next == Next::Whole { Changed::Whole } else { changed };
        intake::take(&mut self.tensors[0], frame, self.size, changed);
        if let Changed::Only(mask) = changed {
            self.only.copy_from(mask);
            self.next = Next::Only;
            return Pass::Only;
        }
        // What was kept under a larger dead zone may be further off than this one allows.
        let whole = matches!(changed, Changed::Whole) || dead_zone < self.dead_zone || self.next == Next::Only;
        self.next = Next::Any;
        self.dead_zone = if whole { 0 } else { dead_zone };
        if whole { Pass::Whole } else { Pass::Following(dead_zone) }
    }

    /// Computes what `pass` says; to be called within the pool. Returns the multiply-accumulates done, tiles counted whole.
    pub(super) fn compute(&mut self, network: &Network, pass: Pass) -> u64 {
        if pass == Pass::Only && !self.only.any() {
            return 0;
        }
        (0..self.layers.len()).map(|i| self.run_layer(network, i, pass)).sum()
    }

    fn rows_per_band(&self, rows: usize, whole: bool) -> usize {
        let bands = if whole { BANDS_PER_THREAD } else { PARTIAL_BANDS_PER_THREAD };
        // Even, so that rows can be computed two by two.
        rows.div_ceil(self.threads * bands).next_multiple_of(2)
    }

    pub(super) fn run_layer(&mut self, network: &Network, i: usize, pass: Pass) -> u64 {
        let shape = &network.topology.layers[i];
        let padded_width = self.tensors[0].layout.width;
        let rows_per_band = self.rows_per_band(self.layers[i].rows, pass == Pass::Whole);
        let (inputs, outputs) = self.tensors.split_at_mut(i + 1);
        let (input, output, planned) = (&inputs[shape.input], &mut outputs[0], &mut self.layers[i]);
        let shortcut = shape.add.map(|add| &inputs[add]);
        output.clear();
        if matches!(pass, Pass::Following(_)) && !input.any && !shortcut.is_some_and(|shortcut| shortcut.any) {
            return 0;
        }
        let run = LayerRun {
            isa: self.isa,
            shape,
            packed: &network.packed[i],
            reading: Reading::of(shape),
            input,
            shortcut,
            columns: planned.columns,
            output_layout: output.layout,
            output_flip: output.flip,
            bit_layout: output.bit_layout,
            is_picture: i + 1 == network.packed.len(),
            extent: match pass {
                Pass::Whole => Extent::Whole,
                // The picture is exact: nothing is computed from it that a small change could spare.
                Pass::Following(_) if i + 1 == network.packed.len() => Extent::Following(0),
                // In eight bits steps are half as large.
                Pass::Following(dead_zone) => {
                    Extent::Following(if shape.eight_bits { dead_zone.saturating_mul(2) } else { dead_zone })
                }
                Pass::Only => Extent::Within(&self.only, padded_width / planned.columns),
            },
        };
        let block = shape.depth_to_space;
        let pitch = output.layout.pitch() * rows_per_band * block;
        let bit_pitch = output.bit_layout.pitch() * rows_per_band * block;
        let mark_pitch = 2 * planned.columns.div_ceil(TILE) * rows_per_band;
        let (data, bits) = output.rows_mut();
        let work = data
            .par_chunks_mut(pitch)
            .zip(bits.par_chunks_mut(bit_pitch))
            .zip(planned.marks.par_chunks_mut(mark_pitch))
            .enumerate()
            .map(|(band, ((output, bits), marks))| run.band(Band { first: band * rows_per_band, output, bits, marks }))
            .reduce(Work::default, Work::and);
        output.any = work.changed;
        work.tiles * planned.tile_macs
    }

    /// How certainly each pixel of the picture is of the person, of 255; `None` where the network does not know persons.
    pub(super) fn person_mask(&mut self) -> Option<Vec<u8>> {
        let picture = self.tensors.last().filter(|picture| picture.layout.channels == 4)?;
        let pitch = picture.layout.pitch();
        Some(self.person.mask(self.size, certainty(&picture.data, pitch)))
    }

    /// Copies the picture's pixels (RGB) to `out`, those that `pass` computed; outside of `region` those of `photo`. A
    /// picture without a mask has no region but all.
    pub(super) fn copy_picture(&mut self, pass: Pass, photo: &[u8], region: Region, out: &mut [u8]) {
        // The person need not be looked for where nothing is drawn.
        if pass == Pass::Only && !self.only.any() {
            return;
        }
        let Some(picture) = self.tensors.last() else { return };
        let (width, channels, pitch) = (self.size.width as usize, picture.layout.channels, picture.layout.pitch());
        if region != Region::All {
            self.person.find(self.size, certainty(&picture.data, pitch));
        }
        let shown = Shown { photo, width, channels, region, person: &self.person };
        let rows = out.chunks_exact_mut(3 * width).zip(picture.data.chunks_exact(pitch)).enumerate();
        if pass == Pass::Only {
            for (y, (to, from)) in rows {
                self.only.runs(y..y + 1, width).for_each(|columns| shown.copy(y, columns, from, to));
            }
        } else if channels == 3 && picture.layout.width == width {
            out.copy_from_slice(&picture.data[..out.len()]);
        } else {
            rows.for_each(|(y, (to, from))| shown.copy(y, 0..width, from, to));
        }
    }
}

/// How certainly a pixel, of row `y` and column `x`, is of the person, of 255: the fourth channel of a picture whose rows
/// begin every `pitch` bytes.
fn certainty(picture: &[u8], pitch: usize) -> impl Fn(usize, usize) -> u8 {
    move |y, x| picture[y * pitch + x * 4 + 3]
}

/// What is shown of a picture.
struct Shown<'a> {
    photo: &'a [u8],
    width: usize,
    /// Of the picture.
    channels: usize,
    region: Region,
    person: &'a Person,
}

impl Shown<'_> {
    /// Copies these columns of a row `from` the picture `to` its pixels (RGB); outside of the region those of the photo.
    fn copy(&self, y: usize, columns: Range<usize>, from: &[u8], to: &mut [u8]) {
        let to = &mut to[columns.start * 3..columns.end * 3];
        let from = &from[columns.start * self.channels..];
        if self.channels == 3 {
            to.copy_from_slice(&from[..to.len()]);
            return;
        }
        let pixels = to.as_chunks_mut::<3>().0.iter_mut().zip(from.as_chunks::<4>().0);
        if self.region == Region::All {
            pixels.for_each(|(to, [r, g, b, _])| *to = [*r, *g, *b]);
            return;
        }
        let photo = &self.photo[(y * self.width + columns.start) * 3..];
        for (x, ((to, [r, g, b, certain]), photo)) in columns.zip(pixels.zip(photo.as_chunks::<3>().0)) {
            *to = mix(*photo, [*r, *g, *b], self.region.share(self.person.at(y, x, *certain)));
        }
    }
}
