#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::engine::contract::FloatNetwork;
use crate::engine::kernels::tests::Numbers;
use crate::engine::person::Person;
use crate::engine::reference::Reference;
use crate::engine::region::Region;
use crate::engine::topology::{LayerShape, StudentSize, Topology};
use crate::engine::{Options, Stated, Which, load};

/// Any network of the contract's operators: strides, blocks, shortcuts from anywhere, up to 70 channels.
pub(in crate::engine) fn random_topology(seed: u64) -> Topology {
    let mut n = Numbers(seed);
    let mut layers: Vec<LayerShape> = Vec::new();
    let mut scales: Vec<(usize, usize)> = vec![(3, 1)];
    for i in 0..1 + n.below(7) {
        let input = if i == 0 { 0 } else { n.below(scales.len()) };
        let (channels, scale) = scales[input];
        let (space_to_depth, stride) = n.one_of(&[(1, 1), (1, 1), (1, 1), (1, 2), (2, 1), (2, 1), (2, 2), (4, 1)]);
        let room = scale * space_to_depth * stride <= 8 && channels * space_to_depth * space_to_depth <= 300;
        let (space_to_depth, stride) = if room { (space_to_depth, stride) } else { (1, 1) };
        let scale = scale * space_to_depth * stride;
        let depth_to_space = n.one_of(&[1, 1, 2, 4]);
        let depth_to_space = if scale % depth_to_space == 0 { depth_to_space } else { 1 };
        let scale = scale / depth_to_space;
        // The image is no activation: only the picture may add it.
        let partners: Vec<usize> = (1..scales.len())
            .filter(|t| scales[*t].1 == scale && scales[*t].0 * depth_to_space * depth_to_space <= 600)
            .collect();
        let add = (!partners.is_empty() && n.below(2) == 0).then(|| n.one_of(&partners));
        let stored = add.map_or_else(|| 1 + n.below(if depth_to_space == 1 { 70 } else { 20 }), |add| scales[add].0);
        layers.push(LayerShape {
            input,
            space_to_depth,
            in_channels: channels * space_to_depth * space_to_depth,
            out_channels: stored * depth_to_space * depth_to_space,
            stride,
            depth_to_space,
            add,
            eight_bits: n.below(3) == 0,
        });
        scales.push((stored, scale));
    }
    let plain = |input, in_channels, out_channels, depth_to_space, add| LayerShape {
        depth_to_space,
        add,
        ..LayerShape::convolution(input, in_channels, out_channels)
    };
    while scales[scales.len() - 1].1 > 4 {
        let (channels, scale) = scales[scales.len() - 1];
        layers.push(plain(scales.len() - 1, channels, 4 * 5, 2, None));
        scales.push((5, scale / 2));
    }
    let (channels, scale) = scales[scales.len() - 1];
    let colours = n.one_of(&[3, 3, 4]);
    let add = (colours == 3 && n.below(2) == 0).then_some(0);
    layers.push(plain(scales.len() - 1, channels, colours * scale * scale, scale, add));
    let topology = Topology { layers };
    topology.tensors().unwrap();
    topology
}

fn network(topology: Topology, seed: u64) -> QuantizedNetwork {
    FloatNetwork::random(topology, seed).quantize().unwrap()
}

fn noise(size: Size, seed: u64) -> Vec<u8> {
    let mut n = Numbers(seed);
    (0..size.rgb_len()).map(|i| (i / 7 % 97 + n.below(120)) as u8).collect()
}

/// The reference's picture, its fourth channel left out.
fn expected(net: &QuantizedNetwork, frame: &[u8], size: Size) -> Vec<u8> {
    let picture = Reference::new(net).run(frame, size);
    let channels = picture.len() / size.area();
    picture.chunks_exact(channels).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
}

/// A few pixels of `frame` made different.
fn touch(frame: &mut [u8], size: Size, n: &mut Numbers) {
    let (x0, y0) = (n.below(size.width as usize), n.below(size.height as usize));
    for y in y0..(y0 + 1 + n.below(9)).min(size.height as usize) {
        for x in x0..(x0 + 1 + n.below(9)).min(size.width as usize) {
            frame[(y * size.width as usize + x) * 3 + n.below(3)] ^= n.below(256) as u8;
        }
    }
}

fn random_mask(size: Size, n: &mut Numbers) -> BlockMask {
    let mut mask = BlockMask::new(size);
    for row in 0..mask.rows() {
        for column in 0..mask.columns() {
            mask.set(column, row, n.below(3) == 0);
        }
    }
    mask
}

/// What the engine has taken of `frame` by a mask.
fn take(kept: &mut [u8], frame: &[u8], size: Size, mask: &BlockMask) {
    for (i, (kept, pixel)) in kept.chunks_exact_mut(3).zip(frame.chunks_exact(3)).enumerate() {
        let (x, y) = (i % size.width as usize, i / size.width as usize);
        if mask.get(x / BLOCK, y / BLOCK) {
            kept.copy_from_slice(pixel);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_engine_draws_the_reference(seed: u64, width in 1_u32..70, height in 1_u32..50) {
        let net = network(random_topology(seed), seed);
        let size = Size::new(width, height);
        let frame = noise(size, seed);
        let expected = expected(&net, &frame, size);
        for isa in Isa::available() {
            for threads in [1, 3] {
                let mut engine = FusedGenerator::new(&net, isa, threads).unwrap();
                let mut out = vec![0; size.rgb_len()];
                engine.run(&frame, size, &mut out).unwrap();
                prop_assert!(out == expected, "{isa} on {threads} threads differs: {:?}", net.topology);
            }
        }
    }

    #[test]
    fn without_a_dead_zone_what_is_kept_is_what_a_whole_run_gives(seed: u64, width in 1_u32..90, height in 1_u32..60) {
        let net = network(random_topology(seed), seed);
        let size = Size::new(width, height);
        let mut n = Numbers(seed);
        let mut engines: Vec<_> =
            Isa::available().into_iter().map(|isa| FusedGenerator::new(&net, isa, 1 + n.below(3)).unwrap()).collect();
        let mut whole = FusedGenerator::new(&net, Isa::best(), 1).unwrap();
        let mut frame = noise(size, seed);
        let mut kept = frame.clone();
        for i in 0..5 {
            let mask = random_mask(size, &mut n);
            let by_mask = n.below(2) == 0;
            let changed = if by_mask { Changed::Blocks(&mask) } else { Changed::Unknown };
            match (i, by_mask) {
                (1.., true) => take(&mut kept, &frame, size, &mask),
                _ => kept.copy_from_slice(&frame),
            }
            let mut expected = vec![0; size.rgb_len()];
            whole.run(&kept, size, &mut expected).unwrap();
            for engine in &mut engines {
                let mut out = vec![0; size.rgb_len()];
                engine.run_changed(&frame, size, changed, 0, &mut out).unwrap();
                prop_assert!(out == expected, "frame {i}, {}: {:?}", engine.isa(), net.topology);
            }
            touch(&mut frame, size, &mut n);
        }
    }

    #[test]
    fn only_the_blocks_asked_for_are_drawn(seed: u64, width in 1_u32..90, height in 1_u32..60) {
        let net = network(random_topology(seed), seed);
        let size = Size::new(width, height);
        let mut n = Numbers(seed);
        let mut all = BlockMask::new(size);
        all.fill(true);
        for isa in Isa::available() {
            let mut engine = FusedGenerator::new(&net, isa, 1 + n.below(3)).unwrap();
            let mut frame = noise(size, seed);
            let mut out = vec![0; size.rgb_len()];
            engine.run_changed(&frame, size, Changed::Only(&BlockMask::new(size)), 0, &mut out).unwrap();
            prop_assert!(out == expected(&net, &frame, size), "{isa}: the first frame is drawn whole");
            for _ in 0..3 {
                touch(&mut frame, size, &mut n);
                let (mask, before) = (random_mask(size, &mut n), out.clone());
                let macs = engine.run_changed(&frame, size, Changed::Only(&mask), 0, &mut out).unwrap();
                prop_assert_eq!(macs > 0, mask.any());
                for (i, (a, b)) in before.iter().zip(&out).enumerate() {
                    let (x, y) = (i / 3 % size.width as usize, i / 3 / size.width as usize);
                    prop_assert!(a == b || mask.get(x / BLOCK, y / BLOCK), "{isa}: {x}, {y} was drawn");
                }
            }
            let whole = expected(&net, &frame, size);
            let mut again = out.clone();
            engine.run_changed(&frame, size, Changed::Only(&all), 0, &mut out).unwrap();
            prop_assert!(out == whole, "{isa}: all blocks are the whole");
            // What was left alone before is made good by whatever comes next.
            let mask = random_mask(size, &mut n);
            touch(&mut frame, size, &mut n);
            engine.run_changed(&frame, size, Changed::Only(&mask), 0, &mut again).unwrap();
            engine.run_changed(&frame, size, Changed::Unknown, 0, &mut again).unwrap();
            prop_assert!(again == expected(&net, &frame, size), "{isa}: found by comparing, afterwards");
        }
    }

    #[test]
    fn a_dead_zone_bounds_what_a_kept_value_is_off(seed: u64, dead_zone in 1_u8..5) {
        let net = network(random_topology(seed), seed);
        let size = Size::new(61, 37);
        let mut n = Numbers(seed);
        let mut engines: Vec<_> =
            Isa::available().into_iter().map(|isa| FusedGenerator::new(&net, isa, 1 + n.below(3)).unwrap()).collect();
        let mut frame = noise(size, seed);
        for _ in 0..5 {
            let mask = random_mask(size, &mut n);
            let mut pictures = engines.iter_mut().map(|engine| {
                let mut out = vec![0; size.rgb_len()];
                engine.run_changed(&frame, size, Changed::Blocks(&mask), dead_zone, &mut out).unwrap();
                out
            });
            let first = pictures.next().unwrap();
            prop_assert!(pictures.all(|picture| picture == first), "the kernels differ: {:?}", net.topology);
            touch(&mut frame, size, &mut n);
            touch(&mut frame, size, &mut n);
        }
        let engine = &mut engines[0];
        let last = net.topology.layers.len() - 1;
        for i in 0..=last {
            let mut again = Plan::new(&engine.network, size, engine.isa, 1);
            for (to, from) in again.tensors.iter_mut().zip(&engine.plans[0].tensors) {
                to.data.copy_from_slice(&from.data);
            }
            again.run_layer(&engine.network, i, plan::Pass::Whole);
            let allowed = match net.topology.layers[i].eight_bits {
                _ if i == last => 0,
                true => 2 * dead_zone,
                false => dead_zone,
            };
            let (kept, computed) = (&engine.plans[0].tensors[i + 1].data, &again.tensors[i + 1].data);
            let worst = kept.iter().zip(computed).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            prop_assert!(worst <= allowed, "layer {i} is off by {worst}");
        }
    }
}

#[test]
fn the_student_is_drawn_at_every_size_that_its_multiple_does_not_divide() {
    let net = network(Topology::two_scale(StudentSize::M), 3);
    let mut engine = FusedGenerator::new(&net, Isa::best(), 2).unwrap();
    // The widest has more tiles in a row than are looked at together.
    for size in [Size::new(1, 1), Size::new(65, 33), Size::new(72, 40), Size::new(3, 100), Size::new(1100, 8)] {
        let frame = noise(size, 5);
        let mut out = vec![0; size.rgb_len()];
        engine.run(&frame, size, &mut out).unwrap();
        assert!(out == expected(&net, &frame, size), "{size}");
        let mut frame = frame;
        touch(&mut frame, size, &mut Numbers(size.width.into()));
        engine.run_changed(&frame, size, Changed::Unknown, 0, &mut out).unwrap();
        assert!(out == expected(&net, &frame, size), "{size}, partially");
    }
}

#[test]
fn a_smaller_dead_zone_undoes_what_a_larger_one_left() {
    let net = network(Topology::two_scale(StudentSize::S), 3);
    let size = Size::new(64, 48);
    let mut engine = FusedGenerator::new(&net, Isa::best(), 2).unwrap();
    let (mut frame, mut n) = (noise(size, 1), Numbers(2));
    let mut out = vec![0; size.rgb_len()];
    for _ in 0..4 {
        touch(&mut frame, size, &mut n);
        engine.run_changed(&frame, size, Changed::Unknown, 9, &mut out).unwrap();
    }
    let whole = expected(&net, &frame, size);
    assert!(out != whole, "the dead zone was too small to be seen");
    engine.run_changed(&frame, size, Changed::Unknown, 0, &mut out).unwrap();
    assert!(out == whole);
}

#[test]
fn a_whole_run_leaves_nothing_behind_that_costs_work() {
    let net = network(Topology::two_scale(StudentSize::S), 3);
    let size = Size::new(128, 96);
    let (mut frame, mut out) = (noise(size, 1), vec![0; size.rgb_len()]);
    let mut used = FusedGenerator::new(&net, Isa::best(), 1).unwrap();
    used.run(&frame, size, &mut out).unwrap();
    frame.iter_mut().for_each(|byte| *byte ^= 0x40);
    used.run_changed(&frame, size, Changed::Unknown, 0, &mut out).unwrap();
    used.run(&frame, size, &mut out).unwrap();
    let mut fresh = FusedGenerator::new(&net, Isa::best(), 1).unwrap();
    fresh.run(&frame, size, &mut out).unwrap();
    frame[0] ^= 0x40;
    let mut cost =
        |engine: &mut FusedGenerator| engine.run_changed(&frame, size, Changed::Unknown, 0, &mut out).unwrap();
    assert_eq!(cost(&mut used), cost(&mut fresh));
}

#[test]
fn a_network_that_does_not_fit_together_is_refused() {
    let refused = |change: &dyn Fn(&mut QuantizedNetwork)| {
        let mut net = network(Topology::two_scale(StudentSize::S), 3);
        change(&mut net);
        FusedGenerator::new(&net, Isa::best(), 1).err().unwrap().to_string()
    };
    assert!(refused(&|net| net.layers[2].weight.truncate(7)).contains("layer 2"));
    assert!(refused(&|net| net.layers[0].weight[..18].fill(65)).contains("65 and 65"));
    assert!(refused(&|net| net.scales[3] = -1.0).contains("not above 0"));
    assert!(refused(&|net| net.layers.truncate(3)).contains("3 layers"));
    let layer = LayerShape::convolution;
    let huge = Topology { layers: vec![layer(0, 3, 1024), layer(1, 1024, 512), layer(2, 512, 3)] };
    let net = network(huge, 1);
    assert!(FusedGenerator::new(&net, Isa::best(), 1).err().unwrap().to_string().contains("bytes for each pixel"));
}

#[test]
fn an_engine_costs_what_its_topology_says() {
    for seed in 0..60 {
        let topology = random_topology(seed);
        let Ok(engine) = FusedGenerator::new(&network(topology.clone(), seed), Isa::Scalar, 1) else { continue };
        for size in [Size::new(1, 1), Size::new(33, 70), Size::new(640, 480)] {
            assert_eq!(engine.macs(size), topology.macs(size), "{topology:?} at {size}");
        }
    }
}

#[test]
fn outside_of_its_region_the_picture_is_the_photo() {
    let net = network(Topology::two_scale(StudentSize::S).with_person_mask(), 3);
    let size = Size::new(70, 50);
    let frame = noise(size, 1);
    let drawn = Reference::new(&net).run(&frame, size);
    let people = Person::default().mask(size, |y, x| drawn[(y * 70 + x) * 4 + 3]);
    assert!(people.iter().min() != people.iter().max(), "the random network takes all for the same");
    let shown = |region: Region, frame: &[u8]| -> Vec<u8> {
        let pixels = drawn.chunks_exact(4).zip(frame.chunks_exact(3)).zip(&people);
        pixels
            .flat_map(|((drawn, photo), person)| {
                let share = f64::from(region.share(*person)) / 255.0;
                [0, 1, 2].map(|c| (f64::from(photo[c]) * (1.0 - share) + f64::from(drawn[c]) * share).round() as u8)
            })
            .collect()
    };
    let mut engine = FusedGenerator::new(&net, Isa::best(), 2).unwrap();
    let mut tract =
        load(&net.to_qdq_onnx(), Stated::default(), Options { engine: Which::Tract, ..Options::threads(1) }).unwrap();
    assert!(engine.has_person_mask() && tract.generator.has_person_mask());
    assert!(engine.person_mask(&frame, size).unwrap().unwrap() == people);
    for region in Region::EACH {
        let mut out = vec![0; size.rgb_len()];
        engine.set_region(region);
        engine.run(&frame, size, &mut out).unwrap();
        assert!(out == shown(region, &frame), "{region}");
        let mut in_floats = vec![0; size.rgb_len()];
        tract.generator.set_region(region);
        tract.generator.run(&frame, size, &mut in_floats).unwrap();
        let apart = out.iter().zip(&in_floats).filter(|(a, b)| a.abs_diff(**b) > 2).count();
        assert!(apart * 100 < out.len(), "{region}: {apart} bytes are another in floats");
    }
    // Of blocks that are drawn alone, too.
    let blocks = random_mask(size, &mut Numbers(5));
    let mut out = vec![7; size.rgb_len()];
    engine.set_region(Region::Person);
    engine.run(&frame, size, &mut vec![0; size.rgb_len()]).unwrap();
    engine.run_changed(&frame, size, Changed::Only(&blocks), 0, &mut out).unwrap();
    let mut expected = vec![7; size.rgb_len()];
    take(&mut expected, &shown(Region::Person, &frame), size, &blocks);
    assert!(out == expected);
}

#[test]
fn a_frame_that_stands_still_costs_nothing() {
    let net = network(Topology::two_scale(StudentSize::S), 3);
    let mut engine = FusedGenerator::new(&net, Isa::best(), 2).unwrap();
    let size = Size::new(64, 48);
    let (frame, mut out) = (noise(size, 1), vec![0; size.rgb_len()]);
    assert!(engine.run_changed(&frame, size, Changed::Unknown, 0, &mut out).unwrap() >= engine.macs(size));
    let first = out.clone();
    assert_eq!(engine.run_changed(&frame, size, Changed::Unknown, 0, &mut out).unwrap(), 0);
    let nothing = BlockMask::new(size);
    assert_eq!(engine.run_changed(&noise(size, 2), size, Changed::Blocks(&nothing), 0, &mut out).unwrap(), 0);
    assert!(out == first);
}

#[test]
fn a_frame_of_the_wrong_length_is_refused() {
    let net = network(Topology::two_scale(StudentSize::S), 3);
    let mut engine = FusedGenerator::new(&net, Isa::best(), 1).unwrap();
    let size = Size::new(8, 8);
    assert!(engine.run(&[0; 10], size, &mut vec![0; size.rgb_len()]).is_err());
    assert!(engine.run(&vec![0; size.rgb_len()], size, &mut [0; 10]).is_err());
    let mask = BlockMask::new(Size::new(64, 8));
    let mut out = vec![0; size.rgb_len()];
    assert!(engine.run_changed(&vec![0; size.rgb_len()], size, Changed::Blocks(&mask), 0, &mut out).is_err());
}
