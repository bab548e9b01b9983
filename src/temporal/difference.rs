//! How much two pictures of a block differ: pure arithmetic over bytes, written so that the compiler vectorizes it.

use crate::engine::fused::BLOCK;

/// Bytes of a pixel.
pub(super) const PIXEL: usize = 3;
/// Bytes of a whole block's row.
const ROW: usize = BLOCK * PIXEL;

/// Rows of two pictures that are read side by side: few enough for the processor to foresee, enough to keep sums at hand.
const TOGETHER: usize = 16;

/// Where a block lies in a picture of RGB pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Where its first row begins, in bytes.
    pub(super) at: usize,
    /// Bytes from a row to the next.
    pub(super) pitch: usize,
    /// Bytes of a row.
    pub(super) row: usize,
    /// Rows.
    pub(super) rows: usize,
}

impl Place {
    /// Its bytes.
    pub(super) fn len(self) -> usize {
        self.row * self.rows
    }

    /// Its rows in `picture`.
    pub(super) fn rows_of(self, picture: &[u8]) -> impl Iterator<Item = &[u8]> {
        picture[self.at..].chunks(self.pitch).take(self.rows).map(move |row| &row[..self.row])
    }

    /// Its rows in `picture`.
    pub(super) fn rows_of_mut(self, picture: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
        picture[self.at..].chunks_mut(self.pitch).take(self.rows).map(move |row| &mut row[..self.row])
    }
}

/// How a block of a frame differs from another picture of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Difference {
    /// Mean square of the bytes' differences.
    pub(super) square: f32,
    /// The largest of the three channels' mean differences, without its sign.
    pub(super) shift: f32,
    /// The bytes' mean difference: above 0 where the picture is brighter than the other.
    pub(super) light: f32,
}

/// A block's differences as they add up row by row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sums {
    /// By column of bytes: at most 16 rows of ±255.
    columns: [i16; ROW],
    square: i32,
}

impl Sums {
    pub(super) const ZERO: Self = Self { columns: [0; ROW], square: 0 };

    /// Adds rows of the block in two pictures, all of the same length.
    fn add<'a>(&mut self, rows: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        // A copy that nothing else refers to: the compiler keeps it in registers.
        let Self { mut columns, mut square } = *self;
        for (row, other) in rows {
            square += match (row.first_chunk::<ROW>(), other.first_chunk::<ROW>()) {
                // Of a length known when it is compiled: it is vectorized without a rest.
                (Some(row), Some(other)) => add_whole_row(&mut columns, row, other),
                _ => add_row(&mut columns, row, other),
            };
        }
        *self = Self { columns, square };
    }

    /// The difference of a block of so many bytes.
    fn of(&self, bytes: usize) -> Difference {
        let mut channels = [0_i32; PIXEL];
        for pixel in self.columns.as_chunks::<PIXEL>().0 {
            channels.iter_mut().zip(pixel).for_each(|(channel, sum)| *channel += i32::from(*sum));
        }
        let shift = channels.into_iter().map(i32::abs).max().unwrap_or(0) * PIXEL as i32;
        let light = channels.into_iter().sum::<i32>();
        let bytes = bytes as f32;
        Difference { square: self.square as f32 / bytes, shift: shift as f32 / bytes, light: light as f32 / bytes }
    }
}

/// Compares a row of blocks, the first of which lies at `first`, in two pictures of the same size. The pictures are read
/// row by row, since memory is fastest so; `sums` and `differences` have an entry for each block.
pub(super) fn compare_row(
    first: Place,
    picture: &[u8],
    other: &[u8],
    sums: &mut [Sums],
    differences: &mut [Difference],
) {
    sums.fill(Sums::ZERO);
    let width = first.pitch;
    for from in (0..first.rows).step_by(TOGETHER) {
        let to = (from + TOGETHER).min(first.rows);
        for (x, sums) in sums.iter_mut().enumerate() {
            let columns = x * ROW..((x + 1) * ROW).min(width);
            sums.add((from..to).map(|y| {
                let row = first.at + y * width;
                let bytes = row + columns.start..row + columns.end;
                (&picture[bytes.clone()], &other[bytes])
            }));
        }
    }
    for (x, (difference, sums)) in differences.iter_mut().zip(sums).enumerate() {
        *difference = sums.of(ROW.min(width - x * ROW) * first.rows);
    }
}

/// Compares a block of a picture with one that was kept alone, its rows one behind the other.
pub(super) fn compare_kept(place: Place, picture: &[u8], kept: &[u8]) -> Difference {
    let mut sums = Sums::ZERO;
    sums.add(place.rows_of(picture).zip(kept.chunks_exact(place.row)));
    sums.of(place.len())
}

fn add_whole_row(sums: &mut [i16; ROW], row: &[u8; ROW], other: &[u8; ROW]) -> i32 {
    let differences: [i16; ROW] = std::array::from_fn(|i| i16::from(row[i]) - i16::from(other[i]));
    let mut square = 0;
    for i in 0..ROW {
        sums[i] += differences[i];
        square += i32::from(differences[i]) * i32::from(differences[i]);
    }
    square
}

fn add_row(sums: &mut [i16], row: &[u8], other: &[u8]) -> i32 {
    let mut square = 0;
    for ((sum, a), b) in sums.iter_mut().zip(row).zip(other) {
        let difference = i16::from(*a) - i16::from(*b);
        *sum += difference;
        square += i32::from(difference) * i32::from(difference);
    }
    square
}
