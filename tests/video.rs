//! `nijigen video`, through the real binary.
#![allow(clippy::unwrap_used)]

mod clips;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use clips::{FORMATS, assert_fails, frame_len, has_ffmpeg, names, nijigen, parse, said, tool, with_input, y4m};
use proptest::prelude::*;
use tempfile::tempdir;

/// `nijigen video --style off` from `input` to `output`.
fn video(input: impl AsRef<Path>, output: impl AsRef<Path>) -> Command {
    let mut command = nijigen();
    command.args(["video", "--style", "off"]).arg(input.as_ref()).arg("-o").arg(output.as_ref());
    command.stdin(Stdio::null());
    command
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn y4m_of_any_size_and_format_passes_through(
        width in 1usize..40, height in 1usize..40, format in 0..FORMATS.len(), frames in 1usize..5,
    ) {
        let (format, _) = FORMATS[format];
        let clip = y4m(width, height, format, frames);
        let output = with_input(&mut video("-", "-"), &clip);
        prop_assert!(output.status.success(), "{}", said(&output));
        let ((_, before), (header, after)) = (parse(&clip), parse(&output.stdout));
        let written = if format == "mono" { "420jpeg" } else { format };
        prop_assert_eq!(header, format!("YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C{written}"));
        prop_assert_eq!(after.len(), before.len());
        for (a, b) in after.iter().zip(&before) {
            prop_assert_eq!(a.len(), frame_len(width, height, written));
            for (a, b) in a.iter().zip(b) {
                prop_assert!(a.abs_diff(*b) <= 2, "{} was {}", a, b);
            }
        }
    }
}

#[test]
fn a_file_becomes_a_file() {
    let folder = tempdir().unwrap();
    let (input, output) = (folder.path().join("in.y4m"), folder.path().join("out.y4m"));
    fs::write(&input, y4m(20, 10, "422", 30)).unwrap();
    fs::write(&output, "what stood there").unwrap();
    let done = video(&input, &output).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("30 frames"), "{}", said(&done));
    assert_eq!(parse(&fs::read(&output).unwrap()).1.len(), 30);
    assert_eq!(names(folder.path()), ["in.y4m", "out.y4m"]);
}

#[test]
fn failures_leave_what_was_there() {
    let folder = tempdir().unwrap();
    let (input, output) = (folder.path().join("in.y4m"), folder.path().join("out.y4m"));
    let clip = y4m(20, 10, "420jpeg", 30);
    fs::write(&input, &clip[..clip.len() - 1]).unwrap();
    fs::write(&output, "what stood there").unwrap();
    assert_fails(&video(&input, &output).output().unwrap(), 1, "cut off within frame 29");
    assert_fails(&video(folder.path().join("none"), &output).output().unwrap(), 1, "cannot read");
    assert_fails(&video(&input, &input).output().unwrap(), 2, "written over itself");
    assert_fails(&video(&input, folder.path().join("out")).output().unwrap(), 2, "needs an ending");
    assert_eq!(fs::read(&output).unwrap(), b"what stood there");
    assert_eq!(fs::read(&input).unwrap(), clip[..clip.len() - 1]);
    assert_eq!(names(folder.path()), ["in.y4m", "out.y4m"]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_no_half_video() {
    let folder = tempdir().unwrap();
    let mut child =
        video("-", folder.path().join("out.y4m")).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&y4m(16, 8, "420jpeg", 3)).unwrap();
    clips::wait_until("the first frames", || {
        fs::read_dir(folder.path()).unwrap().any(|e| e.unwrap().metadata().unwrap().len() > 400)
    });
    clips::interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_fails(&output, 1, "interrupted");
    assert_eq!(names(folder.path()), Vec::<String>::new());
    drop(stdin);
}

#[test]
fn a_missing_ffmpeg_is_said_with_the_way_around_it() {
    let folder = tempdir().unwrap();
    let (clip, other) = (folder.path().join("clip.y4m"), folder.path().join("clip.mkv"));
    fs::write(&clip, y4m(16, 16, "420jpeg", 2)).unwrap();
    fs::write(&other, "not looked at").unwrap();
    for (input, output) in [(&other, "out.y4m"), (&clip, "out.mp4")] {
        let output = video(input, folder.path().join(output)).env("PATH", "").output().unwrap();
        assert_fails(&output, 1, "install ffmpeg");
        assert!(said(&output).contains("Y4M, which works without it"), "{}", said(&output));
    }
    assert_eq!(names(folder.path()), ["clip.mkv", "clip.y4m"]);
}

/// Of the first video stream: width, height, frame rate, number of frames.
fn pictures(path: &Path) -> String {
    let entries = "stream=width,height,avg_frame_rate,nb_read_frames";
    let args = ["-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", entries, "-of", "csv=p=0"];
    tool("ffprobe", &[&args[..], &[path.to_str().unwrap()]].concat()).trim().to_string()
}

/// The codecs of a file's sound.
fn sound(path: &Path) -> String {
    let args = ["-v", "error", "-select_streams", "a", "-show_entries", "stream=codec_name", "-of", "csv=p=0"];
    tool("ffprobe", &[&args[..], &[path.to_str().unwrap()]].concat()).trim().to_string()
}

/// When each frame is shown, in milliseconds.
fn times(path: &Path) -> Vec<f64> {
    let args = ["-v", "error", "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time"];
    let text = tool("ffprobe", &[&args[..], &["-of", "csv=p=0", path.to_str().unwrap()]].concat());
    text.lines()
        .map(|line| line.trim_matches(','))
        .filter(|line| !line.is_empty())
        .map(|line| line.parse::<f64>().unwrap() * 1000.0)
        .collect()
}

/// The first frame as RGB, 8×8.
fn first_frame(path: &Path) -> Vec<u8> {
    let args = ["-v", "error", "-i", path.to_str().unwrap(), "-frames:v", "1", "-vf", "scale=8:8:flags=area"];
    let output = Command::new("ffmpeg").args(args).args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]).output().unwrap();
    output.stdout
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

#[test]
fn rate_rotation_sound_and_colours_are_kept() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let source = ["-f", "lavfi", "-i", "testsrc=size=96x64:rate=30000/1001:duration=1"];
    let tone = ["-f", "lavfi", "-i", "sine=duration=1"];
    let plain = path("plain.mp4");
    let hd =
        ["-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709", "-pix_fmt", "yuv420p", "-c:a", "aac", "-y"];
    tool("ffmpeg", &[&["-v", "error"], &source[..], &tone, &hd, &[plain.to_str().unwrap()]].concat());
    for (name, codec) in [("out.mp4", "aac"), ("out.mkv", "aac"), ("out.avi", "aac")] {
        let out = path(name);
        let done = video(&plain, &out).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
        assert_eq!((pictures(&out), sound(&out)), ("96,64,30000/1001,30".into(), codec.into()), "{name}");
        let kinds = ["-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", out.to_str().unwrap()];
        assert!(tool("ffprobe", &kinds).starts_with("video"), "{name}: the picture comes first");
        // AVI cannot say how its colours are coded, and players differ in what they take them for.
        if name != "out.avi" {
            // With BT.601 in the place of BT.709 it would be 6.7.
            let difference = mean_difference(&first_frame(&out), &first_frame(&plain));
            assert!(difference < 3.0, "{name}: colours are {difference} apart");
        }
    }

    // A telephone that was held upright: stored lying, with a note to turn it.
    let (lying, turned) = (path("lying.mov"), path("turned.mp4"));
    let plain_name = plain.to_str().unwrap();
    let rotate = ["-v", "error", "-i", plain_name, "-c", "copy", "-metadata:s:v", "rotate=90", lying.to_str().unwrap()];
    tool("ffmpeg", &rotate);
    let entries = ["-v", "error", "-show_entries", "stream_side_data=rotation", lying.to_str().unwrap()];
    if tool("ffprobe", &entries).contains("90") {
        assert!(video(&lying, &turned).status().unwrap().success());
        assert_eq!(pictures(&turned), "64,96,30000/1001,30");
    } else {
        eprintln!("SKIPPED: this ffmpeg does not write a rotation in this way");
    }

    // Where there is no place for sound, the picture is written all the same.
    let gif = path("out.gif");
    let done = video(&plain, &gif).output().unwrap();
    assert!(done.status.success() && said(&done).contains("takes no sound"), "{}", said(&done));
    assert_eq!(sound(&gif), "");

    // Sound that the other container does not take is coded anew.
    let webm = path("out.webm");
    let done = video(&plain, &webm).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    assert!(["opus", "vorbis"].contains(&sound(&webm).as_str()), "{}", sound(&webm));
}

#[test]
fn frames_that_come_at_varying_times_keep_them() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempdir().unwrap();
    let (uneven, out) = (folder.path().join("uneven.mkv"), folder.path().join("out.mp4"));
    // Of 60 frames at 30 per second, every fifth and every seventh.
    let select = "testsrc=size=64x48:rate=30:duration=2,select='not(mod(n,5))+not(mod(n,7))'";
    let args = ["-v", "error", "-f", "lavfi", "-i", select, "-vsync", "vfr", "-pix_fmt", "yuv420p"];
    tool("ffmpeg", &[&args[..], &[uneven.to_str().unwrap()]].concat());
    let done = video(&uneven, &out).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    let (before, after) = (times(&uneven), times(&out));
    assert_eq!(after.len(), before.len());
    assert!(before.windows(3).any(|t| (t[2] - t[1] - (t[1] - t[0])).abs() > 20.0), "the test's clip is even");
    for (a, b) in after.iter().zip(&before) {
        assert!(((a - after[0]) - (b - before[0])).abs() <= 2.0, "{after:?} was {before:?}");
    }
}

#[test]
fn odd_sizes_and_y4m_go_into_video_files() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempdir().unwrap();
    let (clip, out, back) = (folder.path().join("a.y4m"), folder.path().join("a.mp4"), folder.path().join("b.y4m"));
    fs::write(&clip, y4m(33, 21, "444", 12)).unwrap();
    assert!(video(&clip, &out).status().unwrap().success());
    assert_eq!(pictures(&out), "33,21,25/1,12");
    assert!(video(&out, &back).status().unwrap().success());
    assert_eq!(parse(&fs::read(&back).unwrap()).1.len(), 12);
}

#[test]
fn what_ffmpeg_refuses_is_said_with_what_to_do() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.y4m"), y4m(16, 16, "420jpeg", 20)).unwrap();
    fs::write(path("text.mp4"), "this is a text and no video, whatever its name says").unwrap();
    tool("ffmpeg", &["-v", "error", "-f", "lavfi", "-i", "sine=duration=1", path("song.wav").to_str().unwrap()]);
    tool(
        "ffmpeg",
        &["-v", "error", "-f", "lavfi", "-i", "testsrc=size=16x16", "-frames:v", "1", path("p.png").to_str().unwrap()],
    );
    fs::write(path("other.y4m"), fs::read(path("song.wav")).unwrap()).unwrap();
    for (input, output, status, words) in [
        ("a.y4m", "out.nonsense", 2, ".mp4, .mkv, .webm or .y4m"),
        ("a.y4m", "out.png", 2, ".mp4, .mkv, .webm or .y4m"),
        ("a.y4m", "no/out.mp4", 1, "no is missing"),
        ("text.mp4", "out.mp4", 1, "text.mp4 is not a video that ffmpeg can read"),
        ("song.wav", "out.mp4", 1, "holds no video"),
        ("p.png", "out.mp4", 1, "nijigen image"),
        ("other.y4m", "out.mp4", 1, "other.y4m is not a Y4M file"),
    ] {
        assert_fails(&video(path(input), path(output)).output().unwrap(), status, words);
    }
    let without = video(path("other.y4m"), path("out.y4m")).env("PATH", "").output().unwrap();
    assert_fails(&without, 1, "other.y4m is not a Y4M file");
    assert_eq!(names(folder.path()), ["a.y4m", "other.y4m", "p.png", "song.wav", "text.mp4"]);
}

#[test]
fn what_can_be_read_of_a_cut_video_is_kept_and_the_status_tells() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempdir().unwrap();
    let (whole, cut, out) =
        (folder.path().join("whole.mkv"), folder.path().join("cut.mkv"), folder.path().join("out.mp4"));
    let source = ["-v", "error", "-f", "lavfi", "-i", "testsrc=size=96x64:rate=30:duration=2", "-pix_fmt", "yuv420p"];
    tool("ffmpeg", &[&source[..], &[whole.to_str().unwrap()]].concat());
    let bytes = fs::read(&whole).unwrap();
    fs::write(&cut, &bytes[..bytes.len() * 2 / 3]).unwrap();
    assert_fails(&video(&cut, &out).output().unwrap(), 1, "cut.mkv is damaged or its end is missing");
    let pictures = pictures(&out);
    let frames: u32 = pictures.rsplit(',').next().unwrap().parse().unwrap();
    assert!((1..60).contains(&frames), "{pictures}");
}
