//! What this machine has for a run, and what is to be done about what it lacks.
//!
//! Each part looks at one thing and gives a [`Finding`]; nothing is changed on the machine.

mod devices;
mod speed;

use std::fmt;
use std::net::{SocketAddr, TcpListener};

pub use devices::{cameras, virtual_cameras};
pub use speed::speed;

use crate::engine::Options;
use crate::engine::kernels::Isa;
use crate::ffmpeg;
use crate::host;
use crate::style::Registry;

/// How it is with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Something that not everybody needs is missing.
    Optional,
    /// A run would fail, or be useless.
    Fault,
}

/// What was found out about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub mark: Mark,
    /// What was looked at, in a word or two.
    pub topic: &'static str,
    /// What there is.
    pub text: String,
    /// What to do, where something is to be done.
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(topic: &'static str, text: impl Into<String>) -> Self {
        Self { mark: Mark::Ok, topic, text: text.into(), remedy: None }
    }

    fn optional(topic: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { mark: Mark::Optional, topic, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn fault(topic: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { mark: Mark::Fault, topic, text: text.into(), remedy: Some(remedy.into()) }
    }

    /// Something that went as `result` says; an error's sentence has its remedy in it.
    pub fn of<E: fmt::Display>(topic: &'static str, result: Result<String, E>) -> Self {
        match result {
            Ok(text) => Self::ok(topic, text),
            Err(error) => {
                let sentence = error.to_string();
                let (text, remedy) = sentence.split_once("; ").unwrap_or((&sentence, "see `nijigen --help`"));
                Self::fault(topic, text, remedy)
            }
        }
    }
}

/// The processor, and which of the engine's kernels it runs.
pub fn processor() -> Finding {
    let best = Isa::best();
    let others: Vec<_> = Isa::available().into_iter().rev().skip(1).map(Isa::name).collect();
    let text = format!("{}, cores: {}; kernel {best} (also {})", host::cpu(), host::cores(), others.join(", "));
    if best == Isa::Scalar {
        let cpu = host::cpu();
        return Finding::fault(
            "processor",
            format!("{cpu} has none of the instructions that the engine is made for"),
            "expect a few frames per second; use a processor with AVX2 (since 2013) or a 64-bit Arm",
        );
    }
    Finding::ok("processor", text)
}

/// The program that reads and writes videos.
pub fn video_tool() -> Finding {
    match ffmpeg::version() {
        Ok(version) => Finding::ok("ffmpeg", version),
        Err(_) => Finding::optional(
            "ffmpeg",
            "is not installed: videos are read and written as Y4M alone",
            "sudo apt install ffmpeg (or from https://ffmpeg.org)",
        ),
    }
}

/// Whether the control page can be served at `address`.
pub fn port(address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok("control page", format!("{address} is free (--serve)")),
        Err(error) => Finding::optional(
            "control page",
            format!("{address} cannot be had: {error}"),
            "end what uses it (another nijigen perhaps), or choose another port: --serve 8011",
        ),
    }
}

/// The styles, each of which is opened with `options`.
pub fn styles(options: Options) -> Finding {
    let found = match Registry::discover(None).list() {
        Ok(found) => found,
        Err(error) => return Finding::of("styles", Err(error)),
    };
    let (mut names, mut faults) = (Vec::new(), Vec::new());
    for style in &found {
        match Registry::open_found(style, options) {
            Ok(_) => names.push(style.name.as_str()),
            Err(error) => faults.push(error.to_string()),
        }
    }
    let names = names.join(", ");
    if faults.is_empty() {
        return Finding::ok("styles", names);
    }
    let text = format!("{names}; {} cannot be used: {}", faults.len(), faults.join(" "));
    Finding::optional("styles", text, "remove these files, or get them again from their source")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::engine::Which;

    #[test]
    fn an_errors_sentence_becomes_what_there_is_and_what_to_do() {
        let finding = Finding::of("camera", Err("no camera found; plug one in"));
        let Finding { mark, text, remedy, .. } = finding;
        assert_eq!((mark, text.as_str(), remedy.as_deref()), (Mark::Fault, "no camera found", Some("plug one in")));
        assert_eq!(Finding::of::<String>("camera", Ok("one".into())).mark, Mark::Ok);
    }

    #[test]
    fn a_port_in_use_is_seen() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(port(address).mark, Mark::Optional);
        drop(taken);
        assert_eq!(port(address).mark, Mark::Ok);
    }

    #[test]
    fn the_binarys_own_style_is_there() {
        let finding = styles(Options { threads: 1, engine: Which::Auto, isa: None });
        assert!(finding.text.contains("anime"), "{finding:?}");
    }
}
