//! Plots of training curves.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

/// One curve: its name and its points (x, y).
pub type Curve<'a> = (&'a str, Vec<(f64, f64)>);

const COLOURS: [RGBColor; 3] = [RGBColor(140, 140, 150), RGBColor(200, 40, 90), RGBColor(40, 90, 200)];

/// Draws `curves` over training steps into a PNG of 960×540, with a line at `mark`.
///
/// # Errors
/// When the picture cannot be drawn or written.
pub fn curves(path: &Path, title: &str, curves: &[Curve<'_>], mark: Option<(f64, &str)>) -> Result<()> {
    register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::HACK_REGULAR)
        .map_err(|_| anyhow!("the plots' font cannot be read"))?;
    let size = (960, 540);
    let mut pixels = vec![0; (size.0 * size.1 * 3) as usize];
    draw(&mut pixels, size, title, curves, mark).map_err(|e| anyhow!("cannot draw {}: {e}", path.display()))?;
    let picture = image::RgbImage::from_raw(size.0, size.1, pixels).context("a plot of the wrong size")?;
    crate::sheet::save_png(&picture, path)
}

fn draw(
    pixels: &mut [u8],
    size: (u32, u32),
    title: &str,
    curves: &[Curve<'_>],
    mark: Option<(f64, &str)>,
) -> Result<(), Box<dyn std::error::Error>> {
    let root = BitMapBackend::with_buffer(pixels, size).into_drawing_area();
    root.fill(&WHITE)?;
    let points = || curves.iter().flat_map(|(_, points)| points.iter().filter(|(_, y)| y.is_finite()));
    let right = points().map(|p| p.0).fold(1.0, f64::max);
    let low = points().map(|p| p.1).fold(f64::INFINITY, f64::min);
    // The first evaluations are far above the rest and would flatten it.
    let mut heights: Vec<f64> = points().map(|p| p.1).collect();
    heights.sort_by(f64::total_cmp);
    let high = heights.get(heights.len() * 9 / 10).map_or(1.0, |h| h * 1.3);
    let low = if low.is_finite() { low * 0.9 } else { 0.0 };
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..right, low..high.max(low + 1e-6))?;
    chart.configure_mesh().x_desc("steps").light_line_style(RGBColor(235, 235, 235)).draw()?;
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
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
    root.present()?;
    Ok(())
}
