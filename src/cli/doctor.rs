//! `nijigen doctor`: what this machine has, and what to do about what it lacks.

use std::env;
use std::path::Path;

use clap::Args;

use super::options::StyleOptions;
use super::print;
use super::run::layers;
use crate::config::{self, DEFAULT_SERVE};
use crate::doctor::{self, Finding, Mark};
use crate::error::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  nijigen doctor
  nijigen doctor --threads 2

Each line is ok, or says what to do: 'fix' is what a run needs, '--' what not everybody does. The exit status is 1 \
where something is to be fixed. Nothing on the machine is changed.";

/// Say what this machine has for a run, and what to do about what it lacks
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    #[command(flatten)]
    style: StyleOptions,
}

/// Looks at everything and prints a line for each.
///
/// # Errors
/// [`Error::Tool`] where something is to be fixed.
pub fn run(args: &DoctorArgs) -> Result<()> {
    let looks: [&dyn Fn() -> Finding; 9] = [
        &doctor::processor,
        &doctor::cameras,
        &display,
        &|| doctor::virtual_cameras(Path::new("/sys")),
        &doctor::video_tool,
        &|| doctor::port(DEFAULT_SERVE),
        &configuration,
        &|| doctor::styles(args.style.resolve().engine),
        &|| speed(args),
    ];
    let mut faults = 0;
    for look in looks {
        // Each is printed as soon as it is known.
        let finding = look();
        faults += usize::from(finding.mark == Mark::Fault);
        print(&text(&finding))?;
    }
    match faults {
        0 => Ok(()),
        1 => Err(Error::Tool("one thing is to be fixed: see 'fix' above".into())),
        _ => Err(Error::Tool(format!("{faults} things are to be fixed: see 'fix' above"))),
    }
}

fn text(Finding { mark, topic, text, remedy }: &Finding) -> String {
    let mark = match mark {
        Mark::Ok => "ok",
        Mark::Optional => "--",
        Mark::Fault => "fix",
    };
    let remedy = remedy.as_ref().map(|remedy| format!("{:20}-> {remedy}\n", "")).unwrap_or_default();
    format!("{mark:<4}{topic:<16}{text}\n{remedy}")
}

fn speed(args: &DoctorArgs) -> Finding {
    match args.style.open().and_then(|mut stylizer| doctor::speed(&mut stylizer)) {
        Ok(finding) => finding,
        Err(error) => Finding::of("speed", Err(error)),
    }
}

fn configuration() -> Finding {
    let there = |path: &Path| if path.exists() { "is used" } else { "is not there: the defaults are used" };
    Finding::of(
        "configuration",
        layers::of_files().map(|_| match config::file_path() {
            Some(path) => format!("{} {}", path.display(), there(&path)),
            None => "there is no home folder: the defaults are used".into(),
        }),
    )
}

/// Where a window would be shown.
fn display() -> Finding {
    let topic = "display";
    let missing = |text: String| Finding {
        mark: Mark::Optional,
        topic,
        text,
        remedy: Some("start it on a desktop, or without a window: --serve, --sink v4l2:DEVICE, --sink FILE.y4m".into()),
    };
    let ok = |text: String| Finding { mark: Mark::Ok, topic, text, remedy: None };
    if !cfg!(feature = "window") {
        return missing("this nijigen was built without windows".into());
    }
    if !cfg!(target_os = "linux") {
        return ok("the desktop's own".into());
    }
    let socket = |name| Path::new(&env::var_os("XDG_RUNTIME_DIR").unwrap_or_default()).join(name);
    match (env::var_os("WAYLAND_DISPLAY"), env::var("DISPLAY")) {
        (Some(name), _) if socket(&name).exists() => ok(format!("Wayland ({})", name.to_string_lossy())),
        (_, Ok(name)) if !name.is_empty() => match connect(&name) {
            Ok(()) => ok(format!("X11 ({name})")),
            Err(why) => missing(format!("X11 display {name} cannot be reached: {why}")),
        },
        _ => missing("there is none (neither WAYLAND_DISPLAY nor DISPLAY is set)".into()),
    }
}

#[cfg(all(target_os = "linux", feature = "window"))]
fn connect(display: &str) -> std::result::Result<(), String> {
    x11rb::connect(Some(display)).map(drop).map_err(|error| error.to_string())
}

#[cfg(not(all(target_os = "linux", feature = "window")))]
fn connect(_: &str) -> std::result::Result<(), String> {
    Ok(())
}
