//! `nijigen bench`, through the real binary.
#![allow(clippy::unwrap_used)]

mod clips;

use clips::{assert_fails, nijigen, said};
use serde_json::Value;

const SMALL: [&str; 6] = ["bench", "--style", "off", "--size", "64x48", "--frames=7"];

#[test]
fn the_json_has_its_stable_keys() {
    let output = nijigen().args(SMALL).args(["--threads", "1", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let mut wanted = [
        "fps",
        "latency_ms",
        "stages_ms",
        "macs_per_frame",
        "gmacs_per_s",
        "rss_mb",
        "reuse",
        "style",
        "engine",
        "isa",
        "size",
        "threads",
        "frames",
        "version",
        "cpu",
    ];
    wanted.sort_unstable();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, wanted);
    assert_eq!((report["frames"].as_u64(), report["threads"].as_u64()), (Some(7), Some(1)));
    assert_eq!((report["size"].as_str(), report["style"].as_str()), (Some("64x48"), Some("off")));
    assert_eq!(report["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    for number in ["/fps", "/latency_ms/p50", "/latency_ms/p95", "/latency_ms/p99"] {
        assert!(report.pointer(number).unwrap().as_f64().unwrap() > 0.0, "{number} in {report}");
    }
    for stage in ["source", "stylize", "sink"] {
        for share in ["p50", "p95"] {
            assert!(report["stages_ms"][stage][share].is_number(), "{stage} {share}");
        }
    }
    // Without a style there is no engine.
    assert_eq!((report["engine"].as_str(), report["isa"].as_str()), (Some("none"), Some("none")));
}

#[test]
fn engines_and_instruction_sets_are_chosen_and_said() {
    let report = |more: &[&str]| -> Value {
        let output = nijigen()
            .args(["bench", "--style", "anime", "--size", "64x48", "--frames", "1", "--threads", "1", "--json"])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let best = report(&[]);
    assert_eq!(best["engine"], "fused");
    assert_eq!(best["isa"], nijigen::engine::kernels::Isa::best().name());
    let scalar = report(&["--isa", "scalar", "--engine", "fused"]);
    assert_eq!((&scalar["engine"], &scalar["isa"]), (&"fused".into(), &"scalar".into()));
    assert_eq!(scalar["macs_per_frame"], best["macs_per_frame"]);
    assert_eq!(report(&["--engine", "tract"])["engine"], "tract");
}

#[test]
fn a_made_up_camera_tells_of_the_live_path() {
    let live = ["--live", "--fps", "100"];
    let output = nijigen().args(SMALL).args(live).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let live_report = &report["live"];
    assert_eq!(
        (live_report["camera_fps"].as_f64(), live_report["latency_limit_ms"].as_f64()),
        (Some(100.0), Some(20.0))
    );
    let count = |key: &str| live_report[key].as_u64().unwrap();
    assert_eq!(report["frames"].as_u64(), Some(7));
    assert!(count("captured") >= 7 + count("dropped"), "{report}");
    let met = report.pointer("/latency_ms/p95").unwrap().as_f64().unwrap() <= 20.0;
    assert_eq!(live_report["latency_is_met"].as_bool(), Some(met));
    for key in ["scale", "scale_steps", "over_budget"] {
        assert!(live_report[key].is_number(), "{key} in {report}");
    }
    // Seven frames of a camera with 100 per second take 60 ms and more: they are not drawn as fast as they can be.
    assert!(report["fps"].as_f64().unwrap() < 150.0, "{report}");

    let text = String::from_utf8(nijigen().args(SMALL).args(live).output().unwrap().stdout).unwrap();
    assert!(text.contains("camera      100 per second") && text.contains("a frame's period and 10 ms"), "{text}");
}

#[test]
fn people_get_a_table() {
    let output = nijigen().args(SMALL).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for row in ["style       off at 64x48, 7 frames", "frames/s", "latency ms", "memory"] {
        assert!(text.contains(row), "{row} in:\n{text}");
    }
}

#[test]
fn wrong_usage_is_said() {
    assert_fails(&nijigen().args(SMALL).args(["--engine", "abacus"]).output().unwrap(), 2, "abacus");
    assert_fails(&nijigen().args(SMALL).args(["--isa", "abacus"]).output().unwrap(), 2, "scalar");
    assert_fails(&nijigen().args(SMALL).args(["--fps", "30"]).output().unwrap(), 2, "--live");
    assert_fails(&nijigen().args(["bench", "--frames", "0"]).output().unwrap(), 2, "0");
}
