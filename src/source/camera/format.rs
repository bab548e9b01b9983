//! The pixel formats that we read from a camera.

use std::fmt;
use std::str::FromStr;

/// A pixel format that cameras give and that we turn into RGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// RGB, 8 bits each.
    Rgb24,
    /// 4:2:2, packed: Y U Y V.
    Yuyv,
    /// 4:2:0: a plane of Y, then one of U V pairs.
    Nv12,
    /// 4:2:0: planes of Y, U and V.
    Yu12,
    /// One JPEG for each frame.
    Mjpeg,
    /// Brightness alone, 8 bits.
    Grey,
}

impl PixelFormat {
    /// Every format, the best for equal size and rate first: what loses least, then what costs least; uncompressed
    /// before JPEG, and any colour before none.
    pub const ALL: [Self; 6] = [Self::Rgb24, Self::Yuyv, Self::Nv12, Self::Yu12, Self::Mjpeg, Self::Grey];

    /// Its four-character code in Video4Linux2 (`linux/videodev2.h`).
    pub const fn fourcc(self) -> [u8; 4] {
        *match self {
            Self::Rgb24 => b"RGB3",
            Self::Yuyv => b"YUYV",
            Self::Nv12 => b"NV12",
            Self::Yu12 => b"YU12",
            Self::Mjpeg => b"MJPG",
            Self::Grey => b"GREY",
        }
    }

    /// The format of a four-character code; `JPEG` and `MJPG` are the same to us.
    pub fn from_fourcc(code: [u8; 4]) -> Option<Self> {
        match &code {
            b"JPEG" => Some(Self::Mjpeg),
            _ => Self::ALL.into_iter().find(|format| format.fourcc() == code),
        }
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.fourcc()))
    }
}

impl FromStr for PixelFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|format| format.to_string().eq_ignore_ascii_case(text)).ok_or_else(|| {
            let known: Vec<String> = Self::ALL.iter().map(Self::to_string).collect();
            format!("'{text}' is not a pixel format we read; these are: {}", known.join(", "))
        })
    }
}
