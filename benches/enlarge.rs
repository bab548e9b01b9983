//! Enlarging a drawn picture: what it costs, and how near it comes to the picture drawn at its full size.
//!
//! `cargo bench --bench enlarge` measures times; with `NIJIGEN_PICTURES=DIR` (photos, and clips read through ffmpeg, of
//! which frame 30 is taken) also PSNR and SSIM. `NIJIGEN_WRITE=DIR` takes the pictures themselves.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group};
use nijigen::engine::{Generator, Options};
use nijigen::frame::{Frame, Size};
use nijigen::pixels::guided::{Guided, Part, Pictures};
use nijigen::pixels::reduce::Reducer;
use nijigen::pixels::resize::{Filter, Scaler};
use nijigen::source::file::{self, LivePipe};
use nijigen::style::{Registry, Scale};

/// Photos are reduced to fit this before anything is done with them: as a webcam gives them.
const WEBCAM: Size = Size::new(640, 480);
const FRAME: u64 = 30;

fn main() {
    if let Some(folder) = std::env::var_os("NIJIGEN_PICTURES") {
        quality(Path::new(&folder));
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}

criterion_group!(benches, times);

fn noise(size: Size) -> Vec<u8> {
    (0..size.rgb_len()).map(|i| ((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 57) as u8 + 60).collect()
}

fn times(c: &mut Criterion) {
    let large = Size::new(1280, 720);
    let photo = noise(large);
    let mut output = vec![0; large.rgb_len()];
    for scale in [Scale::ThreeQuarters, Scale::Half] {
        let small = scale.of(large);
        let mut group = c.benchmark_group(format!("{small} to {large}"));
        let mut reduced = vec![0; small.rgb_len()];
        let mut reducer = Reducer::new(large, small);
        group.bench_function("(reducing)", |b| b.iter(|| reducer.reduce(&photo, black_box(&mut reduced))));
        for (name, filter) in [("bilinear", Filter::Bilinear), ("Lanczos", Filter::Lanczos)] {
            let mut scaler = Scaler::new(filter);
            group.bench_function(name, |b| {
                b.iter(|| scaler.scale(&reduced, small, black_box(&mut output), large).is_ok());
            });
        }
        let mut guided = Guided::new(small, large);
        let drawn: Vec<u8> = reduced.iter().map(|b| 255 - b).collect();
        let pictures = Pictures { drawn: &drawn, small: &reduced, photo: &photo };
        group.bench_function("guided", |b| b.iter(|| guided.enlarge(pictures, &whole(large), black_box(&mut output))));
        group.finish();
    }
}

fn whole(size: Size) -> Part {
    Part { columns: 0..size.width as usize, rows: 0..size.height as usize }
}

/// Means over the pictures, and in how many of them guided is the best.
fn quality(folder: &Path) {
    let registry = Registry::discover(None);
    let mut style = registry.open("anime", Options::threads(1)).expect("the built-in style can be opened").generator;
    let pictures: Vec<(String, Frame)> = inputs(folder).iter().map(|path| read(path)).collect();
    assert!(!pictures.is_empty(), "no pictures in {}", folder.display());
    println!("{} pictures against those drawn at full size: PSNR in dB, SSIM", pictures.len());
    for scale in [Scale::ThreeQuarters, Scale::Half] {
        let mut sums = [("bilinear", 0.0, 0.0), ("Lanczos", 0.0, 0.0), ("guided", 0.0, 0.0)];
        let mut best = 0;
        for (name, frame) in &pictures {
            let (expected, candidates) = candidates(style.as_mut(), frame, scale);
            let psnrs = candidates.each_ref().map(|picture| psnr(picture, &expected));
            best += usize::from(psnrs[2] > psnrs[0] && psnrs[2] > psnrs[1]);
            for ((sum, picture), psnr) in sums.iter_mut().zip(&candidates).zip(psnrs) {
                sum.1 += psnr;
                sum.2 += ssim(picture, &expected, frame.size);
                write(name, scale, sum.0, picture, frame.size);
            }
            write(name, scale, "full", &expected, frame.size);
        }
        println!("  scale {scale}; guided is the best in {best}");
        for (name, psnr, ssim) in sums {
            let n = pictures.len() as f64;
            println!("    {name:<10} {:.2} {:.4}", psnr / n, ssim / n);
        }
    }
}

/// The picture drawn at full size, and those drawn smaller and enlarged: bilinear, Lanczos, guided.
fn candidates(style: &mut dyn Generator, frame: &Frame, scale: Scale) -> (Vec<u8>, [Vec<u8>; 3]) {
    let (large, small) = (frame.size, scale.of(frame.size));
    let scaled = |filter: Filter, pixels: &[u8], from: Size, to: Size| {
        let mut output = vec![0; to.rgb_len()];
        Scaler::new(filter).scale(pixels, from, &mut output, to).expect("the sizes fit");
        output
    };
    let mut draw = |pixels: &[u8], size: Size| {
        let mut output = vec![0; size.rgb_len()];
        style.run(pixels, size, &mut output).expect("a picture of its size");
        output
    };
    let expected = draw(&frame.pixels, large);
    let mut reduced = vec![0; small.rgb_len()];
    Reducer::new(large, small).reduce(&frame.pixels, &mut reduced);
    let drawn = draw(&reduced, small);
    let mut guided = vec![0; large.rgb_len()];
    let pictures = Pictures { drawn: &drawn, small: &reduced, photo: &frame.pixels };
    Guided::new(small, large).enlarge(pictures, &whole(large), &mut guided);
    let plain = [Filter::Bilinear, Filter::Lanczos].map(|filter| scaled(filter, &drawn, small, large));
    let [bilinear, lanczos] = plain;
    (expected, [bilinear, lanczos, guided])
}

fn inputs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|e| ["jpg", "png", "mkv", "mp4", "y4m"].iter().any(|k| e == *k)));
    paths.sort();
    paths
}

fn read(path: &Path) -> (String, Frame) {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if let Ok(photo) = image::open(path) {
        let photo = photo.into_rgb8();
        let size = Size::new(photo.width(), photo.height());
        let mut frame = Frame::black(size.fit_within(WEBCAM));
        let mut scaler = Scaler::new(Filter::Bilinear);
        scaler.scale(&photo, size, &mut frame.pixels, frame.size).expect("the sizes fit");
        return (name, frame);
    }
    let mut source = file::open(path, LivePipe::No).expect("a photo or a clip").source;
    let mut frame = Frame::black(source.info().size);
    for _ in 0..=FRAME {
        source.read(&mut frame).expect("the clip can be read");
    }
    (name, frame)
}

fn write(name: &str, scale: Scale, way: &str, pixels: &[u8], size: Size) {
    if let Some(folder) = std::env::var_os("NIJIGEN_WRITE") {
        let path = Path::new(&folder).join(format!("{name}-{scale}-{way}.png"));
        let color = image::ExtendedColorType::Rgb8;
        image::save_buffer(path, pixels, size.width, size.height, color).expect("the picture can be written");
    }
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let squares: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    10.0 * (255.0_f64.powi(2) * a.len() as f64 / squares as f64).log10()
}

/// The structural similarity (Wang et al., 2004) of the luma, in windows of 8×8 pixels that do not overlap.
fn ssim(a: &[u8], b: &[u8], size: Size) -> f64 {
    let luma = |picture: &[u8], i: usize| {
        let [r, g, b] = [0, 1, 2].map(|c| f64::from(picture[i * 3 + c]));
        0.299 * r + 0.587 * g + 0.114 * b
    };
    let (width, height) = (size.width as usize, size.height as usize);
    let windows = (0..height / 8).flat_map(|y| (0..width / 8).map(move |x| (x * 8, y * 8)));
    let scores: Vec<f64> = windows
        .map(|(x, y)| {
            let [mut sa, mut sb, mut saa, mut sbb, mut sab] = [0.0; 5];
            for i in (0..64).map(|k| (y + k / 8) * width + x + k % 8) {
                let (a, b) = (luma(a, i), luma(b, i));
                (sa, sb, saa, sbb, sab) = (sa + a, sb + b, saa + a * a, sbb + b * b, sab + a * b);
            }
            let [ma, mb] = [sa / 64.0, sb / 64.0];
            let [va, vb, cov] = [saa / 64.0 - ma * ma, sbb / 64.0 - mb * mb, sab / 64.0 - ma * mb];
            (2.0 * ma * mb + 6.5025) * (2.0 * cov + 58.5225) / ((ma * ma + mb * mb + 6.5025) * (va + vb + 58.5225))
        })
        .collect();
    scores.iter().sum::<f64>() / scores.len() as f64
}
