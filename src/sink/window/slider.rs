//! A slider between two styles, at the lower end of a window's picture.

use std::time::{Duration, Instant};

use super::hud::{KEY, TEXT, dark, line_height, short, whole};
use crate::draw::{Canvas, Lettering, Rect};
use crate::frame::Size;
use crate::live::Duo;

/// For how long it is shown after the mouse was last near it.
const SHOWN: Duration = Duration::from_secs(3);
/// Where the mouse is near: in the lowest part of the picture, this share of it.
const NEAR: f32 = 1.0 / 3.0;

/// Shows how much there is of two styles, and has more or less of the second one worn when it is dragged. It is there where
/// the mouse moves near, and where two styles can be mixed.
#[derive(Default)]
pub struct Slider {
    lettering: Lettering,
    /// What it stands at. At either end one of the styles is worn alone: until another one is, it is still known which
    /// two these were.
    duo: Option<Duo>,
    /// The style that is worn as `duo` stands: that there is none for it is asked for once as well.
    style: Option<String>,
    near: Option<Instant>,
    held: bool,
}

/// Where its parts are, in pixels of the picture.
struct Places {
    line: f32,
    panel: Rect,
    /// The line that the knob moves on.
    track: Rect,
}

impl Places {
    fn in_picture(size: Size) -> Self {
        let (width, height) = (size.width as f32, size.height as f32);
        let line = line_height(size);
        let margin = (line * 0.6).round();
        let panel_width = (width - margin * 2.0).min(line * 26.0);
        let panel_height = line * 2.6;
        let (left, top) = ((width - panel_width) / 2.0, height - panel_height - margin);
        let panel = Rect { left, top, width: panel_width, height: panel_height };
        let (left, width) = (left + line * 1.5, panel_width - line * 3.0);
        let track = Rect { left, top: top + line * 1.75, width, height: (line / 6.0).max(2.0) };
        Self { line, panel, track }
    }

    fn hold(&self, (x, y): (f32, f32)) -> bool {
        let Rect { left, top, width, height } = self.panel;
        (left..left + width).contains(&x) && (top..top + height).contains(&y)
    }
}

impl Slider {
    /// Whether it is being dragged.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Whether it is held, or the mouse was near of late.
    pub fn is_wanted(&self) -> bool {
        self.held || self.near.is_some_and(|near| near.elapsed() < SHOWN)
    }

    /// Takes over that `style` is worn, where this is not what it stands at and nobody holds it: `duo` tells what it can be
    /// mixed with.
    pub fn renew(&mut self, style: &str, duo: impl FnOnce() -> Option<Duo>) {
        if !self.held && self.style.as_deref() != Some(style) {
            self.duo = duo();
            self.style = Some(style.to_owned());
        }
    }

    /// The mouse has moved to `at`, in pixels of a picture of `size`, or its button has changed. What is to be worn, while
    /// it has the slider in its hand; it can take it where it has been shown already.
    pub fn mouse(&mut self, size: Size, at: (f32, f32), is_down: bool, pressed: bool) -> Option<&Duo> {
        let was_shown = self.is_wanted() && self.duo.is_some();
        let (width, height) = (size.width as f32, size.height as f32);
        if (0.0..width).contains(&at.0) && (height * (1.0 - NEAR)..height).contains(&at.1) {
            self.near = Some(Instant::now());
        }
        let places = Places::in_picture(size);
        let takes = pressed && was_shown && places.hold(at);
        self.held = is_down && (self.held || takes);
        let duo = self.duo.as_mut().filter(|_| self.held)?;
        self.near = Some(Instant::now());
        duo.share = ((at.0 - places.track.left) / places.track.width).clamp(0.0, 1.0);
        self.style = Some(duo.style());
        Some(duo)
    }

    /// Draws it where it is wanted; the height of what it takes of the picture's lower end, pixels.
    pub fn paint(&mut self, canvas: &mut Canvas) -> f32 {
        let Some(duo @ Duo { main, other: Some(other), share }) = self.duo.as_ref().filter(|_| self.is_wanted()) else {
            return 0.0;
        };
        let Places { line, panel, track } = Places::in_picture(canvas.size());
        dark(canvas, panel, line);
        let high = whole(line);
        let percent = duo.tenths() * 100.0;
        let names = [format!("{} {:.0} %", short(main), 100.0 - percent), format!("{} {percent:.0} %", short(other))];
        let right = panel.left + panel.width - line - self.lettering.width(&names[1], high);
        for (name, left) in names.iter().zip([panel.left + line, right]) {
            self.lettering.write(canvas, name, left, panel.top + line * 0.3, high, TEXT);
        }
        canvas.panel(track, track.height / 2.0, TEXT, 0.7);
        canvas.disc(track.left + track.width * share, track.top + track.height / 2.0, line * 0.4, KEY, 1.0);
        canvas.size().height as f32 - panel.top
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SIZE: Size = Size::new(640, 480);

    fn slider() -> Slider {
        let mut slider = Slider::default();
        slider.renew("a", || Some(Duo { other: Some("b".into()), ..Duo::of("a") }));
        slider
    }

    /// A point on the track.
    fn at(share: f32) -> (f32, f32) {
        let Places { track, .. } = Places::in_picture(SIZE);
        (track.left + track.width * share, track.top)
    }

    fn painted(slider: &mut Slider) -> Vec<u8> {
        let mut pixels = vec![128; SIZE.rgb_len()];
        slider.paint(&mut Canvas::new(&mut pixels, SIZE));
        pixels
    }

    #[test]
    fn it_goes_where_it_is_dragged_and_stays_where_it_is_let_go() {
        let mut slider = slider();
        assert_eq!(slider.mouse(SIZE, at(0.3), true, true), None, "it has not been seen yet");
        assert_eq!(slider.mouse(SIZE, at(0.3), false, false), None, "the mouse only passes");
        assert_eq!(slider.mouse(SIZE, at(0.3), true, true).unwrap().style(), "a:0.7+b:0.3");
        // Who holds it may leave the panel.
        let (x, _) = at(0.6);
        assert_eq!(slider.mouse(SIZE, (x, 10.0), true, false).unwrap().style(), "a:0.4+b:0.6");
        assert_eq!(slider.mouse(SIZE, (9999.0, 10.0), true, false).unwrap().style(), "b");
        assert_eq!(slider.mouse(SIZE, at(0.1), false, false), None);
        // Nobody takes it out of the hand, and what is worn meanwhile is told afterwards.
        slider.mouse(SIZE, at(0.3), true, true);
        slider.renew("c", || panic!("it is held"));
        slider.mouse(SIZE, at(1.0), true, false);
        slider.mouse(SIZE, at(1.0), false, false);
        // Worn alone, the second one still stands at this slider's end.
        slider.renew("b", || panic!("it is known"));
        assert_eq!(slider.mouse(SIZE, at(0.5), true, true).unwrap().style(), "a:0.5+b:0.5");
    }

    #[test]
    fn who_presses_elsewhere_does_not_move_it() {
        let mut slider = slider();
        let (x, y) = at(0.5);
        assert_eq!(slider.mouse(SIZE, (x, 200.0), true, true), None);
        assert_eq!(slider.mouse(SIZE, (x, y), true, false), None, "pressed elsewhere and drawn over it");
        slider.mouse(SIZE, (x, y), false, false);
        slider.renew("alone", || None);
        assert_eq!(slider.mouse(SIZE, (x, y), true, true), None, "there is nothing to mix");
        slider.renew("alone", || panic!("it was asked for"));
    }

    #[test]
    fn it_is_seen_where_the_mouse_is_near_and_the_knob_where_it_stands() {
        let mut slider = slider();
        let plain = painted(&mut slider);
        assert!(plain.iter().all(|byte| *byte == 128));
        slider.mouse(SIZE, (300.0, 100.0), false, false);
        assert!(painted(&mut slider) == plain);
        slider.mouse(SIZE, (300.0, 400.0), false, false);
        let at_first = painted(&mut slider);
        assert!(at_first != plain);
        slider.mouse(SIZE, at(0.8), true, true);
        assert!(painted(&mut slider) != at_first);
        slider.mouse(SIZE, at(0.8), false, false);
        slider.renew("alone", || None);
        assert!(painted(&mut slider) == plain);
    }
}
