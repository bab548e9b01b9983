//! Cameras on macOS and Windows: AVFoundation and Media Foundation through `nokhwa`.

use std::mem;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nokhwa::utils::{
    ApiBackend, CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution,
};
use nokhwa::{Buffer, Camera as Handle, NokhwaError, nokhwa_check, nokhwa_initialize, query};

use super::capture::{Device, RawFrame};
use super::decode::RawFormat;
use super::modes::{Choice, Mode, Offer, Rates, Sizes};
use super::open::Started;
use super::{Camera, PixelFormat};
use crate::error::{Error, Result};
use crate::frame::{Rate, Size};

/// What [`cameras`] looks at, for messages.
pub(super) const LOOKED_AT: &str = "the cameras of the system";

/// The formats that both sides know.
const FORMATS: [FrameFormat; 5] =
    [FrameFormat::RAWRGB, FrameFormat::YUYV, FrameFormat::NV12, FrameFormat::MJPEG, FrameFormat::GRAY];

/// Every camera of the system.
///
/// # Errors
/// When the user does not allow cameras, or the system cannot list them.
pub(super) fn cameras() -> Result<Vec<Camera>> {
    ask_permission()?;
    let infos = query(ApiBackend::Auto)
        .map_err(|error| Error::Camera(format!("the system cannot list its cameras: {error}; use another --source")))?;
    let cameras = (0..).zip(infos).map(|(position, info)| Camera {
        index: info.index().as_index().unwrap_or(position),
        name: info.human_name(),
        path: None,
        links: Vec::new(),
        // What the system tells cameras apart by.
        bus: Some(info.misc()).filter(|id| !id.is_empty()),
    });
    Ok(cameras.collect())
}

/// macOS asks the user once for each program.
fn ask_permission() -> Result<()> {
    if nokhwa_check() {
        return Ok(());
    }
    let (sender, answer) = sync_channel(1);
    nokhwa_initialize(move |allowed| {
        // Nobody may wait any more for an answer that took too long.
        let _ = sender.try_send(allowed);
    });
    match answer.recv_timeout(Duration::from_secs(60)) {
        Ok(true) => Ok(()),
        _ => Err(Error::Camera(
            "cameras are not allowed for this program; allow them in the system's privacy settings and start anew"
                .into(),
        )),
    }
}

/// What `camera` offers. Sizes are never ranges here, so it does not matter near which size.
///
/// # Errors
/// When it cannot be opened or asked.
pub(super) fn offer(camera: &Camera, _near: Size) -> Result<Option<Offer>> {
    let request = RequestedFormat::with_formats(RequestedFormatType::None, &FORMATS);
    let mut handle = open(camera, request)?;
    let formats = handle.compatible_camera_formats().map_err(|error| problem(camera, &error))?;
    let mut offer = Offer::default();
    for format in FORMATS {
        let Some(pixels) = pixel_format(format) else { continue };
        let given: Vec<&CameraFormat> = formats.iter().filter(|given| given.format() == format).collect();
        let mut sizes: Vec<Resolution> = given.iter().map(|given| given.resolution()).collect();
        sizes.sort();
        sizes.dedup();
        for size in sizes {
            let rates = given.iter().filter(|given| given.resolution() == size);
            offer.modes.push(Mode {
                format: pixels,
                fourcc: pixels.fourcc(),
                sizes: Sizes::One(Size::new(size.width(), size.height())),
                rates: Rates::some(rates.filter_map(|given| Rate::new(given.frame_rate(), 1)).collect()),
            });
        }
    }
    if formats.iter().any(|given| given.format() == FrameFormat::RAWBGR) {
        offer.unread.push("BGR3".into());
    }
    Ok(Some(offer))
}

fn pixel_format(format: FrameFormat) -> Option<PixelFormat> {
    match format {
        FrameFormat::MJPEG => Some(PixelFormat::Mjpeg),
        FrameFormat::YUYV => Some(PixelFormat::Yuyv),
        FrameFormat::NV12 => Some(PixelFormat::Nv12),
        FrameFormat::GRAY => Some(PixelFormat::Grey),
        FrameFormat::RAWRGB => Some(PixelFormat::Rgb24),
        FrameFormat::RAWBGR => None,
    }
}

/// Starts `camera` as chosen.
///
/// # Errors
/// When it is busy or gone, or does not accept the format.
pub(super) fn start(camera: &Camera, choice: &Choice) -> Result<Started> {
    let format = FORMATS.into_iter().find(|&format| pixel_format(format) == Some(choice.format));
    let Some(format) = format else {
        return Err(Error::Camera(format!("{camera} gives no {} here; choose another format", choice.format)));
    };
    // The rates that are listed here are whole.
    let fps = choice.rate.map_or(30, |rate| rate.as_f64().round() as u32);
    let wanted = CameraFormat::new(Resolution::new(choice.size.width, choice.size.height), format, fps);
    let (device, given) = Pulled::start(camera, wanted)?;
    let Some(format) = pixel_format(given.format()) else {
        return Err(Error::Camera(format!("{camera} gives {}, which nijigen does not read", given.format())));
    };
    let raw = RawFormat { format, size: Size::new(given.width(), given.height()), stride: 0 };
    Ok(Started { device: Box::new(device), raw, rate: Rate::new(given.frame_rate(), 1) })
}

fn open(camera: &Camera, request: RequestedFormat) -> Result<Handle> {
    Handle::new(CameraIndex::Index(camera.index), request).map_err(|error| problem(camera, &error))
}

fn problem(camera: &Camera, error: &NokhwaError) -> Error {
    Error::Camera(format!(
        "{camera} cannot be used: {error}; close the program that uses it, plug it out and in, or choose another camera"
    ))
}

/// A camera whose frames a thread of its own pulls: `nokhwa` waits for a frame without a limit.
struct Pulled {
    camera: Camera,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The newest frame's bytes, where [`State::fresh`].
    data: Vec<u8>,
    fresh: bool,
    /// How many frames came before the newest.
    sequence: u64,
    failure: Option<NokhwaError>,
    /// Nobody wants frames any more.
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over what the camera gave, the `count`th; `false` where no more is wanted or to come.
    fn put(&self, frame: std::result::Result<Buffer, NokhwaError>, count: &mut u64) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        let more = frame.is_ok();
        match frame {
            Ok(frame) => {
                state.data.clear();
                state.data.extend_from_slice(frame.buffer());
                (state.fresh, state.sequence) = (true, *count);
                *count += 1;
            }
            Err(error) => state.failure = Some(error),
        }
        self.changed.notify_one();
        more
    }
}

impl Pulled {
    /// Starts the thread, which opens the camera, since a handle must stay where it was made.
    fn start(camera: &Camera, wanted: CameraFormat) -> Result<(Self, CameraFormat)> {
        let shared = Arc::new(Shared::default());
        let (theirs, index) = (Arc::clone(&shared), camera.clone());
        let (sender, opened) = sync_channel(1);
        let pull = move || {
            let request = RequestedFormat::with_formats(RequestedFormatType::Exact(wanted), &FORMATS);
            let started = open(&index, request).and_then(|mut handle| {
                handle.open_stream().map_err(|error| problem(&index, &error))?;
                Ok(handle)
            });
            let (mut handle, outcome) = match started {
                Ok(handle) => {
                    let given = handle.camera_format();
                    (Some(handle), Ok(given))
                }
                Err(error) => (None, Err(error)),
            };
            // The other side waits for exactly this.
            let _ = sender.send(outcome);
            let mut count = 0;
            while let Some(handle) = &mut handle {
                let frame = handle.frame();
                if !theirs.put(frame, &mut count) {
                    return;
                }
            }
        };
        let gone = |reason: String| Error::Camera(format!("{camera} cannot be started: {reason}; choose another one"));
        thread::Builder::new().name("camera".into()).spawn(pull).map_err(|error| gone(error.to_string()))?;
        let given = opened.recv().map_err(|error| gone(error.to_string()))??;
        Ok((Self { camera: camera.clone(), shared }, given))
    }
}

impl Device for Pulled {
    fn next(&mut self, patience: Duration, data: &mut Vec<u8>) -> Result<Option<RawFrame>> {
        let waiting = |state: &mut State| !state.fresh && state.failure.is_none();
        let (mut state, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), patience, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        if mem::take(&mut state.fresh) {
            mem::swap(data, &mut state.data);
            return Ok(Some(RawFrame { sequence: state.sequence, damaged: false }));
        }
        match &state.failure {
            Some(error) => Err(problem(&self.camera, error)),
            None => Ok(None),
        }
    }
}

impl Drop for Pulled {
    /// The thread ends with its next frame; it is not waited for, since that frame may never come.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
    }
}
