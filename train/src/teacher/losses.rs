//! What the generator is trained to make small, beside the adversaries' verdict. Pictures are `[b, 3, h, w]` in 0..1.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::avg_pool2d;

use super::config::Losses;
use crate::net::adain::moments;
use crate::net::conv::ConvBackend;
use crate::net::vgg::Vgg;

/// Where the loss on a colour difference turns from square to straight.
const HUBER: f32 = 0.1;
/// Radius and regulariser of the guided filter; White-box Cartoonization's 5 and 0.2, the latter for values in 0..1
/// instead of −1..1.
const GUIDE_RADIUS: usize = 5;
const GUIDE_EPSILON: f32 = 0.05;

/// A loss by its name, its weight and its value `[1]`.
#[derive(Debug)]
pub struct Term<B: Backend> {
    /// As in the configuration and in the journal.
    pub name: &'static str,
    /// Its weight.
    pub weight: f32,
    /// Its value, not weighted.
    pub value: Tensor<B, 1>,
}

/// What the output is compared with.
#[derive(Debug)]
pub struct Compared<'a, B: Backend> {
    /// The photo.
    pub photo: &'a Tensor<B, 4>,
    /// The painted picture, where there is one.
    pub painted: Option<&'a Tensor<B, 4>>,
    /// Weights of pixels `[b, 1, h, w]`, for the comparison with the painted picture.
    pub weight: &'a Tensor<B, 4>,
    /// A picture of the style.
    pub style: Option<&'a Tensor<B, 4>>,
    /// Whether the generator was shown that picture as its reference. Its content loss is then a mean square (Huang and
    /// Belongie 2017, section 5.1): were it a mean of sizes, a few wild pixels in a corner would be the cheapest way to a
    /// reference's deviations.
    pub by_reference: bool,
}

/// All losses with a weight, but the adversaries'. The features of what `output` is compared with carry no gradient. `vgg`
/// comes with the factor by which the weights of what it is asked for are raised.
pub fn terms<B: ConvBackend>(
    losses: &Losses,
    vgg: Option<(&Vgg<B>, f32)>,
    compared: &Compared<'_, B>,
    output: &Tensor<B, 4>,
) -> Vec<Term<B>> {
    let mut terms = Vec::new();
    let mut add = |name, weight: f32, value: &dyn Fn() -> Tensor<B, 1>| {
        if weight > 0.0 {
            terms.push(Term { name, weight, value: value() });
        }
    };
    if let Some(painted) = compared.painted {
        add("painted", losses.painted, &|| crate::loss::pixel(output, painted, compared.weight));
    }
    add("colour", losses.colour, &|| colour(output, compared.photo));
    add("total_variation", losses.total_variation, &|| total_variation(output));
    let Some((vgg, raised)) = vgg.filter(|_| losses.want_features()) else { return terms };
    let mut add = |name, weight: f32, value: &dyn Fn() -> Tensor<B, 1>| add(name, weight * raised, value);
    let features = vgg.features(output.clone());
    let difference = |other: &Tensor<B, 4>| features[2].clone() - vgg.features(other.clone())[2].clone();
    add("content", losses.content, &|| {
        let difference = difference(compared.photo);
        if compared.by_reference { mean_square(difference) } else { difference.abs().mean() }
    });
    if let Some(painted) = compared.painted {
        add("structure", losses.structure, &|| difference(painted).abs().mean());
    }
    if let Some(style) = compared.style.filter(|_| losses.want_style()) {
        let of_style = vgg.features(style.clone());
        add("gram", losses.gram, &|| (gram(features[2].clone()) - gram(of_style[2].clone())).abs().mean());
        add("statistics", losses.statistics, &|| {
            let distances = features.iter().zip(&of_style).map(|(a, b)| {
                let ((a_mean, a_deviation), (b_mean, b_deviation)) = (moments(a.clone()), moments(b.clone()));
                (a_mean - b_mean).abs().mean() + (a_deviation - b_deviation).abs().mean()
            });
            distances.reduce(|a, b| a + b).unwrap_or_else(|| output.clone().mean()).div_scalar(features.len() as f32)
        });
    }
    terms
}

/// Weighted sum of terms; `None` of none.
pub fn sum<B: Backend>(terms: &[Term<B>]) -> Option<Tensor<B, 1>> {
    terms.iter().map(|term| term.value.clone() * term.weight).reduce(|a, b| a + b)
}

/// Photo and output in YUV (BT.601): L1 on Y, Huber on U and V.
pub fn colour<B: Backend>(output: &Tensor<B, 4>, photo: &Tensor<B, 4>) -> Tensor<B, 1> {
    // Linear, so that the difference is turned once.
    let difference = output.clone() - photo.clone();
    let channel = |weights: [f32; 3]| grey(&difference, weights);
    let (y, u, v) =
        (channel([0.299, 0.587, 0.114]), channel([-0.147, -0.289, 0.436]), channel([0.615, -0.515, -0.100]));
    y.abs().mean() + huber(u).mean() + huber(v).mean()
}

/// Half the square up to [`HUBER`], beyond it straight.
fn huber<B: Backend>(difference: Tensor<B, 4>) -> Tensor<B, 4> {
    let size = difference.abs();
    let near = size.clone().clamp_max(HUBER);
    near.clone() * (size - near.mul_scalar(0.5))
}

/// The channels' weighted sum, `[b, 1, h, w]`.
pub fn grey<B: Backend>(picture: &Tensor<B, 4>, weights: [f32; 3]) -> Tensor<B, 4> {
    let channel = |i: usize| picture.clone().narrow(1, i, 1).mul_scalar(weights[i]);
    channel(0) + channel(1) + channel(2)
}

/// Mean squared difference of neighbours.
pub fn total_variation<B: Backend>(picture: &Tensor<B, 4>) -> Tensor<B, 1> {
    let [_, _, h, w] = picture.dims();
    let along = |dim: usize, length: usize| {
        mean_square(picture.clone().narrow(dim, 1, length - 1) - picture.clone().narrow(dim, 0, length - 1))
    };
    along(3, w) + along(2, h)
}

fn mean_square<B: Backend>(difference: Tensor<B, 4>) -> Tensor<B, 1> {
    (difference.clone() * difference).mean()
}

/// How often channels fire together, `[b, c, c]`, over places and channels.
pub fn gram<B: Backend>(features: Tensor<B, 4>) -> Tensor<B, 3> {
    let [b, c, h, w] = features.dims();
    let rows = features.reshape([b, c, h * w]);
    rows.clone().matmul(rows.swap_dims(1, 2)).div_scalar((h * w) as f32)
}

/// The picture through a guided filter whose guide it is itself (He et al. 2013): surfaces without texture, edges kept.
pub fn guided<B: Backend>(picture: Tensor<B, 4>) -> Tensor<B, 4> {
    let mean = boxed(picture.clone());
    let variance = boxed(picture.clone() * picture.clone()) - mean.clone() * mean.clone();
    let a = variance.clone() / variance.add_scalar(GUIDE_EPSILON);
    let b = mean.clone() - a.clone() * mean;
    boxed(a) * picture + boxed(b)
}

/// Mean over a window of 2·radius + 1, at the border over what lies inside.
fn boxed<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    const SIDE: usize = 2 * GUIDE_RADIUS + 1;
    let rows = avg_pool2d(x, [1, SIDE], [1, 1], [0, GUIDE_RADIUS], false, false);
    avg_pool2d(rows, [SIDE, 1], [1, 1], [GUIDE_RADIUS, 0], false, false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::backend::NdArray;
    use burn::tensor::Distribution;

    use super::*;
    use crate::net::vgg::tests::made_up;

    type B = NdArray;

    fn random(dims: [usize; 4]) -> Tensor<B, 4> {
        Tensor::random(dims, Distribution::Uniform(0.0, 1.0), &Default::default())
    }

    fn flat(value: f32) -> Tensor<B, 4> {
        Tensor::full([1, 3, 16, 16], value, &Default::default())
    }

    #[test]
    fn a_lighter_grey_costs_luma_alone() {
        // U and V of a grey are nought but for their coefficients' rounding.
        assert!((colour(&flat(0.7), &flat(0.4)).into_scalar() - 0.3).abs() < 1e-3);
        let red = Tensor::cat(vec![flat(0.8).narrow(1, 0, 1), flat(0.4).narrow(1, 1, 2)], 1);
        let (u, v): (f32, f32) = (0.147 * 0.4, 0.615 * 0.4);
        let expected = 0.299 * 0.4 + 0.5 * u * u + HUBER * (v - 0.5 * HUBER);
        assert!((colour(&red, &flat(0.4)).into_scalar() - expected).abs() < 1e-4);
    }

    #[test]
    fn a_guided_filter_takes_noise_and_keeps_an_edge() {
        let side = |x: usize| if x < 16 { 0.1 } else { 0.9 };
        let values: Vec<f32> =
            (0..32 * 32).map(|i| side(i % 32) + if (i + i / 32) % 2 == 0 { 0.02 } else { -0.02 }).collect();
        let picture = Tensor::<B, 1>::from_floats(values.as_slice(), &Default::default()).reshape([1, 1, 32, 32]);
        let rows: Vec<f32> = guided(picture).narrow(2, 16, 1).into_data().iter().collect();
        assert!((rows[4] - rows[5]).abs() < 0.006, "noise of 0.04 is left at {}", (rows[4] - rows[5]).abs());
        assert!(rows[17] - rows[14] > 0.5, "{rows:?}");
    }

    #[test]
    fn total_variation_and_gram_of_a_flat_picture() {
        assert_eq!(total_variation(&flat(0.3)).into_scalar(), 0.0);
        assert!(total_variation(&random([1, 3, 8, 8])).into_scalar() > 0.05);
        let gram = gram(flat(0.5)).into_data();
        assert!(gram.iter::<f32>().all(|value| (value - 0.25).abs() < 1e-6));
    }

    #[test]
    fn with_a_reference_a_wild_corner_costs_more_than_a_change_all_over() {
        // The same photo at each run, of values up to 0.5.
        let values: Vec<f32> = (0..3 * 32 * 32).map(|i| (i * 7919 % 997) as f32 / 1994.0).collect();
        let photo = Tensor::<B, 1>::from_floats(values.as_slice(), &Default::default()).reshape([1, 3, 32, 32]);
        let weight = Tensor::ones([1, 1, 32, 32], &Default::default());
        let corner =
            photo.clone().slice_assign([0..1, 0..3, 0..4, 0..4], Tensor::ones([1, 3, 4, 4], &Default::default()));
        let losses = Losses { content: 1.0, ..crate::teacher::tests::config(4).loss };
        let content = |output: &Tensor<B, 4>, by_reference| {
            let compared = Compared { photo: &photo, painted: None, weight: &weight, style: None, by_reference };
            let terms = terms(&losses, Some((&made_up(), 1.0)), &compared, output);
            terms.into_iter().find(|term| term.name == "content").unwrap().value.into_scalar()
        };
        let corners_share =
            |by_reference| content(&corner, by_reference) / content(&photo.clone().add_scalar(0.05), by_reference);
        let (of_sizes, of_squares) = (corners_share(false), corners_share(true));
        assert!(of_squares > 2.0 * of_sizes, "{of_squares} of squares, {of_sizes} of sizes");
    }

    #[test]
    fn what_is_seldom_compared_weighs_more() {
        let (photo, weight) = (random([1, 3, 16, 16]), Tensor::ones([1, 1, 16, 16], &Default::default()));
        let losses = Losses { content: 0.5, structure: 0.2, ..crate::teacher::tests::config(4).loss };
        let compared =
            Compared { photo: &photo, painted: Some(&photo), weight: &weight, style: None, by_reference: false };
        let weights = |raised| {
            let terms = terms(&losses, Some((&made_up(), raised)), &compared, &photo);
            ["painted", "content", "structure"].map(|name| terms.iter().find(|term| term.name == name).unwrap().weight)
        };
        assert_eq!(weights(1.0), [losses.painted, 0.5, 0.2]);
        assert_eq!(weights(4.0), [losses.painted, 2.0, 0.8]);
    }
}
