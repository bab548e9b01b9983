//! Weights that let the photo pass: where a restoring student begins.
//!
//! The student's output is not added to its input, and a random one learns to repeat a photo only in thousands of steps.
//! But its first tensor, at half the size, is added again before the last layers. What that one holds of each 2×2 block is
//! chosen so that the last layer can put the block together again; what is added to it begins at zero and learns the
//! difference (as Zhang et al. 2017 do for denoising with an explicit shortcut).

use nijigen::engine::topology::Topology;

/// Values of a block of 2×2 pixels: pixel by pixel, red, green, blue.
const BLOCK: usize = 12;
/// Position of the kernel's centre among its nine places.
const CENTRE: usize = 4;

/// A value of the first tensor: what it is of the block's values, and what is added so that it is never below 0; and how much
/// of it the block's values are.
struct Carrier {
    of_block: [f32; BLOCK],
    offset: f32,
    to_block: [f32; BLOCK],
}

/// Changes the `weights` and `biases` of a random [`Topology::two_scale`] student so that it gives the photo back: to the
/// rounding with 12 channels at half the size; with 8, every pixel's lightness and the colour of each two that lie one above
/// the other (YCoCg). Fewer carry less of it.
pub fn let_pass(topology: &Topology, layers: &mut [(Vec<f32>, Vec<f32>)]) {
    let Some((last, first)) = topology.layers.last().zip(topology.layers.first()) else { return };
    let (outputs, kept) = (last.out_channels / 4, first.out_channels);
    let carriers = if kept >= BLOCK { whole_block() } else { lightness_and_colour() };
    let count = layers.len();
    let carried = kept.min(carriers.len());

    let (weight, bias) = &mut layers[0];
    for (channel, carrier) in carriers.iter().take(carried).enumerate() {
        weight[channel * BLOCK * 9..(channel + 1) * BLOCK * 9].fill(0.0);
        for (value, share) in carrier.of_block.iter().enumerate() {
            weight[(channel * BLOCK + value) * 9 + CENTRE] = *share;
        }
        bias[channel] = carrier.offset;
    }
    // What is added to it is nothing at first: it learns from what is random before it.
    for layer in [count - 3, count - 2] {
        layers[layer].0.fill(0.0);
    }
    let (weight, bias) = &mut layers[count - 1];
    for pixel in 0..4 {
        for colour in 0..3 {
            let value = pixel * 3 + colour;
            let channel = pixel * outputs + colour;
            let of_channel = &mut weight[channel * kept * 9..(channel + 1) * kept * 9];
            of_channel.fill(0.0);
            bias[channel] = 0.0;
            for (from, carrier) in carriers.iter().take(carried).enumerate() {
                of_channel[from * 9 + CENTRE] = carrier.to_block[value];
                bias[channel] -= carrier.to_block[value] * carrier.offset;
            }
        }
    }
}

/// Each of the values for itself.
fn whole_block() -> Vec<Carrier> {
    let unit = |value| std::array::from_fn(|i| if i == value { 1.0 } else { 0.0 });
    (0..BLOCK).map(|value| Carrier { of_block: unit(value), offset: 0.0, to_block: unit(value) }).collect()
}

/// Y of each pixel, then Co and Cg of the left and the right two.
fn lightness_and_colour() -> Vec<Carrier> {
    let mut carriers = Vec::new();
    for pixel in 0..4 {
        let at = |rgb: [f32; 3]| std::array::from_fn(|i| if i / 3 == pixel { rgb[i % 3] } else { 0.0 });
        carriers.push(Carrier { of_block: at([0.25, 0.5, 0.25]), offset: 0.0, to_block: at([1.0; 3]) });
    }
    for (of_pixel, to_pixel) in [([0.5, 0.0, -0.5], [1.0, 0.0, -1.0]), ([-0.25, 0.5, -0.25], [-1.0, 1.0, -1.0])] {
        for column in 0..2 {
            let at = |rgb: [f32; 3], share: f32| {
                std::array::from_fn(|i| if i / 3 % 2 == column { share * rgb[i % 3] } else { 0.0 })
            };
            carriers.push(Carrier { of_block: at(of_pixel, 0.5), offset: 0.5, to_block: at(to_pixel, 1.0) });
        }
    }
    carriers
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::backend::NdArray;
    use burn::tensor::{Tensor, TensorData};
    use image::{Rgb, RgbImage};

    use super::*;
    use crate::metrics::psnr;
    use crate::net::student::{Arithmetic, Student};

    fn passed(topology: &Topology, photo: &RgbImage) -> RgbImage {
        let student = Student::<NdArray>::passing(topology, 1, &Default::default());
        let (width, height) = photo.dimensions();
        let bytes: Vec<f32> = photo.iter().map(|&v| f32::from(v)).collect();
        let data = TensorData::new(bytes, [1, height as usize, width as usize, 3]);
        let bytes = Tensor::<NdArray, 4>::from_data(data, &Default::default()).permute([0, 3, 1, 2]);
        let picture = student.forward(topology, bytes, Arithmetic::default()).unwrap();
        let values: Vec<f32> = picture.narrow(1, 0, 3).permute([0, 2, 3, 1]).into_data().iter().collect();
        let bytes = values.iter().map(|v| (v * 255.0).round().clamp(0.0, 255.0) as u8).collect();
        RgbImage::from_raw(width, height, bytes).unwrap()
    }

    #[test]
    fn a_photo_passes_a_student_that_knows_nothing_else() {
        // Lightness with every detail there can be, colours that change more slowly.
        let photo = RgbImage::from_fn(32, 24, |x, y| {
            let light = ((x * 37 + y * 91) % 97) as f32;
            Rgb([light + 60.0 + x as f32, light + 40.0, light + 70.0 - y as f32].map(|v| v as u8))
        });
        for (topology, least) in [
            (Topology::two_scale_with(8, 4, 4), 34.0),
            (Topology::two_scale_with(16, 4, 4), 34.0),
            (Topology::two_scale_with(8, 4, 4).with_person_mask(), 34.0),
        ] {
            let psnr = psnr(&passed(&topology, &photo), &photo);
            assert!(psnr > least, "{psnr} dB");
        }
    }
}
