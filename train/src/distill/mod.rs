//! Distillation: from painted pairs to a quantized student.

pub mod adversary;
pub mod checkpoint;
pub mod config;
pub mod evaluate;
mod follower;
mod journal;
mod mixtures;
mod run;
mod sample_sheet;
mod start;
mod step;
#[cfg(test)]
mod tests;
mod wake;

pub use run::{Distillation, LOSSES, Outcome, WEIGHTS};
