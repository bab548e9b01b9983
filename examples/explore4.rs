use nijigen::frame::Size;
use std::time::{Duration, Instant};
fn main() {
    for size in [Size::new(640, 480), Size::new(1280, 720)] {
    for n in [2usize, 100] {
        let frames: Vec<Vec<u8>> = (0..n).map(|k| (0..size.rgb_len()).map(|i| (100 + (i * 7919 + k * 104729) % 97 % 2) as u8).collect()).collect();
        let mut det = nijigen::temporal::ChangeDetector::new(size);
        let t0 = Instant::now();
        let mut ts = vec![];
        for t in 0..300 {
            let b = Instant::now();
            det.look(&frames[t % n], t0 + Duration::from_millis(33 * t as u64));
            ts.push(b.elapsed().as_secs_f64() * 1e3);
        }
        let b = Instant::now();
        let mut s = 0u64; for f in &frames { s += f.iter().map(|b| *b as u64).sum::<u64>(); }
        let rd = b.elapsed().as_secs_f64() * 1e3 / n as f64;
        ts.sort_by(f64::total_cmp);
        println!("{size} {n} frames: min {:.3} median {:.3} max {:.3} ms; plain sum {rd:.3} {s}", ts[0], ts[150], ts[299]);
    } }
}
