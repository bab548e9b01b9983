//! Anti-aliased painting with shapes given by their signed distance.

use std::ops::Range;

use crate::frame::Size;

/// A colour, 0 to 255 per channel, not rounded.
pub type Colour = [f32; 3];

/// A point or a vector. On a [`Canvas`] the unit is the square root of the picture's area, so that shapes cover the same
/// share of it at any aspect; x runs right from the middle, y down from the top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f32,
    /// Down.
    pub y: f32,
}

/// A point from its coordinates.
pub const fn at(x: f32, y: f32) -> Point {
    Point { x, y }
}

impl Point {
    /// From `other` to this point.
    pub fn from(self, other: Self) -> Self {
        at(self.x - other.x, self.y - other.y)
    }

    /// Turned clockwise by `angle` (radians) around the origin.
    pub fn turned(self, angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        at(self.x * cos - self.y * sin, self.x * sin + self.y * cos)
    }

    fn length(self) -> f32 {
        self.x.hypot(self.y)
    }
}

/// Distance to an ellipse around the origin with the half axes `a` and `b`, negative inside; exact on its outline.
pub fn ellipse(p: Point, a: f32, b: f32) -> f32 {
    let scaled = at(p.x / a, p.y / b).length();
    let gradient = at(p.x / (a * a), p.y / (b * b)).length();
    if gradient > 0.0 { (scaled - 1.0) * scaled / gradient } else { -a.min(b) }
}

/// Distance to a box around the origin with half sides `a` and `b` and corners rounded by `r`, negative inside.
pub fn rounded_box(p: Point, a: f32, b: f32, r: f32) -> f32 {
    let (x, y) = (p.x.abs() - a + r, p.y.abs() - b + r);
    at(x.max(0.0), y.max(0.0)).length() + x.max(y).min(0.0) - r
}

/// Distance to a limb: the line from `a` to `b`, `r` thick on each side, negative inside.
pub fn limb(p: Point, a: Point, b: Point, r: f32) -> f32 {
    let (pa, ba) = (p.from(a), b.from(a));
    let along = ((pa.x * ba.x + pa.y * ba.y) / (ba.x * ba.x + ba.y * ba.y)).clamp(0.0, 1.0);
    pa.from(at(ba.x * along, ba.y * along)).length() - r
}

/// From `a` (at 0) to `b` (at 1).
pub fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    let t = t.clamp(0.0, 1.0);
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t]
}

/// Brighter (above 1) or darker (below 1).
pub fn lit(colour: Colour, by: f32) -> Colour {
    colour.map(|c| c * by)
}

/// A picture that is painted, or some rows of it.
#[derive(Debug, Clone)]
pub struct Canvas {
    size: Size,
    rows: Range<usize>,
    unit: f32,
    pixels: Vec<Colour>,
}

impl Canvas {
    /// The rows `rows`, black, of a picture of `size`.
    pub fn new(size: Size, rows: Range<usize>) -> Self {
        let unit = (size.area() as f32).sqrt();
        let pixels = vec![[0.0; 3]; size.width as usize * rows.len()];
        Self { size, rows, unit, pixels }
    }

    /// The colours, row by row.
    pub fn pixels(&self) -> &[Colour] {
        &self.pixels
    }

    /// The half width and the height of the picture, in its unit.
    pub fn extent(&self) -> (f32, f32) {
        (self.size.width as f32 / 2.0 / self.unit, self.size.height as f32 / self.unit)
    }

    /// Paints where `distance` is negative, with `colour` of each place, over whatever lies within `reach` of `centre`.
    pub fn paint(
        &mut self,
        centre: Point,
        reach: Point,
        distance: impl Fn(Point) -> f32,
        colour: impl Fn(Point) -> Colour,
    ) {
        let (unit, middle) = (self.unit, self.size.width as f32 / 2.0);
        let span = |centre: f32, reach: f32, within: Range<usize>| {
            // One pixel more on each side for the soft edge; `as` saturates.
            let (from, to) = ((centre - reach) * unit - 1.0, (centre + reach) * unit + 2.0);
            (from as usize).max(within.start)..(to as usize).min(within.end)
        };
        let columns = span(centre.x + middle / unit, reach.x, 0..self.size.width as usize);
        for row in span(centre.y, reach.y, self.rows.clone()) {
            for column in columns.clone() {
                let place = at((column as f32 + 0.5 - middle) / unit, (row as f32 + 0.5) / unit);
                let cover = (0.5 - distance(place) * unit).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let i = (row - self.rows.start) * self.size.width as usize + column;
                    self.pixels[i] = mix(self.pixels[i], colour(place), cover);
                }
            }
        }
    }

    /// Paints everywhere.
    pub fn flood(&mut self, colour: impl Fn(Point) -> Colour) {
        let (half_width, height) = self.extent();
        self.paint(at(0.0, height / 2.0), at(half_width, height / 2.0), |_| -1.0, colour);
    }
}
