//! `nijigen styles`.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{nijigen, stderr, tiny_style};

fn lines(output: &std::process::Output) -> Vec<String> {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_binary_brings_anime_with_its_cost_and_licence() {
    let output = lines(&nijigen().arg("styles").output().unwrap());
    assert!(output[0].starts_with("NAME"));
    let anime = output.iter().find(|line| line.starts_with("anime ")).unwrap();
    assert!(anime.contains("4.5 GMAC") && anime.contains("KB"), "{anime}");
}

#[test]
fn a_folders_styles_are_listed_and_a_broken_one_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    tiny_style(folder.path());
    fs::write(folder.path().join("tiny.toml"), "description = 'waves of nothing'\nlicence = 'CC0-1.0'\n").unwrap();
    fs::write(folder.path().join("bad.onnx"), "no network at all").unwrap();
    let output = nijigen().args(["styles", "--styles"]).arg(folder.path()).output().unwrap();
    let lines = lines(&output);
    let line = |name: &str| lines.iter().find(|line| line.starts_with(name)).unwrap();
    assert!(line("bad ").contains("broken") && line("bad ").contains("not an ONNX file"), "{}", line("bad "));
    assert!(line("tiny ").contains("CC0-1.0") && line("tiny ").contains("waves of nothing"));
    assert!(line("anime ").contains("GMAC"));
    let column = lines[0].find("LICENCE").unwrap();
    assert_eq!(line("tiny ").find("CC0-1.0"), Some(column), "columns line up");
}

#[test]
fn the_users_data_folder_is_searched() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("nijigen/styles");
    fs::create_dir_all(&folder).unwrap();
    tiny_style(&folder);
    let output = nijigen().env("XDG_DATA_HOME", home.path()).arg("styles").output().unwrap();
    assert!(lines(&output).iter().any(|line| line.starts_with("tiny ")));
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let output = nijigen().args(["styles", "--styles", "/no/such/folder"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/no/such/folder"), "{}", stderr(&output));
}
