//! The 3×3 convolution with zero padding 1: everything that a student is made of.

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

/// A back end with the 3×3 convolution and its gradients; overridden where a back end knows a faster way than Burn's.
pub trait ConvBackend: Backend {
    /// `[b, ic, h, w]` and `[oc, ic, 3, 3]` to `[b, oc, h/stride, w/stride]`.
    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self> {
        Self::conv2d(x, weight, None, options(stride))
    }

    /// The gradient with respect to the input.
    fn conv3x3_input_grad(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        stride: usize,
    ) -> FloatTensor<Self> {
        Self::conv2d_x_backward(x, weight, grad, options(stride))
    }

    /// The gradient with respect to the weight.
    fn conv3x3_weight_grad(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        stride: usize,
    ) -> FloatTensor<Self> {
        Self::conv2d_weight_backward(x, weight, grad, options(stride))
    }

    /// The 16-bit format in which this back end's convolutions are fast, if there is one.
    fn half_precision() -> Option<FloatDType> {
        None
    }
}

#[derive(Debug)]
struct Conv3x3;

impl<B: ConvBackend> Backward<B, 2> for Conv3x3 {
    type State = (NodeId, NodeId, usize);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [node_x, node_weight] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (x, weight, stride) = ops.state;
        let x: FloatTensor<B> = checkpointer.retrieve_node_output(x);
        let weight: FloatTensor<B> = checkpointer.retrieve_node_output(weight);
        if let Some(node) = node_x {
            let grad = B::conv3x3_input_grad(x.clone(), weight.clone(), grad.clone(), stride);
            grads.register::<B>(node.id, grad);
        }
        if let Some(node) = node_weight {
            grads.register::<B>(node.id, B::conv3x3_weight_grad(x, weight, grad, stride));
        }
    }
}

impl<B: ConvBackend, C: CheckpointStrategy> ConvBackend for Autodiff<B, C> {
    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self> {
        match Conv3x3.prepare::<C>([x.node.clone(), weight.node.clone()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&x), prep.checkpoint(&weight), stride);
                prep.finish(state, B::conv3x3(x.primitive, weight.primitive, stride))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::conv3x3(x.primitive, weight.primitive, stride)),
        }
    }

    fn half_precision() -> Option<FloatDType> {
        B::half_precision()
    }
}

/// The 3×3 convolution of tensors: `[b, ic, h, w]` and `[oc, ic, 3, 3]` to `[b, oc, h/stride, w/stride]`.
pub fn conv3x3<B: ConvBackend>(x: Tensor<B, 4>, weight: Tensor<B, 4>, stride: usize) -> Tensor<B, 4> {
    let output = B::conv3x3(x.into_primitive().tensor(), weight.into_primitive().tensor(), stride);
    Tensor::from_primitive(TensorPrimitive::Float(output))
}

/// Space-to-depth by 2, DCR order: `[b, c, 2h, 2w]` to `[b, 4c, h, w]`, channel `(dy·2 + dx)·c + k`.
///
/// Tensors are laid out pixel by pixel in memory (channels innermost) and seen as `[b, c, h, w]`:
/// that is the layout in which CPU back ends convolve fastest, and these two need no shuffle but a copy in it.
pub fn space_to_depth<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let [b, c, h, w] = x.dims();
    x.permute([0, 2, 3, 1])
        .reshape([b, h / 2, 2, w / 2, 2, c])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([b, h / 2, w / 2, 4 * c])
        .permute([0, 3, 1, 2])
}

/// Depth-to-space by 2, DCR order: `[b, 4c, h, w]` to `[b, c, 2h, 2w]`; the inverse of [`space_to_depth`].
pub fn depth_to_space<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let [b, c, h, w] = x.dims();
    x.permute([0, 2, 3, 1])
        .reshape([b, h, w, 2, 2, c / 4])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([b, 2 * h, 2 * w, c / 4])
        .permute([0, 3, 1, 2])
}
