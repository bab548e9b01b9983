//! Between pixel formats and sizes.

pub mod blend;
pub mod pad;
pub mod resize;
