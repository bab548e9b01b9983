//! Where settings come from, through the real binary.
#![allow(clippy::unwrap_used)]

mod clips;

use std::fs;
use std::path::Path;
use std::process::Command;

use clips::{assert_fails, nijigen, said};

/// The program with its folders below `home`.
fn at(home: &Path) -> Command {
    let mut command = nijigen();
    command.env("HOME", home).env("XDG_CONFIG_HOME", home.join("config")).env("XDG_STATE_HOME", home.join("state"));
    command
}

fn configure(home: &Path, text: &str) {
    fs::create_dir_all(home.join("config/nijigen")).unwrap();
    fs::write(home.join("config/nijigen/config.toml"), text).unwrap();
}

/// A setting's value and where it comes from, as `config show` prints them.
fn shown(home: &Path, flags: &[&str], name: &str) -> (String, String) {
    let output = at(home).args(["config", "show"]).args(flags).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let unset = format!("# {name} is not set");
    let line = text.lines().find(|line| line.starts_with(&format!("{name} = ")) || line.starts_with(&unset));
    let (value, origin) = line.unwrap_or_else(|| panic!("no {name} in {text}")).rsplit_once("  # ").unwrap();
    (value.trim().trim_start_matches(&format!("{name} = ")).to_string(), origin.to_string())
}

#[test]
fn later_layers_overrule_earlier_ones() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let file = home.join("config/nijigen/config.toml").display().to_string();
    let is = |flags: &[&str], name: &str, value: &str, origin: &str| {
        assert_eq!(shown(home, flags, name), (value.to_string(), origin.to_string()), "{flags:?} {name}");
    };
    is(&[], "strength", "1", "default");
    is(&[], "sink", "# sink is not set", "default");
    is(&["--preset", "kiosk"], "attract", "20", "preset kiosk");
    configure(home, "strength = 0.5\nattract = 60\nmirror = true\nsink = [\"null\", \"~/a.y4m\"]\n");
    is(&[], "strength", "0.5", &file);
    is(&["--preset", "kiosk"], "attract", "60", &file);
    is(&["--strength", "0.25"], "strength", "0.25", "flag");
    is(&["--mirror=false"], "mirror", "false", "flag");
    is(&[], "sink", &format!("[\"null\", \"{}/a.y4m\"]", home.display()), &file);
    is(&["--sink", "-"], "sink", "[\"-\"]", "flag");
    // What is for windows and cameras falls away with them.
    is(&["--preset", "kiosk"], "lock", "# lock is not set", "default");
    is(&["--preset", "kiosk", "--sink", "window"], "lock", "\"quit\"", "preset kiosk");
    is(&["--preset", "kiosk", "--source", "synthetic"], "idle", "# idle is not set", "default");
    // A file may name the preset, and switch off what it has.
    configure(home, "preset = \"stream\"\nserve = false\n");
    is(&[], "cpu", "50", "preset stream");
    is(&[], "serve", "# serve is not set", &file);
    is(&["--preset", "bench"], "stats", "\"json\"", "preset bench");
    let other = home.join("other.toml");
    fs::write(&other, "strength = 0.75").unwrap();
    is(&["--config", other.to_str().unwrap()], "strength", "0.75", &other.display().to_string());
}

#[test]
fn what_is_shown_can_be_used_as_a_file() {
    let home = tempfile::tempdir().unwrap();
    for preset in ["stream", "kiosk", "bench"] {
        let show = |flags: &[&str]| {
            let output = at(home.path()).args(["config", "show"]).args(flags).output().unwrap();
            assert!(output.status.success(), "{}", said(&output));
            String::from_utf8(output.stdout).unwrap()
        };
        let values = |text: &str| -> Vec<String> {
            let rows = text.lines().filter(|line| !line.starts_with('#'));
            rows.map(|row| row.rsplit_once("  # ").unwrap().0.trim().to_string()).collect()
        };
        let shown = show(&["--preset", preset, "--styles", "/a b/\"c\""]);
        let file = home.path().join("shown.toml");
        fs::write(&file, &shown).unwrap();
        assert_eq!(values(&show(&["--config", file.to_str().unwrap()])), values(&shown), "{preset}");
    }
}

#[test]
fn mistakes_in_a_file_are_named() {
    let home = tempfile::tempdir().unwrap();
    for (text, said) in [
        ("strength = 2", "strength: '2' is not a strength"),
        ("strenght = 1", "no setting 'strenght'"),
        ("mirror = \"maybe\"", "mirror: 'maybe' is none of true, false"),
        ("\n\nx = [", "line 3 is no TOML"),
        ("style = {a = 1}", "style is one value"),
        ("config = \"other.toml\"", "no setting 'config'"),
        ("preset = \"party\"", "'party' is none of stream, kiosk, bench"),
        ("frames = 0", "frames: 0 is not in 1.."),
    ] {
        configure(home.path(), text);
        let output = at(home.path()).args(["run", "--source", "synthetic", "--sink", "null"]).output().unwrap();
        assert_fails(&output, 2, said);
        assert!(clips::said(&output).contains("config.toml"), "{text}");
    }
    fs::remove_file(home.path().join("config/nijigen/config.toml")).unwrap();
    assert_fails(&at(home.path()).args(["run", "--config", "/nowhere.toml"]).output().unwrap(), 1, "/nowhere.toml");
    let output = at(home.path()).args(["run", "--token", "long-enough"]).output().unwrap();
    assert_fails(&output, 2, "--serve");
}

#[test]
fn what_was_remembered_is_used_where_it_is_wanted() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    configure(home, "strength = 0.5\nmirror = false\n");
    fs::create_dir_all(home.join("state/nijigen")).unwrap();
    let file = home.join("state/nijigen/remembered.toml");
    fs::write(&file, "strength = 0.75\n").unwrap();
    assert_eq!(shown(home, &[], "strength").0, "0.5");
    let origin = format!("remembered in {}", file.display());
    assert_eq!(shown(home, &["--remember"], "strength"), ("0.75".into(), origin));
    assert_eq!(shown(home, &["--remember", "--strength", "1"], "strength").0, "1");
    // The preset for benchmarks is the same everywhere: it remembers nothing.
    assert_eq!(shown(home, &["--preset", "bench"], "remember").0, "false");
}

#[test]
fn what_was_remembered_never_keeps_a_run_from_starting() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("state/nijigen")).unwrap();
    let remember = |text: &str| {
        fs::write(home.path().join("state/nijigen/remembered.toml"), text).unwrap();
        let flags =
            ["run", "--source", "synthetic", "--sink", "null", "--frames", "2", "--remember", "--stats", "json"];
        let output = at(home.path()).args(flags).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (said(&output), report["style"].as_str().unwrap().to_string())
    };
    assert_eq!(remember("style = \"off\"\n").1, "off");
    for (text, why) in [
        ("style = \"gone\"\n", "gone"),
        ("strength = 7\nmirrored = true\n", "strength: '7'"),
        ("strength = 7\nmirrored = true\n", "no setting 'mirrored'"),
        ("strength = [", "line 1 is no TOML"),
    ] {
        let (said, style) = remember(text);
        assert!(said.contains(why), "{said}");
        assert_eq!(style, "anime");
    }
    // What is right of it still counts.
    assert_eq!(remember("strength = 7\nstyle = \"off\"\n").1, "off");
}

#[test]
fn a_run_takes_its_settings_from_the_file() {
    let home = tempfile::tempdir().unwrap();
    configure(home.path(), "source = \"synthetic\"\nsink = \"null\"\nframes = 3\nstats = \"json\"\nstyle = \"off\"\n");
    let output = at(home.path()).arg("run").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["stylized"], &report["style"]), (&3.into(), &"off".into()), "{report}");
}
