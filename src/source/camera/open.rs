//! Finding the camera that is meant, and starting it.

use std::panic::{self, AssertUnwindSafe};

use super::identity::{Known, candidates};
use super::modes::{self, Offer};
use super::{Camera, CameraRequest, CameraSelector, PixelFormat, Survey, WhichCamera, capture, decode, system};
use crate::error::{Error, Result};
use crate::frame::{MAX_SIDE, Rate, Size};
use crate::source::Source;
use crate::source::reconnect::DeviceOpener;

/// A camera that sends frames.
pub(super) struct Started {
    pub(super) device: Box<dyn capture::Device>,
    /// What it sends.
    pub(super) raw: decode::RawFormat,
    /// How often, where it tells.
    pub(super) rate: Option<Rate>,
}

/// Every camera with what it offers; the rates of a range of sizes are those of its largest.
///
/// # Errors
/// When cameras are not built in, or the system does not list them.
pub fn list() -> Result<Survey> {
    let cameras = system::cameras()?;
    let offers = cameras.iter().filter_map(|camera| {
        let offer = guarded(camera, || system::offer(camera, Size::new(MAX_SIDE, MAX_SIDE))).transpose()?;
        Some((camera.clone(), offer))
    });
    Ok(Survey { cameras: offers.collect(), looked: looked(&cameras) })
}

/// Opens the camera that is meant, and the same one whenever it is asked again.
#[derive(Debug)]
pub struct CameraOpener {
    selector: CameraSelector,
    /// Frames per second asked of it.
    fps: Option<Rate>,
    /// The camera that it opened last.
    known: Option<Known>,
}

impl CameraOpener {
    /// Opens what `selector` means, and asks it for `fps` frames per second, its own choice if none.
    pub fn new(selector: CameraSelector, fps: Option<Rate>) -> Self {
        Self { selector, fps, known: None }
    }
}

impl DeviceOpener for CameraOpener {
    /// Opens the camera that is meant and starts it as near to the request as it can. Where that is something else than
    /// asked, a warning in the log says so.
    ///
    /// # Errors
    /// At once when there is no such camera, it may not be used, is busy, or gives nothing that we read; the sentence
    /// says what was looked for, what was found and what to do.
    fn open(&mut self, size: Size) -> Result<Box<dyn Source>> {
        let Self { selector: CameraSelector { which, format }, fps, known } = self;
        let wanted = CameraRequest { size, fps: *fps };
        let cameras = system::cameras()?;
        let candidates = candidates(which, known.as_ref(), &cameras);
        let mut refusals = Vec::new();
        for &camera in &candidates {
            let choice = match guarded(camera, || system::offer(camera, size)) {
                Ok(None) => continue,
                Ok(Some(offer)) => choice(camera, &offer, &wanted, *format),
                Err(error) => Err(error),
            };
            match choice {
                Ok(choice) => {
                    let started = guarded(camera, || system::start(camera, &choice))
                        .map_err(|error| with_others(&error, camera, &cameras))?;
                    if let Some(difference) = modes::difference(&wanted, started.raw.size, started.rate) {
                        tracing::warn!("{camera}: {difference}");
                    }
                    tracing::info!("{camera}: {} {}", started.raw.format, started.raw.size);
                    *known = Some(Known::new(camera.clone(), which, known.as_ref()));
                    let capture = capture::Capture::new(started.device, camera.to_string(), started.raw, started.rate);
                    return Ok(Box::new(capture));
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        Err(match (refusals.len(), known) {
            (0, Some(known)) if candidates.is_empty() => {
                Error::Camera(format!("{} is not there ({}); plug it in again", known.camera(), found(cameras.iter())))
            }
            (0, _) => absent(which, candidates.is_empty(), &cameras),
            (1, _) => refusals.remove(0),
            _ => {
                let refusals: Vec<String> = refusals.iter().map(Error::to_string).collect();
                Error::Camera(format!("none of {} cameras can be used: {}", refusals.len(), refusals.join("; ")))
            }
        })
    }
}

/// No camera of those that there are is the one that is meant (`unknown`), or none that can be captured from.
fn absent(which: &WhichCamera, unknown: bool, cameras: &[Camera]) -> Error {
    match which {
        WhichCamera::First => none_found(cameras),
        which if unknown => Error::Camera(format!(
            "there is no {which} ({}); plug it in, or choose one that is there or another --source",
            found(cameras.iter())
        )),
        which => Error::Camera(format!(
            "{which} is no camera that can be captured from (an output, a codec, a loopback that nothing is written \
             to); {}; choose another or another --source",
            found(cameras.iter())
        )),
    }
}

/// The libraries below panic where a device describes itself in a way that they did not foresee.
fn guarded<T>(camera: &Camera, ask: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|_| {
        Err(Error::Camera(format!(
            "{camera} describes itself in a way that cannot be understood; choose another camera"
        )))
    })
}

fn choice(camera: &Camera, offer: &Offer, wanted: &CameraRequest, only: Option<PixelFormat>) -> Result<modes::Choice> {
    modes::choose(&offer.modes, wanted, only).ok_or_else(|| {
        let readable = offer.modes.iter().map(|mode| mode.format.to_string());
        let mut given: Vec<String> = readable.chain(offer.unread.iter().cloned()).collect();
        given.dedup();
        let wanted = only.map_or("nothing that nijigen reads".to_string(), |format| format!("no {format}"));
        Error::Camera(format!("{camera} gives {wanted}, only {}; choose another", given.join(", ")))
    })
}

/// Where cameras were looked for, given what is none that can be captured from.
fn looked(cameras: &[Camera]) -> String {
    if cameras.is_empty() {
        format!("looked for {}: there is none", system::LOOKED_AT)
    } else {
        let nodes: Vec<String> = cameras.iter().map(Camera::to_string).collect();
        format!("looked at {}: none can be captured from", nodes.join(", "))
    }
}

fn none_found(cameras: &[Camera]) -> Error {
    let looked = looked(cameras);
    Error::Camera(format!("no camera found ({looked}); plug one in, or choose --source FILE, - or synthetic"))
}

/// "found camera 0 (vivid, /dev/video0)"
fn found<'a>(cameras: impl Iterator<Item = &'a Camera>) -> String {
    let cameras: Vec<String> = cameras.map(Camera::to_string).collect();
    if cameras.is_empty() { "found none".to_string() } else { format!("found {}", cameras.join(", ")) }
}

/// The error with the other cameras that could be chosen.
fn with_others(error: &Error, camera: &Camera, cameras: &[Camera]) -> Error {
    let mut others = cameras.iter().filter(|other| *other != camera).peekable();
    if others.peek().is_none() {
        Error::Camera(error.to_string())
    } else {
        Error::Camera(format!("{error}; also {}", found(others)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn cameras() -> Vec<Camera> {
        let camera = |index: u32, name: &str, links: &[&str]| Camera {
            index,
            name: name.into(),
            path: Some(format!("/nonexistent/video{index}").into()),
            links: links.iter().map(|link| link.to_string()).collect(),
            bus: None,
        };
        vec![
            camera(0, "Integrated Camera", &["usb-Chicony_Integrated_Camera_0001-video-index0"]),
            camera(2, "HD Webcam C615", &["usb-046d_HD_Webcam_C615_ABC-video-index0"]),
            camera(4, "HD Webcam", &[]),
        ]
    }

    #[test]
    fn says_what_a_camera_gives_instead() {
        let offer = Offer { modes: vec![], unread: vec!["H264".into()] };
        let wanted = CameraRequest { size: Size::new(640, 480), fps: None };
        let error = choice(&cameras()[0], &offer, &wanted, None).unwrap_err().to_string();
        assert!(error.contains("nothing that nijigen reads, only H264"), "{error}");
        let error = choice(&cameras()[0], &offer, &wanted, Some(PixelFormat::Nv12)).unwrap_err().to_string();
        assert!(error.contains("no NV12, only H264"), "{error}");
    }

    #[test]
    fn says_what_was_looked_at() {
        assert!(none_found(&[]).to_string().contains(system::LOOKED_AT));
        let error = none_found(&cameras()).to_string();
        assert!(error.contains("camera 2 (HD Webcam C615, /nonexistent/video2)"), "{error}");
    }
}
