//! Between pixel formats and sizes.

pub mod pad;
