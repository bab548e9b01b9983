//! What is to be done: all that was given, read and checked before anything is written.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use nijigen::Error;
use nijigen::style::Card;
use serde::Serialize;

use super::Args;
use super::inputs::{Inputs, Listed};
use super::journal::Step;
use super::settings::Settings;
use crate::cli::export::{WITHOUT_PYTHON, check_name};
use crate::cli::paint;
use crate::data::face_list::FaceList;
use crate::data::licences::Licences;
use crate::data::person_mask::PersonMask;
use crate::data::{read_file, read_text, sha256};
use crate::device::{Task, TrainBackend, dispatch};
use crate::net::vgg::Vgg;
use crate::painter::{self, Recipe};
use crate::run_description::BURN;
use crate::weights;

/// All that a style is made from, as `run.toml` tells it.
#[derive(Debug, Serialize)]
pub struct Description {
    nijigen_train: &'static str,
    burn: &'static str,
    painter: u32,
    name: String,
    recipe: String,
    recipe_sha256: String,
    device: String,
    hold_out: Vec<String>,
    photos: Listed,
    art: Listed,
    clips: Listed,
    /// Checksums of single files, by the option that names them.
    files: BTreeMap<&'static str, String>,
    config: Settings,
}

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// What the run is begun with.
    pub description: Description,
    /// Photos, art and clips.
    pub inputs: Inputs,
    /// What the user says on the card.
    pub card: Card,
}

/// Reads what only a back end can, so that it is known before hours of work whether it can be used.
struct Reads<'a>(Option<&'a Path>);

impl Task for Reads<'_> {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) -> Result<()> {
        self.0.map_or(Ok(()), |vgg| Vgg::<B>::load(vgg, false, &device).map(|_| ()))
    }
}

impl Plan {
    /// Reads and checks all that was given.
    ///
    /// # Errors
    /// When something cannot be read or used, or does not go together.
    pub fn new(args: &Args) -> Result<Self> {
        check_name(&args.name)?;
        let recipe_name = match &args.recipe {
            Some(recipe) => recipe.clone(),
            None if Recipe::builtin(&args.name).is_some() => args.name.clone(),
            None => "anime".to_owned(),
        };
        if recipe_name == paint::RESTORE {
            let text =
                "--recipe restore paints nothing: a student that restores photos is trained by `paint` and `distill`";
            return Err(Error::Usage(text.into()).into());
        }
        let (recipe, recipe_sha256) = paint::read_recipe(&recipe_name)?;
        let config = settings(args, &recipe)?;
        if let Some(path) = &args.faces {
            FaceList::read(path)?;
        }
        if let Some(path) = &args.licences {
            Licences::read(path)?;
        }
        if let Some(path) = &args.person_mask {
            PersonMask::load(path)?;
        }
        if let Some(path) = &args.base {
            check_base(path, &config)?;
        }
        let card = match &args.card {
            Some(path) => Card::parse(&read_text(path)?).with_context(|| format!("in {}", path.display()))?,
            None => Card::default(),
        };
        dispatch(args.device, Reads(args.vgg.as_deref()))?;
        let inputs = Inputs::read([&args.photos, &args.art, &args.clips], &args.hold_out, &args.out)?;
        if args.python.is_none() {
            log::warn!("{WITHOUT_PYTHON}");
        }
        let mut files = BTreeMap::new();
        for (option, path) in [
            ("vgg", &args.vgg),
            ("base", &args.base),
            ("person_mask", &args.person_mask),
            ("faces", &args.faces),
            ("licences", &args.licences),
            ("card", &args.card),
        ] {
            if let Some(path) = path {
                files.insert(option, sha256(&read_file(path)?));
            }
        }
        let description = Description {
            nijigen_train: env!("CARGO_PKG_VERSION"),
            burn: BURN,
            painter: painter::VERSION,
            name: args.name.clone(),
            recipe: recipe_name,
            recipe_sha256,
            device: format!("{:?}", args.device).to_lowercase(),
            hold_out: args.hold_out.clone(),
            photos: Listed::of_files(&inputs.photos),
            art: Listed::of_files(&inputs.art),
            clips: Listed::of_files(&inputs.clips),
            files,
            config,
        };
        Ok(Self { description, inputs, card })
    }

    /// What all steps are told.
    pub fn settings(&self) -> &Settings {
        &self.description.config
    }

    /// By what the targets are painted: a name or a file.
    pub fn recipe(&self) -> &str {
        &self.description.recipe
    }

    /// What computes, and in which version.
    pub fn device(&self) -> String {
        format!("Burn {BURN}, back end {}", self.description.device)
    }

    /// The steps to take, in their order.
    pub fn steps(&self) -> Vec<Step> {
        let taught = [Step::Teacher, Step::Repaint].into_iter().filter(|_| self.settings().teacher.is_some());
        let ending = [Step::Distill, Step::Export, Step::Eval];
        [Step::Prepare, Step::Paint].into_iter().chain(taught).chain(ending).collect()
    }
}

/// The configuration with what else was given.
fn settings(args: &Args, recipe: &Recipe) -> Result<Settings> {
    let mut settings = Settings::load(args.config.as_deref())?.with_teacher(!args.no_teacher)?;
    let distill = &mut settings.distill;
    if let Some(size) = args.size {
        distill.size = size;
    }
    if distill.person_mask && args.person_mask.is_none() {
        let text = "'person_mask' in [distill] is true: give the model that knows where persons are (--person-mask)";
        return Err(Error::Usage(text.into()).into());
    }
    distill.person_mask = args.person_mask.is_some();
    if distill.loss.mixture > 0.0 {
        let text = "'mixture' in [distill.loss] is for `nijigen-train distill --mix-with`: leave it out here, and train a \
                    leg with it when the style is there";
        return Err(Error::Usage(text.into()).into());
    }
    // Anything else would show patterns to the student that are never painted.
    distill.align = distill.align.max(recipe.grid());
    if recipe.grid() > 1 && settings.teacher.is_some() {
        log::warn!(
            "the look {} has a pattern that is fixed to the pixels, which a teacher washes out: --no-teacher keeps it",
            recipe.name
        );
    }
    Ok(settings)
}

/// Refuses weights that the student cannot start from.
fn check_base(path: &Path, settings: &Settings) -> Result<()> {
    let base = weights::load(path)?;
    let (path, distill) = (path.display(), &settings.distill);
    let text = if base.size > distill.size {
        format!("--base {path} is of size {}, the student of {}: give --size {}", base.size, distill.size, base.size)
    } else if base.network.topology.has_person_mask() && !distill.person_mask {
        format!("--base {path} knows where persons are: give --person-mask, so that the student goes on learning it")
    } else {
        return Ok(());
    };
    Err(Error::Usage(text).into())
}
