//! What was last done, for those who watch.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a message is shown.
const SHOWN: Duration = Duration::from_secs(4);

/// The newest message; clones share it. Each is logged as well.
#[derive(Debug, Clone, Default)]
pub struct Messages(Arc<Mutex<Option<(String, Instant)>>>);

impl Messages {
    /// Tells something that went well.
    pub fn say(&self, text: String) {
        tracing::info!("{text}");
        self.put(text);
    }

    /// Tells something that did not.
    pub fn complain(&self, text: String) {
        tracing::warn!("{text}");
        self.put(text);
    }

    fn put(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((text, Instant::now()));
    }

    /// Puts the message into `text`, which is emptied where there is none that is still of interest.
    pub fn read(&self, text: &mut String) {
        text.clear();
        let newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((message, _)) = newest.as_ref().filter(|(_, since)| since.elapsed() < SHOWN) {
            text.push_str(message);
        }
    }
}
