//! The configuration of all steps, as one TOML file.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nijigen::Error;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::data::{parse_toml, read_text};
use crate::{distill, teacher};

/// What is taken where no file is named.
const BUILT_IN: &str = include_str!("../../../configs/style.toml");

/// What all steps are told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// Seed of whatever is random; a section's own goes before it.
    pub seed: u64,
    /// How photos are prepared and painted.
    pub paint: Paint,
    /// The teacher's training, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<teacher::config::Config>,
    /// The student's.
    pub distill: distill::config::Config,
}

/// How photos are prepared and painted: what the options of `paint` and `prepare` say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paint {
    /// Longer side of a photo at scale 1, and of art, pixels, 64 to 4096.
    pub max_side: u32,
    /// Photos and art whose shorter side is then below this are passed over.
    pub min_side: u32,
    /// Sizes at which each photo is painted, 0.01 to 1.
    pub scales: Vec<f32>,
    /// Longer side of a clip's frame at scale 1, pixels.
    pub clip_max_side: u32,
    /// Sizes at which each frame of a clip is painted.
    pub clip_scales: Vec<f32>,
    /// Each so manieth frame of a clip is taken.
    pub every: u32,
}

impl Settings {
    /// Reads and checks a file, or takes the configuration that is compiled in.
    ///
    /// # Errors
    /// When it cannot be read, lacks something or holds something unknown, or a value makes no sense.
    pub fn load(path: Option<&Path>) -> Result<Self> {
        match path {
            None => Self::parse(BUILT_IN).context("the configuration that is compiled in"),
            Some(path) => {
                Self::parse(&read_text(path)?).with_context(|| format!("{} is not a configuration", path.display()))
            }
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let mut table: Table = parse_toml(text)?;
        let seed = match table.remove("seed") {
            Some(Value::Integer(seed @ 0..)) => seed.cast_unsigned(),
            Some(other) => bail!("'seed' is {other}, it must be a whole number from 0 on"),
            None => bail!("'seed' is missing: put it before the first section"),
        };
        let paint: Paint = section(&mut table, "paint", None)?.context("the section [paint] is missing")?;
        let teacher: Option<teacher::config::Config> = section(&mut table, "teacher", Some(seed))?;
        let distill: distill::config::Config =
            section(&mut table, "distill", Some(seed))?.context("the section [distill] is missing")?;
        if let Some(unknown) = table.keys().next() {
            bail!("'{unknown}' is unknown; there are 'seed', [paint], [teacher] and [distill]");
        }
        paint.check().context("in [paint]")?;
        if let Some(teacher) = &teacher {
            teacher.check().context("in [teacher]")?;
            ensure!(
                !teacher.generator.reference,
                "in [teacher]: a teacher that takes its style from a picture gives no one style: set 'reference' to false"
            );
        }
        distill.check().context("in [distill]")?;
        Ok(Self { seed, paint, teacher, distill })
    }

    /// Leaves the teacher out, or sees to it that there is one.
    ///
    /// # Errors
    /// When there is to be one and the configuration has none.
    pub fn with_teacher(mut self, wanted: bool) -> Result<Self> {
        if !wanted {
            self.teacher = None;
        } else if self.teacher.is_none() {
            let text = "the configuration has no section [teacher]: add one, or leave the teacher out (--no-teacher)";
            return Err(Error::Usage(text.into()).into());
        }
        Ok(self)
    }
}

/// Takes a section out of the configuration; `seed` is put into it where it has none of its own.
fn section<T: DeserializeOwned>(table: &mut Table, name: &str, seed: Option<u64>) -> Result<Option<T>> {
    let Some(value) = table.remove(name) else { return Ok(None) };
    let Value::Table(mut section) = value else { bail!("'{name}' must be a section: [{name}]") };
    if let Some(seed) = seed.and_then(|seed| i64::try_from(seed).ok()) {
        section.entry("seed").or_insert(Value::Integer(seed));
    }
    section.try_into().map(Some).map_err(|error| anyhow!("in [{name}]: {}", error.message().trim()))
}

impl Paint {
    fn check(&self) -> Result<()> {
        for (name, side) in [("max_side", self.max_side), ("clip_max_side", self.clip_max_side)] {
            ensure!((64..=4096).contains(&side), "'{name}' is {side}, it must lie within 64 to 4096");
        }
        ensure!(
            (1..=self.max_side).contains(&self.min_side),
            "'min_side' is {}, it must lie within 1 to 'max_side'",
            self.min_side
        );
        ensure!(self.every > 0, "'every' must be at least 1");
        for (name, scales) in [("scales", &self.scales), ("clip_scales", &self.clip_scales)] {
            let sound = !scales.is_empty() && scales.iter().all(|scale| (0.01..=1.0).contains(scale));
            ensure!(sound, "'{name}' must hold a scale at least, each from 0.01 to 1");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FOR_A_GPU: &str = include_str!("../../../configs/style-gpu.toml");

    #[test]
    fn the_shipped_configurations_are_sound_and_their_seed_is_that_of_all_sections() {
        for text in [BUILT_IN, FOR_A_GPU] {
            let settings = Settings::parse(&text.replacen("seed = 1", "seed = 7", 1)).unwrap();
            let teacher = settings.teacher.as_ref().unwrap();
            assert_eq!([settings.seed, teacher.seed, settings.distill.seed], [7; 3]);
            // With clips or without: the student is to hold still what stands still.
            assert!(settings.distill.twins > 0 && settings.distill.loss.flicker > 0.0);
            assert!(settings.clone().with_teacher(false).unwrap().teacher.is_none());
            settings.with_teacher(true).unwrap();
        }
        let own = BUILT_IN.replacen("\n[distill]\n", "\n[distill]\nseed = 9\n", 1);
        assert_eq!(Settings::parse(&own).unwrap().distill.seed, 9);
    }

    #[test]
    fn every_value_of_a_training_is_documented() {
        let documented = include_str!("../../../../docs/training-configuration.md");
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/configs")).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            // What [paint] says is documented in the file of `style` itself.
            let trainings = &text[text.find("\n[teacher]\n").unwrap_or(0)..];
            for line in trainings.lines().filter(|line| !line.starts_with('#')) {
                let Some((name, _)) = line.split_once(" = ") else { continue };
                let is_told = documented.contains(&format!("`{name}`")) || documented.contains(&format!("] {name}`"));
                assert!(is_told, "docs/training-configuration.md does not tell of '{name}', which {path:?} sets");
            }
        }
    }

    #[test]
    fn every_shipped_configuration_can_be_read() {
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/configs")).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let read = if text.contains("\n[distill]\n") {
                Settings::load(Some(&path)).map(drop)
            } else if text.contains("\n[generator]\n") {
                teacher::config::Config::load(&path).map(drop)
            } else {
                distill::config::Config::load(&path).map(drop)
            };
            read.unwrap();
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |from: &str, to: &str| {
            assert!(BUILT_IN.contains(from), "{from}");
            format!("{:#}", Settings::parse(&BUILT_IN.replacen(from, to, 1)).unwrap_err())
        };
        for (from, to, words) in [
            ("seed = 1", "", "'seed' is missing"),
            ("seed = 1", "seed = -1", "'seed' is -1"),
            ("seed = 1", "seed = 1\nsteps = 3", "'steps' is unknown"),
            ("[paint]", "[print]", "[paint] is missing"),
            ("min_side = ", "least = ", "in [paint]: unknown field `least`"),
            ("every = 8", "every = 0", "'every'"),
            ("scales = [", "scales = [2.0, ", "'scales'"),
            ("max_side = 512", "max_side = 9", "'max_side' is 9"),
            ("reference = false", "reference = true", "'reference'"),
            ("quantize_from", "quantise_from", "in [distill]"),
            ("crop = 128", "crop = 3", "in [teacher]: 'crop' is 3"),
            ("[paint]", "[paint", "line "),
        ] {
            let error = with(from, to);
            assert!(error.contains(words), "{from} -> {to}: {error}");
        }
        let start = BUILT_IN.find("\n[teacher]\n").unwrap();
        let end = BUILT_IN.find("\n[distill]\n").unwrap();
        let without = format!("{}{}", &BUILT_IN[..start], &BUILT_IN[end..]);
        let error = Settings::parse(&without).unwrap().with_teacher(true).unwrap_err().to_string();
        assert!(error.contains("--no-teacher"), "{error}");
    }
}
