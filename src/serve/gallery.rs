//! What each style looks like: an example drawn by the program itself, aside from the run.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use axum::body::Bytes;

use super::{Opener, jpeg};
use crate::error::{Error, Result};
use crate::frame::Size;
use crate::live::{Control, Shelf};
use crate::picture::{self, Picture};
use crate::pixels::resize::{Filter, Scaler};
use crate::style::{Found, Registry, Stylizer};

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
    /// The example in this style, as JPEG.
    pub thumbnail: Option<Bytes>,
    /// Why the style cannot be used.
    pub fault: Option<String>,
}

type Wall = Arc<Mutex<HashMap<String, Exhibit>>>;

/// The styles that were looked at.
pub struct Gallery {
    wall: Wall,
    orders: Sender<Found>,
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
        thread::Builder::new()
            .name("thumbnails".into())
            .spawn(move || draw_all(&control, &opener, &ordered, &wall))
            .map_err(|e| {
                Error::Tool(format!("the system gives no thread for 'thumbnails' ({e}); close other programs"))
            })?;
        Ok(gallery)
    }

    /// Has those drawn that were not asked for before.
    pub fn want(&self, styles: Vec<Found>) {
        for style in styles {
            let mut wall = lock(&self.wall);
            if !wall.contains_key(&style.name) {
                wall.insert(style.name.clone(), Exhibit::default());
                // The thread ends with the run; nobody needs thumbnails then.
                let _ = self.orders.send(style);
            }
        }
    }

    /// What is known of a style.
    pub fn exhibit(&self, style: &str) -> Option<Exhibit> {
        lock(&self.wall).get(style).cloned()
    }
}

fn lock(wall: &Wall) -> MutexGuard<'_, HashMap<String, Exhibit>> {
    wall.lock().unwrap_or_else(PoisonError::into_inner)
}

fn draw_all(control: &Control, opener: &Opener, ordered: &Receiver<Found>, wall: &Wall) {
    while control.newest().is_none() && !control.has_ended() {
        control.newer_than(0, Duration::from_secs(1));
    }
    let example = match picture::decode(EXAMPLE, u64::MAX) {
        Ok(example) => example,
        Err(why) => return tracing::warn!("no thumbnails: the example {why}"),
    };
    let plain = draw(&example, &mut Stylizer::off()).ok().map(Bytes::from);
    lock(wall).insert(OFF.into(), Exhibit { thumbnail: plain, ..Exhibit::default() });
    for style in ordered {
        if control.has_ended() {
            return;
        }
        let exhibit = catch_unwind(AssertUnwindSafe(|| exhibit(&style, opener, &example)))
            .unwrap_or_else(|_| Err(Error::Style(format!("the style {} breaks", style.name))))
            .unwrap_or_else(|error| Exhibit { fault: Some(error.to_string()), ..Exhibit::default() });
        lock(wall).insert(style.name, exhibit);
    }
}

fn exhibit(style: &Found, opener: &Opener, example: &Picture) -> Result<Exhibit> {
    let description = Registry::card(style)?.description;
    let mut stylizer = opener(&style.name)?;
    stylizer.set_strength(1.0);
    let thumbnail = draw(example, &mut stylizer)?;
    Ok(Exhibit { description, thumbnail: Some(thumbnail.into()), fault: None })
}

fn draw(example: &Picture, stylizer: &mut Stylizer) -> Result<Vec<u8>> {
    let mut drawn = vec![0; example.rgb.len()];
    stylizer.run(&example.rgb, example.size, &mut drawn)?;
    let mut rgb = vec![0; THUMBNAIL.rgb_len()];
    Scaler::new(Filter::Lanczos).scale(&drawn, example.size, &mut rgb, THUMBNAIL)?;
    jpeg::picture(Picture { size: THUMBNAIL, rgb, alpha: None, profile: None })
}
