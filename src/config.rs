//! Defaults, and what the flags resolve to. Defaults live here and nowhere else.

use std::path::PathBuf;

use etcetera::BaseStrategy;

use crate::frame::Size;

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
    /// Worker threads of the engine, at least 1.
    pub threads: usize,
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
