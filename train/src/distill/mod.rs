//! Distillation: from painted pairs to a quantized student.

pub mod checkpoint;
pub mod config;
pub mod evaluate;
mod journal;
mod run;
mod sample_sheet;
#[cfg(test)]
mod tests;

pub use run::{Distillation, Outcome, WEIGHTS, progress_style};
