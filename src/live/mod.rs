//! What can be changed and asked for while a run goes on.
//!
//! [`Control`] is the one object that the window's keys, the HTTP service and the pipeline share: [`Settings`] that may
//! change at any time, the newest pair of photo and picture, and a change of style. The pipeline looks at it between two
//! frames, so a change takes effect with the next one and never waits for anybody.

mod control;
mod loader;
mod settings;

pub use control::{Control, Pair};
pub use loader::{Opener, StyleLoader};
pub use settings::{Patch, Settings};
