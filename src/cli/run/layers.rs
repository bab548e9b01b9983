//! Where each setting of a run comes from: the built-in defaults, a preset, the configuration file, what was remembered of
//! the last run, and the flags. Each overrules those before it.
//!
//! A setting has the name of its flag, and a file's value is read as the flag's would be: there is one grammar for both.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::num::{ParseFloatError, ParseIntError};
use std::path::{Path, PathBuf};

use clap::builder::ValueRange;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use toml::{Table, Value};

use super::args::{Preset, RunArgs};
use crate::config::{self, SourceChoice};
use crate::error::{Error, Result};
use crate::host;

/// Settings that only a flag can give: they say where the others are.
const FLAGS_ALONE: [&str; 1] = ["config"];

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A preset.
    Preset(Preset),
    /// A file: the user's configuration.
    File(PathBuf),
    /// A file: what was changed while an earlier run went on.
    Remembered(PathBuf),
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(preset) => write!(f, "preset {}", preset.name()),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Remembered(path) => write!(f, "remembered in {}", path.display()),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// The values of some settings, by their names, as a command line would have them.
type Values = BTreeMap<String, Vec<OsString>>;

struct Layer {
    origin: Origin,
    values: Values,
}

/// All settings of a run.
pub struct Layered {
    /// The settings, read.
    pub args: RunArgs,
    matches: ArgMatches,
    origins: BTreeMap<String, Origin>,
}

/// What was remembered of the last run, with `--remember`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Past {
    /// It counts.
    Remembered,
    /// It does not: something of it is no more.
    Forgotten,
}

/// Puts the layers together; `flags` are the command line's. What was remembered cannot keep a run from starting: a value
/// of it that is none is told of and left out, and all of it where its style, or what restores photos, is no more.
///
/// # Errors
/// [`Error::Usage`] naming file and setting, where a file has one that is not there or a value that is none.
pub fn resolve(flags: &ArgMatches) -> Result<Layered> {
    let layered = layered(flags, Past::Remembered)?;
    if ["style", "enhance"].iter().any(|name| matches!(layered.origins.get(*name), Some(Origin::Remembered(_))))
        && let Err(error) = layered.args.style.open()
    {
        tracing::warn!("what was remembered does not count: {error}");
        return self::layered(flags, Past::Forgotten);
    }
    Ok(layered)
}

fn layered(flags: &ArgMatches, past: Past) -> Result<Layered> {
    let command = command();
    let given = from_flags(&command, flags);
    let named = given.get("config").and_then(|values| values.first()).map(PathBuf::from);
    let file = match &named {
        Some(path) => Some((path.clone(), read(path)?)),
        None => match config::file_path() {
            Some(path) => read_if_there(&path)?.map(|text| (path, text)),
            None => None,
        },
    };
    let file = file.map(|(path, text)| from_toml(&command, Origin::File(path.clone()), &path, &text)).transpose()?;
    let mut layers: Vec<Layer> = file.into_iter().collect();
    layers.push(Layer { origin: Origin::Flag, values: given });
    if let Some(preset) = preset(&layers) {
        let name = PathBuf::from(format!("preset {}", preset.name()));
        layers.insert(0, from_toml(&command, Origin::Preset(preset), &name, preset.text())?);
    }
    if past == Past::Remembered
        && value(&layers, "remember").is_some_and(|value| value == "true")
        && let Some(path) = config::remembered_path()
    {
        let before_flags = layers.len() - 1;
        layers.insert(before_flags, remembered(&command, path));
    }
    spare(&mut layers);
    merge(command, layers)
}

/// What the file at `path` still gives.
fn remembered(command: &Command, path: PathBuf) -> Layer {
    let origin = Origin::Remembered(path.clone());
    let forget = |error: Error| tracing::warn!("not remembered: {error}");
    let mut values = Values::new();
    let table = read_if_there(&path).and_then(|text| table(&path, &text.unwrap_or_default()));
    for (name, value) in table.map_err(forget).unwrap_or_default() {
        match setting(command, &path, &name, &value) {
            Ok(texts) => drop(values.insert(name, texts)),
            Err(error) => forget(error),
        }
    }
    Layer { origin, values }
}

/// Takes from a preset what is for cameras or windows where there is none, and what this system cannot measure: it says how
/// things of a kind are used, not that they are.
fn spare(layers: &mut [Layer]) {
    let source = value(layers, "source").map(|source| SourceChoice::try_from(source.clone()));
    let is_camera = source.is_none_or(|source| matches!(source, Ok(SourceChoice::Camera(_))));
    let sinks = layers.iter().rev().find_map(|layer| layer.values.get("sink"));
    let has_window = sinks.is_none_or(|sinks| sinks.iter().any(|sink| sink == "window"));
    let Some(Layer { origin: Origin::Preset(_), values }) = layers.first_mut() else { return };
    let unfit = [
        ("wait", is_camera),
        ("idle", is_camera),
        ("lock", has_window),
        ("full-screen", has_window),
        ("cpu", host::cpu_time().is_some()),
    ];
    for (name, _) in unfit.iter().filter(|(_, of_use)| !of_use) {
        values.remove(*name);
    }
}

/// The settings without any flag.
///
/// # Errors
/// As [`resolve`].
pub fn of_files() -> Result<Layered> {
    let none = command().try_get_matches_from(std::iter::empty::<OsString>());
    resolve(&none.map_err(|error| Error::Usage(first_line(&error)))?)
}

/// The value that counts of a setting of one value.
fn value<'a>(layers: &'a [Layer], name: &str) -> Option<&'a OsString> {
    layers.iter().rev().find_map(|layer| layer.values.get(name)).and_then(|values| values.first())
}

fn preset(layers: &[Layer]) -> Option<Preset> {
    // Both were checked when they were read.
    clap::ValueEnum::from_str(value(layers, "preset")?.to_str()?, false).ok()
}

fn command() -> Command {
    RunArgs::augment_args(Command::new("nijigen run").no_binary_name(true))
}

/// The arguments that are settings.
fn settings(command: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    command.get_arguments().filter_map(|arg| Some((arg.get_long()?, arg)))
}

fn from_flags(command: &Command, flags: &ArgMatches) -> Values {
    let given = |arg: &Arg| {
        let id = arg.get_id().as_str();
        let from_line = flags.value_source(id) == Some(ValueSource::CommandLine);
        from_line.then(|| flags.get_raw(id)).flatten().map(|values| values.map(Into::into).collect())
    };
    settings(command).filter_map(|(name, arg)| Some((name.to_string(), given(arg)?))).collect()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Error::io("read", path, error))
}

fn read_if_there(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        // Somebody else's folder, as after `sudo -u`.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::warn!("{} is not permitted to be read: the settings in it are not used", path.display());
            Ok(None)
        }
        text => text.map(Some).map_err(|error| Error::io("read", path, error)),
    }
}

/// The settings that `text` gives. Each is tried alone, so that a mistake can be named.
fn from_toml(command: &Command, origin: Origin, path: &Path, text: &str) -> Result<Layer> {
    let mut values = Values::new();
    for (name, value) in table(path, text)? {
        let texts = setting(command, path, &name, &value)?;
        values.insert(name, texts);
    }
    Ok(Layer { origin, values })
}

fn table(path: &Path, text: &str) -> Result<Table> {
    text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        wrong(path, format!("line {line} is no TOML ({}); write NAME = VALUE", error.message().replace('\n', " ")))
    })
}

/// The setting `name` of the file at `path`, as a command line would have it.
fn setting(command: &Command, path: &Path, name: &str, value: &Value) -> Result<Vec<OsString>> {
    let known = settings(command).find(|(known, _)| *known == name && !FLAGS_ALONE.contains(known));
    let Some((_, arg)) = known else {
        return Err(wrong(path, format!("there is no setting '{name}'; `nijigen config show` lists them")));
    };
    let texts = match value {
        Value::Array(items) => items.iter().map(text_of).collect(),
        single => text_of(single).map(|text| vec![text]),
    };
    let texts = texts.ok_or_else(|| wrong(path, format!("{name} is one value, or a list of them")))?;
    let texts = switched(arg, texts);
    check(command, name, &texts).map_err(|why| wrong(path, format!("{name}: {why}")))?;
    Ok(texts)
}

fn wrong(path: &Path, what: String) -> Error {
    Error::Usage(format!("{}: {what}", path.display()))
}

fn text_of(value: &Value) -> Option<OsString> {
    Some(match value {
        Value::String(text) => match text.strip_prefix("~/").zip(config::home()) {
            Some((rest, home)) => home.join(rest).into(),
            None => text.into(),
        },
        Value::Integer(number) => number.to_string().into(),
        Value::Float(number) => number.to_string().into(),
        Value::Boolean(on) => on.to_string().into(),
        _ => return None,
    })
}

/// A flag whose value may be left out is switched on and off in a file: on with the value that it then has.
fn switched(arg: &Arg, texts: Vec<OsString>) -> Vec<OsString> {
    let may_be_bare = arg.get_num_args() == Some(ValueRange::from(0..=1));
    if !may_be_bare || is_bool(arg) {
        return texts;
    }
    match texts.first() {
        Some(text) if text == "true" => vec![OsString::new()],
        Some(text) if text == "false" => Vec::new(),
        _ => texts,
    }
}

fn is_bool(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == clap::builder::ValueParser::bool().type_id()
}

/// Setting and values as they stand on a command line.
fn line<'a>(name: &'a str, texts: &'a [OsString]) -> impl Iterator<Item = OsString> + 'a {
    texts.iter().map(move |text| {
        let mut argument = OsString::from(format!("--{name}"));
        if !text.is_empty() {
            argument.push("=");
            argument.push(text);
        }
        argument
    })
}

/// Why a setting cannot have these values.
fn check(command: &Command, name: &str, texts: &[OsString]) -> std::result::Result<(), String> {
    let Err(error) = command.clone().try_get_matches_from(line(name, texts)) else { return Ok(()) };
    // What it goes together with may come from elsewhere.
    if error.kind() == ErrorKind::MissingRequiredArgument {
        return Ok(());
    }
    let value = texts.iter().map(|text| text.to_string_lossy()).collect::<Vec<_>>().join(", ");
    let valid = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(names)) if !names.is_empty() => Some(names.join(", ")),
        _ => None,
    };
    Err(match (std::error::Error::source(&error), valid) {
        // What the standard library says of numbers is no sentence.
        (Some(why), _) if !why.is::<ParseIntError>() && !why.is::<ParseFloatError>() => why.to_string(),
        (_, Some(names)) => format!("'{value}' is none of {names}"),
        (_, None) => format!("it cannot be '{value}'; `nijigen run --help` says what it can be"),
    })
}

/// Reads the values that count.
fn merge(command: Command, layers: Vec<Layer>) -> Result<Layered> {
    let mut origins = BTreeMap::new();
    let mut values = Values::new();
    for Layer { origin, values: of_layer } in layers {
        for (name, texts) in of_layer {
            origins.insert(name.clone(), origin.clone());
            values.insert(name, texts);
        }
    }
    let arguments: Vec<OsString> = values.iter().flat_map(|(name, texts)| line(name, texts)).collect();
    // Each value was tried; what is left is what goes together with what.
    let whole = |error: clap::Error| {
        Error::Usage(match (error.kind(), error.get(ContextKind::InvalidArg)) {
            (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missing))) => {
                let missing = missing.join(", ");
                format!("something is of use with {missing} alone; give that too, or leave out what needs it")
            }
            _ => first_line(&error),
        })
    };
    let matches = command.try_get_matches_from(arguments).map_err(whole)?;
    let args = RunArgs::from_arg_matches(&matches).map_err(whole)?;
    Ok(Layered { args, matches, origins })
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    text.split("\n\n").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Layered {
    /// All settings as a file would have them, each with where it comes from.
    pub fn to_toml(&self) -> String {
        let command = command();
        let mut rows: Vec<(String, String)> = Vec::new();
        for (name, arg) in settings(&command).filter(|(name, _)| !FLAGS_ALONE.contains(name)) {
            let texts: Option<Vec<String>> = self
                .matches
                .get_raw(arg.get_id().as_str())
                .map(|values| values.map(|value| value.to_string_lossy().into_owned()).collect());
            let origin = self.origins.get(name).unwrap_or(&Origin::Default);
            let many = arg.get_action().takes_values() && matches!(arg.get_action(), clap::ArgAction::Append);
            rows.push(match texts.as_deref() {
                None | Some([]) => (format!("# {name} is not set"), origin.to_string()),
                Some([single]) if !many => (format!("{name} = {}", literal(arg, single)), origin.to_string()),
                Some(several) => {
                    let items: Vec<String> = several.iter().map(|text| literal(arg, text)).collect();
                    (format!("{name} = [{}]", items.join(", ")), origin.to_string())
                }
            });
        }
        let width = rows.iter().map(|(row, _)| row.chars().count()).filter(|&width| width <= 48).max().unwrap_or(0);
        rows.iter().map(|(row, origin)| format!("{row:width$}  # {origin}\n")).collect()
    }
}

/// A value as TOML has it.
fn literal(arg: &Arg, text: &str) -> String {
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite) && text.parse::<Value>().is_ok();
    if is_bool(arg) || is_number { text.into() } else { Value::String(text.into()).to_string() }
}
