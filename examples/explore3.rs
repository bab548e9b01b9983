use nijigen::frame::{Frame, Size};
use nijigen::source::{Step, file};
const W: usize = 640; const BW: usize = 40; const BH: usize = 30;
fn main() {
    let size = Size::new(640, 480);
    let mut bright = vec![vec![]; 8];
    for e in std::fs::read_dir("/work/shared/data/clips").unwrap() {
        let p = e.unwrap().path();
        let mut s = file::open(&p).unwrap().source;
        let mut fr = Frame::black(size);
        let mut prev: Option<Vec<u8>> = None;
        print!("{:12}", p.file_name().unwrap().to_string_lossy());
        let mut t = 0;
        let mut qs = vec![];
        while matches!(s.read(&mut fr), Ok(Step::Frame)) {
            if let Some(p) = &prev {
                let mut v = vec![];
                for b in 0..BW * BH { let (mut q, mut m) = (0u32, 0u32);
                    for y in 0..16 { let o = ((b / BW * 16 + y) * W + b % BW * 16) * 3; for i in o..o + 48 { q += u32::from(p[i].abs_diff(fr.pixels[i])).pow(2); m += p[i] as u32; } }
                    v.push((q as f64 / 768.0, m / 768 / 32)); }
                v.sort_by(|a, b| a.0.total_cmp(&b.0));
                let zero = v.iter().filter(|v| v.0 == 0.0).count() as f64 / 1200.0;
                qs.push([v[120].0, v[300].0, v[600].0, v[900].0, zero]);
                for (q, m) in &v[..600] { bright[*m as usize].push(*q); }
                let _ = t;
            }
            prev = Some(fr.pixels.clone()); t += 1;
        }
        for k in 0..5 { let mut v: Vec<f64> = qs.iter().map(|q| q[k]).collect(); v.sort_by(f64::total_cmp); print!("  {:.2} {:.2} {:.2} |", v[v.len() / 10], v[v.len() / 2], v[v.len() * 9 / 10]); }
        println!();
    }
    for (i, mut b) in bright.into_iter().enumerate() { if b.is_empty() { continue; } b.sort_by(f64::total_cmp); println!("brightness {} n {} median {:.2}", i * 32, b.len(), b[b.len() / 2]); }
}
