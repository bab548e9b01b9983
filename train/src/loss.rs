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

/// A scene and the same a moment later, as photos or as what is made of them: `elders` and `twins` `[b, 3, h, w]`. A
/// twin's pixel (x, y) shows what pixel (x, y) + `shift` of its elder does.
#[derive(Debug, Clone)]
pub struct Moments<B: Backend> {
    /// The scenes.
    pub elders: Tensor<B, 4>,
    /// The same later.
    pub twins: Tensor<B, 4>,
    /// In pixels to the right and down.
    pub shift: (i64, i64),
}

impl<B: Backend> Moments<B> {
    /// Mean absolute difference of each scene where it stands (`standing` `[b, 1, h, w]`): `[b, 1, 1, 1]`.
    fn change(&self, standing: &Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, _, h, w] = self.elders.dims();
        let common = |x: &Tensor<B, 4>, (dx, dy): (i64, i64)| {
            let along = |length: usize, by: i64| (by.max(0) as usize, length - by.unsigned_abs() as usize);
            let ((x0, width), (y0, height)) = (along(w, dx), along(h, dy));
            x.clone().narrow(2, y0, height).narrow(3, x0, width)
        };
        let (dx, dy) = self.shift;
        let difference = common(&self.elders, self.shift) - common(&self.twins, (-dx, -dy));
        let change = difference.abs() * common(standing, self.shift);
        change.mean_dim(1).mean_dim(2).mean_dim(3)
    }
}

/// Change of a photo, of 255, beside which one that hardly changes is not told from one that does not: a third of what a
/// good camera's picture changes.
const LEAST_CHANGE: f32 = 0.1;

/// How much more a picture (0..1) changes than its photo (0..255) does, from one moment to the next where the scene stands:
/// 1 where noise goes through as it is, 0 where nothing of it is seen; the mean over all scenes. As a share, so that the
/// faint noise of a good camera counts as much as that of a bad one. Where nothing moves nothing may change: of the losses
/// that hold a filtered video still this one needs no flow, and a difference of frames did as well in a study with people
/// (Gao et al. 2021).
pub fn flicker<B: Backend>(pictures: &Moments<B>, photos: &Moments<B>, standing: &Tensor<B, 4>) -> Tensor<B, 1> {
    (pictures.change(standing).mul_scalar(255.0) / photos.change(standing).add_scalar(LEAST_CHANGE)).mean()
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
    fn only_what_stands_and_differs_is_change() {
        let elders = picture([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
        let change = |twins, shift, standing| {
            let moments = Moments { elders: elders.clone(), twins: picture(twins), shift };
            moments.change(&weight(standing)).into_scalar()
        };
        // The same, a pixel further to the left; its last column is new.
        let left = [0.2, 0.3, 0.9, 0.5, 0.6, 0.9];
        assert!(change(left, (1, 0), EVEN).abs() < 1e-6);
        assert!(change(left, (0, 0), EVEN) > 0.05);
        let moved = [0.1, 0.2, 0.9, 0.4, 0.5, 0.6];
        assert!((change(moved, (0, 0), EVEN) - 0.6 / 6.0).abs() < 1e-6);
        assert_eq!(change(moved, (0, 0), [1.0, 1.0, 0.0, 1.0, 1.0, 1.0]), 0.0);
        let below = [0.4, 0.5, 0.6, 0.0, 0.0, 0.0];
        assert!(change(below, (0, 1), EVEN).abs() < 1e-6 && change(below, (0, -1), EVEN) > 0.05);
    }

    #[test]
    fn flicker_is_what_becomes_of_the_photos_noise() {
        let moments = |scale: f32, by: f32| Moments {
            elders: picture([0.5 * scale; 6]),
            twins: picture([(0.5 + by) * scale; 6]),
            shift: (0, 0),
        };
        let flicker = |by| flicker(&moments(1.0, by), &moments(255.0, 0.1), &weight(EVEN)).into_scalar();
        assert!((flicker(0.1) - 25.5 / 25.6).abs() < 1e-3, "as it is: {}", flicker(0.1));
        assert!((flicker(0.05) - 0.5 * 25.5 / 25.6).abs() < 1e-3, "half of it");
        assert_eq!(flicker(0.0), 0.0);
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
