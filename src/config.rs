//! Defaults, and what the flags resolve to. Defaults live here and nowhere else.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use etcetera::BaseStrategy;

use crate::engine::Options;
use crate::frame::{MAX_SIDE, Rate, Size};
use crate::sink::v4l2::OutputSelector;
use crate::source::CameraSelector;

/// The style that is compiled into the binary.
pub const DEFAULT_STYLE: &str = "anime";

/// The size asked of cameras and made by synthetic sources when none is given.
pub const DEFAULT_SIZE: Size = Size::new(640, 480);

/// Worker threads of the engine when none are asked for: all cores but one, at least one.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1))
}

/// Which style is applied, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct StyleConfig {
    /// A style's name, the path of an ONNX file, or "off".
    pub style: String,
    /// 0 is the photo, 1 the style alone.
    pub strength: f32,
    /// Where to look for styles before anywhere else.
    pub folder: Option<PathBuf>,
    /// What runs it, on how many threads.
    pub engine: Options,
}

/// The folders in which styles are looked for, besides those that the user names: the user's data folder, then the
/// share folder of the installation that the program runs from.
pub fn style_folders() -> Vec<PathBuf> {
    let user = etcetera::choose_base_strategy().ok().map(|base| base.data_dir().join("nijigen").join("styles"));
    let installed = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.canonicalize().ok())
        .and_then(|exe| Some(exe.parent()?.parent()?.join("share").join("nijigen").join("styles")));
    user.into_iter().chain(installed).collect()
}

/// The rate at which sources that know none are played, and that streams of them are given.
pub const DEFAULT_RATE: Rate = match Rate::new(30, 1) {
    Some(rate) => rate,
    None => unreachable!(),
};

/// How still a live picture is held when it is not said: on the webcam clips of `cargo bench --bench live_reuse` the most
/// that keeps 44 dB against computing everything.
pub const DEFAULT_STABILITY: f32 = 0.5;
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

/// The seed of synthetic sources.
pub const SYNTHETIC_SEED: u64 = 1;

/// Frames that a benchmark measures when it is not told how many.
pub const BENCH_FRAMES: u64 = 100;

/// How large photos are drawn when it is not said. The networks were trained on pictures of about 512 pixels, and their
/// lines are as thick at any size: tried on photos of 12 megapixels, those drawn with a longer side of 1024 still have the
/// lines and the flat surfaces of the style, while small faces of a group stay readable; from 1600 on lines become too
/// thin to see, and skin and stubble speckles.
pub const DEFAULT_DETAIL: Detail = Detail::Side(1024);

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

/// What `nijigen run` does.
#[derive(Debug, Clone, PartialEq)]
pub struct RunConfig {
    /// Where frames come from.
    pub source: SourceChoice,
    /// Where they go; at least one, none twice.
    pub sinks: Vec<SinkChoice>,
    /// The size asked of a camera, made by the synthetic source, and to which others are scaled.
    pub size: Option<Size>,
    /// The rate asked of a camera, at which other sources are played, and which is held; where none is given, the source's.
    pub fps: Option<Rate>,
    /// The most that the process may take of all cores, in percent (1 to 100).
    pub cpu: Option<u8>,
    /// Whether a camera that is absent or in use at the start is waited for, rather than an error.
    pub wait: bool,
    /// Whether frames are mirrored left to right.
    pub mirror: bool,
    /// The end after so many stylized frames.
    pub frames: Option<u64>,
    /// How still the picture is held: 0 computes every block, up to 1 more and more is left as it was.
    pub stability: f32,
    /// The style.
    pub style: StyleConfig,
}

impl RunConfig {
    /// Whether somebody or something sets the pace: then the newest frame counts.
    pub fn is_live(&self) -> bool {
        matches!(self.source, SourceChoice::Camera(_) | SourceChoice::Stdin { live: true }) || self.is_watched()
    }

    /// Whether somebody watches while it runs.
    pub fn is_watched(&self) -> bool {
        self.sinks.iter().any(|sink| matches!(sink, SinkChoice::Window | SinkChoice::V4l2(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
