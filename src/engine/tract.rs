//! A network run by tract as it stands in its file, in floats: slow and independent.

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{Cost, DimLike};
use tract_onnx::tract_core::knobs::KnobScope;
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact, InferenceModel, InferenceModelExt};
use tract_onnx::tract_hir::ops::expandable::expand;

use super::Generator;
use super::form::{Layout, Range};
use super::fused_op::FusedOp;
use super::guard::{guarded, silence_this_thread};
use super::person::Person;
use super::region::{Region, mix};
use crate::error::{Error, Result};
use crate::frame::Size;
use crate::host;
use crate::pixels::pad::pad_edges;
use crate::pixels::resize::{Filter, Scaler};

/// The most elements of any tensor while a picture is computed: 1 GiB of floats.
const MAX_ELEMENTS: usize = 1 << 28;
/// Sizes whose plans are kept: a live stream needs one, a picture in tiles up to four.
const KEPT_PLANS: usize = 4;

/// How a network is to be fed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) input_layout: Layout,
    pub(super) output_layout: Layout,
    /// 3, or 4 with a person mask.
    pub(super) output_channels: usize,
    pub(super) input_range: Range,
    pub(super) output_range: Range,
    /// Sides are multiples of this.
    pub(super) multiple: u32,
    /// The only size that the network takes.
    pub(super) fixed: Option<Size>,
    pub(super) halo: Option<u32>,
}

/// What the node is called, and its operator, that stands for a fused part.
pub(super) const FUSED_NODE: &str = "nijigen.fused";

/// A network in tract.
pub(super) struct TractGenerator {
    network: Network,
    form: Form,
    executor: Option<multithread::Executor>,
    /// Most recently used first.
    plans: Vec<(Size, Arc<TypedRunnableModel>)>,
    /// Multiply-accumulates of a picture of the second component's area.
    cost: (u64, u64),
    engine: &'static str,
    region: Region,
}

/// A parsed network whose input may still have any size.
#[derive(Clone)]
pub(super) struct Network {
    model: InferenceModel,
}

/// The shapes in a network for one size of its input.
pub(super) struct Shapes {
    pub(super) output: Vec<i64>,
    /// Rows of every tensor of four dimensions, read as `[1, channels, rows, columns]`.
    pub(super) heights: HashMap<String, i64>,
}

impl Network {
    /// Parses `proto`, whose node [`FUSED_NODE`], where there is one, is computed by `fused`.
    pub(super) fn parse(
        proto: &tract_onnx::pb::ModelProto,
        fused: Option<FusedOp>,
    ) -> std::result::Result<Self, String> {
        guarded(|| {
            let mut parsed = onnx().with_ignore_value_info(true).parse(proto, None)?;
            if let Some(name) = parsed.unresolved_inputs.first() {
                return Err(TractError::msg(format!("it reads a tensor '{name}' that nothing gives")));
            }
            let place = parsed.model.nodes.iter_mut().find(|node| node.name == FUSED_NODE);
            if let Some((node, op)) = place.zip(fused) {
                node.op = expand(op);
            }
            Ok(Self { model: parsed.model })
        })
    }

    /// The network for an input of `shape`.
    fn fixed(&self, shape: [usize; 4]) -> TractResult<InferenceModel> {
        let input: InferenceFact = f32::fact(shape).into();
        self.model.clone().with_input_fact(0, input)?.with_output_fact(0, InferenceFact::default())
    }

    /// What every tensor measures for an input of `shape`.
    pub(super) fn shapes(&self, shape: [usize; 4]) -> std::result::Result<Shapes, String> {
        guarded(|| {
            let mut model = self.fixed(shape)?;
            model.analyse(false)?;
            let concrete = |fact: &InferenceFact| -> Option<Vec<i64>> {
                let dims = fact.shape.concretize()?;
                dims.iter().map(|dim| dim.to_i64().ok()).collect()
            };
            let output =
                concrete(model.output_fact(0)?).ok_or_else(|| TractError::msg("its output has no fixed size"))?;
            let heights = model
                .outlet_labels
                .iter()
                .filter_map(|(outlet, name)| {
                    let shape = concrete(model.outlet_fact(*outlet).ok()?)?;
                    (shape.len() == 4).then(|| (name.clone(), shape[2]))
                })
                .collect();
            Ok(Shapes { output, heights })
        })
    }

    fn typed(&self, shape: [usize; 4]) -> TractResult<TypedModel> {
        let model = self.fixed(shape)?.into_typed()?;
        for node in model.nodes() {
            for output in &node.outputs {
                let elements = output.fact.shape.volume().to_usize().unwrap_or(usize::MAX);
                if elements > MAX_ELEMENTS {
                    return Err(TractError::msg("it needs more memory than 1 GiB for one step"));
                }
            }
        }
        Ok(model)
    }

    /// Multiply-accumulates for an input of `shape`.
    fn macs(&self, shape: [usize; 4]) -> TractResult<u64> {
        let model = self.typed(shape)?;
        let mut sum = 0;
        for node in model.nodes() {
            let inputs = model.node_input_facts(node.id)?;
            for (cost, count) in node.op.cost(&inputs)? {
                if matches!(cost, Cost::FMA(_)) {
                    sum += u64::try_from(count.to_i64()?).unwrap_or(0);
                }
            }
        }
        Ok(sum)
    }
}

impl TractGenerator {
    /// Makes a generator that runs on `threads` threads, and tries it once for errors on the smallest usual size.
    pub(super) fn new(network: Network, form: Form, threads: usize) -> std::result::Result<Self, String> {
        let size = form.fixed.unwrap_or_else(|| Size::new(64, 64).round_up(form.multiple));
        let macs = guarded(|| network.macs(form.input_layout.shape(size.height as usize, size.width as usize)))?;
        let executor = (threads > 1).then(|| pool(threads)).transpose()?;
        Ok(Self {
            network,
            form,
            executor,
            plans: Vec::new(),
            cost: (macs, size.area() as u64),
            engine: "tract",
            region: Region::All,
        })
    }

    /// The same network, of which a part is fused.
    pub(super) fn partly_fused(self) -> Self {
        Self { engine: "tract+fused", ..self }
    }

    /// The same network, read otherwise.
    pub(super) fn set_ranges(&mut self, input: Range, output: Range) {
        (self.form.input_range, self.form.output_range) = (input, output);
    }

    /// Runs the network on a picture of a size that it takes; returns its output as it is.
    pub(super) fn raw(&mut self, pixels: &[u8], size: Size) -> std::result::Result<Tensor, String> {
        let result = guarded(|| {
            let plan = self.plan(size)?;
            let input = self.input(pixels, size)?;
            let mut output = plan.run(tvec!(input.into()))?;
            let output = output.pop().ok_or_else(|| TractError::msg("it gave nothing"))?.into_tensor();
            let Form { output_layout, output_channels, .. } = self.form;
            let expected = output_layout.shape_of(output_channels, size.height as usize, size.width as usize);
            if output.datum_type() != f32::datum_type() || output.shape() != expected {
                return Err(TractError::msg(format!("it gave {:?} instead of {expected:?}", output.shape())));
            }
            Ok(output)
        });
        if result.is_err() {
            // After a panic nothing is known of the plan's state.
            self.plans.clear();
        }
        result
    }

    fn plan(&mut self, size: Size) -> TractResult<Arc<TypedRunnableModel>> {
        match self.plans.iter().position(|(known, _)| *known == size) {
            Some(index) => self.plans[..=index].rotate_right(1),
            None => {
                let shape = self.form.input_layout.shape(size.height as usize, size.width as usize);
                let options = RunOptions { executor: self.executor.clone(), ..RunOptions::default() };
                // The matrix product is faster than the direct convolution on every network tried (design document).
                let knobs = KnobScope::new([("TRACT_DISABLE_DIRECT_SPATIAL", "true")])?;
                let plan = knobs.enter(|| {
                    TypedRunnableModel::new_with_options(self.network.typed(shape)?.into_optimized()?, &options)
                })?;
                self.plans.truncate(KEPT_PLANS - 1);
                self.plans.insert(0, (size, plan));
            }
        }
        Ok(Arc::clone(&self.plans[0].1))
    }

    fn input(&self, pixels: &[u8], size: Size) -> TractResult<Tensor> {
        let (width, height) = (size.width as usize, size.height as usize);
        let table: Vec<f32> = (0..=255).map(|byte| self.form.input_range.float(byte)).collect();
        let float = |byte: u8| table[usize::from(byte)];
        let mut tensor = Tensor::zero::<f32>(&self.form.input_layout.shape(height, width))?;
        let mut view = tensor.try_as_plain_ram_mut()?;
        let values = view.as_slice_mut::<f32>()?;
        match self.form.input_layout {
            Layout::Nhwc => values.iter_mut().zip(pixels).for_each(|(value, byte)| *value = float(*byte)),
            Layout::Nchw => {
                for (channel, plane) in values.chunks_exact_mut(width * height).enumerate() {
                    plane.iter_mut().zip(pixels.as_chunks::<3>().0).for_each(|(v, rgb)| *v = float(rgb[channel]));
                }
            }
        }
        Ok(tensor)
    }

    /// Runs the network on a picture of a size that it takes; `show` gets what it draws.
    fn draw(&mut self, pixels: &[u8], size: Size, show: impl FnOnce(&Drawn<'_>)) -> std::result::Result<(), String> {
        let tensor = self.raw(pixels, size)?;
        let Form { output_range: range, output_layout, output_channels: channels, .. } = self.form;
        guarded(|| {
            let view = tensor.try_as_plain_ram()?;
            let (per_channel, per_pixel) = match output_layout {
                Layout::Nhwc => (1, channels),
                Layout::Nchw => (size.area(), 1),
            };
            let values = view.as_slice::<f32>()?;
            show(&Drawn { values, range, width: size.width as usize, per_channel, per_pixel });
            Ok(())
        })
    }

    /// Runs the network on a picture of a size that it takes, into `output`, whose rows are cropped to `cropped`.
    fn run_padded(
        &mut self,
        pixels: &[u8],
        size: Size,
        cropped: Size,
        output: &mut [u8],
    ) -> std::result::Result<(), String> {
        let region = self.region();
        let mut person = Person::default();
        let width = size.width as usize;
        self.draw(pixels, size, |drawn| {
            if region != Region::All {
                person.find(cropped, |y, x| drawn.byte(y, x, 3));
            }
            for (y, row) in output.chunks_exact_mut(cropped.width as usize * 3).enumerate() {
                for (x, rgb) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                    *rgb = [0, 1, 2].map(|channel| drawn.byte(y, x, channel));
                    if region != Region::All {
                        let photo = &pixels[(y * width + x) * 3..];
                        let share = region.share(person.at(y, x, drawn.byte(y, x, 3)));
                        *rgb = mix([photo[0], photo[1], photo[2]], *rgb, share);
                    }
                }
            }
        })
    }

    /// Scales the picture to fit the only size that the network takes, and back.
    fn run_fixed(&mut self, pixels: &[u8], size: Size, fixed: Size, output: &mut [u8]) -> Result<()> {
        let fitted = size.fit_within(fixed);
        if fitted == size {
            let padded = pad_edges(pixels, size, fixed);
            return self.run_padded(&padded, fixed, size, output).map_err(|why| failed(size, &why));
        }
        let mut scaler = Scaler::new(Filter::Lanczos);
        let mut small = vec![0; fitted.rgb_len()];
        scaler.scale(pixels, size, &mut small, fitted)?;
        let padded = pad_edges(&small, fitted, fixed);
        let mut drawn = vec![0; fitted.rgb_len()];
        self.run_padded(&padded, fixed, fitted, &mut drawn).map_err(|why| failed(size, &why))?;
        scaler.scale(&drawn, fitted, output, size)
    }
}

/// What a network draws: a picture, and beside it maybe how certain it is of a person.
struct Drawn<'a> {
    values: &'a [f32],
    range: Range,
    width: usize,
    /// From one value of a pixel to the next, and from one pixel to the next.
    per_channel: usize,
    per_pixel: usize,
}

impl Drawn<'_> {
    fn byte(&self, y: usize, x: usize, channel: usize) -> u8 {
        self.range.byte(self.values[(y * self.width + x) * self.per_pixel + channel * self.per_channel])
    }
}

fn failed(size: Size, why: &str) -> Error {
    Error::Style(format!("the style failed on a picture of {size}: {why}"))
}

/// A pool of exactly `threads` threads. (tract's own constructor takes every core for one thread.)
fn pool(threads: usize) -> std::result::Result<multithread::Executor, String> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("engine-{index}"))
        .start_handler(|_| silence_this_thread())
        .build()
        .map(|pool| multithread::Executor::MultiThread(Arc::new(pool)))
        .map_err(|error| format!("{threads} threads cannot be started: {error}"))
}

impl Generator for TractGenerator {
    fn run(&mut self, input: &[u8], size: Size, output: &mut [u8]) -> Result<()> {
        if let Some(fixed) = self.form.fixed {
            return self.run_fixed(input, size, fixed, output);
        }
        let padded_size = size.round_up(self.form.multiple);
        let padded = pad_edges(input, size, padded_size);
        self.run_padded(&padded, padded_size, size, output).map_err(|why| failed(size, &why))
    }

    fn macs(&self, size: Size) -> u64 {
        let (macs, area) = self.cost;
        let padded = self.form.fixed.unwrap_or_else(|| size.round_up(self.form.multiple));
        (u128::from(macs) * padded.area() as u128 / u128::from(area)) as u64
    }

    fn engine(&self) -> &'static str {
        self.engine
    }

    fn isa(&self) -> &'static str {
        host::isa()
    }

    fn halo(&self) -> Option<u32> {
        self.form.halo
    }

    fn multiple(&self) -> u32 {
        self.form.multiple
    }

    fn has_person_mask(&self) -> bool {
        self.form.output_channels == 4
    }

    fn set_region(&mut self, region: Region) {
        self.region = region;
    }

    fn region(&self) -> Region {
        if self.has_person_mask() { self.region } else { Region::All }
    }

    fn person_mask(&mut self, input: &[u8], size: Size) -> Result<Option<Vec<u8>>> {
        // A network of a fixed size does not see the picture as it is.
        if !self.has_person_mask() || self.form.fixed.is_some() {
            return Ok(None);
        }
        let padded_size = size.round_up(self.form.multiple);
        let padded = pad_edges(input, size, padded_size);
        let mut mask = Vec::new();
        let find = |drawn: &Drawn<'_>| mask = Person::default().mask(size, |y, x| drawn.byte(y, x, 3));
        let done = self.draw(&padded, padded_size, find);
        done.map(|()| Some(mask)).map_err(|why| failed(size, &why))
    }
}
