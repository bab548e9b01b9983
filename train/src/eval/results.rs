//! The table of all styles: what each is worth beside what it must be worth.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::mixtures::{Apart, Mixed};
use super::{HELD_OUT_PICTURES, Picture, colour_fit, of_the_same_photos, skin};

/// A style, or what stands beside the styles to compare them with, and what was measured of it.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// By name of the measure, as on the card.
    pub metrics: BTreeMap<String, f64>,
    /// What it makes of the held-out pictures; empty for what is not compared with the styles.
    pub pictures: Vec<Picture>,
}

/// What a measure is to be.
#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A line of the table: what is measured, its name on the card, what it must be, and what it should be.
struct Row(&'static str, &'static str, Option<Bound>, Option<Bound>);

use Bound::{AtLeast, AtMost};

/// A measure that is made of two others: by how much quantization makes the distance to the target larger.
const L1_LOSS: &str = "l1_lost_to_quantization";

const ROWS: [Row; 14] = [
    Row("SSIM to the target", "held_out_ssim", Some(AtLeast(0.85)), Some(AtLeast(0.92))),
    Row(
        "VGG distance to the target, of the photo's",
        "vgg_student_to_target_over_photo_to_target",
        Some(AtMost(0.45)),
        Some(AtMost(0.30)),
    ),
    Row("quantized against float: PSNR, dB", "quantized_to_float_psnr_db", Some(AtLeast(40.0)), Some(AtLeast(43.0))),
    Row("quantized against float without saturation: PSNR, dB", "quantized_to_unsaturated_float_psnr_db", None, None),
    Row("quantized against float: L1 to the target, more by", L1_LOSS, Some(AtMost(0.03)), Some(AtMost(0.01))),
    Row("line art: F1", "line_art_f1", Some(AtLeast(0.65)), Some(AtLeast(0.80))),
    Row(
        "surfaces: variance, of the photo's",
        "surfaces_variance_over_photo",
        Some(AtMost(1.0 / 3.0)),
        Some(AtMost(1.0 / 6.0)),
    ),
    Row("left by the best colour filter, of 255", "left_by_a_colour_filter", Some(AtLeast(6.0)), None),
    Row("flicker, every block computed, of the input's", "flicker_ratio", Some(AtMost(0.8)), Some(AtMost(0.5))),
    Row("flicker as it is seen live, of the input's", "flicker_live_ratio", Some(AtMost(0.8)), Some(AtMost(0.5))),
    Row("edges of faces: displacement, pixels", "face_edges_displacement_px", Some(AtMost(1.5)), Some(AtMost(1.0))),
    Row(
        "eyes and mouths: deviation, of the photo's",
        "small_features_deviation",
        Some(AtLeast(0.7)),
        Some(AtLeast(0.9)),
    ),
    Row("eyes and mouths: correlation", "small_features_correlation", Some(AtLeast(0.6)), Some(AtLeast(0.75))),
    Row("person mask: IoU", "person_mask_iou", Some(AtLeast(0.90)), None),
];

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            AtLeast(least) => value >= least,
            AtMost(most) => value <= most,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, value) = match self {
            AtLeast(value) => ("≥", value),
            AtMost(value) => ("≤", value),
        };
        write!(f, "{sign} {}", (value * 1e3).round() / 1e3)
    }
}

/// The table in Markdown: a line for each measure, a column for each of `columns`. What is not as it must be is marked.
pub fn measures(columns: &[Column]) -> String {
    let value = |column: &Column, key: &str| match key {
        L1_LOSS => {
            let quantized = column.metrics.get("held_out_l1")?;
            column.metrics.get("held_out_l1_float").map(|float| quantized / float - 1.0)
        }
        _ => column.metrics.get(key).copied(),
    };
    let mut text = heading(&["", "must be", "should be"], columns);
    for Row(title, key, must, goal) in &ROWS {
        let [must_be, should_be] = [must, goal].map(|bound| bound.map_or(String::new(), |bound| bound.to_string()));
        let _ = write!(text, "| {title} | {must_be} | {should_be} |");
        for column in columns {
            let cell = match value(column, key) {
                Some(value) if must.is_none_or(|must| must.holds(value)) => format!("{value:.3}"),
                Some(value) => format!("{value:.3} ✗"),
                None => "–".to_owned(),
            };
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

/// How many held-out pictures each of `columns` was measured on, in words.
pub fn held_out(columns: &[Column]) -> String {
    let counts = columns.iter().filter_map(|column| {
        let count = column.metrics.get(HELD_OUT_PICTURES)?;
        Some(format!("{} {count}", column.name))
    });
    counts.collect::<Vec<_>>().join(", ")
}

/// By how much a restored photo's PSNR must be above the damaged one's, dB.
const RESTORED: Bound = AtLeast(3.0);

/// What `restoration` measured, in Markdown.
pub fn restoring(metrics: &BTreeMap<String, f64>) -> String {
    let mut text = "| | damaged | restored | gained | must be |\n|---|---|---|---|---|\n".to_owned();
    for (title, before, after, must) in [
        ("PSNR, dB", "restore_input_psnr_db", "restore_psnr_db", Some(RESTORED)),
        ("SSIM", "restore_input_ssim", "restore_ssim", None),
        ("PSNR, colours at half resolution, dB", "restore_camera_input_psnr_db", "restore_camera_psnr_db", None),
        ("PSNR of reduced copies, dB", "restore_reduced_input_psnr_db", "restore_reduced_psnr_db", None),
        ("PSNR out of focus, dB", "restore_blur_input_psnr_db", "restore_blur_psnr_db", None),
        ("PSNR of what scratches hide, dB", "restore_scratches_input_psnr_db", "restore_scratches_psnr_db", None),
        ("PSNR of what holes hide, dB", "restore_holes_input_psnr_db", "restore_holes_psnr_db", None),
        ("PSNR in low light, dB", "restore_low_light_input_psnr_db", "restore_low_light_psnr_db", None),
    ] {
        let (Some(before), Some(after)) = (metrics.get(before), metrics.get(after)) else { continue };
        let gained = after - before;
        let fails = must.is_some_and(|must| !must.holds(gained));
        let _ = writeln!(
            text,
            "| {title} | {before:.3} | {after:.3} | {gained:+.3}{} | {} |",
            if fails { " ✗" } else { "" },
            must.map_or(String::new(), |must| must.to_string()),
        );
    }
    if let Some(untouched) = metrics.get("restore_untouched_psnr_db") {
        let _ = writeln!(text, "\nA photo with nothing wrong keeps a PSNR of {untouched:.1} dB to itself.");
    }
    text
}

/// What is told of teachers, against the painter's pictures.
const OF_TEACHERS: [(&str, &str); 6] = [
    ("SSIM", "held_out_ssim"),
    ("PSNR, dB", "held_out_psnr_db"),
    ("VGG distance, of the photo's", "vgg_student_to_target_over_photo_to_target"),
    ("line art: F1", "line_art_f1"),
    ("surfaces: variance, of the photo's", "surfaces_variance_over_photo"),
    ("left by the best colour filter from the photo, of 255", "left_by_a_colour_filter"),
];

/// The teachers' pictures against the painter's: a line for each measure, a column for each of `teachers`.
pub fn teachers(teachers: &[Column]) -> String {
    let mut text = heading(&[""], teachers);
    for (title, key) in OF_TEACHERS {
        let _ = write!(text, "| {title} |");
        for teacher in teachers {
            let cell = teacher.metrics.get(key).map_or("–".to_owned(), |value| format!("{value:.3}"));
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

/// What becomes of skin, by its tone and by the light that it is seen in: a line for each measure that any of `columns` has,
/// in brackets what becomes of it in the targets.
pub fn of_skin(columns: &[Column]) -> String {
    let is_shift = |key: &&String| key.ends_with(skin::LIGHTNESS) || key.ends_with(skin::HUE);
    let keys: BTreeSet<&String> = columns.iter().flat_map(|column| column.metrics.keys()).filter(is_shift).collect();
    let mut text = heading(&[""], columns);
    for key in keys {
        let (unit, decimals) = if key.ends_with(skin::HUE) { (", degrees", 1) } else { ("", 3) };
        let of_target = format!("{key}{}", skin::OF_TARGET);
        let _ = write!(text, "| {}{unit} |", key.replace('_', " "));
        for column in columns {
            let mut cell = column.metrics.get(key).map_or("–".to_owned(), |value| format!("{value:+.decimals$}"));
            if let Some(value) = column.metrics.get(&of_target) {
                let _ = write!(cell, " ({value:+.decimals$})");
            }
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

/// What the best colour filter leaves between any two of `columns`, the mean over the pictures that both have, of 255: in
/// the line of the one that is filtered.
pub fn between(columns: &[&Column]) -> String {
    let mut text = heading(&["from"], columns.iter().copied());
    for from in columns {
        let _ = write!(text, "| {} |", from.name);
        for to in columns {
            let cell = match residual(from, to) {
                Some(left) if from.name != to.name => format!("{left:.1}"),
                _ => "–".to_owned(),
            };
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

fn residual(from: &Column, to: &Column) -> Option<f64> {
    let both: Vec<f64> = of_the_same_photos(&from.pictures, &to.pictures)
        .map(|(a, b)| colour_fit::residual(&a.output, &b.output))
        .collect();
    (!both.is_empty()).then(|| both.iter().sum::<f64>() / both.len() as f64)
}

/// How far each of `mixed` is from what lies between its styles: a line for each.
pub fn mixtures(mixed: &[Mixed]) -> String {
    let mut text = "| | L1 | cast |\n|---|---|---|\n".to_owned();
    for Mixed { styles: [one, other], apart: Apart { l1, cast } } in mixed {
        let _ = writeln!(text, "| {one} and {other} | {l1:.1} | {cast:.1} |");
    }
    text
}

fn heading<'a>(first: &[&'a str], columns: impl IntoIterator<Item = &'a Column>) -> String {
    let titles = columns.into_iter().map(|column| column.name.as_str());
    let titles: Vec<&str> = first.iter().copied().chain(titles).collect();
    format!("| {} |\n|{}\n", titles.join(" | "), "---|".repeat(titles.len()))
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    #[test]
    fn what_restoring_gains_is_told_and_marked_where_it_is_too_little() {
        let of = |psnr: f64| {
            let metrics =
                [("restore_input_psnr_db", 27.0), ("restore_psnr_db", psnr), ("restore_untouched_psnr_db", 34.56)];
            restoring(&metrics.map(|(name, value)| (name.to_owned(), value)).into())
        };
        assert!(of(30.25).contains("| PSNR, dB | 27.000 | 30.250 | +3.250 | ≥ 3 |"), "{}", of(30.25));
        assert!(of(29.5).contains("+2.500 ✗") && of(29.5).contains("34.6 dB"));
    }

    fn column(name: &str, metrics: &[(&str, f64)], lines: u32) -> Column {
        let photo = RgbImage::from_fn(48, 48, |x, y| Rgb([(x * 5) as u8, (y * 5) as u8, 90]));
        let output =
            RgbImage::from_fn(48, 48, |x, y| if x % lines == 0 { Rgb([0; 3]) } else { *photo.get_pixel(x, y) });
        let picture = Picture { source: "a.jpg".into(), target: photo.clone(), photo, output };
        let metrics = metrics.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
        Column { name: name.into(), metrics, pictures: vec![picture] }
    }

    #[test]
    fn what_is_not_as_it_must_be_is_marked_and_what_was_not_measured_is_not() {
        let good = [("flicker_ratio", 0.5), ("held_out_l1", 4.04), ("held_out_l1_float", 4.0)];
        let bad = [("flicker_ratio", 1.2), ("held_out_l1", 4.4), ("held_out_l1_float", 4.0)];
        let table = measures(&[column("good", &good, 5), column("bad", &bad, 5)]);
        assert!(
            table.contains("| flicker, every block computed, of the input's | ≤ 0.8 | ≤ 0.5 | 0.500 | 1.200 ✗ |"),
            "{table}"
        );
        assert!(table.contains("more by | ≤ 0.03 | ≤ 0.01 | 0.010 | 0.100 ✗ |"), "{table}");
        let dark = [("skin_dark_hue_shift", -3.21), ("skin_dark_hue_shift_of_target", 1.16)];
        let table = of_skin(&[column("a", &dark, 5), column("b", &[("x", 1.0)], 5)]);
        assert!(table.contains("| skin dark hue shift, degrees | -3.2 (+1.2) | – |"), "{table}");
        assert_eq!(table.lines().count(), 3, "{table}");
        let table = measures(&[column("good", &good, 5), column("bad", &bad, 5)]);
        assert!(table.contains("| line art: F1 | ≥ 0.65 | ≥ 0.8 | – | – |"), "{table}");
    }

    #[test]
    fn mixtures_are_told_by_their_styles() {
        let mixed = Mixed { styles: ["a", "b"].map(String::from), apart: Apart { l1: 4.04, cast: 2.96 } };
        assert!(mixtures(&[mixed]).ends_with("|\n| a and b | 4.0 | 3.0 |\n"));
    }

    #[test]
    fn styles_are_compared_with_each_other_but_not_with_themselves() {
        let table = between(&[&column("a", &[], 5), &column("b", &[], 7)]);
        let cells: Vec<Vec<&str>> = table.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
        assert_eq!((cells[2][2], cells[3][3]), ("–", "–"));
        assert!(cells[2][3].parse::<f64>().is_ok_and(|left| left > 6.0), "{table}");
    }
}
