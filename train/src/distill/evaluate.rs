//! The student on whole pictures.

use anyhow::Result;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use image::{Rgb, RgbImage};
use nijigen::engine::contract::{IMAGE_SCALE, stored_limit};
use nijigen::engine::topology::Topology;

use crate::data::training_set::LoadedPair;
use crate::net::conv::ConvBackend;
use crate::net::student::{Arithmetic, Student};
use crate::quantize::best_activation_scale;

/// Pictures as a tensor `[1, 3, h, w]` of numbers 0 ..= 255, padded by its edge pixels to multiples of `multiple`.
pub fn bytes_tensor<B: Backend>(picture: &RgbImage, multiple: u32, device: &B::Device) -> Tensor<B, 4> {
    let (width, height) = picture.dimensions();
    let (w, h) = (width.next_multiple_of(multiple), height.next_multiple_of(multiple));
    let mut values = Vec::with_capacity((w * h * 3) as usize);
    for y in 0..h {
        for x in 0..w {
            values.extend(picture.get_pixel(x.min(width - 1), y.min(height - 1)).0.map(f32::from));
        }
    }
    Tensor::from_data(TensorData::new(values, [1, h as usize, w as usize, 3]), device).permute([0, 3, 1, 2])
}

/// The upper left part, `width`×`height`, of a picture `[1, 3 or 4, h, w]` in 0..1, as bytes; a fourth channel is left
/// out.
pub fn picture_of<B: Backend>(output: Tensor<B, 4>, width: u32, height: u32) -> RgbImage {
    let stride = output.dims()[3];
    let byte = |value: f32| (value * 255.0).round_ties_even().clamp(0.0, 255.0) as u8;
    let bytes: Vec<u8> = output.narrow(1, 0, 3).permute([0, 2, 3, 1]).into_data().iter().map(byte).collect();
    RgbImage::from_fn(width, height, |x, y| {
        let at = (y as usize * stride + x as usize) * 3;
        Rgb([bytes[at], bytes[at + 1], bytes[at + 2]])
    })
}

/// What the student makes of `photo`.
///
/// # Errors
/// As [`Student::forward`].
pub fn stylize<B: ConvBackend>(
    student: &Student<B>,
    topology: &Topology,
    photo: &RgbImage,
    arithmetic: Arithmetic<'_>,
    device: &B::Device,
) -> Result<RgbImage> {
    let bytes = bytes_tensor(photo, topology.multiple(), device);
    Ok(picture_of(student.forward(topology, bytes, arithmetic)?, photo.width(), photo.height()))
}

/// Mean L1 to the targets over `pairs`, of 255, every pair counting the same.
///
/// # Errors
/// As [`Student::forward`].
pub fn mean_l1<B: ConvBackend>(
    student: &Student<B>,
    topology: &Topology,
    pairs: &[LoadedPair],
    arithmetic: Arithmetic<'_>,
    device: &B::Device,
) -> Result<f64> {
    let mut total = 0.0;
    for pair in pairs {
        total += crate::metrics::l1(&stylize(student, topology, &pair.photo, arithmetic, device)?, &pair.target);
    }
    Ok(total / pairs.len().max(1) as f64)
}

/// The best step for each layer's stored activation on `photos` (`[b, 3, h, w]`, numbers 0 ..= 255).
///
/// # Errors
/// When an activation is not finite: training has failed.
pub fn calibrate<B: ConvBackend>(student: &Student<B>, topology: &Topology, photos: Tensor<B, 4>) -> Result<Vec<f32>> {
    let mut scales = vec![1.0; topology.layers.len()];
    let mut finite = true;
    let _ = student.forward_float(topology, photos, false, |layer, stored| {
        let values: Vec<f32> = stored.to_data().iter().collect();
        finite &= values.iter().all(|v| v.is_finite());
        scales[layer] = best_activation_scale(&values, stored_limit(topology, layer));
        stored
    });
    anyhow::ensure!(finite, "the network's activations are no longer finite");
    if let Some(last) = scales.last_mut() {
        *last = IMAGE_SCALE;
    }
    Ok(scales)
}
