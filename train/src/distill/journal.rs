//! What a run writes down: `losses.csv` and its plot.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::checkpoint::Sums;
use super::config::Config;
use super::step::Contest;

/// One line of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Steps taken.
    pub step: u64,
    /// Learning rate.
    pub rate: f64,
    /// Mean pixel loss since the last line, of 255: of augmented crops, small faces weighted, so not to be compared with
    /// `validation` but with itself.
    pub pixel: f64,
    /// Mean gradient loss of the same, of 255.
    pub gradient: f64,
    /// Mean feature distance, if features are compared.
    pub features: Option<f64>,
    /// How much more the picture changes than the photo between twins, where their scene stands, if there are twins.
    pub flicker: Option<f64>,
    /// Mean L1 of the person mask, 0..1, if it is learned.
    pub person_mask: Option<f64>,
    /// What came of the adversary, once it takes part.
    pub adversary: Option<Contest>,
    /// Mean loss of mixtures, of 255, if there are any.
    pub mixture: Option<f64>,
    /// L1 on the pairs for validation, of 255, averaged weights.
    pub validation: f64,
    /// Whether fake-quant was on.
    pub quantized: bool,
    /// Seconds spent since the start.
    pub seconds: f64,
    /// Crops per second over the steps since the last line that this process took, evaluations not counted.
    pub photos_per_second: Option<f64>,
    /// Share of those steps' time that was spent waiting for a batch.
    pub waiting_share: Option<f64>,
    /// Share of those steps' time that the GPU was computing, where there is one that tells.
    pub gpu_utilisation: Option<f64>,
}

impl fmt::Display for Entry {
    /// For a log: the losses and what the pictures for validation say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L1 {:.2}, gradient {:.2}", self.pixel, self.gradient)?;
        for (name, value) in [
            ("features", self.features),
            ("flicker", self.flicker),
            ("person mask", self.person_mask),
            ("mixtures", self.mixture),
        ] {
            if let Some(value) = value {
                write!(f, ", {name} {value:.3}")?;
            }
        }
        write!(f, ", validation L1 {:.3}{}", self.validation, if self.quantized { ", quantized" } else { "" })
    }
}

/// How long steps took, and how much of it they waited for their batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    steps: u32,
    waited: Duration,
    took: Duration,
    /// Share of that time that the GPU was computing, where it is known.
    pub gpu_utilisation: Option<f64>,
}

impl Pace {
    /// Adds a step.
    pub fn add(&mut self, waited: Duration, took: Duration) {
        self.steps += 1;
        self.waited += waited;
        self.took += took;
    }

    /// Crops per second for so many per step, if a step was taken.
    pub fn photos_per_second(&self, batch: usize) -> Option<f64> {
        (self.steps > 0).then(|| batch as f64 * f64::from(self.steps) / self.took.as_secs_f64())
    }

    /// Share of the time that was waited, if a step was taken.
    pub fn waiting_share(&self) -> Option<f64> {
        (self.steps > 0).then(|| self.waited.as_secs_f64() / self.took.as_secs_f64())
    }
}

impl Entry {
    /// After the step `last`, of the losses `sums` and the `pace` since the last line.
    pub fn of(config: &Config, sums: &Sums, pace: Pace, last: u64, validation: f64, seconds: f64) -> Self {
        let n = sums.steps as f64;
        let contests = sums.adversary.steps as f64;
        Self {
            step: last + 1,
            rate: config.rate_at(last),
            pixel: sums.pixel / n,
            gradient: sums.gradient / n,
            features: (sums.features_steps > 0).then(|| sums.features / sums.features_steps as f64),
            flicker: (config.twins > 0).then(|| sums.flicker / n),
            person_mask: config.person_mask.then(|| sums.person_mask / n),
            adversary: (contests > 0.0).then(|| Contest {
                adversarial: sums.adversary.adversarial / contests,
                discriminator: sums.adversary.discriminator / contests,
                accuracy_real: sums.adversary.accuracy_real / contests,
                accuracy_fake: sums.adversary.accuracy_fake / contests,
            }),
            mixture: (config.loss.mixture > 0.0).then(|| sums.mixture / n),
            validation,
            quantized: last >= config.quantize_step(),
            seconds,
            photos_per_second: pace.photos_per_second(config.batch),
            waiting_share: pace.waiting_share(),
            gpu_utilisation: pace.gpu_utilisation,
        }
    }
}

const HEADER: &str = "step,rate,weighted_l1,weighted_gradient,features,flicker,person_mask";
/// Columns of runs with an adversary.
const OF_ADVERSARY: &str = ",adversarial,discriminator,accuracy_real,accuracy_fake";
/// A column of runs with mixtures.
const OF_MIXTURES: &str = ",mixture";
const HEADER_END: &str = ",validation_l1,quantized,seconds,photos_per_second,waiting_share,gpu_utilisation";

/// Which columns there are beside those of every run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Columns {
    adversary: bool,
    mixtures: bool,
}

impl Columns {
    /// Those of a run of this configuration.
    pub fn of(config: &Config) -> Self {
        Self { adversary: config.is_adversarial(), mixtures: config.loss.mixture > 0.0 }
    }
}

/// The curve of a run: in memory and in a CSV file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    columns: Columns,
    /// All lines so far.
    pub entries: Vec<Entry>,
}

impl Journal {
    /// Opens the CSV of a run that has taken `step` steps, with these columns: later lines, which a killed run left, are cut off.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(path: PathBuf, step: u64, columns: Columns) -> Result<Self> {
        let parse = |line| parse(line, columns);
        let entries: Vec<Entry> = match fs::read_to_string(&path) {
            Ok(text) if step > 0 => text.lines().skip(1).filter_map(parse).filter(|e| e.step <= step).collect(),
            _ => Vec::new(),
        };
        let of_adversary = if columns.adversary { OF_ADVERSARY } else { "" };
        let of_mixtures = if columns.mixtures { OF_MIXTURES } else { "" };
        let mut text = format!("{HEADER}{of_adversary}{of_mixtures}{HEADER_END}\n");
        for entry in &entries {
            text.push_str(&format_line(entry, columns));
        }
        crate::data::write_whole(&path, text.as_bytes())?;
        Ok(Self { path, columns, entries })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push(&mut self, entry: Entry) -> Result<()> {
        let context = || format!("cannot write {}", self.path.display());
        let mut file: File = OpenOptions::new().append(true).open(&self.path).with_context(context)?;
        file.write_all(format_line(&entry, self.columns).as_bytes()).with_context(context)?;
        self.entries.push(entry);
        Ok(())
    }

    /// Draws the curve.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn plot(&self, path: &Path) -> Result<()> {
        let points = |value: fn(&Entry) -> f64| self.entries.iter().map(|e| (e.step as f64, value(e))).collect();
        let from = self.entries.iter().find(|e| e.quantized).map(|e| e.step as f64);
        crate::plots::curves(
            path,
            "L1 to the painted picture, of 255",
            &[
                ("training crops, augmented, faces weighted", points(|e| e.pixel)),
                ("pictures for validation", points(|e| e.validation)),
            ],
            from.map(|step| (step, "quantized")),
        )
    }
}

fn format_line(e: &Entry, columns: Columns) -> String {
    let cell = |value: Option<f64>| value.map(|v| format!("{v:.5}")).unwrap_or_default();
    let [features, flicker, person_mask] = [e.features, e.flicker, e.person_mask].map(cell);
    let [photos_per_second, waiting_share, gpu_utilisation] =
        [e.photos_per_second, e.waiting_share, e.gpu_utilisation].map(cell);
    let of_adversary = if columns.adversary {
        let of = |value: fn(Contest) -> f64| format!(",{}", cell(e.adversary.map(value)));
        [of(|c| c.adversarial), of(|c| c.discriminator), of(|c| c.accuracy_real), of(|c| c.accuracy_fake)].concat()
    } else {
        String::new()
    };
    let of_mixtures = if columns.mixtures { format!(",{}", cell(e.mixture)) } else { String::new() };
    format!(
        "{},{:.3e},{:.4},{:.4},{features},{flicker},{person_mask}{of_adversary}{of_mixtures},{:.4},{},{:.0},\
         {photos_per_second},{waiting_share},{gpu_utilisation}\n",
        e.step,
        e.rate,
        e.pixel,
        e.gradient,
        e.validation,
        u8::from(e.quantized),
        e.seconds
    )
}

fn parse(line: &str, columns: Columns) -> Option<Entry> {
    let mut cells = line.split(',');
    let mut next = || cells.next();
    Some(Entry {
        step: next()?.parse().ok()?,
        rate: next()?.parse().ok()?,
        pixel: next()?.parse().ok()?,
        gradient: next()?.parse().ok()?,
        features: next()?.parse().ok(),
        flicker: next()?.parse().ok(),
        person_mask: next()?.parse().ok(),
        adversary: if columns.adversary {
            let [adversarial, discriminator, accuracy_real, accuracy_fake] = [next()?, next()?, next()?, next()?];
            let contest = || {
                Some(Contest {
                    adversarial: adversarial.parse().ok()?,
                    discriminator: discriminator.parse().ok()?,
                    accuracy_real: accuracy_real.parse().ok()?,
                    accuracy_fake: accuracy_fake.parse().ok()?,
                })
            };
            contest()
        } else {
            None
        },
        mixture: if columns.mixtures { next()?.parse().ok() } else { None },
        validation: next()?.parse().ok()?,
        quantized: next()? == "1",
        seconds: next()?.parse().ok()?,
        // Journals of earlier versions end here, or before the last.
        photos_per_second: next().and_then(|cell| cell.parse().ok()),
        waiting_share: next().and_then(|cell| cell.parse().ok()),
        gpu_utilisation: next().and_then(|cell| cell.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn entry(step: u64) -> Entry {
        Entry {
            step,
            rate: 1e-3,
            pixel: 5.25,
            gradient: 2.5,
            features: (step == 20).then_some(0.5),
            flicker: Some(1.25),
            person_mask: None,
            adversary: None,
            mixture: None,
            validation: 6.125,
            quantized: step > 10,
            seconds: 7.0,
            photos_per_second: (step < 30).then_some(20.5),
            waiting_share: (step < 30).then_some(0.125),
            gpu_utilisation: (step == 20).then_some(0.875),
        }
    }

    #[test]
    fn a_line_of_the_log_names_only_what_is_measured() {
        assert_eq!(entry(10).to_string(), "L1 5.25, gradient 2.50, flicker 1.250, validation L1 6.125");
        assert_eq!(
            entry(20).to_string(),
            "L1 5.25, gradient 2.50, features 0.500, flicker 1.250, validation L1 6.125, quantized"
        );
    }

    #[test]
    fn a_resumed_journal_keeps_what_was_and_drops_what_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("losses.csv");
        let mut journal = Journal::open(path.clone(), 0, Columns::default()).unwrap();
        for step in [10, 20, 30] {
            journal.push(entry(step)).unwrap();
        }
        let resumed = Journal::open(path.clone(), 20, Columns::default()).unwrap();
        assert_eq!(resumed.entries, [entry(10), entry(20)]);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert_eq!(
            text.lines().next(),
            Some(
                "step,rate,weighted_l1,weighted_gradient,features,flicker,person_mask,validation_l1,quantized,seconds,\
                 photos_per_second,waiting_share,gpu_utilisation"
            )
        );
        assert_eq!(Journal::open(path, 0, Columns::default()).unwrap().entries, []);
    }

    #[test]
    fn an_adversary_and_mixtures_have_columns_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("losses.csv");
        let contest = Contest { adversarial: 0.75, discriminator: 0.5, accuracy_real: 1.0, accuracy_fake: 0.25 };
        let entries = [entry(10), Entry { adversary: Some(contest), mixture: Some(3.5), ..entry(20) }];
        let columns = Columns { adversary: true, mixtures: true };
        let mut journal = Journal::open(path.clone(), 0, columns).unwrap();
        for entry in entries {
            journal.push(entry).unwrap();
        }
        assert_eq!(Journal::open(path.clone(), 20, columns).unwrap().entries, entries);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        let cells = |name: &str| {
            let at = lines[0].iter().position(|cell| *cell == name).unwrap();
            [lines[1][at], lines[2][at]]
        };
        assert_eq!(cells("discriminator"), ["", "0.50000"], "empty before it begins");
        assert_eq!(cells("mixture"), ["", "3.50000"]);
        assert!(lines.iter().all(|cells| cells.len() == lines[0].len()));
    }
}
