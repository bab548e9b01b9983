//! Threads that live beside the engine's, and what becomes of a panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

use crate::error::{Error, Result};

/// Has `work` done on a thread of its own, called `name`.
///
/// # Errors
/// [`Error::Tool`] where the system gives none.
pub(crate) fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    let spawned = Builder::new().name(name.into()).spawn(work);
    spawned.map_err(|e| Error::Tool(format!("the system gives no thread for '{name}' ({e}); close other programs")))
}

/// Runs `work` of the part `name`; a panic in it becomes an [`Error::Tool`].
pub(crate) fn guarded<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(Error::Tool(format!("the part '{name}' broke ({}); please report this as a bug", message(&*panic))))
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given")
}
