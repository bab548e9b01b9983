//! A stream of pictures at half their size or more.
//!
//! [`super::resize`] does any size and any filter, and allocates a little for each picture. Down to half the size two pixels
//! to each side are all that a small one lies on, so averaging them by area is simple, and this allocates nothing.

use crate::frame::Size;

/// Bytes of a pixel.
const RGB: usize = 3;

/// Reduces pictures of one size to another by averaging areas.
#[derive(Debug)]
pub struct Reducer {
    from: Size,
    to: Size,
    across: Vec<Pair>,
    /// The second ones' shares of `across`, for each byte of a row.
    shares: Vec<u16>,
    down: Vec<Pair>,
    /// A row of the small height, still of the large width; one byte more, so that pixels can be moved by four.
    row: Vec<u8>,
    /// The share of the row below, as often as a row has bytes.
    below: Vec<u16>,
    /// What lies to the left and to the right, for each pixel of a small row.
    left: Vec<u8>,
    right: Vec<u8>,
}

/// Two neighbouring rows or columns that a small one lies on.
#[derive(Debug, Clone, Copy)]
struct Pair {
    first: usize,
    second: usize,
    /// The second one's share, of 256.
    share: u16,
}

impl Reducer {
    /// From pictures of `from` to pictures of `to`.
    ///
    /// # Panics
    /// When a side of `to` is larger than that of `from`, or less than half of it rounded down, or 0.
    pub fn new(from: Size, to: Size) -> Self {
        let across = pairs(from.width as usize, to.width as usize);
        let (wide, narrow) = (from.width as usize * RGB, to.width as usize * RGB);
        Self {
            from,
            to,
            shares: across.iter().flat_map(|pair| [pair.share; RGB]).collect(),
            across,
            down: pairs(from.height as usize, to.height as usize),
            row: vec![0; wide + 1],
            below: vec![0; wide],
            left: vec![0; narrow + 1],
            right: vec![0; narrow + 1],
        }
    }

    /// Reduces `input` (RGB, of the large size) into `output` (RGB, of the small size). Each byte depends on the four that
    /// it lies on, and on nothing else.
    ///
    /// # Panics
    /// When a picture is not of its size.
    pub fn reduce(&mut self, input: &[u8], output: &mut [u8]) {
        assert_eq!((input.len(), output.len()), (self.from.rgb_len(), self.to.rgb_len()), "a picture of another size");
        let wide = self.from.width as usize * RGB;
        for (output, pair) in output.chunks_exact_mut(self.to.width as usize * RGB).zip(&self.down) {
            let row = |number: usize| &input[number * wide..][..wide];
            self.below.fill(pair.share);
            mix::<{ HALF - 1 }>(row(pair.first), row(pair.second), &self.below, &mut self.row[..wide]);
            for (x, pair) in self.across.iter().enumerate() {
                self.left[x * RGB..][..RGB + 1].copy_from_slice(&self.row[pair.first * RGB..][..RGB + 1]);
                self.right[x * RGB..][..RGB + 1].copy_from_slice(&self.row[pair.second * RGB..][..RGB + 1]);
            }
            mix::<HALF>(&self.left[..output.len()], &self.right[..output.len()], &self.shares, output);
        }
    }
}

/// Half of what shares are of. Rows are rounded down at a half and columns up, so that the two do not add up.
const HALF: u16 = 128;

/// Shares are of 256; `ROUND` is added before the sum is cut.
fn mix<const ROUND: u16>(first: &[u8], second: &[u8], shares: &[u16], output: &mut [u8]) {
    let n = output.len();
    let (first, second, shares) = (&first[..n], &second[..n], &shares[..n]);
    for k in 0..n {
        let (first, second) = (u16::from(first[k]), u16::from(second[k]));
        output[k] = ((first * (256 - shares[k]) + second * shares[k] + ROUND) >> 8) as u8;
    }
}

fn pairs(large: usize, small: usize) -> Vec<Pair> {
    assert!(small > 0 && small <= large && large / 2 <= small, "{large} to {small} is not half or more");
    let pair = |n: usize| {
        // In units of 1/small of a large pixel a small one is `large` wide, and a large one `small`.
        let (first, begun) = (n * large / small, n * large % small);
        // Where sides were rounded, a sliver of a third pixel is counted for the second.
        let share = 1.0 - ((small - begun) as f64 / large as f64).min(1.0);
        Pair { first, second: (first + 1).min(large - 1), share: (share * 256.0).round() as u16 }
    };
    (0..small).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduced(input: &[u8], from: Size, to: Size) -> Vec<u8> {
        let mut output = vec![0; to.rgb_len()];
        Reducer::new(from, to).reduce(input, &mut output);
        output
    }

    #[test]
    fn half_the_size_is_the_mean_of_four() {
        let (from, to) = (Size::new(8, 6), Size::new(4, 3));
        let input: Vec<u8> = (0..from.rgb_len()).map(|i| (i * 37 % 251) as u8).collect();
        for (i, got) in reduced(&input, from, to).iter().enumerate() {
            let (x, y, c) = (i / 3 % 4, i / 3 / 4, i % 3);
            let at = |dx: usize, dy: usize| f64::from(input[((2 * y + dy) * 8 + 2 * x + dx) * 3 + c]);
            let mean = (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1)) / 4.0;
            assert!((f64::from(*got) - mean).abs() <= 0.5, "{got} should be {mean}");
        }
    }

    #[test]
    fn three_quarters_are_shares_of_the_area() {
        let row: Vec<u8> = [0, 90, 180, 240].into_iter().flat_map(|b| [b; 3]).collect();
        let picture = row.repeat(4);
        let output = reduced(&picture, Size::new(4, 4), Size::new(3, 3));
        // (3·0 + 90)/4, (90 + 180)/2, (180 + 3·240)/4
        let expected: Vec<u8> = [23, 135, 225].into_iter().flat_map(|b| [b; 3]).collect();
        assert_eq!(output, expected.repeat(3));
    }

    #[test]
    fn the_last_three_quarters_are_as_the_first() {
        for n in (0..12_000 / 4).step_by(7) {
            let pairs = &pairs(12_000, 9_000)[n * 3..][..3];
            let seen: Vec<_> = pairs.iter().map(|pair| (pair.first - n * 4, pair.second - n * 4, pair.share)).collect();
            assert_eq!(seen, [(0, 1, 64), (1, 2, 128), (2, 3, 192)]);
        }
    }

    #[test]
    fn an_even_picture_stays_even_and_a_small_one_whole() {
        for (w, h) in [(1, 1), (2, 3), (3, 2), (5, 7), (641, 3)] {
            for share in [0.5, 0.75, 1.0] {
                let side = |side: u32| ((f64::from(side) * share).round() as u32).max(1);
                let (from, to) = (Size::new(w, h), Size::new(side(w), side(h)));
                let even = [10, 120, 255].repeat(from.area());
                assert_eq!(reduced(&even, from, to), [10, 120, 255].repeat(to.area()), "{from} to {to}");
                let noise: Vec<u8> = (0..from.rgb_len()).map(|i| (i * 37 % 251) as u8).collect();
                if from == to {
                    assert_eq!(reduced(&noise, from, to), noise);
                }
            }
        }
    }
}
