//! Loads styles aside from the live path.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{self, Sender};

use crate::error::{Error, Result};
use crate::style::Stylizer;
use crate::threads::{self, guarded};

/// What is worn: the part of the settings that has to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// A style's name, or the path of its file.
    pub style: String,
    /// Whether photos are restored before they are drawn.
    pub enhance: bool,
}

/// Opens a look.
pub type Opener = Box<dyn FnMut(&Look) -> Result<Stylizer> + Send>;

type Done = Box<dyn FnOnce(Option<Result<Stylizer>>) + Send>;

/// A look that somebody wants.
struct Order {
    look: Look,
    /// Whether it is still wanted when its turn comes.
    still: Box<dyn FnOnce() -> bool + Send>,
    done: Done,
}

/// A thread that opens styles, one after the other, in the order asked. It ends with its last order when this is dropped.
pub struct StyleLoader {
    orders: Mutex<Sender<Order>>,
}

impl fmt::Debug for StyleLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StyleLoader")
    }
}

impl StyleLoader {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`Error::Tool`] where the system gives none.
    pub fn start(mut opener: Opener) -> Result<Self> {
        let (orders, ordered) = mpsc::channel::<Order>();
        let work = move || {
            for Order { look, still, done } in ordered {
                // A file that breaks the thread would break every later choice with it.
                done(still().then(|| guarded("styles", || opener(&look))));
            }
        };
        threads::spawn("styles", work)?;
        Ok(Self { orders: Mutex::new(orders) })
    }

    /// Opens `look` when those before it are open, where it is `still` wanted then, and calls `done` on the loader's
    /// thread: with `None` where it was not.
    ///
    /// # Errors
    /// [`Error::Tool`] where the thread has ended, which it does not unless `done` broke it.
    pub fn load(
        &self,
        look: Look,
        still: impl FnOnce() -> bool + Send + 'static,
        done: impl FnOnce(Option<Result<Stylizer>>) + Send + 'static,
    ) -> Result<()> {
        let order = Order { look, still: Box::new(still), done: Box::new(done) };
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.send(order).map_err(|_| Error::Tool("styles can no longer be loaded; start nijigen again".into()))
    }
}
