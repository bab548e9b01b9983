//! What is gained by computing only what changed: on video clips, and on a frame that stands still.
//!
//! `cargo bench --bench reuse` takes the clip in `examples`; `NIJIGEN_CLIPS=DIR` another folder of videos (read through
//! ffmpeg). A block counts as changed when its bytes differ from those last processed by more than [`THRESHOLD`] on
//! average; its neighbours are computed with it. `NIJIGEN_ISA=NAME` chooses the instruction set.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nijigen::engine::fused::{BLOCK, BlockMask, Changed, FusedGenerator};
use nijigen::engine::{Generator, Options};
use nijigen::frame::{Frame, Size};
use nijigen::source::Step;
use nijigen::source::file::{self, LivePipe};
use nijigen::style::Registry;

/// Mean change of a block's bytes, of 255.
const THRESHOLD: u64 = 4;
const DEAD_ZONE: u8 = 1;
/// Runs of a frame that stands still.
const STILL: usize = 101;

fn main() {
    let folder = std::env::var_os("NIJIGEN_CLIPS").map_or_else(|| PathBuf::from("examples"), PathBuf::from);
    for threads in [1, 2] {
        let heading = format!("{threads} threads");
        println!("{heading:<24} time  work  PSNR, dB   (a whole run is 1; {})", anime(1).isa());
        let shares: Vec<Share> = clips(&folder).iter().map(|clip| clip_share(clip, threads)).collect();
        let mean = |value: fn(&Share) -> f64| shares.iter().map(value).sum::<f64>() / shares.len() as f64;
        print_line("mean", &Share { time: mean(|s| s.time), work: mean(|s| s.work), psnr: mean(|s| s.psnr) });
        standing(threads);
    }
}

/// A run that computes only what changed, against a whole run.
struct Share {
    time: f64,
    /// Multiply-accumulates.
    work: f64,
    psnr: f64,
}

fn print_line(name: &str, share: &Share) {
    println!("  {name:<20} {:>6.3} {:>5.3} {:>9.1}", share.time, share.work, share.psnr);
}

fn clips(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of clips can be read");
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ["mkv", "mp4", "y4m"].iter().any(|e| ending == *e)));
    paths.sort();
    paths
}

/// The built-in style.
fn anime(threads: usize) -> Box<dyn Generator> {
    let registry = Registry::discover(None);
    let isa = std::env::var("NIJIGEN_ISA").ok().map(|name| name.parse().expect("an instruction set of this processor"));
    registry
        .open("anime", Options { isa, ..Options::threads(threads) })
        .expect("the built-in style can be opened")
        .generator
}

fn fused(generator: &mut Box<dyn Generator>) -> &mut FusedGenerator {
    generator.as_fused().expect("the built-in style is fused")
}

fn clip_share(clip: &Path, threads: usize) -> Share {
    let mut source = file::open(clip, LivePipe::No).expect("the clip can be read").source;
    let size = source.info().size;
    let (mut whole, mut partial) = (anime(threads), anime(threads));
    let mut frame = Frame::black(size);
    let (mut expected, mut out) = (vec![0; size.rgb_len()], vec![0; size.rgb_len()]);
    let mut processed = Vec::new();
    let mut mask = BlockMask::new(size);
    let (mut times, mut work, mut squares, mut frames) = ([0.0, 0.0], 0.0, 0_u64, 0_u64);
    while matches!(source.read(&mut frame), Ok(Step::Frame)) {
        let began = Instant::now();
        fused(&mut whole).run(&frame.pixels, size, &mut expected).expect("a frame of the clip's size");
        let whole_time = began.elapsed().as_secs_f64();
        let first = processed.is_empty();
        if first {
            processed.clone_from(&frame.pixels);
            mask.fill(true);
        } else {
            mark(&mut mask, &mut processed, &frame.pixels, size);
        }
        let began = Instant::now();
        let macs = fused(&mut partial)
            .run_changed(&frame.pixels, size, Changed::Blocks(&mask), DEAD_ZONE, &mut out)
            .expect("a frame of the clip's size");
        let partial_time = began.elapsed().as_secs_f64();
        // The first frame is computed whole by both.
        if !first {
            times = [times[0] + whole_time, times[1] + partial_time];
            work += macs as f64 / whole.macs(size) as f64;
            squares += expected.iter().zip(&out).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>();
            frames += 1;
        }
    }
    let mean_square = squares as f64 / (frames * size.rgb_len() as u64) as f64;
    let psnr = 10.0 * (255.0_f64.powi(2) / mean_square).log10();
    let share = Share { time: times[1] / times[0], work: work / frames as f64, psnr };
    print_line(&clip.file_name().unwrap_or_default().to_string_lossy(), &share);
    share
}

/// Marks the blocks that changed and their neighbours, and takes them over.
fn mark(mask: &mut BlockMask, processed: &mut [u8], frame: &[u8], size: Size) {
    let (columns, rows) = (mask.columns(), mask.rows());
    let width = size.width as usize * 3;
    let spans = |column: usize, row: usize| {
        let (from, to) = (column * BLOCK * 3, ((column + 1) * BLOCK * 3).min(width));
        (row * BLOCK..((row + 1) * BLOCK).min(size.height as usize)).map(move |y| y * width + from..y * width + to)
    };
    mask.fill(false);
    for (column, row) in (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))) {
        let (change, bytes) = spans(column, row).fold((0_u64, 0), |(change, bytes), span| {
            let pairs = processed[span.clone()].iter().zip(&frame[span.clone()]);
            (change + pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>(), bytes + span.len() as u64)
        });
        if change > THRESHOLD * bytes {
            for (x, y) in (row.saturating_sub(1)..=row + 1)
                .flat_map(|y| (column.saturating_sub(1)..=column + 1).map(move |x| (x, y)))
                .filter(|(x, y)| *x < columns && *y < rows)
            {
                mask.set(x, y, true);
            }
        }
    }
    for (column, row) in (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))) {
        if mask.get(column, row) {
            spans(column, row).for_each(|span| processed[span.clone()].copy_from_slice(&frame[span]));
        }
    }
}

/// A frame equal to the one before, with a mask that says so, and found out by comparing.
fn standing(threads: usize) {
    let size = Size::new(640, 480);
    let frame: Vec<u8> = (0..size.rgb_len()).map(|i| ((i * 31 + i / 977 * 7) % 256) as u8).collect();
    let mut out = vec![0; size.rgb_len()];
    let mut generator = anime(threads);
    let engine = fused(&mut generator);
    let nothing = BlockMask::new(size);
    let mut time = |changed: Changed<'_>| {
        let mut times: Vec<f64> = (0..STILL)
            .map(|_| {
                let began = Instant::now();
                engine.run_changed(&frame, size, changed, 0, black_box(&mut out)).expect("a frame of this size");
                began.elapsed().as_secs_f64()
            })
            .collect();
        // The first run after the engine was made.
        let first = times[0];
        times.sort_by(f64::total_cmp);
        (first, times[STILL / 2])
    };
    let (cold, whole) = time(Changed::Whole);
    let (_, given) = time(Changed::Blocks(&nothing));
    let (_, found) = time(Changed::Unknown);
    println!("  the same frame again: mask given {:.4}, found by comparing {:.4}", given / whole, found / whole);
    println!("  the first run: {:.2}", cold / whole);
}
