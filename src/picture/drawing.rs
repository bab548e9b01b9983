//! Pictures as drawings of coloured areas, which scale without end: SVG.

use std::io::Write;
use std::path::Path;

use vtracer::{ColorImage, Config, Preset};

use super::Picture;
use crate::error::{Error, Result};
use crate::output::Output;

/// Traces `picture` and writes the drawing to `path`, which appears only when it is complete. What is transparent by more
/// than half is left out.
///
/// `stop` is asked before it is traced and before it is written; where it says yes, nothing is left behind.
///
/// # Errors
/// [`Error::Io`] where it cannot be written, [`Error::Input`] where it cannot be traced, [`Error::Interrupted`] where it
/// was stopped.
pub fn write_svg(path: &Path, picture: &Picture, stop: &dyn Fn() -> bool) -> Result<()> {
    let go_on = || if stop() { Err(Error::Interrupted) } else { Ok(()) };
    let mut output = Output::create(path)?;
    go_on()?;
    let pixels = picture.rgb.as_chunks::<3>().0.iter().enumerate().flat_map(|(n, [red, green, blue])| {
        let alpha = picture.alpha.as_ref().and_then(|alpha| alpha.get(n)).copied().unwrap_or(255);
        // The tracer knows areas that are there and areas that are not.
        [*red, *green, *blue, if alpha < 128 { 0 } else { 255 }]
    });
    let (width, height) = (picture.size.width as usize, picture.size.height as usize);
    let image = ColorImage { pixels: pixels.collect(), width, height };
    // Flat colours with clear borders are what a style makes.
    let svg = Config::from_preset(Preset::Poster).build().and_then(|pipeline| pipeline.to_svg(&image));
    let svg = svg.map_err(|error| Error::Input(format!("{} cannot be traced: {error}", path.display())))?;
    go_on()?;
    output.file().write_all(svg.as_bytes()).map_err(|error| Error::io("write", path, error))?;
    output.commit()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::frame::Size;

    /// A red square on blue.
    fn picture() -> Picture {
        let size = Size::new(64, 48);
        let inside = |n: usize| (16..40).contains(&(n % 64)) && (12..36).contains(&(n / 64));
        let rgb = (0..size.area()).flat_map(|n| if inside(n) { [220, 20, 30] } else { [10, 40, 200] }).collect();
        Picture { size, rgb, alpha: None, profile: None }
    }

    #[test]
    fn each_area_is_a_path_of_its_colour() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.svg");
        write_svg(&path, &picture(), &|| false).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap().to_lowercase();
        assert!(svg.contains("<svg") && svg.contains("width=\"64\"") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(svg.matches("<path").count() >= 2, "{svg}");
        assert!(matches!(write_svg(&path, &picture(), &|| true), Err(Error::Interrupted)));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
