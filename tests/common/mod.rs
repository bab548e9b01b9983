//! What the tests of the program share.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file takes what it needs")]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use nijigen::engine::contract::FloatNetwork;
use nijigen::engine::topology::Topology;

/// The program, with nobody's own styles.
pub fn nijigen() -> Command {
    let mut command = Command::cargo_bin("nijigen").unwrap();
    for folder in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
        command.env(folder, "/nowhere/at/all");
    }
    command
}

/// Writes a tiny style, which draws nonsense quickly, and returns its path.
pub fn tiny_style(folder: &Path) -> PathBuf {
    let path = folder.join("tiny.onnx");
    let net = FloatNetwork::random(Topology::two_scale_with(3, 4, 5), 11);
    std::fs::write(&path, net.to_qdq_onnx().unwrap()).unwrap();
    path
}

/// What the program said on standard error.
pub fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Bytes that look a little like a photo: waves, different in each channel.
pub fn waves(width: u32, height: u32) -> Vec<u8> {
    let value = |x: u32, y: u32, c: u32| 128.0 + 90.0 * ((x as f32 * 0.11 + c as f32).sin() * (y as f32 * 0.07).cos());
    (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| value(x, y, c) as u8))).collect()
}
