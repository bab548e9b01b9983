//! A notice that fills a picture: what is the matter, why, and that something is being done about it.

use std::f32::consts::TAU;
use std::ops::Range;

use super::{Canvas, Colour, Lettering, Rect};

const BACKGROUND: Colour = [34, 38, 50];
const PANEL: Colour = [0, 0, 0];
const PANEL_OPACITY: f32 = 0.5;
const TITLE: Colour = [255, 255, 255];
const TEXT: Colour = [214, 218, 226];
const FOOTER: Colour = [150, 158, 172];
const SPINNER: Colour = [255, 138, 170];

/// Dots of the spinner.
const DOTS: u8 = 10;

/// The lowest line that can be read, in pixels.
const LOWEST_LINE: f32 = 12.0;

/// What stands on a notice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Notice<'a> {
    /// What is the matter, in a few words.
    pub title: &'a str,
    /// Why: a sentence or two. What does not fit is cut off, which "…" says.
    pub text: &'a str,
    /// What is being done about it, in one line.
    pub footer: &'a str,
    /// How far the spinner has turned, in turns, where there is one.
    pub turn: Option<f32>,
}

/// Paints notices. It keeps its buffers: once a notice's letters were drawn, painting it again allocates nothing.
#[derive(Default)]
pub struct NoticePainter {
    lettering: Lettering,
    lines: Vec<Range<usize>>,
}

impl NoticePainter {
    /// Paints `notice` over all of a picture, its letters scaled to the picture.
    pub fn paint(&mut self, canvas: &mut Canvas, notice: &Notice) {
        canvas.fill(BACKGROUND);
        let (width, height) = (canvas.size().width as f32, canvas.size().height as f32);
        let line = (height / 18.0).min(width / 24.0).max(LOWEST_LINE);
        let title = line * 1.35;
        let padding = line * 0.7;
        let panel_width = (width - padding).min((line * 26.0).max(width * 0.7));
        let inner_width = panel_width - 2.0 * padding;
        let spinner = line * 1.8;
        // The least is all but the text; where not even that fits it is cut by the picture's edges.
        let least = padding * 3.0 + spinner + title + line;
        let room = ((height - padding - least) / line).max(0.0) as usize;
        self.lettering.wrap(notice.text, whole(line), inner_width, &mut self.lines);
        let shown = self.lines.len().min(room);
        let panel_height = least + shown as f32 * line;
        let top = (height - panel_height) / 2.0;
        let panel = Rect { left: (width - panel_width) / 2.0, top, width: panel_width, height: panel_height };
        canvas.panel(panel, line / 2.0, PANEL, PANEL_OPACITY);

        if let Some(turn) = notice.turn {
            spin(canvas, width / 2.0, top + padding + spinner / 2.0, spinner / 2.0, turn);
        }
        let mut y = top + padding * 1.5 + spinner;
        self.centred(canvas, notice.title, "", y, title, TITLE);
        y += title;
        for n in 0..shown {
            let cut = if n + 1 == shown && shown < self.lines.len() { "…" } else { "" };
            self.centred(canvas, &notice.text[self.lines[n].clone()], cut, y, line, TEXT);
            y += line;
        }
        self.centred(canvas, notice.footer, "", y + padding / 2.0, line, FOOTER);
    }

    /// Writes `text` and `end` in one line in the middle.
    fn centred(&mut self, canvas: &mut Canvas, text: &str, end: &str, top: f32, height: f32, colour: Colour) {
        let height = whole(height);
        let (wide, more) = (self.lettering.width(text, height), self.lettering.width(end, height));
        let left = (canvas.size().width as f32 - wide - more) / 2.0;
        self.lettering.write(canvas, text, left, top, height, colour);
        self.lettering.write(canvas, end, left + wide, top, height, colour);
    }
}

/// Dots in a circle of `radius` around (`x`, `y`), the brightest of which runs clockwise.
fn spin(canvas: &mut Canvas, x: f32, y: f32, radius: f32, turn: f32) {
    let dot = radius * 0.2;
    for n in 0..DOTS {
        let place = f32::from(n) / f32::from(DOTS);
        let (sin, cos) = (place * TAU).sin_cos();
        // 1 where the head is, falling off behind it.
        let behind = (turn - place).rem_euclid(1.0);
        let opacity = 0.12 + 0.88 * (1.0 - behind).powi(2);
        canvas.disc(x + sin * (radius - dot), y - cos * (radius - dot), dot, SPINNER, opacity);
    }
}

fn whole(height: f32) -> u16 {
    height.round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Size;

    const NOTICE: Notice = Notice {
        title: "Camera lost",
        text: "camera 0 (vivid, /dev/video0) is gone; plug it in again",
        footer: "attempt 3, next in 4 s",
        turn: Some(0.3),
    };

    fn painted(size: Size, notice: &Notice) -> Vec<u8> {
        let mut pixels = vec![0; size.rgb_len()];
        NoticePainter::default().paint(&mut Canvas::new(&mut pixels, size), notice);
        pixels
    }

    #[test]
    fn every_part_shows_at_any_usable_size() {
        for (w, h) in [(160, 120), (120, 160), (640, 480), (1920, 1080), (3840, 2160)] {
            let size = Size::new(w, h);
            let whole = painted(size, &NOTICE);
            for other in [
                Notice { title: "Camera host", ..NOTICE },
                Notice { text: "camera 1 (vivid, /dev/video0) is gone; plug it in again", ..NOTICE },
                Notice { footer: "attempt 4, next in 4 s", ..NOTICE },
                Notice { turn: Some(0.4), ..NOTICE },
            ] {
                assert_ne!(painted(size, &other), whole, "{size}");
            }
            // Nothing is written into the rim.
            let row = w as usize * 3;
            assert!(whole[..row].as_chunks().0.iter().all(|pixel| *pixel == BACKGROUND), "{size}");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_the_rest_stays() {
        let size = Size::new(320, 240);
        let long = "a sentence that never ends ".repeat(40);
        let long = painted(size, &Notice { text: &long, ..NOTICE });
        let last = &long[(size.height as usize - 4) * size.width as usize * 3..];
        assert!(last.as_chunks().0.iter().all(|pixel| *pixel == BACKGROUND));
    }

    #[test]
    fn a_picture_too_small_for_it_is_no_reason_to_fail() {
        for (w, h) in [(1, 1), (2, 300), (300, 2), (17, 13)] {
            painted(Size::new(w, h), &NOTICE);
        }
    }
}
