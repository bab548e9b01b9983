//! Devices of v4l2loopback.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

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

/// Opens a virtual camera for frames of `size`, `rate` of them per second; an odd size loses a row or a column. Where
/// other programs hold it at another size, frames are fitted to that, and a warning in the log says so.
///
/// # Errors
/// When there is no such device, it is no virtual camera, may not be used, or is written to by another program.
pub fn open(selector: &OutputSelector, size: Size, rate: Option<Rate>) -> Result<Box<dyn Sink + Send>> {
    let selector = selector.clone();
    let name = selector.path.display().to_string();
    let open = move || -> Result<Box<dyn Device>> { Ok(Box::new(Loopback::open(&selector, size, rate)?)) };
    Ok(Box::new(VirtualCamera::new(name, Box::new(open))?))
}

/// A device whose format is set.
struct Loopback {
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

impl Loopback {
    fn open(selector: &OutputSelector, size: Size, rate: Option<Rate>) -> Result<Self> {
        let path = selector.path.as_path();
        let failed = |error: &io::Error| problem(path, error);
        let lock = File::open(path).map_err(|e| failed(&e))?;
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
                return Err(no_virtual_camera(path, &format!("{card} (driver {driver})")));
            }
            Some(Err(_)) => return Err(no_virtual_camera(path, "no video device")),
        }
        let wanted = Agreed { format: selector.format, size: even(size) };
        let agreed = agree(&node, path, wanted)?;
        if let Some(rate) = rate {
            let interval = Fraction::new(rate.denominator(), rate.numerator());
            // Only told to readers, and not every version keeps it.
            if let Err(error) = node.set_params(&Parameters::new(interval)) {
                log::debug!("{}: the frame rate cannot be set ({error})", path.display());
            }
        }
        let Agreed { format, size } = agreed;
        log::info!("{}: {format} {size}", path.display());
        Ok(Self { node, agreed, _lock: lock })
    }
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
    let agreed = Agreed { format, size };
    if agreed != wanted {
        let Agreed { format, size } = wanted;
        log::warn!(
            "{name} stays at {} {} while other programs use it: frames of {format} {size} are fitted to that; close them \
             (fuser -v {name} names them) and start anew to change it",
            agreed.format,
            agreed.size
        );
    }
    Ok(agreed)
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
        (ErrorKind::IsADirectory, _) => return no_virtual_camera(path, "a folder"),
        _ => format!("cannot write to the virtual camera {name}: {error}; load it anew: {}", reload(path)),
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
    Error::Camera(format!("{} is {what}, no virtual camera; {}", path.display(), remedy(path)))
}

/// The virtual cameras that are there, or how to make one.
fn remedy(path: &Path) -> String {
    let there = loopbacks();
    if there.is_empty() {
        format!("make one: {} (package v4l2loopback-dkms)", load(path))
    } else {
        format!("there is {}", there.join(", "))
    }
}

/// The command that makes a virtual camera; at `path`, where nothing is.
fn load(path: &Path) -> String {
    let number = path.to_str().and_then(|path| path.strip_prefix("/dev/video")?.parse::<u32>().ok());
    let number = number.filter(|_| !path.exists()).unwrap_or(10);
    format!("sudo modprobe v4l2loopback video_nr={number} card_label=nijigen exclusive_caps=1")
}

fn reload(path: &Path) -> String {
    format!("sudo modprobe -r v4l2loopback && {}", load(path))
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
    fn the_command_makes_the_camera_that_was_asked_for() {
        for (path, number) in [("/dev/video9999", 9999), ("/dev/virtual", 10), ("/dev/videos", 10)] {
            assert!(load(Path::new(path)).contains(&format!("video_nr={number} ")), "{path}");
        }
    }
}
