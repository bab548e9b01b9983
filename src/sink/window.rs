//! A window that shows the newest frame.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use minifb::{InputCallback, Key, ScaleMode, Window as Desktop, WindowOptions};

use super::{Flow, Sink};
use crate::error::{Error, Result};
use crate::frame::{Frame, Size};
use crate::pixels::resize::{Filter, Scaler};

/// The largest window at the start: smaller than any screen that shows one. It can be enlarged.
const LARGEST: Size = Size::new(1280, 720);
/// How often the title's frame rate is renewed.
const TITLE_EVERY: Duration = Duration::from_secs(1);

/// Shows frames as large as the window allows, their aspect kept. Esc and q close it.
pub struct Window {
    desktop: Desktop,
    title: String,
    quit: Rc<Cell<bool>>,
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

/// Hears every key, even one that was let go before we looked.
struct Keys(Rc<Cell<bool>>);

impl InputCallback for Keys {
    fn add_char(&mut self, character: u32) {
        if matches!(char::from_u32(character), Some('q' | 'Q' | '\u{1b}')) {
            self.0.set(true);
        }
    }

    fn set_key_state(&mut self, key: Key, down: bool) {
        if down && key == Key::Escape {
            self.0.set(true);
        }
    }
}

impl Window {
    /// Opens a window for frames of `size`. `title` stands in its bar, with the frame rate behind it.
    ///
    /// # Errors
    /// Where there is no display.
    pub fn open(title: &str, size: Size) -> Result<Self> {
        let start = size.fill(Size::new(LARGEST.width.min(size.width), LARGEST.height.min(size.height)));
        // We scale to the window's own size, smoothly; minifb would repeat pixels.
        let options = WindowOptions { resize: true, scale_mode: ScaleMode::UpperLeft, ..WindowOptions::default() };
        let mut desktop = Desktop::new(title, start.width as usize, start.height as usize, options).map_err(|e| {
            Error::Window(format!(
                "no window can be opened here ({e}); run it where there is a display, or choose --sink null, \
                 --sink FILE.y4m or --sink -"
            ))
        })?;
        // The frames set the pace.
        desktop.set_target_fps(0);
        let quit = Rc::new(Cell::new(false));
        desktop.set_input_callback(Box::new(Keys(Rc::clone(&quit))));
        Ok(Self {
            desktop,
            title: title.into(),
            quit,
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

    fn draw(&mut self) -> Result<Flow> {
        let window = self.window_size();
        if window.area() == 0 || self.newest.is_empty() {
            // Without a picture too, the window appears and listens.
            self.desktop.update();
            return Ok(self.look());
        }
        let inner = self.size.fill(window);
        self.scaled.resize(inner.rgb_len(), 0);
        self.scaler.scale(&self.newest, self.size, &mut self.scaled, inner)?;
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
        Ok(self.look())
    }

    /// Whether the user closed it.
    fn look(&self) -> Flow {
        if self.quit.get() || !self.desktop.is_open() { Flow::Stop } else { Flow::Continue }
    }

    fn renew_title(&mut self) {
        let elapsed = self.since.elapsed();
        if elapsed >= TITLE_EVERY {
            let fps = f64::from(self.frames) / elapsed.as_secs_f64();
            self.desktop.set_title(&format!("{} – {fps:.1} fps", self.title));
            (self.since, self.frames) = (Instant::now(), 0);
        }
    }
}

impl Sink for Window {
    fn name(&self) -> &str {
        "window"
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
        if self.window_size() != self.shown {
            return self.draw();
        }
        self.desktop.update();
        Ok(self.look())
    }
}
