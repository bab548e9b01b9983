//! Plots of training curves.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

/// One curve: its name and its points (x, y).
pub type Curve<'a> = (&'a str, Vec<(f64, f64)>);

/// One of several plots in a picture.
#[derive(Debug)]
pub struct Panel<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// Its curves.
    pub curves: Vec<Curve<'a>>,
}

/// Panels in a row, and the size of each in pixels.
const IN_A_ROW: usize = 3;
const PANEL: (u32, u32) = (560, 360);

const COLOURS: [RGBColor; 3] = [RGBColor(140, 140, 150), RGBColor(200, 40, 90), RGBColor(40, 90, 200)];

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws `curves` over training steps into a PNG of 960×540, with a line at `mark`.
///
/// # Errors
/// When the picture cannot be drawn or written.
pub fn curves(path: &Path, title: &str, curves: &[Curve<'_>], mark: Option<(f64, &str)>) -> Result<()> {
    picture(path, (960, 540), |root| draw(root, title, curves, mark))
}

/// Draws several plots over training steps into one PNG, each with a line at `mark`.
///
/// # Errors
/// As [`curves`].
pub fn panels(path: &Path, panels: &[Panel<'_>], mark: Option<(f64, &str)>) -> Result<()> {
    let rows = panels.len().div_ceil(IN_A_ROW);
    let size = (PANEL.0 * IN_A_ROW as u32, PANEL.1 * rows as u32);
    picture(path, size, |root| {
        let areas = root.split_evenly((rows, IN_A_ROW));
        areas.iter().zip(panels).try_for_each(|(area, panel)| draw(area, panel.title, &panel.curves, mark))
    })
}

fn picture(path: &Path, size: (u32, u32), drawing: impl FnOnce(&Area<'_>) -> Drawn) -> Result<()> {
    register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::HACK_REGULAR)
        .map_err(|_| anyhow!("the plots' font cannot be read"))?;
    let mut pixels = vec![0; (size.0 * size.1 * 3) as usize];
    let drawn = (|| -> Drawn {
        let root = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        root.fill(&WHITE)?;
        drawing(&root)?;
        Ok(root.present()?)
    })();
    drawn.map_err(|e| anyhow!("cannot draw {}: {e}", path.display()))?;
    let picture = image::RgbImage::from_raw(size.0, size.1, pixels).context("a plot of the wrong size")?;
    crate::sheet::save_png(&picture, path)
}

fn draw(root: &Area<'_>, title: &str, curves: &[Curve<'_>], mark: Option<(f64, &str)>) -> Drawn {
    let points = || curves.iter().flat_map(|(_, points)| points.iter().filter(|(_, y)| y.is_finite()));
    let right = points().map(|p| p.0).fold(1.0, f64::max);
    let low = points().map(|p| p.1).fold(f64::INFINITY, f64::min);
    // The first evaluations are far above the rest and would flatten it. Each curve has a say: one that begins late has
    // few points among them all.
    let high = curves.iter().filter_map(|(_, points)| {
        let mut heights: Vec<f64> = points.iter().map(|p| p.1).filter(|y| y.is_finite()).collect();
        heights.sort_by(f64::total_cmp);
        heights.get(heights.len() * 9 / 10).map(|h| h * 1.3)
    });
    let highest = points().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let high = high.reduce(f64::max).unwrap_or(1.0).min(highest + 0.05 * highest.abs());
    let low = if low.is_finite() { low * 0.9 } else { 0.0 };
    let mut chart = ChartBuilder::on(root)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..right, low..high.max(low + 1e-6))?;
    chart.configure_mesh().x_desc("steps").max_light_lines(1).light_line_style(RGBColor(235, 235, 235)).draw()?;
    if let Some((x, name)) = mark {
        chart.draw_series(LineSeries::new([(x, low), (x, high)], BLACK.mix(0.4)))?;
        chart.draw_series([Text::new(name.to_owned(), (x, high * 0.98), ("sans-serif", 14))])?;
    }
    for ((name, points), colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        chart
            .draw_series(LineSeries::new(
                points.iter().copied().map(|(x, y)| (x, y.min(high))),
                colour.stroke_width(2),
            ))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], *colour));
    }
    let heights = points().map(|(x, y)| (x / right, (y - low) / (high - low).max(1e-6))).collect::<Vec<_>>();
    chart
        .configure_series_labels()
        .position(emptiest_corner(&heights))
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

/// Where the fewest of `points` (0..1 from the left and from below) lie, for the names of the curves.
fn emptiest_corner(points: &[(f64, f64)]) -> SeriesLabelPosition {
    let within = |is_right: bool, is_upper: bool| {
        let is_in = |(x, y): &&(f64, f64)| (*x > 0.5) == is_right && (*y > 0.6 && is_upper || *y < 0.4 && !is_upper);
        points.iter().filter(is_in).count()
    };
    let corners = [
        (within(true, true), SeriesLabelPosition::UpperRight),
        (within(true, false), SeriesLabelPosition::LowerRight),
        (within(false, true), SeriesLabelPosition::UpperLeft),
        (within(false, false), SeriesLabelPosition::LowerLeft),
    ];
    corners
        .into_iter()
        .min_by_key(|(count, _)| *count)
        .map_or(SeriesLabelPosition::UpperRight, |(_, position)| position)
}
