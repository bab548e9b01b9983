//! What styles are trained on.

pub mod augment;
pub mod batches;
pub mod pairs;
