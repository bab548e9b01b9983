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

#[cfg(test)]
mod tests {
    use burn::backend::NdArray;
    use burn::tensor::TensorData;

    use super::*;

    /// A picture `[1, 3, 2, 3]` of one grey value per pixel.
    fn picture(grey: [f32; 6]) -> Tensor<NdArray, 4> {
        let values: Vec<f32> = grey.iter().cycle().take(18).copied().collect();
        Tensor::from_data(TensorData::new(values, [1, 3, 2, 3]), &Default::default())
    }

    fn weight(values: [f32; 6]) -> Tensor<NdArray, 4> {
        Tensor::from_data(TensorData::new(values.to_vec(), [1, 1, 2, 3]), &Default::default())
    }

    const EVEN: [f32; 6] = [1.0; 6];

    #[test]
    fn pixels_count_by_their_weight() {
        let (a, b) = (picture([0.5; 6]), picture([0.5, 0.5, 0.8, 0.5, 0.5, 0.5]));
        let loss = |w| pixel(&a, &b, &weight(w)).into_scalar();
        assert!((loss(EVEN) - 0.3 / 6.0).abs() < 1e-6);
        assert!((loss([1.0, 1.0, 3.0, 1.0, 1.0, 1.0]) - 0.9 / 6.0).abs() < 1e-6);
        assert_eq!(loss([1.0, 1.0, 0.0, 1.0, 1.0, 1.0]), 0.0);
    }

    #[test]
    fn a_shade_costs_no_gradient_a_moved_edge_does() {
        let edge = picture([0.2, 0.2, 0.8, 0.2, 0.2, 0.8]);
        let lighter = picture([0.3, 0.3, 0.9, 0.3, 0.3, 0.9]);
        let moved = picture([0.2, 0.8, 0.8, 0.2, 0.8, 0.8]);
        let loss = |a: &Tensor<NdArray, 4>, b| gradient(a, b, &weight(EVEN)).into_scalar();
        assert!(loss(&lighter, &edge).abs() < 1e-6);
        // In each of the two rows two of two differences in x are off by 0.6; those in y are not.
        assert!((loss(&moved, &edge) - 0.6).abs() < 1e-6);
        assert_eq!(loss(&moved, &edge), loss(&edge, &moved));
    }
}
