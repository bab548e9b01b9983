//! The live form of the stylizer against computing everything: time, work, PSNR, and flicker where the scene stands.
//!
//! `NIJIGEN_CLIPS=DIR NIJIGEN_PHOTOS=DIR cargo bench --bench live_reuse` takes a folder of videos (by default the clip in
//! `examples`), and one that holds the portraits of [`head`] (left out by default). Frames come as those of a camera of 30
//! frames per second. Both ways take turns frame by frame. `NIJIGEN_ISA=NAME` chooses the instruction set,
//! `NIJIGEN_STABILITIES=0.25,0.5` what is tried, `NIJIGEN_THREADS=1,2` on how many threads, and `NIJIGEN_PICTURES=DIR`
//! gets every tenth frame: photo, computed whole, live.

mod flicker;
mod head;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nijigen::config::DEFAULT_STABILITY;
use nijigen::engine::Options;
use nijigen::frame::{Frame, Size};
use nijigen::source::Step;
use nijigen::source::file::{self, LivePipe};
use nijigen::style::{Registry, Stylizer, Work};
use nijigen::temporal::ChangeDetector;

use flicker::Flicker;

/// From a frame to the next.
const PERIOD: Duration = Duration::from_nanos(33_333_333);
/// Comparing a frame is timed so often.
const COMPARED: usize = 301;

fn main() {
    let folder = std::env::var_os("NIJIGEN_CLIPS").map_or_else(|| PathBuf::from("examples"), PathBuf::from);
    let clips: Vec<Scene> = videos(&folder).iter().map(|path| Scene::clip(path)).collect();
    let heads: Vec<Scene> = std::env::var_os("NIJIGEN_PHOTOS")
        .map(|folder| head::PORTRAITS.iter().map(|portrait| Scene::head(Path::new(&folder), portrait)).collect())
        .unwrap_or_default();
    for threads in listed("NIJIGEN_THREADS", &[1.0, 2.0]) {
        for stability in listed("NIJIGEN_STABILITIES", &[DEFAULT_STABILITY]) {
            let isa = stylizer(threads as usize, 0.0).isa();
            println!("{isa}, {threads} threads, stability {stability}");
            println!(
                "  {:<18} {:>8} {:>8} {:>6} {:>6} {:>8} {:>8}",
                "", "whole ms", "live ms", "faster", "work", "PSNR dB", "flicker"
            );
            for scenes in [&clips, &heads].into_iter().filter(|scenes| !scenes.is_empty()) {
                let measured: Vec<Measured> =
                    scenes.iter().map(|scene| measure(scene, threads as usize, stability)).collect();
                for (scene, measured) in scenes.iter().zip(&measured) {
                    measured.print(&scene.name);
                }
                Measured::mean(&measured).print("together");
            }
        }
    }
    comparing();
}

fn listed(variable: &str, otherwise: &[f32]) -> Vec<f32> {
    let text = std::env::var(variable).ok();
    text.map_or(otherwise.to_vec(), |text| text.split(',').map(|n| n.parse().expect("a number")).collect())
}

/// Frames to be stylized one after the other.
struct Scene {
    name: String,
    size: Size,
    frames: Vec<Vec<u8>>,
}

impl Scene {
    fn clip(path: &Path) -> Self {
        let mut source = file::open(path, LivePipe::No).expect("the clip can be read").source;
        let size = source.info().size;
        let mut frame = Frame::black(size);
        let mut frames = Vec::new();
        while matches!(source.read(&mut frame), Ok(Step::Frame)) {
            frames.push(frame.pixels.clone());
        }
        Self { name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), size, frames }
    }

    fn head(folder: &Path, portrait: &head::Portrait) -> Self {
        Self { name: portrait.name.into(), size: head::SIZE, frames: portrait.frames(folder) }
    }
}

fn videos(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of clips can be read");
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ["mkv", "mp4", "y4m"].iter().any(|e| ending == *e)));
    paths.sort();
    paths
}

/// The built-in style.
fn stylizer(threads: usize, stability: f32) -> Stylizer {
    let isa = std::env::var("NIJIGEN_ISA").ok().map(|name| name.parse().expect("an instruction set of this processor"));
    let style = Registry::discover(None)
        .open("anime", Options { isa, ..Options::threads(threads) })
        .expect("the built-in style can be opened");
    let mut stylizer = Stylizer::new("anime", style.generator, 1.0);
    stylizer.set_stability(stability);
    stylizer
}

/// A live run against one that computes everything, both of the same frames. The first frame, which both compute, is
/// left out.
#[derive(Default)]
struct Measured {
    frames: f64,
    /// Seconds, of all frames.
    whole: f64,
    live: f64,
    /// The share of multiply-accumulates that the live run computed, of all frames.
    work: f64,
    /// The sum of the frames' mean square differences.
    square: f64,
    /// Where the scene stands.
    flicker_whole: f64,
    flicker_live: f64,
}

impl Measured {
    fn print(&self, name: &str) {
        let psnr = 10.0 * (255.0_f64.powi(2) * self.frames / self.square).log10();
        let (whole, live) = (self.whole * 1e3 / self.frames, self.live * 1e3 / self.frames);
        let (work, flicker) = (self.work / self.frames, self.flicker_live / self.flicker_whole);
        let faster = whole / live;
        println!("  {name:<18} {whole:>8.2} {live:>8.2} {faster:>6.2} {work:>6.3} {psnr:>8.2} {flicker:>8.3}");
    }

    fn mean(all: &[Self]) -> Self {
        let sum = |value: fn(&Self) -> f64| all.iter().map(value).sum();
        Self {
            frames: sum(|m| m.frames),
            whole: sum(|m| m.whole),
            live: sum(|m| m.live),
            work: sum(|m| m.work),
            square: sum(|m| m.square),
            flicker_whole: sum(|m| m.flicker_whole),
            flicker_live: sum(|m| m.flicker_live),
        }
    }
}

fn measure(scene: &Scene, threads: usize, stability: f32) -> Measured {
    let size = scene.size;
    let (mut everything, mut live) = (stylizer(threads, 0.0), stylizer(threads, stability));
    let (mut expected, mut shown) = (vec![0; size.rgb_len()], vec![0; size.rgb_len()]);
    // Where a camera would have put it just now.
    let mut frame = vec![0; size.rgb_len()];
    let began = Instant::now();
    let mut measured = Measured::default();
    let mut flicker = [Flicker::new(&scene.frames, size), Flicker::new(&scene.frames, size)];
    for (n, pixels) in scene.frames.iter().enumerate() {
        frame.copy_from_slice(pixels);
        let start = Instant::now();
        everything.run(&frame, size, &mut expected).expect("a frame of the scene's size");
        let whole = start.elapsed().as_secs_f64();
        frame.copy_from_slice(pixels);
        let start = Instant::now();
        let captured = began + PERIOD * n as u32;
        let Work { computed, whole: of } =
            live.run_live(&frame, size, captured, &mut shown).expect("a frame of the scene's size");
        let time = start.elapsed().as_secs_f64();
        flicker[0].look(n, &expected);
        flicker[1].look(n, &shown);
        if n > 0 {
            measured.frames += 1.0;
            measured.whole += whole;
            measured.live += time;
            measured.work += computed as f64 / of as f64;
            let squares = expected.iter().zip(&shown).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>();
            measured.square += squares as f64 / size.rgb_len() as f64;
        }
        if n % 10 == 9 {
            write_pictures(&format!("{}-{n:03}", scene.name), size, &[pixels, &expected, &shown]);
        }
    }
    let [whole, live] = flicker.map(|flicker| flicker.sum());
    (measured.flicker_whole, measured.flicker_live) = (whole, live);
    measured
}

/// Writes pictures side by side, where they are wanted.
fn write_pictures(name: &str, size: Size, pictures: &[&[u8]]) {
    let Some(folder) = std::env::var_os("NIJIGEN_PICTURES") else { return };
    let row = size.width as usize * 3;
    let pixels: Vec<u8> = (0..size.height as usize)
        .flat_map(|y| pictures.iter().flat_map(move |picture| picture[y * row..(y + 1) * row].iter().copied()))
        .collect();
    let width = size.width * pictures.len() as u32;
    let path = Path::new(&folder).join(format!("{name}.png"));
    image::save_buffer(path, &pixels, width, size.height, image::ColorType::Rgb8)
        .expect("the folder can be written to");
}

/// The cost of comparing alone: of frames that a camera has just put into the same memory.
fn comparing() {
    for size in [Size::new(640, 480), Size::new(1280, 720)] {
        let mut frame: Vec<u8> = (0..size.rgb_len()).map(|i| (i * 31 + i / 977 * 7) as u8 / 2).collect();
        let mut detector = ChangeDetector::new(size);
        let began = Instant::now();
        let mut times: Vec<f64> = (0..COMPARED)
            .map(|n| {
                frame.iter_mut().zip(0_usize..).for_each(|(byte, i)| *byte ^= ((i * 7919 + n) % 31 < 8) as u8);
                let start = Instant::now();
                std::hint::black_box(detector.look(&frame, began + PERIOD * n as u32, DEFAULT_STABILITY));
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("comparing a frame of {size}: {:.3} ms", times[COMPARED / 2] * 1e3);
    }
}
