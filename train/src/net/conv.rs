//! The 3×3 convolution with zero padding 1 and what stands behind it: everything that a student is made of.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::backend::Backend;
use burn::tensor::ops::{ConvOptions, FloatTensor};
use burn::tensor::{FloatDType, Tensor, TensorPrimitive};

fn options(stride: usize) -> ConvOptions<2> {
    ConvOptions::new([stride, stride], [1, 1], [1, 1], 1)
}

/// A block as [`ConvBackend::block_forward`] ran it.
#[derive(Debug)]
pub struct BlockRun<T> {
    /// The input.
    pub x: T,
    /// The weight.
    pub weight: T,
    /// The bias.
    pub bias: T,
    /// The output, where a ReLU's gradient depends on it.
    pub y: Option<T>,
    /// What the back end kept.
    pub kept: Vec<T>,
}

/// What [`ConvBackend::block_backward`] gives.
#[derive(Debug)]
pub struct BlockGradients<T> {
    /// With respect to the input, where it was asked for.
    pub input: Option<T>,
    /// With respect to the weight and the bias, where they were asked for.
    pub parameters: Option<(T, T)>,
    /// With respect to the shortcut, which is also that of the convolution's output.
    pub shortcut: T,
}

/// Which gradients of a block somebody waits for: those of a frozen network's parameters, nobody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// That of the input.
    pub input: bool,
    /// Those of weight and bias.
    pub parameters: bool,
}

/// A back end with the one block that students are made of, `[ReLU](conv3×3(x) + bias [+ shortcut])`, as a single
/// operation; overridden where a back end knows a faster way than Burn's general one.
pub trait ConvBackend: Backend {
    /// `x` `[b, ic, h, w]`, `weight` `[oc, ic, 3, 3]`, `bias` `[oc]`; output and `shortcut` `[b, oc, h/stride, w/stride]`.
    fn block(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shortcut: Option<FloatTensor<Self>>,
        shape: BlockShape,
    ) -> FloatTensor<Self> {
        let mut y = Self::conv2d(x, weight, Some(bias), options(shape.stride));
        if let Some(shortcut) = shortcut {
            y = Self::float_add(y, shortcut);
        }
        if shape.relu { Self::relu(y) } else { y }
    }

    /// [`Self::block`] whose `wanted` gradients [`Self::block_backward`] is to give later, and what it is to get back for
    /// them, where the back end keeps something of its own.
    fn block_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shortcut: Option<FloatTensor<Self>>,
        shape: BlockShape,
        wanted: Wanted,
    ) -> (FloatTensor<Self>, Vec<FloatTensor<Self>>) {
        let _ = wanted;
        (Self::block(x, weight, bias, shortcut, shape), Vec::new())
    }

    /// The gradients of [`Self::block`] for the gradient `grad` of its output.
    fn block_backward(
        run: BlockRun<FloatTensor<Self>>,
        grad: FloatTensor<Self>,
        shape: BlockShape,
        wanted: Wanted,
    ) -> BlockGradients<FloatTensor<Self>> {
        let BlockRun { x, weight, bias, y, .. } = run;
        let grad = match y {
            Some(y) => Self::relu_backward(y, grad),
            None => grad,
        };
        let options = options(shape.stride);
        BlockGradients {
            input: wanted
                .input
                .then(|| Self::conv2d_x_backward(x.clone(), weight.clone(), grad.clone(), options.clone())),
            parameters: wanted.parameters.then(|| {
                let of_bias = Self::conv2d_bias_backward(x.clone(), bias, grad.clone());
                (Self::conv2d_weight_backward(x, weight, grad.clone(), options), of_bias)
            }),
            shortcut: grad,
        }
    }

    /// The 16-bit format in which this back end's convolutions are fast, if there is one.
    fn half_precision() -> Option<FloatDType> {
        None
    }
}

/// What a block does beside convolving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockShape {
    /// 1 or 2.
    pub stride: usize,
    /// Whether a ReLU ends it.
    pub relu: bool,
}

/// The block on the tape; N is 3 (input, weight, bias) or 4 (and the shortcut).
#[derive(Debug)]
struct Block;

#[derive(Debug, Clone)]
struct BlockState<T> {
    x: NodeId,
    weight: NodeId,
    bias: NodeId,
    /// The output, where a ReLU's gradient depends on it.
    y: Option<T>,
    /// What the back end keeps.
    kept: Vec<T>,
    shape: BlockShape,
    wanted: Wanted,
}

impl<B: ConvBackend, const N: usize> Backward<B, N> for Block {
    type State = BlockState<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let BlockState { x, weight, bias, y, kept, shape, wanted } = ops.state;
        let [x, weight, bias] = [x, weight, bias].map(|node| checkpointer.retrieve_node_output(node));
        let gradients = B::block_backward(BlockRun { x, weight, bias, y, kept }, grad, shape, wanted);
        let (weight, bias) = gradients.parameters.unzip();
        let parts = [gradients.input, weight, bias, Some(gradients.shortcut)];
        for (node, gradient) in ops.parents.into_iter().zip(parts) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: ConvBackend, C: CheckpointStrategy> ConvBackend for Autodiff<B, C> {
    fn block(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shortcut: Option<FloatTensor<Self>>,
        shape: BlockShape,
    ) -> FloatTensor<Self> {
        let nodes = [x.node.clone(), weight.node.clone(), bias.node.clone()];
        let [input, of_weight, of_bias] = [0, 1, 2].map(|i: usize| nodes[i].clone_if_require_grad().is_some());
        let wanted = Wanted { input, parameters: of_weight || of_bias };
        macro_rules! on_tape {
            ($nodes:expr, $shortcut:expr) => {
                match Block.prepare::<C>($nodes).compute_bound().stateful() {
                    OpsKind::Tracked(mut prep) => {
                        let nodes = [prep.checkpoint(&x), prep.checkpoint(&weight), prep.checkpoint(&bias)];
                        let (x, weight, bias) = (x.primitive, weight.primitive, bias.primitive);
                        let (y, kept) = B::block_forward(x, weight, bias, $shortcut, shape, wanted);
                        let [x, weight, bias] = nodes;
                        let of_relu = shape.relu.then(|| y.clone());
                        let state = BlockState { x, weight, bias, y: of_relu, kept, shape, wanted };
                        prep.finish(state, y)
                    }
                    OpsKind::UnTracked(prep) => {
                        prep.finish(B::block(x.primitive, weight.primitive, bias.primitive, $shortcut, shape))
                    }
                }
            };
        }
        match shortcut {
            Some(shortcut) => {
                let [x_node, weight_node, bias_node] = nodes;
                on_tape!([x_node, weight_node, bias_node, shortcut.node.clone()], Some(shortcut.primitive))
            }
            None => on_tape!(nodes, None),
        }
    }

    fn half_precision() -> Option<FloatDType> {
        B::half_precision()
    }
}

/// [`ConvBackend::block`] of tensors.
pub fn block<B: ConvBackend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    bias: Tensor<B, 1>,
    shortcut: Option<Tensor<B, 4>>,
    shape: BlockShape,
) -> Tensor<B, 4> {
    let output = B::block(
        x.into_primitive().tensor(),
        weight.into_primitive().tensor(),
        bias.into_primitive().tensor(),
        shortcut.map(|s| s.into_primitive().tensor()),
        shape,
    );
    Tensor::from_primitive(TensorPrimitive::Float(output))
}

/// Space-to-depth by `side` (1: none), DCR order: `[b, c, side·h, side·w]` to `[b, side²·c, h, w]`, channel
/// `(dy·side + dx)·c + k`.
///
/// Tensors are laid out pixel by pixel in memory (channels innermost) and seen as `[b, c, h, w]`:
/// that is the layout in which CPU back ends convolve fastest, and these two need no shuffle but a copy in it.
pub fn space_to_depth<B: Backend>(x: Tensor<B, 4>, side: usize) -> Tensor<B, 4> {
    if side == 1 {
        return x;
    }
    let [b, c, h, w] = x.dims();
    x.permute([0, 2, 3, 1])
        .reshape([b, h / side, side, w / side, side, c])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([b, h / side, w / side, side * side * c])
        .permute([0, 3, 1, 2])
}

/// Depth-to-space by `side` (1: none), DCR order: `[b, side²·c, h, w]` to `[b, c, side·h, side·w]`; the inverse of
/// [`space_to_depth`].
pub fn depth_to_space<B: Backend>(x: Tensor<B, 4>, side: usize) -> Tensor<B, 4> {
    if side == 1 {
        return x;
    }
    let [b, c, h, w] = x.dims();
    let c = c / (side * side);
    x.permute([0, 2, 3, 1])
        .reshape([b, h, w, side, side, c])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([b, side * h, side * w, c])
        .permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use burn::backend::NdArray;
    use burn::tensor::Distribution;

    use super::*;

    type B = Autodiff<NdArray>;

    /// Output and gradients (input, weight, bias, shortcut) of a block, or of the same in Burn's own operations.
    fn gradients(as_block: bool, stride: usize, relu: bool, with_shortcut: bool) -> Vec<Vec<f32>> {
        let device = Default::default();
        <B as Backend>::seed(&device, 7);
        let normal = Distribution::Normal(0.0, 1.0);
        let x = Tensor::<B, 4>::random([2, 5, 8, 6], normal, &device).require_grad();
        let weight = Tensor::<B, 4>::random([7, 5, 3, 3], normal, &device).require_grad();
        let bias = Tensor::<B, 1>::random([7], normal, &device).require_grad();
        let shortcut = Tensor::<B, 4>::random([2, 7, 8, 6], normal, &device).require_grad();
        let y = if as_block {
            let shortcut = with_shortcut.then(|| shortcut.clone());
            block(x.clone(), weight.clone(), bias.clone(), shortcut, BlockShape { stride, relu })
        } else {
            let mut y = burn::tensor::module::conv2d(x.clone(), weight.clone(), Some(bias.clone()), options(stride));
            if with_shortcut {
                y = y + shortcut.clone();
            }
            if relu { burn::tensor::activation::relu(y) } else { y }
        };
        let grads = (y.clone() * y.clone()).sum().backward();
        let values = |t: Option<Tensor<NdArray, 4>>| t.map_or(vec![], |t| t.into_data().iter::<f32>().collect());
        vec![
            values(Some(y.inner())),
            values(x.grad(&grads)),
            values(weight.grad(&grads)),
            values(bias.grad(&grads).map(|b| b.reshape([1, 7, 1, 1]))),
            values(shortcut.grad(&grads)),
        ]
    }

    #[test]
    fn a_block_is_its_parts_with_all_gradients() {
        for (stride, relu, shortcut) in [(1, true, true), (2, true, false), (1, false, false), (1, true, false)] {
            let (ours, parts) = (gradients(true, stride, relu, shortcut), gradients(false, stride, relu, shortcut));
            for (ours, parts) in ours.iter().zip(&parts) {
                assert_eq!(ours.len(), parts.len());
                for (a, b) in ours.iter().zip(parts) {
                    assert!((a - b).abs() <= 1e-3 * (1.0 + b.abs()), "stride {stride}, relu {relu}: {a} is not {b}");
                }
            }
        }
    }

    #[test]
    fn a_frozen_block_passes_the_gradient_on_to_its_input() {
        let device = Default::default();
        <B as Backend>::seed(&device, 8);
        let random = |dims: [usize; 4]| Tensor::<B, 4>::random(dims, Distribution::Normal(0.0, 1.0), &device);
        let (x, weight) = (random([1, 2, 4, 4]).require_grad(), random([3, 2, 3, 3]));
        let bias = Tensor::<B, 1>::zeros([3], &device);
        let y = block(x.clone(), weight.clone(), bias.clone(), None, BlockShape { stride: 1, relu: true });
        let ours = x.grad(&y.sum().backward()).map(Tensor::into_data);
        let y = burn::tensor::module::conv2d(x.clone(), weight.clone(), Some(bias), options(1));
        let parts = burn::tensor::activation::relu(y).sum().backward();
        assert_eq!(ours, x.grad(&parts).map(Tensor::into_data));
        assert!(ours.is_some() && weight.grad(&parts).is_none());
    }

    #[test]
    fn space_to_depth_is_in_dcr_order_and_undone_by_depth_to_space() {
        let device = Default::default();
        let x = Tensor::<NdArray, 1, burn::tensor::Int>::arange(0..32, &device).float().reshape([1, 2, 4, 4]);
        let deep = space_to_depth(x.clone(), 2);
        // The position (0, 0): both channels of the pixel above left, then of the one to its right, then of the row below.
        let first: Vec<f32> = deep.clone().narrow(2, 0, 1).narrow(3, 0, 1).into_data().iter().collect();
        assert_eq!(first, [0.0, 16.0, 1.0, 17.0, 4.0, 20.0, 5.0, 21.0]);
        assert_eq!(depth_to_space(deep, 2).into_data(), x.into_data());
    }
}
