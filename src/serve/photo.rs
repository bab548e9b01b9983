//! A photo in, its picture out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::reply::Refusal;
use super::{Opener, jpeg};
use crate::config::DEFAULT_DETAIL;
use crate::error::{Error, Result};
use crate::picture;
use crate::style::Stylizer;

/// The largest photo in bytes: what a phone's camera gives.
pub const MAX_BYTES: usize = 24 << 20;
/// The largest photo in pixels.
const MAX_PIXELS: u64 = 50_000_000;
/// How long one waits for those before it.
const TURN: Duration = Duration::from_secs(20);

/// Draws photos, one at a time, with a style of its own: the run's is busy.
pub struct Studio {
    turn: Arc<Semaphore>,
    easel: Arc<Mutex<Easel>>,
}

struct Easel {
    opener: Opener,
    /// Kept, since most photos are drawn in the same style.
    stylizer: Option<Opened>,
}

struct Opened {
    style: String,
    stylizer: Stylizer,
}

/// How a photo is drawn.
#[derive(Debug)]
pub struct Wish {
    /// The style's name.
    pub style: String,
    /// 0 is the photo, 1 the style alone.
    pub strength: f32,
}

impl Studio {
    /// One whose styles `opener` opens.
    pub fn new(opener: Opener) -> Self {
        let easel = Easel { opener, stylizer: None };
        Self { turn: Arc::new(Semaphore::new(1)), easel: Arc::new(Mutex::new(easel)) }
    }

    /// Waits until nobody else's photo is drawn. Only then is the photo received, so that one at a time is in memory.
    ///
    /// # Errors
    /// A refusal where it takes too long.
    pub async fn turn(&self) -> std::result::Result<OwnedSemaphorePermit, Refusal> {
        let busy = || Refusal::busy("other photos are being drawn; try again in a moment");
        let turn = timeout(TURN, Arc::clone(&self.turn).acquire_owned()).await.map_err(|_| busy())?;
        turn.map_err(|_| busy())
    }

    /// The picture of a photo (JPEG, PNG or WebP), as JPEG.
    ///
    /// # Errors
    /// A refusal that says what is wrong with the photo.
    pub async fn draw(
        &self,
        turn: OwnedSemaphorePermit,
        photo: Vec<u8>,
        wish: Wish,
    ) -> std::result::Result<Vec<u8>, Refusal> {
        let easel = Arc::clone(&self.easel);
        let work = move || {
            // Held until it is done, though whoever asked may have gone.
            let _turn = turn;
            easel.lock().unwrap_or_else(PoisonError::into_inner).draw(&photo, &wish)
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

impl Easel {
    fn draw(&mut self, photo: &[u8], wish: &Wish) -> Result<Vec<u8>> {
        let mut picture = picture::decode(photo, MAX_PIXELS).map_err(|why| Error::Input(format!("the photo {why}")))?;
        // Taken out, so that one that breaks is not used again.
        let kept = self.stylizer.take().filter(|kept| kept.style == wish.style);
        let mut opened = match kept {
            Some(opened) => opened,
            None => {
                let stylizer = (self.opener)(&wish.style)?.with_detail(DEFAULT_DETAIL);
                Opened { style: wish.style.clone(), stylizer }
            }
        };
        opened.stylizer.set_strength(wish.strength);
        opened.stylizer.run_in_place(&mut picture.rgb, picture.size, &mut |_| Ok(()))?;
        self.stylizer = Some(opened);
        jpeg::picture(picture)
    }
}
