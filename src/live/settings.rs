//! The settings that may change while a run goes on.

use serde::{Deserialize, Serialize};

use super::loader::Look;
use crate::engine::region::Region;
use crate::error::{Error, Result};

/// How pictures are drawn now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// Whether a style is applied at all; the photo goes through where not.
    pub on: bool,
    /// The style that is applied, or wanted next while it is being loaded: its name, or the path of its file.
    pub style: String,
    /// Whether photos are restored before they are drawn: low light is lifted, noise and JPEG's blocks go.
    /// What is not drawn is the restored photo then.
    pub enhance: bool,
    /// How much of the style, 0 (the photo) to 1 (the style alone).
    #[serde(serialize_with = "as_written")]
    pub strength: f32,
    /// Which part of the picture is drawn, where the style knows the person in it.
    pub region: Region,
    /// How still the picture is held, 0 (every block is computed) to 1 (what changes little is left as it was).
    #[serde(serialize_with = "as_written")]
    pub stability: f32,
    /// Where the photo ends and the picture begins, from the left, as a share of the width (0 to 1); `None` shows the
    /// picture alone.
    pub split: Option<f32>,
    /// Whether the picture is mirrored left to right.
    pub mirror: bool,
}

/// A change of some settings; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Patch {
    /// [`Settings::on`].
    pub on: Option<bool>,
    /// [`Settings::style`].
    pub style: Option<String>,
    /// [`Settings::enhance`].
    pub enhance: Option<bool>,
    /// [`Settings::strength`].
    pub strength: Option<f32>,
    /// [`Settings::region`].
    pub region: Option<Region>,
    /// [`Settings::stability`].
    pub stability: Option<f32>,
    /// [`Settings::split`]; `Some(None)`, null in JSON, ends the comparison.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub split: Option<Option<f32>>,
    /// [`Settings::mirror`].
    pub mirror: Option<bool>,
}

/// By its shortest digits: 0.7 and not 0.699999988, which is the same number of 32 bits as one of 64.
fn as_written<S: serde::Serializer>(value: &f32, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_f64(value.to_string().parse().unwrap_or_else(|_| f64::from(*value)))
}

/// Tells a null that was written from a field that was not.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Option<Option<f32>>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}

impl Patch {
    /// The look that this change leads to from another.
    pub(super) fn look_after(&self, before: &Look) -> Look {
        let style = self.style.as_ref().unwrap_or(&before.style).clone();
        Look { style, enhance: self.enhance.unwrap_or(before.enhance) }
    }

    /// Whether all values lie in their ranges.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the first that does not.
    pub fn check(&self) -> Result<()> {
        for (name, value) in
            [("strength", self.strength), ("stability", self.stability), ("split", self.split.flatten())]
        {
            if value.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
                return Err(Error::Usage(format!("{name} is a number from 0 to 1")));
            }
        }
        if self.style.as_ref().is_some_and(String::is_empty) {
            return Err(Error::Usage("a style has a name; `nijigen styles` lists them".into()));
        }
        Ok(())
    }
}

impl Settings {
    /// A style as it is: what a run begins with that nobody has told otherwise.
    #[cfg(test)]
    pub(crate) fn of_style(style: &str) -> Self {
        Self {
            on: true,
            style: style.into(),
            enhance: false,
            strength: 1.0,
            region: Region::All,
            stability: 0.0,
            split: None,
            mirror: false,
        }
    }

    /// What is to be loaded for them.
    pub fn look(&self) -> Look {
        Look { style: self.style.clone(), enhance: self.enhance }
    }

    /// Takes over what `patch` names, except for the look, which has to be loaded first.
    pub(super) fn apply(&mut self, patch: &Patch) {
        let Patch { on, style: _, enhance: _, strength, region, stability, split, mirror } = patch;
        self.on = on.unwrap_or(self.on);
        self.strength = strength.unwrap_or(self.strength);
        self.region = region.unwrap_or(self.region);
        self.stability = stability.unwrap_or(self.stability);
        self.split = split.unwrap_or(self.split);
        self.mirror = mirror.unwrap_or(self.mirror);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_patch_changes_what_it_names() {
        let before = Settings { stability: 0.5, split: Some(0.5), ..Settings::of_style("anime") };
        for (json, after) in [
            ("{}", before.clone()),
            (r#"{"split": null}"#, Settings { split: None, ..before.clone() }),
            (r#"{"split": 0.25, "on": false}"#, Settings { split: Some(0.25), on: false, ..before.clone() }),
            (r#"{"region": "person"}"#, Settings { region: Region::Person, ..before.clone() }),
            // They are taken over once they are loaded.
            (r#"{"style": "comic", "enhance": true}"#, before.clone()),
            (r#"{"stability": 0}"#, Settings { stability: 0.0, ..before.clone() }),
            (r#"{"strength": 0, "mirror": true}"#, Settings { strength: 0.0, mirror: true, ..before.clone() }),
        ] {
            let patch: Patch = serde_json::from_str(json).unwrap();
            patch.check().unwrap();
            let mut settings = before.clone();
            settings.apply(&patch);
            assert_eq!(settings, after, "{json}");
        }
    }

    #[test]
    fn numbers_are_told_as_they_were_given() {
        let settings = Settings { strength: 0.7, stability: 0.3, ..Settings::of_style("anime") };
        let value = serde_json::to_value(&settings).unwrap();
        assert_eq!((value["strength"].to_string(), value["stability"].to_string()), ("0.7".into(), "0.3".into()));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for json in [
            r#"{"strength": 1.5}"#,
            r#"{"strength": -0.1}"#,
            r#"{"stability": 2}"#,
            r#"{"split": 2}"#,
            r#"{"style": ""}"#,
        ] {
            let patch: Patch = serde_json::from_str(json).unwrap();
            assert!(matches!(patch.check(), Err(Error::Usage(_))), "{json}");
        }
        for json in [r#"{"strenght": 1}"#, r#"{"strength": "much"}"#, r#"{"region": "sky"}"#, "[1]"] {
            assert!(serde_json::from_str::<Patch>(json).is_err(), "{json}");
        }
    }
}
