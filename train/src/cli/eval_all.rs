//! `nijigen-train eval --all`: all styles of a folder in one table.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::{RgbImage, imageops};
use log::{info, warn};
use nijigen::engine::Options;
use nijigen::style::{Card, Found, RESTORER, Registry};

use super::eval::{Measuring, note_on_card, note_teacher_on_card, side_by_side, spread};
use super::output;
use crate::data::{read_text, write_whole};
use crate::eval::mixtures::{Mixed, apart};
use crate::eval::results::{self, Column};
use crate::eval::{Picture, Report, restoration, run_generator};
use crate::sheet::{self, encode_jpeg};

/// Pictures of a sheet, so many of them in a row before and after, each so many pixels a side; white between them.
const SHOWN: usize = 8;
const IN_A_ROW: u32 = 2;
const SIDE: u32 = 384;
const GAP: u32 = 8;
/// Behind the name of a folder: what the painter made of pairs that a teacher has repainted since.
const PAINTED: &str = "-painted";
/// The style on whose pairs the untouched photo and the prototype are measured.
const COMPARED_ON: &str = "anime";

/// Measures every style of `models` that has a card and, in `pairs`, a folder of pairs of its look. Writes the figures into
/// the cards, sheets beside them, and RESULTS.md.
///
/// # Errors
/// When there is no style, an input cannot be read or an output cannot be written.
pub(super) fn run(
    measuring: &Measuring<'_>,
    models: &Path,
    pairs_of_all: &Path,
    prototype: Option<&Path>,
    pi_estimate: Option<&Path>,
) -> Result<()> {
    let names = styles(models)?;
    let on_a_pi = pi_estimate.map(frames_on_a_pi).transpose()?;
    let (mut columns, mut teachers, mut restoring) = (Vec::new(), Vec::new(), None);
    let compared_on = pairs_of_all.join(COMPARED_ON);
    if compared_on.is_dir() {
        info!("the photo as it is");
        let report = measuring.untouched(&compared_on)?;
        columns.push(Column { name: "photo".to_owned(), metrics: report.metrics, pictures: Vec::new() });
        if let Some(prototype) = prototype {
            info!("the prototype");
            let report = measuring.style(prototype, None, &compared_on)?;
            columns.push(Column { name: "prototype".to_owned(), metrics: report.metrics, pictures: Vec::new() });
        }
    }
    let beside = columns.len();
    for name in names {
        let card = models.join(format!("{name}.toml"));
        let pairs = pairs_of_all.join(look_of(&name));
        if !pairs.is_dir() {
            warn!("{name} is left out: there is no folder {} of its pairs", pairs.display());
            continue;
        }
        info!("{name}");
        let style = models.join(format!("{name}.onnx"));
        let report = if name == RESTORER {
            measuring.restorer(&style, &pairs)?
        } else {
            let weights = models.join(format!("{name}.safetensors"));
            measuring.style(&style, weights.is_file().then_some(weights.as_path()), &pairs)?
        };
        note_on_card(&card, &report)?;
        write_whole(&models.join(format!("{name}-sheet.jpg")), &before_and_after(&report.pictures)?)?;
        let Report { metrics, pictures, .. } = report;
        if name == RESTORER {
            restoring = Some(metrics);
            continue;
        }
        let painted = pairs_of_all.join(format!("{name}{PAINTED}"));
        if painted.is_dir() {
            info!("the teacher of {name}");
            let report = measuring.teacher(&painted, &pairs)?;
            let sheet_name = format!("{name}-teacher-sheet.jpg");
            let sheet = sheet::compose(&side_by_side(&report, SHOWN), SIDE);
            write_whole(&models.join(&sheet_name), &encode_jpeg(&sheet, 90)?)?;
            note_teacher_on_card(&card, &report, Some(sheet_name))?;
            teachers.push(Column { name: name.clone(), metrics: report.metrics, pictures: Vec::new() });
        }
        columns.push(Column { name, metrics, pictures });
    }
    ensure!(
        columns.len() > beside,
        "no style in {} was measured: --pairs wants a folder of pairs for each, named like it",
        models.display()
    );
    let looks: Vec<&Column> = columns[beside..].iter().filter(|style| look_of(&style.name) == style.name).collect();
    let mixed = mixtures(models, &looks, Options::threads(measuring.threads))?;
    let text = document(&columns, &looks, &teachers, &mixed, restoring.as_ref(), on_a_pi.as_deref())?;
    write_whole(&models.join("RESULTS.md"), text.as_bytes())?;
    output::line(&text)
}

/// The names of the styles of a folder: those with a card, which must be one before anything is measured.
fn styles(models: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(models).map_err(|error| nijigen::Error::io("read", models, error))?;
    let cards = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "toml") && path.with_extension("onnx").is_file());
    let mut names = Vec::new();
    for path in cards {
        let text = read_text(&path)?;
        Card::parse(&text).with_context(|| format!("in {}", path.display()))?;
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// The look of a style, whose pairs serve all of its sizes.
fn look_of(name: &str) -> &str {
    name.strip_suffix("-s").or_else(|| name.strip_suffix("-l")).unwrap_or(name)
}

/// Pictures before (left) and after (right), as one would show them, as a JPEG.
fn before_and_after(pictures: &[Picture]) -> Result<Vec<u8>> {
    let shown: Vec<&Picture> = spread(pictures, SHOWN).collect();
    let (width, height) = (2 * SIDE + GAP, SIDE + GAP);
    let rows = (shown.len() as u32).div_ceil(IN_A_ROW).max(1);
    let mut sheet = RgbImage::from_pixel(IN_A_ROW * width - GAP, rows * height - GAP, image::Rgb([255; 3]));
    for (i, Picture { photo, output, .. }) in (0..).zip(shown) {
        let (x, y) = (i % IN_A_ROW * width, i / IN_A_ROW * height);
        for (picture, x) in [(photo, x), (output, x + SIDE)] {
            imageops::replace(&mut sheet, &middle_square(picture), i64::from(x), i64::from(y));
        }
    }
    encode_jpeg(&sheet, 90)
}

/// The largest square in the middle of a picture, reduced to [`SIDE`].
fn middle_square(picture: &RgbImage) -> RgbImage {
    let side = picture.width().min(picture.height());
    let (x, y) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    let square = imageops::crop_imm(picture, x, y, side, side).to_image();
    imageops::resize(&square, SIDE, SIDE, imageops::FilterType::CatmullRom)
}

/// How far the mixture of any two looks of one base is from the mean of their pictures.
fn mixtures(models: &Path, looks: &[&Column], options: Options) -> Result<Vec<Mixed>> {
    let registry = Registry::discover(None);
    let file = |style: &Column| models.join(format!("{}.onnx", style.name));
    let base = |style: &&Column| -> Result<Option<String>> {
        Ok(Registry::card(&Found { name: style.name.clone(), path: Some(file(style)) })?.base_sha256)
    };
    let bases = looks.iter().map(base).collect::<Result<Vec<_>>>()?;
    let mut mixed = Vec::new();
    for (i, one) in looks.iter().enumerate() {
        for (other, its_base) in looks.iter().zip(&bases).skip(i + 1) {
            if bases[i].is_none() || bases[i] != *its_base {
                continue;
            }
            let mixture = [one, other].map(|style| format!("{}:0.5", file(style).display())).join("+");
            let mut opened = registry.open(&mixture, options)?;
            let draw = |photo: &RgbImage| run_generator(opened.generator.as_mut(), photo);
            if let Some(apart) = apart(draw, &one.pictures, &other.pictures)? {
                mixed.push(Mixed { styles: [one, other].map(|style| style.name.clone()), apart });
            }
        }
    }
    Ok(mixed)
}

/// The table of whole frames that `benches/pi-estimate` wrote into this file.
fn frames_on_a_pi(file: &Path) -> Result<String> {
    let text = read_text(file)?;
    let from_header = text.lines().skip_while(|line| !line.starts_with("| machine | clock |"));
    let table: Vec<&str> = from_header.take_while(|line| line.starts_with('|')).collect();
    ensure!(
        table.len() > 2,
        "{} holds no estimate of frames on a Raspberry Pi: write one with benches/pi-estimate --write",
        file.display()
    );
    Ok(table.join("\n"))
}

/// The text of RESULTS.md, of `all` columns; of one size of each style are `looks`.
fn document(
    all: &[Column],
    looks: &[&Column],
    teachers: &[Column],
    mixed: &[Mixed],
    restoring: Option<&BTreeMap<String, f64>>,
    on_a_pi: Option<&str>,
) -> Result<String> {
    let restoring = match restoring {
        Some(metrics) => format!("## Restoring\n\n{}\n\n{}\n", restoration::in_words()?, results::restoring(metrics)),
        None => String::new(),
    };
    let mixtures = if mixed.is_empty() {
        String::new()
    } else {
        format!(
            "## Mixtures\n\n\
             How far the pictures of two styles mixed in equal parts are from the mean of both styles' pictures, of 255, mean \
             over the held-out pictures: L1, and the cast, the mean of the colour channel that is furthest off.\n\n{}\n",
            results::mixtures(mixed)
        )
    };
    let on_a_pi = on_a_pi.map_or(String::new(), |table| {
        format!(
            "## On a Raspberry Pi\n\n\
             A static estimate for the engine, pictures of 640×480 on 4 cores; nothing was timed. How it is made and what it \
             leaves out: [benches/RESULTS.md](../benches/RESULTS.md).\n\n{table}\n\n"
        )
    });
    let teachers = if teachers.is_empty() {
        String::new()
    } else {
        format!(
            "## Teachers\n\n\
             What adversarially trained teachers make of the same pictures, against what the painter makes of them; the \
             styles above are measured against their teachers' pictures. How each was trained is on the style's card.\n\n\
             {}\n",
            results::teachers(teachers)
        )
    };
    Ok(format!(
        "# What the styles are worth\n\n\
         Measured on pictures that no style was trained on, flicker on clips of them; eyes and mouths on all marked \
         clips, and skin on all portraits, most of which were trained on. Each style is measured as the engine runs it. \
         Written by the command at the end. ✗: not as it must be. *photo*: the photo as it is, measured like a style, \
         against the targets of `{COMPARED_ON}`, as is *prototype*, the network that the styles are compared with \
         ([README.md](README.md#the-looks)). The displacement of edges is a median of whole pixels: where it is 0, \
         more than half of the target's strongest edges have one of the picture's at the same pixel. *Quantized against \
         float*: against the same network whose values are not rounded, but saturate where eight bits do, as they did while it \
         learned; *without saturation*: as it would be in floating point.\n\n{}\n\
         Held-out pictures, each photo or frame once at each of its sizes: {}.\n\n\
         ## Skin\n\n\
         From the photo to the picture: lightness (Oklab, 0 to 1) and hue (degrees, towards yellow where positive; a \
         picture without colours has none) of the middle of faces, means by tone in even light, and for dark and backlit \
         pictures. In brackets: from the photo to the target, which is the style's own grade; what differs from it is a cast.\n\n\
         {}\n\
         ## Between the styles\n\n\
         What is left between two styles when the best colour filter (a 3×4 matrix, then a curve for each channel) has \
         been put on one of them, of 255: mean over the held-out pictures. Other sizes of a style are left out.\n\n{}\n\
         {mixtures}{teachers}{restoring}{on_a_pi}\
         ## The command\n\n\
         ```sh\n{}\n```\n",
        results::measures(all),
        results::held_out(all),
        results::of_skin(all),
        results::between(looks),
        command_line(),
    ))
}

/// How this program was called, with the program's name alone.
fn command_line() -> String {
    let quoted = |word: String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=,:".contains(c);
        if word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    std::iter::once("nijigen-train".to_owned())
        .chain(std::env::args().skip(1).map(quoted))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgb;

    use super::*;

    fn picture(source: &str, shade: u8) -> Picture {
        let photo = RgbImage::from_pixel(64, 48, Rgb([shade; 3]));
        Picture { source: source.into(), target: photo.clone(), output: photo.clone(), photo }
    }

    #[test]
    fn a_sheet_shows_each_source_once_before_and_after() {
        let pictures: Vec<Picture> = ["a.mkv", "a.mkv", "a.mkv", "b.jpg", "c.jpg"]
            .into_iter()
            .zip([10, 20, 30, 120, 230])
            .map(|(s, v)| picture(s, v))
            .collect();
        let sheet = image::load_from_memory(&before_and_after(&pictures).unwrap()).unwrap().into_rgb8();
        assert_eq!(sheet.dimensions(), (4 * SIDE + GAP, 2 * SIDE + GAP));
        let shade = |x: u32, y: u32| sheet.get_pixel(x, y).0[0].abs_diff(0);
        assert!(shade(100, 100).abs_diff(10) < 4 && shade(SIDE + 100, 100).abs_diff(10) < 4);
        assert!(shade(3 * SIDE, 100).abs_diff(120) < 4 && shade(100, 2 * SIDE - 50).abs_diff(230) < 4);
        assert!(shade(3 * SIDE, 2 * SIDE - 50) > 250, "no fourth source");
    }

    #[test]
    fn the_estimate_for_a_pi_is_repeated_or_missed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("RESULTS.md");
        std::fs::write(&file, "# R\n\n| machine | GMAC |\n\n| machine | clock |\n|---|--:|\n| Pi | 9 |\n\nAssumed.\n")
            .unwrap();
        assert_eq!(frames_on_a_pi(&file).unwrap(), "| machine | clock |\n|---|--:|\n| Pi | 9 |");
        std::fs::write(&file, "# R\n").unwrap();
        assert!(frames_on_a_pi(&file).unwrap_err().to_string().contains("pi-estimate --write"));
    }

    #[test]
    fn sizes_share_the_pairs_of_their_look() {
        assert_eq!(
            [look_of("anime"), look_of("anime-s"), look_of("anime-l"), look_of("oil")],
            ["anime", "anime", "anime", "oil"]
        );
    }
}
