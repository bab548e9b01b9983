//! Whether a source is to rest: a camera that nobody needs is closed, so that others can have it and it keeps cool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A wish that all clones share.
#[derive(Debug, Clone, Default)]
pub struct Rest(Arc<AtomicBool>);

impl Rest {
    /// Has the source rest.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Has the source go on; whether it was to rest.
    pub fn end(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }

    /// Whether the source is to rest.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
