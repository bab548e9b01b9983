//! What a camera offers, and which of it to ask for.

use std::cmp::Ordering;
use std::fmt;

use super::{CameraRequest, PixelFormat};
use crate::frame::{Rate, Size};

/// The rate aimed at where none is asked for, in frames per second.
const USUAL_RATE: f64 = 30.0;

/// Rates this close count as equal: 29.97 is 30.
const RATE_TOLERANCE: f64 = 0.01;

/// What a camera offers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Offer {
    /// What we can read.
    pub modes: Vec<Mode>,
    /// The names of the pixel formats that we cannot read.
    pub unread: Vec<String>,
}

/// One pixel format in one size or range of sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct Mode {
    /// How we read it.
    pub format: PixelFormat,
    /// The camera's own four-character code for it.
    pub fourcc: [u8; 4],
    /// The sizes.
    pub sizes: Sizes,
    /// The frame rates; for a range of sizes those at the size asked about.
    pub rates: Rates,
}

/// Frame sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// One.
    One(Size),
    /// All from `min` to `max` in steps.
    Range {
        /// The smallest.
        min: Size,
        /// The largest.
        max: Size,
        /// Between one width and the next, and one height and the next; at least 1×1.
        step: Size,
    },
}

impl Sizes {
    /// The one nearest to `wanted`.
    pub fn nearest(&self, wanted: Size) -> Size {
        let side = |wanted: u32, min: u32, max: u32, step: u32| {
            let max = max.max(min);
            let steps = (wanted.clamp(min, max) - min).saturating_add(step / 2) / step.max(1);
            min.saturating_add(steps.saturating_mul(step)).min(max)
        };
        match *self {
            Self::One(size) => size,
            Self::Range { min, max, step } => Size::new(
                side(wanted.width, min.width, max.width, step.width),
                side(wanted.height, min.height, max.height, step.height),
            ),
        }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::One(size) => size.to_string(),
            Self::Range { min, max, .. } => format!("{min} to {max}"),
        };
        f.pad(&text)
    }
}

/// Frame rates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rates {
    /// These, the highest first; none where the camera does not tell.
    Some(Vec<Rate>),
    /// All from the lowest to the highest.
    Range(Rate, Rate),
}

impl Rates {
    /// These rates, sorted, each once.
    pub fn some(mut rates: Vec<Rate>) -> Self {
        rates.sort_by(|a, b| b.as_f64().total_cmp(&a.as_f64()));
        rates.dedup();
        Self::Some(rates)
    }

    /// The lowest rate that is not below `wanted`, else the highest.
    fn best(&self, wanted: Option<Rate>) -> Option<Rate> {
        let target = wanted.map_or(USUAL_RATE, Rate::as_f64);
        match self {
            Self::Some(rates) => {
                let enough = |rate: &&Rate| rate.as_f64() >= target * (1.0 - RATE_TOLERANCE);
                rates.iter().rev().find(enough).or(rates.first()).copied()
            }
            Self::Range(lowest, highest) => {
                if target >= highest.as_f64() {
                    Some(*highest)
                } else if target <= lowest.as_f64() {
                    Some(*lowest)
                } else {
                    wanted.or(Rate::new(USUAL_RATE as u32, 1))
                }
            }
        }
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Some(rates) if rates.is_empty() => f.write_str("unknown rate"),
            Self::Some(rates) => {
                let rates: Vec<String> = rates.iter().map(Rate::to_string).collect();
                write!(f, "{} fps", rates.join(", "))
            }
            Self::Range(lowest, highest) => write!(f, "{lowest} to {highest} fps"),
        }
    }
}

/// What to ask a camera for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// How we read it.
    pub format: PixelFormat,
    /// The camera's own code for the format.
    pub fourcc: [u8; 4],
    /// The size.
    pub size: Size,
    /// The rate, where the camera tells its rates.
    pub rate: Option<Rate>,
}

/// The mode that comes nearest to the request: colour before grey, then the nearest size, then a rate that is high
/// enough (else the highest), then no higher than needed, then the format that loses and costs least
/// ([`PixelFormat::ALL`]). `None` where nothing is offered (in the format `only`).
pub fn choose(modes: &[Mode], request: &CameraRequest, only: Option<PixelFormat>) -> Option<Choice> {
    modes
        .iter()
        .filter(|mode| only.is_none_or(|format| format == mode.format))
        .map(|mode| Choice {
            format: mode.format,
            fourcc: mode.fourcc,
            size: mode.sizes.nearest(request.size),
            rate: mode.rates.best(request.fps),
        })
        .min_by(|a, b| a.compare(b, request))
}

impl Choice {
    fn compare(&self, other: &Self, request: &CameraRequest) -> Ordering {
        let key = |choice: &Self| {
            let target = request.fps.map_or(USUAL_RATE, Rate::as_f64);
            // An untold rate is taken for what is wanted.
            let ratio = choice.rate.map_or(1.0, |rate| rate.as_f64() / target);
            let lack = if ratio >= 1.0 - RATE_TOLERANCE { 0.0 } else { 1.0 - ratio };
            let excess = if ratio <= 1.0 + RATE_TOLERANCE { 0.0 } else { ratio - 1.0 };
            let grey = f64::from(u8::from(choice.format == PixelFormat::Grey));
            [grey, distance(choice.size, request.size), lack, excess]
        };
        let rank = |choice: &Self| PixelFormat::ALL.iter().position(|&format| format == choice.format);
        let by_key = key(self).iter().zip(key(other)).map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne());
        by_key.unwrap_or_else(|| rank(self).cmp(&rank(other)))
    }
}

/// How far a size is from another: by what factors its sides differ, as logarithms. 0 where they are equal.
fn distance(a: Size, b: Size) -> f64 {
    let side = |a: u32, b: u32| (f64::from(a) / f64::from(b)).ln().abs();
    side(a.width, b.width) + side(a.height, b.height)
}

/// "asked 640x480 at 30 fps, got 320x240 at 15 fps", or `None` where the camera gives what was asked.
pub fn difference(request: &CameraRequest, size: Size, rate: Option<Rate>) -> Option<String> {
    let same_rate = match (request.fps, rate) {
        (Some(asked), Some(got)) => (got.as_f64() / asked.as_f64() - 1.0).abs() <= RATE_TOLERANCE,
        _ => true,
    };
    if size == request.size && same_rate {
        return None;
    }
    let text = |size: Size, rate: Option<Rate>| match rate {
        Some(rate) if request.fps.is_some() => format!("{size} at {rate} fps"),
        _ => size.to_string(),
    };
    Some(format!("asked {}, got {}", text(request.size, request.fps), text(size, rate)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    fn mode(format: PixelFormat, size: &str, rates: &[&str]) -> Mode {
        let rates = Rates::some(rates.iter().map(|text| rate(text)).collect());
        Mode { format, fourcc: format.fourcc(), sizes: Sizes::One(size.parse().unwrap()), rates }
    }

    fn request(size: &str, fps: Option<&str>) -> CameraRequest {
        CameraRequest { size: size.parse().unwrap(), fps: fps.map(rate) }
    }

    fn chosen(modes: &[Mode], size: &str, fps: &str) -> String {
        let choice = choose(modes, &request(size, Some(fps)), None).unwrap();
        format!("{} {} {}", choice.format, choice.size, choice.rate.unwrap())
    }

    /// An ordinary webcam: uncompressed where USB 2 carries it, MJPEG everywhere.
    fn webcam() -> Vec<Mode> {
        use PixelFormat::{Mjpeg, Yuyv};
        vec![
            mode(Mjpeg, "1920x1080", &["30", "15"]),
            mode(Mjpeg, "1280x720", &["60", "30", "15"]),
            mode(Mjpeg, "640x480", &["30", "15"]),
            mode(Yuyv, "1280x720", &["10", "5"]),
            mode(Yuyv, "640x480", &["30000/1001", "15"]),
            mode(Yuyv, "320x240", &["30", "15"]),
        ]
    }

    #[test]
    fn uncompressed_where_it_is_fast_enough() {
        assert_eq!(chosen(&webcam(), "640x480", "30"), "YUYV 640x480 29.97");
        assert_eq!(chosen(&webcam(), "1280x720", "30"), "MJPG 1280x720 30");
        assert_eq!(chosen(&webcam(), "1280x720", "10"), "YUYV 1280x720 10");
        assert_eq!(chosen(&webcam(), "1280x720", "60"), "MJPG 1280x720 60");
    }

    #[test]
    fn the_nearest_size_and_rate() {
        assert_eq!(chosen(&webcam(), "640x360", "30"), "YUYV 640x480 29.97");
        assert_eq!(chosen(&webcam(), "3840x2160", "30"), "MJPG 1920x1080 30");
        assert_eq!(chosen(&webcam(), "100x100", "20"), "YUYV 320x240 30");
        // Too fast for any: the highest there is.
        assert_eq!(chosen(&webcam(), "1920x1080", "120"), "MJPG 1920x1080 30");
        assert_eq!(choose(&webcam(), &request("640x480", None), None).unwrap().rate, Some(rate("30000/1001")));
    }

    #[test]
    fn a_forced_format() {
        let choice = choose(&webcam(), &request("640x480", Some("30")), Some(PixelFormat::Mjpeg)).unwrap();
        assert_eq!((choice.format, choice.size), (PixelFormat::Mjpeg, Size::new(640, 480)));
        assert_eq!(choose(&webcam(), &request("640x480", None), Some(PixelFormat::Nv12)), None);
        assert_eq!(choose(&[], &request("640x480", None), None), None);
    }

    #[test]
    fn colour_before_grey() {
        let modes = [mode(PixelFormat::Grey, "640x480", &["30"]), mode(PixelFormat::Mjpeg, "1280x720", &["15"])];
        assert_eq!(chosen(&modes, "640x480", "30"), "MJPG 1280x720 15");
        assert_eq!(chosen(&modes[..1], "640x480", "30"), "GREY 640x480 30");
    }

    #[test]
    fn ranges_give_what_is_asked_within_them() {
        let sizes = Sizes::Range { min: Size::new(16, 16), max: Size::new(1920, 1080), step: Size::new(8, 2) };
        assert_eq!(sizes.nearest(Size::new(640, 480)), Size::new(640, 480));
        assert_eq!(sizes.nearest(Size::new(645, 481)), Size::new(648, 482));
        assert_eq!(sizes.nearest(Size::new(1, 9000)), Size::new(16, 1080));
        let modes =
            [Mode { format: PixelFormat::Nv12, fourcc: *b"NV12", sizes, rates: Rates::Range(rate("1"), rate("60")) }];
        assert_eq!(chosen(&modes, "640x480", "29.97"), "NV12 640x480 29.97");
        assert_eq!(chosen(&modes, "640x480", "90"), "NV12 640x480 60");
    }

    #[test]
    fn tells_what_differs_and_nothing_else() {
        let asked = request("640x480", Some("30"));
        let size = Size::new(640, 480);
        assert_eq!(difference(&asked, size, Some(rate("29.97"))), None);
        assert_eq!(difference(&asked, size, None), None);
        assert_eq!(
            difference(&asked, size, Some(rate("15"))).unwrap(),
            "asked 640x480 at 30 fps, got 640x480 at 15 fps"
        );
        assert_eq!(
            difference(&request("640x480", None), Size::new(320, 240), Some(rate("15"))).unwrap(),
            "asked 640x480, got 320x240"
        );
    }

    proptest! {
        #[test]
        fn a_range_gives_only_sizes_on_its_grid(
            min in (1u32..500, 1u32..500), extra in (0u32..3000, 0u32..3000), step in (1u32..40, 1u32..40),
            wanted in (1u32..12_000, 1u32..12_000),
        ) {
            let min = Size::new(min.0, min.1);
            let max = Size::new(min.width + extra.0, min.height + extra.1);
            let sizes = Sizes::Range { min, max, step: Size::new(step.0, step.1) };
            let size = sizes.nearest(Size::new(wanted.0, wanted.1));
            prop_assert!(size.width >= min.width && size.width <= max.width);
            prop_assert!(size.height >= min.height && size.height <= max.height);
            prop_assert!((size.width - min.width).is_multiple_of(step.0) || size.width == max.width);
        }

        #[test]
        fn what_is_chosen_is_offered(
            offered in proptest::collection::vec((0usize..6, 1u32..2000, 1u32..2000, 1u32..120), 1..12),
            wanted in (1u32..4000, 1u32..4000, 1u32..200),
        ) {
            let modes: Vec<Mode> = offered
                .iter()
                .map(|&(format, width, height, fps)| Mode {
                    format: PixelFormat::ALL[format],
                    fourcc: PixelFormat::ALL[format].fourcc(),
                    sizes: Sizes::One(Size::new(width, height)),
                    rates: Rates::some(vec![Rate::new(fps, 1).unwrap()]),
                })
                .collect();
            let request = CameraRequest { size: Size::new(wanted.0, wanted.1), fps: Rate::new(wanted.2, 1) };
            let choice = choose(&modes, &request, None).unwrap();
            prop_assert!(modes.iter().any(|mode| mode.format == choice.format
                && mode.sizes == Sizes::One(choice.size)
                && mode.rates == Rates::some(vec![choice.rate.unwrap()])));
            // An exact offer in colour is never passed over.
            if modes.iter().any(|m| m.sizes == Sizes::One(request.size) && m.format != PixelFormat::Grey) {
                prop_assert_eq!(choice.size, request.size);
            }
        }
    }
}
