//! `nijigen devices`: the cameras, with what they offer.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::print;
use crate::error::{Error, Result};
use crate::frame::{Rate, Size};
use crate::source::camera::modes::{Mode, Rates, Sizes};
use crate::source::camera::{self, Listed, Survey};

/// List the cameras with their formats, sizes and rates
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  nijigen devices
  nijigen devices --json
  nijigen run --source camera:0                          the one with number 0
  nijigen run --source camera:brio                       'brio' is in its name
  nijigen run --source camera:/dev/video2,format=MJPG    MJPEG of this device")]
pub struct DevicesArgs {
    /// Print JSON: an array of cameras, empty where there is none
    #[arg(long)]
    json: bool,
}

/// Lists the cameras on standard output.
///
/// # Errors
/// When there is none (as JSON that is an empty list, and no error), or the output cannot be written.
pub fn run(args: &DevicesArgs) -> Result<()> {
    let Survey { cameras, looked } = camera::list()?;
    if args.json {
        return print(&json(&cameras)?);
    }
    if cameras.is_empty() {
        return Err(Error::Camera(format!("no camera found ({looked}); plug one in and list again")));
    }
    print(&text(&cameras))
}

/// One paragraph for each camera, one line for each size of each format.
fn text(listed: &[Listed]) -> String {
    let mut lines = Vec::new();
    for (camera, offer) in listed {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let path = camera.path.as_ref().map(|path| format!("  {}", path.display())).unwrap_or_default();
        lines.push(format!("{}  {}{path}", camera.index, camera.name));
        lines.extend(camera.links.iter().map(|link| format!("   {link}")));
        let offer = match offer {
            Ok(offer) => offer,
            Err(problem) => {
                lines.push(format!("   {problem}"));
                continue;
            }
        };
        let width = offer.modes.iter().map(|mode| mode.sizes.to_string().len()).max().unwrap_or(0);
        let mut last = None;
        for mode in &offer.modes {
            let format = if last == Some(mode.fourcc) { String::new() } else { mode.format.to_string() };
            lines.push(format!("   {format:<4}  {:<width$}  {}", mode.sizes, mode.rates));
            last = Some(mode.fourcc);
        }
        if !offer.unread.is_empty() {
            lines.push(format!("   not read by nijigen: {}", offer.unread.join(", ")));
        }
    }
    lines.join("\n") + "\n"
}

#[derive(Serialize)]
struct CameraEntry<'a> {
    index: u32,
    name: &'a str,
    path: Option<&'a Path>,
    ids: &'a [String],
    modes: Vec<ModeEntry>,
    unread_formats: &'a [String],
    /// Why the camera cannot be asked.
    problem: Option<String>,
}

#[derive(Serialize)]
struct ModeEntry {
    format: String,
    sizes: SizesEntry,
    /// Frames per second; empty where the camera does not tell.
    rates: RatesEntry,
}

#[derive(Serialize)]
#[serde(untagged)]
enum SizesEntry {
    One { width: u32, height: u32 },
    Range { min: [u32; 2], max: [u32; 2], step: [u32; 2] },
}

#[derive(Serialize)]
#[serde(untagged)]
enum RatesEntry {
    Some(Vec<f64>),
    Range { min: f64, max: f64 },
}

impl From<&Mode> for ModeEntry {
    fn from(mode: &Mode) -> Self {
        let pair = |size: Size| [size.width, size.height];
        let sizes = match mode.sizes {
            Sizes::One(size) => SizesEntry::One { width: size.width, height: size.height },
            Sizes::Range { min, max, step } => SizesEntry::Range { min: pair(min), max: pair(max), step: pair(step) },
        };
        let fps = |rate: &Rate| (rate.as_f64() * 1000.0).round() / 1000.0;
        let rates = match &mode.rates {
            Rates::Some(rates) => RatesEntry::Some(rates.iter().map(fps).collect()),
            Rates::Range(lowest, highest) => RatesEntry::Range { min: fps(lowest), max: fps(highest) },
        };
        Self { format: mode.format.to_string(), sizes, rates }
    }
}

fn json(listed: &[Listed]) -> Result<String> {
    let entries: Vec<CameraEntry> = listed
        .iter()
        .map(|(camera, offer)| CameraEntry {
            index: camera.index,
            name: &camera.name,
            path: camera.path.as_deref(),
            ids: &camera.links,
            modes: offer.iter().flat_map(|offer| &offer.modes).map(ModeEntry::from).collect(),
            unread_formats: offer.as_ref().map_or(&[], |offer| &offer.unread),
            problem: offer.as_ref().err().map(Error::to_string),
        })
        .collect();
    let json = serde_json::to_string_pretty(&entries);
    Ok(json.map_err(|error| Error::Camera(format!("the cameras cannot be described as JSON: {error}")))? + "\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::source::camera::modes::Offer;
    use crate::source::camera::{Camera, PixelFormat};

    fn listed() -> Vec<Listed> {
        let camera = |index: u32, name: &str, links: &[&str]| Camera {
            index,
            name: name.into(),
            path: Some(format!("/dev/video{index}").into()),
            links: links.iter().map(ToString::to_string).collect(),
            bus: None,
        };
        let mode =
            |format: PixelFormat, sizes: Sizes, rates: Rates| Mode { format, fourcc: format.fourcc(), sizes, rates };
        let rate = |text: &str| text.parse::<Rate>().unwrap();
        let offer = Offer {
            modes: vec![
                mode(
                    PixelFormat::Mjpeg,
                    Sizes::One(Size::new(1280, 720)),
                    Rates::some(vec![rate("15"), rate("30000/1001")]),
                ),
                mode(PixelFormat::Mjpeg, Sizes::One(Size::new(640, 480)), Rates::some(vec![rate("30")])),
                mode(
                    PixelFormat::Yuyv,
                    Sizes::Range { min: Size::new(16, 16), max: Size::new(1920, 1080), step: Size::new(2, 2) },
                    Rates::Range(rate("1"), rate("60")),
                ),
                mode(PixelFormat::Grey, Sizes::One(Size::new(640, 480)), Rates::some(vec![])),
            ],
            unread: vec!["H264".into(), "HEVC".into()],
        };
        let locked = Error::Camera("no permission to use camera 2".into());
        vec![(camera(0, "HD Webcam", &["usb-046d_HD_Webcam"]), Ok(offer)), (camera(2, "Other", &[]), Err(locked))]
    }

    #[test]
    fn text_is_aligned() {
        assert_eq!(
            text(&listed()),
            "\
0  HD Webcam  /dev/video0
   usb-046d_HD_Webcam
   MJPG  1280x720            29.97, 15 fps
         640x480             30 fps
   YUYV  16x16 to 1920x1080  1 to 60 fps
   GREY  640x480             unknown rate
   not read by nijigen: H264, HEVC

2  Other  /dev/video2
   no permission to use camera 2
"
        );
    }

    #[test]
    fn json_holds_the_same() {
        let json: serde_json::Value = serde_json::from_str(&json(&listed()).unwrap()).unwrap();
        let camera = &json[0];
        assert_eq!(
            (&camera["index"], &camera["name"], &camera["path"]),
            (&0.into(), &"HD Webcam".into(), &"/dev/video0".into())
        );
        assert_eq!(camera["ids"][0], "usb-046d_HD_Webcam");
        assert_eq!(camera["modes"][0]["sizes"], serde_json::json!({"width": 1280, "height": 720}));
        assert_eq!(camera["modes"][0]["rates"], serde_json::json!([29.97, 15.0]));
        assert_eq!(camera["modes"][2]["sizes"]["max"], serde_json::json!([1920, 1080]));
        assert_eq!(camera["modes"][2]["rates"], serde_json::json!({"min": 1.0, "max": 60.0}));
        assert_eq!(camera["unread_formats"], serde_json::json!(["H264", "HEVC"]));
        assert_eq!(camera["problem"], serde_json::Value::Null);
        assert_eq!(json[1]["problem"], "no permission to use camera 2");
        assert_eq!(json[1]["modes"], serde_json::json!([]));
    }
}
