//! The quantized network in plain safe Rust: the exact meaning of a style file, and what faster engines are held to.
//!
//! Speed is not its aim; activations are kept as i16 with channels innermost and a border of zeros so that the compiler
//! turns the inner product into vector code.

use crate::engine::contract::{Epilogue, QuantizedNetwork};
use crate::engine::topology::LayerShape;
use crate::frame::Size;
use crate::pixels::pad::pad_edges;

/// A [`QuantizedNetwork`] ready to run.
pub struct Reference {
    layers: Vec<Layer>,
    multiple: u32,
    channels: usize,
}

/// One layer with its numbers in the form in which they are used.
struct Layer {
    shape: LayerShape,
    /// `[out][ky][kx][in]`
    weight: Vec<i16>,
    epilogue: Epilogue,
}

impl Reference {
    /// Prepares `net`, whose topology must fit together (that of every [`QuantizedNetwork`] made by
    /// [`FloatNetwork::quantize`](crate::engine::contract::FloatNetwork::quantize) does).
    pub fn new(net: &QuantizedNetwork) -> Self {
        let last = net.layers.len() - 1;
        let layers = net.layers.iter().enumerate().map(|(i, layer)| {
            let shape = net.topology.layers[i];
            let weight = taps_outermost(&layer.weight, shape.in_channels);
            Layer { shape, weight, epilogue: net.epilogue(i) }
        });
        Self {
            layers: layers.collect(),
            multiple: net.topology.multiple(),
            channels: net.topology.layers[last].stored_channels(),
        }
    }

    /// Runs the network on `pixels` (RGB, `size.rgb_len()` bytes). Returns `size.area()` pixels of 3 channels, or of 4
    /// where the network has a fourth.
    pub fn run(&self, pixels: &[u8], size: Size) -> Vec<u8> {
        let padded_size = size.round_up(self.multiple);
        let padded = pad_edges(pixels, size, padded_size);
        let mut tensors = vec![Tensor::from_bytes(&padded, padded_size)];
        for layer in &self.layers {
            let next = layer.run(&tensors);
            tensors.push(next);
        }
        let image = &tensors[self.layers.len()];
        let row = size.width as usize * self.channels;
        (0..size.height as usize).flat_map(|y| image.row(y)[..row].iter().map(|v| *v as u8)).collect()
    }
}

/// `[out][in][ky][kx]` → `[out][ky][kx][in]`.
fn taps_outermost(weight: &[i8], in_channels: usize) -> Vec<i16> {
    weight
        .chunks_exact(in_channels * 9)
        .flat_map(|channel| {
            (0..9).flat_map(move |tap| (0..in_channels).map(move |ic| i16::from(channel[ic * 9 + tap])))
        })
        .collect()
}

/// Integers, `[row][column][channel]`, with a border of one zero position on every side.
struct Tensor {
    data: Vec<i16>,
    width: usize,
    height: usize,
    channels: usize,
}

impl Tensor {
    fn zeros(width: usize, height: usize, channels: usize) -> Self {
        Self { data: vec![0; (width + 2) * (height + 2) * channels], width, height, channels }
    }

    fn from_bytes(pixels: &[u8], size: Size) -> Self {
        let mut tensor = Self::zeros(size.width as usize, size.height as usize, 3);
        for (y, row) in pixels.chunks_exact(tensor.width * 3).enumerate() {
            for (to, from) in tensor.row_mut(y).iter_mut().zip(row) {
                *to = i16::from(*from);
            }
        }
        tensor
    }

    /// Where the position at column `x`, row `y` begins, both counted with the border (1 is the first inside).
    fn at(&self, x: usize, y: usize) -> usize {
        (y * (self.width + 2) + x) * self.channels
    }

    fn row(&self, y: usize) -> &[i16] {
        let start = self.at(1, y + 1);
        &self.data[start..start + self.width * self.channels]
    }

    fn row_mut(&mut self, y: usize) -> &mut [i16] {
        let start = self.at(1, y + 1);
        let len = self.width * self.channels;
        &mut self.data[start..start + len]
    }

    fn space_to_depth(&self, block: usize) -> Self {
        let mut out = Self::zeros(self.width / block, self.height / block, self.channels * block * block);
        let c = self.channels;
        for y in 0..self.height {
            for x in 0..self.width {
                let from = self.at(x + 1, y + 1);
                let to = out.at(x / block + 1, y / block + 1) + (y % block * block + x % block) * c;
                out.data[to..to + c].copy_from_slice(&self.data[from..from + c]);
            }
        }
        out
    }
}

impl Layer {
    fn run(&self, tensors: &[Tensor]) -> Tensor {
        let shuffled;
        let mut input = &tensors[self.shape.input];
        if self.shape.space_to_depth > 1 {
            shuffled = input.space_to_depth(self.shape.space_to_depth);
            input = &shuffled;
        }
        let (width, height) = (input.width / self.shape.stride, input.height / self.shape.stride);
        let block = self.shape.depth_to_space;
        let channels = self.shape.stored_channels();
        let mut out = Tensor::zeros(width * block, height * block, channels);
        let shortcut = self.shape.add.map(|index| &tensors[index]);
        let run = 3 * input.channels;
        for y in 0..height {
            for x in 0..width {
                // The window's three rows; the border makes (x, y) its upper left corner at stride 1.
                let (left, top) = (x * self.shape.stride, y * self.shape.stride);
                let rows = [0, 1, 2].map(|ky| &input.data[input.at(left, top + ky)..][..run]);
                for (oc, weight) in self.weight.chunks_exact(3 * run).enumerate() {
                    let acc: i32 = rows.iter().zip(weight.chunks_exact(run)).map(|(a, w)| dot(a, w)).sum();
                    let (place, c) = (oc / channels, oc % channels);
                    let to = out.at(x * block + place % block + 1, y * block + place / block + 1) + c;
                    let kept = shortcut.map(|s| s.data[to]);
                    out.data[to] = self.finish(acc, oc, kept);
                }
            }
        }
        out
    }

    /// The contract's epilogue. Rust never contracts a multiplication and an addition into one.
    fn finish(&self, acc: i32, oc: usize, shortcut: Option<i16>) -> i16 {
        let epilogue = &self.epilogue;
        let mut value = acc as f32 * epilogue.multiplier[oc];
        value += epilogue.bias[oc];
        if let Some(kept) = shortcut {
            value += f32::from(kept) * epilogue.shortcut;
        }
        value.max(0.0).round_ties_even().min(epilogue.highest) as i16
    }
}

fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}
