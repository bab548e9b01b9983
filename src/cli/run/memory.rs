//! What is kept of a run for the next one: settings that were changed while it went on.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use toml::{Table, Value};

use crate::config;
use crate::error::{Error, Result};
use crate::folders;
use crate::live::{Control, Settings};
use crate::output::Output;

/// Settings are written once they have been left alone for so long: a slider passes through many.
const SETTLED: Duration = Duration::from_secs(1);

/// Writes changed settings to the file that `--remember` reads.
#[derive(Debug)]
pub struct Memory {
    path: PathBuf,
    control: Control,
    /// Whether the style is remembered as well.
    of_style: bool,
    /// What the file, or else the beginning of the run, says.
    kept: Settings,
    generation: u64,
    changed: Option<Instant>,
}

impl Memory {
    /// For the run of `control`; whether its style is remembered as well.
    ///
    /// # Errors
    /// [`Error::Usage`] where this system has no folder for it.
    pub fn new(control: Control, of_style: bool) -> Result<Self> {
        let path = config::remembered_path().ok_or_else(|| {
            Error::Usage("--remember has no place to write to: there is no home folder; set HOME".into())
        })?;
        let (kept, generation) = (control.settings(), control.generation());
        Ok(Self { path, control, of_style, kept, generation, changed: None })
    }

    /// Writes what was changed, once that has settled; to be called now and then.
    pub fn tick(&mut self, now: Instant) {
        let generation = self.control.generation();
        if generation != self.generation {
            self.generation = generation;
            self.changed = Some(now);
        }
        if self.changed.is_some_and(|changed| now.saturating_duration_since(changed) >= SETTLED) {
            self.changed = None;
            self.keep();
        }
    }

    /// Writes what was changed and not written yet: the run ends.
    pub fn finish(mut self) {
        if self.changed.is_some() || self.control.generation() != self.generation {
            self.keep();
        }
    }

    /// A run is worth more than what it would have kept: a failure is told, and the run goes on.
    fn keep(&mut self) {
        let mut settings = self.control.settings();
        if !self.of_style {
            settings.style.clone_from(&self.kept.style);
        }
        match self.write(&settings) {
            Ok(()) => self.kept = settings,
            // With the next change it is tried again.
            Err(error) => tracing::warn!("what was changed is not remembered: {error}"),
        }
    }

    fn write(&self, settings: &Settings) -> Result<()> {
        let changes = changes(&self.kept, settings);
        if changes.is_empty() {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            folders::make(folder)?;
        }
        // A file that was damaged is begun anew.
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let mut table: Table = text.parse().unwrap_or_default();
        table.extend(changes);
        let mut output = Output::create(&self.path)?;
        let written = output.file().write_all(table.to_string().as_bytes());
        written.map_err(|error| Error::io("write", &self.path, error))?;
        output.commit()
    }
}

/// The settings of `after` that differ, as a configuration file has them.
fn changes(before: &Settings, after: &Settings) -> Table {
    let Settings { on: _, style, enhance, strength, region, stability, split: _, mirror } = after;
    let mut table = Table::new();
    let mut add = |name: &str, changed: bool, value: Value| {
        if changed {
            table.insert(name.into(), value);
        }
    };
    add("style", *style != before.style, style.as_str().into());
    // By its shortest digits: 0.7 and not 0.699999988.
    let digits = |value: f32| value.to_string().parse::<f64>().unwrap_or(1.0);
    add("enhance", *enhance != before.enhance, (*enhance).into());
    add("strength", *strength != before.strength, digits(*strength).into());
    add("region", *region != before.region, region.name().into());
    add("stability", *stability != before.stability, digits(*stability).into());
    add("mirror", *mirror != before.mirror, (*mirror).into());
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::live::Patch;
    use crate::style::Stylizer;

    #[test]
    fn only_what_was_changed_is_kept() {
        let before = Settings::of_style("anime");
        assert!(changes(&before, &Settings { on: false, split: Some(0.5), ..before.clone() }).is_empty());
        let after = Settings { strength: 0.7, style: "a \"b\"".into(), ..before.clone() };
        assert_eq!(changes(&before, &after).to_string(), "strength = 0.7\nstyle = 'a \"b\"'\n");
        assert_eq!(changes(&after, &Settings { mirror: true, ..after.clone() }).to_string(), "mirror = true\n");
    }

    #[test]
    fn styles_that_take_turns_are_not_remembered_and_a_failure_is_made_up_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/remembered.toml");
        let settings = Settings::of_style("a");
        let control = Control::new(settings.clone(), Some(Box::new(|_| Ok(Stylizer::off())))).unwrap();
        let mut memory = Memory {
            path: path.clone(),
            control: control.clone(),
            of_style: false,
            kept: settings,
            generation: control.generation(),
            changed: None,
        };
        let change = |patch: &Patch| {
            let (told, tells) = std::sync::mpsc::channel();
            control.patch(patch, move |result| told.send(result.unwrap()).unwrap()).unwrap();
            tells.recv().unwrap()
        };
        change(&Patch { style: Some("b".into()), strength: Some(0.5), ..Patch::default() });
        // No folder can be made where a file lies.
        fs::write(folder.path().join("state"), "").unwrap();
        memory.keep();
        fs::remove_file(folder.path().join("state")).unwrap();
        memory.keep();
        assert_eq!(fs::read_to_string(&path).unwrap(), "strength = 0.5\n");
    }
}
