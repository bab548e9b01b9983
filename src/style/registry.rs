//! Where styles are found.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::{self, StyleConfig};
use crate::engine::form::{Layout, Range};
use crate::engine::region::Region;
use crate::engine::{self, Generator, Guess, MAX_FILE, Options, Stated};
use crate::error::{Error, Result};
use crate::style::{Card, Mixture, Stylizer};

/// A style of the folder models.
macro_rules! shipped {
    ($name:literal) => {
        (
            include_bytes!(concat!("../../models/", $name, ".onnx")) as &[u8],
            include_str!(concat!("../../models/", $name, ".toml")),
        )
    };
}

/// The styles that are part of the binary: ONNX file and card.
const BUILT_IN: &[(&[u8], &str)] = &[
    shipped!("anime"),
    shipped!("anime-l"),
    shipped!("anime-s"),
    shipped!("comic"),
    shipped!("film"),
    shipped!("ink"),
    shipped!("oil"),
    shipped!("watercolour"),
    shipped!("restore"),
];
/// The style that restores photos before another draws them.
pub const RESTORER: &str = "restore";
/// The largest card.
const MAX_CARD: u64 = 1 << 20;

/// A style ready to run.
pub struct OpenStyle {
    /// Its card; of a file without one, only the name.
    pub card: Card,
    /// Its network.
    pub generator: Box<dyn Generator>,
    /// The size of its file in bytes.
    pub bytes: usize,
    /// What had to be guessed about it, in sentences for the user.
    pub notes: Vec<String>,
    /// Why it is not, or not wholly, run by the fused engine.
    pub obstacle: Option<String>,
}

/// A style that was found, whether it can be used or not.
#[derive(Debug, Clone)]
pub struct Found {
    /// The name by which it is opened.
    pub name: String,
    /// Its file; `None` where it is part of the binary.
    pub path: Option<PathBuf>,
}

/// The folders in which styles are looked for, besides those compiled into the binary.
#[derive(Debug, Clone)]
pub struct Registry {
    /// What the user named: looked at first, and it must exist.
    extra: Option<PathBuf>,
    /// Looked at after the binary's own styles.
    folders: Vec<PathBuf>,
}

impl Registry {
    /// Styles of `extra`, of the binary, of the user's data folder and of the installation's share folder, in this order;
    /// see [`config::style_folders`].
    pub fn discover(extra: Option<&Path>) -> Self {
        Self { extra: extra.map(Path::to_path_buf), folders: config::style_folders() }
    }

    /// The folders, whether they exist or not.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.extra.iter().chain(&self.folders).map(PathBuf::as_path)
    }

    /// What there is. Of two styles of one name the first is taken.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder that the user named cannot be read.
    pub fn list(&self) -> Result<Vec<Found>> {
        let mut found = self.list_all()?;
        let mut seen = HashSet::new();
        found.retain(|style| seen.insert(style.name.clone()));
        Ok(found)
    }

    /// What there is, all those that share a name among them.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder that the user named cannot be read.
    pub fn list_all(&self) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        if let Some(folder) = &self.extra {
            found.extend(in_folder(folder).map_err(|error| Error::io("read", folder, error))?);
        }
        for (_, card) in BUILT_IN {
            found.push(Found { name: Card::parse(card)?.name, path: None });
        }
        for folder in &self.folders {
            // These folders need not exist.
            found.extend(in_folder(folder).unwrap_or_default());
        }
        Ok(found)
    }

    /// Opens a style by name, or an ONNX file by its path (which ends in `.onnx` or has a folder in it). Of several styles of
    /// one name it is the first that can be used; its notes name the others.
    ///
    /// # Errors
    /// [`Error::Usage`] with the names that exist where there is none of this name, [`Error::Style`] with what is wrong
    /// with its file, [`Error::Io`] where the file cannot be read.
    pub fn open(&self, name_or_path: &str, options: Options) -> Result<OpenStyle> {
        if let Some(mixture) = Mixture::parse(name_or_path) {
            return self.open_mixture(name_or_path, &mixture.map_err(Error::Usage)?, options);
        }
        let path = Path::new(name_or_path);
        if is_path(path) {
            return open_file(path, options);
        }
        let mut faults = Vec::new();
        for style in self.list_all()?.iter().filter(|style| style.name == name_or_path) {
            match Self::open_found(style, options) {
                Ok(mut open) => {
                    open.notes.extend(faults.iter().map(|fault| format!("another {name_or_path} is used: {fault}")));
                    return Ok(open);
                }
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(faults.swap_remove(0));
        }
        Err(self.find(name_or_path).map_or_else(
            |none| none,
            // It came up between the two looks into the folders.
            |_| Error::Style(format!("the style {name_or_path} was not there yet; try again")),
        ))
    }

    /// Opens several styles as one.
    fn open_mixture(&self, name: &str, mixture: &Mixture, options: Options) -> Result<OpenStyle> {
        let mut parts = Vec::new();
        let mut base: Option<(String, String)> = None;
        for (part, share) in &mixture.parts {
            let (onnx, card) = self.read(part)?;
            let own = card.base_sha256.unwrap_or_default();
            match &base {
                Some((first, base)) if own.is_empty() || *base != own => {
                    return Err(Error::Style(format!(
                        "the styles {first} and {part} cannot be mixed: only styles that were trained from the same base \
                         can, and their cards (base_sha256) do not say that"
                    )));
                }
                _ => base = Some((part.clone(), own)),
            }
            parts.push((onnx, *share));
        }
        let files: Vec<(&[u8], f32)> = parts.iter().map(|(onnx, share)| (onnx.as_slice(), *share)).collect();
        let fault = |error: Error| Error::Style(format!("the styles of {name} {error}"));
        let generator = engine::load_mixed(&files, options).map_err(fault)?;
        let shares: Vec<_> =
            mixture.parts.iter().map(|(part, share)| format!("{:.0} % {part}", share * 100.0)).collect();
        let card = Card { name: name.to_owned(), description: shares.join(", "), ..Card::default() };
        let bytes = files.iter().map(|(onnx, _)| onnx.len()).sum();
        Ok(OpenStyle { card, generator, bytes, notes: Vec::new(), obstacle: None })
    }

    /// The file and the card of a style.
    fn read(&self, name_or_path: &str) -> Result<(Vec<u8>, Card)> {
        let path = Path::new(name_or_path);
        let found = if is_path(path) { None } else { Some(self.find(name_or_path)?) };
        let (onnx, card) = match found.as_ref().map_or(Some(path), |found| found.path.as_deref()) {
            Some(path) => (read_onnx(path)?, read_card(path)?.unwrap_or_default()),
            None => {
                let (onnx, card) = built_in(name_or_path)?;
                (onnx.to_vec(), card)
            }
        };
        card.check(&onnx).map_err(|error| Error::Style(format!("the style {name_or_path} {error}")))?;
        Ok((onnx, card))
    }

    /// The first style of this name.
    fn find(&self, name: &str) -> Result<Found> {
        let found = self.list()?;
        found.iter().find(|style| style.name == name).cloned().ok_or_else(|| {
            let names: Vec<_> = found.iter().map(|style| style.name.as_str()).collect();
            let mixing = if name.contains('+') { "; a mixture is written NAME:SHARE+NAME:SHARE" } else { "" };
            Error::Usage(format!(
                "there is no style '{name}'; there are: {}, off. The path of an ONNX file will also do{mixing}",
                names.join(", ")
            ))
        })
    }

    /// The styles that one (a name, or the path of an ONNX file) can be mixed with: those whose cards name the same base.
    /// The one behind it in the list comes first.
    pub fn partners(&self, style: &str) -> Vec<String> {
        let path = Path::new(style);
        let list = self.list().unwrap_or_default();
        let place = list.iter().position(|found| found.name == style);
        let card = match place {
            Some(place) => Self::card(&list[place]),
            None if is_path(path) => read_card(path).map(Option::unwrap_or_default),
            None => return Vec::new(),
        };
        let Some(base) = card.ok().and_then(|card| card.base_sha256) else { return Vec::new() };
        let behind = place.map_or(0, |place| place + 1);
        let mixes = |found: &&Found| {
            let is_itself = found.name == style || found.path.as_deref() == Some(path);
            !is_itself && Self::card(found).is_ok_and(|card| card.base_sha256.as_ref() == Some(&base))
        };
        list[behind..].iter().chain(&list[..behind]).filter(mixes).map(|found| found.name.clone()).collect()
    }

    /// The card of one of [`Registry::list`]; of a style without one, only the name.
    ///
    /// # Errors
    /// [`Error::Style`] or [`Error::Io`] where the card cannot be read.
    pub fn card(style: &Found) -> Result<Card> {
        match &style.path {
            Some(path) => Ok(read_card(path)?.unwrap_or_else(|| Card { name: style.name.clone(), ..Card::default() })),
            None => built_in(&style.name).map(|(_, card)| card),
        }
    }

    /// Opens one of [`Registry::list`].
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub fn open_found(style: &Found, options: Options) -> Result<OpenStyle> {
        if let Some(path) = &style.path {
            return open_file(path, options);
        }
        let (onnx, card) = built_in(&style.name)?;
        open_bytes(&style.name, onnx, card, options, "its card")
    }

    /// Opens what `config` names, and returns what had to be guessed about it.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub fn stylizer(&self, config: &StyleConfig) -> Result<(Stylizer, Vec<String>)> {
        let (mut stylizer, mut notes) = if config.style == "off" {
            (Stylizer::off(), Vec::new())
        } else {
            let style = self.open(&config.style, config.engine)?;
            (Stylizer::new(style.card.name, style.generator, config.strength), style.notes)
        };
        if config.enhance {
            let restorer = self.open(RESTORER, config.engine)?;
            stylizer = stylizer.enhanced_by(restorer.generator);
            notes.extend(restorer.notes);
        }
        if config.region != Region::All && config.style != "off" && !stylizer.has_person_mask() {
            return Err(Error::Usage(format!(
                "the style {} does not know a person from what is behind: leave --region out, or choose another style",
                stylizer.name()
            )));
        }
        stylizer.set_region(config.region);
        Ok((stylizer, notes))
    }
}

/// The file and the card of a style that is part of the binary.
fn built_in(name: &str) -> Result<(&'static [u8], Card)> {
    for (onnx, card) in BUILT_IN {
        let card = Card::parse(card)?;
        if card.name == name {
            return Ok((onnx, card));
        }
    }
    Err(Error::Style(format!("there is no style '{name}' in this binary")))
}

/// The extensions of what lies beside a style's file: its weights, its card.
const BESIDE: [&str; 2] = ["safetensors", "toml"];

/// Whether a style is named by its file, or by what lies beside it.
fn is_path(path: &Path) -> bool {
    extension_among(path, &["onnx"]).is_some()
        || extension_among(path, &BESIDE).is_some()
        || path.components().count() > 1
}

/// The extension of a path, where it is one of `those` in upper or lower case.
fn extension_among<'a>(path: &'a Path, those: &[&str]) -> Option<&'a OsStr> {
    path.extension().filter(|extension| those.iter().any(|one| extension.eq_ignore_ascii_case(one)))
}

/// The ONNX files in a folder, by name.
fn in_folder(folder: &Path) -> io::Result<Vec<Found>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if extension_among(&path, &["onnx"]).is_some() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths.into_iter().map(|path| Found { name: name_of(&path), path: Some(path) }).collect())
}

/// The name that the card gives, or else the file's. A card that cannot be read is reported when the style is opened.
fn name_of(onnx: &Path) -> String {
    let stated = read_card(onnx).ok().flatten().map(|card| card.name).filter(|name| !name.is_empty());
    stated.unwrap_or_else(|| onnx.file_stem().unwrap_or_default().to_string_lossy().into_owned())
}

/// The card beside an ONNX file, where there is one.
fn read_card(onnx: &Path) -> Result<Option<Card>> {
    let path = onnx.with_extension("toml");
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read_limited(&path, MAX_CARD)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::Style(format!("{} is not text", path.display())))?;
    let card = Card::parse(&text).map_err(|error| Error::Style(format!("{}: {error}", path.display())))?;
    Ok(Some(card))
}

fn open_file(path: &Path, options: Options) -> Result<OpenStyle> {
    let onnx = read_onnx(path)?;
    let mut card = read_card(path)?.unwrap_or_default();
    if card.name.is_empty() {
        card.name = name_of(path);
    }
    let beside = path.with_extension("toml").display().to_string();
    open_bytes(&path.display().to_string(), &onnx, card, options, &beside)
}

fn open_bytes(what: &str, onnx: &[u8], card: Card, options: Options, card_path: &str) -> Result<OpenStyle> {
    let fault = |error: Error| Error::Style(format!("the style {what} {error}"));
    card.check(onnx).map_err(fault)?;
    let stated = Stated { layout: card.layout, range: card.range, multiple: card.multiple };
    let loaded = engine::load(onnx, stated, options).map_err(fault)?;
    let guesses = loaded.guesses.iter().map(|Guess { what: guess, line }| {
        format!("{what}: guessed {guess}; to state it, write {line} into {card_path}")
    });
    let remarks = loaded.remarks.iter().map(|remark| format!("{what}: {remark}"));
    let notes = guesses.chain(remarks).collect();
    let generator = &loaded.generator;
    let threads = options.threads;
    let many = if threads == 1 { "thread" } else { "threads" };
    tracing::info!(
        "style {what}: {} bytes, {} ({}) on {threads} {many}",
        onnx.len(),
        generator.engine(),
        generator.isa()
    );
    if let Some(why) = &loaded.obstacle {
        tracing::info!("style {what} is not wholly fused: {why}");
    }
    let layout = stated.layout.map_or("layout as the file shows", Layout::name);
    let range = stated.range.map_or("range as the file shows", Range::name);
    let halo = generator.halo().map_or("looks at the whole picture".into(), |halo| format!("looks {halo} pixels far"));
    let gmac = generator.macs(config::DEFAULT_SIZE) as f64 / 1e9;
    let multiple = generator.multiple();
    tracing::info!(
        "style {what}: {layout}, {range}, sides are multiples of {multiple}, {halo}, {gmac:.2} GMAC at {}",
        config::DEFAULT_SIZE
    );
    Ok(OpenStyle { card, generator: loaded.generator, bytes: onnx.len(), notes, obstacle: loaded.obstacle })
}

/// The bytes of a style's file. What lies beside one (its weights, its card) is told from it before it is looked for.
fn read_onnx(path: &Path) -> Result<Vec<u8>> {
    if let Some(extension) = extension_among(path, &BESIDE) {
        let style = path.with_extension("onnx");
        let advice = if style.is_file() {
            format!("give {}", style.display())
        } else {
            "give the ONNX file that `nijigen-train export` makes".to_owned()
        };
        return Err(Error::Style(format!("{} is no style (.{}): {advice}", path.display(), extension.display())));
    }
    read_limited(path, MAX_FILE)
}

/// A file's bytes, of which there may be at most `limit`.
fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let cannot = |error| Error::io("read", path, error);
    let file = File::open(path).map_err(cannot)?;
    if file.metadata().map_err(cannot)?.is_dir() {
        return Err(Error::Style(format!("{} is a folder; name an ONNX file", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > limit {
        return Err(Error::Style(format!("{} is larger than {} MiB; that is no style", path.display(), limit >> 20)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::engine::contract::FloatNetwork;
    use crate::engine::topology::Topology;

    fn tiny(seed: u64) -> Vec<u8> {
        FloatNetwork::random(Topology::two_scale_with(2, 2, 2), seed).to_qdq_onnx().unwrap()
    }

    fn registry(folder: &Path) -> Registry {
        Registry { extra: Some(folder.to_path_buf()), folders: vec!["/nowhere/at/all".into()] }
    }

    #[test]
    fn a_folder_comes_before_the_binary_and_names_come_from_cards() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("b.onnx"), tiny(1)).unwrap();
        fs::write(at("b.toml"), "name = 'anime'\ndescription = 'mine'\n").unwrap();
        fs::write(at("a.onnx"), tiny(2)).unwrap();
        fs::write(at("notes.txt"), "no style").unwrap();
        let registry = registry(folder.path());
        let names: Vec<String> = registry.list().unwrap().into_iter().map(|found| found.name).collect();
        let own = BUILT_IN.iter().map(|(_, card)| Card::parse(card).unwrap().name).filter(|name| name != "anime");
        let expected: Vec<String> = ["a", "anime"].map(str::to_owned).into_iter().chain(own).collect();
        assert_eq!(names, expected);
        let style = registry.open("anime", Options::threads(1)).unwrap();
        assert_eq!((style.card.description.as_str(), style.notes.len()), ("mine", 0));
        assert_eq!(registry.open("a", Options::threads(1)).unwrap().card.name, "a");
    }

    #[test]
    fn of_two_of_one_name_the_first_that_works_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let named = |file: &str, onnx: &[u8]| {
            fs::write(at(file).with_extension("onnx"), onnx).unwrap();
            fs::write(at(file).with_extension("toml"), format!("name = 'one'\ndescription = '{file}'")).unwrap();
        };
        named("a", b"no style");
        named("b", &tiny(1));
        named("c", &tiny(2));
        let registry = registry(folder.path());
        let style = registry.open("one", Options::threads(1)).unwrap();
        assert_eq!(style.card.description, "b");
        assert!(style.notes.iter().any(|note| note.contains("a.onnx")), "{:?}", style.notes);
        assert_eq!(registry.list().unwrap().len(), 1 + BUILT_IN.len());
        assert_eq!(registry.list_all().unwrap().len(), 3 + BUILT_IN.len());
        named("b", b"no style");
        named("c", b"no style");
        let error = registry.open("one", Options::threads(1)).err().unwrap().to_string();
        assert!(error.contains("a.onnx"), "{error}");
    }

    #[test]
    fn the_binarys_own_styles_know_persons_and_can_be_mixed() {
        let registry = Registry { extra: None, folders: Vec::new() };
        for style in registry.list().unwrap().iter().filter(|style| style.name != RESTORER) {
            let name = &style.name;
            assert!(Registry::open_found(style, Options::threads(1)).unwrap().generator.has_person_mask(), "{name}");
            // Other sizes of a style are other networks.
            if !name.starts_with("anime") {
                let mixed = registry.open(&format!("anime:0.5+{name}:0.5"), Options::threads(1)).unwrap();
                assert!(mixed.generator.has_person_mask(), "{name}");
            }
        }
        assert_eq!(registry.partners("anime"), ["comic", "film", "ink", "oil", "watercolour"]);
        assert_eq!(registry.partners("oil"), ["watercolour", "anime", "comic", "film", "ink"]);
        for alone in ["anime-l", RESTORER, "off", "none", "none/none.onnx"] {
            assert!(registry.partners(alone).is_empty(), "{alone}");
        }
        let fault = |name: &str| registry.open(name, Options::threads(1)).err().unwrap().to_string();
        assert!(fault("anime+comic").contains("NAME:SHARE+NAME:SHARE"), "{}", fault("anime+comic"));
        for name in ["run/weights.safetensors", "weights.safetensors"] {
            assert!(fault(name).contains("nijigen-train export"), "{}", fault(name));
        }
        let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/models/anime.safetensors");
        assert!(fault(beside).ends_with("models/anime.onnx"), "{}", fault(beside));
    }

    #[test]
    fn photos_are_restored_by_the_style_of_that_name() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path());
        let config = |style: &str| StyleConfig {
            style: style.into(),
            enhance: true,
            strength: 1.0,
            region: Region::All,
            folder: None,
            engine: Options::threads(1),
        };
        fs::write(folder.path().join("other.onnx"), tiny(2)).unwrap();
        let size = crate::frame::Size::new(32, 24);
        // Noise in good light.
        let photo: Vec<u8> = (0..size.rgb_len()).map(|i| 150 + (i * i * 31 % 97) as u8).collect();
        let drawn = |config: &StyleConfig, photo: &[u8]| {
            let mut output = vec![0; photo.len()];
            registry.stylizer(config).unwrap().0.run(photo, size, &mut output).unwrap();
            output
        };
        let alone = |style: &str| StyleConfig { enhance: false, ..config(style) };
        let restored = drawn(&config("off"), &photo);
        assert!(restored != photo && restored == drawn(&alone(RESTORER), &photo));
        assert!(drawn(&config("other"), &photo) == drawn(&alone("other"), &restored));
    }

    #[test]
    fn what_cannot_be_opened_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let registry = registry(folder.path());
        let refused = |style: &str| registry.open(style, Options::threads(1)).err().unwrap().to_string();
        let why = refused("nosuch");
        assert!(why.contains("there are: anime, ") && why.contains(", off. The path"), "{why}");
        assert!(refused(at("none.onnx").to_str().unwrap()).contains("none.onnx"));
        fs::write(at("c.onnx"), tiny(3)).unwrap();
        fs::write(at("c.toml"), format!("name = 'c'\nsha256 = '{}'", crate::style::sha256(b"other"))).unwrap();
        assert!(refused("c").contains("SHA-256"));
        fs::write(at("c.toml"), "name = c").unwrap();
        assert!(refused("c").contains("c.toml: line 1"), "{}", refused("c"));
        fs::create_dir(at("d.onnx")).unwrap();
        assert!(refused("d").contains("folder"));
        File::create(at("e.onnx")).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert!(refused("e").contains("64 MiB"));
    }
}
