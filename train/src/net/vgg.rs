//! VGG-19 features up to relu3_1 (Simonyan and Zisserman 2014), normalised so that each channel's mean is one
//! (Gatys et al. 2016): what "looks alike" means to the loss and to the metrics.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::conv::{BlockShape, ConvBackend, block};

/// The convolutions by their number in the file, and whether a pooling stands before them.
const LAYERS: [(usize, bool); 5] = [(2, false), (5, false), (9, true), (12, false), (16, true)];

/// The fixed network. Its weights are read from an `.npz` file that is never part of a style.
#[derive(Debug)]
pub struct Vgg<B: Backend> {
    layers: Vec<(Tensor<B, 4>, Tensor<B, 1>, bool)>,
}

impl<B: ConvBackend> Vgg<B> {
    /// Reads `0.weight` (1×1, colour normalisation), `2.weight` … `16.weight` and their biases.
    ///
    /// # Errors
    /// When the file cannot be read or lacks one of them.
    pub fn load(path: &Path, device: &B::Device) -> Result<Self> {
        let mut archive = zip::ZipArchive::new(
            File::open(path).with_context(|| format!("cannot read the VGG weights {}", path.display()))?,
        )
        .with_context(|| format!("{} is not an .npz file", path.display()))?;
        let mut read = |name: &str| -> Result<(Vec<usize>, Vec<f32>)> {
            let mut bytes = Vec::new();
            archive
                .by_name(&format!("{name}.npy"))
                .with_context(|| format!("{} has no array '{name}'", path.display()))?
                .read_to_end(&mut bytes)?;
            parse_npy(&bytes).with_context(|| format!("array '{name}' of {}", path.display()))
        };
        let (_, mix) = read("0.weight")?;
        let (_, offset) = read("0.bias")?;
        if mix.len() != 9 || offset.len() != 3 {
            bail!("{}: '0.weight' is not a 1×1 convolution of 3 channels", path.display());
        }
        let mut layers = Vec::new();
        for (number, pool) in LAYERS {
            let (shape, mut weight) = read(&format!("{number}.weight"))?;
            let (_, mut bias) = read(&format!("{number}.bias"))?;
            let &[oc, ic, 3, 3] = shape.as_slice() else {
                bail!("{}: '{number}.weight' is not a 3×3 convolution", path.display())
            };
            if number == 2 {
                (weight, bias) = fold_pointwise(&weight, &bias, &mix, &offset);
            }
            let weight = Tensor::from_data(TensorData::new(weight, [oc, ic, 3, 3]), device);
            let bias = Tensor::from_data(TensorData::new(bias, [oc]), device);
            layers.push((weight, bias, pool));
        }
        Ok(Self { layers })
    }

    /// Features at relu1_2, relu2_2 and relu3_1 of pictures `[b, 3, h, w]` in 0..1 (sides multiples of 4).
    ///
    /// Zero padding stands for the original's reflection: the two pictures compared are padded alike.
    pub fn features(&self, picture: Tensor<B, 4>) -> [Tensor<B, 4>; 3] {
        let half = B::half_precision();
        let mut x = match half {
            Some(half) => picture.cast(half),
            None => picture,
        };
        let mut all = Vec::with_capacity(self.layers.len());
        for (weight, bias, pool) in &self.layers {
            if *pool {
                x = burn::tensor::module::max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false);
            }
            let (weight, bias) = match half {
                Some(half) => (weight.clone().cast(half), bias.clone().cast(half)),
                None => (weight.clone(), bias.clone()),
            };
            x = block(x, weight, bias, None, BlockShape { stride: 1, relu: true });
            all.push(x.clone());
        }
        let mut picked = [1, 3, 4].map(|i: usize| all[i].clone());
        if half.is_some() {
            picked = picked.map(|feature| feature.cast(burn::tensor::FloatDType::F32));
        }
        picked
    }

    /// Mean absolute difference of the features of two pictures, averaged over the three layers: `[1]`.
    pub fn distance(&self, a: Tensor<B, 4>, b: Tensor<B, 4>) -> Tensor<B, 1> {
        let (a, b) = (self.features(a), self.features(b));
        let [first, second, third] = std::array::from_fn(|i| (a[i].clone() - b[i].clone()).abs().mean());
        (first + second + third) / 3.0
    }
}

/// A 1×1 convolution followed by a 3×3 one, as one 3×3 one.
fn fold_pointwise(weight: &[f32], bias: &[f32], mix: &[f32], offset: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let oc = bias.len();
    let mut folded = vec![0.0; weight.len()];
    let mut bias = bias.to_vec();
    for o in 0..oc {
        for middle in 0..3 {
            for tap in 0..9 {
                let w = weight[(o * 3 + middle) * 9 + tap];
                bias[o] += w * offset[middle];
                for i in 0..3 {
                    folded[(o * 3 + i) * 9 + tap] += w * mix[middle * 3 + i];
                }
            }
        }
    }
    (folded, bias)
}

/// Reads a little-endian f32 `.npy` in C order (format version 1): its shape and values.
fn parse_npy(bytes: &[u8]) -> Result<(Vec<usize>, Vec<f32>)> {
    let header_len = match bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])),
        _ => bail!("not an .npy array of version 1"),
    };
    let body = bytes.get(10 + header_len..).context("truncated")?;
    let header = std::str::from_utf8(&bytes[10..10 + header_len]).context("its header is not text")?;
    if !header.contains("'<f4'") || header.contains("'fortran_order': True") {
        bail!("not 32-bit floats in C order");
    }
    let shape: Vec<usize> = header
        .split_once("'shape': (")
        .and_then(|(_, rest)| rest.split_once(')'))
        .context("no shape")?
        .0
        .split(',')
        .filter_map(|side| side.trim().parse().ok())
        .collect();
    let values: Vec<f32> = body.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    if values.len() != shape.iter().product::<usize>() {
        bail!("{} values do not fill the shape {shape:?}", values.len());
    }
    Ok((shape, values))
}
