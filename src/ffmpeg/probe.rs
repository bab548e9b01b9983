//! What `ffprobe` says of a file.

use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;

use super::process::{Process, command, file_argument};
use crate::error::{Error, Result};
use crate::frame::{MAX_SIDE, Rate, Size};

/// A video file's first moving picture, and its sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Number of the video stream in the file.
    pub stream: u32,
    /// Stored width and height, before any rotation.
    pub stored: (u32, u32),
    /// Frames per second, their mean where frames come at varying times.
    pub rate: Rate,
    /// Whether frames come at equal distances.
    pub constant: bool,
    /// How many frames there are, as far as the file tells; for progress bars.
    pub frames: Option<u64>,
    /// When the first frame is shown, in seconds from the start of the file.
    pub offset: f64,
    /// Whether there is sound.
    pub sound: bool,
    /// Width of a pixel over its height, where it is not a square.
    pub pixel_aspect: Option<(u32, u32)>,
    /// Names of the matrix, the transfer curve and the primaries, as ffmpeg calls them, where the file tells.
    pub colour: Colour,
}

/// How colours are coded, by ffmpeg's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Colour {
    /// `bt709`, `smpte170m`, …
    pub matrix: Option<String>,
    /// The transfer curve.
    pub transfer: Option<String>,
    /// The primaries.
    pub primaries: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Default, Deserialize)]
struct Format {
    #[serde(default)]
    format_name: String,
    start_time: Option<String>,
    duration: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Stream {
    index: u32,
    codec_type: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    r_frame_rate: Option<String>,
    avg_frame_rate: Option<String>,
    nb_frames: Option<String>,
    duration: Option<String>,
    start_time: Option<String>,
    sample_aspect_ratio: Option<String>,
    color_space: Option<String>,
    color_transfer: Option<String>,
    color_primaries: Option<String>,
    #[serde(default)]
    disposition: Disposition,
}

#[derive(Debug, Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    attached_pic: u8,
}

/// Asks ffprobe about `path`.
///
/// # Errors
/// When ffprobe is missing, cannot read the file, or finds no video of a size that we take.
pub fn probe(path: &Path) -> Result<Probe> {
    let name = path.display().to_string();
    let json = ask(path, &["-print_format", "json", "-show_format", "-show_streams"])?;
    let answer: Answer = serde_json::from_slice(&json)
        .map_err(|e| Error::Tool(format!("ffprobe's answer about {name} cannot be understood: {e}")))?;
    let mut probe = understand(&answer, &name)?;
    tracing::debug!("{name}: {probe:?}");
    if probe.constant && answer.format.format_name.contains("matroska") {
        // Matroska states the distance of frames that its writer expected, not the one that they have.
        let stream = probe.stream.to_string();
        let first = format!("%+#{PACKETS}");
        let entries = ["-show_entries", "packet=pts_time", "-of", "csv=p=0", "-read_intervals", &first];
        let times = ask(path, &[&["-select_streams", &stream], &entries[..]].concat())?;
        probe.constant = evenly_spaced(&String::from_utf8_lossy(&times));
    }
    Ok(probe)
}

/// How many packets are looked at to see whether frames come at equal distances.
const PACKETS: usize = 600;

/// Whether packets, whose times in seconds are given a line each, in any order, are the same distance apart; times may be
/// rounded to milliseconds.
fn evenly_spaced(times: &str) -> bool {
    let mut times: Vec<f64> = times.lines().filter_map(|line| line.trim_matches(',').trim().parse().ok()).collect();
    times.sort_by(f64::total_cmp);
    let steps = times.windows(2).map(|pair| pair[1] - pair[0]);
    let (least, most) = steps.fold((f64::INFINITY, 0.0_f64), |(least, most), step| (least.min(step), most.max(step)));
    times.len() < 3 || most - least < 0.0025
}

impl Probe {
    /// The shape of a pixel that is not square, after the picture was turned upright to `size`.
    pub fn upright_aspect(&self, size: Size) -> Option<(u32, u32)> {
        let turned = self.stored.0 != self.stored.1 && self.stored == (size.height, size.width);
        self.pixel_aspect.map(|(width, height)| if turned { (height, width) } else { (width, height) })
    }
}

/// What ffprobe prints about `path` when asked with `questions`.
fn ask(path: &Path, questions: &[&str]) -> Result<Vec<u8>> {
    let mut call = command("ffprobe");
    call.args(["-v", "error"]).args(questions).arg(file_argument(path)).stdout(Stdio::piped());
    let mut process = Process::start("ffprobe", call, |_| false)?;
    let mut answer = Vec::new();
    if let Some(mut stdout) = process.stdout() {
        std::io::Read::read_to_end(&mut stdout, &mut answer).map_err(|e| Error::io("read", path, e))?;
    }
    process.wait().map_err(|failure| failure.reading(&path.display().to_string()))?;
    Ok(answer)
}

fn understand(answer: &Answer, name: &str) -> Result<Probe> {
    // A photo is a film of one frame to ffmpeg, and a text file a film of letters.
    let format = answer.format.format_name.as_str();
    if format == "image2" || format.ends_with("_pipe") {
        return Err(Error::Input(format!("{name} is a picture, not a video; use `nijigen image` for it")));
    }
    let moving = |s: &&Stream| s.codec_type.as_deref() == Some("video") && s.disposition.attached_pic == 0;
    let stream = answer.streams.iter().find(moving).filter(|_| format != "tty");
    let Some(stream) = stream else {
        return Err(Error::Input(format!("{name} holds no video; give a video file")));
    };
    let stored = (stream.width.unwrap_or(0), stream.height.unwrap_or(0));
    if !(1..=MAX_SIDE).contains(&stored.0) || !(1..=MAX_SIDE).contains(&stored.1) {
        let (width, height) = stored;
        return Err(Error::Input(format!("{name} is {width}x{height}; each side is 1 to {MAX_SIDE} pixels")));
    }
    let rate_of = |text: &Option<String>| text.as_ref().and_then(|t| t.parse::<Rate>().ok());
    let (steps, mean) = (rate_of(&stream.r_frame_rate), rate_of(&stream.avg_frame_rate));
    let rate = mean.or(steps).or(Rate::new(25, 1));
    let rate = rate.ok_or_else(|| Error::Input(format!("{name} has an impossible frame rate")))?;
    let seconds = |text: &Option<String>| text.as_ref().and_then(|t| t.parse::<f64>().ok()).filter(|s| s.is_finite());
    let counted = stream.nb_frames.as_ref().and_then(|n| n.parse().ok());
    let duration = seconds(&stream.duration).or(seconds(&answer.format.duration));
    let frames = counted.or(duration.map(|d| (d * rate.as_f64()).round() as u64)).filter(|&n: &u64| n > 0);
    let offset = seconds(&stream.start_time).unwrap_or(0.0) - seconds(&answer.format.start_time).unwrap_or(0.0);
    let known = |text: &Option<String>| text.clone().filter(|t| t != "unknown" && t != "reserved");
    Ok(Probe {
        stream: stream.index,
        stored,
        rate,
        constant: steps.is_some() && steps == mean,
        frames,
        offset: offset.max(0.0),
        sound: answer.streams.iter().any(|s| s.codec_type.as_deref() == Some("audio")),
        pixel_aspect: stream.sample_aspect_ratio.as_deref().and_then(pixel_aspect),
        colour: Colour {
            matrix: known(&stream.color_space),
            transfer: known(&stream.color_transfer),
            primaries: known(&stream.color_primaries),
        },
    })
}

fn pixel_aspect(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once(':')?;
    let aspect = (width.parse().ok()?, height.parse().ok()?);
    (aspect.0 > 0 && aspect.1 > 0 && aspect.0 != aspect.1).then_some(aspect)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn understood(json: &str) -> Result<Probe> {
        understand(&serde_json::from_str(json).unwrap(), "it")
    }

    #[test]
    fn a_phone_s_video_is_understood() {
        let probe = understood(
            r#"{"streams": [
                {"index": 0, "codec_type": "audio", "start_time": "0.000000"},
                {"index": 1, "codec_type": "video", "width": 1920, "height": 1080, "r_frame_rate": "30/1",
                 "avg_frame_rate": "149000/4981", "nb_frames": "149", "duration": "4.981", "start_time": "0.080000",
                 "sample_aspect_ratio": "1:1", "color_space": "bt709", "color_transfer": "unknown"}],
                "format": {"format_name": "mov,mp4", "start_time": "0.000000", "duration": "5.0"}}"#,
        )
        .unwrap();
        assert_eq!((probe.stream, probe.stored, probe.constant, probe.frames), (1, (1920, 1080), false, Some(149)));
        assert_eq!((probe.offset, probe.sound, probe.pixel_aspect), (0.08, true, None));
        assert_eq!((probe.colour.matrix.as_deref(), probe.colour.transfer), (Some("bt709"), None));
    }

    #[test]
    fn a_film_without_a_frame_count_is_measured_by_its_length() {
        let probe = understood(
            r#"{"streams": [{"index": 0, "codec_type": "video", "width": 720, "height": 576, "r_frame_rate": "25/1",
                "avg_frame_rate": "25/1", "sample_aspect_ratio": "16:15"}],
                "format": {"format_name": "matroska,webm", "duration": "2.2"}}"#,
        )
        .unwrap();
        assert_eq!((probe.frames, probe.constant, probe.pixel_aspect), (Some(55), true, Some((16, 15))));
        let (width, height) = probe.stored;
        assert_ne!(width, height);
        assert_eq!(probe.upright_aspect(Size::new(width, height)), Some((16, 15)));
        assert_eq!(probe.upright_aspect(Size::new(height, width)), Some((15, 16)), "it was turned");
    }

    #[test]
    fn frames_at_uneven_times_are_noticed_in_whatever_order_they_are_stored() {
        assert!(evenly_spaced("0.000,\n0.067\n0.033\n0.100\n"));
        assert!(!evenly_spaced("0.000\n0.467\n0.233\n0.167\n"));
        assert!(evenly_spaced("0.5\n"));
    }

    #[test]
    fn what_is_no_video_is_refused() {
        let song = r#"{"streams": [{"index": 0, "codec_type": "audio"}, {"index": 1, "codec_type": "video",
            "width": 300, "height": 300, "disposition": {"attached_pic": 1}}], "format": {"format_name": "mp3"}}"#;
        let photo = r#"{"streams": [{"index": 0, "codec_type": "video", "width": 9, "height": 9}],
            "format": {"format_name": "png_pipe"}}"#;
        let huge = r#"{"streams": [{"index": 0, "codec_type": "video", "width": 90000, "height": 9}],
            "format": {"format_name": "mov"}}"#;
        for (json, said) in [(song, "holds no video"), (photo, "nijigen image"), (huge, "90000x9"), ("{}", "no video")]
        {
            let error = understood(json).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
