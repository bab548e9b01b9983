//! The recipe: every number of a look, read from TOML.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::pattern;
use super::stages::{Brush, Dodge, Lift, Pattern, Relief, Spot, Tone, Wash};
use crate::data::parse_toml;

/// The recipes that are compiled in, by name.
const BUILTIN: [(&str, &str); 6] = [
    ("anime", include_str!("../../recipes/anime.toml")),
    ("film", include_str!("../../recipes/film.toml")),
    ("comic", include_str!("../../recipes/comic.toml")),
    ("ink", include_str!("../../recipes/ink.toml")),
    ("watercolour", include_str!("../../recipes/watercolour.toml")),
    ("oil", include_str!("../../recipes/oil.toml")),
];

/// All numbers of a look. Lengths are in pixels of the picture as painted, colours in Oklab unless said otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What the look is called.
    pub name: String,
    /// How faces are treated.
    pub faces: Faces,
    /// See [`super::flatten`].
    pub flatten: Flatten,
    /// See [`super::cel`]. A recipe has either this or `tone`.
    pub cel: Option<Cel>,
    /// See [`super::ink`].
    pub ink: Ink,
    /// See [`super::grade`].
    pub grade: Grade,
    /// See [`super::grade::glow`].
    pub glow: Glow,
    /// See [`super::dodge`].
    pub dodge: Option<Dodge>,
    /// See [`super::brush`].
    pub brush: Option<Brush>,
    /// See [`super::tone`].
    pub tone: Option<Tone>,
    /// See [`super::tone::spot`].
    pub spot: Option<Spot>,
    /// See [`super::wash`].
    pub wash: Option<Wash>,
    /// See [`super::relief`].
    pub relief: Option<Relief>,
    /// See [`super::pattern`]. Pictures with one are to be cropped at multiples of [`Recipe::grid`] only.
    pub pattern: Option<Pattern>,
}

/// Small faces are painted enlarged, so that the pens' widths suit them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faces {
    /// Face height that the other numbers of the recipe suit best.
    pub ideal_height: f32,
    /// Faces lower than this are enlarged to `ideal_height`.
    pub enlarge_below: f32,
    /// Largest enlargement.
    pub max_enlarge: f32,
    /// Head beyond the face box, and its feathered border, as a share of the face's height.
    pub head_margin: f32,
    /// Surroundings painted along with the head, as a share of the face's height.
    pub context: f32,
    /// Surroundings that eyes, brows and mouths are compared with.
    pub feature_sigma: f32,
    /// Contrast (in lightness) below which a dark spot is no feature.
    pub feature_from: f32,
    /// Contrast from which it is one.
    pub feature_to: f32,
    /// How much the contrast of features grows, as a share.
    pub feature_gain: f32,
    /// Contrast at which that growth has halved.
    pub feature_limit: f32,
}

/// Numbers of the flatten stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {
    /// Texture finer than this goes.
    pub texture_sigma: f32,
    /// The same in faces.
    pub detail_sigma: f32,
    /// Radius of the bilateral window.
    pub radius: usize,
    /// Colours further apart than this do not mix.
    pub range: f32,
    /// The same in faces.
    pub detail_range: f32,
    /// How much more a difference of chroma counts than one of lightness.
    pub chroma_weight: f32,
    /// Passes that bring edges back from the photo.
    pub restore_passes: usize,
    /// Passes that flatten the result.
    pub flatten_passes: usize,
}

/// Numbers of the cel stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cel {
    /// Steps between black and white.
    pub steps: f32,
    /// Steepness of a step.
    pub steepness: f32,
    /// Share of the stepped lightness in the result.
    pub strength: f32,
    /// Surroundings in which the slope of the shading is averaged.
    pub gradient_sigma: f32,
    /// Slope (lightness per pixel) from which it is an edge and no shading.
    pub edge_slope: f32,
    /// Slope (lightness per pixel) at which steps begin to show.
    pub slope_from: f32,
    /// Slope at which they show fully.
    pub slope_to: f32,
    /// Softening of the steps' borders.
    pub smooth_sigma: f32,
}

/// Numbers of the ink stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ink {
    /// Smoothing of the directions that lines follow.
    pub flow_sigma: f32,
    /// Added to the threshold in the dark, where sensor noise is strongest in lightness.
    pub dark_threshold: f32,
    /// Lightness below which that begins.
    pub dark_below: f32,
    /// Surroundings in which lines crowd.
    pub crowd_sigma: f32,
    /// Share of ink in the surroundings from which lines fade.
    pub crowd_from: f32,
    /// Share at which they have faded.
    pub crowd_to: f32,
    /// How much of a crowded line is taken away.
    pub crowd_relief: f32,
    /// Smoothing of the photo before fine lines are drawn from it.
    pub detail_sigma: f32,
    /// Added to the contour's threshold in faces, so that wrinkles get no ink.
    pub face_threshold: f32,
    /// Share of fine lines outside of faces.
    pub detail_everywhere: f32,
    /// Share of fine lines in faces.
    pub detail_in_faces: f32,
    /// Draws contours from the flattened picture.
    pub contour: Pen,
    /// Draws fine lines from the photo.
    pub detail: Pen,
    /// Goes over strong contours once more, from the flattened picture too.
    pub bold: Option<Pen>,
}

/// One pen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pen {
    /// Half the width of a line, about.
    pub sigma: f32,
    /// Smoothing along the line.
    pub along: f32,
    /// Response (in lightness; about a ninth of an edge's contrast) below which nothing is drawn.
    pub threshold: f32,
    /// How fast a line reaches full ink above the threshold.
    pub strength: f32,
}

/// Numbers of the grade stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grade {
    /// Lightness that becomes 0.
    pub black: f32,
    /// Lightness that becomes 1.
    pub white: f32,
    /// Exponent between: below 1 lifts the mids.
    pub gamma: f32,
    /// Chroma below which a colour is neutral and stays as it is.
    pub neutral_below: f32,
    /// Chroma above which it is treated as a colour fully.
    pub coloured_above: f32,
    /// Growth of chroma, as a share.
    pub boost: f32,
    /// Chroma from which the boost fades.
    pub vivid_from: f32,
    /// Chroma at which it is gone.
    pub vivid_to: f32,
    /// Added to `a` and `b` in coloured shadows.
    pub shadow_shift: [f32; 2],
    /// Lightness below which a shadow begins.
    pub shadow_below: f32,
    /// Added to `a` and `b` in coloured highlights.
    pub highlight_shift: [f32; 2],
    /// Lightness above which a highlight begins.
    pub highlight_above: f32,
    /// Colour of the ink, sRGB 0..255.
    pub ink_colour: [f32; 3],
    /// Share of the colour below that a line keeps.
    pub ink_keeps: f32,
    /// How much a full line covers.
    pub ink_opacity: f32,
    /// Shadows that are not black.
    pub lift: Option<Lift>,
}

/// Numbers of the glow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Glow {
    /// Luma (0..1) above which a pixel glows.
    pub above: f32,
    /// Spread.
    pub sigma: f32,
    /// Strength.
    pub amount: f32,
}

impl Recipe {
    /// The text of a built-in recipe, if there is one of that name.
    pub fn builtin(name: &str) -> Option<&'static str> {
        BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// The names of the built-in recipes.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, _)| *name)
    }

    /// Pixels after which the look's pattern repeats, counted from the picture's upper left corner: 1 without one.
    /// A crop or a shift of a painted picture by anything but a multiple would show a pattern that is never painted.
    pub fn grid(&self) -> u32 {
        if self.pattern.is_some() { pattern::PERIOD } else { 1 }
    }

    /// Reads a recipe.
    ///
    /// # Errors
    /// When the text is no recipe, or a number makes no sense; it says which and where.
    pub fn parse(text: &str) -> Result<Self> {
        let recipe: Self = parse_toml(text)?;
        recipe.check()?;
        Ok(recipe)
    }
}
