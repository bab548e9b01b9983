//! What size and rate this machine will hold.

use std::time::{Duration, Instant};

use super::Finding;
use crate::config;
use crate::error::Result;
use crate::frame::{Frame, Rate, Size};
use crate::source::Source;
use crate::source::synthetic::Synthetic;
use crate::style::Stylizer;

/// For how long each size is measured, after a first frame.
const MEASURED: Duration = Duration::from_millis(500);
/// Cameras' sizes, the largest first.
const SIZES: [Size; 2] = [Size::new(1280, 720), Size::new(640, 480)];
/// Cameras' rates, the highest first.
const RATES: [u32; 3] = [60, 30, 15];
/// The share of the measured rate that is promised: capture, conversion and display take some too.
const PROMISED: f64 = 0.8;

/// Runs `stylizer` for a second.
///
/// # Errors
/// When it cannot be run.
pub fn speed(stylizer: &mut Stylizer) -> Result<Finding> {
    let mut measured = Vec::new();
    for size in SIZES {
        measured.push((size, frames_per_second(stylizer, size)?));
    }
    Ok(verdict(stylizer.isa(), &measured))
}

fn frames_per_second(stylizer: &mut Stylizer, size: Size) -> Result<f64> {
    let mut source = Synthetic::new(size, config::DEFAULT_RATE, config::SYNTHETIC_SEED)?;
    let (mut photo, mut picture) = (Frame::black(size), Frame::black(size));
    source.read(&mut photo)?;
    stylizer.run(&photo.pixels, size, &mut picture.pixels)?;
    let (began, mut frames) = (Instant::now(), 0_u32);
    while began.elapsed() < MEASURED {
        source.read(&mut photo)?;
        stylizer.run(&photo.pixels, size, &mut picture.pixels)?;
        frames += 1;
    }
    Ok(f64::from(frames) / began.elapsed().as_secs_f64())
}

fn verdict(isa: &str, measured: &[(Size, f64)]) -> Finding {
    let figures: Vec<String> = measured.iter().map(|(size, fps)| format!("{size} at {fps:.0}")).collect();
    let text = format!("{} frames per second ({isa})", figures.join(", "));
    let holds = |(size, fps): &(Size, f64)| {
        let rate = RATES.into_iter().find(|rate| f64::from(*rate) <= fps * PROMISED)?;
        Some((*size, Rate::new(rate, 1)?))
    };
    let best = measured.iter().filter_map(holds).max_by_key(|(size, rate)| (rate.numerator().min(30), size.area()));
    match best {
        Some((size, rate)) => Finding::ok("speed", format!("{text}: holds --size {size} --fps {rate}")),
        None => Finding::fault(
            "speed",
            format!("{text}: too few for a live picture"),
            "close other programs, use a smaller size (--size 320x240), or another machine",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::*;

    #[test]
    fn what_is_held_is_the_largest_size_at_a_fluent_rate() {
        for (large, small, said) in [
            (90.0, 200.0, "--size 1280x720 --fps 60"),
            (38.0, 100.0, "--size 1280x720 --fps 30"),
            (30.0, 100.0, "--size 640x480 --fps 60"),
            (10.0, 38.0, "--size 640x480 --fps 30"),
            (8.0, 20.0, "--size 640x480 --fps 15"),
        ] {
            let finding = verdict("avx2", &[(SIZES[0], large), (SIZES[1], small)]);
            assert!(finding.mark == Mark::Ok && finding.text.ends_with(said), "{finding:?}");
        }
        assert_eq!(verdict("scalar", &[(SIZES[0], 2.0), (SIZES[1], 5.0)]).mark, Mark::Fault);
    }
}
