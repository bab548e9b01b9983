//! Pictures that are too large to be drawn at once.

use std::fmt;
use std::ops::Range;

use crate::config::Detail;
use crate::engine::Generator;
use crate::engine::region::{Region, mix};
use crate::engine::tiles::{Tile, cut, tile_size};
use crate::error::Result;
use crate::frame::Size;
use crate::pixels::blend::blend;
use crate::pixels::resize::{Filter, Scaler};

/// The most pixels that are drawn at once: those of 1920×1080.
const WHOLE: u32 = 1920 * 1080;

/// The most pixels of a picture in which the person is looked for: those of a webcam's.
const SEEN: u32 = 640 * 480;

/// How a picture is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// At once.
    Whole,
    /// In overlapping tiles; the bytes are those of a whole run (but for a region's edge).
    Tiles(Grid),
    /// At this size, and enlarged again: it was asked for, or the style looks at the whole picture, so that tiles would
    /// show.
    Reduced(Size),
}

impl fmt::Display for Way {
    /// "drawn …"
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("at once"),
            Self::Tiles(Grid { columns, rows }) => write!(f, "in {}x{} tiles", columns.len(), rows.len()),
            Self::Reduced(size) => write!(f, "at {size} and enlarged"),
        }
    }
}

/// A picture's tiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grid {
    columns: Vec<Tile>,
    rows: Vec<Tile>,
}

/// How `generator` draws a picture of `size` with so much detail.
pub(super) fn way(generator: &dyn Generator, size: Size, detail: Detail) -> Way {
    let drawn = detail.of(size);
    match way_within(generator, drawn, WHOLE) {
        Way::Reduced(smaller) => Way::Reduced(smaller),
        way if drawn == size => way,
        _ => Way::Reduced(drawn),
    }
}

fn way_within(generator: &dyn Generator, size: Size, area: u32) -> Way {
    if size.area() <= area as usize {
        return Way::Whole;
    }
    let multiple = generator.multiple();
    let (wide, tall) = tile_size(size.width, size.height, area, multiple);
    let grid = generator.halo().and_then(|halo| {
        let columns = cut(size.width, wide, halo, multiple)?;
        Some(Grid { columns, rows: cut(size.height, tall, halo, multiple)? })
    });
    grid.map_or_else(|| Way::Reduced(size.within_area(area)), Way::Tiles)
}

/// Told the share that is done; what it returns stops the work.
pub(super) type Progress<'a> = &'a mut dyn FnMut(f32) -> Result<()>;

/// Stylizes `pixels` (RGB) where they are, mixed with the photo at `strength`.
pub(super) fn run_in_place(
    generator: &mut dyn Generator,
    pixels: &mut [u8],
    size: Size,
    strength: f32,
    detail: Detail,
    progress: Progress,
) -> Result<()> {
    match way(generator, size, detail) {
        Way::Whole => {
            let photo = pixels.to_vec();
            generator.run(&photo, size, pixels)?;
            blend(&photo, pixels, strength);
            Ok(())
        }
        Way::Tiles(grid) => match generator.region() {
            Region::All => run_tiles(generator, pixels, size, &grid, strength, progress),
            region => {
                generator.set_region(Region::All);
                let drawn = run_tiles_within(generator, pixels, size, &grid, region, strength, progress);
                generator.set_region(region);
                drawn
            }
        },
        Way::Reduced(reduced) => {
            let mut scaler = Scaler::new(Filter::Lanczos);
            let mut small = vec![0; reduced.rgb_len()];
            scaler.scale(pixels, size, &mut small, reduced)?;
            progress(0.0)?;
            run_in_place(generator, &mut small, reduced, 1.0, Detail::Full, progress)?;
            mix_enlarged(&mut scaler, pixels, size, &small, reduced, strength)
        }
    }
}

/// Draws row after row of tiles. What was drawn goes into the picture itself; beside it there is only one row of tiles
/// of the photo, from which the next row takes what has been drawn over.
fn run_tiles(
    generator: &mut dyn Generator,
    pixels: &mut [u8],
    size: Size,
    grid: &Grid,
    strength: f32,
    progress: Progress,
) -> Result<()> {
    let stride = size.width as usize * 3;
    let mut band = Band { start: 0, bytes: Vec::new(), stride };
    let (mut photo, mut drawn) = (Vec::new(), Vec::new());
    let (mut done, tiles) = (0, grid.rows.len() * grid.columns.len());
    for row in &grid.rows {
        band.advance(pixels, &row.read);
        for column in &grid.columns {
            let tile = Size::new(length(&column.read), length(&row.read));
            photo.clear();
            photo.extend(row.read.clone().flat_map(|y| band.row(y, &column.read)));
            drawn.resize(tile.rgb_len(), 0);
            generator.run(&photo, tile, &mut drawn)?;
            blend(&photo, &mut drawn, strength);
            for y in row.kept.clone() {
                let from = ((y - row.read.start) * tile.width + column.kept.start - column.read.start) as usize * 3;
                let to = y as usize * stride + column.kept.start as usize * 3;
                let bytes = length(&column.kept) as usize * 3;
                pixels[to..to + bytes].copy_from_slice(&drawn[from..from + bytes]);
            }
            done += 1;
            progress(done as f32 / tiles as f32)?;
        }
    }
    Ok(())
}

/// [`run_tiles`], and outside of `region` the photo. The person is looked for in the whole picture, reduced: a tile does
/// not show what belongs together.
fn run_tiles_within(
    generator: &mut dyn Generator,
    pixels: &mut [u8],
    size: Size,
    grid: &Grid,
    region: Region,
    strength: f32,
    progress: Progress,
) -> Result<()> {
    let seen = size.within_area(SEEN);
    let mut scaler = Scaler::new(Filter::Bilinear);
    let mut small = vec![0; seen.rgb_len()];
    scaler.scale(pixels, size, &mut small, seen)?;
    let person = generator.person_mask(&small, seen)?.unwrap_or_default();
    let person: Vec<u8> = person.into_iter().flat_map(|certain| [certain; 3]).collect();
    let photo = pixels.to_vec();
    run_tiles(generator, pixels, size, grid, strength, progress)?;
    let mut certain = Vec::new();
    let strip = strip(size);
    let strips =
        pixels.chunks_mut(strip as usize * size.width as usize * 3).zip((0..size.height).step_by(strip as usize));
    for (drawn, top) in strips {
        certain.resize(drawn.len(), 0);
        scaler.scale_rows(&person, seen, &mut certain, size, top..(top + strip).min(size.height))?;
        let photo = &photo[top as usize * size.width as usize * 3..];
        let pixels = drawn.as_chunks_mut::<3>().0.iter_mut().zip(photo.as_chunks::<3>().0);
        for ((drawn, photo), certain) in pixels.zip(certain.as_chunks::<3>().0) {
            *drawn = mix(*photo, *drawn, region.share(certain[0]));
        }
    }
    Ok(())
}

/// How many rows of a picture are enlarged at a time.
fn strip(size: Size) -> u32 {
    (WHOLE / size.width).max(1)
}

fn length(range: &Range<u32>) -> u32 {
    range.end - range.start
}

/// Rows of the photo as it was.
struct Band {
    start: u32,
    bytes: Vec<u8>,
    stride: usize,
}

impl Band {
    /// Moves on to `rows`: those that it holds are kept, the others, not drawn over yet, are taken from `pixels`.
    fn advance(&mut self, pixels: &[u8], rows: &Range<u32>) {
        let held = self.start + (self.bytes.len() / self.stride) as u32;
        self.bytes.drain(..((rows.start - self.start) as usize * self.stride).min(self.bytes.len()));
        self.start = rows.start;
        let fresh = held.max(rows.start) as usize * self.stride..rows.end as usize * self.stride;
        self.bytes.extend_from_slice(&pixels[fresh]);
    }

    fn row(&self, y: u32, columns: &Range<u32>) -> &[u8] {
        let start = (y - self.start) as usize * self.stride;
        &self.bytes[start + columns.start as usize * 3..start + columns.end as usize * 3]
    }
}

/// Enlarges `drawn` strip by strip and mixes it into the photo.
fn mix_enlarged(
    scaler: &mut Scaler,
    pixels: &mut [u8],
    size: Size,
    drawn: &[u8],
    reduced: Size,
    strength: f32,
) -> Result<()> {
    let strip = strip(size);
    let mut styled = Vec::new();
    for (index, photo) in pixels.chunks_mut((strip * size.width) as usize * 3).enumerate() {
        let top = index as u32 * strip;
        styled.resize(photo.len(), 0);
        scaler.scale_rows(drawn, reduced, &mut styled, size, top..(top + strip).min(size.height))?;
        blend(photo, &mut styled, strength);
        photo.copy_from_slice(&styled);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::engine::contract::FloatNetwork;
    use crate::engine::topology::{LayerShape, Topology};
    use crate::engine::{Options, Stated, load};

    /// A network of two scales with a halo of some 20 pixels, so that small tiles will do.
    fn small_network() -> Box<dyn Generator> {
        network_of(3, 4)
    }

    fn network_of(channels: usize, seed: u64) -> Box<dyn Generator> {
        let layer = LayerShape::convolution;
        let layers = vec![
            LayerShape { space_to_depth: 2, ..layer(0, 12, 4) },
            LayerShape { stride: 2, ..layer(1, 4, 6) },
            LayerShape { add: Some(2), ..layer(2, 6, 6) },
            LayerShape { depth_to_space: 2, add: Some(1), ..layer(3, 6, 16) },
            LayerShape { depth_to_space: 2, ..layer(4, 4, 4 * channels) },
        ];
        let onnx = FloatNetwork::random(Topology { layers }, seed).to_qdq_onnx().unwrap();
        load(&onnx, Stated::default(), Options::threads(1)).unwrap().generator
    }

    fn picture(size: Size) -> Vec<u8> {
        (0..size.rgb_len()).map(|i| ((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn tiles_draw_what_a_whole_run_draws(width in 1..230_u32, height in 1..230_u32, strength in 0.1..1.0_f32) {
            let mut generator = small_network();
            let size = Size::new(width, height);
            let photo = picture(size);
            let mut whole = vec![0; size.rgb_len()];
            generator.run(&photo, size, &mut whole).unwrap();
            blend(&photo, &mut whole, strength);
            let mut pixels = photo;
            match way_within(generator.as_ref(), size, 96 * 96) {
                Way::Tiles(grid) => {
                    run_tiles(generator.as_mut(), &mut pixels, size, &grid, strength, &mut |_| Ok(())).unwrap();
                    prop_assert!(pixels == whole);
                }
                way => prop_assert!(way == Way::Whole && size.area() <= 96 * 96),
            }
        }
    }

    #[test]
    fn of_a_region_tiles_draw_what_a_whole_run_draws() {
        let size = Size::new(230, 170);
        // Dark beside bright, so that some random network takes one of them for a person.
        let shade = |i: usize| if i / 3 % 230 < 120 { (40, 30) } else { (200, 50) };
        let photo: Vec<u8> =
            picture(size).into_iter().enumerate().map(|(i, noise)| shade(i).0 + noise % shade(i).1).collect();
        let sees_both = |generator: &mut Box<dyn Generator>| {
            let mask = generator.person_mask(&photo, size).unwrap().unwrap();
            [0, 255].iter().all(|certain| mask.contains(certain))
        };
        let mut generator =
            (0..100).map(|seed| network_of(4, seed)).find_map(|mut g| sees_both(&mut g).then_some(g)).unwrap();
        let Way::Tiles(grid) = way_within(generator.as_ref(), size, 96 * 96) else { panic!("not by tiles") };
        for region in [Region::Person, Region::Background] {
            generator.set_region(region);
            let mut whole = vec![0; size.rgb_len()];
            generator.run(&photo, size, &mut whole).unwrap();
            assert!(whole != photo && whole.chunks_exact(3).zip(photo.chunks_exact(3)).any(|(a, b)| a == b));
            let mut pixels = photo.clone();
            generator.set_region(Region::All);
            run_tiles_within(generator.as_mut(), &mut pixels, size, &grid, region, 1.0, &mut |_| Ok(())).unwrap();
            assert!(pixels == whole, "{region}");
        }
    }

    #[test]
    fn with_less_detail_it_is_what_is_drawn_of_the_reduced_picture() {
        let (size, reduced) = (Size::new(300, 200), Size::new(90, 60));
        let mut generator = small_network();
        let photo = picture(size);
        let mut scaler = Scaler::new(Filter::Lanczos);
        let (mut small, mut drawn) = (vec![0; reduced.rgb_len()], vec![0; reduced.rgb_len()]);
        scaler.scale(&photo, size, &mut small, reduced).unwrap();
        generator.run(&small, reduced, &mut drawn).unwrap();
        let mut expected = vec![0; size.rgb_len()];
        scaler.scale(&drawn, reduced, &mut expected, size).unwrap();
        blend(&photo, &mut expected, 0.75);

        let mut pixels = photo;
        run_in_place(generator.as_mut(), &mut pixels, size, 0.75, Detail::Side(90), &mut |_| Ok(())).unwrap();
        assert!(pixels == expected);
        assert_eq!(way(generator.as_ref(), size, Detail::Side(300)), Way::Whole);
        let large = Size::new(4000, 3000);
        assert_eq!(way(generator.as_ref(), large, Detail::Side(3000)), Way::Reduced(Size::new(3000, 2250)));
        assert!(matches!(way(generator.as_ref(), large, Detail::Full), Way::Tiles(_)));
    }

    #[test]
    fn a_style_that_looks_at_the_whole_picture_is_drawn_smaller() {
        struct Global;
        impl Generator for Global {
            fn run(&mut self, input: &[u8], size: Size, output: &mut [u8]) -> Result<()> {
                assert!(size.area() <= WHOLE as usize);
                output.copy_from_slice(input);
                Ok(())
            }
            fn macs(&self, _: Size) -> u64 {
                0
            }
            fn engine(&self) -> &'static str {
                "test"
            }
            fn isa(&self) -> &'static str {
                "none"
            }
            fn halo(&self) -> Option<u32> {
                None
            }
            fn multiple(&self) -> u32 {
                4
            }
        }
        let size = Size::new(2999, 1501);
        let mut pixels = [10, 120, 200].repeat(size.area());
        for detail in [Detail::Full, Detail::Side(2500), Detail::Side(500)] {
            assert!(matches!(way(&Global, size, detail), Way::Reduced(_)));
            run_in_place(&mut Global, &mut pixels, size, 1.0, detail, &mut |_| Ok(())).unwrap();
            assert!(pixels == [10, 120, 200].repeat(size.area()));
        }
    }
}
