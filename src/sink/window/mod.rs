//! A window that shows the newest frame, with figures over it, and listens to keys.

mod full_screen;
mod hud;
mod slider;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use minifb::{InputCallback, MouseButton, MouseMode, ScaleMode, Window as Desktop, WindowOptions};

use super::{Flow, Sink};
use crate::draw::Canvas;
use crate::error::{Error, Result};
use crate::frame::{Frame, Size};
use crate::live::{Action, Console, Key, Lock, action};
use crate::pipeline::stats::Stats;
use crate::pixels::resize::{Filter, Scaler};
use full_screen::FullScreen;
use hud::{Hud, Readings};
use slider::Slider;

/// The largest window at the start: smaller than any screen that shows one. It can be enlarged.
const LARGEST: Size = Size::new(1280, 720);
/// How often the title's frame rate is renewed.
const TITLE_EVERY: Duration = Duration::from_secs(1);
/// The sink's name.
const NAME: &str = "window";

/// The statistics of the run that a window belongs to, put there once they are known: a run's statistics name its sinks.
pub type StatsOfRun = Rc<OnceCell<Arc<Stats>>>;

/// Shows frames as large as the window allows, their aspect kept, and does what keys say. Other sinks get frames without
/// what is shown over them.
pub struct Window {
    desktop: Desktop,
    console: Console,
    stats: StatsOfRun,
    hud: Hud,
    full_screen: FullScreen,
    /// Whether the window covers the screen as soon as it is there.
    to_fill: bool,
    lock: Option<Lock>,
    /// Keys that were pressed since we last looked.
    pressed: Rc<RefCell<Vec<Key>>>,
    /// Where the mouse was, and whether its button was down.
    mouse: Option<((f32, f32), bool)>,
    slider: Slider,
    scaler: Scaler,
    /// The newest frame, kept for when the window changes its size: its bytes and its size.
    newest: Vec<u8>,
    size: Size,
    scaled: Vec<u8>,
    /// What the window shows, `0RGB` per pixel, as large as `shown`.
    canvas: Vec<u32>,
    shown: Size,
    since: Instant,
    frames: u32,
}

/// How a window begins.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// Whether it covers the screen.
    pub full_screen: bool,
    /// What its keys are locked with; the figures are hidden then.
    pub lock: Option<Lock>,
}

/// Hears every key, even one that was let go before we looked.
struct Keys(Rc<RefCell<Vec<Key>>>);

impl InputCallback for Keys {
    fn add_char(&mut self, character: u32) {
        if let Some(character) = char::from_u32(character).filter(|character| !character.is_control()) {
            self.0.borrow_mut().push(Key::Character(character));
        }
    }

    fn set_key_state(&mut self, key: minifb::Key, down: bool) {
        let key = match key {
            minifb::Key::Left => Key::Left,
            minifb::Key::Right => Key::Right,
            minifb::Key::Up => Key::Up,
            minifb::Key::Down => Key::Down,
            minifb::Key::Escape => Key::Escape,
            minifb::Key::Enter | minifb::Key::NumPadEnter => Key::Enter,
            // Letters come as characters as well, in the keyboard's own layout.
            _ => Key::Other,
        };
        if down {
            self.0.borrow_mut().push(key);
        }
    }
}

impl Window {
    /// Opens a window for frames of `size`, whose keys act on `console`. Its bar names the style, with the frame rate behind it.
    ///
    /// # Errors
    /// Where there is no display.
    pub fn open(size: Size, manner: Manner, console: Console, stats: StatsOfRun) -> Result<Self> {
        let start = size.fill(Size::new(LARGEST.width.min(size.width), LARGEST.height.min(size.height)));
        // We scale to the window's own size, smoothly; minifb would repeat pixels.
        let options = WindowOptions { resize: true, scale_mode: ScaleMode::UpperLeft, ..WindowOptions::default() };
        let mut desktop = Desktop::new(&title(&console), start.width as usize, start.height as usize, options)
            .map_err(|e| {
                Error::Window(format!(
                    "no window can be opened here ({e}); run it where there is a display, or choose --sink null, \
                 --sink FILE.y4m or --sink -"
                ))
            })?;
        // The frames set the pace.
        desktop.set_target_fps(0);
        desktop.set_cursor_visibility(manner.lock.is_none());
        let pressed = Rc::default();
        desktop.set_input_callback(Box::new(Keys(Rc::clone(&pressed))));
        Ok(Self {
            desktop,
            console,
            stats,
            hud: Hud::with_figures(manner.lock.is_none()),
            full_screen: FullScreen::default(),
            to_fill: manner.full_screen,
            lock: manner.lock,
            pressed,
            mouse: None,
            slider: Slider::default(),
            scaler: Scaler::new(Filter::Bilinear),
            newest: Vec::new(),
            size,
            scaled: Vec::new(),
            canvas: Vec::new(),
            shown: Size::new(0, 0),
            since: Instant::now(),
            frames: 0,
        })
    }

    fn window_size(&self) -> Size {
        let (width, height) = self.desktop.get_size();
        Size::new(u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0))
    }

    /// Shows the newest frame, and does what keys and the mouse said meanwhile.
    fn draw(&mut self) -> Result<Flow> {
        let window = self.window_size();
        if window.area() == 0 || self.newest.is_empty() {
            // Without a picture too, the window appears and listens.
            self.desktop.update();
            return Ok(self.listen());
        }
        let inner = self.size.fill(window);
        self.scaled.resize(inner.rgb_len(), 0);
        self.scaler.scale(&self.newest, self.size, &mut self.scaled, inner)?;
        self.renew_hud();
        let canvas = &mut Canvas::new(&mut self.scaled, inner);
        if self.slider.is_wanted() {
            self.slider.renew(&self.console.style(), || self.console.duo());
        }
        let taken = self.slider.paint(canvas);
        self.hud.paint(canvas, taken);
        if self.shown != window {
            // New bars: black everywhere, then the picture.
            self.canvas.clear();
            self.canvas.resize(window.area(), 0);
            self.shown = window;
        }
        let (left, top) = ((window.width - inner.width) / 2, (window.height - inner.height) / 2);
        let rows = self.canvas.chunks_exact_mut(window.width as usize).skip(top as usize);
        for (row, pixels) in rows.zip(self.scaled.chunks_exact(inner.width as usize * 3)) {
            let row = &mut row[left as usize..][..inner.width as usize];
            for (to, rgb) in row.iter_mut().zip(pixels.chunks_exact(3)) {
                *to = u32::from_be_bytes([0, rgb[0], rgb[1], rgb[2]]);
            }
        }
        self.desktop
            .update_with_buffer(&self.canvas, window.width as usize, window.height as usize)
            .map_err(|e| Error::Window(format!("the window can show no more pictures: {e}")))?;
        Ok(self.listen())
    }

    fn renew_hud(&mut self) {
        self.console.messages().read(self.hud.message());
        self.hud.count(self.console.seconds_left());
        if self.hud.is_due() {
            let stats = self.stats.get();
            self.hud.renew(&Readings {
                recent: stats.map(|stats| stats.recent(NAME)),
                scale: stats.map(|stats| stats.scale()),
                source: stats.and_then(|stats| stats.source_status()).map(|status| status.get()),
                settings: self.console.settings(),
                recording: self.console.recording_since().map(|since| since.elapsed()),
            });
        }
    }

    /// Does what keys and the mouse said; whether the user wants an end.
    fn listen(&mut self) -> Flow {
        let pressed = self.pressed.take();
        if !pressed.is_empty() {
            self.console.somebody();
        }
        if std::mem::take(&mut self.to_fill)
            && let Err(error) = self.full_screen.toggle(&self.desktop)
        {
            tracing::warn!("{error}");
        }
        for key in pressed {
            let Some(action) = self.lock.as_mut().map_or_else(|| action(key), |lock| lock.action(key)) else {
                continue;
            };
            match action {
                Action::Quit => return Flow::Stop,
                Action::Help => self.hud.shows_help ^= true,
                Action::Figures => self.hud.shows_figures ^= true,
                Action::FullScreen => self.fill_screen(),
                other => self.console.perform(other),
            }
        }
        self.follow_mouse();
        // Locked, it is closed by its word alone: another program, or a key of the desktop, may ask for its end as well.
        if self.desktop.is_open() || self.lock.is_some() { Flow::Continue } else { Flow::Stop }
    }

    /// Covers the screen, or no longer.
    fn fill_screen(&mut self) {
        if let Err(error) = self.full_screen.toggle(&self.desktop) {
            self.console.messages().complain(error.to_string());
        }
    }

    /// Where the mouse moves over the picture, the border of the comparison is; but it may have the slider in its hand,
    /// which a locked window does not show.
    fn follow_mouse(&mut self) {
        // A hand that holds the slider may leave the window.
        let outside = if self.slider.is_held() { MouseMode::Pass } else { MouseMode::Discard };
        let Some(mouse) = self.desktop.get_mouse_pos(outside) else { return };
        let now = (mouse, self.desktop.get_mouse_down(MouseButton::Left));
        let Some((before, was_down)) = self.mouse.replace(now).filter(|before| *before != now) else { return };
        self.console.somebody();
        let window = self.window_size();
        let inner = self.size.fill(window);
        let left = (window.width - inner.width.min(window.width)) as f32 / 2.0;
        let top = (window.height - inner.height.min(window.height)) as f32 / 2.0;
        let at = (mouse.0 - left, mouse.1 - top);
        let (is_down, pressed) = (now.1, now.1 && !was_down);
        let dragged = match self.lock {
            None => self.slider.mouse(inner, at, is_down, pressed),
            Some(_) => None,
        };
        if let Some(duo) = dragged {
            self.console.wear_duo(duo);
        } else if before != mouse {
            self.console.move_border(at.0 / inner.width as f32);
        }
    }

    fn renew_title(&mut self) {
        let elapsed = self.since.elapsed();
        if elapsed >= TITLE_EVERY {
            let fps = f64::from(self.frames) / elapsed.as_secs_f64();
            self.desktop.set_title(&format!("{} – {fps:.1} fps", title(&self.console)));
            (self.since, self.frames) = (Instant::now(), 0);
        }
    }
}

impl Sink for Window {
    fn name(&self) -> &str {
        NAME
    }

    fn live(&self) -> bool {
        true
    }

    fn show(&mut self, frame: &Frame) -> Result<Flow> {
        self.newest.clear();
        self.newest.extend_from_slice(&frame.pixels);
        self.size = frame.size;
        self.frames += 1;
        self.renew_title();
        self.draw()
    }

    fn idle(&mut self) -> Result<Flow> {
        // Figures and messages go on where frames do not.
        if self.window_size() != self.shown || self.hud.is_due() || self.hud.counts() || self.slider.is_held() {
            return self.draw();
        }
        self.desktop.update();
        Ok(self.listen())
    }
}

fn title(console: &Console) -> String {
    format!("nijigen – {}", hud::short(&console.settings().style))
}
