#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use prost::Message;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto};

use super::*;
use crate::engine::contract::FloatNetwork;
use crate::engine::fused::tests::random_topology;
use crate::engine::reference::Reference;
use crate::engine::topology::StudentSize;
use crate::frame::Size;

fn file(topology: Topology) -> (QuantizedNetwork, ModelProto) {
    let net = FloatNetwork::random(topology, 7).quantize().unwrap();
    let model = ModelProto::decode(net.to_qdq_onnx().as_slice()).unwrap();
    (net, model)
}

fn lowered(model: &ModelProto) -> Result<Lowered, String> {
    lower(&Graph::new(model.graph.as_ref().unwrap()))
}

#[test]
fn the_students_come_back_as_they_were_written() {
    for size in [StudentSize::S, StudentSize::M, StudentSize::L] {
        let topology = Topology::two_scale(size);
        let topology = if size == StudentSize::M { topology.with_eight_bits_at_half() } else { topology };
        let (net, model) = file(topology);
        let lowered = lowered(&model).unwrap();
        assert_eq!(lowered.network, net);
        assert_eq!((lowered.input.as_str(), lowered.output.as_str()), ("input", "output"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_generator_comes_back_as_one_that_draws_the_same(seed: u64) {
        let (net, model) = file(random_topology(seed));
        let lowered = lowered(&model).unwrap();
        let size = Size::new(32, 16);
        let pixels: Vec<u8> = (0..size.rgb_len()).map(|i| (i * 37 % 256) as u8).collect();
        prop_assert!(Reference::new(&lowered.network).run(&pixels, size) == Reference::new(&net).run(&pixels, size));
    }
}

#[test]
fn a_tensor_that_is_read_back_for_each_reader_is_computed_once() {
    let (net, mut model) = file(Topology::two_scale_with(4, 4, 4));
    let graph = model.graph.as_mut().unwrap();
    let mut copy = find(graph, "layer01.dq").clone();
    copy.name = "again".into();
    copy.output = vec!["again".into()];
    graph.node.push(copy);
    let add = find(graph, "layer02.add");
    assert_eq!(add.input[1], "layer01.dq");
    add.input[1] = "again".into();
    assert_eq!(lowered(&model).unwrap().network, net);
}

/// What is said of a student to which `change` was done.
fn refused(change: impl Fn(&mut GraphProto)) -> String {
    let (_, mut model) = file(Topology::two_scale_with(4, 4, 4));
    change(model.graph.as_mut().unwrap());
    lowered(&model).unwrap_err()
}

fn find<'a>(graph: &'a mut GraphProto, name: &str) -> &'a mut NodeProto {
    graph.node.iter_mut().find(|node| node.name == name).unwrap()
}

fn set(graph: &mut GraphProto, name: &str, raw: Vec<u8>) {
    graph.initializer.iter_mut().find(|tensor| tensor.name == name).unwrap().raw_data = raw;
}

fn attribute_mut<'a>(node: &'a mut NodeProto, name: &str) -> &'a mut AttributeProto {
    node.attribute.iter_mut().find(|attribute| attribute.name == name).unwrap()
}

/// Which operator is named, with which words, after which change.
type Case<'a> = (&'a str, &'a str, &'a dyn Fn(&mut GraphProto));

#[test]
fn what_is_not_fused_is_named() {
    let conv = "layer02.conv";
    let cases: [Case<'_>; 15] = [
        ("layer02.dq", "zero point 3", &|g| set(g, "layer02.zero_point", vec![3])),
        ("layer02.q", "INT32", &|g| {
            for tensor in g.initializer.iter_mut().filter(|tensor| tensor.name == "layer02.zero_point") {
                (tensor.data_type, tensor.raw_data) = (DataType::Int32 as i32, vec![0; 4]);
            }
        }),
        ("image.dq", "zero point 128", &|g| set(g, "image.zero_point", vec![128])),
        ("image.q", "1/255", &|g| set(g, "image.scale", 0.5_f32.to_le_bytes().into())),
        ("layer14.dq", "1/255", &|g| set(g, "layer14.scale", 0.5_f32.to_le_bytes().into())),
        (conv, "grouped or dilated", &|g| attribute_mut(find(g, conv), "group").i = 2),
        (conv, "grouped or dilated", &|g| attribute_mut(find(g, conv), "dilations").ints = vec![2, 2]),
        (conv, "pad by 1", &|g| attribute_mut(find(g, conv), "pads").ints = vec![0; 4]),
        (conv, "strides [3, 3]", &|g| attribute_mut(find(g, conv), "strides").ints = vec![3, 3]),
        (conv, "floats where integers", &|g| find(g, conv).input[1] = "layer02.weight_scale".into()),
        (conv, "biases that are not", &|g| set(g, "layer02.bias_scale", vec![1; 16])),
        ("layer09.d2s", "DCR", &|g| attribute_mut(find(g, "layer09.d2s"), "mode").s = b"CRD".into()),
        ("layer02.relu", "Tanh", &|g| find(g, "layer02.relu").op_type = "Tanh".into()),
        ("layer02.weight.dq", "zero point", &|g| set(g, "layer02.weight_zero_point", vec![1; 4])),
        ("layer02.weight.dq", "not above 0", &|g| set(g, "layer02.weight_scale", vec![0; 16])),
    ];
    for (name, what, change) in cases {
        let said = refused(change);
        assert!(said.contains(name) && said.contains(what), "{name}, {what}: {said}");
    }
    let two_bytes = refused(|g| {
        for tensor in g.initializer.iter_mut().filter(|tensor| tensor.name == "layer00.weight") {
            tensor.raw_data.fill(100);
        }
    });
    assert!(two_bytes.contains("layer00.conv") && two_bytes.contains("side by side"), "{two_bytes}");
    let too_large = refused(|g| {
        let weight = g.initializer.iter_mut().find(|tensor| tensor.name == "layer02.weight").unwrap();
        weight.int32_data = vec![300; weight.raw_data.len()];
        weight.raw_data.clear();
    });
    assert!(too_large.contains("layer02.weight"), "{too_large}");
    let circle = refused(|g| find(g, "layer02.conv").input[0] = "layer03.dq".into());
    assert!(circle.contains("layers stand one behind the other") || circle.contains("stands where"), "{circle}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_never_panics(at in 0_usize..20_000, with: u8) {
        let (_, model) = file(Topology::two_scale_with(4, 4, 4));
        let mut bytes = model.encode_to_vec();
        let length = bytes.len();
        bytes[at % length] = with;
        if let Ok(model) = crate::engine::checks::parse(&bytes) {
            let graph = Graph::new(model.graph.as_ref().unwrap());
            if let Ok(lowered) = lower(&graph) {
                let size = Size::new(16, 16);
                let pixels = vec![77; size.rgb_len()];
                let expected = Reference::new(&lowered.network).run(&pixels, size);
                let isa = crate::engine::kernels::Isa::best();
                if let Ok(mut fused) = crate::engine::fused::FusedGenerator::new(&lowered.network, isa, 1) {
                    let mut out = vec![0; size.rgb_len()];
                    crate::engine::Generator::run(&mut fused, &pixels, size, &mut out).unwrap();
                    prop_assert!(expected.len() != out.len() || out == expected);
                }
            }
        }
    }
}
