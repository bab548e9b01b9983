//! Video files through the `ffmpeg` and `ffprobe` programs, which the user installs: nothing of them is linked in.

mod decode;
mod encode;
mod matroska;
mod probe;
mod process;
mod record;

pub use decode::{Damage, Decoder};
pub use encode::{Encoder, Original, check_ending};
pub use probe::{Probe, probe};
pub use record::Recording;

use std::process::Stdio;
use std::sync::OnceLock;

use crate::error::{Error, Result};

/// The option that keeps every frame as it is: `-fps_mode` since ffmpeg 5.1, before that `-vsync`, which later versions
/// take away.
///
/// # Errors
/// When ffmpeg cannot be started.
pub fn vsync_option() -> Result<&'static str> {
    static OPTION: OnceLock<&str> = OnceLock::new();
    if let Some(option) = OPTION.get() {
        return Ok(option);
    }
    let answer = process::command("ffmpeg").arg("-version").stderr(Stdio::null()).output();
    let answer = answer.map_err(|e| process::not_started("ffmpeg", &e))?;
    Ok(OPTION.get_or_init(|| if is_old(&String::from_utf8_lossy(&answer.stdout)) { "-vsync" } else { "-fps_mode" }))
}

/// The version that is installed, as it calls itself: "7.1", "5.1.9-0+deb12u1".
///
/// # Errors
/// When ffmpeg cannot be started.
pub fn version() -> Result<String> {
    let answer = process::command("ffmpeg").arg("-version").stderr(Stdio::null()).output();
    let answer = answer.map_err(|e| process::not_started("ffmpeg", &e))?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    if !answer.status.success() {
        let status = answer.status;
        return Err(Error::Tool(format!("the program ffmpeg is there and does not work ({status}); install it again")));
    }
    Ok(text.split_whitespace().nth(2).unwrap_or("of an unknown version").into())
}

/// Whether `ffmpeg -version` tells of a version before 5.1. Builds without a number are taken for new.
fn is_old(answer: &str) -> bool {
    let version = answer.strip_prefix("ffmpeg version ").unwrap_or_default();
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (5, 1),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn old_versions_are_known() {
        for old in ["4.4.2-0ubuntu0.22.04.1", "4.3.6-0+deb11u1", "5.0.1", "4.4 Copyright"] {
            assert!(super::is_old(&format!("ffmpeg version {old} x")), "{old}");
        }
        for new in ["5.1.9-0+deb12u1", "7.1", "6.0-2", "N-109542-g9b5b0c1", "git-2024"] {
            assert!(!super::is_old(&format!("ffmpeg version {new} x")), "{new}");
        }
    }
}
