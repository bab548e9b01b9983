//! What can be changed and asked for while a run goes on.
//!
//! [`Control`] is the one object that the window's keys, the HTTP service and the pipeline share: [`Settings`] that may
//! change at any time, the newest pair of photo and picture, and a change of style. The pipeline looks at it between two
//! frames, so a change takes effect with the next one and never waits for anybody.
//!
//! [`Console`] is what a window's keys act on; [`Snapshots`] and the [`Recorder`] keep pictures on threads of their own.
//! The [`Shelf`] holds the styles that may be chosen. The [`Attendant`] does what nobody is there to do: styles in turn, countdowns, and a rest for the camera.

mod attendant;
mod console;
mod control;
mod duo;
mod keys;
mod loader;
mod messages;
mod motion;
mod recorder;
mod settings;
mod shelf;
mod snapshot;

pub use attendant::{Attendant, KioskConfig, StyleList};
pub use console::{Console, Partners};
pub use control::{Control, Pair};
pub use duo::Duo;
pub use keys::{Action, HELP, Key, Lock, action};
pub use loader::{Look, Opener, StyleLoader};
pub use messages::Messages;
pub use recorder::{Recorder, RecordingKind};
pub use settings::{Patch, Settings};
pub use shelf::{Offer, Shelf, Trial};
pub use snapshot::{SnapshotConfig, Snapshots};
