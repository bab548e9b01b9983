//! Which virtual camera is meant, and what is written to it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::frame::Size;
use crate::pixels::yuv::{Chroma, rgb_to_yuv};
use crate::pixels::yuyv;

/// A pixel format that is written. Those who read from virtual cameras know both; NV12 is not known to all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// 4:2:2, packed: what real cameras give, and every program reads.
    #[default]
    Yuyv,
    /// 4:2:0, planes: three quarters of the bytes.
    Yu12,
}

impl OutputFormat {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Yuyv, Self::Yu12];

    /// Its four-character code in Video4Linux2 (`linux/videodev2.h`).
    pub const fn fourcc(self) -> [u8; 4] {
        *match self {
            Self::Yuyv => b"YUYV",
            Self::Yu12 => b"YU12",
        }
    }

    /// Bytes of a picture whose sides are even.
    pub const fn frame_len(self, size: Size) -> usize {
        match self {
            Self::Yuyv => size.area() * 2,
            Self::Yu12 => Chroma::C420.frame_len(size),
        }
    }

    /// Turns `rgb` into this format.
    ///
    /// # Panics
    /// When a side is odd, `rgb` is not [`Size::rgb_len`] bytes long, or `out` not [`Self::frame_len`].
    pub fn convert(self, rgb: &[u8], size: Size, out: &mut [u8]) {
        match self {
            Self::Yuyv => yuyv::from_rgb(rgb, size, out),
            Self::Yu12 => rgb_to_yuv(rgb, size, Chroma::C420, out),
        }
    }
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.fourcc()))
    }
}

impl FromStr for OutputFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|format| format.to_string().eq_ignore_ascii_case(text)).ok_or_else(|| {
            format!("'{text}' is no format of a virtual camera; choose YUYV, which all programs read, or YU12")
        })
    }
}

/// What stands behind `v4l2:` on the command line: `/dev/videoN[,format=FORMAT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSelector {
    /// The device file.
    pub path: PathBuf,
    /// What is written; a device that others hold in the other format gets that one.
    pub format: OutputFormat,
}

impl FromStr for OutputSelector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, format) = match text.rsplit_once(",format=") {
            Some((path, format)) => (path, format.parse()?),
            None => (text, OutputFormat::default()),
        };
        if !path.starts_with('/') {
            return Err(format!(
                "'v4l2:{text}' names no device; write v4l2:/dev/videoN, v4l2:/dev/video10 for example"
            ));
        }
        Ok(Self { path: path.into(), format })
    }
}

impl fmt::Display for OutputSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v4l2:{}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_formats_are_read() {
        let selector = |path: &str, format| Ok(OutputSelector { path: path.into(), format });
        assert_eq!("/dev/video10".parse(), selector("/dev/video10", OutputFormat::Yuyv));
        assert_eq!("/dev/video10,format=yu12".parse(), selector("/dev/video10", OutputFormat::Yu12));
        assert_eq!("/dev/v4l/by-id/a,b".parse(), selector("/dev/v4l/by-id/a,b", OutputFormat::Yuyv));
        for bad in ["", "video10", "10", "/dev/video10,format=NV12", "/dev/video10,format=", ",format=YUYV"] {
            assert!(bad.parse::<OutputSelector>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_colour_is_the_same_in_both_formats() {
        let size = Size::new(4, 2);
        for (format, red) in [
            (OutputFormat::Yuyv, [81, 90, 81, 240].repeat(4)),
            (OutputFormat::Yu12, [[81; 8].as_slice(), &[90; 2], &[240; 2]].concat()),
        ] {
            let mut out = vec![7; format.frame_len(size)];
            format.convert(&[255, 0, 0].repeat(size.area()), size, &mut out);
            assert_eq!(out, red, "{format}");
        }
    }
}
