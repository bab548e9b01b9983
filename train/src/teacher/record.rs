//! What a run tells on the card of a style that is distilled from its teacher.

use std::path::Path;

use anyhow::{Context, Result};
use nijigen::style;

use super::journal::{Journal, METRICS};
use super::model::About;
use super::task::TEACHER;
use crate::data::{read_file, sha256};

/// What the run in a folder tells: how far it is, the last accuracy of its discriminators, and which teacher it left.
///
/// # Errors
/// When its files cannot be read or nothing was trained yet.
pub fn record(run: &Path) -> Result<style::Teacher> {
    let context = || format!("{} holds no finished run of `nijigen-train teacher`", run.display());
    let teacher = read_file(&run.join(TEACHER)).with_context(context)?;
    let About { step, against_adversaries, .. } = About::read(&teacher).with_context(context)?;
    let journal = Journal::read(&run.join(METRICS))?;
    let last = journal.last().with_context(context)?;
    Ok(style::Teacher {
        sha256: Some(sha256(&teacher)),
        steps: Some(step),
        warm_steps: against_adversaries.map(|contested| step - contested.min(step)),
        minutes: last.value("seconds").map(|seconds| (seconds / 6.0).round() / 10.0),
        accuracy_real: last.value("accuracy_real"),
        accuracy_fake: last.value("accuracy_fake"),
        curves: None,
        sheet: None,
        metrics: [].into(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_folder_without_a_run_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = format!("{:#}", record(folder.path()).unwrap_err());
        assert!(error.contains(&folder.path().display().to_string()) && error.contains("no finished run"), "{error}");
    }
}
