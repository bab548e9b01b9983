//! What a window shows over its picture: figures, keys, and what was last done.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::draw::{Canvas, Colour, Lettering, Rect};
use crate::frame::Size;
use crate::live::{HELP, Settings};
use crate::pipeline::recent::Recent;
use crate::source::SourceStatus;
use crate::style::Scale;

const PANEL: Colour = [0, 0, 0];
const PANEL_OPACITY: f32 = 0.6;
pub(super) const TEXT: Colour = [240, 242, 246];
pub(super) const KEY: Colour = [255, 196, 120];
const RED: Colour = [255, 72, 72];

/// How often figures change: more often nobody can read them.
const EVERY: Duration = Duration::from_millis(500);

/// What is shown over the picture. It keeps its texts: between two changes, painting allocates nothing.
pub struct Hud {
    lettering: Lettering,
    figures: [String; 3],
    message: String,
    recording: String,
    countdown: Option<u64>,
    renewed: Option<Instant>,
    /// Whether the figures are shown.
    pub shows_figures: bool,
    /// Whether the keys are shown.
    pub shows_help: bool,
}

/// What the figures are made of.
#[derive(Debug)]
pub struct Readings {
    /// Rates and latency, where they are measured.
    pub recent: Option<Recent>,
    /// At which scale the style is drawn.
    pub scale: Option<Scale>,
    /// How the source is, where it is one that comes back.
    pub source: Option<SourceStatus>,
    /// How pictures are drawn.
    pub settings: Settings,
    /// For how long a recording goes on.
    pub recording: Option<Duration>,
}

impl Default for Hud {
    fn default() -> Self {
        Self {
            lettering: Lettering::default(),
            figures: Default::default(),
            message: String::new(),
            recording: String::new(),
            countdown: None,
            renewed: None,
            shows_figures: true,
            shows_help: false,
        }
    }
}

impl Hud {
    /// One whose figures are shown, or hidden.
    pub fn with_figures(shows_figures: bool) -> Self {
        Self { shows_figures, ..Self::default() }
    }

    /// Whether the figures are old enough to be made anew.
    pub fn is_due(&self) -> bool {
        self.renewed.is_none_or(|renewed| renewed.elapsed() >= EVERY)
    }

    /// Makes the figures anew.
    pub fn renew(&mut self, readings: &Readings) {
        self.renewed = Some(Instant::now());
        let [rates, delays, state] = &mut self.figures;
        for line in [&mut *rates, delays, state, &mut self.recording] {
            line.clear();
        }
        // Writing to a string cannot fail.
        if let Some(recent) = &readings.recent {
            let Recent { capture_fps, stylize_fps, show_fps, drops, latency_p50, latency_p95 } = recent;
            let _ = write!(rates, "capture {capture_fps:.1}  stylize {stylize_fps:.1}  show {show_fps:.1} fps");
            if let Some(scale) = readings.scale {
                let _ = write!(rates, "  scale {:.0} %", scale.share() * 100.0);
            }
            let _ = write!(delays, "latency {latency_p50:.0} ms (95 %: {latency_p95:.0})  drops {drops:.1} per second");
        }
        let Settings { on, style, strength, .. } = &readings.settings;
        let _ = match on {
            true => write!(state, "{} {:.0} %", short(style), strength * 100.0),
            false => write!(state, "{} off", short(style)),
        };
        let _ = match &readings.source {
            None => Ok(()),
            Some(SourceStatus::Running) => write!(state, "  camera running"),
            Some(SourceStatus::Resting { .. }) => write!(state, "  camera asleep"),
            Some(SourceStatus::Retrying { since, attempt, .. }) => {
                write!(state, "  camera lost for {} s, attempt {attempt}", since.elapsed().as_secs())
            }
        };
        if let Some(recording) = readings.recording {
            let seconds = recording.as_secs();
            let _ = write!(self.recording, "REC {}:{:02}", seconds / 60, seconds % 60);
        }
    }

    /// What was last done, shown until it is emptied.
    pub fn message(&mut self) -> &mut String {
        &mut self.message
    }

    /// The seconds until a snapshot, shown large.
    pub fn count(&mut self, seconds: Option<u64>) {
        self.countdown = seconds;
    }

    /// Whether seconds are shown.
    pub fn counts(&self) -> bool {
        self.countdown.is_some()
    }

    /// Draws all of it, its letters scaled to the picture. The message stands above the lowest `taken` pixels.
    pub fn paint(&mut self, canvas: &mut Canvas, taken: f32) {
        let (width, height) = (canvas.size().width as f32, canvas.size().height as f32);
        let line = line_height(canvas.size());
        let margin = (line * 0.6).round();
        if self.shows_figures {
            self.panel_of_figures(canvas, line, margin);
        }
        if !self.recording.is_empty() {
            self.recording(canvas, width, line, margin);
        }
        if self.shows_help {
            self.help(canvas, line.min(height / (HELP.len() as f32 * 1.3 + 2.0)).max(9.0));
        }
        if let Some(seconds) = self.countdown {
            self.countdown(canvas, seconds);
        }
        if !self.message.is_empty() {
            let high = whole(line);
            let mut rows = Vec::new();
            self.lettering.wrap(&self.message, high, width - margin * 4.0, &mut rows);
            let panel_height = line * rows.len() as f32 + margin;
            let top = height - taken - panel_height - margin;
            let widest = rows.iter().map(|row| self.lettering.width(&self.message[row.clone()], high));
            let panel_width = widest.fold(0.0, f32::max) + margin * 2.0;
            let left = (width - panel_width) / 2.0;
            dark(canvas, Rect { left, top, width: panel_width, height: panel_height }, line);
            for (n, row) in rows.into_iter().enumerate() {
                let y = top + margin / 2.0 + n as f32 * line;
                self.lettering.write(canvas, &self.message[row], left + margin, y, high, TEXT);
            }
        }
    }

    fn panel_of_figures(&mut self, canvas: &mut Canvas, line: f32, margin: f32) {
        let high = whole(line);
        let lines = || self.figures.iter().filter(|text| !text.is_empty());
        let widest = lines().map(|text| self.lettering.width(text, high)).fold(0.0, f32::max);
        let panel_height = line * lines().count() as f32 + margin;
        let panel = Rect { left: margin, top: margin, width: widest + margin * 2.0, height: panel_height };
        dark(canvas, panel, line);
        for (n, text) in lines().enumerate() {
            let y = margin * 1.5 + n as f32 * line;
            self.lettering.write(canvas, text, margin * 2.0, y, high, TEXT);
        }
    }

    fn recording(&mut self, canvas: &mut Canvas, width: f32, line: f32, margin: f32) {
        let high = whole(line);
        let dot = line * 0.3;
        let panel_width = self.lettering.width(&self.recording, high) + dot * 3.0 + margin * 2.0;
        // Below the figures where both do not fit side by side.
        let top = if self.shows_figures && width < line * 45.0 { line * 3.0 + margin * 3.0 } else { margin };
        let left = width - panel_width - margin;
        dark(canvas, Rect { left, top, width: panel_width, height: line + margin }, line);
        canvas.disc(left + margin + dot, top + (line + margin) / 2.0, dot, RED, 1.0);
        self.lettering.write(canvas, &self.recording, left + margin + dot * 3.0, top + margin / 2.0, high, TEXT);
    }

    fn countdown(&mut self, canvas: &mut Canvas, seconds: u64) {
        let (width, height) = (canvas.size().width as f32, canvas.size().height as f32);
        let line = (height * 0.2).min(width * 0.2).min(300.0);
        let text = seconds.to_string();
        let wide = self.lettering.width(&text, whole(line));
        let radius = line * 0.7;
        // Below, where it covers nobody's face.
        let (x, y) = (width / 2.0, height - radius * 1.3);
        canvas.disc(x, y, radius, PANEL, PANEL_OPACITY);
        self.lettering.write(canvas, &text, x - wide / 2.0, y - line / 2.0, whole(line), TEXT);
    }

    fn help(&mut self, canvas: &mut Canvas, line: f32) {
        let (width, height) = (canvas.size().width as f32, canvas.size().height as f32);
        let high = whole(line);
        let keys = HELP.iter().map(|(key, _)| self.lettering.width(key, high)).fold(0.0, f32::max);
        let texts = HELP.iter().map(|(_, text)| self.lettering.width(text, high)).fold(0.0, f32::max);
        let (panel_width, panel_height) = (keys + texts + line * 3.0, line * (HELP.len() as f32 * 1.25 + 1.0));
        let (left, top) = (((width - panel_width) / 2.0).max(0.0), ((height - panel_height) / 2.0).max(0.0));
        // Twice as dark: there is much to read.
        for _ in 0..2 {
            dark(canvas, Rect { left, top, width: panel_width, height: panel_height }, line);
        }
        for (n, (key, text)) in HELP.iter().enumerate() {
            let y = top + line * (0.6 + n as f32 * 1.25);
            self.lettering.write(canvas, key, left + line, y, high, KEY);
            self.lettering.write(canvas, text, left + keys + line * 2.0, y, high, TEXT);
        }
    }
}

/// How high a line of text is in a picture of `size`, pixels.
pub(super) fn line_height(size: Size) -> f32 {
    (size.height as f32 / 26.0).min(size.width as f32 / 36.0).clamp(13.0, 40.0)
}

/// A dark panel, for what is written on it.
pub(super) fn dark(canvas: &mut Canvas, area: Rect, line: f32) {
    canvas.panel(area, line * 0.4, PANEL, PANEL_OPACITY);
}

/// A style's name without the folders that a path has.
pub fn short(style: &str) -> &str {
    style.rsplit(['/', std::path::MAIN_SEPARATOR]).next().unwrap_or(style)
}

/// The height of letters in a line.
pub(super) fn whole(line: f32) -> u16 {
    line.round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::region::Region;

    fn readings() -> Readings {
        Readings {
            recent: Some(Recent { capture_fps: 30.0, stylize_fps: 29.5, ..Recent::default() }),
            scale: None,
            source: Some(SourceStatus::Running),
            settings: Settings {
                on: true,
                style: "styles/anime.onnx".into(),
                enhance: false,
                strength: 0.7,
                region: Region::All,
                stability: 0.0,
                split: None,
                mirror: false,
            },
            recording: None,
        }
    }

    fn painted(hud: &mut Hud, size: Size) -> Vec<u8> {
        let mut pixels = vec![128; size.rgb_len()];
        hud.paint(&mut Canvas::new(&mut pixels, size), 0.0);
        pixels
    }

    #[test]
    fn figures_say_what_is_known() {
        let mut hud = Hud::default();
        assert!(hud.is_due());
        hud.renew(&readings());
        assert!(!hud.is_due());
        assert_eq!(hud.figures[0], "capture 30.0  stylize 29.5  show 0.0 fps");
        assert_eq!(hud.figures[2], "anime.onnx 70 %  camera running");
        let lost = SourceStatus::Retrying { since: Instant::now(), attempt: 3, last_reason: "gone".into() };
        let mut other =
            Readings { recent: None, source: Some(lost), recording: Some(Duration::from_secs(75)), ..readings() };
        other.settings.on = false;
        hud.renew(&other);
        assert_eq!((hud.figures[0].as_str(), hud.figures[1].as_str()), ("", ""));
        assert_eq!(hud.figures[2], "anime.onnx off  camera lost for 0 s, attempt 3");
        assert_eq!(hud.recording, "REC 1:15");
    }

    #[test]
    fn each_part_is_drawn_and_nothing_where_none_is_wanted() {
        for (width, height) in [(1, 1), (160, 120), (640, 480), (1280, 720), (300, 1000)] {
            let size = Size::new(width, height);
            let plain = vec![128; size.rgb_len()];
            let mut hud = Hud { shows_figures: false, ..Hud::default() };
            hud.renew(&readings());
            assert_eq!(painted(&mut hud, size), plain, "{size}");
            if width == 1 {
                hud.shows_help = true;
                painted(&mut hud, size);
                continue;
            }
            hud.shows_figures = true;
            let figures = painted(&mut hud, size);
            hud.shows_figures = false;
            hud.shows_help = true;
            let help = painted(&mut hud, size);
            hud.shows_help = false;
            hud.message().push_str("Snapshot: /home/somebody/Pictures/nijigen-2026-05-01-134502.png");
            let message = painted(&mut hud, size);
            hud.message().clear();
            hud.renew(&Readings { recording: Some(Duration::ZERO), ..readings() });
            let recording = painted(&mut hud, size);
            hud.renew(&readings());
            hud.count(Some(3));
            let three = painted(&mut hud, size);
            hud.count(Some(2));
            let two = painted(&mut hud, size);
            hud.count(None);
            let all = [&plain, &figures, &help, &message, &recording, &three, &two];
            for (n, one) in all.iter().enumerate() {
                assert!(all[..n].iter().all(|other| other != one), "{size}: {n}");
            }
        }
    }
}
