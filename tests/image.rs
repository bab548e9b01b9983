//! `nijigen image`, on pictures made here.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use common::{nijigen, stderr, tiny_style, waves};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ExtendedColorType, GenericImageView, ImageEncoder, RgbImage, Rgba, RgbaImage};
use proptest::prelude::*;

struct Room {
    folder: tempfile::TempDir,
    style: PathBuf,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let style = tiny_style(folder.path());
        Self { folder, style }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn photo(&self, name: &str, width: u32, height: u32) -> PathBuf {
        let path = self.at(name);
        RgbImage::from_raw(width, height, waves(width, height)).unwrap().save(&path).unwrap();
        path
    }

    /// Runs `nijigen image` with the tiny style, unless `rest` names another.
    fn run(&self, inputs: &[&Path], output: &Path, rest: &[&str]) -> Output {
        let mut command = nijigen();
        command.arg("image").args(inputs).arg("-o").arg(output).args(["--threads", "1"]);
        if !rest.contains(&"--style") {
            command.arg("--style").arg(&self.style);
        }
        command.args(rest).output().unwrap()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

/// One sentence about the failure, with the words given; no panic, no list of causes.
fn refused(output: &Output, code: i32, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    assert!(words.iter().all(|word| text.contains(word)) && !text.contains("panicked"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn any_size_in_any_format_keeps_its_size(
        width in 1..90_u32, height in 1..90_u32,
        from in prop::sample::select(vec!["in.png", "in.jpg", "in.webp"]),
        to in prop::sample::select(vec!["out.png", "out.jpeg", "out.webp", "out.PNG"]),
    ) {
        let room = Room::new();
        let photo = room.photo(from, width, height);
        let out = room.at(to);
        succeeded(&room.run(&[&photo], &out, &[]));
        prop_assert_eq!(image::open(out).unwrap().dimensions(), (width, height));
    }
}

#[test]
fn a_picture_in_tiles_is_drawn_like_its_parts() {
    let room = Room::new();
    let photo = room.photo("large.png", 2203, 1207);
    succeeded(&room.run(&[&photo], &room.at("out.png"), &["--detail", "full"]));
    // The upper left corner alone, cut far beyond the network's reach.
    image::open(&photo).unwrap().crop_imm(0, 0, 1000, 800).save(room.at("part.png")).unwrap();
    succeeded(&room.run(&[&room.at("part.png")], &room.at("part-out.png"), &["--detail", "full"]));
    let whole = image::open(room.at("out.png")).unwrap();
    assert_eq!(whole.dimensions(), (2203, 1207));
    let part = image::open(room.at("part-out.png")).unwrap();
    assert_eq!(whole.crop_imm(0, 0, 880, 680).to_rgb8(), part.crop_imm(0, 0, 880, 680).to_rgb8());
}

#[test]
fn a_large_photo_is_drawn_reduced_and_keeps_its_size() {
    let room = Room::new();
    let photo = room.photo("large.png", 1300, 900);
    let drawn = |photo: &Path, rest: &[&str]| {
        let out = room.at("out.png");
        succeeded(&room.run(&[photo], &out, rest));
        image::open(out).unwrap().into_rgb8()
    };
    let (usual, full, coarse) =
        (drawn(&photo, &[]), drawn(&photo, &["--detail", "full"]), drawn(&photo, &["--detail", "64"]));
    for picture in [&usual, &full, &coarse] {
        assert_eq!(picture.dimensions(), (1300, 900));
    }
    assert!(usual != full && coarse != full && coarse != usual);

    // A strength of 0 is the photo itself, with all that reducing would lose.
    assert_eq!(drawn(&photo, &["--strength", "0"]).into_raw(), waves(1300, 900));
    let ordinary = room.photo("ordinary.png", 640, 480);
    assert!(drawn(&ordinary, &[]) == drawn(&ordinary, &["--detail", "full"]));
    refused(&room.run(&[&photo], &room.at("no.png"), &["--style", "nosuch", "--detail", "9"]), 2, &["nosuch"]);
    let clap = room.run(&[&photo], &room.at("no.png"), &["--detail", "much"]);
    assert_eq!(clap.status.code(), Some(2));
    assert!(stderr(&clap).contains("'much' is no detail"), "{}", stderr(&clap));
}

#[test]
fn one_line_says_where_it_went_and_more_when_asked() {
    let room = Room::new();
    let photo = room.photo("in.png", 40, 30);
    let out = room.at("out.png");
    let said = |rest: &[&str]| {
        let output = room.run(&[&photo], &out, rest);
        succeeded(&output);
        stderr(&output)
    };
    let usual = said(&[]);
    assert_eq!(usual.lines().count(), 1, "{usual}");
    assert!(usual.contains("out.png: 40x30 in "), "{usual}");
    assert_eq!(said(&["-q"]), "");
    let more = said(&["-v", "--detail", "20"]);
    for words in ["tiny.onnx", "1 thread", "in.png: 40x30, drawn at 20x15 and enlarged", "out.png: ", " bytes in "] {
        assert!(more.contains(words), "'{words}' is not in: {more}");
    }
}

#[test]
fn an_enhanced_photo_is_restored_first_by_the_style_of_that_name() {
    let room = Room::new();
    let photo = room.photo("photo.png", 200, 120);
    // Its own style is what restores, so that it is drawn twice.
    fs::rename(tiny_style(&room.folder.path().join(".")), room.at("restore.onnx")).unwrap();
    let style = tiny_style(room.folder.path());
    let styles = ["--styles", room.folder.path().to_str().unwrap(), "--style"];
    let drawn = |photo: &Path, to: &str, style: &str, rest: &[&str]| {
        let out = room.at(to);
        succeeded(&room.run(&[photo], &out, &[&styles[..], &[style], rest].concat()));
        image::open(out).unwrap().into_rgb8()
    };
    let restored = drawn(&photo, "restored.png", "off", &["--enhance"]);
    assert_eq!(restored, drawn(&photo, "same.png", "restore", &["--detail", "full"]));
    let once = drawn(&photo, "once.png", style.to_str().unwrap(), &[]);
    let both = drawn(&photo, "both.png", style.to_str().unwrap(), &["--enhance"]);
    assert_eq!(both, drawn(&room.at("restored.png"), "after.png", style.to_str().unwrap(), &[]));
    assert!(both != once && both != restored);
}

#[test]
fn strength_mixes_with_the_photo() {
    let room = Room::new();
    let photo = room.photo("in.png", 40, 30);
    let drawn = |strength: &str| {
        succeeded(&room.run(&[&photo], &room.at("out.png"), &["--strength", strength]));
        image::open(room.at("out.png")).unwrap().into_rgb8().into_raw()
    };
    let (none, half, full) = (drawn("0"), drawn("0.5"), drawn("1"));
    assert_eq!(none, waves(40, 30));
    assert_ne!(full, none);
    assert!((0..half.len()).all(|i| (i32::from(none[i]) + i32::from(full[i]) - 2 * i32::from(half[i])).abs() <= 1));
}

#[test]
fn the_person_alone_or_all_but_the_person_is_drawn() {
    let room = Room::new();
    let photo = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/woman-street.jpg");
    let drawn = |rest: &[&str]| {
        let out = room.at("out.png");
        succeeded(&room.run(&[&photo], &out, &[&["--style", "anime"], rest].concat()));
        image::open(out).unwrap().into_rgb8()
    };
    let (all, plain) = (drawn(&[]), drawn(&["--strength", "0"]));
    let (person, background) = (drawn(&["--region", "person"]), drawn(&["--region", "background"]));
    // Where a picture is drawn as without a region, and where it is the photo; at the person's edge it is neither.
    let share = |a: &RgbImage, b: &RgbImage, (x, y): (u32, u32)| {
        let around = || (0..20).flat_map(|dy| (0..20).map(move |dx| (x + dx, y + dy)));
        around().filter(|&(x, y)| a[(x, y)] == b[(x, y)]).count() as f32 / 400.0
    };
    let (width, height) = all.dimensions();
    let (face, corner) = ((width / 2, height * 2 / 5), (width - 30, 10));
    assert!(share(&person, &all, face) > 0.9 && share(&person, &plain, face) < 0.5, "the face is drawn");
    assert!(share(&person, &plain, corner) > 0.9, "the street is not");
    assert!(share(&background, &plain, face) > 0.9, "the face is not drawn");
    assert!(share(&background, &all, corner) > 0.9 && share(&background, &plain, corner) < 0.5, "the street is");
}

#[test]
fn the_built_in_style_needs_no_file() {
    let room = Room::new();
    let photo = room.photo("in.png", 64, 48);
    succeeded(&room.run(&[&photo], &room.at("out.png"), &["--style", "anime"]));
    assert_ne!(image::open(room.at("out.png")).unwrap().into_rgb8().into_raw(), waves(64, 48));
}

#[test]
fn a_turned_photo_comes_out_upright() {
    let room = Room::new();
    // A TIFF header with one entry: orientation 6, "turn right to see it upright".
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    let mut photo = RgbImage::new(40, 20);
    // Its left edge, red, is the top when upright.
    for (x, _, pixel) in photo.enumerate_pixels_mut() {
        pixel.0 = if x < 10 { [255, 0, 0] } else { [0, 0, 255] };
    }
    let mut file = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut file, 100);
    encoder.set_exif_metadata(exif).unwrap();
    encoder.write_image(&photo, 40, 20, ExtendedColorType::Rgb8).unwrap();
    fs::write(room.at("in.jpg"), file).unwrap();
    succeeded(&room.run(&[&room.at("in.jpg")], &room.at("out.jpg"), &["--style", "off"]));
    let out = image::open(room.at("out.jpg")).unwrap().into_rgb8();
    assert_eq!(out.dimensions(), (20, 40));
    assert!(out.get_pixel(10, 3)[0] > 200 && out.get_pixel(10, 35)[2] > 200);
    assert!(!fs::read(room.at("out.jpg")).unwrap().windows(4).any(|w| w == b"Exif"), "no stale orientation");
}

#[test]
fn transparency_is_kept_and_white_in_jpeg() {
    let room = Room::new();
    let mut photo = RgbaImage::from_pixel(30, 20, Rgba([10, 200, 30, 255]));
    photo.put_pixel(3, 4, Rgba([10, 200, 30, 77]));
    (16..30).for_each(|x| (0..20).for_each(|y| photo.put_pixel(x, y, Rgba([0, 0, 0, 0]))));
    photo.save(room.at("in.png")).unwrap();
    for name in ["out.png", "out.webp"] {
        succeeded(&room.run(&[&room.at("in.png")], &room.at(name), &[]));
        let out = image::open(room.at(name)).unwrap().into_rgba8();
        assert_eq!((out.get_pixel(3, 4)[3], out.get_pixel(20, 4)[3], out.get_pixel(0, 0)[3]), (77, 0, 255));
    }
    let output = room.run(&[&room.at("in.png")], &room.at("out.jpg"), &["--style", "off"]);
    succeeded(&output);
    assert!(stderr(&output).contains("transparen"), "{}", stderr(&output));
    let out = image::open(room.at("out.jpg")).unwrap().into_rgb8();
    assert!(out.get_pixel(25, 10).0.iter().all(|v| *v > 240));
}

#[test]
fn sixteen_bits_and_grey_are_taken() {
    let room = Room::new();
    let photo = DynamicImage::ImageRgb8(RgbImage::from_raw(24, 18, waves(24, 18)).unwrap());
    let pictures = [
        photo.to_luma8().into(),
        photo.to_luma16().into(),
        photo.to_luma_alpha8().into(),
        DynamicImage::from(photo.to_rgb16()),
        photo.to_rgba16().into(),
    ];
    for picture in pictures {
        picture.save(room.at("in.png")).unwrap();
        succeeded(&room.run(&[&room.at("in.png")], &room.at("out.png"), &["--style", "off"]));
        let out = image::open(room.at("out.png")).unwrap().into_rgb8();
        let expected = picture.into_rgb8();
        assert!(out.iter().zip(expected.iter()).all(|(a, b)| a.abs_diff(*b) <= 1));
    }
}

#[test]
fn compare_puts_both_side_by_side() {
    let room = Room::new();
    let photo = room.photo("in.png", 33, 20);
    succeeded(&room.run(&[&photo], &room.at("alone.png"), &[]));
    succeeded(&room.run(&[&photo], &room.at("both.png"), &["--compare"]));
    let both = image::open(room.at("both.png")).unwrap();
    assert_eq!(both.dimensions(), (66, 20));
    assert_eq!(both.crop_imm(0, 0, 33, 20).into_rgb8().into_raw(), waves(33, 20));
    assert_eq!(both.crop_imm(33, 0, 33, 20).into_rgb8(), image::open(room.at("alone.png")).unwrap().into_rgb8());
}

#[test]
fn of_several_a_broken_one_is_named_and_the_others_are_done() {
    let room = Room::new();
    fs::create_dir(room.at("photos")).unwrap();
    room.photo("photos/a.png", 20, 20);
    room.photo("photos/b.jpg", 20, 20);
    fs::write(room.at("photos/broken.webp"), "RIFF????WEBP").unwrap();
    fs::write(room.at("photos/notes.txt"), "not a photo").unwrap();
    let single = room.photo("c.webp", 20, 20);
    let output = room.run(&[&room.at("photos"), &single], &room.at("drawn"), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("broken.webp") && stderr(&output).contains("1 of 4"), "{}", stderr(&output));
    assert_eq!(room.names("drawn"), ["a.png", "b.jpg", "c.webp"]);
}

#[test]
fn wrong_usage_is_found_before_anything_is_written() {
    let room = Room::new();
    let photo = room.photo("in.png", 20, 20);
    let before = fs::read(&photo).unwrap();
    fs::create_dir(room.at("other")).unwrap();
    let same = room.photo("other/in.png", 8, 8);
    refused(&room.run(&[&photo, &same], &room.at("drawn"), &[]), 2, &["both become"]);
    assert!(!room.at("drawn").exists());
    refused(&room.run(&[&photo], &photo, &[]), 2, &["replace the photo"]);
    refused(&room.run(&[room.folder.path()], room.folder.path(), &[]), 2, &["replace the photo"]);
    assert_eq!(fs::read(&photo).unwrap(), before);
    refused(&room.run(&[&photo], &room.at("out.gif"), &[]), 2, &["out.gif", ".png"]);
    refused(&room.run(&[&photo], &room.at("out"), &[]), 2, &["folder"]);
    refused(&room.run(&[&photo, &same], &photo, &[]), 2, &["is a file"]);
    refused(&room.run(&[&photo, &room.style], &room.at("two.png"), &[]), 2, &["two.png", "folder"]);
    refused(&room.run(&[&room.at("other")], &room.at("two.png"), &[]), 2, &["two.png", "folder"]);
    let clap = room.run(&[&photo], &room.at("out.png"), &["--strength", "1.5"]);
    assert_eq!(clap.status.code(), Some(2));
    assert!(stderr(&clap).contains("1.5"));
    assert_eq!(room.names("."), ["in.png", "other", "tiny.onnx"]);
}

#[test]
fn bad_photos_are_refused_in_one_sentence() {
    let room = Room::new();
    let whole = fs::read(room.photo("whole.jpg", 60, 40)).unwrap();
    let huge = {
        // A PNG whose header declares 20,000 × 20,000 pixels.
        let mut png = fs::read(room.photo("small.png", 5, 5)).unwrap();
        png[16..24].copy_from_slice(&[0, 0, 0x4E, 0x20, 0, 0, 0x4E, 0x20]);
        let sum = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&sum.to_be_bytes());
        png
    };
    let cases: [(&str, &[u8], &str); 6] = [
        ("empty.jpg", b"", "is empty"),
        ("text.jpg", b"this is text", "is not a JPEG"),
        ("gif.png", b"GIF89a\x01\0\x01\0\0\0\0;", "is not a JPEG"),
        ("cut.jpg", &whole[..whole.len() / 2], "is truncated"),
        ("cut.png", &huge[..40], "truncated"),
        ("huge.png", &huge, "20000x20000"),
    ];
    for (name, bytes, words) in cases {
        fs::write(room.at(name), bytes).unwrap();
        refused(&room.run(&[&room.at(name)], &room.at("out.png"), &[]), 1, &[name, words]);
    }
    refused(&room.run(&[&room.at("missing.jpg")], &room.at("out.png"), &[]), 1, &["missing.jpg"]);
    fs::create_dir(room.at("nothing")).unwrap();
    refused(&room.run(&[&room.at("nothing")], &room.at("drawn"), &[]), 1, &["holds no"]);
    assert!(!room.at("out.png").exists() && !room.at("drawn").exists());
}

/// The checksum of PNG's chunks.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

#[test]
fn bad_styles_are_refused_in_one_sentence() {
    let room = Room::new();
    let photo = room.photo("in.png", 20, 20);
    let run = |style: &str| room.run(&[&photo], &room.at("out.png"), &["--style", style]);
    refused(&run("nosuch"), 2, &["nosuch", "anime"]);
    refused(&run("./nosuch.onnx"), 1, &["nosuch.onnx"]);
    let onnx = fs::read(&room.style).unwrap();
    let bad = room.at("bad.onnx");
    for bytes in [&b""[..], b"text", &onnx[..onnx.len() / 2]] {
        fs::write(&bad, bytes).unwrap();
        refused(&run(bad.to_str().unwrap()), 1, &["bad.onnx"]);
    }
    assert!(!room.at("out.png").exists());
}

#[test]
fn styles_of_one_base_are_mixed_and_others_are_not() {
    let room = Room::new();
    let photo = room.photo("in.png", 64, 48);
    let draw = |style: &str| {
        let out = room.at("out.png");
        succeeded(&room.run(&[&photo], &out, &["--style", style]));
        image::open(out).unwrap().to_rgb8()
    };
    let (anime, oil, mixed) = (draw("anime"), draw("oil"), draw("anime:0.6+oil:0.4"));
    assert!(mixed != anime && mixed != oil);
    assert!(draw("anime:1+oil:0") == anime);
    let output = room.run(&[&photo], &room.at("none.png"), &["--style", "anime:0.6+anime-l:0.4"]);
    refused(&output, 1, &["anime and anime-l cannot be mixed", "the same base"]);
    assert!(!room.at("none.png").exists());
}

#[test]
fn where_it_cannot_be_written_nothing_is_left() {
    let room = Room::new();
    let photo = room.photo("in.png", 20, 20);
    refused(&room.run(&[&photo], &room.at("no/such/out.png"), &[]), 1, &["out.png", "no/such is missing"]);
    #[cfg(target_os = "linux")]
    {
        std::os::unix::fs::symlink("/dev/full", room.at("full.png")).unwrap();
        refused(&room.run(&[&photo], &room.at("full.png"), &[]), 1, &["the disk is full"]);
    }
    assert!(room.names(".").iter().all(|name| !name.starts_with('.')));
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_no_partial_file() {
    let room = Room::new();
    let photo = room.at("large.png");
    RgbImage::new(12_000, 4_000).save(&photo).unwrap();
    let child = std::process::Command::new(assert_cmd::cargo::cargo_bin("nijigen"))
        .arg("image")
        .arg(&photo)
        .arg("-o")
        .arg(room.at("out.png"))
        .arg("--style")
        .arg(&room.style)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // So large a picture takes long to write.
    let writes = || room.names(".").iter().any(|name| name.starts_with(".nijigen-"));
    for _ in 0..6000 {
        if writes() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(writes(), "it has begun to write");
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    refused(&output, 1, &["interrupted"]);
    assert_eq!(room.names("."), ["large.png", "tiny.onnx"]);
}

#[test]
fn drawings_are_written_alone_or_into_a_folder() {
    let folder = Room::new();
    let photo = folder.photo("me.jpg", 40, 30);
    let drawing = folder.at("me.svg");
    succeeded(&folder.run(&[&photo], &drawing, &[]));
    let svg = fs::read_to_string(&drawing).unwrap();
    assert!(svg.contains("<svg") && svg.contains("<path"), "{svg}");
    succeeded(&folder.run(&[&photo], &folder.at("drawn/"), &["--svg"]));
    assert_eq!(folder.names("drawn"), ["me.svg"]);
    refused(&folder.run(&[&photo], &folder.at("me.png"), &["--svg"]), 2, &[".svg"]);
}
