//! A style's card: what it is, how it was made, under which licence. A TOML file beside the ONNX file.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::form::{Layout, Range};
use crate::error::{Error, Result};

/// The most characters of a style's name.
const MAX_NAME: usize = 64;

/// Checks a style's name: it shall not be taken for a path, and fit on a button.
///
/// # Errors
/// A sentence.
pub fn check_name(name: &str) -> std::result::Result<(), String> {
    let why = if name.trim().is_empty() {
        "is empty"
    } else if name.chars().count() > MAX_NAME {
        "is longer than 64 characters"
    } else if name.contains(['/', '\\']) || name.chars().any(char::is_control) {
        "holds a slash, a backslash or a control character"
    } else if name.to_ascii_lowercase().ends_with(".onnx") {
        "ends in .onnx, like a file's"
    } else if name == "off" {
        "stands for no style at all"
    } else {
        return Ok(());
    };
    // Neither long nor more than a line, whatever the name is.
    let shown: String = name.chars().take(MAX_NAME).collect();
    Err(format!("the name {shown:?} {why}; give the style another one"))
}

/// Reads a name that is given.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    check_name(&name).map_err(D::Error::custom)?;
    Ok(name)
}

/// What is known of a style. Everything but the name may be absent: someone who brings an ONNX file writes only what
/// they want to state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Card {
    /// The name by which the style is chosen, see [`check_name`]; of a card without one, empty.
    #[serde(deserialize_with = "name", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it looks like, in one sentence.
    pub description: String,
    /// The network's architecture, "two-scale" for those of `nijigen-train`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// The version of that architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture_version: Option<u32>,
    /// "s", "m" or "l".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Cost at 640×480, in 10⁹ multiply-accumulates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gmac_640x480: Option<f64>,
    /// SHA-256 of the float weights that it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
    /// SHA-256 of the weights that its training began with; styles of one base can be mixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_sha256: Option<String>,
    /// The recipe or configuration of its training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// What it was trained on: "2 cores of a Xeon, LibTorch 2.9".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Training steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Training time in minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
    /// Licence of the style itself, as an SPDX expression where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// SHA-256 of the ONNX file, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// "NCHW" or "NHWC"; guessed where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// What black and white are to the network; guessed where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// Sides of what the network reads are multiples of this; guessed where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiple: Option<u32>,
    /// What is wrong with it to the eye, worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What was measured of it, by name of the measure.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// The teacher that it was distilled from, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<Teacher>,
    /// What it was trained with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<DataSource>,
}

/// An adversarially trained teacher.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Teacher {
    /// SHA-256 of its weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Training steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// How many of them were warm start, before the adversary came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_steps: Option<u64>,
    /// Training time in minutes; of a teacher that went on from another one, since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
    /// The discriminators' accuracy at the end, on real pictures and on made ones, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_real: Option<f64>,
    /// See [`Self::accuracy_real`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_fake: Option<f64>,
    /// The file beside the card that shows its curves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curves: Option<String>,
    /// The file beside the card that shows photos, what the painter makes of them, and what it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// What was measured of its pictures against the painter's, by name of the measure.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
}

/// Pictures or clips that a style was trained with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// What it is and where it came from.
    pub name: String,
    /// The licence that its source states.
    pub licence: String,
    /// How many pictures or clips.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// SHA-256 over the files, as `models/README.md` describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Card {
    /// Reads a card.
    ///
    /// # Errors
    /// [`Error::Style`] that names the line at fault.
    pub fn parse(text: &str) -> Result<Self> {
        let card: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            Error::Style(format!("line {line} of the card cannot be understood: {}", error.message().trim()))
        })?;
        if card.multiple.is_some_and(|m| m == 0 || m > 256) {
            return Err(Error::Style("the card's multiple must lie within 1 to 256".into()));
        }
        Ok(card)
    }

    /// The card as TOML.
    ///
    /// # Errors
    /// [`Error::Style`] where a number cannot be written.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|error| Error::Style(format!("the card cannot be written: {error}")))
    }

    /// Checks an ONNX file against the checksum, where the card has one.
    ///
    /// # Errors
    /// [`Error::Style`] where they differ, with a clause that goes on from "the style NAME …".
    pub fn check(&self, onnx: &[u8]) -> Result<()> {
        match &self.sha256 {
            Some(stated) if !stated.eq_ignore_ascii_case(&sha256(onnx)) => Err(Error::Style(
                "is not the one that its card describes (its SHA-256 is another): fetch it again, or remove the line \
                 sha256 from the card if you changed the file yourself"
                    .into(),
            )),
            _ => Ok(()),
        }
    }
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_card_survives_being_written() {
        let card = Card {
            name: "anime".into(),
            description: "flat".into(),
            gmac_640x480: Some(4.47),
            layout: Some(Layout::Nhwc),
            range: Some(Range::Signed),
            notes: vec!["melts small hands".into()],
            metrics: [("l1".to_owned(), 4.2)].into(),
            teacher: Some(Teacher {
                steps: Some(9000),
                metrics: [("held_out_ssim".to_owned(), 0.9)].into(),
                ..Teacher::default()
            }),
            data: vec![DataSource { name: "photos".into(), licence: "CC0-1.0".into(), count: Some(240), sha256: None }],
            ..Card::default()
        };
        assert_eq!(Card::parse(&card.to_toml().unwrap()).unwrap(), card);
    }

    #[test]
    fn a_bad_card_names_its_line() {
        let error = Card::parse("name = 'x'\nrange = '[0,2]'\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("[0,2]"), "{error}");
        assert!(Card::parse("multiple = 0").is_err());
    }

    #[test]
    fn a_name_is_no_path_and_fits_on_a_button() {
        for name in ["anime", "水彩", "Ms. O'Hara's 2nd", "off2", "onnx", &"x".repeat(64), &"画".repeat(64)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let long = "x".repeat(65);
        for name in ["", "  ", "a/b", "../a", "a\\b", "a\0b", "a\nb", "a.onnx", "A.ONNX", "off", &long] {
            assert!(check_name(name).is_err(), "{name:?}");
            let card = toml::to_string(&[("name", name)].into_iter().collect::<BTreeMap<_, _>>()).unwrap();
            let error = Card::parse(&card).unwrap_err().to_string();
            assert!(error.contains("line 1") && error.contains("give the style another one"), "{error}");
        }
        assert_eq!(Card::parse("description = 'no name'").unwrap().name, "");
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let card = Card { sha256: Some(sha256(b"one")), ..Card::default() };
        card.check(b"one").unwrap();
        assert!(card.check(b"two").is_err());
    }
}
