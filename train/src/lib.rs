//! Makes styles for `nijigen`: paints targets, distils a quantized student, exports it.

pub mod cli;
pub mod data;
pub mod dataset;
pub mod device;
pub mod distill;
pub mod eval;
pub mod export;
pub mod game;
pub mod loss;
pub mod metrics;
pub mod net;
pub mod pace;
pub mod painter;
pub mod peers;
pub mod plots;
pub mod quantize;
pub mod run_description;
pub mod sheet;
pub mod teacher;
pub mod utilisation;
pub mod weights;
