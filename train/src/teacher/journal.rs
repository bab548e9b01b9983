//! What a run writes down: `metrics.csv` and its plot.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::data::read_text;
use crate::plots::{Curve, Panel, panels};

/// The figures in a run's folder.
pub const METRICS: &str = "metrics.csv";
/// Their curves.
pub const CURVES: &str = "metrics.png";

/// What stands in a line behind the step.
const COLUMNS: [&str; 32] = [
    "generator_rate",
    "discriminator_rate",
    "generator",
    "discriminator",
    "accuracy_real",
    "accuracy_fake",
    "mse",
    "psnr",
    "ssim",
    "vgg",
    "diversity",
    "diversity_photos",
    "validation",
    "generator_gradient",
    "discriminator_gradient",
    "warm_l1",
    "warm_features",
    "adversarial",
    "texture",
    "surface",
    "content",
    "structure",
    "painted",
    "colour",
    "gram",
    "statistics",
    "total_variation",
    "rollbacks",
    "photos_per_second",
    "waiting_share",
    "seconds",
    "gpu_utilisation",
];

/// How many of them earlier versions wrote.
const OF_EARLIER_VERSIONS: usize = 31;

/// One line: figures by the names of [`COLUMNS`], where the step had them.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Steps taken.
    pub step: u64,
    /// In the order of [`COLUMNS`].
    cells: [Option<f64>; COLUMNS.len()],
}

impl Entry {
    /// A line whose figures `value` knows by their names.
    pub fn new(step: u64, value: impl Fn(&str) -> Option<f64>) -> Self {
        Self { step, cells: COLUMNS.map(value) }
    }

    /// A figure by its name.
    pub fn value(&self, name: &str) -> Option<f64> {
        COLUMNS.iter().position(|column| *column == name).and_then(|at| self.cells[at])
    }

    fn line(&self) -> String {
        // Rates are small, and half of them smaller.
        let text = |value: f64| {
            if value != 0.0 && value.abs() < 1e-3 { format!("{value:.5e}") } else { format!("{value:.6}") }
        };
        let cells = self.cells.iter().map(|cell| cell.map(text).unwrap_or_default());
        format!("{},{}\n", self.step, cells.collect::<Vec<_>>().join(","))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut cells = line.split(',');
        let step = cells.next()?.parse().ok()?;
        let mut cells: Vec<Option<f64>> = cells.map(|cell| cell.parse().ok()).collect();
        if cells.len() == OF_EARLIER_VERSIONS {
            cells.resize(COLUMNS.len(), None);
        }
        Some(Self { step, cells: cells.try_into().ok()? })
    }
}

/// The figures of a run: in memory and in a CSV file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    entries: Vec<Entry>,
}

impl Journal {
    /// Opens the CSV of a run that has taken `step` steps: later lines, of a killed run or of what collapsed, are cut
    /// off.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(path: PathBuf, step: u64) -> Result<Self> {
        let entries: Vec<Entry> = match fs::read_to_string(&path) {
            Ok(text) if step > 0 => text.lines().skip(1).filter_map(Entry::parse).filter(|e| e.step <= step).collect(),
            _ => Vec::new(),
        };
        let mut text = format!("step,{}\n", COLUMNS.join(","));
        text.extend(entries.iter().map(Entry::line));
        crate::data::write_whole(&path, text.as_bytes())?;
        Ok(Self { path, entries })
    }

    /// The CSV of a run, to be looked at.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let entries = read_text(path)?.lines().skip(1).filter_map(Entry::parse).collect();
        Ok(Self { path: path.to_path_buf(), entries })
    }

    /// The last line.
    pub fn last(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push(&mut self, entry: Entry) -> Result<()> {
        let context = || format!("cannot write {}", self.path.display());
        let mut file = OpenOptions::new().append(true).open(&self.path).with_context(context)?;
        file.write_all(entry.line().as_bytes()).with_context(context)?;
        self.entries.push(entry);
        Ok(())
    }

    /// Draws the curves; `warm` is the step at which the warm start ends.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn plot(&self, path: &Path, warm: u64) -> Result<()> {
        let curve = |name: &'static str, label: &'static str| -> Curve<'static> {
            let point = |e: &Entry| e.value(name).map(|value| (e.step as f64, value));
            (label, self.entries.iter().filter_map(point).collect())
        };
        let panel = |title: &'static str, curves: Vec<Curve<'static>>| Panel { title, curves };
        let all = [
            panel(
                "weighted loss",
                vec![
                    curve("generator", "generator"),
                    curve("discriminator", "discriminator"),
                    curve("validation", "validation"),
                ],
            ),
            panel(
                "discriminator's accuracy",
                vec![curve("accuracy_real", "on real"), curve("accuracy_fake", "on fake")],
            ),
            panel(
                "norm of the gradient",
                vec![curve("generator_gradient", "generator"), curve("discriminator_gradient", "discriminator")],
            ),
            panel("PSNR to the target, dB (-10 lg MSE)", vec![curve("psnr", "validation pictures")]),
            panel("likeness to the target", vec![curve("ssim", "SSIM"), curve("vgg", "distance in VGG features")]),
            panel("diversity, of 255", vec![curve("diversity", "outputs"), curve("diversity_photos", "photos")]),
        ];
        let begun = self.entries.last().is_some_and(|e| e.step > warm) && warm > 0;
        panels(path, &all, begun.then_some((warm as f64, "adversary")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn entry(step: u64) -> Entry {
        Entry::new(step, |name| match name {
            "psnr" => Some(17.5),
            "accuracy_real" if step > 10 => Some(0.75),
            "seconds" => Some(step as f64),
            _ => None,
        })
    }

    #[test]
    fn a_resumed_journal_keeps_what_was_and_drops_what_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let mut journal = Journal::open(path.clone(), 0).unwrap();
        for step in [10, 20, 30] {
            journal.push(entry(step)).unwrap();
        }
        let resumed = Journal::open(path.clone(), 20).unwrap();
        assert_eq!(resumed.entries, [entry(10), entry(20)]);
        assert_eq!(resumed.entries[1].value("accuracy_real"), Some(0.75));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
        assert_eq!(Journal::read(&path).unwrap().last(), Some(&entry(20)));
        resumed.plot(&folder.path().join("metrics.png"), 10).unwrap();
        assert_eq!(Journal::open(path, 0).unwrap().entries, []);
    }

    #[test]
    fn lines_of_earlier_versions_are_read() {
        let line = entry(20).line();
        assert_eq!(Entry::parse(line.trim_end().strip_suffix(',').unwrap()), Some(entry(20)));
    }
}
