//! Cutting a large picture into overlapping tiles: pure arithmetic, one axis at a time.

use std::ops::Range;

/// One tile along an axis: what the network reads, and which part of what it draws is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// The pixels that are read.
    pub read: Range<u32>,
    /// The pixels that are kept: they lie at least a halo away from every end of `read` that is not the picture's.
    pub kept: Range<u32>,
}

/// Cuts an axis of `len` pixels into tiles of at most `side` pixels whose kept parts cover it once, in order.
///
/// Every tile begins at a multiple of `multiple`, so that a network draws in it what it draws in the whole picture.
/// `side` is a multiple of `multiple`. Returns `None` where the halo leaves less than a quarter of a tile to keep.
pub fn cut(len: u32, side: u32, halo: u32, multiple: u32) -> Option<Vec<Tile>> {
    if len <= side {
        return Some(vec![Tile { read: 0..len, kept: 0..len }]);
    }
    let halo = halo.checked_next_multiple_of(multiple)?;
    let step = side.checked_sub(halo.checked_mul(2)?).filter(|step| *step >= side.div_ceil(4))?;
    let mut tiles = Vec::new();
    let (mut start, mut done) = (0, 0);
    loop {
        // The last tile is moved back so that all have one size, which needs one plan only.
        let last = start + side >= len;
        let read = if last { len.next_multiple_of(multiple) - side..len } else { start..start + side };
        let kept_end = if last { len } else { read.end - halo };
        tiles.push(Tile { read, kept: done..kept_end });
        if last {
            return Some(tiles);
        }
        done = kept_end;
        start += step;
    }
}

/// The width and height of tiles for a picture of `width` × `height`: at most `area` pixels, as square as the picture
/// lets them be, multiples of `multiple`.
pub fn tile_size(width: u32, height: u32, area: u32, multiple: u32) -> (u32, u32) {
    let down = |side: u32| (side / multiple).max(1) * multiple;
    let side = down(area.isqrt());
    let tall = height.next_multiple_of(multiple).min(side);
    let wide = width.next_multiple_of(multiple).min(down(area / tall));
    let tall = height.next_multiple_of(multiple).min(down(area / wide));
    (wide, tall)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tiles_cover_an_axis_once(len in 1..3000_u32, steps in 1..60_u32, halo in 0..100_u32, log in 0..6_u32) {
            let multiple = 1 << log;
            let side = steps * multiple;
            let Some(tiles) = cut(len, side, halo, multiple) else {
                prop_assert!(2 * halo.next_multiple_of(multiple) + side.div_ceil(4) > side);
                return Ok(());
            };
            prop_assert_eq!(tiles[0].kept.start, 0);
            prop_assert_eq!(tiles.last().unwrap().kept.end, len);
            for pair in tiles.windows(2) {
                prop_assert_eq!(pair[0].kept.end, pair[1].kept.start);
            }
            for tile in &tiles {
                let Tile { read, kept } = tile;
                prop_assert!(kept.start < kept.end && read.start <= kept.start && kept.end <= read.end);
                prop_assert!(read.end <= len && read.end - read.start <= side && read.start % multiple == 0);
                prop_assert!(read.start == 0 || kept.start - read.start >= halo);
                prop_assert!(read.end == len || read.end - kept.end >= halo && read.end % multiple == 0);
            }
        }

        #[test]
        fn tiles_stay_within_their_area(width in 1..13000_u32, height in 1..13000_u32) {
            let (wide, tall) = tile_size(width, height, 1440 * 1440, 8);
            prop_assert!(wide * tall <= 1440 * 1440);
            prop_assert!(wide % 8 == 0 && tall % 8 == 0);
            if u64::from(width) * u64::from(height) > 1440 * 1440 {
                prop_assert!(wide * tall > 1440 * 1300 || wide < 8 || tall < 8, "{} {}", wide, tall);
            }
        }
    }
}
