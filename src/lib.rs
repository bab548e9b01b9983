//! Anime filters for a live camera on an ordinary CPU.
//!
//! # The journey of a frame
//! ```text
//!  Source ──► mailbox ──► Stylizer ─────────────────────► mailbox ──► Sinks
//!  camera     (newest     network (bands of rows)         (newest     window · virtual camera
//!  file/pipe   frame       → blend with the photo          frame       null · file
//!  synthetic   wins)                                       wins)
//! ```
//! 1. A [`source`] fills a pooled [`frame::Frame`] (RGB, 8 bits, with its capture time).
//! 2. [`pipeline`] hands it over through a mailbox of one slot: where an end is live the newest frame wins,
//!    where neither is, the hand-over waits and nothing is dropped.
//! 3. A [`style`] found on disk or in the binary was loaded by [`engine`] into a generator: u8 pixels in, u8 pixels out.
//!    Of a live picture only that is drawn anew which [`temporal`] finds changed.
//! 4. [`sink`]s show or write what comes out; every stage reports its time into the shared statistics.
//!
//! A camera that is lost is opened again by [`source::reconnect`], which fills frames with a placeholder meanwhile; those
//! pass the stylizer as they are.
//!
//! What may change meanwhile (strength, style, mirror, comparison) is in [`live`]: the pipeline looks there between frames.
//! What a run does of itself is there too: snapshots, recordings, styles that are put into a folder, a kiosk's turns and
//! rest. `serve` (feature `http`) shows and steers it from a browser or a program.
//!
//! Where a run's settings come from is in [`config`] and `cli::run::layers`; [`doctor`] says what a machine lacks.
//!
//! `cli` holds one file per subcommand and is the only part that prints.

pub mod cli;
pub mod config;
pub mod doctor;
pub mod draw;
pub mod engine;
pub mod error;
pub mod ffmpeg;
pub mod folders;
pub mod frame;
pub mod host;
pub mod live;
pub mod output;
pub mod picture;
pub mod pipeline;
pub mod pixels;
#[cfg(feature = "http")]
pub mod serve;
pub mod sink;
pub mod source;
pub mod style;
pub mod temporal;
mod threads;
pub mod y4m;

pub use error::{Error, Result};
