//! Between pixel formats and sizes.

pub mod yuv;
