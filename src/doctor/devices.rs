//! Cameras, and cameras that are none.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::error::Error;
use crate::source::camera::{self, Survey};

/// How to become one who may use cameras.
const JOIN_GROUP: &str = "sudo usermod -aG video $USER, then log out and in again";
/// How to make a virtual camera, with the option that Chromium and its kin want.
const LOAD_MODULE: &str = "sudo modprobe v4l2loopback video_nr=10 card_label=nijigen exclusive_caps=1";

/// The cameras that there are and may be used.
pub fn cameras() -> Finding {
    let Survey { cameras, looked } = match camera::list() {
        Ok(survey) => survey,
        Err(error) => return Finding::of("camera", Err(error)),
    };
    let forbidden = forbidden(Path::new("/dev"));
    if let Some(path) = forbidden.first() {
        return Finding::fault("camera", format!("{} may not be opened", path.display()), JOIN_GROUP);
    }
    if cameras.is_empty() {
        return Finding::fault(
            "camera",
            format!("none was found ({looked})"),
            "plug one in, or try `nijigen run --source synthetic`",
        );
    }
    let mut names = Vec::new();
    for (camera, offer) in &cameras {
        match offer {
            Ok(_) => names.push(format!("{} {}", camera.index, camera.name)),
            Err(problem) => {
                let error: Result<String, Error> = Err(Error::Camera(problem.to_string()));
                return Finding::of("camera", error);
            }
        }
    }
    Finding::ok("camera", format!("{} (`nijigen devices` shows what they offer)", names.join(", ")))
}

/// Video devices in `dev` that we may not open.
fn forbidden(dev: &Path) -> Vec<PathBuf> {
    let is_video = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.strip_prefix("video").is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let mut paths: Vec<_> = fs::read_dir(dev).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.retain(is_video);
    paths.sort();
    let denied = |path: &PathBuf| {
        let opened = OpenOptions::new().read(true).write(true).open(path);
        opened.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    paths.retain(denied);
    paths
}

/// The devices of v4l2loopback, through which other programs see the picture as a camera's; `sys` is where the system tells
/// of itself (`/sys`).
pub fn virtual_cameras(sys: &Path) -> Finding {
    let topic = "virtual camera";
    if !cfg!(all(target_os = "linux", feature = "v4l2")) {
        return Finding::optional(
            topic,
            "this nijigen is no camera for other programs",
            "use the page's stream in OBS: nijigen run --serve",
        );
    }
    let mut devices: Vec<String> = fs::read_dir(sys.join("devices/virtual/video4linux"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            let label = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            format!("/dev/{} ({})", entry.file_name().to_string_lossy(), label.trim())
        })
        .collect();
    devices.sort();
    match (devices.is_empty(), sys.join("module/v4l2loopback").exists()) {
        (false, true) => Finding::ok(topic, format!("{} (--sink v4l2:DEVICE)", devices.join(", "))),
        (true, true) => Finding::optional(
            topic,
            "v4l2loopback is loaded and has no device",
            format!("sudo rmmod v4l2loopback, then {LOAD_MODULE}"),
        ),
        _ => Finding::optional(
            topic,
            "v4l2loopback is not loaded: other programs cannot see the picture as a camera's",
            format!("sudo apt install v4l2loopback-dkms, then {LOAD_MODULE}"),
        ),
    }
}

#[cfg(all(test, target_os = "linux", feature = "v4l2"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Mark;
    use super::*;

    #[test]
    fn a_virtual_camera_is_found_where_the_system_tells_of_it() {
        let sys = tempfile::tempdir().unwrap();
        let said = |finding: Finding| (finding.mark, finding.text + &finding.remedy.unwrap_or_default());
        let (mark, text) = said(virtual_cameras(sys.path()));
        assert!(mark == Mark::Optional && text.contains("not loaded") && text.contains("modprobe"), "{text}");
        fs::create_dir_all(sys.path().join("module/v4l2loopback")).unwrap();
        let (mark, text) = said(virtual_cameras(sys.path()));
        assert!(mark == Mark::Optional && text.contains("rmmod"), "{text}");
        let device = sys.path().join("devices/virtual/video4linux/video10");
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("name"), "nijigen\n").unwrap();
        let (mark, text) = said(virtual_cameras(sys.path()));
        assert!(mark == Mark::Ok && text.contains("/dev/video10 (nijigen)"), "{text}");
    }

    #[test]
    fn only_video_devices_are_asked_for() {
        let dev = tempfile::tempdir().unwrap();
        fs::write(dev.path().join("video0"), "").unwrap();
        fs::write(dev.path().join("videos"), "").unwrap();
        assert_eq!(forbidden(dev.path()), Vec::<PathBuf>::new());
    }
}
