//! `nijigen run --serve`, through the real binary.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used)]

mod clips;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use clips::{assert_fails, interrupt, nijigen, said};

fn run(args: &[&str]) -> Command {
    let mut command = nijigen();
    command.args(["run", "--style", "off", "--source", "synthetic", "--size", "64x48"]).args(args).stdin(Stdio::null());
    command
}

/// A run that is served, and its address.
fn served(args: &[&str]) -> (Child, String) {
    let mut child = run(args).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    lines.read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("serving at http://").unwrap_or_else(|| panic!("it said: {line}"));
    let address = url.split('/').next().unwrap().to_string();
    // Its last words have to go somewhere.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    (child, address)
}

fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[cfg(unix)]
#[test]
fn a_run_is_seen_over_http_until_it_ends() {
    for sink in [&["--sink", "null"][..], &[]] {
        let (mut child, address) = served(&[sink, &["--serve", "127.0.0.1:0"]].concat());
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET /stream.mjpg HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        let mut lines = BufReader::new(stream);
        let mut pictures = 0;
        while pictures < 3 {
            let mut line = Vec::new();
            assert!(lines.read_until(b'\n', &mut line).unwrap() > 0, "the stream ended");
            pictures += usize::from(line.starts_with(b"Content-Type: image/jpeg"));
        }
        let status = ask(&address, "GET /api/status");
        assert!(status.contains(r#""size":"64x48""#) && status.contains(r#""name":"http""#), "{status}");
        interrupt(&child);
        assert!(child.wait().unwrap().success());
        let mut rest = Vec::new();
        // The stream ends with the run, however.
        let _ = lines.read_to_end(&mut rest);
        assert!(TcpStream::connect(&address).is_err());
    }
}

#[test]
fn who_serves_others_needs_a_token() {
    let refused = run(&["--serve", "0.0.0.0:0"]).output().unwrap();
    assert_fails(&refused, 2, "--token");
    assert!(said(&refused).contains("config file"), "{}", said(&refused));
    assert_fails(&run(&["--serve", "--token", "short"]).output().unwrap(), 2, "at least 8");
    assert_fails(&run(&["--token", "a-long-token"]).output().unwrap(), 2, "--serve");
    assert_fails(&run(&["--serve", "example.org"]).output().unwrap(), 2, "no address");
    let (mut child, address) = served(&["--serve", "0.0.0.0:0", "--token", "a-long-token"]);
    // What it prints can be opened, where the machine has an address that others see.
    let local = format!("127.0.0.1:{}", address.rsplit(':').next().unwrap());
    for address in [&address, &local] {
        assert!(ask(address, "GET /").starts_with("HTTP/1.1 401"), "{address}");
        assert!(ask(address, "GET /?token=a-long-token").starts_with("HTTP/1.1 200"), "{address}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_port_in_use_is_one_sentence_before_anything_starts() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output =
        run(&["--frames", "3", "--serve", &address, "--sink"]).arg(folder.path().join("a.y4m")).output().unwrap();
    assert_fails(&output, 1, "another port");
    assert_eq!(clips::names(folder.path()).len(), 0, "{}", said(&output));
}
