//! From the bytes of an ONNX file to a generator, whoever made it.

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use tract_onnx::prelude::Tensor;

use super::form::{self, Layout, Range, Shown};
use super::fused::FusedGenerator;
use super::fused_op::FusedOp;
use super::graph::{Graph, called, declared_shape};
use super::guard::guarded;
use super::kernels::Isa;
use super::lower::{Lowered, lower};
use super::mix::mix;
use super::tract::{FUSED_NODE, Form, Network, TractGenerator};
use super::{Generator, checks, field};
use crate::error::{Error, Result};
use crate::frame::Size;

/// What a card says of how its network is to be fed; what is absent is guessed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stated {
    /// Order of dimensions.
    pub layout: Option<Layout>,
    /// What black and white are.
    pub range: Option<Range>,
    /// Sides are multiples of this.
    pub multiple: Option<u32>,
}

/// What computes a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    /// The fused engine, as far as it takes the network; tract for the rest.
    #[default]
    Auto,
    /// The fused engine alone.
    Fused,
    /// tract alone, in floats.
    Tract,
}

/// How a network is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Worker threads, at least 1.
    pub threads: usize,
    /// What computes it.
    pub engine: Which,
    /// The fused engine's instruction set; `None` for the best one that the processor has.
    pub isa: Option<Isa>,
}

impl Options {
    /// The fastest way there is, on `threads` threads.
    pub fn threads(threads: usize) -> Self {
        Self { threads, engine: Which::Auto, isa: None }
    }
}

/// A network ready to run, and what is worth saying about it.
pub struct Loaded {
    /// The network.
    pub generator: Box<dyn Generator>,
    /// What was guessed.
    pub guesses: Vec<Guess>,
    /// What else its user should know, as sentences.
    pub remarks: Vec<String>,
    /// Why it is not, or not wholly, run by the fused engine: names the operator that stands in the way.
    pub obstacle: Option<String>,
}

/// Something that the file does not say for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    /// What was taken for granted, and why: goes on from "guessed …".
    pub what: String,
    /// The line of a card that would state it.
    pub line: String,
}

/// Loads a network from the bytes of an ONNX file.
///
/// # Errors
/// [`Error::Style`] with a clause that goes on from "the style NAME …".
pub fn load(onnx: &[u8], stated: Stated, options: Options) -> Result<Loaded> {
    load_checked(onnx, stated, options).map_err(Error::Style)
}

fn load_checked(onnx: &[u8], stated: Stated, options: Options) -> std::result::Result<Loaded, String> {
    let model = checks::parse(onnx)?;
    let network = Network::parse(&model, None).map_err(cannot_run)?;
    let proto = model.graph.as_ref().ok_or("holds no network")?;
    let graph = Graph::new(proto);
    let (input, output) = ends(&graph)?;
    let layout = layout(&graph, input, stated)?;
    let fused = match options.engine {
        Which::Tract => Err("tract was asked for".into()),
        _ => lower(&graph).and_then(|lowered| Fused::new(lowered, options)),
    };
    let (part, obstacle) = match fused {
        Ok(fused) => match fused.whole(&graph, (&input.name, &output.name), layout, stated) {
            Ok(fused) => {
                fused.check_shapes(&network)?;
                let generator = Box::new(fused.generator);
                return Ok(Loaded { generator, guesses: Vec::new(), remarks: Vec::new(), obstacle: None });
            }
            Err(not_whole) => {
                let (fused, obstacle) = *not_whole;
                match fused.within(&model) {
                    Ok(part) => (Some(part), obstacle),
                    Err(why) => (None, why),
                }
            }
        },
        Err(why) => (None, why),
    };
    if options.engine == Which::Fused {
        return Err(format!("cannot be run by the fused engine alone: {obstacle}"));
    }
    let fixed = fixed_size(input, layout)?;
    let multiple = match (fixed, stated.multiple) {
        (Some(_), _) => 1,
        (None, Some(multiple)) => multiple,
        (None, None) => find_multiple(&network, layout)?,
    };
    // Large enough that every scale within the network is a whole fraction of it.
    let side = 64 * multiple as usize;
    let (height, width) = fixed.map_or((side, side), |size| (size.height as usize, size.width as usize));
    let shapes = network.shapes(layout.shape(height, width)).map_err(cannot_run)?;
    let (output_layout, output_channels) = output_form(&shapes.output, layout, height, width)?;
    let field = field::reach(&graph, &input.name, &output.name, &shapes.heights);
    let shown = (form::input_range(&graph, &input.name), form::output_range(&graph, &output.name));
    let form = Form {
        input_layout: layout,
        output_layout,
        output_channels,
        input_range: Range::Signed,
        output_range: Range::Signed,
        multiple: field.map_or(multiple, |field| common_multiple(multiple, field.coarsest)),
        fixed,
        // A tile would be scaled to the fixed size by itself: its border would show.
        halo: field.filter(|_| fixed.is_none()).map(|field| field.halo),
    };
    let is_partly_fused = part.is_some();
    let mut generator = TractGenerator::new(part.unwrap_or(network), form, options.threads).map_err(cannot_run)?;
    if is_partly_fused {
        generator = generator.partly_fused();
    }
    let ranges = Ranges::settle(&mut generator, stated.range, shown, fixed, form.multiple)?;
    generator.set_ranges(ranges.input, ranges.output);
    let remarks = fixed.map(|size| format!("it takes pictures of {size} only: others are scaled to fit and back"));
    Ok(Loaded {
        generator: Box::new(generator),
        guesses: ranges.guess.into_iter().collect(),
        remarks: remarks.into_iter().collect(),
        obstacle: Some(obstacle),
    })
}

/// Loads a mixture of networks, each from the bytes of its ONNX file and with its share (above 0). All of them must be such
/// that the fused engine runs them as a whole.
///
/// # Errors
/// [`Error::Style`] with a clause that goes on from "the styles NAME and NAME …".
pub fn load_mixed(files: &[(&[u8], f32)], options: Options) -> Result<Box<dyn Generator>> {
    let read = |onnx: &[u8]| {
        let model = checks::parse(onnx)?;
        let graph = Graph::new(model.graph.as_ref().ok_or("holds no network")?);
        let (input, output) = ends(&graph)?;
        let lowered =
            lower(&graph).map_err(|why| format!("cannot be mixed, since one is not quantized as ours: {why}"))?;
        if (&lowered.input, &lowered.output) != (&input.name, &output.name) {
            return Err("cannot be mixed, since one has steps around its generator".to_owned());
        }
        Ok(lowered.network)
    };
    let mixed = || -> std::result::Result<Box<dyn Generator>, String> {
        if options.engine == Which::Tract {
            return Err("are mixed by the fused engine alone: leave --engine out".into());
        }
        let networks = files.iter().map(|(onnx, _)| read(onnx)).collect::<std::result::Result<Vec<_>, _>>()?;
        let parts: Vec<_> = networks.iter().zip(files).map(|(network, (_, share))| (network, *share)).collect();
        let network = mix(&parts).map_err(|why| format!("cannot be mixed: {why}"))?;
        let isa = options.isa.unwrap_or_else(Isa::best);
        let generator = FusedGenerator::new(&network, isa, options.threads).map_err(|error| error.to_string())?;
        Ok(Box::new(generator))
    };
    mixed().map_err(Error::Style)
}

/// A generator found in a file, ready to run.
struct Fused {
    generator: FusedGenerator,
    lowered: Lowered,
}

impl Fused {
    fn new(lowered: Lowered, options: Options) -> std::result::Result<Self, String> {
        let isa = options.isa.unwrap_or_else(Isa::best);
        let generator =
            FusedGenerator::new(&lowered.network, isa, options.threads).map_err(|error| error.to_string())?;
        Ok(Self { generator, lowered })
    }

    /// Itself where it is all that the file holds, and is fed as the file says; else what there is besides.
    fn whole(
        self,
        graph: &Graph<'_>,
        (input, output): (&str, &str),
        layout: Layout,
        stated: Stated,
    ) -> std::result::Result<Self, Box<(Self, String)>> {
        let stands = |node: Option<&NodeProto>, otherwise: &str, place: &str| {
            let what = node.map_or_else(|| otherwise.to_owned(), called);
            format!("{what} stands {place} the generator")
        };
        let obstacle = if self.lowered.input != input {
            stands(graph.producer(&self.lowered.input), "a picture of the file's own", "before")
        } else if self.lowered.output != output {
            stands(graph.consumers(&self.lowered.output).next(), "nothing", "behind")
        } else if layout != Layout::Nchw || stated.range.is_some_and(|range| range != Range::Unit) {
            "its card says that it is fed otherwise".into()
        } else if stated.multiple.is_some_and(|multiple| multiple != self.generator.multiple()) {
            "its card states another multiple".into()
        } else {
            return Ok(self);
        };
        Err(Box::new((self, obstacle)))
    }

    /// What tract makes of the same file must have the same form.
    fn check_shapes(&self, network: &Network) -> std::result::Result<(), String> {
        let side = 4 * self.generator.multiple() as usize;
        let shapes = network.shapes(Layout::Nchw.shape(side, side)).map_err(cannot_run)?;
        let side = side as i64;
        match shapes.output[..] {
            [1, 3 | 4, height, width] if (height, width) == (side, side) => Ok(()),
            _ => Err(size_changed(&shapes.output, side as usize, side as usize)),
        }
    }

    /// The rest of the file with this generator as one of its operators.
    fn within(self, model: &ModelProto) -> std::result::Result<Network, String> {
        let Lowered { input, output, nodes, network } = self.lowered;
        let mut model = model.clone();
        let graph = model.graph.as_mut().ok_or("it holds no network")?;
        let channels = network.topology.tensors()?.last().map_or(0, |tensor| tensor.channels);
        if channels != 3 {
            return Err(format!("the generator within it gives {channels} channels"));
        }
        let inside = |node: &NodeProto| node.output.first().is_some_and(|name| nodes.contains(name));
        let used: Vec<&String> = graph.node.iter().filter(|node| !inside(node)).flat_map(|node| &node.input).collect();
        let ends = graph.output.iter().map(|output| &output.name);
        if let Some(name) = used.into_iter().chain(ends).find(|name| nodes.contains(*name) && **name != output) {
            return Err(format!("'{name}' within the generator is read by something else as well"));
        }
        if graph.node.iter().any(|node| node.name == FUSED_NODE) {
            return Err(format!("it has an operator named {FUSED_NODE}"));
        }
        let is_end = graph.output.iter().any(|end| end.name == output);
        if !is_end && !graph.node.iter().any(|node| node.input.contains(&output)) {
            return Err("the generator within it leads nowhere".into());
        }
        graph.node.retain(|node| !inside(node));
        graph.node.push(NodeProto {
            op_type: FUSED_NODE.into(),
            name: FUSED_NODE.into(),
            input: vec![input],
            output: vec![output],
            ..NodeProto::default()
        });
        Network::parse(&model, Some(FusedOp::new(self.generator))).map_err(cannot_run)
    }
}

fn cannot_run(why: String) -> String {
    format!("cannot be run: {why}")
}

fn ends<'a>(graph: &Graph<'a>) -> std::result::Result<(&'a ValueInfoProto, &'a ValueInfoProto), String> {
    let proto: &'a GraphProto = graph.proto;
    graph.inputs().next().zip(proto.output.first()).ok_or_else(|| "has no input or no output".into())
}

fn layout(graph: &Graph, input: &ValueInfoProto, stated: Stated) -> std::result::Result<Layout, String> {
    let declared = form::declared_layout(input);
    if let (Some(stated), Some(declared)) = (stated.layout, declared)
        && stated != declared
    {
        return Err(format!("takes its picture as {}, its card says {}", declared.name(), stated.name()));
    }
    let channels = declared_shape(input).filter(|shape| shape.len() == 4).map(|shape| (shape[1], shape[3]));
    let wrong = match channels {
        Some((Some(first), Some(last))) if first != 3 && last != 3 => Some(format!("{first} (or {last})")),
        // Too few for a height, so that it can only be the channels.
        Some((Some(few @ (1 | 2 | 4)), None) | (None, Some(few @ (1 | 2 | 4)))) => Some(few.to_string()),
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Err(format!("takes a picture of {wrong} channels; a style takes 3"));
    }
    stated.layout.or(declared).or_else(|| form::layout_by_use(graph, &input.name)).ok_or_else(|| {
        "does not say in which order it takes a picture: write layout = \"NCHW\" or \"NHWC\" into a TOML file of the \
         same name beside it"
            .into()
    })
}

fn fixed_size(input: &ValueInfoProto, layout: Layout) -> std::result::Result<Option<Size>, String> {
    let Some(shape) = declared_shape(input).filter(|shape| shape.len() == 4) else { return Ok(None) };
    match layout.sides().map(|axis| shape[axis]) {
        [None, None] => Ok(None),
        [Some(height), Some(width)] => Ok(Some(Size::new(width as u32, height as u32))),
        _ => Err("fixes one side of its pictures and leaves the other free, which is not taken".into()),
    }
}

/// The smallest multiple at which what comes out has the size of what goes in.
fn find_multiple(network: &Network, layout: Layout) -> std::result::Result<u32, String> {
    let mut first_error = None;
    for multiple in [1, 2, 4, 8, 16, 32, 64] {
        // Odd factors: a network that needs more than this multiple shows it.
        let odd = (64_usize.div_ceil(multiple)) | 1;
        let (height, width) = (odd * multiple, (odd + 2) * multiple);
        match network.shapes(layout.shape(height, width)) {
            Ok(shapes) if has_size(&shapes.output, height, width) => return Ok(multiple as u32),
            Ok(shapes) => first_error = Some(size_changed(&shapes.output, height, width)),
            Err(why) => first_error = Some(cannot_run(why)),
        }
    }
    Err(first_error.unwrap_or_default())
}

fn has_size(output: &[i64], height: usize, width: usize) -> bool {
    output_form(output, Layout::Nchw, height, width).is_ok()
}

/// The order of the output's dimensions, and its channels: 3, or 4 with a person mask.
fn output_form(
    output: &[i64],
    preferred: Layout,
    height: usize,
    width: usize,
) -> std::result::Result<(Layout, usize), String> {
    let other = if preferred == Layout::Nchw { Layout::Nhwc } else { Layout::Nchw };
    let forms = [preferred, other].into_iter().flat_map(|layout| [(layout, 3), (layout, 4)]);
    let is =
        |(layout, channels): &(Layout, usize)| layout.shape_of(*channels, height, width).map(|d| d as i64) == output;
    forms.into_iter().find(is).ok_or_else(|| size_changed(output, height, width))
}

fn size_changed(output: &[i64], height: usize, width: usize) -> String {
    format!("gives {output:?} for a picture of {width}x{height}; a style gives 3 channels at the size it was given")
}

/// The smallest number that both divide.
pub(crate) fn common_multiple(a: u32, b: u32) -> u32 {
    let (mut x, mut y) = (a.max(1), b.max(1));
    let product = x * y;
    while y != 0 {
        (x, y) = (y, x % y);
    }
    product / x
}

/// What black and white are, in and out.
struct Ranges {
    input: Range,
    output: Range,
    guess: Option<Guess>,
}

impl Ranges {
    fn settle(
        generator: &mut TractGenerator,
        stated: Option<Range>,
        shown: (Option<Shown>, Option<Shown>),
        fixed: Option<Size>,
        multiple: u32,
    ) -> std::result::Result<Self, String> {
        if let Some(range) = stated {
            return Ok(Self { input: range, output: range, guess: None });
        }
        let guess = |input: Range, why: &str| {
            let names: Vec<_> = [Range::Unit, Range::Signed, Range::Bytes]
                .into_iter()
                .filter(|other| *other != input)
                .map(|other| format!("\"{}\"", other.name()))
                .collect();
            Some(Guess {
                what: format!("that black to white are {} ({why})", input.name()),
                line: format!("range = \"{}\" (or {})", input.name(), names.join(", ")),
            })
        };
        match shown {
            (Some(input), Some(output)) => {
                let sure = input.certain && output.certain;
                let guess = if sure { None } else { guess(output.range, output.by) };
                Ok(Self { input: input.range, output: output.range, guess })
            }
            (None, Some(output)) => {
                Ok(Self { input: output.range, output: output.range, guess: guess(output.range, output.by) })
            }
            (input, None) => {
                let size = fixed.unwrap_or_else(|| Size::new(96, 96).round_up(multiple));
                let tried = input.map_or(Range::Signed, |shown| shown.range);
                let mut output = drawn_range(generator, size, tried)?;
                let mut input = tried;
                // A network of [0,1] may still be tried with [-1,1] without showing it: what counts is what it gives.
                if shown.0.is_none() && output != tried {
                    output = drawn_range(generator, size, output)?;
                    input = output;
                }
                Ok(Self { input, output, guess: guess(output, "that is what it drew of a test picture") })
            }
        }
    }
}

/// The range of what the network draws of a picture of all colours, given in `range`.
fn drawn_range(generator: &mut TractGenerator, size: Size, range: Range) -> std::result::Result<Range, String> {
    generator.set_ranges(range, range);
    let (width, height) = (size.width.max(2) - 1, size.height.max(2) - 1);
    let picture: Vec<u8> = (0..size.height)
        .flat_map(|y| (0..size.width).map(move |x| [x * 255 / width, y * 255 / height, 255 - x * 255 / width]))
        .flatten()
        .map(|value| value as u8)
        .collect();
    let tensor = generator.raw(&picture, size).map_err(cannot_run)?;
    let (lowest, highest) = guarded(|| extremes(&tensor)).map_err(cannot_run)?;
    Ok(Range::of_values(lowest, highest))
}

/// The 2nd and the 98th percentile.
fn extremes(tensor: &Tensor) -> tract_onnx::prelude::TractResult<(f32, f32)> {
    let mut values = tensor.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
    values.sort_by(f32::total_cmp);
    let at = |share: usize| values.get(values.len() * share / 100).copied().unwrap_or(0.0);
    Ok((at(2), at(98)))
}

#[cfg(test)]
mod tests;
