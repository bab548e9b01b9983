//! The run's folder: begun, or gone on with by the same arguments.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use super::plan::Description;
use crate::cli::run_folder;
use crate::data::{parse_toml, read_text, write_whole};
use crate::run_description::RUN;

/// What an unfinished file is called while it lies beside its place.
const UNFINISHED: &str = ".nijigen-";
const HEADER: &str = "# What this run of `nijigen-train style` was begun with. It goes on from nothing else.\n\n";

/// Makes the folder and writes down what it is begun with, or checks that it was begun with the same. The lock is to be
/// held as long as anything is written.
///
/// # Errors
/// When it cannot be made, holds something else, was begun with something else, or another program works in it.
pub fn enter(run: &Path, description: &Description) -> Result<File> {
    let path = run.join(RUN);
    let lock = run_folder::enter(run, &[RUN])?;
    remove_unfinished(run)?;
    let text = toml::to_string(description).context("what the run is begun with cannot be written down")?;
    if !path.exists() {
        write_whole(&path, format!("{HEADER}{text}").as_bytes())?;
        return Ok(lock);
    }
    let damaged = || format!("{} is damaged: put it back as it was, or name another folder (-o)", path.display());
    let begun: Table = parse_toml(&read_text(&path)?).with_context(damaged)?;
    // Both from text, in which a number has one form.
    if let Some(what) = difference(&begun, &parse_toml(&text)?) {
        bail!("{} was begun with {what}: give what it was begun with, or name another folder (-o)", run.display());
    }
    Ok(lock)
}

/// Removes what a killed program has left beside its place.
fn remove_unfinished(folder: &Path) -> Result<()> {
    let reading = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        if entry.file_type().with_context(reading)?.is_dir() {
            remove_unfinished(&entry.path())?;
        } else if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let path = entry.path();
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// The first thing in which `now` differs from what was `begun`, in words that a user knows it by.
fn difference(begun: &Table, now: &Table) -> Option<String> {
    // Another version tells other things as well.
    let versions = ["nijigen_train", "burn", "painter"].into_iter();
    let mut keys: Vec<&str> = begun.keys().chain(now.keys()).map(String::as_str).collect();
    keys.sort_unstable();
    versions.chain(keys).find_map(|key| {
        let (path, before, after) = differing(key, begun.get(key), now.get(key))?;
        let was = |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), Value::to_string);
        let (before, after) = (was(before), was(after));
        let (section, rest) = path.split_once('.').unwrap_or((&path, ""));
        Some(match section {
            "nijigen_train" | "burn" => format!("another version of the program ({path} {before}, this has {after})"),
            "painter" => format!("another version of the painter ({before}, this is {after})"),
            "name" => format!("another NAME ({before})"),
            "recipe" | "recipe_sha256" => "another recipe, or another text of it (--recipe)".to_owned(),
            "device" => format!("--device {before}"),
            "hold_out" => format!("--hold-out {before}"),
            "photos" | "art" | "clips" => format!("other files under --{section}"),
            "files" => {
                let option = rest.replace('_', "-");
                match (begun.get("files").and_then(|files| files.get(rest)), after.as_str()) {
                    (None, _) => format!("no --{option}"),
                    (_, "absent") => format!("--{option}"),
                    _ => format!("another file as --{option}"),
                }
            }
            "config" if rest == "teacher" && after == "absent" => "a teacher (without --no-teacher)".to_owned(),
            "config" if rest == "teacher" => "no teacher (--no-teacher)".to_owned(),
            "config" => format!("another configuration ('{rest}' was {before}, is {after}; see --config)"),
            _ => format!("another '{path}'"),
        })
    })
}

/// The first value in which two differ, by its path.
fn differing<'v>(
    path: &str,
    begun: Option<&'v Value>,
    now: Option<&'v Value>,
) -> Option<(String, Option<&'v Value>, Option<&'v Value>)> {
    match (begun, now) {
        (Some(Value::Table(begun)), Some(Value::Table(now))) => {
            let mut keys: Vec<&String> = begun.keys().chain(now.keys()).collect();
            keys.sort_unstable();
            keys.into_iter().find_map(|key| differing(&format!("{path}.{key}"), begun.get(key), now.get(key)))
        }
        (begun, now) => (begun != now).then(|| (path.to_owned(), begun, now)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const BEGUN: &str = "nijigen_train = \"0.1.0\"\nname = \"a\"\ndevice = \"flex\"\nhold_out = []\n\
                         [photos]\ncount = 3\nsha256 = \"aa\"\n[files]\nvgg = \"bb\"\n\
                         [config]\nseed = 1\n[config.distill]\nrate = 0.001\nsteps = 6\n";

    fn differs(from: &str, to: &str) -> Option<String> {
        assert!(BEGUN.contains(from), "{from}");
        difference(&BEGUN.parse().unwrap(), &BEGUN.replacen(from, to, 1).parse().unwrap())
    }

    #[test]
    fn what_differs_is_named_as_the_user_named_it() {
        assert_eq!(differs("flex", "flex"), None);
        for (from, to, words) in [
            ("\"flex\"", "\"tch\"", "--device \"flex\""),
            ("\"a\"", "\"b\"", "another NAME (\"a\")"),
            ("hold_out = []", "hold_out = [\"x\"]", "--hold-out []"),
            ("\"aa\"", "\"ab\"", "other files under --photos"),
            ("\"bb\"", "\"bc\"", "another file as --vgg"),
            ("vgg = \"bb\"", "", "--vgg"),
            ("[files]", "[files]\nperson_mask = \"c\"", "no --person-mask"),
            ("steps = 6", "steps = 8", "another configuration ('distill.steps' was 6, is 8; see --config)"),
            ("[config.distill]", "[config.teacher]\n[config.distill]", "no teacher (--no-teacher)"),
        ] {
            let what = differs(from, to).unwrap();
            assert!(what.contains(words), "{from} -> {to}: {what}");
        }
        // Whatever else another version says, that it is another counts.
        let other = BEGUN.replacen("0.1.0", "0.2.0", 1).replacen("device", "gadget", 1);
        let what = difference(&BEGUN.parse().unwrap(), &other.parse().unwrap()).unwrap();
        assert!(
            what.contains("another version of the program (nijigen_train \"0.1.0\", this has \"0.2.0\")"),
            "{what}"
        );
    }
}
