//! A helper program that runs beside us.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use crate::error::{Error, Result};

/// Lines of the program's messages that are kept: the reason stands near the end.
const KEPT_LINES: usize = 16;

/// How a program is called: always without a terminal, so that it asks nothing, and apart from our own group of
/// processes, so that Ctrl-C reaches us alone and we decide what becomes of it.
pub fn command(program: &'static str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

/// `path` so that ffmpeg takes it for a file, whatever characters it begins with or holds.
pub fn file_argument(path: &Path) -> OsString {
    let mut argument = OsString::from("file:");
    argument.push(path);
    argument
}

/// Why a program could not be started.
pub fn not_started(program: &str, e: &io::Error) -> Error {
    if e.kind() == io::ErrorKind::NotFound {
        return Error::Tool(format!(
            "the program {program} is missing, and video files need it; install ffmpeg (Debian, Ubuntu: sudo apt \
             install ffmpeg) or use Y4M, which works without it"
        ));
    }
    Error::Tool(format!("cannot start {program}: {e}"))
}

/// A running program; dropping it ends it.
pub struct Process {
    program: &'static str,
    child: Child,
    messages: Option<JoinHandle<VecDeque<String>>>,
}

impl Process {
    /// Starts `command`, a call of `program`. Each line of its messages goes through `line` first: those for which it
    /// says `true` are meant for us and not kept.
    ///
    /// # Errors
    /// When it cannot be started, above all because it is missing.
    pub fn start(
        program: &'static str,
        mut command: Command,
        line: impl FnMut(&str) -> bool + Send + 'static,
    ) -> Result<Self> {
        let mut child = command.stderr(Stdio::piped()).spawn().map_err(|e| not_started(program, &e))?;
        let messages = child.stderr.take().map(|stderr| thread::spawn(move || listen(stderr, line)));
        Ok(Self { program, child, messages })
    }

    /// Its standard input, once, where the command asked for a pipe.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, once, where the command asked for a pipe.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it failed: `doing` ("reading clip.mkv") and the last thing that it said.
    pub fn wait(&mut self, doing: &str) -> Result<()> {
        let status = self.child.wait().map_err(|e| Error::Tool(format!("lost {} while {doing}: {e}", self.program)))?;
        let messages = self.messages.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let reason = reason(&messages);
        if status.success() {
            if let Some(reason) = reason {
                log::warn!("{} complained while {doing}: {reason}", self.program);
            }
            return Ok(());
        }
        let reason = reason.unwrap_or_else(|| status.to_string());
        Err(Error::Tool(format!("{} failed while {doing}: {reason}", self.program)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already where it was waited for; then both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(stderr: ChildStderr, mut line: impl FnMut(&str) -> bool) -> VecDeque<String> {
    let mut kept = VecDeque::new();
    for bytes in BufReader::new(stderr).split(b'\n') {
        let Ok(bytes) = bytes else { break };
        let text = String::from_utf8_lossy(&bytes);
        if !line(&text) {
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(text.into_owned());
        }
    }
    kept
}

/// The last line that says why, without the address of the object that said it.
fn reason(messages: &VecDeque<String>) -> Option<String> {
    let useful = |line: &&str| !line.is_empty() && !line.starts_with("Conversion failed") && !line.contains("repeated");
    let line = messages.iter().rev().map(|line| line.trim()).find(useful)?;
    let text = match line.split_once("] ") {
        Some((object, text)) if object.starts_with('[') => text,
        _ => line,
    };
    // With `file:` in front, names are as we gave them and not as the user did.
    Some(text.replace("file:", "").trim_end_matches('.').to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_useful_line() {
        let said = |lines: &[&str]| reason(&lines.iter().map(|l| l.to_string()).collect());
        let lines = ["[mp4 @ 0x55d1] moov atom not found", "file:a.mp4: Invalid data found", "Conversion failed!", ""];
        assert_eq!(said(&lines).as_deref(), Some("a.mp4: Invalid data found"));
        assert_eq!(said(&lines[..1]).as_deref(), Some("moov atom not found"));
        assert_eq!(said(&[]), None);
    }
}
