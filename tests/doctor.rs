//! `nijigen doctor`, through the real binary.
#![allow(clippy::unwrap_used)]

mod clips;

use clips::{nijigen, said};

#[test]
fn everything_has_a_line_that_says_how_it_is_and_what_to_do() {
    let output = nijigen().args(["doctor", "--threads", "1"]).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("->")).collect();
    let topics = [
        "processor",
        "camera",
        "display",
        "virtual camera",
        "ffmpeg",
        "control page",
        "configuration",
        "styles",
        "speed",
    ];
    assert_eq!(lines.len(), topics.len(), "{text}");
    for (line, topic) in lines.iter().zip(topics) {
        assert!(["ok  ", "--  ", "fix "].iter().any(|mark| line.starts_with(mark)), "{line}");
        assert!(line[4..].starts_with(topic), "{line}");
    }
    // What is not ok comes with what to do.
    let not_ok = lines.iter().filter(|line| !line.starts_with("ok")).count();
    assert_eq!(text.lines().filter(|line| line.trim_start().starts_with("->")).count(), not_ok, "{text}");
    assert!(text.contains("anime"), "{text}");
    assert_eq!(output.status.success(), !lines.iter().any(|line| line.starts_with("fix")), "{}", said(&output));
}

#[test]
fn a_broken_configuration_is_to_be_fixed() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("nijigen")).unwrap();
    std::fs::write(home.path().join("nijigen/config.toml"), "strength = 7").unwrap();
    let output = nijigen().env("XDG_CONFIG_HOME", home.path()).args(["doctor"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("configuration")).unwrap();
    assert!(line.starts_with("fix") && line.contains("config.toml"), "{line}");
    assert_eq!(output.status.code(), Some(1));
}
