//! The ends of a run, opened as its flags say.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::config::{self, RunConfig, SourceChoice};
use crate::error::Result;
use crate::ffmpeg::Damage;
use crate::frame::Size;
use crate::live::Console;
use crate::pipeline::stats::Stats;
use crate::pixels::yuv::Chroma;
use crate::sink::Sink;
use crate::source::adapt::{Paced, Scaled};
use crate::source::camera::{CameraOpener, CameraSelector};
use crate::source::file::{self, Kind, LivePipe};
use crate::source::reconnect::{DeviceOpener, Reconnecting};
use crate::source::synthetic::Synthetic;
use crate::source::{Rest, Source, SourceInfo};
use crate::y4m::Header;

/// The statistics of the run, once there are any: a window is opened before.
pub type StatsOfRun = Rc<OnceCell<Arc<Stats>>>;

/// The source with its adapters, the header that Y4M made of it has, and where damage to it will be told.
pub fn open_source(config: &RunConfig, rest: &Rest) -> Result<(Box<dyn Source>, Header, Option<Damage>)> {
    let (mut read_header, mut read_video, mut damage) = (None, None, None);
    let mut source: Box<dyn Source> = match &config.source {
        SourceChoice::Camera(selector) => open_camera(selector, config, rest)?,
        SourceChoice::Synthetic => {
            let (size, rate) =
                (config.size.unwrap_or(config::DEFAULT_SIZE), config.fps.unwrap_or(config::DEFAULT_RATE));
            Box::new(Synthetic::new(size, rate, config::SYNTHETIC_SEED)?)
        }
        SourceChoice::File(_) | SourceChoice::Stdin { .. } => {
            let live = match &config.source {
                SourceChoice::Stdin { live: true } => LivePipe::Yes,
                _ if config.is_watched() => LivePipe::Mjpeg,
                _ => LivePipe::No,
            };
            let opened = match &config.source {
                SourceChoice::File(path) => file::open(path, live)?,
                _ => file::stdin(live)?,
            };
            damage = opened.damage;
            match opened.kind {
                Kind::Y4m(header) => read_header = Some(header),
                Kind::Mjpeg => {}
                Kind::Video(original) => read_video = Some(original),
            }
            opened.source
        }
    };
    if !matches!(config.source, SourceChoice::Camera(_)) {
        if let Some(size) = config.size.filter(|&size| size != source.info().size) {
            source = Box::new(Scaled::new(source, size));
            // Its pixels' shape is another one then.
            read_video = None;
        }
        // Somebody who watches wants the speed of life, which a live source has of itself.
        let watched =
            (config.is_live() && !source.info().live).then(|| source.info().rate.unwrap_or(config::DEFAULT_RATE));
        if let Some(rate) = config.fps.or(watched) {
            source = Box::new(Paced::new(source, rate));
        }
    }
    let (size, rate) = (source.info().size, source.info().rate.unwrap_or(config::DEFAULT_RATE));
    let header = match (read_header, read_video) {
        (Some(header), _) => header.for_output(size, Some(rate)),
        (None, Some(original)) => original.y4m_header(size, rate),
        (None, None) => Header::new(size, Some(rate), Chroma::C420),
    };
    Ok((source, header, damage))
}

/// A camera that is opened again whenever it is lost.
fn open_camera(selector: &CameraSelector, config: &RunConfig, rest: &Rest) -> Result<Box<dyn Source>> {
    let size = config.size.unwrap_or(config::DEFAULT_SIZE);
    let mut opener = Box::new(CameraOpener::new(selector.clone(), config.fps));
    let source = match opener.open(size) {
        Ok(camera) => Reconnecting::over(camera, opener),
        // In a build without cameras none will ever come.
        Err(error) if config.wait && cfg!(feature = "camera") => {
            tracing::warn!("{error} (waiting for it)");
            let name = selector.which.to_string();
            // It is likely to come with the usual rate, and the time for a frame is reckoned by it.
            let rate = Some(config.fps.unwrap_or(config::DEFAULT_RATE));
            let info = SourceInfo { name, size, rate, live: true, frames: None };
            Reconnecting::waiting(info, &error, opener)
        }
        Err(error) => return Err(error),
    };
    Ok(Box::new(source?.resting_when(rest.clone())))
}

#[cfg(feature = "window")]
pub fn open_window(size: Size, config: &RunConfig, console: Console, stats: StatsOfRun) -> Result<Box<dyn Sink>> {
    use crate::live::Lock;
    use crate::sink::window::{Manner, Window};

    let manner = Manner { full_screen: config.full_screen, lock: config.lock.as_deref().map(Lock::new) };
    Ok(Box::new(Window::open(size, manner, console, stats)?))
}

#[cfg(not(feature = "window"))]
pub fn open_window(_: Size, _: &RunConfig, _: Console, _: StatsOfRun) -> Result<Box<dyn Sink>> {
    Err(crate::error::Error::Window(
        "this nijigen was built without windows; choose --sink null, --sink FILE.y4m or --sink -, or build it with the \
         feature 'window'"
            .into(),
    ))
}
