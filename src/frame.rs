//! A frame of video and its size.

mod pool;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

pub use pool::{Pool, PooledFrame, SharedFrame};

/// The largest side of a picture, in pixels.
pub const MAX_SIDE: u32 = 12_000;

/// Width and height in pixels; both at least 1 and at most [`MAX_SIDE`] when parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A size of `width` × `height` pixels.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// The number of pixels.
    pub const fn area(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// The number of bytes of an RGB picture of this size, 3 per pixel.
    pub const fn rgb_len(self) -> usize {
        self.area() * 3
    }

    /// The largest size of the same shape that fits within `other`, at least 1×1, never larger than this one.
    pub fn fit_within(self, other: Self) -> Self {
        let scale =
            (f64::from(other.width) / f64::from(self.width)).min(f64::from(other.height) / f64::from(self.height));
        if scale >= 1.0 {
            return self;
        }
        let side = |own: u32, most: u32| ((f64::from(own) * scale).round() as u32).clamp(1, most);
        Self { width: side(self.width, other.width), height: side(self.height, other.height) }
    }

    /// The largest size of the same shape that fits into `frame`, larger than this one if need be; at least 1×1.
    pub fn fill(self, frame: Self) -> Self {
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        let (most_width, most_height) = (u64::from(frame.width), u64::from(frame.height));
        let side = |a: u64, b: u64, c: u64, most: u64| ((a * b + c / 2) / c).clamp(1, most.max(1)) as u32;
        if width * most_height > height * most_width {
            Self { width: frame.width, height: side(height, most_width, width, most_height) }
        } else {
            Self { width: side(width, most_height, height, most_width), height: frame.height }
        }
    }

    /// The largest size of the same shape with at most `area` pixels, at least 1×1, never larger than this one.
    pub fn within_area(self, area: u32) -> Self {
        let scale = (f64::from(area) / self.area() as f64).sqrt();
        let side = |own: u32| ((f64::from(own) * scale) as u32).clamp(1, area);
        if scale >= 1.0 { self } else { Self { width: side(self.width), height: side(self.height) } }
    }

    /// Each side rounded up to a multiple of `step` (≥ 1).
    pub const fn round_up(self, step: u32) -> Self {
        Self { width: self.width.div_ceil(step) * step, height: self.height.div_ceil(step) * step }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("'{text}' is not a size; write it as WIDTHxHEIGHT, 640x480 for example");
        let (w, h) = text.split_once(['x', 'X', '×']).ok_or_else(bad)?;
        let (w, h): (u32, u32) = (w.trim().parse().map_err(|_| bad())?, h.trim().parse().map_err(|_| bad())?);
        if w == 0 || h == 0 || w > MAX_SIDE || h > MAX_SIDE {
            return Err(format!("'{text}' is out of range; each side is 1 to {MAX_SIDE} pixels"));
        }
        Ok(Self::new(w, h))
    }
}

/// Frames per second as a fraction, so that 30000/1001 stays what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    numerator: u32,
    denominator: u32,
}

impl Rate {
    /// `numerator / denominator` frames per second, or `None` where that is not above 0 and at most 1000.
    pub const fn new(numerator: u32, denominator: u32) -> Option<Self> {
        if numerator == 0 || denominator == 0 || numerator as u64 > 1000 * denominator as u64 {
            return None;
        }
        Some(Self { numerator, denominator })
    }

    /// The frames that come in [`Rate::denominator`] seconds.
    pub const fn numerator(self) -> u32 {
        self.numerator
    }

    /// The seconds in which [`Rate::numerator`] frames come.
    pub const fn denominator(self) -> u32 {
        self.denominator
    }

    /// Frames per second.
    pub fn as_f64(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// The time from one frame to the next.
    pub fn period(self) -> Duration {
        Duration::from_secs_f64(f64::from(self.denominator) / f64::from(self.numerator))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.3}", self.as_f64());
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for Rate {
    type Err = String;

    /// Reads `30`, `29.97` or `30000/1001`.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("'{text}' is not a frame rate; write it as 30, 29.97 or 30000/1001 (at most 1000)");
        if let Some((n, d)) = text.split_once(['/', ':']) {
            let (n, d) = (n.trim().parse().map_err(|_| bad())?, d.trim().parse().map_err(|_| bad())?);
            return Self::new(n, d).ok_or_else(bad);
        }
        let value: f64 = text.trim().parse().map_err(|_| bad())?;
        if !(0.001..=1000.0).contains(&value) {
            return Err(bad());
        }
        let thousandths = (value * 1000.0).round() as u32;
        let divisor = gcd(thousandths, 1000);
        Self::new(thousandths / divisor, 1000 / divisor).ok_or_else(bad)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// What a frame shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FrameKind {
    /// A picture of the source.
    #[default]
    Picture,
    /// A notice in place of a picture that the source cannot give now: it is shown as it is, neither stylized nor mirrored.
    Placeholder,
}

/// One picture of a video: RGB, 8 bits per channel, rows from the top, no padding.
#[derive(Debug, Clone)]
pub struct Frame {
    /// `size.rgb_len()` bytes.
    pub pixels: Vec<u8>,
    /// Width and height.
    pub size: Size,
    /// When the camera delivered it, or the reader read it.
    pub captured: Instant,
    /// Number of this frame in its source, from 0.
    pub sequence: u64,
    /// When it is to be shown, counted from the start of its video; `None` where the frame rate says it all.
    pub presented: Option<Duration>,
    /// What it shows.
    pub kind: FrameKind,
    /// Whether it was mirrored left to right on its way.
    pub mirrored: bool,
}

impl Frame {
    /// A black frame captured now.
    pub fn black(size: Size) -> Self {
        Self {
            pixels: vec![0; size.rgb_len()],
            size,
            captured: Instant::now(),
            sequence: 0,
            presented: None,
            kind: FrameKind::Picture,
            mirrored: false,
        }
    }

    /// Takes `size`, keeping the buffer where it is large enough; what the pixels hold afterwards is unspecified.
    pub fn reshape(&mut self, size: Size) {
        self.size = size;
        self.pixels.resize(size.rgb_len(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_shown() {
        for (text, fraction, shown) in
            [("30", (30, 1), "30"), ("29.97", (2997, 100), "29.97"), ("30000/1001", (30000, 1001), "29.97")]
        {
            let rate: Rate = text.parse().expect(text);
            assert_eq!(((rate.numerator(), rate.denominator()), rate.to_string()), (fraction, shown.to_string()));
        }
        for bad in ["", "0", "-1", "fast", "1001", "1/0", "0/5", "nan", "inf", "30/"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_and_limited() {
        assert_eq!("640x480".parse(), Ok(Size::new(640, 480)));
        for bad in ["640", "0x480", "640x12001", "x", "640x480x3", "-1x5"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn pictures_keep_their_aspect() {
        for (picture, frame, filled) in [
            ((640, 480), (640, 480), (640, 480)),
            ((640, 480), (1000, 480), (640, 480)),
            ((640, 480), (640, 1000), (640, 480)),
            ((320, 240), (1920, 480), (640, 480)),
            ((1920, 1080), (1280, 720), (1280, 720)),
            ((1080, 1920), (1080, 720), (405, 720)),
            ((12000, 1), (100, 100), (100, 1)),
        ] {
            let size = |(w, h)| Size::new(w, h);
            assert_eq!(size(picture).fill(size(frame)), size(filled), "{picture:?} in {frame:?}");
        }
    }
}
