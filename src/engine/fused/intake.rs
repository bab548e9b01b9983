//! From the caller's frame into the tensor that the first layers read.

use super::changed::{BLOCK, Changed};
use super::tensor::Tensor;
use crate::engine::kernels::TILE;
use crate::frame::Size;

/// Bytes of a pixel.
const PIXEL: usize = 3;

/// Takes the pixels of `frame` (RGB, `size`) that may have changed, marks those that did, and pads right and below with
/// the edge pixels.
pub(super) fn take(image: &mut Tensor, frame: &[u8], size: Size, changed: Changed<'_>) {
    image.clear();
    if matches!(changed, Changed::Blocks(mask) | Changed::Only(mask) if !mask.any()) {
        return;
    }
    let (layout, bit_layout, flip) = (image.layout, image.bit_layout, image.flip);
    let (width, height) = (size.width as usize, size.height as usize);
    let (data, bits) = image.rows_mut();
    let rows = data.chunks_exact_mut(layout.pitch()).zip(bits.chunks_exact_mut(bit_layout.pitch()));
    let mut any = false;
    for (y, (row, bits)) in rows.enumerate() {
        // Below the frame its last row goes on.
        let y = y.min(height - 1);
        let source = &frame[y * width * PIXEL..][..width * PIXEL];
        let row = &mut row[layout.border * PIXEL..][..layout.width * PIXEL];
        let bits = &mut bits[1..=bit_layout.bytes()];
        any |= match changed {
            Changed::Whole => {
                copy(&mut row[..width * PIXEL], source, flip);
                pad(row, width);
                false
            }
            Changed::Unknown => take_tiles(row, source, bits, flip, |_| true),
            Changed::Blocks(mask) => {
                take_tiles(row, source, bits, flip, |tile| mask.get(tile * TILE / BLOCK, y / BLOCK))
            }
            Changed::Only(mask) => {
                for run in mask.runs(y..y + 1, width) {
                    let bytes = run.start * PIXEL..run.end * PIXEL;
                    copy(&mut row[bytes.clone()], &source[bytes], flip);
                }
                pad(row, width);
                false
            }
        };
    }
    image.any = any;
}

/// Takes those tiles of a row for which `look` and that differ; returns whether there was one.
fn take_tiles(row: &mut [u8], source: &[u8], bits: &mut [u8], flip: u8, look: impl Fn(usize) -> bool) -> bool {
    let width = source.len() / PIXEL;
    // Most rows of a picture that stands still are equal, which is seen faster at once than tile by tile.
    if flip == 0 && row[..source.len()] == *source {
        return false;
    }
    let mut any = false;
    for (tile, source) in source.chunks(TILE * PIXEL).enumerate() {
        let kept = &mut row[tile * TILE * PIXEL..][..source.len()];
        if !look(tile) || same(kept, source, flip) {
            continue;
        }
        copy(kept, source, flip);
        bits[tile] = u8::MAX;
        any = true;
        if (tile + 1) * TILE >= width {
            pad(row, width);
            bits[tile..].fill(u8::MAX);
        }
    }
    any
}

fn same(kept: &[u8], source: &[u8], flip: u8) -> bool {
    // Whole tiles as arrays: the compiler then compares words.
    match (kept.as_chunks::<{ TILE * PIXEL }>(), source.as_chunks::<{ TILE * PIXEL }>()) {
        (([kept], []), ([source], [])) if flip == 0 => kept == source,
        _ => kept.iter().zip(source).all(|(kept, source)| *kept == source ^ flip),
    }
}

fn copy(to: &mut [u8], from: &[u8], flip: u8) {
    if flip == 0 {
        to.copy_from_slice(from);
    } else {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = from ^ flip);
    }
}

/// Repeats the last of `width` pixels up to the row's end.
fn pad(row: &mut [u8], width: usize) {
    let (pixels, rest) = row.split_at_mut(width * PIXEL);
    if let Some(last) = pixels.last_chunk::<PIXEL>() {
        rest.as_chunks_mut::<PIXEL>().0.fill(*last);
    }
}
