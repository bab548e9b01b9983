//! Calling third-party code so that its panics become errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, which calls into tract. Its errors and panics come back as one line of text; a panic prints nothing.
///
/// What `f` changes must not be used after a panic.
pub(super) fn guarded<T>(f: impl FnOnce() -> tract_onnx::prelude::TractResult<T>) -> Result<T, String> {
    install_hook();
    let before = QUIET.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(f));
    QUIET.set(before);
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(one_line(&format!("{error:#}"))),
        Err(payload) => Err(one_line(&message(payload.as_ref()))),
    }
}

/// Makes panics on the calling thread silent for good: for worker threads that run nothing but guarded code, where a
/// panic travels to the thread that waits for them.
pub(super) fn silence_this_thread() {
    install_hook();
    QUIET.set(true);
}

/// The hook is the process's; ours passes on what happens on threads that are not being guarded.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
}

fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it failed without saying why".into())
}

/// The first line, of at most 200 characters.
fn one_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it failed without saying why");
    match line.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn errors_and_panics_become_text() {
        assert_eq!(guarded(|| Ok(3)).unwrap(), 3);
        let error = guarded::<()>(|| Err(tract_onnx::prelude::TractError::msg("first\nsecond"))).unwrap_err();
        assert_eq!(error, "first");
        let error = guarded::<()>(|| panic!("index {} out of range", 7)).unwrap_err();
        assert_eq!(error, "index 7 out of range");
    }
}
