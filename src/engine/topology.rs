//! The shape of a generator as trainer and engine agree on it: which 3×3 convolutions, at which scale, added to what.

use crate::engine::reach::Reach;
use crate::frame::Size;

/// One step: [space-to-depth] → 3×3 convolution (zero padding 1) → [depth-to-space] → [+ an earlier tensor] → ReLU.
///
/// The last layer of a [`Topology`] has no ReLU: it is the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerShape {
    /// The tensor it reads: 0 is the image, `i + 1` the output of layer `i`.
    pub input: usize,
    /// The block side of the space-to-depth (DCR order) before the convolution: 1 (none), 2 or 4.
    pub space_to_depth: usize,
    /// Input channels of the convolution, after space-to-depth.
    pub in_channels: usize,
    /// Output channels of the convolution, before depth-to-space.
    pub out_channels: usize,
    /// 1 or 2.
    pub stride: usize,
    /// The block side of the depth-to-space (DCR order) behind the convolution: 1 (none), 2 or 4.
    pub depth_to_space: usize,
    /// The earlier tensor (shortcut or skip) that is added before the ReLU.
    pub add: Option<usize>,
    /// Whether what it stores takes all eight bits of a byte instead of seven; a picture always does.
    pub eight_bits: bool,
}

impl LayerShape {
    /// A layer that only convolves, at stride 1.
    pub const fn convolution(input: usize, in_channels: usize, out_channels: usize) -> Self {
        Self {
            input,
            space_to_depth: 1,
            in_channels,
            out_channels,
            stride: 1,
            depth_to_space: 1,
            add: None,
            eight_bits: false,
        }
    }

    /// Channels of the tensor that the layer stores, after depth-to-space.
    pub fn stored_channels(&self) -> usize {
        self.out_channels / (self.depth_to_space * self.depth_to_space)
    }

    /// The number of weights: out × in × 3 × 3.
    pub fn weights(&self) -> usize {
        self.out_channels * self.in_channels * 9
    }

    /// Which weight of an output channel's `[in][3][3]` multiplies channel `c` of the tensor in front, at this position of
    /// the window on it: the window of 3b×3b positions that a space-to-depth by b makes of one of 3×3.
    pub fn weight_at(&self, row: usize, column: usize, c: usize) -> usize {
        let block = self.space_to_depth;
        let channels = self.in_channels / (block * block);
        let ic = (row % block * block + column % block) * channels + c;
        ic * 9 + row / block * 3 + column / block
    }
}

/// What is known of a tensor of a [`Topology`] without running it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorShape {
    /// Channels.
    pub channels: usize,
    /// Which pixels a position depends on; its sides are those of the padded image divided by `reach.scale`.
    pub reach: Reach,
}

impl TensorShape {
    /// Image pixels per position, a power of two.
    pub fn scale(&self) -> u32 {
        self.reach.scale as u32
    }
}

/// How large a student is, by its multiply-accumulates at 640×480.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StudentSize {
    /// 1.1 GMAC.
    S,
    /// 4.5 GMAC.
    M,
    /// 9.8 GMAC.
    L,
}

/// A generator's layers in the order in which they run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// At least one; the last one gives the image (3 or 4 channels).
    pub layers: Vec<LayerShape>,
}

/// The most channels of any tensor: sums of 9 × 1024 products of two bytes stay far within an i32.
const MAX_CHANNELS: usize = 1024;
/// The most layers, and the coarsest scale (1/64): sanity limits for topologies read from a file.
const MAX_LAYERS: usize = 256;
const MAX_SCALE: i64 = 64;
/// The most positions of its input by which a layer moves from one output to the next.
pub const MAX_STEP: usize = 4;

impl Topology {
    /// The student's network: two scales and a coarse one, output not added to the input, for a style draws anew
    /// (`r(x)` = ReLU(x + conv(x)), S2D and D2S by 2):
    /// ```text
    /// image 3 ─S2D→ 12 ─conv→ ReLU h = e                                            at 1/2
    /// e ─S2D→ 4h ─conv→ ReLU q → r → r = y                                          at 1/4
    /// y ─conv stride 2→ ReLU c → r → r → r → r ─conv→ 4q ─D2S→ q, + y, ReLU → r → r at 1/8, back at 1/4
    ///   ─conv→ 4h ─D2S→ h, + e, ReLU → r ─conv→ 12 ─D2S→ 3 = image                  back at 1/2, at 1
    /// ```
    /// `M` has h, q, c = 16, 48, 64.
    pub fn two_scale(size: StudentSize) -> Self {
        let (half, quarter, coarse) = match size {
            StudentSize::S => (8, 16, 48),
            StudentSize::M => (16, 48, 64),
            StudentSize::L => (32, 64, 96),
        };
        Self::two_scale_with(half, quarter, coarse)
    }

    /// [`Topology::two_scale`] with other channels (each at least 1) at 1/2, 1/4 and 1/8.
    pub fn two_scale_with(half: usize, quarter: usize, coarse: usize) -> Self {
        let mut net = Builder { layers: Vec::new() };
        let e = net.push(0, 12, half, LayerShape { space_to_depth: 2, ..PLAIN });
        let y = net.push(e, 4 * half, quarter, LayerShape { space_to_depth: 2, ..PLAIN });
        let y = net.residuals(y, quarter, 2);
        let c = net.push(y, quarter, coarse, LayerShape { stride: 2, ..PLAIN });
        let c = net.residuals(c, coarse, 4);
        let y = net.push(c, coarse, 4 * quarter, LayerShape { depth_to_space: 2, add: Some(y), ..PLAIN });
        let y = net.residuals(y, quarter, 2);
        let e = net.push(y, quarter, 4 * half, LayerShape { depth_to_space: 2, add: Some(e), ..PLAIN });
        let e = net.residuals(e, half, 1);
        net.push(e, half, 12, LayerShape { depth_to_space: 2, ..PLAIN });
        Self { layers: net.layers }
    }

    /// The same network with a fourth output channel beside red, green and blue: how certainly a pixel is of a person
    /// (0 to 1, in the picture's steps of 1/255). All else stays, so that the weights of one serve the other.
    #[must_use]
    pub fn with_person_mask(mut self) -> Self {
        if let Some(last) = self.layers.last_mut() {
            last.out_channels = last.out_channels / 3 * 4;
        }
        self
    }

    /// The same network without person mask, which gives what is to be added to the photo: `image + conv(…)` stands behind
    /// its last layer. What nothing is wrong with passes whole (as in DnCNN, Zhang et al. 2017, section III-B).
    #[must_use]
    pub fn as_residual(mut self) -> Self {
        if let Some(last) = self.layers.last_mut() {
            last.out_channels = last.out_channels / last.stored_channels() * 3;
            last.add = Some(0);
        }
        self
    }

    /// Whether the photo is added to what the last layer gives.
    pub fn is_residual(&self) -> bool {
        self.layers.last().is_some_and(|last| last.add == Some(0))
    }

    /// The same network with eight bits instead of seven for all that is stored. In 127 steps the noise of a picture, of one
    /// step of 255, comes out as one of two, and in each of the channels by itself, so that what stands still flickers more.
    #[must_use]
    pub fn with_eight_bits(mut self) -> Self {
        if let Some((_, stored)) = self.layers.split_last_mut() {
            stored.iter_mut().for_each(|layer| layer.eight_bits = true);
        }
        self
    }

    /// [`Topology::with_eight_bits`] only for what is stored at half the picture's size, where its own detail is carried.
    #[must_use]
    pub fn with_eight_bits_at_half(mut self) -> Self {
        if let Ok(tensors) = self.tensors() {
            for (layer, stored) in self.layers.iter_mut().zip(&tensors[1..]) {
                layer.eight_bits = stored.scale() == 2;
            }
        }
        self
    }

    /// The same network with seven bits for all that is stored.
    #[must_use]
    pub fn with_seven_bits(mut self) -> Self {
        self.layers.iter_mut().for_each(|layer| layer.eight_bits = false);
        self
    }

    /// Whether anything that is stored takes eight bits.
    pub fn has_eight_bits(&self) -> bool {
        self.layers.iter().any(|layer| layer.eight_bits)
    }

    /// Whether the last layer gives a person mask beside the picture.
    pub fn has_person_mask(&self) -> bool {
        self.layers.last().is_some_and(|last| last.stored_channels() == 4)
    }

    /// Checks that the layers fit together and returns every tensor's shape: the image first, then each layer's output.
    ///
    /// # Errors
    /// A sentence that names the first layer at fault.
    pub fn tensors(&self) -> Result<Vec<TensorShape>, String> {
        let count = self.layers.len();
        if count == 0 || count > MAX_LAYERS {
            return Err(format!("a generator has 1 to {MAX_LAYERS} layers, this one has {count}"));
        }
        let mut tensors = vec![TensorShape { channels: 3, reach: Reach::IMAGE }];
        for (i, layer) in self.layers.iter().enumerate() {
            let tensor = next_tensor(&tensors, layer).map_err(|why| format!("layer {i}: {why}"))?;
            tensors.push(tensor);
        }
        let last = tensors[count];
        if last.scale() != 1 || !matches!(last.channels, 3 | 4) {
            return Err(format!(
                "the last layer must give an image of 3 or 4 channels at full size, it gives {} at 1/{}",
                last.channels,
                last.scale()
            ));
        }
        Ok(tensors)
    }

    /// The image's sides must be multiples of this: the coarsest scale at which a layer computes. 1 for a topology whose
    /// layers do not fit together.
    pub fn multiple(&self) -> u32 {
        let Ok(tensors) = self.tensors() else { return 1 };
        let scales = self.layers.iter().zip(&tensors[1..]).map(|(layer, stored)| {
            // A layer may be finer in what it stores than in its convolution.
            stored.scale() * layer.depth_to_space as u32
        });
        scales.max().unwrap_or(1)
    }

    /// How many image pixels around a place can change its output: the radius of the receptive field.
    pub fn halo(&self) -> u32 {
        self.tensors().ok().and_then(|tensors| tensors.last()?.reach.halo()).unwrap_or(u32::MAX)
    }

    /// Multiply-accumulates of one picture of `size`, padded to the multiple.
    pub fn macs(&self, size: Size) -> u64 {
        let Ok(tensors) = self.tensors() else { return 0 };
        let area = size.round_up(self.multiple()).area() as u64;
        self.layers
            .iter()
            .zip(&tensors[1..])
            .map(|(layer, stored)| {
                let scale = u64::from(stored.scale()) * layer.depth_to_space as u64;
                area / (scale * scale) * layer.weights() as u64
            })
            .sum()
    }

    /// Whether layer `i` reads eight bits, the image's or a layer's, which confine its weights
    /// [further](crate::engine::contract::WeightLimits).
    pub fn reads_eight_bits(&self, i: usize) -> bool {
        self.has_eight_bits_in(self.layers[i].input)
    }

    /// Whether tensor `tensor` (0 is the image, `i + 1` the output of layer `i`) takes eight bits. That of the last layer,
    /// the picture, is not asked for: nothing reads it.
    pub fn has_eight_bits_in(&self, tensor: usize) -> bool {
        tensor == 0 || self.layers[tensor - 1].eight_bits
    }
}

/// What [`Builder::push`] completes.
const PLAIN: LayerShape = LayerShape::convolution(0, 0, 0);

struct Builder {
    layers: Vec<LayerShape>,
}

impl Builder {
    /// Appends a layer and returns the index of its output tensor.
    fn push(&mut self, input: usize, in_channels: usize, out_channels: usize, rest: LayerShape) -> usize {
        self.layers.push(LayerShape { input, in_channels, out_channels, ..rest });
        self.layers.len()
    }

    /// Appends `count` times r(x) = ReLU(x + conv(x)).
    fn residuals(&mut self, x: usize, channels: usize, count: usize) -> usize {
        (0..count).fold(x, |x, _| self.push(x, channels, channels, LayerShape { add: Some(x), ..PLAIN }))
    }
}

/// The output of `layer` after the tensors that exist so far.
fn next_tensor(tensors: &[TensorShape], layer: &LayerShape) -> Result<TensorShape, String> {
    let earlier = |index: usize| tensors.get(index).copied().ok_or(format!("tensor {index} does not exist yet"));
    let TensorShape { mut channels, mut reach } = earlier(layer.input)?;
    let blocks = [layer.space_to_depth, layer.depth_to_space];
    if let Some(block) = blocks.into_iter().find(|block| !matches!(block, 1 | 2 | 4)) {
        return Err(format!("space-to-depth and depth-to-space are by 2 or 4, not by {block}"));
    }
    channels *= blocks[0] * blocks[0];
    reach = reach.space_to_depth(blocks[0] as i64);
    if channels != layer.in_channels {
        return Err(format!("it reads {} channels, its input has {channels}", layer.in_channels));
    }
    if layer.out_channels == 0 || layer.out_channels > MAX_CHANNELS || layer.in_channels > MAX_CHANNELS {
        return Err(format!("channels must lie within 1 to {MAX_CHANNELS}"));
    }
    if !matches!(layer.stride, 1 | 2) || layer.stride * blocks[0] > MAX_STEP {
        return Err(format!("stride {} behind space-to-depth by {} is not taken", layer.stride, blocks[0]));
    }
    channels = layer.out_channels;
    reach = reach.window(3, layer.stride as i64, 1, 1);
    reach = reach
        .depth_to_space(blocks[1] as i64)
        .filter(|_| channels.is_multiple_of(blocks[1] * blocks[1]))
        .ok_or_else(|| format!("depth-to-space does not fit {channels} channels at 1/{}", reach.scale))?;
    channels /= blocks[1] * blocks[1];
    if reach.scale > MAX_SCALE {
        return Err(format!("1/{} is coarser than 1/{MAX_SCALE}", reach.scale));
    }
    if let Some(index) = layer.add {
        let other = earlier(index)?;
        let misfit = || {
            let (own, its) = (reach.scale, other.reach.scale);
            format!("it adds {} channels at 1/{its} to {channels} at 1/{own}", other.channels)
        };
        reach = reach.join(other.reach).filter(|_| other.channels == channels).ok_or_else(misfit)?;
    }
    Ok(TensorShape { channels, reach })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_medium_student_is_the_documented_one() {
        let net = Topology::two_scale(StudentSize::M);
        let channels: Vec<_> = net.tensors().unwrap().iter().map(|t| t.channels).collect();
        assert_eq!(channels, [3, 16, 48, 48, 48, 64, 64, 64, 64, 64, 48, 48, 48, 16, 16, 3]);
        assert_eq!(net.multiple(), 8);
        let gmacs = |size| Topology::two_scale(size).macs(Size::new(640, 480)) as f64 / 1e9;
        assert!((gmacs(StudentSize::M) - 4.468).abs() < 0.001, "{}", gmacs(StudentSize::M));
        assert!((0.9..1.2).contains(&gmacs(StudentSize::S)), "{}", gmacs(StudentSize::S));
        assert!((9.0..10.1).contains(&gmacs(StudentSize::L)), "{}", gmacs(StudentSize::L));
    }

    #[test]
    fn a_person_mask_is_a_fourth_channel_of_the_picture() {
        let plain = Topology::two_scale(StudentSize::M);
        let masked = plain.clone().with_person_mask();
        assert_eq!(masked.tensors().unwrap().last().unwrap().channels, 4);
        assert_eq!(masked.layers[..masked.layers.len() - 1], plain.layers[..plain.layers.len() - 1]);
        assert!(masked.has_person_mask() && !plain.has_person_mask());
    }

    #[test]
    fn a_residual_network_adds_the_photo_to_its_last_layer_alone() {
        let plain = Topology::two_scale(StudentSize::M);
        for network in [plain.clone(), plain.clone().with_person_mask()] {
            assert!(!network.is_residual());
            let residual = network.as_residual();
            assert!(residual.is_residual() && !residual.has_person_mask());
            assert_eq!(residual.tensors().unwrap().last().unwrap().channels, 3);
            assert_eq!(residual.layers[..14], plain.layers[..14]);
        }
    }

    #[test]
    fn a_frame_that_is_not_a_multiple_costs_its_padded_size() {
        let net = Topology::two_scale(StudentSize::S);
        assert_eq!(net.macs(Size::new(633, 473)), net.macs(Size::new(640, 480)));
    }

    #[test]
    fn layers_that_do_not_fit_are_named() {
        let mut net = Topology::two_scale(StudentSize::M);
        net.layers[2].in_channels = 40;
        assert!(net.tensors().unwrap_err().starts_with("layer 2:"));
        let mut net = Topology::two_scale(StudentSize::M);
        net.layers[9].add = Some(1);
        assert!(net.tensors().unwrap_err().starts_with("layer 9:"));
        let mut net = Topology::two_scale(StudentSize::M);
        net.layers.pop();
        assert!(net.tensors().unwrap_err().contains("image"));
    }
}
