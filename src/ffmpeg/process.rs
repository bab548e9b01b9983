//! A helper program that runs beside us.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use crate::error::{Error, Result};
use crate::output::folder_of;

/// Lines of the program's messages that are kept: the reason stands near the end.
const KEPT_LINES: usize = 16;

/// What ffmpeg says of an output that it could not complete.
const INCOMPLETE: [&str; 3] = ["Error writing trailer", "Error closing file", "No space left on device"];

/// What ffmpeg and ffprobe say of a file that is no video, or none that they know.
const NO_VIDEO: [&str; 7] = [
    "Invalid data found",
    "moov atom not found",
    "EBML header parsing failed",
    "Could not find codec parameters",
    "could not find codec parameters",
    "Unknown input format",
    "low score",
];

/// What ffmpeg says of frames that it lost or had to make up.
const DAMAGE: [&str; 9] = [
    "partial file",
    "ended prematurely",
    "Invalid data",
    "Invalid NAL",
    "Error splitting",
    "rror while decoding",
    "orrupt",
    "runcated",
    "Error submitting packet",
];

/// What says less than the line before it.
const GENERAL: [&str; 4] =
    ["Conversion failed", "Error initializing output", "Error opening output", "Last message repeated"];

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

/// What a program that ended well complained about.
#[derive(Debug)]
pub struct Complaint {
    /// The last line that says something.
    pub text: String,
    /// Whether frames were lost.
    pub damage: bool,
}

/// A program that failed.
#[derive(Debug)]
pub struct Failure {
    program: &'static str,
    /// The line that says why.
    reason: String,
    disk_full: bool,
    no_video: bool,
}

impl Failure {
    fn new(program: &'static str, reason: String, messages: &VecDeque<String>) -> Self {
        let said = |words: &[&str]| messages.iter().any(|line| words.iter().any(|words| line.contains(words)));
        tracing::info!("{program} failed: {reason}");
        Self { program, reason, disk_full: said(&["No space left on device"]), no_video: said(&NO_VIDEO) }
    }

    /// The error of whoever wanted to read `name`.
    pub fn reading(self, name: &str) -> Error {
        if self.no_video {
            return Error::Input(format!(
                "{name} is not a video that ffmpeg can read, or its beginning or end is missing; give a whole video \
                 file, or copy it again from its source"
            ));
        }
        Error::Tool(format!("{} failed while reading {name}: {}", self.program, self.reason))
    }

    /// The error of whoever wanted to write `path`, which the program knew as `working`.
    pub fn writing(self, path: &Path, working: Option<&Path>) -> Error {
        if self.disk_full || has_no_room(path) {
            return Error::io("write", path, io::ErrorKind::StorageFull.into());
        }
        let name = path.display().to_string();
        // The user knows the file by its own name.
        let reason = working.map_or(self.reason.clone(), |w| self.reason.replace(&w.display().to_string(), &name));
        Error::Tool(format!("{} failed while writing {name}: {reason}", self.program))
    }
}

/// Whether the disk is full on which `path` lies: not every version of ffmpeg says that this is why it failed.
fn has_no_room(path: &Path) -> bool {
    /// More than what is left in a block that is in use.
    const ROOM: usize = 1 << 16;
    let tried = tempfile::tempfile_in(folder_of(path)).and_then(|mut file| file.write_all(&[0; ROOM]));
    tried.is_err_and(|error| error.kind() == io::ErrorKind::StorageFull)
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
        tracing::debug!("{command:?}");
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

    /// Waits for its end, and gives what it complained about where it went well all the same.
    ///
    /// # Errors
    /// When it failed, with what it said.
    pub fn wait(&mut self) -> std::result::Result<Option<Complaint>, Failure> {
        let status = self.child.wait();
        let messages = self.messages.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        messages.iter().for_each(|line| tracing::debug!("{}: {line}", self.program));
        let status = status.map_err(|e| Failure::new(self.program, e.to_string(), &messages))?;
        let reason = reason(&messages);
        // Some versions report success for a file whose last bytes did not fit on the disk.
        let incomplete = messages.iter().any(|line| INCOMPLETE.iter().any(|words| line.contains(words)));
        if status.success() && !incomplete {
            let damage = messages.iter().any(|line| DAMAGE.iter().any(|words| line.contains(words)));
            return Ok(reason.map(|text| Complaint { text, damage }));
        }
        Err(Failure::new(self.program, reason.unwrap_or_else(|| status.to_string()), &messages))
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
    let lines = || messages.iter().rev().map(|line| line.trim()).filter(|line| !line.is_empty());
    let telling =
        |line: &&str| !line.ends_with(": Invalid argument") && !GENERAL.iter().any(|words| line.contains(words));
    let line = lines().find(telling).or_else(|| lines().next())?;
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
        let lines =
            ["[NULL @ 0x1] Unable to find a suitable output format for 'file:a.xyz'", "file:a.xyz: Invalid argument"];
        assert_eq!(said(&lines).as_deref(), Some("Unable to find a suitable output format for 'a.xyz'"));
        assert_eq!(said(&lines[1..]).as_deref(), Some("a.xyz: Invalid argument"));
        assert_eq!(said(&[]), None);
    }
}
