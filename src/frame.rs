//! A frame of video and its size.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

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
}

impl Frame {
    /// A black frame captured now.
    pub fn black(size: Size) -> Self {
        Self { pixels: vec![0; size.rgb_len()], size, captured: Instant::now(), sequence: 0 }
    }
}
