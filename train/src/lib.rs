//! Makes styles for `nijigen`: paints targets, distils a quantized student, exports it.

pub mod cli;
pub mod data;
pub mod painter;
