//! What is left of a style when a colour filter has done what it can.

use image::RgbImage;

/// Knots of the tone curve.
const KNOTS: usize = 24;

/// Mean absolute difference, of 255, between `output` and the best that a colour filter makes of `input`: a 3×4 matrix
/// fitted by least squares, then a tone curve for each channel. A style that leaves little is only such a filter.
pub fn residual(input: &RgbImage, output: &RgbImage) -> f64 {
    let pixels: Vec<([f64; 3], [f64; 3])> =
        input.pixels().zip(output.pixels()).map(|(a, b)| (a.0.map(f64::from), b.0.map(f64::from))).collect();
    let matrix = fit_matrix(&pixels);
    let mut total = 0.0;
    for (channel, row) in matrix.iter().enumerate() {
        let mapped: Vec<(f64, f64)> = pixels.iter().map(|(from, to)| (apply(row, from), to[channel])).collect();
        let curve = Curve::fit(&mapped);
        total += mapped.iter().map(|(x, y)| (curve.at(*x) - y).abs()).sum::<f64>();
    }
    total / (3 * pixels.len().max(1)) as f64
}

fn apply(row: &[f64; 4], rgb: &[f64; 3]) -> f64 {
    row[0] * rgb[0] + row[1] * rgb[1] + row[2] * rgb[2] + row[3]
}

/// The rows of the matrix that maps the first colours to the second ones with the least squared error.
fn fit_matrix(pixels: &[([f64; 3], [f64; 3])]) -> [[f64; 4]; 3] {
    let mut normal = [[0.0; 4]; 4];
    let mut right = [[0.0; 4]; 3];
    for (from, to) in pixels {
        let x = [from[0], from[1], from[2], 1.0];
        for i in 0..4 {
            for j in 0..4 {
                normal[i][j] += x[i] * x[j];
            }
            for c in 0..3 {
                right[c][i] += x[i] * to[c];
            }
        }
    }
    // A grey picture has no unique matrix: the smallest one will do.
    for (i, row) in normal.iter_mut().enumerate() {
        row[i] += 1e-3 * pixels.len() as f64;
    }
    right.map(|right| solve(normal, right))
}

/// Gauss's elimination with pivoting.
fn solve(mut a: [[f64; 4]; 4], mut b: [f64; 4]) -> [f64; 4] {
    for column in 0..4 {
        let pivot = (column..4).max_by(|i, j| a[*i][column].abs().total_cmp(&a[*j][column].abs())).unwrap_or(column);
        a.swap(column, pivot);
        b.swap(column, pivot);
        for row in column + 1..4 {
            let (upper, by) = (a[column], a[row][column] / a[column][column]);
            a[row].iter_mut().zip(upper).for_each(|(value, above)| *value -= by * above);
            b[row] -= by * b[column];
        }
    }
    for row in (0..4).rev() {
        let known: f64 = (row + 1..4).map(|k| a[row][k] * b[k]).sum();
        b[row] = (b[row] - known) / a[row][row];
    }
    b
}

/// A curve through knots at even distances.
struct Curve {
    from: f64,
    step: f64,
    knots: Vec<f64>,
}

impl Curve {
    /// The mean of what belongs to the values about each knot, each value counted by how near it is.
    fn fit(pairs: &[(f64, f64)]) -> Self {
        let (from, to) = pairs.iter().fold((f64::MAX, f64::MIN), |(l, h), (x, _)| (l.min(*x), h.max(*x)));
        let mut curve = Self { from, step: ((to - from) / (KNOTS - 1) as f64).max(1e-9), knots: vec![0.0; KNOTS] };
        let (mut sums, mut weights) = (vec![0.0; KNOTS], vec![0.0; KNOTS]);
        for (x, y) in pairs {
            let (i, share) = curve.place(*x);
            for (knot, weight) in [(i, 1.0 - share), (i + 1, share)] {
                sums[knot] += weight * y;
                weights[knot] += weight;
            }
        }
        for knot in 0..KNOTS {
            // Where nothing lies nothing is asked for.
            curve.knots[knot] =
                if weights[knot] > 0.0 { sums[knot] / weights[knot] } else { from + knot as f64 * curve.step };
        }
        curve
    }

    /// The knot before `x`, and how far it is to the next one.
    fn place(&self, x: f64) -> (usize, f64) {
        let at = ((x - self.from) / self.step).clamp(0.0, (KNOTS - 1) as f64);
        let i = (at as usize).min(KNOTS - 2);
        (i, at - i as f64)
    }

    fn at(&self, x: f64) -> f64 {
        let (i, share) = self.place(x);
        self.knots[i] + share * (self.knots[i + 1] - self.knots[i])
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn photo() -> RgbImage {
        RgbImage::from_fn(64, 48, |x, y| Rgb([(x * 4) as u8, (y * 5) as u8, ((x * 7 + y * 3) % 200) as u8]))
    }

    fn filtered(f: impl Fn([f64; 3]) -> [f64; 3]) -> RgbImage {
        let mut picture = photo();
        for pixel in picture.pixels_mut() {
            pixel.0 = f(pixel.0.map(f64::from)).map(|v| v.round().clamp(0.0, 255.0) as u8);
        }
        picture
    }

    #[test]
    fn a_colour_filter_leaves_next_to_nothing() {
        let sepia =
            filtered(|[r, g, b]| [0.3 * r + 0.5 * g + 0.1 * b + 20.0, 0.3 * r + 0.4 * g, 0.2 * r + 0.3 * b + 10.0]);
        assert!(residual(&photo(), &sepia) < 1.0, "{}", residual(&photo(), &sepia));
        let curve = filtered(|rgb| rgb.map(|v| 255.0 * (v / 255.0).powf(0.6)));
        assert!(residual(&photo(), &curve) < 5.0, "{}", residual(&photo(), &curve));
        assert!(residual(&photo(), &photo()) < 1.0);
    }

    #[test]
    fn what_is_drawn_is_left() {
        let mut lines = photo();
        for (x, _, pixel) in lines.enumerate_pixels_mut() {
            if x % 6 == 0 {
                *pixel = Rgb([20, 10, 30]);
            }
        }
        assert!(residual(&photo(), &lines) > 15.0, "{}", residual(&photo(), &lines));
    }

    #[test]
    fn a_picture_of_one_colour_is_no_trouble() {
        let flat = RgbImage::from_pixel(16, 16, Rgb([90; 3]));
        assert!(residual(&flat, &flat) < 0.5);
    }
}
