//! What each style looks like: an example drawn by the program itself, aside from the run.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;

use super::{Opener, jpeg};
use crate::error::{Error, Result};
use crate::frame::Size;
use crate::live::{Control, Look, Offer, Shelf};
use crate::picture::{self, Picture};
use crate::pixels::resize::{Filter, Scaler};
use crate::style::{Card, Registry, Stylizer};
use crate::threads;

/// The photo that is drawn: a part of `examples/woman-street.jpg`.
const EXAMPLE: &[u8] = include_bytes!("page/example.jpg");
/// The size at which it is shown.
const THUMBNAIL: Size = Size::new(160, 160);
/// "off" is no style, but it can be chosen.
pub const OFF: &str = "off";

/// What is known of a style.
#[derive(Debug, Clone, Default)]
pub struct Exhibit {
    /// What it looks like, in one sentence; empty where its card does not say, or was not read yet.
    pub description: String,
    /// What it was trained from: styles of one base can be mixed.
    pub base: Option<String>,
    /// Whether it knows the person in a picture, so that a part of it can be drawn.
    pub has_person_mask: bool,
    /// The example in this style, as JPEG.
    pub thumbnail: Option<Bytes>,
    /// Why the style cannot be used.
    pub fault: Option<String>,
    /// The [edition](Offer) that this is.
    pub edition: u64,
}

/// What hangs there for a style.
#[derive(Default)]
struct Hung {
    exhibit: Exhibit,
    /// The edition that was asked for last.
    wanted: u64,
}

type Wall = Arc<Mutex<HashMap<String, Hung>>>;

/// The styles that were looked at.
pub struct Gallery {
    wall: Wall,
    orders: Sender<Offer>,
}

impl Gallery {
    /// Starts to draw the styles of `shelf`, once the run has drawn its first picture.
    ///
    /// # Errors
    /// [`Error::Tool`] where the system gives no thread.
    pub fn start(control: Control, shelf: &Shelf, opener: Opener) -> Result<Self> {
        let (orders, ordered) = mpsc::channel();
        let wall = Wall::default();
        let gallery = Self { wall: Arc::clone(&wall), orders };
        let first = shelf.styles();
        gallery.want(first);
        threads::spawn("thumbnails", move || draw_all(&control, &opener, &ordered, &wall))?;
        Ok(gallery)
    }

    /// Has those drawn that were not asked for before. What hangs of an older edition is shown until then.
    pub fn want(&self, offers: Vec<Offer>) {
        for offer in offers {
            let mut wall = lock(&self.wall);
            let known = wall.get(&offer.style.name).map(|hung| hung.wanted);
            if known != Some(offer.edition) {
                wall.entry(offer.style.name.clone()).or_default().wanted = offer.edition;
                // The thread ends with the run; nobody needs thumbnails then.
                let _ = self.orders.send(offer);
            }
        }
    }

    /// What is known of a style.
    pub fn exhibit(&self, style: &str) -> Option<Exhibit> {
        lock(&self.wall).get(style).map(|hung| hung.exhibit.clone())
    }
}

fn lock(wall: &Wall) -> MutexGuard<'_, HashMap<String, Hung>> {
    wall.lock().unwrap_or_else(PoisonError::into_inner)
}

fn draw_all(control: &Control, opener: &Opener, ordered: &Receiver<Offer>, wall: &Wall) {
    while control.newest().is_none() && !control.has_ended() {
        control.newer_than(0, Duration::from_secs(1));
    }
    let example = match picture::decode(EXAMPLE, u64::MAX) {
        Ok(example) => example,
        Err(why) => return tracing::warn!("no thumbnails: the example {why}"),
    };
    let plain = draw(&example, &mut Stylizer::off()).ok().map(Bytes::from);
    lock(wall).entry(OFF.into()).or_default().exhibit.thumbnail = plain;
    for offer in ordered {
        if control.has_ended() {
            return;
        }
        let Offer { style, edition } = &offer;
        if lock(wall).get(&style.name).is_some_and(|hung| hung.wanted != *edition) {
            continue;
        }
        let exhibit = catch_unwind(AssertUnwindSafe(|| exhibit(&offer, opener, &example)))
            .unwrap_or_else(|_| Err(Error::Style(format!("the style {} breaks", style.name))))
            .unwrap_or_else(|error| Exhibit {
                fault: Some(error.to_string()),
                edition: *edition,
                ..Exhibit::default()
            });
        lock(wall).entry(style.name.clone()).or_default().exhibit = exhibit;
    }
}

fn exhibit(offer: &Offer, opener: &Opener, example: &Picture) -> Result<Exhibit> {
    let Card { description, base_sha256: base, .. } = Registry::card(&offer.style)?;
    let mut stylizer = opener(&Look { style: offer.address(), enhance: false })?;
    stylizer.set_strength(1.0);
    Ok(Exhibit {
        description,
        base,
        has_person_mask: stylizer.has_person_mask(),
        thumbnail: Some(draw(example, &mut stylizer)?.into()),
        fault: None,
        edition: offer.edition,
    })
}

fn draw(example: &Picture, stylizer: &mut Stylizer) -> Result<Vec<u8>> {
    let mut drawn = vec![0; example.rgb.len()];
    stylizer.run(&example.rgb, example.size, &mut drawn)?;
    let mut rgb = vec![0; THUMBNAIL.rgb_len()];
    Scaler::new(Filter::Lanczos).scale(&drawn, example.size, &mut rgb, THUMBNAIL)?;
    jpeg::picture(Picture { size: THUMBNAIL, rgb, alpha: None, profile: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::PathBuf;
    use std::sync::Mutex;
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::frame::Pool;
    use crate::live::{Messages, Settings};
    use crate::style::Found;

    #[test]
    fn another_edition_is_drawn_from_its_file_again() {
        let settings = Settings::of_style("off");
        let control = Control::new(settings, None).unwrap();
        let trial = Box::new(|_: &str| Ok(Stylizer::off()));
        let shelf = Shelf::start(Registry::discover(None), control.clone(), trial, Messages::default()).unwrap();
        let opened = Arc::new(Mutex::new(Vec::new()));
        let opener: Opener = {
            let opened = Arc::clone(&opened);
            Arc::new(move |look: &Look| {
                opened.lock().unwrap().push(look.style.clone());
                Ok(Stylizer::off())
            })
        };
        let gallery = Gallery::start(control.clone(), &shelf, opener).unwrap();
        let frame = Pool::default().take(Size::new(2, 2)).share();
        control.publish(frame.clone(), frame);
        let began = Instant::now();
        for (edition, file) in [(1, "/nowhere/a.onnx"), (1, "/nowhere/a.onnx"), (2, "/nowhere/b.onnx")] {
            let style = Found { name: "mine".into(), path: Some(PathBuf::from(file)) };
            gallery.want(vec![Offer { style, edition }]);
            while gallery.exhibit("mine").is_none_or(|exhibit| exhibit.edition != edition) {
                assert!(began.elapsed() < Duration::from_secs(60), "edition {edition} was not drawn");
                thread::sleep(Duration::from_millis(5));
            }
        }
        let files: Vec<_> = opened.lock().unwrap().iter().filter(|file| file.ends_with(".onnx")).cloned().collect();
        assert_eq!(files, ["/nowhere/a.onnx", "/nowhere/b.onnx"]);
        control.end();
    }
}
