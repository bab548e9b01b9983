//! What the student is trained to make small.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// Weighted mean absolute difference of two pictures `[b, 3, h, w]`; `weight` is `[b, 1, h, w]`, mean about 1.
pub fn pixel<B: Backend>(output: &Tensor<B, 4>, target: &Tensor<B, 4>, weight: &Tensor<B, 4>) -> Tensor<B, 1> {
    ((output.clone() - target.clone()).abs() * weight.clone()).mean()
}

/// Weighted mean absolute difference of the two pictures' gradients (forward differences in x and y): lines.
pub fn gradient<B: Backend>(output: &Tensor<B, 4>, target: &Tensor<B, 4>, weight: &Tensor<B, 4>) -> Tensor<B, 1> {
    let [_, _, h, w] = output.dims();
    let difference = output.clone() - target.clone();
    let along = |dim: usize, length: usize| {
        let step = difference.clone().narrow(dim, 1, length - 1) - difference.clone().narrow(dim, 0, length - 1);
        (step.abs() * weight.clone().narrow(dim, 1, length - 1)).mean()
    };
    along(3, w) + along(2, h)
}
