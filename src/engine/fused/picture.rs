//! Between a block's channels side by side, as the last layer computes them, and the pixels of a picture.

use super::tensor::Tensor;

/// Positions that are computed before they are put in place.
pub(super) const RUN: usize = 64;
/// Bytes of a position, at most: 4 × 4 pixels of 4 channels.
pub(super) const MAX_BYTES: usize = 64;

/// A picture's form, and the positions in question: from column `x` of row `y` of the last convolution on.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Pixels on the side of a position's block.
    pub(super) block: usize,
    /// Bytes of a pixel.
    pub(super) channels: usize,
    pub(super) x: usize,
    pub(super) y: usize,
    /// How many positions.
    pub(super) positions: usize,
}

/// Puts positions of `stride` bytes into the rows of a picture: `rows` begins at pixel row `y·block`, rows are `pitch`
/// bytes apart.
pub(super) fn scatter(run: &[u8], stride: usize, rows: &mut [u8], pitch: usize, place: Place) {
    let bytes = place.block * place.channels;
    for dy in 0..place.block {
        let row = &mut rows[dy * pitch + place.x * bytes..][..place.positions * bytes];
        let from = run.chunks_exact(stride).map(|position| &position[dy * bytes..]);
        match bytes {
            3 => copy_runs::<3>(row, from),
            4 => copy_runs::<4>(row, from),
            6 => copy_runs::<6>(row, from),
            8 => copy_runs::<8>(row, from),
            12 => copy_runs::<12>(row, from),
            16 => copy_runs::<16>(row, from),
            _ => row.chunks_exact_mut(bytes).zip(from).for_each(|(to, from)| to.copy_from_slice(&from[..bytes])),
        }
    }
}

/// With a length known when it is compiled a copy is a few moves.
fn copy_runs<'a, const BYTES: usize>(row: &mut [u8], from: impl Iterator<Item = &'a [u8]>) {
    for (to, from) in row.as_chunks_mut::<BYTES>().0.iter_mut().zip(from) {
        to.copy_from_slice(&from[..BYTES]);
    }
}

/// The reverse, for what is added to the last layer: gathers from a stored tensor.
pub(super) fn gather(run: &mut [u8], stride: usize, tensor: &Tensor, place: Place) {
    for (p, position) in run.chunks_exact_mut(stride).take(place.positions).enumerate() {
        for (dy, dx) in (0..place.block).flat_map(|dy| (0..place.block).map(move |dx| (dy, dx))) {
            let at = tensor.layout.at((place.x + p) * place.block + dx, place.y * place.block + dy);
            let to = (dy * place.block + dx) * place.channels;
            for c in 0..place.channels {
                position[to + c] = tensor.data[at + c] ^ tensor.flip;
            }
        }
    }
}
