//! Flow: the direction in which shapes run at each pixel.
//!
//! The main axis of a smoothed structure tensor (Brox et al. 2006; Kyprianidis & Kang 2011), which lines, brush strokes
//! and relief follow.

use super::plane::{Lab, Plane};

/// Squared gradient (Sobel, lightness) that sensor noise has as well: where there is no more, nothing has a direction.
const NOISE: f32 = 2e-3;

/// Directions and how clear they are.
pub struct Flow {
    /// Unit vectors across the edges: their horizontal part.
    pub x: Plane,
    /// Their vertical part.
    pub y: Plane,
    /// 0 where no direction stands out, near 1 along an edge.
    pub anisotropy: Plane,
}

impl Flow {
    /// From the structure tensor of all three channels, smoothed by `sigma`.
    pub fn of(lab: &Lab, sigma: f32) -> Self {
        let (width, height) = (lab.l.width, lab.l.height);
        let mut tensor: [Plane; 3] = std::array::from_fn(|_| Plane::filled(width, height, 0.0));
        for plane in [&lab.l, &lab.a, &lab.b] {
            let padded = plane.padded(1);
            for y in 0..height {
                let (above, here, below) = (padded.row(y), padded.row(y + 1), padded.row(y + 2));
                for x in 0..width {
                    // Sobel
                    let dx = above[x + 2] - above[x] + 2.0 * (here[x + 2] - here[x]) + below[x + 2] - below[x];
                    let dy = below[x] - above[x] + 2.0 * (below[x + 1] - above[x + 1]) + below[x + 2] - above[x + 2];
                    let i = y * width + x;
                    tensor[0].values[i] += dx * dx;
                    tensor[1].values[i] += dx * dy;
                    tensor[2].values[i] += dy * dy;
                }
            }
        }
        let [e, f, g] = tensor.each_ref().map(|p| p.blurred(sigma));
        let mut flow = Self { x: e.clone(), y: e.clone(), anisotropy: e.clone() };
        for i in 0..width * height {
            let (e, f, g) = (e.values[i], f.values[i], g.values[i]);
            let angle = 0.5 * (2.0 * f).atan2(e - g);
            (flow.y.values[i], flow.x.values[i]) = angle.sin_cos();
            flow.anisotropy.values[i] = ((e - g).powi(2) + 4.0 * f * f).sqrt() / (e + g + NOISE);
        }
        flow
    }

    /// Gaussian smoothing of `sigma` pixels along the flow line through each pixel, followed in steps of one pixel.
    pub fn smoothed(&self, plane: &Plane, sigma: f32) -> Plane {
        let reach = (2.0 * sigma).ceil() as i32;
        let weights: Vec<f32> = (0..=reach).map(|t| (-((t * t) as f32) / (2.0 * sigma * sigma)).exp()).collect();
        let total = 2.0 * weights.iter().sum::<f32>() - weights[0];
        let (right, bottom) = ((plane.width - 1) as f32, (plane.height - 1) as f32);
        let mut out = Plane::filled(plane.width, plane.height, 0.0);
        for y in 0..plane.height {
            for x in 0..plane.width {
                let i = y * plane.width + x;
                let mut sum = weights[0] * plane.values[i];
                for sign in [1.0, -1.0] {
                    let (mut px, mut py) = (x as f32, y as f32);
                    let (mut tx, mut ty) = (-sign * self.y.values[i], sign * self.x.values[i]);
                    for weight in &weights[1..] {
                        px = (px + tx).clamp(0.0, right);
                        py = (py + ty).clamp(0.0, bottom);
                        sum += weight * plane.sample(px, py);
                        let j = (py + 0.5) as usize * plane.width + (px + 0.5) as usize;
                        let (nx, ny) = (-self.y.values[j], self.x.values[j]);
                        // The flow has no sign of its own: go on in the direction of travel.
                        let same = if nx * tx + ny * ty < 0.0 { -1.0 } else { 1.0 };
                        (tx, ty) = (same * nx, same * ny);
                    }
                }
                out.values[i] = sum / total;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 48;

    fn lab(l: impl Fn(f32, f32) -> f32) -> Lab {
        let values = (0..SIDE * SIDE).map(|i| l((i % SIDE) as f32, (i / SIDE) as f32)).collect();
        let neutral = Plane::filled(SIDE, SIDE, 0.0);
        Lab { l: Plane { width: SIDE, height: SIDE, values }, a: neutral.clone(), b: neutral }
    }

    #[test]
    fn the_flow_crosses_an_edge_at_a_right_angle() {
        let flow = Flow::of(&lab(|x, y| if 3.0 * x + 4.0 * y < 168.0 { 0.3 } else { 0.7 }), 2.0);
        let i = 24 * SIDE + 24;
        let along = flow.x.values[i] * 0.6 + flow.y.values[i] * 0.8;
        assert!(along.abs() > 0.98, "{along}");
        assert!(flow.anisotropy.values[i] > 0.8, "{}", flow.anisotropy.values[i]);
    }

    #[test]
    fn noise_has_no_direction() {
        let noise = |x: f32, y: f32| 0.5 + ((x * 7919.0 + y * 104_729.0) % 97.0) / 97.0 * 0.01;
        let flow = Flow::of(&lab(noise), 2.0);
        assert!(flow.anisotropy.values.iter().all(|&a| a < 0.3));
    }

    #[test]
    fn smoothing_follows_a_curved_edge() {
        let ring = |x: f32, y: f32| if (x - 24.0).hypot(y - 24.0) < 14.0 { 0.7 } else { 0.3 };
        let flow = Flow::of(&lab(ring), 2.0);
        let smooth = flow.smoothed(&lab(ring).l, 6.0);
        // Across, a Gaussian of six pixels would leave next to nothing of the ring's border.
        assert!(smooth.row(24)[24 - 12] - smooth.row(24)[24 - 16] > 0.3);
    }
}
