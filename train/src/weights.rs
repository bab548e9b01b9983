//! A trained network on disk: float weights with the scales of its activations, as `.safetensors`.
//!
//! This is what training writes, what `export` reads, and what `distill --base` starts from.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use nijigen::engine::contract::{FloatNetwork, stored_limit};
use nijigen::engine::topology::Topology;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::data::sha256;
use crate::distill::config::StudentName;
use crate::net::widening::widen;

/// In the metadata: which stored activations take eight bits.
const EIGHT_BITS: &str = "eight_bits";
/// Tells that what the network gives is added to the photo.
const RESIDUAL: &str = "residual";
/// All of them.
const ALL: &str = "all";
/// Those at half the picture's size.
const AT_HALF: &str = "half";

/// A network with the name of its size and the step at which training left it.
#[derive(Debug, Clone)]
pub struct Weights {
    /// Which topology.
    pub size: StudentName,
    /// Training steps taken.
    pub step: u64,
    /// SHA-256 of the weights with which the first training on the way to these began; `None` where it began with random
    /// ones.
    pub base: Option<String>,
    /// Weights and scales.
    pub network: FloatNetwork,
}

impl Weights {
    /// What styles that are trained from these weights, which lie in a file of this content, have for their base.
    pub fn as_base(&self, file: &[u8]) -> String {
        self.base.clone().unwrap_or_else(|| sha256(file))
    }

    /// The same network as a student of `size` and `topology`, which may know more: the person mask, eight bits, more
    /// channels ([`widen`], new weights by `seed`). Wider weights are a beginning of their own: styles that are trained from
    /// them have their file for their base.
    ///
    /// # Errors
    /// When `topology` knows less.
    pub fn fitted_to(mut self, size: StudentName, topology: &Topology, seed: u64) -> Result<Self> {
        if topology.has_person_mask() {
            self = self.with_person_mask();
        }
        if topology.is_residual() {
            self = self.as_residual();
        }
        if topology.has_eight_bits() {
            self = self.with_eight_bits();
        }
        if self.size < size {
            self.network = widen(&self.network, topology, seed).map_err(anyhow::Error::msg)?;
            (self.size, self.base) = (size, None);
        }
        ensure!(
            self.size == size,
            "it is of size {}, the configuration says {size}: make 'size' the same or larger",
            self.size
        );
        ensure!(
            self.network.topology == *topology,
            if self.network.topology.is_residual() {
                "it gives what is to be added to the photo: set 'residual = true'"
            } else {
                "it knows where persons are, and the configuration does not ask for it: set 'person_mask = true'"
            }
        );
        Ok(self)
    }

    /// The same network with [eight bits](Topology::with_eight_bits) for all that it stores, and the same ranges.
    #[must_use]
    pub fn with_eight_bits(mut self) -> Self {
        let topology = self.network.topology.clone().with_eight_bits();
        if topology != self.network.topology {
            let scales = self.network.activation_scales().into_iter().enumerate().map(|(i, scale)| {
                let limits = [&self.network.topology, &topology].map(|topology| stored_limit(topology, i) as f32);
                scale * (limits[0] / limits[1])
            });
            let scales: Vec<_> = scales.collect();
            self.network = FloatNetwork::in_full_range(topology, values(&self.network), &scales);
        }
        self
    }

    /// The same network, but that it [gives what is to be added](Topology::as_residual) to the photo: nothing, until that
    /// is trained. What its last layer has learned is lost, and the weights are a beginning of their own; unchanged where
    /// it is so already.
    #[must_use]
    pub fn as_residual(mut self) -> Self {
        if self.network.topology.is_residual() {
            return self;
        }
        let topology = self.network.topology.clone().as_residual();
        let scales = self.network.activation_scales();
        let mut values = values(&self.network);
        if let (Some(shape), Some(last)) = (topology.layers.last(), values.last_mut()) {
            *last = (vec![0.0; shape.weights()], vec![0.0; shape.out_channels]);
        }
        self.base = None;
        self.network = FloatNetwork::in_full_range(topology, values, &scales);
        self
    }

    /// The same network with the person mask as a fourth output channel, which is undecided everywhere (one half) until
    /// it is trained; unchanged where it has one.
    #[must_use]
    pub fn with_person_mask(mut self) -> Self {
        if self.network.topology.has_person_mask() {
            return self;
        }
        self.network.topology = self.network.topology.with_person_mask();
        if let (Some(shape), Some(layer)) = (self.network.topology.layers.last(), self.network.layers.last_mut()) {
            let per_channel = shape.in_channels * 9;
            // A block's pixels lie side by side, each with all of its channels.
            let widened = |values: &[f32], each: usize, filler: f32| -> Vec<f32> {
                values
                    .chunks_exact(3 * each)
                    .flat_map(|pixel| pixel.iter().copied().chain(std::iter::repeat_n(filler, each)))
                    .collect()
            };
            layer.weight = widened(&layer.weight, per_channel, 0.0);
            layer.bias = widened(&layer.bias, 1, 0.5);
            layer.weight_scale = widened(&layer.weight_scale, 1, 1e-3);
        }
        self
    }
}

/// Weights and biases of each layer.
fn values(network: &FloatNetwork) -> Vec<(Vec<f32>, Vec<f32>)> {
    network.layers.iter().map(|layer| (layer.weight.clone(), layer.bias.clone())).collect()
}

/// Writes `weights` beside `path`, then renames.
///
/// # Errors
/// When the file cannot be written.
pub fn save(path: &Path, weights: &Weights) -> Result<()> {
    let mut arrays: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    for (i, (shape, layer)) in weights.network.topology.layers.iter().zip(&weights.network.layers).enumerate() {
        let dims = vec![shape.out_channels, shape.in_channels, 3, 3];
        arrays.push((format!("layer{i:02}.weight"), dims, bytes(&layer.weight)));
        arrays.push((format!("layer{i:02}.bias"), vec![shape.out_channels], bytes(&layer.bias)));
    }
    let scales: Vec<f32> = weights.network.layers.iter().map(|l| l.activation_scale).collect();
    arrays.push(("activation_scales".into(), vec![scales.len()], bytes(&scales)));
    let mut metadata =
        HashMap::from([("size".to_owned(), weights.size.to_string()), ("step".to_owned(), weights.step.to_string())]);
    metadata.extend(weights.base.clone().map(|base| ("base".to_owned(), base)));
    let topology = &weights.network.topology;
    if topology.has_eight_bits() {
        let which = if *topology == topology.clone().with_eight_bits() { ALL } else { AT_HALF };
        metadata.insert(EIGHT_BITS.to_owned(), which.to_owned());
    }
    if topology.is_residual() {
        metadata.insert(RESIDUAL.to_owned(), true.to_string());
    }
    write(path, &arrays, Dtype::F32, metadata)
}

/// Writes arrays and metadata as safetensors, beside `path` first; the same bytes for the same content.
///
/// # Errors
/// When the file cannot be written.
pub fn write(
    path: &Path,
    arrays: &[(String, Vec<usize>, Vec<u8>)],
    dtype: Dtype,
    metadata: HashMap<String, String>,
) -> Result<()> {
    let views = arrays
        .iter()
        .map(|(name, shape, data)| Ok((name.clone(), TensorView::new(dtype, shape.clone(), data)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut bytes = safetensors::serialize(views, Some(metadata))?;
    sort_header(&mut bytes)?;
    crate::data::write_whole(path, &bytes)
}

/// Puts the header's entries in the order of their names: `safetensors` writes metadata in a random one, and a card
/// tells a file by its checksum.
fn sort_header(bytes: &mut [u8]) -> Result<()> {
    const METADATA: &str = "__metadata__";
    let (length, rest) = bytes.split_first_chunk_mut::<8>().context("a file without a header")?;
    let length = usize::try_from(u64::from_le_bytes(*length))?;
    let header = rest.get_mut(..length).context("a file with half a header")?;
    let mut entries: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header)?;
    if let Some(metadata) = entries.remove(METADATA) {
        let sorted: BTreeMap<String, String> = serde_json::from_value(metadata)?;
        entries.insert(METADATA.to_owned(), serde_json::to_value(sorted)?);
    }
    let mut sorted = serde_json::to_vec(&entries)?;
    // Spaces fill a header up; the arrays behind it stay where they are.
    ensure!(sorted.len() <= length, "the header has grown");
    sorted.resize(length, b' ');
    header.copy_from_slice(&sorted);
    Ok(())
}

/// Reads what [`save`] wrote.
///
/// # Errors
/// When the file is missing, is not such a file, or lacks an array.
pub fn load(path: &Path) -> Result<Weights> {
    let bytes = fs::read(path).with_context(|| format!("cannot read the weights {}", path.display()))?;
    parse(&bytes).with_context(|| format!("{} does not hold the weights of a student", path.display()))
}

fn parse(bytes: &[u8]) -> Result<Weights> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let metadata = header.metadata().clone().context("it has no metadata")?;
    let size: StudentName = metadata.get("size").context("it does not say its size")?.parse()?;
    let step = metadata.get("step").and_then(|s| s.parse().ok()).context("it does not say its step")?;
    let tensors = SafeTensors::deserialize(bytes)?;
    let values = |name: &str, count: usize| -> Result<Vec<f32>> {
        let view = tensors.tensor(name)?;
        let values: Vec<f32> =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if view.dtype() != Dtype::F32 || values.len() != count || values.iter().any(|v| !v.is_finite()) {
            bail!("'{name}' is not {count} finite 32-bit floats");
        }
        Ok(values)
    };
    let mut topology = Topology::two_scale(size.into());
    match metadata.get(EIGHT_BITS).map(String::as_str) {
        None => {}
        Some(ALL) => topology = topology.with_eight_bits(),
        Some(AT_HALF) => topology = topology.with_eight_bits_at_half(),
        Some(other) => bail!("it stores eight bits '{other}', which this version does not know"),
    }
    match metadata.get(RESIDUAL).map(String::as_str) {
        None => {}
        Some("true") => topology = topology.as_residual(),
        Some(other) => bail!("it is residual '{other}', which this version does not know"),
    }
    let last = format!("layer{:02}.bias", topology.layers.len() - 1);
    let masked = topology.clone().with_person_mask();
    if !topology.is_residual()
        && tensors.tensor(&last)?.shape() == [masked.layers[masked.layers.len() - 1].out_channels]
    {
        topology = masked;
    }
    let scales = values("activation_scales", topology.layers.len())?;
    let layers = topology.layers.iter().enumerate().map(|(i, shape)| {
        let weight = values(&format!("layer{i:02}.weight"), shape.weights())?;
        Ok((weight, values(&format!("layer{i:02}.bias"), shape.out_channels)?))
    });
    let layers = layers.collect::<Result<_>>()?;
    let base = metadata.get("base").cloned();
    Ok(Weights { size, step, base, network: FloatNetwork::in_full_range(topology, layers, &scales) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use nijigen::engine::reference::Reference;
    use nijigen::frame::Size;

    use super::*;

    fn weights() -> Weights {
        let network = FloatNetwork::random(Topology::two_scale(StudentName::S.into()), 4);
        Weights { size: StudentName::S, step: 1234, base: Some("b".into()), network }
    }

    const SIZE: Size = Size::new(32, 24);

    fn photo() -> Vec<u8> {
        (0..SIZE.rgb_len()).map(|i| (i * 7 % 251) as u8).collect()
    }

    /// What `weights` make of the photo.
    fn draw(weights: &Weights) -> Vec<u8> {
        Reference::new(&weights.network.quantize().unwrap()).run(&photo(), SIZE)
    }

    /// What is read of `weights` that were saved.
    fn saved_and_read(weights: &Weights) -> Weights {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        save(&path, weights).unwrap();
        load(&path).unwrap()
    }

    #[test]
    fn a_person_mask_is_added_beside_the_same_picture() {
        let plain = weights();
        let masked = saved_and_read(&plain.clone().with_person_mask());
        assert!(masked.network.topology.has_person_mask());
        let (three, four) = (draw(&plain), draw(&masked));
        let colours: Vec<u8> = four.chunks_exact(4).flat_map(|pixel| pixel[..3].to_vec()).collect();
        assert_eq!(three, colours);
        assert!(four.chunks_exact(4).all(|pixel| (127..=128).contains(&pixel[3])), "undecided");
        assert_eq!(masked.clone().with_person_mask().network, masked.network);
    }

    #[test]
    fn what_is_to_be_added_to_the_photo_is_nothing_until_it_is_trained() {
        let topology = Topology::two_scale(StudentName::S.into()).as_residual();
        let residual = weights().fitted_to(StudentName::S, &topology, 1).unwrap();
        assert_eq!(residual.base, None, "a last layer without weights is a beginning of its own");
        let read = saved_and_read(&residual);
        assert_eq!(read.network, residual.network);
        assert!(draw(&read) == photo(), "the photo stays as it is");
        assert_eq!(read.clone().as_residual().network, read.network);
        let plain = Topology::two_scale(StudentName::S.into());
        let refused = read.fitted_to(StudentName::S, &plain, 1).unwrap_err().to_string();
        assert!(refused.contains("residual = true"), "{refused}");
    }

    #[test]
    fn a_larger_student_begins_with_the_picture_of_a_smaller_one_and_is_a_base_of_its_own() {
        let topology = |size: StudentName| Topology::two_scale(size.into()).with_person_mask().with_eight_bits();
        let small = weights().fitted_to(StudentName::S, &topology(StudentName::S), 1).unwrap();
        assert_eq!(small.as_base(b"file"), "b", "its first training went on");
        let large = small.clone().fitted_to(StudentName::M, &topology(StudentName::M), 1).unwrap();
        assert_eq!((large.size, &large.network.topology), (StudentName::M, &topology(StudentName::M)));
        assert_eq!(draw(&large), draw(&small));
        assert_eq!(large.as_base(b"file"), sha256(b"file"));
        let message = large.fitted_to(StudentName::S, &topology(StudentName::S), 1).unwrap_err().to_string();
        assert!(message.contains("size m") && message.contains("says s"), "{message}");
    }

    #[test]
    fn what_was_saved_quantizes_alike_when_loaded() {
        let before = weights();
        let after = saved_and_read(&before);
        assert_eq!((after.size, after.step, &after.base), (before.size, before.step, &before.base));
        for (a, b) in after.network.layers.iter().zip(&before.network.layers) {
            assert_eq!((&a.weight, &a.bias, a.activation_scale), (&b.weight, &b.bias, b.activation_scale));
        }
        assert!(after.network.quantize().is_ok());
    }

    #[test]
    fn in_eight_bits_ranges_stay_and_steps_are_finer() {
        let seven = weights();
        let eight = saved_and_read(&seven.clone().with_eight_bits());
        assert!(eight.network.topology.has_eight_bits());
        assert!(!saved_and_read(&seven).network.topology.has_eight_bits());
        let ranges = |weights: &Weights| -> Vec<f32> {
            let topology = &weights.network.topology;
            let scales = weights.network.activation_scales().into_iter().enumerate();
            scales.map(|(i, scale)| scale * stored_limit(topology, i) as f32).collect()
        };
        assert!(ranges(&eight).iter().zip(ranges(&seven)).all(|(a, b)| (a / b - 1.0).abs() < 1e-5));
        let scales = |weights: &Weights| weights.network.activation_scales();
        let finer =
            |eight: &Weights, than: &Weights| scales(eight).iter().zip(scales(than)).filter(|(a, b)| *a < b).count();
        assert_eq!(finer(&eight, &seven), 14, "all but the picture");
        assert_eq!(eight.clone().with_eight_bits().network, eight.network);
        eight.network.quantize().unwrap().check().unwrap();
        let mut half = weights();
        half.network.topology = half.network.topology.with_eight_bits_at_half();
        let half = saved_and_read(&half);
        assert_eq!(half.network.topology, weights().network.topology.with_eight_bits_at_half());
        let whole = half.clone().with_eight_bits();
        assert!(ranges(&whole).iter().zip(ranges(&half)).all(|(a, b)| (a / b - 1.0).abs() < 1e-5));
        assert_eq!(finer(&whole, &half), 11);
    }

    #[test]
    fn the_same_weights_give_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let bytes = |_| {
            save(&path, &weights()).unwrap();
            fs::read(&path).unwrap()
        };
        let first = bytes(0);
        assert!((1..12).map(bytes).all(|again| again == first));
    }

    #[test]
    fn what_was_shipped_can_be_read() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/anime.safetensors");
        assert_eq!(load(&shipped).unwrap().size, StudentName::M);
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        save(&path, &weights()).unwrap();
        let bytes = fs::read(&path).unwrap();
        for broken in [&bytes[..bytes.len() / 2], b"no weights at all".as_slice(), b""] {
            fs::write(&path, broken).unwrap();
            let message = format!("{:#}", load(&path).unwrap_err());
            assert!(message.contains("weights.safetensors"), "{message}");
        }
    }
}
