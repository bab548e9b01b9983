//! VGG-19 features up to relu3_1 (Simonyan and Zisserman 2014), normalised so that each channel's mean is one
//! (Gatys et al. 2016): what "looks alike" means to the loss and to the metrics.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::conv::{BlockShape, ConvBackend, block};

/// The convolutions by their number in the file, and whether a pooling stands before them.
const LAYERS: [(usize, bool); 5] = [(2, false), (5, false), (9, true), (12, false), (16, true)];

/// The fixed network. Its weights are read from an `.npz` file that is never part of a style.
#[derive(Debug)]
pub struct Vgg<B: Backend> {
    layers: Vec<Layer<B>>,
    half: bool,
}

/// One convolution with its ReLU.
#[derive(Debug)]
struct Layer<B: Backend> {
    /// `[oc, ic, 3, 3]`.
    weight: Tensor<B, 4>,
    /// `[oc]`.
    bias: Tensor<B, 1>,
    /// Whether a pooling stands before it.
    pool: bool,
}

/// Bytes of the largest array that is read; the real ones take at most 1.2 MB.
const LARGEST_ARRAY: u64 = 64 << 20;

impl<B: ConvBackend> Vgg<B> {
    /// Reads `0.weight` (1×1, colour normalisation), `2.weight` … `16.weight` and their biases. With `half` it computes
    /// in the back end's 16-bit format, where it has one: enough for a loss, not for a measure.
    ///
    /// # Errors
    /// When the file cannot be read, lacks one of them, or they do not fit one another.
    pub fn load(path: &Path, half: bool, device: &B::Device) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read the VGG weights {}", path.display()))?;
        let layers =
            read_layers(file, device).with_context(|| format!("{} cannot be used as VGG weights", path.display()))?;
        Ok(Self { layers, half })
    }

    /// Features at relu1_2, relu2_2 and relu3_1 of pictures `[b, 3, h, w]` in 0..1 (sides multiples of 4).
    ///
    /// Zero padding stands for the original's reflection: the two pictures compared are padded alike.
    pub fn features(&self, picture: Tensor<B, 4>) -> [Tensor<B, 4>; 3] {
        let half = B::half_precision().filter(|_| self.half);
        let mut x = match half {
            Some(half) => picture.cast(half),
            None => picture,
        };
        let mut all = Vec::with_capacity(self.layers.len());
        for Layer { weight, bias, pool } in &self.layers {
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

    /// Channels of relu3_1.
    pub fn channels(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.bias.dims()[0])
    }

    /// Mean absolute difference of the features of two pictures, averaged over the three layers: `[1]`.
    pub fn distance(&self, a: Tensor<B, 4>, b: Tensor<B, 4>) -> Tensor<B, 1> {
        let (a, b) = (self.features(a), self.features(b));
        let [first, second, third] = std::array::from_fn(|i| (a[i].clone() - b[i].clone()).abs().mean());
        (first + second + third) / 3.0
    }
}

/// The layers of an `.npz` file, the colour normalisation folded into the first.
fn read_layers<B: Backend>(file: File, device: &B::Device) -> Result<Vec<Layer<B>>> {
    let mut archive = zip::ZipArchive::new(file).context("it is not an .npz file")?;
    let mut read = |name: &str| -> Result<(Vec<usize>, Vec<f32>)> {
        let mut bytes = Vec::new();
        let mut entry = archive.by_name(&format!("{name}.npy")).with_context(|| format!("it has no array '{name}'"))?;
        let wrong = || format!("its array '{name}'");
        entry.by_ref().take(LARGEST_ARRAY).read_to_end(&mut bytes).with_context(wrong)?;
        parse_npy(&bytes).with_context(wrong)
    };
    let (_, mix) = read("0.weight")?;
    let (_, offset) = read("0.bias")?;
    ensure!(mix.len() == 9 && offset.len() == 3, "'0.weight' is not a 1×1 convolution of 3 channels");
    let mut layers = Vec::new();
    let mut channels = 3;
    for (number, pool) in LAYERS {
        let (shape, mut weight) = read(&format!("{number}.weight"))?;
        let (_, mut bias) = read(&format!("{number}.bias"))?;
        let &[oc, ic, 3, 3] = shape.as_slice() else { bail!("'{number}.weight' is not a 3×3 convolution") };
        ensure!(
            ic == channels && oc > 0,
            "'{number}.weight' reads {ic} channels and gives {oc}, but {channels} come to it"
        );
        ensure!(bias.len() == oc, "'{number}.bias' has {} values for {oc} channels", bias.len());
        if number == 2 {
            (weight, bias) = fold_pointwise(&weight, &bias, &mix, &offset);
        }
        let weight = Tensor::from_data(TensorData::new(weight, [oc, ic, 3, 3]), device);
        let bias = Tensor::from_data(TensorData::new(bias, [oc]), device);
        layers.push(Layer { weight, bias, pool });
        channels = oc;
    }
    Ok(layers)
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

/// Reads a little-endian f32 `.npy` in C order (format version 1): its shape and values, all finite.
fn parse_npy(bytes: &[u8]) -> Result<(Vec<usize>, Vec<f32>)> {
    let header_len = match bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, low, high, ..] => usize::from(u16::from_le_bytes([*low, *high])),
        _ => bail!("not an .npy array of version 1"),
    };
    let (header, body) = bytes[10..].split_at_checked(header_len).context("truncated")?;
    let header = std::str::from_utf8(header).context("its header is not text")?;
    ensure!(
        header.contains("'<f4'") && !header.contains("'fortran_order': True"),
        "not 32-bit floats in C order (numpy: .astype('<f4'))"
    );
    let shape = header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')')).context("no shape")?.0;
    let shape: Vec<usize> = shape
        .split(',')
        .map(str::trim)
        .filter(|side| !side.is_empty())
        .map(|side| side.parse().with_context(|| format!("its shape holds '{side}'")))
        .collect::<Result<_>>()?;
    let values: Vec<f32> = body.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let count = shape.iter().try_fold(1_usize, |count, &side| count.checked_mul(side));
    ensure!(
        count == Some(values.len()) && body.len().is_multiple_of(4),
        "{} bytes do not fill the shape {shape:?}",
        body.len()
    );
    ensure!(values.iter().all(|v| v.is_finite()), "not all of its values are finite");
    Ok((shape, values))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{Cursor, Write};

    use burn::backend::NdArray;
    use burn::tensor::Distribution;

    use super::*;

    type B = NdArray;
    type Array = (String, Vec<usize>, Vec<f32>);

    /// Arrays of a network with few channels, made up.
    fn arrays() -> Vec<Array> {
        let value = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 50.0;
        let mut arrays = vec![
            ("0.weight".to_owned(), vec![3, 3, 1, 1], (0..9).map(value).collect()),
            ("0.bias".to_owned(), vec![3], vec![0.1, -0.2, 0.3]),
        ];
        let mut ic = 3;
        for ((number, _), oc) in LAYERS.iter().zip([4, 4, 5, 5, 6]) {
            let weight = (0..oc * ic * 9).map(value).collect();
            arrays.push((format!("{number}.weight"), vec![oc, ic, 3, 3], weight));
            arrays.push((format!("{number}.bias"), vec![oc], (0..oc).map(|i| 0.1 * i as f32).collect()));
            ic = oc;
        }
        arrays
    }

    fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
        let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}\n", sides.trim_end());
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    }

    fn npz(arrays: &[Array]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, shape, values) in arrays {
            archive.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(&npy(shape, values)).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    /// A network that has learned nothing.
    pub(crate) fn made_up() -> Vgg<B> {
        load(&npz(&arrays())).unwrap()
    }

    fn load(bytes: &[u8]) -> Result<Vgg<B>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vgg.npz");
        std::fs::write(&path, bytes).unwrap();
        Vgg::load(&path, true, &Default::default())
    }

    #[test]
    fn features_shrink_by_the_poolings_and_a_picture_is_like_itself() {
        let vgg = made_up();
        let device = Default::default();
        let picture = || Tensor::<B, 4>::random([2, 3, 16, 8], Distribution::Uniform(0.0, 1.0), &device);
        let (a, b) = (picture(), picture());
        let shapes = vgg.features(a.clone()).map(|feature| feature.dims());
        assert_eq!(shapes, [[2, 4, 16, 8], [2, 5, 8, 4], [2, 6, 4, 2]]);
        let distance = |a: &Tensor<B, 4>, b: &Tensor<B, 4>| vgg.distance(a.clone(), b.clone()).into_scalar();
        assert_eq!(distance(&a, &a), 0.0);
        assert!(distance(&a, &b) > 0.0);
    }

    #[test]
    fn the_colour_normalisation_is_folded_exactly_inside_the_picture() {
        let all = arrays();
        let (mix, offset, weight, bias) = (&all[0].2, &all[1].2, &all[2].2, &all[3].2);
        let (folded, shifted) = fold_pointwise(weight, bias, mix, offset);
        // One pixel and its neighbours of three channels, in both ways.
        let patch: Vec<f32> = (0..27).map(|i| (i * 11 % 17) as f32 / 17.0).collect();
        let mixed: Vec<f32> = (0..27)
            .map(|i| offset[i / 9] + (0..3).map(|c| mix[i / 9 * 3 + c] * patch[c * 9 + i % 9]).sum::<f32>())
            .collect();
        let dot = |weight: &[f32], patch: &[f32]| weight.iter().zip(patch).map(|(w, p)| w * p).sum::<f32>();
        for o in 0..4 {
            let two_steps = bias[o] + dot(&weight[o * 27..][..27], &mixed);
            let one_step = shifted[o] + dot(&folded[o * 27..][..27], &patch);
            assert!((two_steps - one_step).abs() < 1e-4, "{two_steps} is not {one_step}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let changed = |name: &str, change: &dyn Fn(&mut Array)| {
            let mut arrays = arrays();
            change(arrays.iter_mut().find(|array| array.0 == name).unwrap());
            npz(&arrays)
        };
        let whole = npz(&arrays());
        for (bytes, words) in [
            (whole[..whole.len() / 2].to_vec(), "not an .npz file"),
            (Vec::new(), "not an .npz file"),
            (npz(&arrays()[..6]), "no array '9.weight'"),
            (changed("5.bias", &|a| *a = (a.0.clone(), vec![3], vec![0.0; 3])), "'5.bias' has 3 values"),
            (changed("9.weight", &|a| *a = (a.0.clone(), vec![5, 3, 3, 3], vec![0.0; 135])), "'9.weight' reads 3"),
            (changed("2.weight", &|a| a.1 = vec![4, 27]), "'2.weight' is not a 3×3"),
            (changed("2.weight", &|a| a.2.truncate(50)), "do not fill the shape"),
            (changed("0.bias", &|a| a.2[0] = f32::NAN), "finite"),
        ] {
            let error = format!("{:#}", load(&bytes).unwrap_err());
            assert!(error.contains(words) && error.contains("vgg.npz"), "{error}");
        }
    }
}
