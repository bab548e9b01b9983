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

/// Mean absolute difference between what the student makes of a scene, `elders` `[b, 3, h, w]`, and of the same a moment
/// later, `twins`, where the scene stands (`standing` `[b, 1, h, w]`). A twin's pixel (x, y) shows what pixel
/// (x, y) + `shift` of its elder does. Where nothing moves nothing may change: of the losses that hold a filtered video
/// still this one needs no flow and did as well in a study with people (Gao et al. 2021).
pub fn temporal<B: Backend>(
    elders: Tensor<B, 4>,
    twins: Tensor<B, 4>,
    standing: Tensor<B, 4>,
    shift: (i64, i64),
) -> Tensor<B, 1> {
    let [_, _, h, w] = elders.dims();
    let common = |x: Tensor<B, 4>, (dx, dy): (i64, i64)| {
        let along = |length: usize, by: i64| (by.max(0) as usize, length - by.unsigned_abs() as usize);
        let ((x0, width), (y0, height)) = (along(w, dx), along(h, dy));
        x.narrow(2, y0, height).narrow(3, x0, width)
    };
    let difference = common(elders, shift) - common(twins, (-shift.0, -shift.1));
    (difference.abs() * common(standing, shift)).mean()
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
    fn only_what_stands_and_differs_costs_between_twins() {
        let elder = picture([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
        // The same, a pixel further to the left; its last column is new.
        let twin = picture([0.2, 0.3, 0.9, 0.5, 0.6, 0.9]);
        let loss = |twin: &Tensor<NdArray, 4>, shift, standing| {
            temporal(elder.clone(), twin.clone(), weight(standing), shift).into_scalar()
        };
        assert!(loss(&twin, (1, 0), EVEN).abs() < 1e-6);
        assert!(loss(&twin, (0, 0), EVEN) > 0.05);
        let moved = picture([0.1, 0.2, 0.9, 0.4, 0.5, 0.6]);
        assert!((loss(&moved, (0, 0), EVEN) - 0.6 / 6.0).abs() < 1e-6);
        assert_eq!(loss(&moved, (0, 0), [1.0, 1.0, 0.0, 1.0, 1.0, 1.0]), 0.0);
        let below = picture([0.4, 0.5, 0.6, 0.0, 0.0, 0.0]);
        assert!(loss(&below, (0, 1), EVEN).abs() < 1e-6 && loss(&below, (0, -1), EVEN) > 0.05);
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
