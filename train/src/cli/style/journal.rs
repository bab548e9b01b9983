//! What is done of a run: `steps.toml`, each finished step with the checksums of what it left.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::data::pairs::{INDEX, read_index};
use crate::data::{parse_toml, read_file, read_text, sha256, write_whole};

const FILE: &str = "steps.toml";
const HEADER: &str =
    "# The finished steps of this run, and SHA-256 of what each left. Written by `nijigen-train style`.\n\n";

/// A step on the way to a style.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Photos, art and clips are checked and packed.
    Prepare,
    /// Photos and frames of clips are painted.
    Paint,
    /// The teacher is trained.
    Teacher,
    /// The teacher paints the targets anew.
    Repaint,
    /// The student is trained.
    Distill,
    /// The style's files are written, after the runtimes have agreed on it.
    Export,
    /// The style is measured.
    Eval,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "prepare",
            Self::Paint => "paint",
            Self::Teacher => "teacher",
            Self::Repaint => "repaint",
            Self::Distill => "distill",
            Self::Export => "export",
            Self::Eval => "eval",
        })
    }
}

/// What a step leaves.
#[derive(Debug, Default)]
pub struct Left {
    /// Files, and folders of pairs, relative to the run's folder.
    pub paths: Vec<String>,
    /// Seconds of training, those before interruptions counted in.
    pub seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    name: Step,
    #[serde(default)]
    seconds: f64,
    left: BTreeMap<String, String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Records {
    #[serde(default)]
    step: Vec<Record>,
}

/// The finished steps of a run.
#[derive(Debug)]
pub struct Journal {
    run: PathBuf,
    records: Records,
}

impl Journal {
    /// Reads what is done in the folder `run`.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn open(run: &Path) -> Result<Self> {
        let path = run.join(FILE);
        let records = if path.exists() {
            let damaged = || {
                let path = path.display();
                format!("{path} is damaged: delete it, and each step is looked at anew; what it left is kept")
            };
            parse_toml(&read_text(&path)?).with_context(damaged)?
        } else {
            Records::default()
        };
        Ok(Self { run: run.to_path_buf(), records })
    }

    /// The run's folder.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// Whether a step is done. One of which a file or folder is gone is to be taken again.
    ///
    /// # Errors
    /// When what it left was changed or is damaged.
    pub fn is_done(&self, step: Step) -> Result<bool> {
        let Some(record) = self.records.step.iter().find(|record| record.name == step) else { return Ok(false) };
        // A folder that was deleted as a whole, as the message below says.
        if record.left.keys().any(|path| !self.run.join(top(path)).exists()) {
            return Ok(false);
        }
        for (path, sha256) in &record.left {
            let reason = match checksum(&self.run, path) {
                Ok(now) if now == *sha256 => continue,
                Ok(_) => String::new(),
                Err(error) => format!(" ({error:#})"),
            };
            bail!(
                "{}, which the step {step} left, was changed or is damaged{reason}: put it back, or delete {} and run the \
                 same command again to make it anew",
                self.run.join(path).display(),
                self.run.join(top(path)).display()
            );
        }
        Ok(true)
    }

    /// Forgets that `steps` are done.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget(&mut self, steps: &[Step]) -> Result<()> {
        let before = self.records.step.len();
        self.records.step.retain(|record| !steps.contains(&record.name));
        if self.records.step.len() < before { self.write() } else { Ok(()) }
    }

    /// Notes that a step is done.
    ///
    /// # Errors
    /// When something that it left cannot be read, or the file cannot be written.
    pub fn record(&mut self, step: Step, left: Left) -> Result<()> {
        let sum = |path: String| Ok((path.clone(), checksum(&self.run, &path)?));
        let sums = left.paths.into_iter().map(sum).collect::<Result<_>>()?;
        self.records.step.push(Record { name: step, seconds: left.seconds.round(), left: sums });
        self.write()
    }

    /// Seconds of training in all finished steps.
    pub fn seconds(&self) -> f64 {
        self.records.step.iter().map(|record| record.seconds).sum()
    }

    fn write(&self) -> Result<()> {
        let text = toml::to_string(&self.records).context("the finished steps cannot be written down")?;
        write_whole(&self.run.join(FILE), format!("{HEADER}{text}").as_bytes())
    }
}

/// The file or folder of the run in which `path` lies.
fn top(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

/// Checksum of a file, or of a folder of pairs: of its index and all pictures that it names.
fn checksum(run: &Path, path: &str) -> Result<String> {
    let path = run.join(path);
    if !path.is_dir() {
        return Ok(sha256(&read_file(&path)?));
    }
    let mut names = BTreeSet::from([INDEX.to_owned()]);
    for pair in read_index(&path)? {
        names.extend([Some(pair.photo), Some(pair.target), pair.mask, pair.next].into_iter().flatten());
    }
    let sum = |name: String| Ok(format!("{}  {name}\n", sha256(&read_file(&path.join(&name))?)));
    let sums: Vec<String> = names.into_par_iter().map(sum).collect::<Result<_>>()?;
    Ok(sha256(sums.concat().as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    /// A run whose first two steps are done.
    fn run() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("set.zip"), "packed").unwrap();
        fs::create_dir(folder.path().join("teacher")).unwrap();
        fs::write(folder.path().join("teacher/a"), "taught").unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        journal.record(Step::Prepare, Left { paths: vec!["set.zip".into()], seconds: 0.0 }).unwrap();
        journal.record(Step::Teacher, Left { paths: vec!["teacher/a".into()], seconds: 61.2 }).unwrap();
        folder
    }

    #[test]
    fn what_is_done_is_known_again_until_it_is_forgotten() {
        let folder = run();
        let mut journal = Journal::open(folder.path()).unwrap();
        let done = |journal: &Journal| {
            [Step::Prepare, Step::Teacher, Step::Distill].map(|step| journal.is_done(step).unwrap())
        };
        assert_eq!((done(&journal), journal.seconds()), ([true, true, false], 61.0));
        journal.forget(&[Step::Teacher, Step::Distill]).unwrap();
        assert_eq!(done(&Journal::open(folder.path()).unwrap()), [true, false, false]);
    }

    #[test]
    fn what_was_changed_is_refused_and_what_was_deleted_is_made_anew() {
        let folder = run();
        fs::write(folder.path().join("teacher/a"), "Taught").unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let error = journal.is_done(Step::Teacher).unwrap_err().to_string();
        assert!(error.contains("teacher/a, which the step teacher left, was changed or is damaged: put it"), "{error}");
        fs::remove_file(folder.path().join("teacher/a")).unwrap();
        let error = journal.is_done(Step::Teacher).unwrap_err().to_string();
        assert!(error.contains("there is no such file"), "{error}");
        fs::remove_dir(folder.path().join("teacher")).unwrap();
        assert!(!journal.is_done(Step::Teacher).unwrap() && journal.is_done(Step::Prepare).unwrap());
    }

    #[test]
    fn a_damaged_journal_is_named() {
        let folder = run();
        let path = folder.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        for broken in [&text[..text.len() - 9], &text.replacen("teacher", "dance", 1), "step = 3"] {
            fs::write(&path, broken).unwrap();
            let error = format!("{:#}", Journal::open(folder.path()).unwrap_err());
            assert!(error.contains("steps.toml is damaged: delete it") && error.contains("line "), "{error}");
        }
    }
}
