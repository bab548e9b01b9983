//! How much two pictures of a block differ: pure arithmetic over bytes, written so that the compiler vectorizes it.

use crate::engine::fused::BLOCK;

/// Bytes of a pixel.
pub(super) const PIXEL: usize = 3;
/// Bytes of a whole block's row.
const ROW: usize = BLOCK * PIXEL;

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
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Difference {
    /// Mean square of the bytes' differences.
    pub(super) square: f32,
    /// The largest of the three channels' mean differences, without its sign.
    pub(super) shift: f32,
}

/// Compares a block's rows with another picture of them.
pub(super) fn difference<'a>(
    place: Place,
    rows: impl Iterator<Item = &'a [u8]>,
    others: impl Iterator<Item = &'a [u8]>,
) -> Difference {
    // By column of bytes: at most 16 rows of ±255.
    let mut sums = [0_i16; ROW];
    let mut square = 0_u32;
    for (row, other) in rows.zip(others) {
        square += match (row.first_chunk::<ROW>(), other.first_chunk::<ROW>()) {
            (Some(row), Some(other)) => add_row(&mut sums, row, other),
            _ => add_row(&mut sums, row, other),
        };
    }
    let mut channels = [0_i32; PIXEL];
    for pixel in sums.as_chunks::<PIXEL>().0 {
        channels.iter_mut().zip(pixel).for_each(|(channel, sum)| *channel += i32::from(*sum));
    }
    let shift = channels.into_iter().map(i32::abs).max().unwrap_or(0);
    let bytes = place.len() as f32;
    Difference { square: square as f32 / bytes, shift: shift as f32 * PIXEL as f32 / bytes }
}

/// Adds a row's differences by column; returns the sum of their squares.
#[inline(always)]
fn add_row(sums: &mut [i16; ROW], row: &[u8], other: &[u8]) -> u32 {
    let mut square = 0;
    for ((sum, a), b) in sums.iter_mut().zip(row).zip(other) {
        let difference = i16::from(*a) - i16::from(*b);
        *sum += difference;
        square += i32::from(difference) * i32::from(difference);
    }
    square as u32
}
