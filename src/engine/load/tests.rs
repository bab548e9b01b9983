#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

use super::*;
use crate::engine::contract::{FloatNetwork, QuantizedNetwork};
use crate::engine::reference::Reference;
use crate::engine::topology::{StudentSize, Topology};

/// A network as someone else's exporter writes it.
struct Foreign {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    last: String,
    seed: u64,
}

impl Foreign {
    fn new() -> Self {
        Self { nodes: Vec::new(), initializers: Vec::new(), last: "in".into(), seed: 1 }
    }

    /// Appends an operator that reads what the last one gave, then `more`.
    fn op(mut self, op: &str, more: &[&str], attributes: Vec<AttributeProto>) -> Self {
        let name = format!("{op}{}", self.nodes.len());
        let input = std::iter::once(self.last.clone()).chain(more.iter().map(|s| (*s).to_owned())).collect();
        self.nodes.push(NodeProto {
            op_type: op.into(),
            input,
            output: vec![name.clone()],
            attribute: attributes,
            ..Default::default()
        });
        self.last = name;
        self
    }

    fn constant(&mut self, dims: &[i64], values: Vec<f32>) -> String {
        let name = format!("c{}", self.initializers.len());
        self.initializers.push(TensorProto {
            name: name.clone(),
            dims: dims.into(),
            data_type: DataType::Float as i32,
            float_data: values,
            ..Default::default()
        });
        name
    }

    fn number(mut self, op: &str, value: f32) -> Self {
        let constant = self.constant(&[], vec![value]);
        self.op(op, &[&constant], vec![])
    }

    fn random(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count)
            .map(|_| {
                self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((self.seed >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale
            })
            .collect()
    }

    fn conv(self, from: i64, to: i64, kernel: i64, stride: i64) -> Self {
        self.window("Conv", [to, from], kernel, stride, (kernel - 1) / 2)
    }

    fn window(mut self, op: &str, channels: [i64; 2], kernel: i64, stride: i64, pad: i64) -> Self {
        let dims = [channels[0], channels[1], kernel, kernel];
        let values = self.random(dims.iter().product::<i64>() as usize, 1.5 / (channels[1] * kernel * kernel) as f32);
        let weight = self.constant(&dims, values);
        let attributes =
            vec![ints("kernel_shape", &[kernel, kernel]), ints("strides", &[stride, stride]), ints("pads", &[pad; 4])];
        self.op(op, &[&weight], attributes)
    }

    fn instance_norm(mut self, channels: usize) -> Self {
        let scale = self.constant(&[channels as i64], vec![0.6; channels]);
        let bias = self.constant(&[channels as i64], vec![0.1; channels]);
        self.op("InstanceNormalization", &[&scale, &bias], vec![])
    }

    fn enlarge(mut self, mode: &str, coordinates: &str) -> Self {
        let scales = self.constant(&[4], vec![1.0, 1.0, 2.0, 2.0]);
        let attributes = vec![text("mode", mode), text("coordinate_transformation_mode", coordinates)];
        self.op("Resize", &["", &scales], attributes)
    }

    /// The file, for an input and output of these dimensions (0 is free).
    fn file(self, dims: [i64; 4]) -> Vec<u8> {
        let graph = GraphProto {
            node: self.nodes,
            initializer: self.initializers,
            input: vec![image("in", dims)],
            output: vec![image(&self.last, [0; 4])],
            ..Default::default()
        };
        ModelProto {
            ir_version: 7,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 13 }],
            graph: Some(graph),
            ..Default::default()
        }
        .encode_to_vec()
    }
}

fn image(name: &str, dims: [i64; 4]) -> ValueInfoProto {
    let dim = |value: i64| match value {
        0 => dimension::Value::DimParam("free".into()),
        _ => dimension::Value::DimValue(value),
    };
    let dims = dims.iter().map(|d| Dimension { value: Some(dim(*d)), ..Default::default() }).collect();
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(TensorShapeProto { dim: dims }) };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { value, ..Default::default() }), ..Default::default() }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Ints as i32, ints: values.into(), ..Default::default() }
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::String as i32, s: value.into(), ..Default::default() }
}

const NCHW: [i64; 4] = [1, 3, 0, 0];
const NHWC: [i64; 4] = [0, 0, 0, 3];

/// What AnimeGAN and its kind look like: normalized over the picture, down, up, Tanh.
fn gan(net: Foreign) -> Foreign {
    net.conv(3, 6, 3, 1)
        .instance_norm(6)
        .op("LeakyRelu", &[], vec![])
        .conv(6, 8, 3, 2)
        .instance_norm(8)
        .op("LeakyRelu", &[], vec![])
        .enlarge("linear", "half_pixel")
        .conv(8, 3, 3, 1)
        .op("Tanh", &[], vec![])
}

/// A network without normalization, of every operator whose reach is known.
fn local() -> Foreign {
    let mut net = Foreign::new().number("Div", 255.0).conv(3, 6, 5, 1).op("Relu", &[], vec![]);
    let skip = net.last.clone();
    net = net.conv(6, 8, 3, 2).op("Relu", &[], vec![]).conv(8, 8, 3, 2).op("Relu", &[], vec![]);
    net = net.enlarge("linear", "half_pixel").window("ConvTranspose", [8, 6], 4, 2, 1);
    let pool = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
    net = net.op("Concat", &[&skip], vec![int("axis", 1)]).op("MaxPool", &[], pool).enlarge("nearest", "asymmetric");
    net = net.conv(12, 3, 3, 1).op("Sigmoid", &[], vec![]).number("Mul", 255.0);
    let (low, high) = (net.constant(&[], vec![0.0]), net.constant(&[], vec![255.0]));
    net.op("Clip", &[&low, &high], vec![])
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i: value, ..Default::default() }
}

fn open(file: &[u8]) -> Loaded {
    load(file, Stated::default(), Options::threads(1)).unwrap()
}

fn refused(file: &[u8]) -> String {
    load(file, Stated::default(), Options::threads(1)).err().unwrap().to_string()
}

fn photo(size: Size) -> Vec<u8> {
    (0..size.rgb_len()).map(|i| ((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
}

fn drawn(loaded: &mut Loaded, size: Size) -> Vec<u8> {
    let mut output = vec![0; size.rgb_len()];
    loaded.generator.run(&photo(size), size, &mut output).unwrap();
    output
}

/// The same file run by tract alone.
fn in_tract(file: &[u8], threads: usize) -> Loaded {
    load(file, Stated::default(), Options { engine: Which::Tract, ..Options::threads(threads) }).unwrap()
}

#[test]
fn our_own_file_leaves_nothing_to_guess_and_draws_the_reference() {
    let topology = Topology::two_scale_with(12, 8, 8);
    let net = FloatNetwork::random(topology.clone(), 5).quantize().unwrap();
    let onnx = net.to_qdq_onnx();
    let mut fused = open(&onnx);
    let mut tract = in_tract(&onnx, 1);
    assert_eq!((fused.generator.engine(), &fused.obstacle), ("fused", &None));
    assert_eq!(tract.generator.engine(), "tract");
    let reference = Reference::new(&net);
    for loaded in [&fused, &tract] {
        assert_eq!((loaded.guesses.len(), loaded.remarks.len()), (0, 0));
        assert_eq!((loaded.generator.multiple(), loaded.generator.halo()), (8, Some(topology.halo())));
    }
    for size in [Size::new(1, 1), Size::new(53, 31), Size::new(64, 48)] {
        assert_eq!(tract.generator.macs(size), topology.macs(size));
        assert_eq!(fused.generator.macs(size), topology.macs(size));
        let expected = reference.run(&photo(size), size);
        assert!(drawn(&mut fused, size) == expected);
        let a = drawn(&mut tract, size);
        assert!(a.iter().zip(&expected).all(|(a, b)| a.abs_diff(*b) <= 4));
        let off = a.iter().zip(&expected).filter(|(a, b)| a.abs_diff(**b) > 1).count();
        assert!(off * 1000 <= a.len(), "{off} of {}", a.len());
    }
    let size = Size::new(200, 120);
    assert!(drawn(&mut in_tract(&onnx, 2), size) == drawn(&mut tract, size), "threads change nothing");
}

/// Our own file with something else around the generator.
fn surrounded(before: Option<NodeProto>, behind: Option<NodeProto>) -> (QuantizedNetwork, Vec<u8>) {
    let net = FloatNetwork::random(Topology::two_scale_with(6, 8, 8), 5).quantize().unwrap();
    let mut model = ModelProto::decode(net.to_qdq_onnx().as_slice()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    if let Some(node) = before {
        for input in graph.node.iter_mut().flat_map(|node| &mut node.input).filter(|name| *name == "input") {
            *input = node.output[0].clone();
        }
        graph.node.insert(0, node);
    }
    if let Some(node) = behind {
        for output in graph.node.iter_mut().flat_map(|node| &mut node.output).filter(|name| *name == "output") {
            *output = node.input[0].clone();
        }
        graph.node.push(node);
    }
    (net, model.encode_to_vec())
}

fn node(op: &str, input: &str, output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        name: format!("my {op}"),
        input: vec![input.into()],
        output: vec![output.into()],
        attribute,
        ..Default::default()
    }
}

#[test]
fn a_generator_within_a_graph_is_fused_and_the_rest_is_run_by_tract() {
    let size = Size::new(40, 24);
    let (net, file) = surrounded(Some(node("Identity", "input", "x", vec![])), None);
    let mut loaded = open(&file);
    assert_eq!(loaded.generator.engine(), "tract+fused");
    assert!(loaded.obstacle.as_ref().unwrap().contains("Identity 'my Identity'"), "{:?}", loaded.obstacle);
    assert!(drawn(&mut loaded, size) == Reference::new(&net).run(&photo(size), size));
    assert_eq!(loaded.generator.macs(size), net.topology.macs(size));
    let (_, file) = surrounded(None, Some(node("Sqrt", "y", "output", vec![])));
    let mut loaded = open(&file);
    assert_eq!(loaded.generator.engine(), "tract+fused");
    assert!(loaded.obstacle.as_ref().unwrap().contains("Sqrt 'my Sqrt'"));
    let brighter = drawn(&mut loaded, size);
    let plain = Reference::new(&net).run(&photo(size), size);
    let expected = plain.iter().map(|byte| ((f32::from(*byte) / 255.0).sqrt() * 255.0).round() as u8);
    assert!(brighter.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1));
    let alone = Options { engine: Which::Fused, ..Options::threads(1) };
    assert!(load(&file, Stated::default(), alone).err().unwrap().to_string().contains("Sqrt"));
}

#[test]
fn a_generator_that_the_picture_does_not_come_from_is_not_run_in_its_place() {
    let size = Size::new(40, 24);
    let (net, file) = surrounded(None, None);
    let mut model = ModelProto::decode(file.as_slice()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    // The picture is the image; the generator computes something that nobody reads.
    graph.node.push(node("Abs", "input", "picture", vec![]));
    graph.output[0].name = "picture".into();
    let mut loaded = open(&model.encode_to_vec());
    assert_eq!(loaded.generator.engine(), "tract");
    assert!(loaded.obstacle.is_some());
    assert!(drawn(&mut loaded, size) != Reference::new(&net).run(&photo(size), size));
}

#[test]
fn what_stands_in_the_way_of_the_fused_engine_is_named() {
    let foreign = open(&gan(Foreign::new()).file(NCHW));
    assert_eq!(foreign.generator.engine(), "tract");
    assert!(foreign.obstacle.unwrap().contains("stands where DequantizeLinear is fused"));
}

#[test]
fn the_medium_student_costs_what_its_topology_says() {
    let topology = Topology::two_scale(StudentSize::M);
    let onnx = FloatNetwork::random(topology.clone(), 5).to_qdq_onnx().unwrap();
    let loaded = in_tract(&onnx, 1);
    let size = Size::new(640, 480);
    assert_eq!(loaded.generator.macs(size), topology.macs(size));
    assert_eq!(loaded.generator.halo(), Some(topology.halo()));
}

#[test]
fn an_animegan_is_understood_in_either_layout() {
    let mut first = open(&gan(Foreign::new()).file(NCHW));
    assert!(first.guesses[0].what.contains("[-1,1]") && first.guesses[0].what.contains("Tanh"));
    assert!(first.guesses[0].line.starts_with("range = \"[-1,1]\""));
    assert_eq!((first.generator.multiple(), first.generator.halo()), (2, None));
    let turned = gan(Foreign::new().op("Transpose", &[], vec![ints("perm", &[0, 3, 1, 2])]));
    let mut last = open(&turned.op("Transpose", &[], vec![ints("perm", &[0, 2, 3, 1])]).file(NHWC));
    for size in [Size::new(37, 29), Size::new(1, 1), Size::new(20, 44)] {
        let picture = drawn(&mut first, size);
        assert!(picture == drawn(&mut last, size));
        assert!(picture.iter().max() > picture.iter().min(), "{size}");
    }
}

#[test]
fn what_a_card_states_is_not_guessed() {
    let file = gan(Foreign::new()).file([0; 4]);
    let stated = Stated { layout: Some(Layout::Nchw), range: Some(Range::Unit), multiple: Some(8) };
    let loaded = load(&file, stated, Options::threads(1)).unwrap();
    assert_eq!((loaded.guesses.len(), loaded.generator.multiple()), (0, 8));
    let stated = Stated { layout: Some(Layout::Nhwc), ..Stated::default() };
    assert!(
        load(&gan(Foreign::new()).file(NCHW), stated, Options::threads(1)).err().unwrap().to_string().contains("NHWC")
    );
}

#[test]
fn ranges_are_told_from_the_arithmetic_or_from_a_test_picture() {
    assert_eq!(open(&local().file(NCHW)).guesses, []);
    let unit = Foreign::new().conv(3, 4, 3, 1).conv(4, 3, 3, 1).op("Sigmoid", &[], vec![]);
    assert!(open(&unit.file(NCHW)).guesses[0].what.contains("[0,1]"));
    let bytes = Foreign::new().conv(3, 3, 1, 1).number("Mul", 40.0).number("Add", 128.0);
    let guess = &open(&bytes.file(NCHW)).guesses[0].what;
    assert!(guess.contains("[0,255]") && guess.contains("test picture"), "{guess}");
}

#[test]
fn a_network_of_one_size_takes_every_picture() {
    // One whose reach would be known, if it took pictures as they are.
    let local = open(&Foreign::new().conv(3, 3, 3, 1).op("Sigmoid", &[], vec![]).file([1, 3, 24, 40]));
    assert_eq!(local.generator.halo(), None, "its tiles would show");
    let mut loaded = open(&gan(Foreign::new()).file([1, 3, 24, 40]));
    assert!(loaded.remarks[0].contains("40x24"));
    for size in [Size::new(40, 24), Size::new(13, 9), Size::new(99, 50), Size::new(3, 200)] {
        let picture = drawn(&mut loaded, size);
        assert!(picture.iter().max() > picture.iter().min(), "{size}");
    }
}

#[test]
fn a_change_reaches_no_further_than_the_halo() {
    let mut loaded = open(&local().file(NCHW));
    let halo = loaded.generator.halo().unwrap() as usize;
    assert_eq!(loaded.generator.multiple(), 4);
    let size = Size::new(96, 96);
    for place in [40, 41, 42, 43] {
        let (mut a, mut b) = (vec![0; size.rgb_len()], vec![0; size.rgb_len()]);
        let mut pixels = vec![100; size.rgb_len()];
        loaded.generator.run(&pixels, size, &mut a).unwrap();
        pixels[(place * 96 + place) * 3..][..3].copy_from_slice(&[255, 0, 255]);
        loaded.generator.run(&pixels, size, &mut b).unwrap();
        let changed = (0..size.area()).filter(|p| a[p * 3..p * 3 + 3] != b[p * 3..p * 3 + 3]);
        let reach = changed.map(|p| (p % 96).abs_diff(place).max((p / 96).abs_diff(place))).max().unwrap();
        // At the far end of the halo the weights' product is too small to move a byte.
        assert!((1..=halo).contains(&reach), "{reach} of {halo}");
    }
}

#[test]
fn what_looks_at_the_whole_picture_has_no_halo() {
    let aligned = Foreign::new().conv(3, 4, 3, 2).enlarge("linear", "align_corners").conv(4, 3, 3, 1);
    assert_eq!(open(&aligned.file(NCHW)).generator.halo(), None);
}

#[test]
fn networks_that_draw_no_pictures_are_refused() {
    let half = Foreign::new().conv(3, 3, 3, 2).file(NCHW);
    assert!(refused(&half).contains("a style gives 3 channels at the size it was given"), "{}", refused(&half));
    let grey = Foreign::new().conv(1, 1, 3, 1).file([1, 1, 0, 0]);
    assert!(refused(&grey).contains("takes a picture of 1 channels"), "{}", refused(&grey));
    let unclear = Foreign::new().number("Mul", 2.0).file([0; 4]);
    assert!(refused(&unclear).contains("layout ="), "{}", refused(&unclear));
    let mismatch = Foreign::new().conv(5, 3, 3, 1).file(NCHW);
    assert!(refused(&mismatch).contains("cannot be run"), "{}", refused(&mismatch));
    let mut grown = Foreign::new();
    let (column, row) = (grown.constant(&[9000, 1], vec![1.0; 9000]), grown.constant(&[1, 9000], vec![1.0; 9000]));
    grown.last = column;
    let mut grown = grown.op("Neg", &[], vec![]).op("Mul", &[&row], vec![]).op("ReduceMax", &[], vec![]);
    let peak = std::mem::replace(&mut grown.last, "in".into());
    let grown = grown.op("Add", &[&peak], vec![]).file(NCHW);
    assert!(refused(&grown).contains("from constants alone"), "{}", refused(&grown));
    let wide = Foreign::new().conv(3, 3, 3, 1).file([1, 3, 0, 64]);
    assert!(refused(&wide).contains("fixes one side"), "{}", refused(&wide));
}

#[test]
fn a_very_long_chain_does_not_overflow_the_stack() {
    let mut net = Foreign::new().conv(3, 3, 1, 1);
    for _ in 0..500 {
        net = net.op("Relu", &[], vec![]);
    }
    drawn(&mut open(&net.file(NCHW)), Size::new(8, 8));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_errors_or_networks(
        own in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut file = if own {
            FloatNetwork::random(Topology::two_scale_with(1, 1, 1), 1).to_qdq_onnx().unwrap()
        } else {
            gan(Foreign::new()).file(NCHW)
        };
        for (place, value) in changes {
            let place = place.index(file.len());
            file[place] = value;
        }
        if let Ok(mut loaded) = load(&file, Stated::default(), Options::threads(1)) {
            let size = Size::new(9, 7);
            let _ = loaded.generator.run(&photo(size), size, &mut vec![0; size.rgb_len()]);
        }
    }
}
