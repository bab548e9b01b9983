//! Flicker as `nijigen-train eval` measures it: how much a video changes from frame to frame where its scene stands still.

use nijigen::frame::Size;

/// Frames over which a place must stand; what a scene has beyond a multiple of it is not looked at.
const WINDOW: usize = 16;
/// A place stands where its smoothed grey level stays within this over [`WINDOW`] frames, of 255.
const RANGE: f32 = 6.0;
/// Radius of the box that smooths the grey level.
const SMOOTHING: usize = 2;
/// Pixels by which standing regions are eroded, so that no mover's edge is counted.
const EROSION: usize = 15;

/// Adds up a video's changes.
pub struct Flicker {
    /// For each window which pixels stand.
    standing: Vec<Vec<bool>>,
    last: Vec<u8>,
    sum: u64,
}

impl Flicker {
    /// For a video made of `frames`.
    pub fn new(frames: &[Vec<u8>], size: Size) -> Self {
        let (width, height) = (size.width as usize, size.height as usize);
        let standing = frames.chunks_exact(WINDOW).map(|window| {
            let mut low = vec![f32::INFINITY; size.area()];
            let mut high = vec![f32::NEG_INFINITY; size.area()];
            for frame in window {
                let grey = frame
                    .as_chunks::<3>()
                    .0
                    .iter()
                    .map(|&[r, g, b]| 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b));
                let grey = box_filter(&grey.collect::<Vec<f32>>(), width, height, SMOOTHING);
                for ((low, high), grey) in low.iter_mut().zip(&mut high).zip(grey) {
                    (*low, *high) = (low.min(grey), high.max(grey));
                }
            }
            let moving: Vec<f32> = low.iter().zip(&high).map(|(low, high)| f32::from(high - low > RANGE)).collect();
            box_filter(&moving, width, height, EROSION).into_iter().map(|share| share < 1e-6).collect()
        });
        Self { standing: standing.collect(), last: vec![0; size.rgb_len()], sum: 0 }
    }

    /// Takes frame number `n` of the stylized video.
    pub fn look(&mut self, n: usize, frame: &[u8]) {
        if !n.is_multiple_of(WINDOW)
            && let Some(standing) = self.standing.get(n / WINDOW)
        {
            let pairs = self.last.as_chunks::<3>().0.iter().zip(frame.as_chunks::<3>().0);
            for ((a, b), _) in pairs.zip(standing).filter(|(_, stands)| **stands) {
                self.sum += a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
            }
        }
        self.last.copy_from_slice(frame);
    }

    /// The sum of the bytes' changes where the scene stands.
    pub fn sum(&self) -> f64 {
        self.sum as f64
    }
}

/// Mean over a square of side 2·radius + 1, cut off at the borders.
fn box_filter(plane: &[f32], width: usize, height: usize, radius: usize) -> Vec<f32> {
    let smooth = |line: &mut dyn Iterator<Item = f32>, length: usize| -> Vec<f32> {
        let mut sums = vec![0.0_f64; length + 1];
        for (i, value) in line.enumerate() {
            sums[i + 1] = sums[i] + f64::from(value);
        }
        let ends = (0..length).map(|i| (i.saturating_sub(radius), (i + radius + 1).min(length)));
        ends.map(|(from, to)| ((sums[to] - sums[from]) / (to - from) as f64) as f32).collect()
    };
    let rows: Vec<f32> = plane.chunks(width).flat_map(|row| smooth(&mut row.iter().copied(), width)).collect();
    let mut smoothed = vec![0.0; plane.len()];
    for x in 0..width {
        let column = smooth(&mut rows[x..].iter().step_by(width).copied(), height);
        smoothed[x..].iter_mut().step_by(width).zip(column).for_each(|(to, value)| *to = value);
    }
    smoothed
}
