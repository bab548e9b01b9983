#![allow(unsafe_code)]
use nijigen::engine::fused::{BlockMask, Changed};
use nijigen::engine::{Generator, Options};
use nijigen::frame::{Frame, Size};
use nijigen::source::{Step, file};
use nijigen::style::Registry;
use std::time::Instant;
fn anime() -> Box<dyn Generator> {
    let isa = std::env::var("NIJIGEN_ISA").ok().map(|n| n.parse().unwrap());
    Registry::discover(None).open("anime", Options { isa, ..Options::threads(1) }).unwrap().generator
}
const W: usize = 640; const H: usize = 480; const BW: usize = 40; const BH: usize = 30;
struct Clip { ins: Vec<Vec<u8>>, outs: Vec<Vec<u8>>, masks: Vec<Vec<bool>>, whole: f64 }
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
    let mut g = anime();
    let mut clips = vec![];
    let skip: usize = std::env::var("SKIP").map_or(1, |s| s.parse().unwrap());
    let mut ps: Vec<_> = std::fs::read_dir("/work/shared/data/clips").unwrap().map(|e| e.unwrap().path()).collect(); ps.sort();
    for p in ps.into_iter().step_by(skip) {
        let mut s = file::open(&p).unwrap().source;
        let mut fr = Frame::black(size);
        let (mut ins, mut outs) = (vec![], vec![]);
        let mut ts = vec![];
        while matches!(s.read(&mut fr), Ok(Step::Frame)) {
            let mut o = vec![0; size.rgb_len()];
            let b = Instant::now();
            g.run(&fr.pixels, size, &mut o).unwrap();
            ts.push(b.elapsed().as_secs_f64());
            ins.push(fr.pixels.clone()); outs.push(o);
        }
        ts.sort_by(f64::total_cmp);
        let sm: Vec<Vec<f32>> = ins.iter().map(|f| boxf(&f.chunks(3).map(|p| 0.299 * p[0] as f32 + 0.587 * p[1] as f32 + 0.114 * p[2] as f32).collect::<Vec<_>>(), W, H, 2)).collect();
        let masks = sm.chunks_exact(16).map(|win| { let moving: Vec<f32> = (0..W * H).map(|i| { let lo = win.iter().map(|f| f[i]).fold(1e9, f32::min); let hi = win.iter().map(|f| f[i]).fold(-1e9, f32::max); f32::from(hi - lo > 6.0) }).collect();
            boxf(&moving, W, H, 15).iter().map(|s| *s < 1e-6).collect() }).collect();
        clips.push(Clip { ins, outs, masks, whole: ts[ts.len() / 2] });
    }
    let lines = std::io::read_to_string(std::io::stdin()).unwrap();
    for line in lines.lines().filter(|l| !l.is_empty()) {
        let mut tune = [10.0f32, 5.0, 2.0, 1.5, 2.0, 1e9, 0.0, 0.0]; for (t, v) in tune.iter_mut().zip(line.split_whitespace()) { *t = v.parse().unwrap(); }
        let (mut blocks, mut macs, mut time, mut dtime, mut sq, mut frames, mut ssq, mut sn, mut fi, mut fo, mut fw) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        let mut noises = vec![]; let mut mov = 0.0;
        for clip in &clips {
            let mut g = anime();
            let total = g.macs(size) as f64;
            let e = g.as_fused().unwrap();
            let mut out = vec![0; size.rgb_len()]; let mut prev = out.clone();
            let mut det = nijigen::temporal::ChangeDetector::new(size);
            let mut hot = clip.ins[0].clone(); let t0 = Instant::now(); det.tune = tune; 
            for t in 0..clip.ins.len() {
                prev.copy_from_slice(&out);
                hot.copy_from_slice(&clip.ins[t]);
                let began = Instant::now();
                let mask = det.look(&hot, t0 + std::time::Duration::from_secs_f64(t as f64 / 30.0)).clone();
                let d = began.elapsed().as_secs_f64(); mov += (0..1200).filter(|b| det.moving().get(b % 40, b / 40)).count() as f64 / 1200.0;
                let nb = (0..1200).filter(|b| mask.get(b % 40, b / 40)).count() as f64 / 1200.0;
                let m = e.run_changed(det.processed(), size, Changed::Only(&mask), 0, &mut out).unwrap();
                if t == 0 { continue; }
                dtime += d * 1e3;
                blocks += nb;
                time += began.elapsed().as_secs_f64() / clip.whole;
                macs += m as f64 / total;
                frames += 1.0;
                let full = &clip.outs[t];
                let mut q = 0u64;
                for (a, b) in out.iter().zip(full) { q += u64::from(a.abs_diff(*b)).pow(2); }
                sq += q as f64;
                if let Some(st) = clip.masks.get(t / 16) { 
                    for i in 0..W * H { if st[i] { for k in i * 3..i * 3 + 3 { ssq += f64::from(out[k].abs_diff(full[k])).powi(2); sn += 1.0;
                        if t % 16 != 0 { fi += clip.ins[t][k].abs_diff(clip.ins[t - 1][k]) as f64; fw += full[k].abs_diff(clip.outs[t - 1][k]) as f64; fo += out[k].abs_diff(prev[k]) as f64; } } } } }
            }
            noises.push(det.noise());
        }
        let p = |ms: f64| 10.0 * (65025.0 / ms).log10();
        println!("{line:40} | moving {:.3} blocks {:.3} macs {:.3} time {:.3} detect {:.3} ms | psnr {:.2} standing {:.2} flicker {:.3} of whole, {:.3} of input; noise {:.2}..{:.2}", mov / frames, blocks / frames, macs / frames, time / frames, dtime / frames, p(sq / frames / size.rgb_len() as f64), p(ssq / sn), fo / fw, fo / fi, noises.iter().copied().fold(9e9, f32::min), noises.iter().copied().fold(0.0, f32::max));
    }
}
