//! The files that a style is made from, each with its checksum.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use nijigen::Error;
use rayon::prelude::*;
use serde::Serialize;

use crate::cli::prepare::Found;
use crate::data::pairs::Split;
use crate::data::{read_file, sha256};

/// How many photos and clips are held out at least.
const HELD_OUT: usize = 2;

/// A file that was named or found.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// Checksum of what is in it.
    pub sha256: String,
}

impl File {
    fn read(path: PathBuf) -> Result<Self> {
        let sha256 = sha256(&read_file(&path)?);
        Ok(Self { path, sha256 })
    }

    /// Its name without folders.
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Its name without folders and extension, by which it is held out.
    fn stem(&self) -> String {
        self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// All files that a style is made from.
#[derive(Debug)]
pub struct Inputs {
    /// Photos, in the order of their paths.
    pub photos: Vec<File>,
    /// Pictures of the style.
    pub art: Vec<File>,
    /// Clips.
    pub clips: Vec<File>,
}

/// What is noted of a kind of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// How many there are.
    pub count: usize,
    /// Checksum of their list, as `sha256sum FILES | sha256sum` prints it where they lie in one folder.
    pub sha256: String,
}

impl Listed {
    /// Of files given by name and checksum; none of them counts twice.
    pub fn of<'f>(files: impl Iterator<Item = (&'f str, &'f str)>) -> Self {
        let files: BTreeSet<_> = files.collect();
        let list: String = files.iter().map(|(name, sha256)| format!("{sha256}  {name}\n")).collect();
        Self { count: files.len(), sha256: sha256(list.as_bytes()) }
    }

    /// Of files that were found.
    pub fn of_files(files: &[File]) -> Self {
        let named: Vec<_> = files.iter().map(|file| (file.name(), &file.sha256)).collect();
        Self::of(named.iter().map(|(name, sha256)| (name.as_str(), sha256.as_str())))
    }
}

impl Inputs {
    /// Looks for the files, but not in the run's folder, and reads each. `hold_out` names some of the photos and clips.
    ///
    /// # Errors
    /// When something does not exist, is of another kind or cannot be read, when there are too few photos, or nothing
    /// has a name that is to be held out.
    pub fn read(named: [&[PathBuf]; 3], hold_out: &[String], run: &Path) -> Result<Self> {
        let [photos, art, clips] = named;
        let Found { photos, art, clips } = Found::look(photos, art, clips, run)?;
        let read = |paths: Vec<PathBuf>| paths.into_par_iter().map(File::read).collect::<Result<Vec<_>>>();
        let inputs = Self { photos: read(photos)?, art: read(art)?, clips: read(clips)? };
        let found = inputs.photos.len() + inputs.clips.len();
        ensure!(found > HELD_OUT, "{found} photos and clips were found: name more photos, {} at least", HELD_OUT + 1);
        let stems: BTreeSet<String> = inputs.photos.iter().chain(&inputs.clips).map(File::stem).collect();
        // A slip would train on what is to be measured on.
        if let Some(name) = hold_out.iter().find(|name| !stems.contains(*name)) {
            let text =
                format!("--hold-out {name}: no photo or clip has this name (want it without folder and extension)");
            return Err(Error::Usage(text).into());
        }
        Ok(inputs)
    }

    /// The photos and clips of which something was packed, each content once, and the names of those that are to be held
    /// out: those that `named` names, those that `paint` holds out by their names, and where these are fewer than
    /// [`HELD_OUT`] the next photos in the same order.
    ///
    /// # Errors
    /// When nothing would be left to train on.
    pub fn to_paint(&self, packed: &BTreeSet<&str>, named: &[String]) -> Result<(Vec<File>, Vec<String>)> {
        let mut seen = BTreeSet::new();
        let mut used = |files: &[File]| -> Vec<File> {
            let used = |file: &&File| packed.contains(file.sha256.as_str()) && seen.insert(file.sha256.clone());
            files.iter().filter(used).cloned().collect()
        };
        let (photos, clips) = (used(&self.photos), used(&self.clips));
        let stems: BTreeSet<String> = photos.iter().chain(&clips).map(File::stem).collect();
        let (mut names, unused): (Vec<String>, Vec<String>) =
            named.iter().cloned().partition(|name| stems.contains(name));
        for name in unused {
            log::warn!("--hold-out {name}: it was passed over, so there is nothing to hold out");
        }
        let is_held_out = |file: &File, names: &[String]| {
            names.contains(&file.stem()) || (photos.contains(file) && Split::of_photo(&file.name()) == Split::HeldOut)
        };
        let all: Vec<&File> = photos.iter().chain(&clips).collect();
        let count = |names: &[String]| all.iter().filter(|file| is_held_out(file, names)).count();
        let mut in_order: Vec<&File> = photos.iter().collect();
        in_order.sort_by_key(|file| sha256(file.name().as_bytes()));
        for file in in_order {
            if count(&names) < HELD_OUT && !is_held_out(file, &names) {
                log::info!("{} is held out, to measure on", file.name());
                names.push(file.stem());
            }
        }
        let held_out = count(&names);
        if held_out < HELD_OUT || held_out == all.len() {
            bail!(
                "{} photos and clips can be used, of which {held_out} are held out to measure on: name more photos, {} \
                 at least",
                all.len(),
                HELD_OUT + 1
            );
        }
        Ok((photos.into_iter().chain(clips).collect(), names))
    }

    /// The clips among `names`.
    pub fn clips_named(&self, names: &[String]) -> Vec<PathBuf> {
        self.clips.iter().filter(|clip| names.contains(&clip.stem())).map(|clip| clip.path.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn files(names: &[&str]) -> Vec<File> {
        names.iter().map(|name| File { path: name.into(), sha256: format!("of {name}") }).collect()
    }

    fn painted(photos: &[&str], clips: &[&str], unused: &str, named: &[&str]) -> Result<(Vec<String>, Vec<String>)> {
        let inputs = Inputs { photos: files(photos), art: Vec::new(), clips: files(clips) };
        let all: Vec<String> = photos.iter().chain(clips).map(|name| format!("of {name}")).collect();
        let packed = all.iter().map(String::as_str).filter(|sha256| !sha256.ends_with(unused)).collect();
        let named: Vec<String> = named.iter().map(|&name| name.to_owned()).collect();
        let (files, held_out) = inputs.to_paint(&packed, &named)?;
        Ok((files.iter().map(File::name).collect(), held_out))
    }

    #[test]
    fn two_sources_are_held_out_at_least_and_never_all() {
        // By its name's hash `paint` holds out none of these.
        let photos = ["a.png", "b.png", "c.png", "d.png"];
        assert!(photos.iter().all(|name| Split::of_photo(name) == Split::Train));
        let (files, held_out) = painted(&photos, &[], "none", &[]).unwrap();
        assert_eq!((files.len(), held_out.len()), (4, 2));
        let (_, again) = painted(&["d.png", "c.png", "b.png", "a.png"], &[], "none", &[]).unwrap();
        assert_eq!(held_out, again, "whatever their order");
        let (files, held_out) = painted(&photos, &["k.mkv"], "none", &["k", "b"]).unwrap();
        assert_eq!((files.len(), held_out), (5, vec!["k".to_owned(), "b".to_owned()]));
        // What was passed over is neither painted nor counted.
        let (files, held_out) = painted(&photos, &[], "b.png", &["b", "c"]).unwrap();
        assert!(!files.contains(&"b.png".to_owned()) && held_out.len() == 2 && held_out.contains(&"c".to_owned()));
        for (photos, named) in
            [(&photos[..2], &[][..]), (&photos[..1], &[][..]), (&photos[..], &["a", "b", "c", "d"][..])]
        {
            let error = painted(photos, &[], "none", named).unwrap_err().to_string();
            assert!(error.contains("name more photos, 3 at least"), "{error}");
        }
    }

    #[test]
    fn a_list_has_the_checksum_that_sha256sum_gives() {
        // printf x > b.jpg; printf y > a.jpg; LC_ALL=C sha256sum a.jpg b.jpg | sha256sum
        let listed = Listed::of([("b.jpg", sha256(b"x").as_str()), ("a.jpg", sha256(b"y").as_str())].into_iter());
        assert_eq!(
            (listed.count, listed.sha256.as_str()),
            (2, "93e113b2f5cc3b28d8b42d531584f7a148e18cc06cb4e15af48d433eef412b32")
        );
    }
}
