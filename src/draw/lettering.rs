//! Text.

use std::collections::HashMap;
use std::ops::Range;

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};

use super::{Canvas, Colour};

/// Noto Sans, the letters of Western Europe: `README.md` beside it.
const FONT: &[u8] = include_bytes!("font/NotoSans-Latin.ttf");

/// Glyphs that are kept before all are forgotten: a few sizes' worth. A window that is dragged through many sizes must
/// not fill the memory.
const KEPT_GLYPHS: usize = 2048;

/// The font, with the glyphs that were drawn before: drawing text with them allocates nothing.
pub struct Lettering {
    font: FontRef<'static>,
    glyphs: HashMap<(GlyphId, u16), Glyph>,
}

/// A glyph as a mask.
struct Glyph {
    /// From the pen to its left edge, and from the top of the line to its top edge.
    left: i32,
    top: i32,
    width: u32,
    /// One byte per pixel, 255 where it is covered.
    coverage: Vec<u8>,
    /// From this glyph's pen to the next one's.
    advance: f32,
}

impl Default for Lettering {
    fn default() -> Self {
        Self { font: FontRef::try_from_slice(FONT).expect("the font is compiled in"), glyphs: HashMap::new() }
    }
}

impl Lettering {
    /// How wide `text` is in lines of `height` pixels.
    pub fn width(&mut self, text: &str, height: u16) -> f32 {
        text.chars().map(|letter| self.glyph(letter, height).advance).sum()
    }

    /// Writes `text` in one line of `height` pixels, whose top left corner is at (`left`, `top`). Letters that the font
    /// has not become a box.
    pub fn write(&mut self, canvas: &mut Canvas, text: &str, left: f32, top: f32, height: u16, colour: Colour) {
        let mut pen = left;
        for letter in text.chars() {
            let glyph = self.glyph(letter, height);
            let (x, y) = (pen.round() as i32, top.round() as i32);
            canvas.stamp(
                x.saturating_add(glyph.left),
                y.saturating_add(glyph.top),
                glyph.width,
                &glyph.coverage,
                colour,
            );
            pen += glyph.advance;
        }
    }

    /// Breaks `text` into lines of `height` pixels and at most `width`, between words where it can; `lines` then holds
    /// their places in `text`. A single letter is wider than any width given, so no line is empty.
    pub fn wrap(&mut self, text: &str, height: u16, width: f32, lines: &mut Vec<Range<usize>>) {
        lines.clear();
        let (mut start, mut reached) = (0, 0.0);
        // Where the last word of this line ended, and where the one after it begins with what came before it.
        let mut break_at: Option<(usize, usize, f32)> = None;
        for (place, letter) in text.char_indices() {
            let advance = self.glyph(letter, height).advance;
            if letter.is_whitespace() {
                break_at = Some((place, place + letter.len_utf8(), reached + advance));
            } else {
                while reached + advance > width && place > start {
                    let (end, next, before) = break_at.take().unwrap_or((place, place, reached));
                    lines.push(start..end);
                    start = next;
                    reached -= before;
                }
            }
            reached += advance;
        }
        if start < text.len() {
            lines.push(start..text.len());
        }
    }

    fn glyph(&mut self, letter: char, height: u16) -> &Glyph {
        // Tabs and line ends are blanks here; what has no glyph gets number 0, a box.
        let id = self.font.glyph_id(if letter.is_control() { ' ' } else { letter });
        if self.glyphs.len() >= KEPT_GLYPHS && !self.glyphs.contains_key(&(id, height)) {
            self.glyphs.clear();
        }
        let font = &self.font;
        self.glyphs.entry((id, height)).or_insert_with(|| Glyph::draw(font, id, height))
    }
}

impl Glyph {
    fn draw(font: &FontRef, id: GlyphId, height: u16) -> Self {
        let scale = PxScale::from(f32::from(height));
        let scaled = font.as_scaled(scale);
        let advance = scaled.h_advance(id);
        let glyph = id.with_scale_and_position(scale, point(0.0, scaled.ascent()));
        let Some(outline) = font.outline_glyph(glyph) else {
            return Self { left: 0, top: 0, width: 0, coverage: Vec::new(), advance };
        };
        let bounds = outline.px_bounds();
        let (width, rows) = (bounds.width() as u32, bounds.height() as u32);
        let mut coverage = vec![0; width as usize * rows as usize];
        outline.draw(|x, y, cover| {
            if let Some(byte) = coverage.get_mut((y * width + x) as usize) {
                *byte = (cover.clamp(0.0, 1.0) * 255.0).round() as u8;
            }
        });
        Self { left: bounds.min.x as i32, top: bounds.min.y as i32, width, coverage, advance }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Size;

    const SIZE: Size = Size::new(40, 30);

    fn written(text: &str, left: f32, top: f32) -> Vec<u8> {
        let mut pixels = vec![0; SIZE.rgb_len()];
        let mut lettering = Lettering::default();
        lettering.write(&mut Canvas::new(&mut pixels, SIZE), text, left, top, 24, [255; 3]);
        pixels
    }

    fn ink(text: &str) -> u32 {
        written(text, 8.0, 2.0).iter().map(|&byte| u32::from(byte)).sum()
    }

    #[test]
    fn the_letters_of_western_europe_are_there_and_others_are_boxes() {
        let boxed = written("\u{6444}", 8.0, 2.0);
        assert_eq!(boxed, written("\u{42f}", 8.0, 2.0));
        for letter in (' '..='~').chain('\u{a0}'..='ÿ').chain("ŒœŠšŽžŸ–—‘’“”…•€".chars()) {
            assert_ne!(written(letter.encode_utf8(&mut [0; 4]), 8.0, 2.0), boxed, "{letter}");
        }
        assert!(ink("e") > 0 && ink("é") > ink("e") && ink("Ä") > ink("A") && ink("ß") > 0);
        assert_eq!(ink(" \t\n\u{a0}"), 0);
    }

    #[test]
    fn a_line_holds_all_of_its_letters() {
        let pixels = written("Äg", 4.0, 3.0);
        let rows: Vec<usize> = pixels
            .chunks_exact(SIZE.width as usize * 3)
            .enumerate()
            .filter(|(_, row)| row.iter().any(|&byte| byte > 0))
            .map(|(n, _)| n)
            .collect();
        assert!(rows[0] >= 3 && rows[rows.len() - 1] < 3 + 24, "{rows:?}");
    }

    #[test]
    fn text_may_begin_and_end_outside() {
        let inside = written("WW", 0.0, 0.0);
        let cut = written("WW", -9.0, -6.0);
        assert!(cut.iter().any(|&byte| byte > 0) && cut != inside);
        assert!(written("W", 1e20, -1e20).iter().all(|&byte| byte == 0));
    }

    fn lines(text: &str, width: f32) -> Vec<&str> {
        let mut lines = Vec::new();
        Lettering::default().wrap(text, 20, width, &mut lines);
        lines.into_iter().map(|line| &text[line]).collect()
    }

    #[test]
    fn lines_break_between_words_and_fit() {
        let text = "camera 0 (vivid, /dev/video0) is gone; plug it in again";
        let width = 150.0;
        let broken = lines(text, width);
        assert!(broken.len() > 2, "{broken:?}");
        assert_eq!(broken.join(" "), text);
        let mut lettering = Lettering::default();
        assert!(broken.iter().all(|line| lettering.width(line, 20) <= width), "{broken:?}");
        // As much as fits: the first word of the next line would not have.
        for pair in broken.windows(2) {
            let more = format!("{} {}", pair[0], pair[1].split(' ').next().unwrap_or_default());
            assert!(lettering.width(&more, 20) > width, "{more}");
        }
        assert_eq!(lines(text, 1e6), [text]);
        assert!(lines("", 100.0).is_empty());
    }

    #[test]
    fn a_word_that_is_too_long_is_cut() {
        let text = "éééééééééééééééééééé!";
        let broken = lines(text, 60.0);
        assert!(broken.len() > 2, "{broken:?}");
        assert_eq!(broken.concat(), text);
        // Even where nothing fits there is progress.
        assert_eq!(lines("abc", 0.0), ["a", "b", "c"]);
    }

    #[test]
    fn many_sizes_do_not_fill_the_memory() {
        let mut lettering = Lettering::default();
        for height in 1..400 {
            lettering.width("The quick brown fox", height);
        }
        assert!(lettering.glyphs.len() <= KEPT_GLYPHS);
    }
}
