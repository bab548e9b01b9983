//! What flags that take one of several things resolve to.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::frame::{MAX_SIDE, Rate, Size};
use crate::sink::v4l2::OutputSelector;
use crate::source::CameraSelector;

/// How many frames are drawn per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FrameRate {
    /// As many as the source gives.
    #[default]
    Auto,
    /// So many.
    Fixed(Rate),
}

impl FrameRate {
    /// The rate that was asked for.
    pub fn fixed(self) -> Option<Rate> {
        match self {
            Self::Auto => None,
            Self::Fixed(rate) => Some(rate),
        }
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(rate) => write!(f, "{rate}"),
        }
    }
}

impl FromStr for FrameRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse().map(Self::Fixed).map_err(|why| format!("{why}, or auto"))
    }
}

/// How large a photo is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// With a longer side of at most so many pixels: a larger photo is drawn reduced, and enlarged again.
    Side(u32),
    /// At its own size.
    Full,
}

impl Detail {
    /// The size at which a picture of `size` is drawn.
    pub fn of(self, size: Size) -> Size {
        match self {
            Self::Side(side) => size.fit_within(Size::new(side, side)),
            Self::Full => size,
        }
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Side(side) => write!(f, "{side}"),
            Self::Full => f.write_str("full"),
        }
    }
}

impl FromStr for Detail {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "full" {
            return Ok(Self::Full);
        }
        let side = text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
        side.map(Self::Side).ok_or_else(|| format!("'{text}' is no detail; give 1 to {MAX_SIDE} pixels, or full"))
    }
}

/// Where frames come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceChoice {
    /// A camera.
    Camera(CameraSelector),
    /// A video file.
    File(PathBuf),
    /// Y4M or MJPEG on standard input.
    Stdin {
        /// Whether a camera writes it: then the newest frame counts, whatever reads along.
        live: bool,
    },
    /// A made-up scene.
    Synthetic,
}

impl TryFrom<OsString> for SourceChoice {
    type Error = String;

    fn try_from(text: OsString) -> Result<Self, String> {
        match text.to_str() {
            Some("") => Err("a source has a name: camera, FILE, - or synthetic".into()),
            Some("-") => Ok(Self::Stdin { live: false }),
            Some("live:-") => Ok(Self::Stdin { live: true }),
            Some("synthetic") => Ok(Self::Synthetic),
            Some(text) => match text.strip_prefix("camera") {
                Some(rest) if rest.is_empty() || rest.starts_with([':', ',']) => Ok(Self::Camera(rest.parse()?)),
                _ => Ok(Self::File(text.into())),
            },
            None => Ok(Self::File(text.into())),
        }
    }
}

/// Where stylized frames go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkChoice {
    /// A window.
    Window,
    /// Nowhere.
    Null,
    /// A Y4M file.
    File(PathBuf),
    /// Y4M on standard output.
    Stdout,
    /// A virtual camera.
    V4l2(OutputSelector),
}

impl TryFrom<OsString> for SinkChoice {
    type Error = String;

    fn try_from(text: OsString) -> Result<Self, String> {
        match text.to_str() {
            Some("") => Err("a sink has a name: window, v4l2:/dev/videoN, null, FILE or -".into()),
            Some("window") => Ok(Self::Window),
            Some("null") => Ok(Self::Null),
            Some("-") => Ok(Self::Stdout),
            Some("v4l2") => Ok(Self::V4l2("".parse()?)),
            Some(name) if name.starts_with("v4l2:") => Ok(Self::V4l2(name["v4l2:".len()..].parse()?)),
            _ => Ok(Self::File(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULT_DETAIL;
    use crate::sink::v4l2::OutputFormat;
    use crate::source::camera::WhichCamera;

    #[test]
    fn details_are_read_as_they_are_written() {
        for detail in [Detail::Side(1), Detail::Side(MAX_SIDE), Detail::Full, DEFAULT_DETAIL] {
            assert_eq!(detail.to_string().parse(), Ok(detail));
        }
        for bad in ["", "0", "-5", "12001", "large"] {
            assert!(bad.parse::<Detail>().is_err(), "{bad}");
        }
        assert_eq!(Detail::Side(100).of(Size::new(400, 300)), Size::new(100, 75));
        assert_eq!(Detail::Side(100).of(Size::new(4000, 3)), Size::new(100, 1));
        assert_eq!(Detail::Side(100).of(Size::new(80, 100)), Size::new(80, 100));
    }

    #[test]
    fn sinks_are_told_apart() {
        let sink = |text: &str| SinkChoice::try_from(OsString::from(text));
        let v4l2 = |format| Ok(SinkChoice::V4l2(OutputSelector { path: "/dev/video10".into(), format }));
        assert_eq!(sink("v4l2:/dev/video10"), v4l2(OutputFormat::Yuyv));
        assert_eq!(sink("v4l2:/dev/video10,format=YU12"), v4l2(OutputFormat::Yu12));
        assert_eq!(sink("./v4l2:a"), Ok(SinkChoice::File("./v4l2:a".into())));
        assert_eq!(sink("v4l2.y4m"), Ok(SinkChoice::File("v4l2.y4m".into())));
        for bad in ["v4l2", "v4l2:", "v4l2:video10", ""] {
            assert!(sink(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sources_are_told_apart() {
        let camera = |which| Ok(SourceChoice::Camera(CameraSelector { which, format: None }));
        for (text, source) in [
            ("camera", camera(WhichCamera::First)),
            ("camera:1", camera(WhichCamera::Index(1))),
            ("camera:/dev/video0", camera(WhichCamera::Path("/dev/video0".into()))),
            ("camera.mp4", Ok(SourceChoice::File("camera.mp4".into()))),
            ("./synthetic", Ok(SourceChoice::File("./synthetic".into()))),
            ("synthetic", Ok(SourceChoice::Synthetic)),
            ("-", Ok(SourceChoice::Stdin { live: false })),
            ("live:-", Ok(SourceChoice::Stdin { live: true })),
        ] {
            assert_eq!(SourceChoice::try_from(OsString::from(text)), source, "{text}");
        }
        for bad in ["camera:", ""] {
            assert!(SourceChoice::try_from(OsString::from(bad)).is_err(), "{bad}");
        }
    }
}
