//! Which numbers a recipe may hold: those that the stages can compute with.

use anyhow::{Result, ensure};

use super::recipe::{Cel, Pen, Recipe};
use super::stages::rising;

/// Largest deviation of a blur, pixels: three times as many are read around each pixel.
pub(super) const MAX_SIGMA: f32 = 100.0;
/// A deviation, range or width that is divided by.
pub(super) const ABOVE_ZERO: f32 = 1e-4;

impl Recipe {
    /// Checks every number.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(!self.name.trim().is_empty(), "'name' is empty");
        let Self { faces, flatten, ink, grade, glow, .. } = self;
        let ranges = [
            ("faces.ideal_height", faces.ideal_height, 16.0, 4096.0),
            ("faces.enlarge_below", faces.enlarge_below, 0.0, 4096.0),
            ("faces.max_enlarge", faces.max_enlarge, 1.0, 16.0),
            ("faces.head_margin", faces.head_margin, 0.0, 4.0),
            ("faces.context", faces.context, 0.0, 4.0),
            ("faces.feature_sigma", faces.feature_sigma, 0.0, MAX_SIGMA),
            ("faces.feature_gain", faces.feature_gain, 0.0, 100.0),
            ("faces.feature_limit", faces.feature_limit, ABOVE_ZERO, 10.0),
            ("flatten.texture_sigma", flatten.texture_sigma, 0.0, MAX_SIGMA),
            ("flatten.detail_sigma", flatten.detail_sigma, 0.0, MAX_SIGMA),
            ("flatten.radius", flatten.radius as f32, 0.0, 64.0),
            ("flatten.range", flatten.range, ABOVE_ZERO, 10.0),
            ("flatten.detail_range", flatten.detail_range, ABOVE_ZERO, 10.0),
            ("flatten.chroma_weight", flatten.chroma_weight, 0.0, 100.0),
            ("flatten.restore_passes", flatten.restore_passes as f32, 0.0, 64.0),
            ("flatten.flatten_passes", flatten.flatten_passes as f32, 0.0, 64.0),
            ("ink.flow_sigma", ink.flow_sigma, 0.0, MAX_SIGMA),
            ("ink.dark_threshold", ink.dark_threshold, 0.0, 1.0),
            ("ink.dark_below", ink.dark_below, ABOVE_ZERO, 1.0),
            ("ink.crowd_sigma", ink.crowd_sigma, 0.0, MAX_SIGMA),
            ("ink.crowd_relief", ink.crowd_relief, 0.0, 1.0),
            ("ink.detail_sigma", ink.detail_sigma, 0.0, MAX_SIGMA),
            ("ink.face_threshold", ink.face_threshold, 0.0, 1.0),
            ("ink.detail_everywhere", ink.detail_everywhere, 0.0, 1.0),
            ("ink.detail_in_faces", ink.detail_in_faces, 0.0, 1.0),
            ("grade.gamma", grade.gamma, 0.01, 100.0),
            ("grade.boost", grade.boost, -1.0, 10.0),
            ("grade.shadow_shift", grade.shadow_shift[0], -1.0, 1.0),
            ("grade.shadow_shift", grade.shadow_shift[1], -1.0, 1.0),
            ("grade.shadow_below", grade.shadow_below, ABOVE_ZERO, 1.0),
            ("grade.highlight_shift", grade.highlight_shift[0], -1.0, 1.0),
            ("grade.highlight_shift", grade.highlight_shift[1], -1.0, 1.0),
            ("grade.highlight_above", grade.highlight_above, 0.0, 0.999),
            ("grade.ink_colour", grade.ink_colour[0], 0.0, 255.0),
            ("grade.ink_colour", grade.ink_colour[1], 0.0, 255.0),
            ("grade.ink_colour", grade.ink_colour[2], 0.0, 255.0),
            ("grade.ink_keeps", grade.ink_keeps, 0.0, 1.0),
            ("grade.ink_opacity", grade.ink_opacity, 0.0, 1.0),
            ("glow.above", glow.above, 0.0, 0.999),
            ("glow.sigma", glow.sigma, 0.0, MAX_SIGMA),
            ("glow.amount", glow.amount, 0.0, 1.0),
        ];
        for (name, value, low, high) in ranges {
            within(name, value, low, high)?;
        }
        check_pen("ink.contour", &ink.contour)?;
        check_pen("ink.detail", &ink.detail)?;
        if let Some(bold) = &ink.bold {
            check_pen("ink.bold", bold)?;
        }
        self.check_stages()?;
        let thresholds = [
            ("faces.feature_from", faces.feature_from, "faces.feature_to", faces.feature_to),
            ("ink.crowd_from", ink.crowd_from, "ink.crowd_to", ink.crowd_to),
            ("grade.black", grade.black, "grade.white", grade.white),
            ("grade.neutral_below", grade.neutral_below, "grade.coloured_above", grade.coloured_above),
            ("grade.vivid_from", grade.vivid_from, "grade.vivid_to", grade.vivid_to),
        ];
        thresholds.into_iter().try_for_each(|(from, low, to, high)| rising(from, low, to, high))
    }

    /// Checks the stages that may be left out.
    fn check_stages(&self) -> Result<()> {
        ensure!(
            self.cel.is_some() != self.tone.is_some(),
            "a recipe has either a table 'cel' or a table 'tone', never both"
        );
        self.cel.iter().try_for_each(check_cel)?;
        self.dodge.iter().try_for_each(|stage| stage.check())?;
        self.brush.iter().try_for_each(|stage| stage.check())?;
        self.tone.iter().try_for_each(|stage| stage.check())?;
        self.spot.iter().try_for_each(|stage| stage.check())?;
        self.wash.iter().try_for_each(|stage| stage.check())?;
        self.relief.iter().try_for_each(|stage| stage.check())?;
        self.grade.lift.iter().try_for_each(|lift| lift.check())?;
        self.pattern.iter().try_for_each(|stage| stage.check())
    }
}

fn check_cel(cel: &Cel) -> Result<()> {
    within("cel.steps", cel.steps, 1.0, 1000.0)?;
    within("cel.steepness", cel.steepness, 0.01, 1000.0)?;
    within("cel.strength", cel.strength, 0.0, 1.0)?;
    within("cel.gradient_sigma", cel.gradient_sigma, 0.0, MAX_SIGMA)?;
    within("cel.edge_slope", cel.edge_slope, ABOVE_ZERO, 10.0)?;
    within("cel.smooth_sigma", cel.smooth_sigma, 0.0, MAX_SIGMA)?;
    rising("cel.slope_from", cel.slope_from, "cel.slope_to", cel.slope_to)
}

fn check_pen(name: &str, pen: &Pen) -> Result<()> {
    within(&format!("{name}.sigma"), pen.sigma, 0.1, MAX_SIGMA)?;
    within(&format!("{name}.along"), pen.along, 0.1, MAX_SIGMA)?;
    within(&format!("{name}.threshold"), pen.threshold, 0.0, 1.0)?;
    within(&format!("{name}.strength"), pen.strength, 0.0, 1e5)
}

pub(super) fn within(name: &str, value: f32, low: f32, high: f32) -> Result<()> {
    // Written so that NaN is refused.
    ensure!((low..=high).contains(&value), "'{name}' is {value}, it must lie within {low} to {high}");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What is said of the recipe `anime` with one number replaced; the number is found by its table and name.
    fn said(table: &str, name: &str, value: &str) -> String {
        said_of("anime", table, name, value)
    }

    /// The same of any built-in recipe.
    fn said_of(look: &str, table: &str, name: &str, value: &str) -> String {
        let text = Recipe::builtin(look).unwrap();
        let mut changed: toml::Table = toml::from_str(text).unwrap();
        let keys = table.split('.').filter(|key| !key.is_empty());
        let place = keys.fold(&mut changed, |table, key| table.get_mut(key).unwrap().as_table_mut().unwrap());
        assert!(place.contains_key(name), "there is no {table}.{name}");
        place.insert(name.into(), format!("v = {value}").parse::<toml::Table>().unwrap()["v"].clone());
        match Recipe::parse(&toml::to_string(&changed).unwrap()) {
            Ok(_) => String::new(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn a_number_that_cannot_be_computed_with_is_named() {
        for (table, name, value) in [
            ("faces", "max_enlarge", "0.5"),
            ("faces", "ideal_height", "1e9"),
            ("faces", "feature_from", "0.04"),
            ("flatten", "range", "0.0"),
            ("flatten", "radius", "100000"),
            ("flatten", "texture_sigma", "1e6"),
            ("tone", "strength", "nan"),
            ("ink", "crowd_sigma", "-1.0"),
            ("ink", "crowd_from", "0.28"),
            ("ink.contour", "sigma", "0.0"),
            ("ink.detail", "along", "inf"),
            ("grade", "gamma", "nan"),
            ("grade", "white", "0.07"),
            ("grade", "vivid_from", "0.9"),
            ("grade", "ink_colour", "[40.0, 300.0, 44.0]"),
            ("grade", "shadow_shift", "[0.0, nan]"),
            ("glow", "above", "1.0"),
            ("glow", "amount", "-0.1"),
            ("", "name", "' '"),
        ] {
            let error = said(table, name, value);
            assert!(error.contains(name), "{table}.{name} = {value}: {error}");
        }
    }

    #[test]
    fn a_number_of_a_stage_that_may_be_left_out_is_named_too() {
        for (look, table, name, value) in [
            ("film", "cel", "steepness", "0.0"),
            ("film", "cel", "steps", "0.0"),
            ("film", "cel", "slope_from", "0.5"),
            ("film", "dodge", "towards", "0.0"),
            ("film", "grade.lift", "tint", "[0.0, 0.5]"),
            ("film", "grade.lift", "below", "nan"),
            ("oil", "brush", "radius", "0.0"),
            ("oil", "brush", "radius", "1e4"),
            ("oil", "brush", "passes", "1000"),
            ("oil", "relief", "bristle_sigma", "0.0"),
            ("oil", "relief", "form_from", "0.0"),
            ("comic", "ink.bold", "sigma", "0.0"),
            ("comic", "spot", "softness", "0.0"),
            ("comic", "tone", "softness", "inf"),
            ("ink", "tone", "levels", "[0.5, 0.4, 1.0]"),
            ("ink", "tone", "levels", "[0.5, 1.0]"),
            ("ink", "tone", "thresholds", "[0.5, 1.1]"),
            ("ink", "pattern", "amount", "2.0"),
            ("ink", "pattern", "kind", "'stripes'"),
            ("watercolour", "wash", "rim_limit", "0.0"),
            ("watercolour", "wash", "paper_from", "1.5"),
        ] {
            let error = said_of(look, table, name, value);
            let named = error.contains(name) || error.contains("stripes");
            assert!(named, "{look}: {table}.{name} = {value}: {error}");
        }
    }

    #[test]
    fn a_look_is_shaded_in_one_way() {
        let film = Recipe::builtin("film").unwrap();
        let tone = Recipe::builtin("comic").unwrap().split("\n\n").find(|table| table.starts_with("[tone]")).unwrap();
        let both = Recipe::parse(&format!("{film}\n{tone}")).unwrap_err().to_string();
        assert!(both.contains("'cel'") && both.contains("'tone'"), "{both}");
        let none = Recipe::parse(&Recipe::builtin("comic").unwrap().replace(tone, "")).unwrap_err().to_string();
        assert!(none.contains("'cel'") && none.contains("'tone'"), "{none}");
    }

    #[test]
    fn a_pair_of_thresholds_must_rise() {
        assert!(said("grade", "black", "0.94").contains("must be below 'grade.white'"));
        assert_eq!(said("grade", "black", "0.5"), "");
    }

    #[test]
    fn a_number_that_is_unknown_or_missing_is_refused() {
        let text = Recipe::builtin("film").unwrap();
        let error = Recipe::parse(&text.replace("[cel]", "[cel]\nstairs = 3")).unwrap_err().to_string();
        assert!(error.contains("stairs"), "{error}");
        assert!(Recipe::parse(&text.replace("steps = 4.0", "")).is_err());
    }
}
