//! The steps themselves: the other subcommands, each with its part of the run's folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};

use super::Args;
use super::card::card;
use super::journal::{Journal, Left, Step};
use super::plan::Plan;
use crate::cli::devices::Devices;
use crate::cli::eval::{Measuring, note_on_card, note_teacher_on_card, write_sheet};
use crate::cli::{distill, export, paint, prepare, repaint, teacher};
use crate::data::pairs::{LargestScales, Pair, Split, read_index};
use crate::data::{read_file, sha256, write_whole};
use crate::dataset::{Dataset, Kind};
use crate::distill::WEIGHTS;
use crate::export::Export;
use crate::teacher::{TEACHER, record};
use crate::weights;

/// What lies where in the run's folder.
const DATASET: &str = "set.zip";
const PAIRS: &str = "pairs";
const TAUGHT: &str = "taught";
const SHEET: &str = "eval/sheet.png";
const TEACHER_SHEET: &str = "eval/teacher-sheet.png";
/// Photos on which the runtimes must agree, and their longer side, pixels.
const AGREED_ON: usize = 2;
const AGREED_SIDE: u32 = 512;

/// A step to take, with all that it needs.
pub struct Work<'a> {
    pub args: &'a Args,
    pub plan: &'a Plan,
    pub journal: &'a Journal,
    pub stop: Arc<AtomicBool>,
}

impl Work<'_> {
    /// Takes a step, from where it was interrupted if it was.
    ///
    /// # Errors
    /// The step's own; an interrupted training is none.
    pub fn take(&self, step: Step) -> Result<Left> {
        let (paths, seconds) = match step {
            Step::Prepare => (self.prepare()?, 0.0),
            Step::Paint => (self.paint()?, 0.0),
            Step::Teacher => self.teach()?,
            Step::Repaint => (self.repaint()?, 0.0),
            Step::Distill => self.distill()?,
            Step::Export => (self.export()?, 0.0),
            Step::Eval => (self.eval()?, 0.0),
        };
        Ok(Left { paths, seconds })
    }

    /// A path in the run's folder.
    fn at(&self, path: &str) -> PathBuf {
        self.journal.run().join(path)
    }

    /// The folder of the pairs that the student is trained on.
    fn targets(&self) -> &'static str {
        if self.plan.settings().teacher.is_some() { TAUGHT } else { PAIRS }
    }

    fn prepare(&self) -> Result<Vec<String>> {
        let (inputs, settings) = (&self.plan.inputs, &self.plan.settings().paint);
        let paths = |files: &[super::inputs::File]| files.iter().map(|file| file.path.clone()).collect();
        let lines = prepare::prepare(
            &prepare::Args {
                named: Vec::new(),
                photos: paths(&inputs.photos),
                art: paths(&inputs.art),
                clips: paths(&inputs.clips),
                out: self.at(DATASET),
                licences: self.args.licences.clone(),
                max_side: settings.max_side,
                min_side: settings.min_side,
                every: settings.every,
                hold_out: self.args.hold_out.clone(),
            },
            Arc::clone(&self.stop),
        )?;
        lines.iter().for_each(|line| log::info!("{line}"));
        Ok(vec![DATASET.into()])
    }

    fn paint(&self) -> Result<Vec<String>> {
        let dataset = Dataset::open(&self.at(DATASET))?;
        let pictured = dataset.items().iter().filter(|item| item.kind != Kind::Art);
        let packed: BTreeSet<&str> = pictured.map(|item| item.source_sha256.as_str()).collect();
        let (files, hold_out) = self.plan.inputs.to_paint(&packed, &self.args.hold_out)?;
        let settings = &self.plan.settings().paint;
        paint::paint(
            &paint::Args {
                inputs: files.into_iter().map(|file| file.path).collect(),
                recipe: self.plan.recipe().to_owned(),
                output: self.at(PAIRS),
                faces: self.args.faces.clone(),
                person_mask: self.args.person_mask.clone(),
                licences: self.args.licences.clone(),
                scales: settings.scales.clone(),
                held_out_scales: Vec::new(),
                clip_scales: settings.clip_scales.clone(),
                max_side: settings.max_side,
                clip_max_side: settings.clip_max_side,
                every: settings.every,
                hold_out,
                threads: 0,
            },
            Arc::clone(&self.stop),
        )?;
        Ok(vec![PAIRS.into()])
    }

    fn teach(&self) -> Result<(Vec<String>, f64)> {
        let config = self.plan.settings().teacher.clone().context("there is no configuration of a teacher")?;
        let training = teacher::Training {
            dataset: Some(self.at(DATASET)),
            pairs: Some(self.at(PAIRS)),
            reference: Vec::new(),
            out: self.at("teacher"),
            vgg: self.args.vgg.clone(),
            base: None,
            on: Devices { device: self.args.device, devices: 1 },
        };
        let outcome = teacher::train(config, &training, Arc::clone(&self.stop))?;
        log::info!("{}", teacher::summary(&outcome));
        Ok((vec![format!("teacher/{TEACHER}")], outcome.seconds))
    }

    fn repaint(&self) -> Result<Vec<String>> {
        let args = repaint::Args {
            pairs: self.at(PAIRS),
            teacher: self.at("teacher").join(TEACHER),
            reference: None,
            vgg: None,
            output: self.at(TAUGHT),
            device: self.args.device,
        };
        log::info!("{}", repaint::repaint(&args, Arc::clone(&self.stop))?);
        Ok(vec![TAUGHT.into()])
    }

    fn distill(&self) -> Result<(Vec<String>, f64)> {
        let training = distill::Training {
            pairs: self.at(self.targets()),
            out: self.at("distill"),
            vgg: self.args.vgg.clone(),
            base: self.args.base.clone(),
            mix_with: Vec::new(),
            on: Devices { device: self.args.device, devices: 1 },
        };
        let outcome = distill::distill(self.plan.settings().distill.clone(), &training, Arc::clone(&self.stop))?;
        log::info!("{}", distill::summary(&outcome, &training.out));
        Ok((vec![format!("distill/{WEIGHTS}")], outcome.seconds))
    }

    fn export(&self) -> Result<Vec<String>> {
        let name = &self.args.name;
        let path = self.at("distill").join(WEIGHTS);
        let bytes = read_file(&path)?;
        let pairs = read_index(&self.at(PAIRS))?;
        let packed = Dataset::open(&self.at(DATASET))?;
        let mut card = card(self.plan, &pairs, packed.items(), self.journal.seconds());
        if self.plan.settings().teacher.is_some() {
            card.teacher = Some(record(&self.at("teacher"))?);
        }
        let agreements = crate::export::export(&Export {
            weights: &weights::load(&path)?,
            weights_sha256: sha256(&bytes),
            name,
            folder: &self.at("style"),
            card,
            photos: &self.agreed_on(&pairs)?,
            float: false,
            python: self.args.python.as_deref(),
            device: self.args.device,
        })?;
        for (runtime, agreement) in agreements {
            log::info!("{runtime} against the reference: {agreement}");
        }
        write_whole(&self.at(&format!("style/{name}.safetensors")), &bytes)?;
        // The card is finished when the style is measured.
        Ok(["onnx", "jpg", "safetensors"].map(|extension| format!("style/{name}.{extension}")).into())
    }

    /// Held-out photos in their largest size, each of another source.
    fn agreed_on(&self, pairs: &[Pair]) -> Result<Vec<(PathBuf, image::RgbImage)>> {
        let largest = LargestScales::of(pairs);
        let is_wanted = |pair: &&Pair| pair.split == Split::HeldOut && largest.is_of(pair);
        let mut chosen: Vec<&Pair> = pairs.iter().filter(is_wanted).collect();
        chosen.sort_by(|a, b| (a.frame, &a.photo).cmp(&(b.frame, &b.photo)));
        // Of a clip there are several frames.
        let mut seen = BTreeSet::new();
        chosen.retain(|pair| seen.insert(&pair.source_sha256));
        let open = |pair: &Pair| {
            let path = self.at(PAIRS).join(&pair.photo);
            export::photo(&path, AGREED_SIDE).map(|photo| (path, photo))
        };
        chosen.into_iter().take(AGREED_ON).map(open).collect()
    }

    fn eval(&self) -> Result<Vec<String>> {
        let name = &self.args.name;
        let measuring = Measuring {
            vgg: self.args.vgg.as_deref(),
            clips: self.plan.inputs.clips_named(&self.args.hold_out),
            marked: BTreeMap::new(),
            marked_clips: Vec::new(),
            threads: 1,
            device: self.args.device,
        };
        let path = |extension: &str| self.at(&format!("style/{name}.{extension}"));
        let report = measuring.style(&path("onnx"), Some(&path("safetensors")), &self.at(self.targets()))?;
        let sheet = self.at(SHEET);
        if let Some(folder) = sheet.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        write_sheet(&sheet, &report)?;
        note_on_card(&path("toml"), &report)?;
        if self.plan.settings().teacher.is_some() {
            let of_teacher = measuring.teacher(&self.at(PAIRS), &self.at(TAUGHT))?;
            note_teacher_on_card(&path("toml"), &of_teacher, None)?;
            write_sheet(&self.at(TEACHER_SHEET), &of_teacher)?;
        }
        if let Some(l1) = report.metrics.get("held_out_l1") {
            log::info!("held-out L1 {l1:.3} of 255; all figures are in {}", path("toml").display());
        }
        let mut left = vec![format!("style/{name}.toml"), SHEET.into()];
        left.extend(self.plan.settings().teacher.is_some().then(|| TEACHER_SHEET.into()));
        Ok(left)
    }
}
