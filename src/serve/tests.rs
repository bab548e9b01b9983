#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::*;
use crate::frame::{Pool, Size};
use crate::live::{KioskConfig, Look, Messages, Settings, Shelf, SnapshotConfig, Snapshots};
use crate::picture::{Format, Written};
use crate::source::Rest;
use crate::style::Registry;

const SIZE: Size = Size::new(64, 48);
/// Only against a test that would hang: nothing is timed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service whose run is played by the test.
struct Site {
    control: Control,
    pool: Pool,
    address: SocketAddr,
    server: Option<Server>,
    /// What its requests share.
    shared: Arc<super::Site>,
    snapshots: tempfile::TempDir,
    rest: Rest,
}

impl Site {
    fn new() -> Self {
        Self::with_token(None)
    }

    fn with_token(token: Option<&str>) -> Self {
        let opener = |_: &Look| Ok(Stylizer::off());
        let trial = |_: &str| Ok(Stylizer::off());
        let settings = Settings::of_style("off");
        let control = Control::new(settings, Some(Box::new(opener))).unwrap();
        let config = ServeConfig { address: "127.0.0.1:0".parse().unwrap(), token: token.map(str::to_string) };
        let listener = Listener::bind(&config).unwrap();
        let address = listener.address();
        let folder = tempfile::tempdir().unwrap();
        let kept = SnapshotConfig {
            folder: folder.path().join("kept"),
            written: Written::Pixels(Format::Png),
            original: false,
        };
        let rest = Rest::default();
        let attendant = Attendant::new(
            KioskConfig::default(),
            control.clone(),
            Snapshots::start(kept).unwrap(),
            Arc::new(Vec::new),
            Messages::default(),
            rest.clone(),
        );
        let service = Service {
            control: control.clone(),
            stats: Arc::new(Stats::new([])),
            attendant,
            shelf: Shelf::start(Registry::discover(None), control.clone(), Box::new(trial), Messages::default())
                .unwrap(),
            opener: Arc::new(opener),
            source: "test".into(),
        };
        let (server, shared) = serve(listener, service).unwrap();
        Self { control, pool: Pool::default(), address, server: Some(server), shared, snapshots: folder, rest }
    }

    /// The run draws a picture of one grey.
    fn draw(&self, grey: u8) {
        self.draw_at(SIZE, |_| grey);
    }

    fn draw_at(&self, size: Size, value: impl Fn(usize) -> u8) {
        let mut frame = self.pool.take(size);
        frame.pixels.iter_mut().enumerate().for_each(|(n, byte)| *byte = value(n));
        let frame = frame.share();
        self.control.publish(frame.clone(), frame);
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request; `head` is its first line and further headers.
    fn send(&self, head: &str, body: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let mut request = format!("{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        headers.lines().for_each(|header| request.push_str(&format!("{header}\r\n")));
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        stream
    }

    fn ask(&self, head: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        let mut answer = Vec::new();
        self.send(head, body).read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, answer[end + 4..].to_vec())
    }

    fn json(&self, head: &str, body: &str) -> (u16, serde_json::Value) {
        let (status, _, body) = self.ask(head, body.as_bytes());
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn readers(&self) -> usize {
        self.shared.stream.readers()
    }

    /// How many photos may still be sent.
    fn places(&self) -> usize {
        self.shared.studio.places()
    }
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "still waiting for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a stream picture by picture.
struct Pictures(BufReader<TcpStream>);

impl Pictures {
    fn of(stream: TcpStream) -> Self {
        Self(BufReader::new(stream))
    }

    /// The next picture's file; `None` where the stream has ended.
    fn file(&mut self) -> Option<Vec<u8>> {
        let mut length = None;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            match (line.trim().strip_prefix("Content-Length: "), length) {
                (Some(stated), _) => length = Some(stated.parse().unwrap()),
                (None, Some(length)) => {
                    let mut file = vec![0; length];
                    self.0.read_exact(&mut file).unwrap();
                    return Some(file);
                }
                _ => {}
            }
        }
    }

    /// The grey of the next picture.
    fn next(&mut self) -> Option<u8> {
        let file = self.file()?;
        Some(crate::picture::decode(&file, u64::MAX).unwrap().rgb[0])
    }
}

fn jpeg_of(size: Size) -> Vec<u8> {
    let picture = crate::picture::Picture { size, rgb: vec![90; size.rgb_len()], alpha: None, profile: None };
    jpeg::picture(picture).unwrap()
}

#[test]
fn every_reader_gets_the_pictures_and_learns_of_the_end() {
    let site = Site::new();
    let mut readers: Vec<Pictures> = (0..3).map(|_| Pictures::of(site.send("GET /stream.mjpg", b""))).collect();
    wait_until("readers", || site.readers() == 3);
    for grey in [40, 120, 200] {
        site.draw(grey);
        for reader in &mut readers {
            assert!(reader.next().unwrap().abs_diff(grey) <= 2);
        }
    }
    // One that leaves gives its place back, though no picture comes.
    drop(readers.pop());
    wait_until("the one that left", || site.readers() == 2);
    site.control.end();
    for reader in &mut readers {
        assert_eq!(reader.next(), None);
    }
}

#[test]
fn a_slow_reader_misses_pictures_and_holds_nobody_up() {
    let site = Site::new();
    // It asks and never reads.
    let mut slow = site.send("GET /stream.mjpg", b"");
    let mut quick = Pictures::of(site.send("GET /stream.mjpg", b""));
    wait_until("readers", || site.readers() == 2);
    // More than the system holds for a connection: noise does not compress.
    let size = Size::new(640, 480);
    let noise = |n: usize| (n.wrapping_mul(2_654_435_761) >> 13) as u8;
    let pictures = 40;
    for _ in 0..pictures {
        site.draw_at(size, noise);
        quick.file().unwrap();
    }
    assert!(site.pool.allocated() <= 6, "{} frames are held", site.pool.allocated());
    site.control.end();
    let mut late = Vec::new();
    // Where this took long, its connection was given up, and that is right too.
    let _ = slow.read_to_end(&mut late);
    let late = late.windows(6).filter(|six| six == b"\r\n\r\n\xff\xd8").count();
    assert!(late < pictures, "it got all {late} pictures");
}

#[test]
fn who_watches_or_changes_something_is_there_and_a_program_that_asks_is_not() {
    let site = Site::new();
    site.rest.begin();
    for path in ["/metrics", "/api/status", "/api/settings"] {
        assert_eq!(site.ask(&format!("GET {path}"), b"").0, 200);
    }
    assert!(site.rest.is_on());
    assert_eq!(site.json("PATCH /api/settings", r#"{"strength": 0.5}"#).0, 200);
    assert!(!site.rest.is_on());
    site.rest.begin();
    site.draw(9);
    let mut reader = Pictures::of(site.send("GET /stream.mjpg", b""));
    reader.next().unwrap();
    assert!(!site.rest.is_on());
}

#[test]
fn no_more_readers_than_there_are_places() {
    let site = Site::new();
    let readers: Vec<TcpStream> = (0..32).map(|_| site.send("GET /stream.mjpg", b"")).collect();
    wait_until("readers", || site.readers() == 32);
    assert_eq!(site.ask("GET /stream.mjpg", b"").0, 503);
    assert_eq!(site.ask("GET /api/status", b"").0, 200);
    drop(readers);
    wait_until("all to leave", || site.readers() == 0);
}

#[test]
fn settings_are_shown_and_changed() {
    let site = Site::new();
    let (status, settings) = site.json("GET /api/settings", "");
    assert_eq!((status, settings["style"].as_str()), (200, Some("off")));
    let (status, settings) = site.json("PATCH /api/settings", r#"{"strength": 0.5, "mirror": true, "style": "anime"}"#);
    assert_eq!((status, settings["strength"].as_f64(), settings["mirror"].as_bool()), (200, Some(0.5), Some(true)));
    assert_eq!((settings["style"].as_str(), site.control.settings().style.as_str()), (Some("anime"), "anime"));
    let before = site.control.settings();
    for (patch, words) in [
        (r#"{"strength": 2}"#, "strength"),
        (r#"{"strength": "much"}"#, "no settings"),
        (r#"{"volume": 1}"#, "volume"),
        (r#"{"style": "nosuch"}"#, "nosuch"),
        (r#"{"style": "/etc/passwd"}"#, "/etc/passwd"),
        (r#"{"style": "./x.onnx"}"#, "x.onnx"),
        ("{", "no settings"),
        ("[]", "no settings"),
    ] {
        let (status, answer) = site.json("PATCH /api/settings", patch);
        let why = answer["error"].as_str().unwrap();
        assert!(status == 400 && why.contains(words), "{patch}: {status} {why}");
    }
    assert_eq!(site.control.settings(), before);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let site = Site::new();
    let (status, ..) = site.ask("PATCH /api/settings\nContent-Length: 100000", b"");
    assert_eq!(status, 413);
    let (status, ..) = site.ask("POST /api/image\nContent-Length: 99000000", b"");
    assert_eq!(status, 413);
    let chunked = "PATCH /api/settings\nTransfer-Encoding: chunked\n\n5000\n";
    let mut stream = site.connect();
    let head = chunked.replacen('\n', &format!(" HTTP/1.1\nHost: {}\n", site.address), 1).replace('\n', "\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b' '; 0x5000]).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    let mut stream = site.connect();
    let head = format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Long: {}\r\n\r\n", site.address, "x".repeat(200_000));
    // It need not be taken to its end.
    let _ = stream.write_all(head.as_bytes());
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
}

#[test]
fn who_still_sends_hears_why_it_was_refused() {
    let site = Site::with_token(Some("a-long-token"));
    let photo = vec![0; 6 << 20];
    for (head, status) in [
        ("POST /api/image", 401),
        ("POST /api/image\nAuthorization: Bearer a-long-token\nContent-Length: 99000000", 413),
        ("POST /api/image?style=nosuch\nAuthorization: Bearer a-long-token", 400),
    ] {
        for _ in 0..5 {
            // All of it is sent before the answer is read, as browsers do.
            let mut stream = match head.contains("Content-Length") {
                true => {
                    let mut stream = site.send(head, b"");
                    stream.write_all(&photo).unwrap();
                    stream
                }
                false => site.send(head, &photo),
            };
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {status}"), "{head}");
        }
    }
}

#[test]
fn odd_requests_are_answered() {
    let site = Site::new();
    let patch = |text: &str| site.json("PATCH /api/settings", text);
    for text in [
        r#"{"strength": 1e999}"#,
        r#"{"strength": 1e300}"#,
        r#"{"strength": -0.1}"#,
        r#"{"strength": true}"#,
        r#"{"strength": [1]}"#,
        r#"{"stability": "1"}"#,
        r#"{"split": 2}"#,
        r#"{"split": "half"}"#,
        r#"{"on": 1}"#,
        r#"{"on": "true"}"#,
        r#"{"mirror": {}}"#,
        r#"{"style": 3}"#,
        r#"{"style": ""}"#,
        r#"{"style": "an\u0000ime"}"#,
        r#"{"style": "anime.onnx"}"#,
        "null",
        "\"on\"",
        "",
        &"[".repeat(10_000),
        &format!("{{\"on\": {}", "[".repeat(10_000)),
    ] {
        let (status, answer) = patch(text);
        assert!(status == 400 && answer["error"].is_string(), "{text}: {status} {answer}");
    }
    assert_eq!(patch(r#"{"split": null, "on": false}"#).0, 200);
    for path in ["%ff", "%00", "..%2f..%2fetc%2fpasswd", "%E7%94%BB", "a%20b", "%", "%zz", "anime.onnx"] {
        let (status, answer) = site.json(&format!("GET /api/styles/{path}/thumbnail.jpg"), "");
        assert!(status == 404 && answer["error"].is_string(), "{path}: {status} {answer}");
    }
    let photo = jpeg_of(Size::new(8, 8));
    for (query, status) in [
        ("style=%6fff", 200),
        ("style=%ff", 400),
        ("style=%00", 400),
        ("style=off%00", 400),
        ("strength=nan", 400),
        ("strength=inf", 400),
    ] {
        let (got, ..) = site.ask(&format!("POST /api/image?{query}"), &photo);
        assert_eq!(got, status, "{query}");
    }
    // Each line by itself, and what its answer begins with.
    let raw = |request: String| {
        let mut stream = site.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // What is refused may be cut off.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_string()
    };
    let host = format!("Host: {}\r\nConnection: close\r\n", site.address);
    for (line, status) in [
        ("OPTIONS * HTTP/1.1", "404"),
        ("CONNECT evil.example:80 HTTP/1.1", "404"),
        ("TRACE / HTTP/1.1", "405"),
        ("GET http://evil.example/api/status HTTP/1.1", "200"),
        ("GET //evil.example/ HTTP/1.1", "404"),
        ("HEAD /stream.mjpg HTTP/1.1", "200"),
        ("HEAD /api/events HTTP/1.1", "200"),
        ("GET / HTTP/1.0", "200"),
        ("GET / HTTP/9.9", "400"),
        ("nonsense", "400"),
    ] {
        let answer = raw(format!("{line}\r\n{host}\r\n"));
        assert_eq!(answer.split(' ').nth(1), Some(status), "{line}: {answer}");
    }
    let many: String = (0..100).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert!(raw(format!("GET / HTTP/1.1\r\n{host}{many}\r\n")).contains("431"));
    // Two lengths that differ, and a length beside chunks.
    for lengths in [
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999\r\n",
    ] {
        assert!(raw(format!("PATCH /api/settings HTTP/1.1\r\n{host}{lengths}\r\n")).contains(" 4"), "{lengths}");
    }
    wait_until("those who asked for a stream's head to leave", || site.readers() == 0);
    assert_eq!(site.ask("GET /api/status", b"").0, 200);
}

#[test]
fn a_photo_becomes_a_picture() {
    let site = Site::new();
    let photo = jpeg_of(Size::new(50, 30));
    let (status, head, picture) = site.ask("POST /api/image?style=off&strength=0.5", &photo);
    assert_eq!(status, 200, "{head}");
    assert!(head.contains("image/jpeg"));
    assert_eq!(crate::picture::decode(&picture, u64::MAX).unwrap().size, Size::new(50, 30));
    for (request, body, status) in [
        ("POST /api/image", &b"no picture"[..], 422),
        ("POST /api/image", &photo[..photo.len() / 2], 422),
        ("POST /api/image", b"", 400),
        ("POST /api/image?strength=9", &photo, 400),
        ("POST /api/image?strength=much", &photo, 400),
        ("POST /api/image?style=../x.onnx", &photo, 400),
    ] {
        let (got, head, body) = site.ask(request, body);
        assert_eq!(got, status, "{request}: {head}");
        assert!(String::from_utf8(body).unwrap().contains("error"), "{request}");
    }
}

/// A PNG file that claims to be as large as this, and holds next to nothing.
fn bomb(width: u32, height: u32, color: png::ColorType, depth: png::BitDepth) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    let mut writer = encoder.write_header().unwrap();
    writer.write_chunk(png::chunk::IDAT, b"\x78\x9c").unwrap();
    drop(writer);
    file
}

#[test]
fn a_photo_of_few_bytes_and_many_pixels_is_refused() {
    let site = Site::new();
    let mut jpeg = jpeg_of(Size::new(50, 30));
    let frame = jpeg.windows(2).position(|two| two == b"\xff\xc0").unwrap();
    // Height and width: 11,000 each.
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x2a, 0xf8, 0x2a, 0xf8]);
    let mut webp = Vec::new();
    let pixels = vec![90; 50 * 30 * 3];
    let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut webp);
    encoder.encode(&pixels, 50, 30, image::ExtendedColorType::Rgb8).unwrap();
    let header = webp.windows(4).position(|four| four == b"VP8L").unwrap() + 9;
    // 14 bits of width less one, 14 of height less one: 11,000 each.
    webp[header..header + 4].copy_from_slice(&(10_999_u32 | 10_999 << 14).to_le_bytes());
    use png::{BitDepth, ColorType};
    for (kind, photo, most) in [
        ("gray", bomb(12_000, 12_000, ColorType::Grayscale, BitDepth::One), "25 million"),
        ("gray 16", bomb(5_001, 5_000, ColorType::Grayscale, BitDepth::Sixteen), "25 million"),
        ("RGBA", bomb(5_000, 4_000, ColorType::Rgba, BitDepth::Eight), "19 million"),
        ("RGBA 16", bomb(4_000, 3_000, ColorType::Rgba, BitDepth::Sixteen), "9 million"),
        ("JPEG", jpeg, "25 million"),
        ("WebP", webp, "million"),
    ] {
        let (status, _, why) = site.ask("POST /api/image", &photo);
        let why = String::from_utf8(why).unwrap();
        assert!(status == 422 && why.contains(most) && why.contains("reduce it first"), "{kind}: {status} {why}");
    }
}

#[test]
fn a_slow_photo_holds_up_no_other_one() {
    let site = Site::new();
    let photo = jpeg_of(Size::new(50, 30));
    let (first, rest) = photo.split_at(photo.len() / 2);
    let begin = || {
        let head = format!("POST /api/image\nContent-Length: {}", photo.len());
        let mut stream = site.send(&head, b"");
        stream.write_all(first).unwrap();
        stream
    };
    let finish = |mut stream: TcpStream| {
        stream.write_all(rest).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
    };
    let slow = begin();
    for _ in 0..3 {
        assert_eq!(site.ask("POST /api/image", &photo).0, 200);
    }
    // No more than two lie in memory: a third waits until one of them is drawn, or given up.
    let gone = begin();
    wait_until("both", || site.places() == 0);
    let third = begin();
    drop(gone);
    finish(third);
    finish(slow);
    wait_until("room", || site.places() == 2);
}

#[test]
fn no_more_listen_to_events_than_there_are_places() {
    let site = Site::new();
    let mut byte = [0];
    let mut listeners: Vec<TcpStream> = (0..16).map(|_| site.send("GET /api/events", b"")).collect();
    listeners.iter_mut().for_each(|listener| listener.read_exact(&mut byte).unwrap());
    let (status, head, why) = site.ask("GET /api/events", b"");
    assert!(status == 503 && head.contains("\r\nretry-after: "), "{head}");
    assert!(String::from_utf8(why).unwrap().contains("16 listen"));
    listeners.pop();
    let mut next = [0; 12];
    wait_until("the place of the one that left", || {
        site.send("GET /api/events", b"").read_exact(&mut next).unwrap();
        &next == b"HTTP/1.1 200"
    });
}

#[test]
fn a_snapshot_is_the_newest_picture() {
    let site = Site::new();
    assert_eq!(site.ask("GET /snapshot.jpg", b"").0, 503);
    site.draw(10);
    site.draw(180);
    let (status, head, picture) = site.ask("GET /snapshot.jpg", b"");
    assert!(status == 200 && head.contains("image/jpeg"), "{head}");
    let picture = crate::picture::decode(&picture, u64::MAX).unwrap();
    assert!(picture.size == SIZE && picture.rgb[0].abs_diff(180) <= 2);
}

#[test]
fn a_camera_that_is_away_gives_no_snapshot() {
    let site = Site::new();
    site.draw(10);
    let mut placeholder = site.pool.take(SIZE);
    placeholder.kind = crate::frame::FrameKind::Placeholder;
    let placeholder = placeholder.share();
    site.control.publish(placeholder.clone(), placeholder);
    for request in ["GET /snapshot.jpg", "POST /api/snapshot"] {
        let (status, answer) = site.json(request, "");
        let why = answer["error"].as_str().unwrap();
        assert!(status == 503 && why.contains("camera is away"), "{request}: {status} {why}");
    }
    assert!(!site.snapshots.path().join("kept").exists());
    site.draw(10);
    assert_eq!(site.ask("GET /snapshot.jpg", b"").0, 200);
}

#[test]
fn a_snapshot_is_kept_where_the_run_keeps_them() {
    let site = Site::new();
    assert_eq!(site.json("POST /api/snapshot", "").0, 503, "there is no picture yet");
    site.draw(70);
    let (status, answer) = site.json("POST /api/snapshot", "");
    assert_eq!(status, 200, "{answer}");
    let folder = site.snapshots.path().join("kept");
    let picture = crate::picture::read(&folder.join(answer["file"].as_str().unwrap())).unwrap();
    assert_eq!((picture.size, picture.rgb[0]), (SIZE, 70));
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    let (status, answer) = site.json("POST /api/snapshot", "");
    assert!(status == 500 && answer["error"].as_str().unwrap().contains("kept"), "{status} {answer}");
}

#[test]
fn styles_get_thumbnails_once_the_run_draws() {
    let site = Site::new();
    site.draw(1);
    let thumbnail = |name: &str| site.ask(&format!("GET /api/styles/{name}/thumbnail.jpg"), b"");
    wait_until("the thumbnail", || thumbnail("off").0 == 200);
    let (_, head, picture) = thumbnail("off");
    assert!(head.contains("image/jpeg"));
    assert_eq!(crate::picture::decode(&picture, u64::MAX).unwrap().size, Size::new(160, 160));
    assert_eq!(thumbnail("nosuch").0, 404);
    let (status, styles) = site.json("GET /api/styles", "");
    let names: Vec<&str> = styles.as_array().unwrap().iter().map(|style| style["name"].as_str().unwrap()).collect();
    assert!(status == 200 && names.contains(&"anime") && names.contains(&"off"), "{names:?}");
}

#[test]
fn events_tell_of_changes_and_of_the_end() {
    let site = Site::new();
    let mut events = site.send("GET /api/events", b"");
    let mut heard = String::new();
    let mut hear = |words: &str| {
        while !heard.contains(words) {
            let mut bytes = [0; 4096];
            let got = events.read(&mut bytes).unwrap();
            assert!(got > 0, "'{words}' never came: {heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..got]));
        }
    };
    hear("event: settings\ndata: {");
    hear("event: status\ndata: {");
    hear(r#""state":"running""#);
    assert_eq!(site.json("PATCH /api/settings", r#"{"strength": 0.25}"#).0, 200);
    hear(r#""strength":0.25"#);
    site.control.end();
    hear(r#""state":"ended""#);
}

#[test]
fn pages_from_elsewhere_and_strangers_are_refused() {
    let site = Site::with_token(Some("a-long-token"));
    assert_eq!(site.ask("GET /api/status", b"").0, 401);
    assert_eq!(site.ask("GET /api/status?token=a-long-token", b"").0, 200);
    assert_eq!(site.ask("GET /api/status\nAuthorization: Bearer a-long-token", b"").0, 200);
    let foreign = "GET /api/status\nAuthorization: Bearer a-long-token\nOrigin: http://evil.example";
    assert_eq!(site.ask(foreign, b"").0, 403);
    let mut stream = site.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let site = Site::new();
    for path in ["/", "/page.css", "/page.js"] {
        let (status, head, body) = site.ask(&format!("GET {path}"), b"");
        assert_eq!(status, 200);
        assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
        let text = String::from_utf8(body).unwrap();
        assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("src=\"//"), "{path}");
    }
    assert_eq!(site.ask("GET /nowhere", b"").0, 404);
    for request in ["DELETE /api/settings", "OPTIONS /api/settings", "POST /", "GET /api/image", "GET /api/snapshot"] {
        let (status, head, body) = site.ask(request, b"");
        assert!(status == 405 && head.contains("\r\nallow: "), "{request}: {head}");
        assert!(String::from_utf8(body).unwrap().contains("openapi.json"), "{request}");
    }
}

#[test]
fn the_description_names_what_there_is() {
    let site = Site::new();
    site.draw(1);
    let (status, description) = site.json("GET /api/openapi.json", "");
    assert_eq!((status, description["openapi"].as_str()), (200, Some("3.1.0")));
    let paths = description["paths"].as_object().unwrap();
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys().filter(|method| *method == "get") {
            if ["/stream.mjpg", "/api/events"].contains(&path.as_str()) {
                continue;
            }
            let path = path.replace("{name}", "anime");
            let (status, _, body) = site.ask(&format!("{} {path}", method.to_uppercase()), b"");
            let unknown = String::from_utf8_lossy(&body).contains("nothing at this address");
            assert!(status != 405 && !unknown, "{method} {path}: {status}");
        }
    }
    let described = |path: &str| paths.contains_key(path);
    for path in [
        "/stream.mjpg",
        "/snapshot.jpg",
        "/metrics",
        "/api/status",
        "/api/settings",
        "/api/styles",
        "/api/image",
        "/api/snapshot",
        "/api/events",
        "/api/styles/{name}/thumbnail.jpg",
    ] {
        assert!(described(path), "{path}");
    }
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let schemas = &description["components"]["schemas"];
    let settings = keys(&site.json("GET /api/settings", "").1);
    assert_eq!(keys(&schemas["Settings"]["properties"]), settings);
    assert_eq!(keys(&schemas["Patch"]["properties"]), settings);
    assert_eq!(keys(&schemas["Status"]["properties"]), keys(&site.json("GET /api/status", "").1));
    let (status, head, metrics) = site.ask("GET /metrics", b"");
    assert!(status == 200 && head.contains("version=0.0.4"), "{head}");
    assert!(String::from_utf8(metrics).unwrap().contains("\nnijigen_stats_captured_total 0\n"));
}

#[test]
fn the_address_to_open_is_one_that_answers() {
    for all in ["0.0.0.0:0", "[::]:0"] {
        let config = ServeConfig { address: all.parse().unwrap(), token: Some("a-long-token".into()) };
        // Not every machine has IPv6.
        let Ok(listener) = Listener::bind(&config) else { continue };
        let open = listener.address_to_open();
        assert_eq!(open.port(), listener.address().port());
        // A machine without a network has no other address.
        if open != listener.address() {
            assert!(!open.ip().is_unspecified() && !open.ip().is_loopback(), "{open}");
            TcpStream::connect(open).unwrap();
        }
    }
    for one in ["127.0.0.1:8010", "[::1]:8010", "192.168.1.7:80"] {
        assert_eq!(reachable(one.parse().unwrap()), one.parse().unwrap());
    }
}

#[test]
fn a_port_in_use_is_told_and_the_end_frees_it() {
    let mut site = Site::new();
    let config = ServeConfig { address: site.address, token: None };
    let refused = Listener::bind(&config).unwrap_err().to_string();
    assert!(refused.contains(&site.address.to_string()) && refused.contains("another port"), "{refused}");
    let stream = site.send("GET /stream.mjpg", b"");
    wait_until("the reader", || site.readers() == 1);
    site.server = None;
    drop(stream);
    assert!(TcpStream::connect(site.address).is_err(), "nobody answers any more");
}
