//! Between pixel formats.

mod bt601;
pub mod mjpeg;
pub mod nv12;
pub mod packed;
pub mod yuyv;

/// Raw pixels that end before the picture does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{got} bytes where the picture takes {needed}")]
pub struct TooShort {
    /// The bytes that the picture takes.
    pub needed: usize,
    /// The bytes that were there.
    pub got: usize,
}

fn check_length(data: &[u8], needed: usize) -> Result<(), TooShort> {
    if data.len() < needed { Err(TooShort { needed, got: data.len() }) } else { Ok(()) }
}
