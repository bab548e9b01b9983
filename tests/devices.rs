//! `nijigen devices` and cameras that are not there. A machine may have cameras or none; `camera-vm.sh` brings its own.
#![cfg(feature = "camera")]
#![allow(clippy::unwrap_used)]

mod common;

use common::{nijigen, stderr};

#[test]
fn lists_cameras_or_says_that_there_are_none() {
    let text = nijigen().arg("devices").output().unwrap();
    let json = nijigen().args(["devices", "--json"]).output().unwrap();
    if text.status.success() {
        let cameras: Vec<serde_json::Value> = serde_json::from_slice(&json.stdout).unwrap();
        for camera in &cameras {
            assert!(String::from_utf8_lossy(&text.stdout).contains(camera["name"].as_str().unwrap()));
        }
        assert!(!cameras.is_empty());
    } else {
        assert_eq!(text.status.code(), Some(1));
        assert!(text.stdout.is_empty());
        let said = stderr(&text);
        assert!(said.starts_with("nijigen: no camera found (looked ") && !said.contains("--source"), "{said}");
        // A script asks for a list, and this is one.
        assert!(json.status.success(), "{}", stderr(&json));
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap(), serde_json::json!([]));
    }
}

#[test]
fn a_camera_that_is_not_there_is_an_error_at_once() {
    for which in
        ["camera:no such camera", "camera:4294967295", "camera:/dev/null", "camera:/dev/video-none,format=NV12"]
    {
        let output = nijigen().args(["run", "--style", "off", "--sink", "null", "--source", which]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{which}");
        let said = stderr(&output);
        assert!(said.starts_with("nijigen: there is no camera ") && said.contains("(found "), "{which}: {said}");
    }
}

#[test]
fn a_pixel_format_that_is_not_read_is_wrong_usage() {
    let output = nijigen().args(["run", "--sink", "null", "--source", "camera,format=H264"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("YUYV, NV12, YU12, MJPG"), "{}", stderr(&output));
}
