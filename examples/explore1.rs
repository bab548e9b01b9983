use nijigen::engine::{Generator, Options};
use nijigen::frame::{Frame, Size};
use nijigen::source::{Step, file};
use nijigen::style::Registry;
fn anime() -> Box<dyn Generator> {
    Registry::discover(None).open("anime", Options::threads(2)).unwrap().generator
}
fn boxf(plane: &[f32], w: usize, h: usize, r: usize) -> Vec<f32> {
    let line = |from: &dyn Fn(usize) -> f32, n: usize| -> Vec<f32> {
        let mut s = vec![0.0f64; n + 1];
        for i in 0..n { s[i + 1] = s[i] + f64::from(from(i)); }
        (0..n).map(|i| { let (a, b) = (i.saturating_sub(r), (i + r + 1).min(n)); ((s[b] - s[a]) / (b - a) as f64) as f32 }).collect()
    };
    let rows: Vec<Vec<f32>> = (0..h).map(|y| line(&|x| plane[y * w + x], w)).collect();
    let cols: Vec<Vec<f32>> = (0..w).map(|x| line(&|y| rows[y][x], h)).collect();
    (0..w * h).map(|i| cols[i % w][i / w]).collect()
}
fn main() {
    let size = Size::new(640, 480);
    let (w, h) = (640, 480);
    let mut g = anime();
    for e in std::fs::read_dir("/work/shared/data/clips").unwrap() {
        let p = e.unwrap().path();
        let mut s = file::open(&p).unwrap().source;
        let mut fr = Frame::black(size);
        let (mut ins, mut outs) = (vec![], vec![]);
        while matches!(s.read(&mut fr), Ok(Step::Frame)) {
            let mut o = vec![0; size.rgb_len()];
            g.run(&fr.pixels, size, &mut o).unwrap();
            ins.push(fr.pixels.clone()); outs.push(o);
        }
        let sm: Vec<Vec<f32>> = ins.iter().map(|f| boxf(&f.chunks(3).map(|p| 0.299 * p[0] as f32 + 0.587 * p[1] as f32 + 0.114 * p[2] as f32).collect::<Vec<_>>(), w, h, 2)).collect();
        let mut acc = std::collections::BTreeMap::<String, (f64, f64, f64)>::new();
        let mut standing = 0.0;
        let mut wn = 0.0;
        for (k, win) in sm.chunks_exact(16).enumerate() {
            let moving: Vec<f32> = (0..w * h).map(|i| { let lo = win.iter().map(|f| f[i]).fold(1e9, f32::min); let hi = win.iter().map(|f| f[i]).fold(-1e9, f32::max); f32::from(hi - lo > 6.0) }).collect();
            let mask: Vec<bool> = boxf(&moving, w, h, 15).iter().map(|s| *s < 1e-6).collect();
            standing += mask.iter().filter(|b| **b).count() as f64 / (w * h) as f64; wn += 1.0;
            let ii = &ins[k * 16..k * 16 + 16]; let oo = &outs[k * 16..k * 16 + 16];
            let mut add = |name: &str, a: &[u8], b: &[u8]| {
                let e = acc.entry(name.to_string()).or_default();
                for i in 0..w * h { if mask[i] { for c in 0..3 { let d = a[i * 3 + c].abs_diff(b[i * 3 + c]) as f64; e.0 += d; e.1 += d * d; e.2 += 1.0; } } }
            };
            for lag in [1, 2, 4, 8, 15] { for t in 0..16 - lag { add(&format!("in  lag {lag:2}"), &ii[t], &ii[t + lag]); add(&format!("out lag {lag:2}"), &oo[t], &oo[t + lag]); } }
            for n in [2usize, 4, 8, 16] {
                let mean: Vec<u8> = (0..size.rgb_len()).map(|i| ((ii[..n].iter().map(|f| f[i] as u32).sum::<u32>() + n as u32 / 2) / n as u32) as u8).collect();
                let mut o = vec![0; size.rgb_len()];
                g.run(&mean, size, &mut o).unwrap();
                for t in 0..16 { add(&format!("mean of {n:2} in"), &ii[t], &mean); add(&format!("mean of {n:2} out"), &oo[t], &o); }
            }
        }
        println!("{} {} frames, standing {:.2}", p.file_name().unwrap().to_string_lossy(), ins.len(), standing / wn);
        for (k, (a, s, n)) in acc { println!("   {k:16} mae {:.3} rms {:.3} psnr {:.1}", a / n, (s / n).sqrt(), 10.0 * (65025.0 / (s / n)).log10()); }
    }
}
