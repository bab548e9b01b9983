//! Devices of v4l2loopback.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileTypeExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use v4l::buffer::Type;
use v4l::io::traits::Stream;
use v4l::prelude::MmapStream;
use v4l::video::Output;
use v4l::video::output::Parameters;
use v4l::{Capabilities, Device as Node, Format, FourCC, Fraction};

use super::camera::{Agreed, Device, VirtualCamera};
use super::{OutputFormat, OutputSelector};
use crate::error::{Error, Result};
use crate::frame::{Rate, Size};
use crate::sink::Sink;

/// How v4l2loopback calls itself.
const DRIVER: &str = "v4l2 loopback";

/// The number that a new virtual camera is to get: cameras have smaller ones.
const DEFAULT_NUMBER: u32 = 10;

/// Opens a virtual camera for frames of `size`, `rate` of them per second; an odd size loses a row or a column. It is
/// black until the first frame. Where other programs hold it at another size, frames are fitted to that, and a warning in
/// the log says so.
///
/// # Errors
/// When there is no such device, it is no virtual camera, may not be used, or is written to by another program.
pub fn open(selector: &OutputSelector, size: Size, rate: Option<Rate>) -> Result<Box<dyn Sink + Send>> {
    let selector = selector.clone();
    let name = selector.path.display().to_string();
    let mut announces = true;
    let open = move || -> Result<Box<dyn Device>> {
        let path = selector.path.as_path();
        let wanted = Agreed { format: selector.format, size: even(size) };
        let mut device = Loopback::open(path, wanted, rate, announces)?;
        let mut black = vec![0; device.agreed.format.frame_len(device.agreed.size)];
        device.agreed.format.convert(&vec![0; device.agreed.size.rgb_len()], device.agreed.size, &mut black);
        let mut written = device.write(&black);
        if announces && written.as_ref().is_err_and(|error| error.kind() == ErrorKind::ResourceBusy) {
            announces = false;
            drop(device);
            device = Loopback::open(path, wanted, rate, announces)?;
            written = device.write(&black);
        }
        written.map_err(|error| problem(path, &error))?;
        tell(path, wanted, device.agreed);
        Ok(Box::new(device))
    };
    Ok(Box::new(VirtualCamera::new(name, Box::new(open))?))
}

/// A device whose format is set.
struct Loopback {
    /// What tells the driver that we stream.
    announcement: Option<MmapStream<'static>>,
    node: Node,
    agreed: Agreed,
    /// Old versions let several programs write at once; two of us shall not.
    _lock: File,
}

impl Device for Loopback {
    fn agreed(&self) -> Agreed {
        self.agreed
    }

    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        self.node.write(frame)
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        let announcement = self.announcement.take();
        // `v4l` panics where a device that is in trouble does not stop.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(announcement)));
    }
}

impl Loopback {
    /// Frames are written by plain `write`: streaming through `v4l` would show each a frame later. But v4l2loopback 0.12
    /// with `exclusive_caps` takes only who has started a stream for a writer; when another kind of writer ends, be it
    /// killed, the device is left as neither camera nor output, and takes no format any more (its issue 470). So a stream
    /// is started first, where `announces` says so: newer versions refuse to mix the two (`EBUSY`), and need none.
    fn open(path: &Path, wanted: Agreed, rate: Option<Rate>, announces: bool) -> Result<Self> {
        let failed = |error: &io::Error| problem(path, error);
        let lock = File::open(path).map_err(|e| failed(&e))?;
        let kind = lock.metadata().map_err(|e| failed(&e))?.file_type();
        if !kind.is_char_device() {
            return Err(no_virtual_camera(path, if kind.is_dir() { "a folder" } else { "no device" }));
        }
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(busy(path)),
            // What cannot be locked is used as it is.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let node = Node::with_path(path).map_err(|e| failed(&e))?;
        match capabilities(&node) {
            None => {}
            Some(Ok(device)) if device.driver == DRIVER => {}
            Some(Ok(device)) => {
                let Capabilities { card, driver, .. } = device;
                return Err(no_virtual_camera(path, &format!("{card} (driver {driver}) and no virtual camera")));
            }
            Some(Err(_)) => return Err(no_virtual_camera(path, "no video device")),
        }
        let agreed = agree(&node, path, wanted)?;
        if let Some(rate) = rate {
            let interval = Fraction::new(rate.denominator(), rate.numerator());
            // Only told to readers, and not every version keeps it.
            if let Err(error) = node.set_params(&Parameters::new(interval)) {
                tracing::debug!("{}: the frame rate cannot be set ({error})", path.display());
            }
        }
        let announcement = announces.then(|| announcement(&node)).flatten();
        Ok(Self { announcement, node, agreed, _lock: lock })
    }
}

/// A stream that is started and carries nothing; `None` where the driver gives none.
fn announcement(node: &Node) -> Option<MmapStream<'static>> {
    /// As many as `v4l` takes of itself: with fewer, readers would have fewer as well.
    const BUFFERS: u32 = 4;
    panic::catch_unwind(AssertUnwindSafe(|| {
        let mut stream = MmapStream::with_buffers(node, Type::VideoOutput, BUFFERS).ok()?;
        stream.start().ok()?;
        Some(stream)
    }))
    .unwrap_or_default()
}

/// The nearest size with even sides that is no larger, but at least 2×2.
fn even(size: Size) -> Size {
    let side = |side: u32| (side - side % 2).max(2);
    Size::new(side(size.width), side(size.height))
}

/// Sets the format; where others hold the device in another one that we can write, that is taken.
fn agree(node: &Node, path: &Path, wanted: Agreed) -> Result<Agreed> {
    let name = path.display();
    let asked = Format::new(wanted.size.width, wanted.size.height, FourCC::new(&wanted.format.fourcc()));
    let given = node.set_format(&asked).map_err(|e| problem(path, &e))?;
    let size = Size::new(given.width, given.height);
    let format = OutputFormat::ALL.into_iter().find(|format| format.fourcc() == given.fourcc.repr);
    // Odd sizes and padded rows are not what we were asked to write.
    let usable = format.filter(|format| size == even(size) && given.size as usize >= format.frame_len(size));
    let Some(format) = usable else {
        return Err(Error::Camera(format!(
            "another program holds {name} at {} {size}, which nijigen does not write; close the programs that use it \
             (fuser -v {name} names them)",
            given.fourcc
        )));
    };
    Ok(Agreed { format, size })
}

/// A line in the log for what was agreed on, a warning where it is not what was wanted.
fn tell(path: &Path, wanted: Agreed, agreed: Agreed) {
    let (name, Agreed { format, size }) = (path.display(), agreed);
    if agreed == wanted {
        tracing::info!("{name}: {format} {size}");
        return;
    }
    tracing::warn!(
        "{name} stays at {format} {size} while other programs use it: frames of {} {} are fitted to that; close them (fuser \
         -v {name} names them) and start anew to change it",
        wanted.format,
        wanted.size
    );
}

/// What a device says of itself; `None` where that is no text: `v4l` panics on a label that was cut within a letter.
fn capabilities(node: &Node) -> Option<io::Result<Capabilities>> {
    panic::catch_unwind(AssertUnwindSafe(|| node.query_caps())).ok()
}

/// The sentence for a failed system call.
fn problem(path: &Path, error: &io::Error) -> Error {
    const ENXIO: i32 = 6;
    const ENODEV: i32 = 19;
    let name = path.display();
    let text = match (error.kind(), error.raw_os_error()) {
        (ErrorKind::NotFound, _) | (_, Some(ENXIO | ENODEV)) => return absent(path),
        (ErrorKind::PermissionDenied, _) => format!(
            "no permission to write to {name}; join the group that owns it (sudo usermod -aG video $USER) and log in again"
        ),
        (ErrorKind::ResourceBusy, _) => return busy(path),
        _ => format!(
            "cannot write to the virtual camera {name} ({error}); load it anew: sudo modprobe -r v4l2loopback && {}",
            load(number_of(path).unwrap_or(DEFAULT_NUMBER))
        ),
    };
    Error::Camera(text)
}

fn busy(path: &Path) -> Error {
    let name = path.display();
    Error::Camera(format!(
        "another program writes to {name}; close that one (fuser -v {name} names it) or choose another virtual camera"
    ))
}

fn absent(path: &Path) -> Error {
    Error::Camera(format!("there is no {}; {}", path.display(), remedy(path)))
}

fn no_virtual_camera(path: &Path, what: &str) -> Error {
    Error::Camera(format!("{} is {what}; {}", path.display(), remedy(path)))
}

/// The virtual cameras that are there, or how to make one.
fn remedy(path: &Path) -> String {
    let there = loopbacks();
    if !there.is_empty() {
        return format!("there is {}", there.join(", "));
    }
    let number = number_of(path).filter(|_| !path.exists());
    // Where something else is (a Raspberry Pi has a codec at 10), the virtual camera gets another number.
    let free = || (DEFAULT_NUMBER..).find(|number| !Path::new(&format!("/dev/video{number}")).exists());
    let number = number.or_else(free).unwrap_or(DEFAULT_NUMBER);
    format!("make a virtual camera: {} (package v4l2loopback-dkms)", load(number))
}

/// The N of `/dev/videoN`.
fn number_of(path: &Path) -> Option<u32> {
    path.to_str()?.strip_prefix("/dev/video")?.parse().ok()
}

/// The command that makes the virtual camera `/dev/videoN`.
fn load(number: u32) -> String {
    format!("sudo modprobe v4l2loopback video_nr={number} card_label=nijigen exclusive_caps=1")
}

/// "v4l2:/dev/video10 (nijigen)" for each virtual camera that we may look at.
fn loopbacks() -> Vec<String> {
    let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
    let videos = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("video"));
    let mut found: Vec<String> = videos
        .filter_map(|entry| {
            let path = entry.path();
            let device = capabilities(&Node::with_path(&path).ok()?)?.ok()?;
            (device.driver == DRIVER).then(|| format!("v4l2:{} ({})", path.display(), device.card))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_sizes_lose_a_row_or_a_column() {
        for (size, kept) in [((640, 480), (640, 480)), ((333, 181), (332, 180)), ((1, 1), (2, 2)), ((2, 3), (2, 2))] {
            assert_eq!(even(Size::new(size.0, size.1)), Size::new(kept.0, kept.1));
        }
    }

    #[test]
    fn devices_are_known_by_their_number() {
        for (path, number) in [("/dev/video7", Some(7)), ("/dev/virtual", None), ("/dev/videos", None)] {
            assert_eq!(number_of(Path::new(path)), number, "{path}");
        }
    }

    #[test]
    fn the_remedy_for_a_missing_camera_makes_that_one() {
        let there = loopbacks();
        let remedy = remedy(Path::new("/dev/video9999"));
        assert!(remedy.contains("video_nr=9999 ") || there.iter().any(|camera| remedy.contains(camera)), "{remedy}");
    }
}
