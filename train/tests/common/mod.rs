//! `nijigen-train` as a user runs it.

use std::process::{Command, Output};

pub fn train(command: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_nijigen-train"));
    program.arg(command);
    program
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command that must succeed.
pub fn good(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    output
}

/// Runs a command that must fail with `code`, in one message that holds `words`.
pub fn bad(command: &mut Command, code: i32, words: &str) {
    let output = command.output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {told}");
    assert!(told.contains(words), "{command:?}: {told}");
    assert!(!told.contains("panicked"), "{command:?}: {told}");
}
