//! Cameras on Linux: Video4Linux2 through `v4l`.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use v4l::buffer::{Flags as BufferFlags, Type};
use v4l::capability::Flags as Capability;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::traits::{CaptureStream, Stream};
use v4l::prelude::MmapStream;
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Device as Node, Format, FourCC, Fraction};

use super::capture::{Device, RawFrame};
use super::decode::RawFormat;
use super::modes::{Choice, Mode, Offer, Rates, Sizes};
use super::open::Started;
use super::{Camera, PixelFormat};
use crate::error::{Error, Result};
use crate::frame::{MAX_SIDE, Rate, Size};

/// What [`cameras`] looks at, for messages.
pub(super) const LOOKED_AT: &str = "/dev/video*";

/// Buffers that the driver fills in turn: one that we read, two that wait and one that is being filled.
const BUFFERS: u32 = 4;

/// Every `/dev/videoN`, in order of N. Not each is a camera: [`offer`] tells.
pub(super) fn cameras() -> Result<Vec<Camera>> {
    Ok(scan(Path::new("/dev"), Path::new("/sys/class/video4linux")))
}

/// [`cameras`] with its folders as arguments.
fn scan(dev: &Path, sys: &Path) -> Vec<Camera> {
    let links = links(&dev.join("v4l/by-id"));
    let number = |name: &str| name.strip_prefix("video").and_then(|number| number.parse().ok());
    let entries = fs::read_dir(dev).into_iter().flatten().flatten();
    let mut cameras: Vec<Camera> = entries
        .filter_map(|entry| {
            let index: u32 = number(entry.file_name().to_str()?)?;
            let path = entry.path();
            let name = fs::read(sys.join(format!("video{index}/name"))).unwrap_or_default();
            let name = String::from_utf8_lossy(&name).trim().to_string();
            let links = links.iter().filter(|(_, target)| *target == path).map(|(link, _)| link.clone()).collect();
            let name = if name.is_empty() { "unnamed".to_string() } else { name };
            let bus = bus(&sys.join(format!("video{index}")));
            Some(Camera { index, name, path: Some(path), links, bus })
        })
        .collect();
    cameras.sort_by_key(|camera| camera.index);
    cameras
}

/// Where a device is plugged in: its place in the tree of devices, which tells the port, and which of the camera's
/// devices it is.
fn bus(node: &Path) -> Option<String> {
    let place = fs::canonicalize(node.join("device")).ok()?;
    let which = fs::read_to_string(node.join("index")).unwrap_or_default();
    Some(format!("{} {}", place.display(), which.trim()))
}

/// The names in a folder of links, with what they lead to.
fn links(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut links: Vec<_> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.to_string(), fs::canonicalize(entry.path()).ok()?)))
        .collect();
    links.sort();
    links
}

/// What `camera` offers, the rates of a range of sizes being those at the size nearest to `near`; `None` where it is
/// no camera (an output, a codec, the metadata of another).
///
/// # Errors
/// When it cannot be opened or asked.
pub(super) fn offer(camera: &Camera, near: Size) -> Result<Option<Offer>> {
    let node = open(camera)?;
    if !captures(&node, camera) {
        return Ok(None);
    }
    let formats = node.enum_formats().map_err(|error| problem(camera, "ask for the formats of", &error))?;
    let mut offer = Offer::default();
    for fourcc in formats.iter().map(|format| format.fourcc) {
        match PixelFormat::from_fourcc(fourcc.repr) {
            Some(format) => add_modes(&mut offer.modes, &node, format, fourcc, near),
            None => offer.unread.push(code_name(fourcc.repr)),
        }
    }
    offer.unread.dedup();
    Ok((!offer.modes.is_empty() || !offer.unread.is_empty()).then_some(offer))
}

/// A four-character code as text. Its highest bit says "big endian", which the kernel's documents write as `-BE`.
fn code_name(mut code: [u8; 4]) -> String {
    let big_endian = code[3] & 0x80 != 0;
    code[3] &= 0x7f;
    let name = String::from_utf8_lossy(&code);
    format!("{}{}", name.trim(), if big_endian { "-BE" } else { "" })
}

/// Whether frames can be captured from a node.
fn captures(node: &Node, camera: &Camera) -> bool {
    // `v4l` panics on a name that is not UTF-8, and the driver cuts names after 31 bytes, be it within a letter.
    // Such a name is a device's own: a camera.
    if std::str::from_utf8(&camera.name.as_bytes()[..camera.name.len().min(31)]).is_err()
        || camera.name.contains('\u{fffd}')
    {
        return true;
    }
    let needed = Capability::VIDEO_CAPTURE | Capability::STREAMING;
    node.query_caps().is_ok_and(|caps| caps.capabilities.contains(needed))
}

/// Appends what `node` offers in one pixel format.
fn add_modes(modes: &mut Vec<Mode>, node: &Node, format: PixelFormat, fourcc: FourCC, near: Size) {
    let sizes: Vec<Sizes> = match node.enum_framesizes(fourcc) {
        Ok(sizes) => sizes.into_iter().map(|size| sizes_of(&size.size)).collect(),
        // A driver that cannot list sizes has the one that is set.
        Err(_) => node.format().into_iter().map(|set| Sizes::One(Size::new(set.width, set.height))).collect(),
    };
    for sizes in sizes {
        let size = sizes.nearest(near);
        let usable = (1..=MAX_SIDE).contains(&size.width) && (1..=MAX_SIDE).contains(&size.height);
        if !usable || modes.iter().any(|mode| mode.fourcc == fourcc.repr && mode.sizes == sizes) {
            continue;
        }
        let intervals = node.enum_frameintervals(fourcc, size.width, size.height).unwrap_or_default();
        let rates = rates_of(intervals.into_iter().map(|interval| interval.interval));
        modes.push(Mode { format, fourcc: fourcc.repr, sizes, rates });
    }
}

fn sizes_of(size: &FrameSizeEnum) -> Sizes {
    match size {
        FrameSizeEnum::Discrete(size) => Sizes::One(Size::new(size.width, size.height)),
        FrameSizeEnum::Stepwise(range) => Sizes::Range {
            min: Size::new(range.min_width, range.min_height),
            max: Size::new(range.max_width, range.max_height),
            step: Size::new(range.step_width.max(1), range.step_height.max(1)),
        },
    }
}

/// The rates of frame intervals; a range of intervals is the only one of its list.
fn rates_of(intervals: impl Iterator<Item = FrameIntervalEnum>) -> Rates {
    let mut rates = Vec::new();
    for interval in intervals {
        match interval {
            FrameIntervalEnum::Discrete(interval) => rates.extend(rate_of(interval)),
            FrameIntervalEnum::Stepwise(range) => {
                // A shortest interval of 0 means: as fast as can be.
                let highest = rate_of(range.min).or(Rate::new(1000, 1));
                if let (Some(lowest), Some(highest)) = (rate_of(range.max), highest) {
                    return Rates::Range(lowest, highest);
                }
            }
        }
    }
    Rates::some(rates)
}

fn rate_of(interval: Fraction) -> Option<Rate> {
    Rate::new(interval.denominator, interval.numerator)
}

/// Starts `camera` as chosen, or as near to it as it can.
///
/// # Errors
/// When it is busy or gone, does not accept the format, or cannot be started.
pub(super) fn start(camera: &Camera, choice: &Choice) -> Result<Started> {
    let node = open(camera)?;
    let asked = Format::new(choice.size.width, choice.size.height, FourCC::new(&choice.fourcc));
    let given = node.set_format(&asked).map_err(|error| problem(camera, "set the format of", &error))?;
    let size = Size::new(given.width, given.height);
    let Some(format) = PixelFormat::from_fourcc(given.fourcc.repr) else {
        return Err(Error::Camera(format!(
            "{camera} was asked for {} {} and gives {} {size}, which nijigen does not read; try another --size",
            choice.format, choice.size, given.fourcc
        )));
    };
    if !(1..=MAX_SIDE).contains(&size.width) || !(1..=MAX_SIDE).contains(&size.height) {
        return Err(Error::Camera(format!("{camera} announces frames of {size}, which cannot be; try another --size")));
    }
    let set = choice
        .rate
        .and_then(|rate| node.set_params(&Parameters::new(Fraction::new(rate.denominator(), rate.numerator()))).ok());
    // Not every driver knows of rates.
    let rate = set.or_else(|| node.params().ok()).and_then(|parameters| rate_of(parameters.interval));
    let device = Streaming::start(&node, camera).map_err(|error| problem(camera, "start", &error))?;
    let raw = RawFormat { format, size, stride: given.stride as usize };
    Ok(Started { device: Box::new(device), raw, rate })
}

fn open(camera: &Camera) -> Result<Node> {
    let path = camera.path.as_deref().unwrap_or(Path::new(""));
    Node::with_path(path).map_err(|error| problem(camera, "open", &error))
}

/// The sentence for a failed system call.
fn problem(camera: &Camera, doing: &str, error: &io::Error) -> Error {
    const ENXIO: i32 = 6;
    const ENODEV: i32 = 19;
    let path = camera.path.as_deref().unwrap_or(Path::new("")).display();
    let text = match (error.kind(), error.raw_os_error()) {
        (ErrorKind::PermissionDenied, _) => format!(
            "no permission to use {camera}; join the group that owns it (sudo usermod -aG video $USER) and log in again"
        ),
        (ErrorKind::ResourceBusy, _) => format!(
            "{camera} is in use by another program; close that one (fuser -v {path} names it) or choose another camera"
        ),
        (ErrorKind::StorageFull, _) => format!(
            "the USB bus has not enough bandwidth left for {camera}; choose a smaller --size, MJPEG \
             (--source camera:{path},format=MJPG), or plug it into another port"
        ),
        (ErrorKind::NotFound, _) | (_, Some(ENXIO | ENODEV)) => {
            format!("{camera} is gone; plug it in again")
        }
        _ => format!("cannot {doing} {camera}: {error}; plug it out and in, or choose another camera"),
    };
    Error::Camera(text)
}

/// A node that streams.
struct Streaming {
    stream: MmapStream<'static>,
    camera: Camera,
    counter: Counter,
    /// Whether the driver has all buffers: `next` of the stream hands back the last one before it takes another, and
    /// stopped between the two.
    empty_handed: bool,
}

impl Streaming {
    fn start(node: &Node, camera: &Camera) -> io::Result<Self> {
        let mut stream = MmapStream::with_buffers(node, Type::VideoCapture, BUFFERS)?;
        // Buffer 0 stays here: it is what the first `next` hands over.
        for index in 1..BUFFERS as usize {
            match CaptureStream::queue(&mut stream, index) {
                // The driver may give fewer buffers.
                Err(error) if error.kind() == ErrorKind::InvalidInput => break,
                result => result?,
            }
        }
        stream.start()?;
        // Only asked when a frame is there; the limit is for drivers that say so and have none.
        stream.set_timeout(Duration::from_millis(50));
        Ok(Self { stream, camera: camera.clone(), counter: Counter::default(), empty_handed: false })
    }

    /// Whether there is something to take within `patience`, be it an error.
    fn ready(&self, patience: Duration) -> Result<bool> {
        const POLLIN: i16 = 1;
        match self.stream.handle().poll(POLLIN, patience.as_millis().min(1000) as i32) {
            Ok(ready) => Ok(ready > 0),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(problem(&self.camera, "wait for", &error)),
        }
    }

    /// Takes the oldest frame that is there.
    fn take(&mut self, data: &mut Vec<u8>) -> io::Result<Option<RawFrame>> {
        if self.empty_handed {
            CaptureStream::dequeue(&mut self.stream)?;
            self.empty_handed = false;
            return Ok(None);
        }
        self.empty_handed = true;
        let (bytes, meta) = CaptureStream::next(&mut self.stream)?;
        self.empty_handed = false;
        data.clear();
        data.extend_from_slice(&bytes[..bytes.len().min(meta.bytesused as usize)]);
        let damaged = meta.flags.contains(BufferFlags::ERROR);
        Ok(Some(RawFrame { sequence: self.counter.count(meta.sequence), damaged }))
    }
}

impl Device for Streaming {
    fn next(&mut self, patience: Duration, data: &mut Vec<u8>) -> Result<Option<RawFrame>> {
        let mut newest = None;
        let mut patience = patience;
        // What waited while the last frame was decoded is old: only the newest counts.
        while self.ready(patience)? {
            match self.take(data) {
                Ok(frame) => newest = frame.or(newest),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
                {
                    // The driver announced a frame and has none; it must not be asked in a busy loop.
                    thread::sleep(Duration::from_millis(5));
                    break;
                }
                Err(error) => return Err(problem(&self.camera, "read from", &error)),
            }
            patience = Duration::ZERO;
        }
        Ok(newest)
    }
}

/// Continues the driver's 32-bit frame numbers, from 0.
#[derive(Debug, Default)]
struct Counter {
    last: Option<u32>,
    count: u64,
}

impl Counter {
    fn count(&mut self, sequence: u32) -> u64 {
        if let Some(last) = self.last {
            let step = sequence.wrapping_sub(last);
            // A driver that does not count, or that starts again.
            let lost_count = step == 0 || step > u32::MAX / 2;
            self.count += if lost_count { 1 } else { u64::from(step) };
        }
        self.last = Some(sequence);
        self.count
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn finds_nodes_with_names_and_links() {
        let root = tempfile::tempdir().unwrap();
        // The links are resolved, so is the folder that they are compared with.
        let root = fs::canonicalize(root.path()).unwrap();
        let (dev, sys) = (root.join("dev"), root.join("sys"));
        for folder in ["dev/v4l/by-id", "sys/video2", "sys/video10", "usb1/1-3"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for node in ["video10", "video2", "video3", "video", "videodev", "vhost", "video-dec0"] {
            fs::write(dev.join(node), "").unwrap();
        }
        fs::write(sys.join("video2/name"), "HD Webcam C615\n").unwrap();
        fs::write(sys.join("video10/name"), b"Kam\xe9ra\n").unwrap();
        symlink("../../usb1/1-3", sys.join("video2/device")).unwrap();
        fs::write(sys.join("video2/index"), "1\n").unwrap();
        symlink("../../video2", dev.join("v4l/by-id/usb-046d_HD_Webcam_C615-video-index0")).unwrap();
        symlink("../../video9", dev.join("v4l/by-id/usb-unplugged")).unwrap();

        let cameras = scan(&dev, &sys);
        let shown: Vec<_> = cameras.iter().map(|camera| (camera.index, camera.name.as_str())).collect();
        assert_eq!(shown, [(2, "HD Webcam C615"), (3, "unnamed"), (10, "Kam\u{fffd}ra")]);
        assert_eq!(cameras[0].path.as_deref(), Some(dev.join("video2").as_path()));
        assert_eq!(cameras[0].links, ["usb-046d_HD_Webcam_C615-video-index0"]);
        assert!(cameras[1].links.is_empty());
        assert_eq!(cameras[0].bus, Some(format!("{}/usb1/1-3 1", root.display())));
        assert_eq!(cameras[1].bus, None);
    }

    #[test]
    fn no_folder_no_camera() {
        assert_eq!(scan(Path::new("/nonexistent"), Path::new("/nonexistent")), []);
    }

    #[test]
    fn counts_on_when_the_driver_starts_again() {
        let mut counter = Counter::default();
        let counts = [7, 8, 11, 0, 1, 1].map(|sequence| counter.count(sequence));
        assert_eq!(counts, [0, 1, 4, 5, 6, 7]);
        let mut counter = Counter::default();
        assert_eq!([u32::MAX, 0, 1].map(|sequence| counter.count(sequence)), [0, 1, 2]);
    }

    #[test]
    fn intervals_become_rates() {
        let discrete = |numerator, denominator| FrameIntervalEnum::Discrete(Fraction { numerator, denominator });
        let rates = rates_of([discrete(1, 15), discrete(1001, 30000), discrete(0, 1)].into_iter());
        assert_eq!(rates.to_string(), "29.97, 15 fps");
        let range = v4l::frameinterval::Stepwise {
            min: Fraction::new(0, 1),
            max: Fraction::new(2, 1),
            step: Fraction::new(1, 1),
        };
        let rates = rates_of([FrameIntervalEnum::Stepwise(range)].into_iter());
        assert_eq!(rates.to_string(), "0.5 to 1000 fps");
    }

    #[test]
    fn codes_have_names() {
        assert_eq!([*b"H264", *b"Y16 ", *b"Y16\xa0"].map(code_name), ["H264", "Y16", "Y16-BE"]);
    }

    #[test]
    fn every_failure_says_what_to_do() {
        let camera =
            Camera { index: 0, name: "vivid".into(), path: Some("/dev/video0".into()), links: vec![], bus: None };
        for (code, says) in [(13, "group"), (16, "in use"), (19, "is gone"), (28, "bandwidth"), (5, "cannot start")] {
            let text = problem(&camera, "start", &io::Error::from_raw_os_error(code)).to_string();
            assert!(text.contains(says) && text.contains("camera 0 (vivid, /dev/video0)"), "{text}");
        }
    }
}
