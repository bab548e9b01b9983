//! Defaults, and what the flags resolve to. Defaults live here and nowhere else.

use crate::frame::Size;

/// The style that is compiled into the binary.
pub const DEFAULT_STYLE: &str = "anime";

/// The size asked of cameras and made by synthetic sources when none is given.
pub const DEFAULT_SIZE: Size = Size::new(640, 480);

/// Worker threads of the engine when none are asked for: all cores but one, at least one.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1))
}
