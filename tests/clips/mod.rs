//! Small clips for tests, and what came out of the program.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program under test, with nobody's own styles and settings.
pub fn nijigen() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("nijigen"));
    for folder in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
        command.env(folder, "/nowhere/at/all");
    }
    command
}

/// Y4M formats that are read, with the block of pixels that a chroma sample covers.
pub const FORMATS: [(&str, Option<(usize, usize)>); 6] = [
    ("420jpeg", Some((2, 2))),
    ("420mpeg2", Some((2, 2))),
    ("420paldv", Some((2, 2))),
    ("422", Some((2, 1))),
    ("444", Some((1, 1))),
    ("mono", None),
];

/// Bytes of one picture in one of [`FORMATS`].
pub fn frame_len(width: usize, height: usize, format: &str) -> usize {
    let (_, block) = FORMATS.iter().find(|(name, _)| *name == format).unwrap();
    width * height + block.map_or(0, |(w, h)| 2 * width.div_ceil(w) * height.div_ceil(h))
}

/// A clip whose luma and chroma are smooth and move, so that every frame differs; all its colours exist in RGB.
pub fn y4m(width: usize, height: usize, format: &str, frames: usize) -> Vec<u8> {
    let mut clip = format!("YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C{format}\n").into_bytes();
    for n in 0..frames {
        clip.extend(b"FRAME\n");
        for y in 0..height {
            clip.extend((0..width).map(|x| (60 + (x * 3 + y * 2 + n * 5) % 130) as u8));
        }
        let chroma = frame_len(width, height, format) - width * height;
        clip.extend((0..chroma).map(|i| if i < chroma / 2 { 110 + n as u8 % 16 } else { 140 }));
    }
    clip
}

/// The header and the pictures of a Y4M stream.
pub fn parse(clip: &[u8]) -> (String, Vec<Vec<u8>>) {
    let end = clip.iter().position(|&b| b == b'\n').expect("a header line");
    let header = String::from_utf8(clip[..end].to_vec()).unwrap();
    let word = |key: char| header.split(' ').find_map(|w| w.strip_prefix(key)).unwrap_or_else(|| panic!("no {key}"));
    let len = frame_len(word('W').parse().unwrap(), word('H').parse().unwrap(), word('C'));
    let mut frames = Vec::new();
    let mut rest = &clip[end + 1..];
    while !rest.is_empty() {
        rest = rest.strip_prefix(b"FRAME\n").expect("FRAME");
        frames.push(rest[..len].to_vec());
        rest = &rest[len..];
    }
    (header, frames)
}

/// Runs `command` with `input` on its standard input.
pub fn with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|s| {
        // Who reads only a part of it closes the pipe: that is for the caller to judge.
        s.spawn(move || std::io::Write::write_all(&mut stdin, input));
        child.wait_with_output().unwrap()
    })
}

/// What it said on standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asserts that it failed with `status` and one line that holds `words`.
pub fn assert_fails(output: &Output, status: i32, words: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(said.contains(words), "'{words}' is not in: {said}");
    assert!(!said.contains("panicked") && !said.contains("this broke"), "{said}");
    if status == 1 {
        assert_eq!(said.lines().count(), 1, "more than a sentence: {said}");
    }
}

/// Names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Waits until `done`, and fails when that takes too long.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "still waiting for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Presses Ctrl-C for a running program.
pub fn interrupt(child: &std::process::Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Whether ffmpeg and ffprobe can be called; says that a test is skipped where not.
pub fn has_ffmpeg() -> bool {
    let there = ["ffmpeg", "ffprobe"].iter().all(|program| {
        Command::new(program).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    });
    if !there {
        eprintln!("SKIPPED: ffmpeg and ffprobe are not installed");
    }
    there
}

/// Runs ffmpeg or ffprobe; its output, and a panic where it fails.
pub fn tool(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().expect(program);
    assert!(output.status.success(), "{program} {args:?}: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
