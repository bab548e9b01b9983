//! How well a student knows the person in a picture.

use anyhow::Result;
use image::GrayImage;
use nijigen::engine::contract::FloatNetwork;

use crate::data::training_set::LoadedPair;
use crate::distill::evaluate::{bytes_tensor, mask_of};
use crate::net::conv::ConvBackend;
use crate::net::student::{Activations, Arithmetic, Student};

/// From this certainty on, of 255, a pixel is of the person.
const CERTAIN: u8 = 128;

/// The person's mask that the student draws beside its picture, computed with fake-quant, which gives the engine's bytes;
/// `None` where its network has no such channel.
///
/// # Errors
/// As [`Student::forward`].
pub fn mask<B: ConvBackend>(
    student: &Student<B>,
    network: &FloatNetwork,
    pair: &LoadedPair,
    device: &B::Device,
) -> Result<Option<GrayImage>> {
    let topology = &network.topology;
    if !topology.has_person_mask() {
        return Ok(None);
    }
    let scales = network.activation_scales();
    let arithmetic = Arithmetic { half: false, activations: Activations::Quantized(&scales) };
    let bytes = bytes_tensor(&pair.photo, topology.multiple(), device);
    let output = student.forward(topology, bytes, arithmetic)?;
    Ok(Some(mask_of(output, pair.photo.width(), pair.photo.height())))
}

/// Intersection over union of the person in two masks of one size (0..1); `None` where neither shows one.
pub fn intersection_over_union(mask: &GrayImage, label: &GrayImage) -> Option<f64> {
    let (mut both, mut either) = (0_u64, 0_u64);
    for (a, b) in mask.as_raw().iter().zip(label.as_raw()) {
        let (a, b) = (*a >= CERTAIN, *b >= CERTAIN);
        both += u64::from(a && b);
        either += u64::from(a || b);
    }
    (either > 0).then(|| both as f64 / either as f64)
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    fn columns(of: std::ops::Range<u32>) -> GrayImage {
        GrayImage::from_fn(12, 4, |x, _| Luma([if of.contains(&x) { 200 } else { 40 }]))
    }

    #[test]
    fn what_both_show_is_counted_against_what_either_shows() {
        assert_eq!(intersection_over_union(&columns(0..6), &columns(3..9)), Some(3.0 / 9.0));
        assert_eq!(intersection_over_union(&columns(2..5), &columns(2..5)), Some(1.0));
        assert_eq!(intersection_over_union(&columns(0..2), &columns(8..9)), Some(0.0));
        assert_eq!(intersection_over_union(&columns(0..0), &columns(0..0)), None);
    }
}
