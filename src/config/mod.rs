//! Defaults, and what the flags resolve to. Defaults live here and nowhere else.

mod choice;
mod serve;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use etcetera::BaseStrategy;

use crate::engine::Options;
use crate::engine::region::Region;
use crate::frame::{Rate, Size};
use crate::live::{KioskConfig, SnapshotConfig};
pub use choice::{Detail, FrameRate, SinkChoice, SourceChoice};
pub use serve::{ServeConfig, serve_address, token};

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
    /// Whether photos are restored before they are drawn.
    pub enhance: bool,
    /// 0 is the photo, 1 the style alone.
    pub strength: f32,
    /// Which part of the picture is drawn.
    pub region: Region,
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

/// The user's configuration file.
pub fn file_path() -> Option<PathBuf> {
    Some(etcetera::choose_base_strategy().ok()?.config_dir().join("nijigen").join("config.toml"))
}

/// Where it is kept what was changed while a run went on.
pub fn remembered_path() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    // Windows and macOS have no folder of this kind.
    let folder = base.state_dir().unwrap_or_else(|| base.data_dir());
    Some(folder.join("nijigen").join("remembered.toml"))
}

/// The user's own folder.
pub fn home() -> Option<PathBuf> {
    Some(etcetera::choose_base_strategy().ok()?.home_dir().to_path_buf())
}

/// The rate at which sources that know none are played, and that streams of them are given.
pub const DEFAULT_RATE: Rate = match Rate::new(30, 1) {
    Some(rate) => rate,
    None => unreachable!(),
};

/// How still a live picture is held when it is not said: on the webcam clips of `cargo bench --bench live_reuse` the most
/// that keeps 44 dB against computing everything.
pub const DEFAULT_STABILITY: f32 = 0.5;

/// The seed of synthetic sources.
pub const SYNTHETIC_SEED: u64 = 1;

/// Frames that a benchmark measures when it is not told how many.
pub const BENCH_FRAMES: u64 = 100;

/// How large photos are drawn when it is not said. The networks were trained on pictures of about 512 pixels, and their
/// lines are as thick at any size: tried on photos of 12 megapixels, those drawn with a longer side of 1024 still have the
/// lines and the flat surfaces of the style, while small faces of a group stay readable; from 1600 on lines become too
/// thin to see, and skin and stubble speckles.
pub const DEFAULT_DETAIL: Detail = Detail::Side(1024);

/// Where a run is served over HTTP when no address is named: to this machine alone.
pub const DEFAULT_SERVE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8010);

/// What `nijigen run` does.
#[derive(Debug, Clone, PartialEq)]
pub struct RunConfig {
    /// Where frames come from.
    pub source: SourceChoice,
    /// Where they go, none twice; at least one unless the run is served.
    pub sinks: Vec<SinkChoice>,
    /// How it is served over HTTP, where it is.
    pub serve: Option<ServeConfig>,
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
    /// Where all of the run is recorded: a name that ends in .mp4 or .y4m.
    pub record: Option<PathBuf>,
    /// The folder for recordings that somebody begins on the way.
    pub recordings: Option<PathBuf>,
    /// How snapshots are kept.
    pub snapshots: SnapshotConfig,
    /// Whether the window covers the screen.
    pub full_screen: bool,
    /// The word that closes a window which hears nothing else but Enter.
    pub lock: Option<String>,
    /// What a run does of itself.
    pub kiosk: KioskConfig,
    /// Whether what is changed while it runs is kept for the next time.
    pub remember: bool,
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
        self.serve.is_some() || self.sinks.iter().any(|sink| matches!(sink, SinkChoice::Window | SinkChoice::V4l2(_)))
    }
}
