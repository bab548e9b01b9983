//! The teacher: a generator trained against adversaries, from painted pairs and art.

mod adversary;
mod batches;
mod checkpoint;
pub mod collapse;
pub mod config;
mod diversity;
mod evaluate;
mod follower;
mod journal;
mod losses;
pub mod model;
mod record;
mod run;
mod state;
mod step;
mod task;
#[cfg(test)]
mod tests;

pub use batches::Material;
pub use checkpoint::CHECKPOINTS;
pub use journal::{CURVES, METRICS};
pub use record::record;
pub use task::{Outcome, TEACHER, Teacher};
