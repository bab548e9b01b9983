#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use proptest::prelude::*;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::InferenceFact;

use super::*;
use crate::engine::reference::Reference;
use crate::engine::topology::StudentSize;
use crate::frame::Size;

/// Runs an ONNX file in tract, in floats, on RGB bytes of a size that the network takes as it is.
fn tract_run(onnx: &[u8], pixels: &[u8], size: Size) -> Vec<u8> {
    let (w, h) = (size.width as usize, size.height as usize);
    let model = tract_onnx::onnx()
        .model_for_read(&mut Cursor::new(onnx))
        .unwrap()
        .with_input_fact(0, f32::fact([1, 3, h, w]).into())
        .unwrap()
        .with_output_fact(0, InferenceFact::default())
        .unwrap()
        .into_optimized()
        .unwrap()
        .into_runnable()
        .unwrap();
    let input: Tensor = tract_ndarray::Array4::from_shape_fn((1, 3, h, w), |(_, c, y, x)| {
        f32::from(pixels[(y * w + x) * 3 + c]) / 255.0
    })
    .into();
    let output = model.run(tvec!(input.into())).unwrap();
    let output = output[0].to_plain_array_view::<f32>().unwrap();
    assert_eq!(output.shape(), [1, 3, h, w]);
    (0..h * w * 3).map(|i| (output[[0, i % 3, i / 3 / w, i / 3 % w]] * 255.0).round() as u8).collect()
}

fn noise(size: Size, seed: u64) -> Vec<u8> {
    // Smooth enough to be a picture, rough enough to reach every code path.
    (0..size.rgb_len())
        .map(|i| {
            let (p, c) = (i / 3, i % 3);
            let (x, y) = (p % size.width as usize, p / size.width as usize);
            let wave = ((x as f32 * 0.13 + c as f32 + seed as f32).sin() + (y as f32 * 0.21).cos()) * 50.0;
            let grain = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ seed) >> 58;
            (127.0 + wave + grain as f32 * 0.4) as u8
        })
        .collect()
}

/// Share of bytes beyond ±1, and the largest difference.
fn difference(a: &[u8], b: &[u8]) -> (f64, u8) {
    assert_eq!(a.len(), b.len());
    let beyond = a.iter().zip(b).filter(|(a, b)| a.abs_diff(**b) > 1).count();
    (beyond as f64 / a.len() as f64, a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap())
}

/// Floats round otherwise where a value lies in the middle between two steps, and such a step spreads: what holds is the
/// share over many pictures. Always the same ones, since chance alone could bring more of them together.
#[test]
fn tract_agrees_with_the_reference() {
    let (mut beyond, mut bytes) = (0.0, 0);
    for seed in 0..12_u32 {
        let channels = |step: u32, most: u32| 1 + (seed * step % most) as usize;
        let topology = Topology::two_scale_with(channels(3, 8), channels(5, 11), channels(7, 11));
        let topology = if seed % 2 == 0 { topology } else { topology.with_eight_bits_at_half() };
        let net = FloatNetwork::random(topology, seed.into()).quantize().unwrap();
        let size = Size::new(8 * (1 + seed * 5 % 8), 8 * (1 + seed * 3 % 8));
        let pixels = noise(size, seed.into());
        let (share, largest) =
            difference(&Reference::new(&net).run(&pixels, size), &tract_run(&net.to_qdq_onnx(), &pixels, size));
        assert!(largest <= 4, "seed {seed}: largest {largest}");
        beyond += share * size.rgb_len() as f64;
        bytes += size.rgb_len();
    }
    assert!(beyond <= 0.001 * bytes as f64, "{beyond} of {bytes} beyond ±1");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_size_is_padded_by_its_edges_and_cropped(width in 1..40_u32, height in 1..40_u32, seed in any::<u64>()) {
        let net = FloatNetwork::random(Topology::two_scale_with(4, 4, 4), seed).quantize().unwrap();
        let reference = Reference::new(&net);
        let size = Size::new(width, height);
        let padded_size = size.round_up(8);
        let pixels = noise(size, seed);
        let padded: Vec<u8> = (0..padded_size.rgb_len())
            .map(|i| {
                let (x, y) = (i as u32 / 3 % padded_size.width, i as u32 / 3 / padded_size.width);
                pixels[((y.min(height - 1) * width + x.min(width - 1)) * 3) as usize + i % 3]
            })
            .collect();
        let whole = reference.run(&padded, padded_size);
        let row = width as usize * 3;
        let cropped: Vec<u8> =
            whole.chunks(padded_size.width as usize * 3).take(height as usize).flat_map(|r| &r[..row]).copied().collect();
        prop_assert_eq!(reference.run(&pixels, size), cropped);
    }
}

#[test]
fn the_medium_student_agrees_and_uses_its_ranges() {
    let net = FloatNetwork::random(Topology::two_scale(StudentSize::M), 7);
    let size = Size::new(64, 48);
    let pixels = noise(size, 3);
    let quantized = net.quantize().unwrap();
    let reference = Reference::new(&quantized).run(&pixels, size);
    let (low, high) = (reference.iter().min().unwrap(), reference.iter().max().unwrap());
    assert!(high - low > 100, "the random network draws nothing: {low}..{high}");
    let (beyond, largest) = difference(&reference, &tract_run(&quantized.to_qdq_onnx(), &pixels, size));
    assert!(beyond <= 0.001 && largest <= 4, "{beyond} beyond ±1, largest {largest}");
}

#[test]
fn the_float_file_draws_nearly_the_same_picture() {
    let net = FloatNetwork::random(Topology::two_scale_with(12, 16, 16), 1);
    let size = Size::new(48, 40);
    let pixels = noise(size, 5);
    let quantized = Reference::new(&net.quantize().unwrap()).run(&pixels, size);
    let float = tract_run(&net.to_float_onnx().unwrap(), &pixels, size);
    let error: f64 =
        quantized.iter().zip(&float).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / float.len() as f64;
    assert!(error < 3.0, "mean difference {error}");
}

#[test]
fn a_change_reaches_as_far_as_the_halo_and_no_further() {
    let topology = Topology::two_scale_with(8, 8, 8);
    let halo = topology.halo();
    let reference = Reference::new(&FloatNetwork::random(topology, 2).quantize().unwrap());
    let size = Size::new(256, 256);
    let (x, y) = (131, 130);
    let dark = vec![90; size.rgb_len()];
    let mut dotted = dark.clone();
    dotted[(y * 256 + x) * 3..][..3].copy_from_slice(&[255, 255, 255]);
    let (a, b) = (reference.run(&dark, size), reference.run(&dotted, size));
    let reach = (0..size.area())
        .filter(|p| a[p * 3..p * 3 + 3] != b[p * 3..p * 3 + 3])
        .map(|p| (p % 256).abs_diff(x).max((p / 256).abs_diff(y)))
        .max()
        .unwrap();
    assert!(reach as u32 <= halo, "{reach} > {halo}");
    assert!(reach as u32 > halo / 3, "a change should go far: {reach} of {halo}");
}

#[test]
fn what_cannot_be_exported_is_named() {
    let good = FloatNetwork::random(Topology::two_scale_with(4, 4, 4), 9);
    let refused = |change: fn(&mut FloatNetwork)| {
        let mut net = good.clone();
        change(&mut net);
        net.to_qdq_onnx().unwrap_err().to_string()
    };
    assert!(refused(|n| n.layers[3].weight[0] = f32::NAN).contains("layer 3"));
    assert!(refused(|n| n.layers[2].activation_scale = 0.0).contains("scale"));
    assert!(refused(|n| n.layers[1].bias.push(0.0)).contains("layer 1"));
    assert!(refused(|n| n.layers[1].weight_scale[2] = 1e-20).contains("channel 2"));
    assert!(refused(|n| n.layers[0].weight_scale.iter_mut().for_each(|s| *s /= 3.0)).contains("side by side"));
}

#[test]
fn a_dead_channel_gets_a_scale_at_which_its_bias_fits() {
    let mut net = FloatNetwork::random(Topology::two_scale_with(4, 4, 4), 9);
    let layer = &mut net.layers[1];
    layer.weight[..16 * 9].fill(0.0);
    layer.weight_scale[0] =
        WeightLimits::of(&net.topology, 1).scale(&layer.weight[..16 * 9], layer.bias[0], 1.0 / 127.0);
    net.quantize().unwrap();
}
