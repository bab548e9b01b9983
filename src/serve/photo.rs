//! A photo in, its picture out.
//!
//! A photo is received before its turn comes, so that a slow connection holds nobody up; how many photos lie in memory is
//! bounded all the same.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::reply::{self, Refusal};
use super::{Opener, jpeg};
use crate::config::DEFAULT_DETAIL;
use crate::engine::region::Region;
use crate::error::{Error, Result};
use crate::live::Look;
use crate::picture;
use crate::style::Stylizer;

/// The largest photo in bytes: what a phone's camera gives.
pub const MAX_BYTES: usize = 24 << 20;
/// The largest photo in pixels of 8-bit RGB.
const MAX_PIXELS: u64 = 25_000_000;
/// Photos that lie in memory as they were sent: one that is received while another waits to be drawn.
const MAX_PHOTOS: usize = 2;
/// Until a photo is there: over a phone's connection.
const RECEPTION: Duration = Duration::from_secs(60);
/// How long one waits until a photo of one's own may be sent.
const ADMISSION: Duration = Duration::from_secs(20);
/// How long a photo that is there waits for the one before it.
const TURN: Duration = Duration::from_secs(60);

/// Draws photos, one at a time, with a style of its own: the run's is busy.
pub struct Studio {
    /// Places for photos in memory.
    places: Arc<Semaphore>,
    turn: Arc<Semaphore>,
    easel: Arc<Mutex<Easel>>,
}

struct Easel {
    opener: Opener,
    /// Kept, since most photos are drawn in the same style.
    stylizer: Option<Opened>,
}

struct Opened {
    look: Look,
    edition: u64,
    stylizer: Stylizer,
}

/// A photo that was received. Dropping it makes room for another.
#[derive(Debug)]
pub struct Photo {
    bytes: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

/// How a photo is drawn.
#[derive(Debug)]
pub struct Wish {
    /// By what the style is opened, and whether the photo is restored first.
    pub look: Look,
    /// The style's edition: another one is opened anew.
    pub edition: u64,
    /// 0 is the photo, 1 the style alone.
    pub strength: f32,
    /// Which part of the photo is drawn.
    pub region: Region,
}

impl Studio {
    /// One whose styles `opener` opens.
    pub fn new(opener: Opener) -> Self {
        let easel = Easel { opener, stylizer: None };
        let places = Arc::new(Semaphore::new(MAX_PHOTOS));
        Self { places, turn: Arc::new(Semaphore::new(1)), easel: Arc::new(Mutex::new(easel)) }
    }

    /// How many photos may still be sent.
    #[cfg(test)]
    pub fn places(&self) -> usize {
        self.places.available_permits()
    }

    /// Receives a photo, once there is room for it.
    ///
    /// # Errors
    /// A refusal where that takes too long, or the photo is too large or none at all.
    pub async fn receive(&self, headers: &HeaderMap, body: Body) -> std::result::Result<Photo, Refusal> {
        reply::check_length(headers, MAX_BYTES)?;
        let place = wait(&self.places, ADMISSION).await?;
        let bytes = reply::body(headers, body, MAX_BYTES, RECEPTION).await?;
        if bytes.is_empty() {
            return Err(Refusal::bad("there is no photo in the request; send a JPEG, PNG or WebP file as its body"));
        }
        Ok(Photo { bytes, _place: place })
    }

    /// The picture of a photo (JPEG, PNG or WebP), as JPEG, when those before it are drawn.
    ///
    /// # Errors
    /// A refusal that says what is wrong with the photo, or that others take too long.
    pub async fn draw(&self, photo: Photo, wish: Wish) -> std::result::Result<Vec<u8>, Refusal> {
        let turn = wait(&self.turn, TURN).await?;
        let easel = Arc::clone(&self.easel);
        let work = move || {
            // Held until it is done, though whoever asked may have gone.
            let _turn = turn;
            easel.lock().unwrap_or_else(PoisonError::into_inner).draw(photo, &wish)
        };
        let broke =
            |_| Refusal::new(hyper::StatusCode::INTERNAL_SERVER_ERROR, "drawing this photo broke; report a bug");
        match tokio::task::spawn_blocking(work).await.map_err(broke)? {
            Ok(picture) => Ok(picture),
            Err(Error::Input(why)) => Err(Refusal::new(hyper::StatusCode::UNPROCESSABLE_ENTITY, why)),
            Err(error) => Err(Refusal::new(hyper::StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        }
    }
}

/// A place, once there is one.
async fn wait(places: &Arc<Semaphore>, patience: Duration) -> std::result::Result<OwnedSemaphorePermit, Refusal> {
    match timeout(patience, Arc::clone(places).acquire_owned()).await {
        Ok(Ok(place)) => Ok(place),
        _ => Err(Refusal::busy("other photos are being drawn; try again in a moment")),
    }
}

impl Easel {
    fn draw(&mut self, photo: Photo, wish: &Wish) -> Result<Vec<u8>> {
        let decoded = picture::decode(&photo.bytes, MAX_PIXELS);
        drop(photo);
        let mut picture = decoded.map_err(|why| Error::Input(format!("the photo {why}")))?;
        // Taken out, so that one that breaks is not used again.
        let kept = self.stylizer.take().filter(|kept| kept.look == wish.look && kept.edition == wish.edition);
        let mut opened = match kept {
            Some(opened) => opened,
            None => {
                let stylizer = (self.opener)(&wish.look)?.with_detail(DEFAULT_DETAIL);
                Opened { look: wish.look.clone(), edition: wish.edition, stylizer }
            }
        };
        opened.stylizer.set_strength(wish.strength);
        opened.stylizer.set_region(wish.region);
        opened.stylizer.run_in_place(&mut picture.rgb, picture.size, &mut |_| Ok(()))?;
        self.stylizer = Some(opened);
        jpeg::picture(picture)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn who_waited_long_enough_is_told() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let places = Arc::new(Semaphore::new(1));
        runtime.block_on(async {
            let place = wait(&places, Duration::ZERO).await.unwrap();
            assert_eq!(wait(&places, Duration::ZERO).await.unwrap_err().status().as_u16(), 503);
            drop(place);
            assert!(wait(&places, Duration::ZERO).await.is_ok());
        });
    }
}
