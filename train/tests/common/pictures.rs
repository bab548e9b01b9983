//! Photos and art to train on, made up.

use std::path::Path;

use image::{Rgb, RgbImage};

/// A photo-like picture; each number gives another.
pub fn scene(number: u32) -> RgbImage {
    RgbImage::from_fn(80, 64, |x, y| {
        let shape = ((x + 5 * number) / (13 + 2 * number) + y / (9 + number)) % 3;
        Rgb([50 + 60 * shape as u8, 90 + 2 * y as u8, (x * 2 + 30 * number) as u8])
    })
}

/// A drawing-like picture of a hue.
pub fn drawing(hue: [u8; 3], width: u32) -> RgbImage {
    RgbImage::from_fn(96, 72, |x, y| if (x / width + y / width).is_multiple_of(2) { Rgb(hue) } else { Rgb([15; 3]) })
}

/// Five photos `p0.png`… in `folder/photos` and the drawings `red.png` and `blue.png` in `folder/art`.
pub fn photos_and_art(folder: &Path) {
    let (photos, art) = (folder.join("photos"), folder.join("art"));
    for folder in [&photos, &art] {
        std::fs::create_dir(folder).unwrap();
    }
    for number in 0..5 {
        scene(number).save(photos.join(format!("p{number}.png"))).unwrap();
    }
    drawing([230, 80, 60], 8).save(art.join("red.png")).unwrap();
    drawing([60, 90, 230], 14).save(art.join("blue.png")).unwrap();
}
