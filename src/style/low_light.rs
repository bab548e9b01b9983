//! Low light, undone before a photo is restored.
//!
//! A network that sees a part of the picture cannot tell a dim light from a dark coat; the picture as a whole can: where
//! even its highlights are dark, light was wanting. All of it is lifted then by one curve.

use std::time::{Duration, Instant};

use crate::frame::Size;

/// The brightest channel of this share of the pixels is at most as bright as what is called the highlights here: what is
/// brighter yet is a lamp, or noise.
const SHARE: f32 = 0.99;
/// Where highlights are brought to, of 255. Those of most photos in good light are near it.
const GOOD: f32 = 245.0;
/// Highlights as dark as this are lifted all the way.
const DARK: f32 = 150.0;
/// Highlights as bright as this are left alone, as are those of about 95 % of the photos trained on. In between the curve
/// fades, so that no picture is lifted suddenly; the price is that lifted highlights are darker there than below.
const BRIGHT: f32 = 215.0;
/// Darker highlights are lifted as these are, by a factor of four: beyond it there is little but noise.
const DARKEST: f32 = 61.0;
/// The power that lifted values are raised to: low light takes more from shadows than from highlights.
const SHADOWS: f32 = 1.0 / 1.2;
/// One pixel in this many is looked at, along rows and columns.
const STEP: usize = 4;
/// A live picture is lifted as before while its highlights stay within this share of what they were.
const DEAD_ZONE: f32 = 0.08;
/// Darker light is reached within this share.
const REACHED: f32 = 0.03;
/// In this time a live picture goes most (1 - 1/e) of the way to darker light. Brighter light is followed at once: under the
/// curve of darkness it would be white.
const PACE: Duration = Duration::from_millis(200);

/// What becomes of each value when a picture is lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Curve([u8; 256]);

impl Curve {
    /// For a photo (RGB) by itself, if its light is low.
    pub(super) fn of(photo: &[u8], size: Size) -> Option<Self> {
        Self::for_highlights(highlights(photo, size))
    }

    fn for_highlights(highlights: f32) -> Option<Self> {
        let share = ((BRIGHT - highlights) / (BRIGHT - DARK)).min(1.0);
        if share <= 0.0 {
            return None;
        }
        let brought_to = (highlights + share * (GOOD - highlights)) / 255.0;
        let power = 1.0 + share * (SHADOWS - 1.0);
        // Allows for the power, so that highlights end exactly there.
        let factor = brought_to.powf(1.0 / power) / highlights;
        Some(Self(std::array::from_fn(|value| (255.0 * (value as f32 * factor).min(1.0).powf(power)).round() as u8)))
    }

    /// Lifts a picture.
    pub(super) fn lift(&self, pixels: &mut [u8]) {
        pixels.iter_mut().for_each(|value| *value = self.0[usize::from(*value)]);
    }
}

/// The light of a live picture, which is followed from frame to frame.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LiveLight(Option<Seen>);

#[derive(Debug, Clone, Copy)]
struct Seen {
    /// The highlights that the last frame was lifted for.
    highlights: f32,
    /// When it was captured.
    at: Instant,
    /// Whether it is darker than that, and the curve is on its way there.
    is_darkening: bool,
}

impl LiveLight {
    /// The curve for the next frame (RGB), captured at `at`, if the light is low. Small changes of the light are ignored.
    pub(super) fn follow(&mut self, frame: &[u8], size: Size, at: Instant) -> Option<Curve> {
        let now = highlights(frame, size);
        let (highlights, is_darkening) = self.0.map_or((now, false), |seen| seen.towards(now, at));
        self.0 = Some(Seen { highlights, at, is_darkening });
        Curve::for_highlights(highlights)
    }
}

impl Seen {
    fn towards(self, now: f32, at: Instant) -> (f32, bool) {
        let Self { highlights, is_darkening, .. } = self;
        let off = (now / highlights - 1.0).abs();
        if !is_darkening && off < DEAD_ZONE {
            return (highlights, false);
        }
        if now > highlights || off < REACHED {
            return (now, false);
        }
        let times = at.saturating_duration_since(self.at).as_secs_f32() / PACE.as_secs_f32();
        (highlights + (1.0 - (-times).exp()) * (now - highlights), true)
    }
}

/// How bright a picture's highlights are, of 255, and at least [`DARKEST`].
fn highlights(rgb: &[u8], size: Size) -> f32 {
    let mut counts = [0_u32; 256];
    for row in rgb.chunks_exact(3 * size.width as usize).step_by(STEP) {
        for [r, g, b] in row.as_chunks::<3>().0.iter().step_by(STEP) {
            counts[usize::from(*r.max(g).max(b))] += 1;
        }
    }
    let beyond = (1.0 - SHARE) * counts.iter().sum::<u32>() as f32;
    let mut brighter = 0;
    let value = (0..=255_u8).rev().find(|value| {
        brighter += counts[usize::from(*value)];
        brighter as f32 > beyond
    });
    f32::from(value.unwrap_or(0)).max(DARKEST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SIZE: Size = Size::new(96, 64);

    /// A scene whose values reach up to `brightest`.
    fn scene(brightest: f32) -> Vec<u8> {
        (0..SIZE.rgb_len()).map(|i| (brightest * ((i / 3 * 7) % 251) as f32 / 250.0).round() as u8).collect()
    }

    fn lifted(photo: &[u8]) -> Vec<u8> {
        let mut lifted = photo.to_vec();
        Curve::of(photo, SIZE).unwrap().lift(&mut lifted);
        lifted
    }

    #[test]
    fn what_is_in_good_light_stays_as_it_is() {
        for brightest in [220.0, 255.0] {
            assert_eq!(Curve::of(&scene(brightest), SIZE), None, "{brightest}");
        }
    }

    #[test]
    fn what_is_dim_becomes_as_bright_as_in_good_light() {
        let good = scene(245.0);
        for factor in [0.3, 0.45, 0.6] {
            let dim: Vec<u8> = good.iter().map(|value| (f32::from(*value) * factor).round() as u8).collect();
            let off = |picture: &[u8]| {
                let differences = picture.iter().zip(&good).map(|(a, b)| f64::from(a.abs_diff(*b)));
                differences.sum::<f64>() / good.len() as f64
            };
            let lifted = lifted(&dim);
            assert!(off(&lifted) < 0.3 * off(&dim), "{factor}: {} of {}", off(&lifted), off(&dim));
            assert!(highlights(&lifted, SIZE) > 235.0, "{factor}");
        }
    }

    #[test]
    fn a_lamp_in_the_dark_hides_nothing_and_black_stays_black() {
        let mut dark = scene(80.0);
        dark[..9].fill(255);
        assert!(highlights(&lifted(&dark), SIZE) > 200.0);
        let black = vec![0; SIZE.rgb_len()];
        assert!(lifted(&black) == black);
        let one = Size::new(1, 1);
        assert!(Curve::of(&[30, 20, 10], one).is_some() && Curve::of(&[30, 20, 250], one).is_none());
    }

    #[test]
    fn curves_rise_and_fade_without_a_jump() {
        let none = Curve(std::array::from_fn(|value| value as u8));
        let curve = |highlights: i16| Curve::for_highlights(f32::from(highlights)).unwrap_or(none);
        for highlights in DARKEST as i16..255 {
            let [Curve(this), Curve(next)] = [highlights, highlights + 1].map(curve);
            assert!(this.is_sorted() && this[0] == 0);
            let furthest = this.iter().zip(&next).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(furthest < 6, "{furthest} between {highlights} and the next");
        }
    }

    #[test]
    fn a_live_picture_follows_darkness_slowly_and_brightness_at_once_and_ignores_small_changes() {
        let began = Instant::now();
        let mut light = LiveLight::default();
        let mut frames = 0;
        let mut next = |brightest: f32| {
            frames += 1;
            light.follow(&scene(brightest), SIZE, began + Duration::from_millis(33) * frames)
        };
        let dim = next(100.0);
        assert!(dim.is_some() && dim == Curve::of(&scene(100.0), SIZE), "the first is lifted as a photo is");
        for brightest in [103.0, 97.0, 100.0] {
            assert_eq!(next(brightest), dim, "{brightest}");
        }
        assert_eq!(next(240.0), None, "a lamp is switched on");
        let curves: Vec<Option<Curve>> = (0..90).map(|_| next(100.0)).collect();
        let on_its_way = curves.windows(2).take_while(|pair| pair[0] != pair[1] || pair[0].is_none()).count();
        assert!((10..60).contains(&on_its_way), "{on_its_way} frames");
        assert_eq!(curves.last(), Some(&dim));
        assert!(curves[on_its_way..].iter().all(|curve| *curve == dim));
    }
}
