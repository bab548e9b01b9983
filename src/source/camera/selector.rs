//! Which camera is meant, and what is asked of it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::PixelFormat;
use crate::frame::{Rate, Size};

/// What stands behind `camera` on the command line: `[:WHICH][,format=FORMAT]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CameraSelector {
    /// The camera.
    pub which: WhichCamera,
    /// The pixel format to ask for; where it is `None`, the best for the size and rate is chosen.
    pub format: Option<PixelFormat>,
}

/// Which camera is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WhichCamera {
    /// The first one that gives a format we read.
    #[default]
    First,
    /// By the number that `nijigen devices` shows; on Linux the N of `/dev/videoN`.
    Index(u32),
    /// By its name, or a part of it, in any case; on Linux also by a part of its name in `/dev/v4l/by-id`.
    Name(String),
    /// By its device file, `/dev/video0` or a link to it such as `/dev/v4l/by-id/…`.
    Path(PathBuf),
}

/// What is asked of a camera; it may give something else, and [`SourceInfo`](super::super::SourceInfo) tells what it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CameraRequest {
    /// The size wanted: the nearest one is taken.
    pub size: Size,
    /// Frames per second wanted, the camera's own choice if none.
    pub fps: Option<Rate>,
}

impl FromStr for CameraSelector {
    type Err = String;

    /// Reads what follows `camera`: nothing, or a colon and an index, a path (it begins with `/`) or a name,
    /// then `,format=` and a pixel format if one is to be forced.
    fn from_str(text: &str) -> Result<Self, String> {
        let (which, format) = match text.rsplit_once(",format=") {
            Some((which, format)) => (which, Some(format.parse()?)),
            None => (text, None),
        };
        let which = match which {
            "" => WhichCamera::First,
            text => match text.strip_prefix(':') {
                None | Some("") => {
                    return Err(format!(
                        "'camera{text}' is not a camera; write camera, camera:INDEX, camera:NAME or camera:/dev/videoN"
                    ));
                }
                Some(path) if path.starts_with('/') => WhichCamera::Path(path.into()),
                Some(rest) => match rest.parse() {
                    Ok(index) => WhichCamera::Index(index),
                    Err(_) => WhichCamera::Name(rest.to_string()),
                },
            },
        };
        Ok(Self { which, format })
    }
}

impl fmt::Display for WhichCamera {
    /// As it stands in a sentence: "camera", "camera 2", "camera named 'brio'", "camera /dev/video0".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("camera"),
            Self::Index(index) => write!(f, "camera {index}"),
            Self::Name(name) => write!(f, "camera named '{name}'"),
            Self::Path(path) => write!(f, "camera {}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parsed(text: &str) -> WhichCamera {
        let selector: CameraSelector = text.parse().unwrap();
        assert_eq!(selector.format, None);
        selector.which
    }

    #[test]
    fn reads_every_way_to_name_a_camera() {
        assert_eq!(parsed(""), WhichCamera::First);
        assert_eq!(parsed(":2"), WhichCamera::Index(2));
        assert_eq!(parsed(":Logitech BRIO"), WhichCamera::Name("Logitech BRIO".into()));
        assert_eq!(parsed(":C920: HD, Pro"), WhichCamera::Name("C920: HD, Pro".into()));
        assert_eq!(parsed(":/dev/video0"), WhichCamera::Path("/dev/video0".into()));
        // No index is that large: a serial number is a name.
        assert_eq!(parsed(":99999999999"), WhichCamera::Name("99999999999".into()));
    }

    #[test]
    fn reads_a_forced_format() {
        let selector: CameraSelector = ":/dev/video0,format=nv12".parse().unwrap();
        assert_eq!(selector.which, WhichCamera::Path("/dev/video0".into()));
        assert_eq!(selector.format, Some(PixelFormat::Nv12));
        let selector: CameraSelector = ",format=MJPG".parse().unwrap();
        assert_eq!((selector.which, selector.format), (WhichCamera::First, Some(PixelFormat::Mjpeg)));
    }

    #[test]
    fn refuses_what_names_none() {
        for bad in [":", "0", "s", ":0,format=H264", ":0,format="] {
            assert!(bad.parse::<CameraSelector>().is_err(), "{bad}");
        }
    }
}
