//! Help, completions and manual pages, through the real binary.
#![allow(clippy::unwrap_used)]

mod clips;

use clips::{assert_fails, nijigen, said};

fn printed(args: &[&str]) -> String {
    let output = nijigen().args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that `nijigen --help` lists.
fn commands() -> Vec<String> {
    let help = printed(&["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    list.lines().map(|line| line.split_whitespace().next().unwrap().to_string()).filter(|name| name != "help").collect()
}

#[test]
fn every_command_shows_examples_and_has_a_manual_page() {
    let commands = commands();
    assert!(["bench", "run", "video"].iter().all(|name| commands.iter().any(|c| c == name)), "{commands:?}");
    for command in &commands {
        let help = printed(&[command, "--help"]);
        let examples = help.split("Examples:\n").nth(1).unwrap().split("\n\n").next().unwrap();
        assert!(examples.lines().all(|line| line.starts_with("  ") && line.len() <= 80), "{examples}");
        let page = printed(&["man", command]);
        assert!(page.contains(&format!(".TH nijigen-{command} 1")), "{command}");
        assert!(page.contains(&format!("nijigen\\-{command} \\- ")), "{command} has no NAME");
        let examples = page.split(".SH EXAMPLES\n.nf\n").nth(1).unwrap().split(".fi").next().unwrap();
        assert!(examples.contains("nijigen") && !page.contains(".SH EXTRA"), "{command}: {examples}");
    }
    let page = printed(&["man"]);
    assert!(page.contains(".TH nijigen 1"));
    // No page is referred to that there is not.
    let pages = page.split("nijigen\\-").skip(1).filter_map(|rest| rest.split_once("(1)")).map(|(name, _)| name);
    let pages: Vec<&str> = pages.collect();
    assert_eq!(pages, commands);
    assert!(printed(&["man", "image"]).contains("\\fB\\-\\-detail\\fR \\fIPIXELS|full\\fR"));
    assert_fails(&nijigen().args(["man", "dance"]).output().unwrap(), 2, "no command 'dance'");
}

#[test]
fn shells_get_their_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        assert!(script.contains("nijigen") && script.contains("strength"), "{shell}");
    }
}
