//! What the synthetic source shows: a room with a window, a shelf and a picture on the wall, and a person who sways,
//! talks and waves.

use std::f32::consts::TAU;
use std::ops::Range;

use super::canvas::{Canvas, Colour, Point, at, ellipse, limb, lit, mix, rounded_box};
use super::noise::Noise;
use crate::frame::Size;

const SKIN: Colour = [226.0, 178.0, 150.0];
const HAIR: Colour = [66.0, 44.0, 36.0];
const WALL: Colour = [196.0, 186.0, 170.0];
const WOOD: Colour = [122.0, 84.0, 56.0];
const SHIRTS: [Colour; 4] = [[74.0, 104.0, 150.0], [150.0, 74.0, 70.0], [84.0, 126.0, 90.0], [128.0, 98.0, 146.0]];

/// Boards of the shelf, and books on each of them.
const BOARDS: usize = 3;
const BOOKS: usize = 9;

/// One scene; seeds differ in shirt and books.
pub struct Scene {
    shirt: Colour,
    /// Colour, and height as a part of what fits between two boards.
    books: Vec<(Colour, f32)>,
}

impl Scene {
    /// The scene that `seed` names.
    pub fn new(seed: u64) -> Self {
        let mut noise = Noise::new(seed);
        let shirt = SHIRTS[(noise.bits() % SHIRTS.len() as u64) as usize];
        let mut book = || {
            let colour = [0.0; 3].map(|_: f32| 50.0 + 150.0 * noise.unit());
            (colour, 0.6 + 0.35 * noise.unit())
        };
        let books = (0..BOARDS * BOOKS).map(|_| book()).collect();
        Self { shirt, books }
    }

    /// The room without the person: some rows of it.
    pub fn room(&self, size: Size, rows: Range<usize>) -> Canvas {
        let mut canvas = Canvas::new(size, rows);
        let (half_width, height) = canvas.extent();
        // Light falls in from the window at the left; the paper has faint stripes and a grain.
        canvas.flood(|p| {
            let stripes = 1.0 + 0.02 * (p.x * TAU * 14.0).sin();
            let grain = 1.0 + 0.012 * (p.x * 611.0).sin() * (p.y * 547.0).sin();
            lit(WALL, (1.05 - 0.22 * (p.x + half_width) / (2.0 * half_width) - 0.12 * p.y / height) * stripes * grain)
        });
        window(&mut canvas, at(-half_width + 0.24, 0.30));
        picture(&mut canvas, at(0.16 * half_width, 0.13));
        self.shelf(&mut canvas, at(half_width - 0.21, 0.36));
        canvas
    }

    fn shelf(&self, canvas: &mut Canvas, centre: Point) {
        let (a, b) = (0.17, 0.27);
        let grain = |p: Point| lit(WOOD, 1.0 + 0.08 * (p.y * 90.0 + 2.0 * (p.x * 9.0).sin()).sin());
        paint_box(canvas, centre, a + 0.012, b + 0.012, grain);
        let space = 2.0 * b / BOARDS as f32;
        for board in 0..BOARDS {
            let middle = at(centre.x, centre.y - b + space * (board as f32 + 0.5));
            let (inner, floor) = (space / 2.0 - 0.008, middle.y + space / 2.0 - 0.008);
            paint_box(canvas, middle, a, inner, |p| lit(WOOD, 0.45 + 0.8 * (p.y - middle.y + inner)));
            let width = a / BOOKS as f32;
            for (n, &(colour, tall)) in self.books[board * BOOKS..][..BOOKS].iter().enumerate() {
                let half = inner * tall;
                let spine = at(centre.x - a + width * (2.0 * n as f32 + 1.0), floor - half);
                paint_box(canvas, spine, width * 0.92, half, |p| {
                    let round = 1.0 - 0.35 * ((p.x - spine.x) / width).powi(2);
                    let band = if ((p.y - spine.y).abs() / half - 0.6).abs() < 0.07 { 1.35 } else { 1.0 };
                    lit(colour, round * band)
                });
            }
        }
    }

    /// The person at `phase` of the movement, 0 to 1.
    pub fn figure(&self, canvas: &mut Canvas, phase: f32) {
        let turn = phase * TAU;
        // An ellipse rather than a line: on it nobody ever stands still.
        let sway = at(0.026 * turn.cos(), 0.010 * turn.sin());
        let (_, height) = canvas.extent();
        let head = Head { centre: at(sway.x - 0.02, 0.36 * height + sway.y), tilt: 0.07 * turn.sin() };
        let chest = at(0.6 * sway.x - 0.02, 0.36 * height + 0.5 * sway.y);
        self.body(canvas, chest);
        head.paint(canvas, turn);
        self.arm(canvas, chest, turn);
    }

    /// Striped knit, lit from the left.
    fn cloth(&self, p: Point, chest: Point, half_width: f32) -> Colour {
        let (x, y) = (p.x - chest.x, p.y - chest.y);
        let stripe = if (y * 17.0).fract() < 0.3 { 1.22 } else { 1.0 };
        let knit = 1.0 + 0.05 * (x * 190.0).sin() * (y * 210.0).sin();
        let round = 1.02 - 0.30 * (x / half_width) - 0.28 * (x / half_width).powi(2);
        lit(self.shirt, stripe * knit * round)
    }

    fn body(&self, canvas: &mut Canvas, chest: Point) {
        let half_width = 0.335;
        let neck = at(chest.x, chest.y + 0.17);
        let shade = |p: Point| lit(SKIN, 0.80 - 1.2 * (p.x - neck.x));
        canvas.paint(neck, at(0.07, 0.09), |p| rounded_box(p.from(neck), 0.062, 0.085, 0.03), shade);
        // The shoulders are high; what lies below the picture does not matter.
        let trunk = at(chest.x, chest.y + 0.19 + 0.8);
        let shoulders = |p: Point| {
            let p = p.from(trunk);
            rounded_box(at(p.x, p.y - 0.35 * p.x * p.x), half_width, 0.8, 0.12)
        };
        canvas.paint(trunk, at(half_width, 0.85), shoulders, |p| self.cloth(p, chest, half_width));
        let collar = at(chest.x, chest.y + 0.20);
        let opening = |p: Point| ellipse(p.from(collar), 0.078, 0.052);
        canvas.paint(collar, at(0.078, 0.052), opening, |p| lit(SKIN, 0.84 - 1.0 * (p.x - collar.x)));
    }

    fn arm(&self, canvas: &mut Canvas, chest: Point, turn: f32) {
        let elbow = at(chest.x + 0.36, chest.y + 0.45);
        let wave = at(0.0, -0.26).turned(0.22 + 0.30 * turn.sin());
        let wrist = at(elbow.x + wave.x, elbow.y + wave.y);
        let palm = at(wrist.x + wave.x * 0.22, wrist.y + wave.y * 0.22);
        let middle = at((elbow.x + palm.x) / 2.0, (elbow.y + palm.y) / 2.0);
        let reach = at(0.30, 0.34);
        let skin = |p: Point| lit(SKIN, 0.96 - 1.1 * (p.x - palm.x));
        canvas.paint(middle, reach, |p| ellipse(p.from(palm), 0.044, 0.052), skin);
        for finger in -2..=2 {
            let angle = 0.30 * finger as f32 + 0.22 + 0.34 * turn.sin();
            let along = at(0.0, -0.085).turned(angle);
            let tip = at(palm.x + along.x, palm.y + along.y);
            canvas.paint(tip, at(0.11, 0.11), |p| limb(p, palm, tip, 0.0135), skin);
        }
        let shoulder = at(chest.x + 0.27, chest.y + 0.29);
        let sleeve = |p: Point| limb(p, elbow, wrist, 0.052).min(limb(p, shoulder, elbow, 0.072));
        canvas.paint(middle, at(0.30, 0.40), sleeve, |p| lit(self.cloth(p, chest, 0.6), 0.92));
    }
}

fn paint_box(canvas: &mut Canvas, centre: Point, a: f32, b: f32, colour: impl Fn(Point) -> Colour) {
    canvas.paint(centre, at(a, b), |p| rounded_box(p.from(centre), a, b, 0.004), colour);
}

/// Sky, a hill and the crown of a tree behind four panes.
fn window(canvas: &mut Canvas, centre: Point) {
    let (a, b, bar) = (0.19, 0.23, 0.008);
    paint_box(canvas, centre, a + 0.022, b + 0.022, |p| lit([236.0, 232.0, 224.0], 1.0 - 0.4 * (p.y - centre.y + b)));
    for (x, y) in [(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)] {
        let pane = at(centre.x + x * a, centre.y + y * b);
        paint_box(canvas, pane, a / 2.0 - bar, b / 2.0 - bar, |p| {
            let q = p.from(centre);
            let sky = mix([150.0, 196.0, 240.0], [226.0, 238.0, 246.0], (q.y + b) / (1.6 * b));
            let cloud = (0.5 + 0.5 * (q.x * 21.0 + (q.y * 33.0).sin()).sin()) * (-(q.y + 0.09).powi(2) * 260.0).exp();
            let sky = mix(sky, [250.0, 250.0, 250.0], 0.8 * cloud);
            let hill = 0.11 + 0.03 * (q.x * 14.0).sin();
            let land = mix(sky, [126.0, 158.0, 96.0], (q.y - hill) * 60.0);
            let crown = ellipse(q.from(at(0.07, 0.04)), 0.085, 0.10) + 0.012 * (q.x * 95.0).sin() * (q.y * 88.0).sin();
            let leaf = (q.x * 150.0 + 2.5 * (q.y * 83.0).sin()).sin() * (q.y * 131.0 + 2.5 * (q.x * 71.0).sin()).sin();
            let leaves = lit([96.0, 142.0, 78.0], 1.0 + 0.2 * leaf);
            mix(land, leaves, 0.5 - crown * 90.0)
        });
    }
}

/// A framed print: a disc over the sea.
fn picture(canvas: &mut Canvas, centre: Point) {
    paint_box(canvas, centre, 0.085, 0.075, |_| [58.0, 48.0, 42.0]);
    paint_box(canvas, centre, 0.075, 0.065, |p| {
        let q = p.from(centre);
        let sea = lit([60.0, 96.0, 130.0], 1.0 + 0.15 * (q.y * 420.0 + (q.x * 60.0).sin()).sin());
        let sky = mix([238.0, 190.0, 140.0], [214.0, 120.0, 104.0], (0.05 - q.y) * 12.0);
        let disc = mix(sky, [250.0, 226.0, 170.0], 0.5 - ellipse(q.from(at(0.02, -0.01)), 0.022, 0.022) * 400.0);
        mix(disc, sea, (q.y - 0.02) * 600.0)
    });
}

/// A head: where it is and how it leans (radians, clockwise).
struct Head {
    centre: Point,
    tilt: f32,
}

impl Head {
    const WIDE: f32 = 0.118;
    const HIGH: f32 = 0.152;

    /// Paints a shape around the head's own point `middle`, in its own upright coordinates.
    fn part(
        &self,
        canvas: &mut Canvas,
        middle: Point,
        reach: f32,
        distance: impl Fn(Point) -> f32,
        colour: impl Fn(Point) -> Colour,
    ) {
        let turned = middle.turned(self.tilt);
        let centre = at(self.centre.x + turned.x, self.centre.y + turned.y);
        let own = |p: Point| p.from(self.centre).turned(-self.tilt);
        canvas.paint(centre, at(reach, reach), |p| distance(own(p).from(middle)), |p| colour(own(p)));
    }

    fn paint(&self, canvas: &mut Canvas, turn: f32) {
        let strands =
            |p: Point| lit(HAIR, 1.05 + 0.30 * (p.x * 150.0 + 3.0 * (p.y * 22.0).sin()).sin() - 1.6 * (p.x + p.y));
        let origin = at(0.0, 0.0);
        let back_of_hair = |p: Point| ellipse(p.from(at(0.0, -0.026)), 0.142, 0.168);
        self.part(canvas, origin, 0.20, back_of_hair, |p| lit(strands(p), 0.8));
        for side in [-1.0, 1.0] {
            let ear = at(side * 0.117, 0.012);
            self.part(canvas, ear, 0.05, |p| ellipse(p, 0.020, 0.034), |p| lit(SKIN, 0.88 - 0.8 * p.x));
        }
        let skin = |p: Point| {
            let round = (p.x / Self::WIDE).powi(2) + (p.y / Self::HIGH).powi(2);
            let cheeks = (-((p.x.abs() - 0.062).powi(2) + (p.y - 0.048).powi(2)) * 1400.0).exp();
            lit(mix(SKIN, [228.0, 138.0, 122.0], 0.4 * cheeks), 1.06 - 0.16 * round - 1.3 * p.x)
        };
        self.part(canvas, origin, 0.17, |p| ellipse(p, Self::WIDE, Self::HIGH), skin);
        for side in [-1.0, 1.0] {
            self.eye(canvas, side, turn);
        }
        let nose = |p: Point| limb(p, at(0.004, -0.03), at(0.012, 0.014), 0.006);
        self.part(canvas, at(0.0, 0.035), 0.06, nose, |p| lit(skin(p), 0.86));
        let tip = |p: Point| limb(p, at(-0.012, 0.0), at(0.014, 0.0), 0.005);
        self.part(canvas, at(0.0, 0.053), 0.03, tip, |p| lit(skin(p), 0.76));
        // Who talks opens and closes the mouth twice per sway.
        let open = 0.007 + 0.009 * (2.0 * turn).sin().powi(2);
        let mouth = at(0.0, 0.096);
        self.part(canvas, mouth, 0.06, |p| ellipse(p, 0.043, open + 0.008), |_| [178.0, 84.0, 84.0]);
        self.part(canvas, mouth, 0.06, |p| ellipse(p, 0.033, open), |_| [92.0, 36.0, 40.0]);
        // The fringe: the part of the cap of hair that lies above the brow, parted at one side.
        let fringe = |p: Point| {
            let brow = p.y + 0.058 - 0.9 * (p.x + 0.02).powi(2) + 0.006 * (p.x * 120.0).sin();
            ellipse(p.from(at(0.0, -0.006)), 0.128, 0.166).max(brow)
        };
        self.part(canvas, origin, 0.19, fringe, strands);
    }

    fn eye(&self, canvas: &mut Canvas, side: f32, turn: f32) {
        let centre = at(side * 0.050, -0.006);
        // One blink per sway.
        let lid = if (0.0..0.5).contains(&(turn - 4.0)) { 0.003 } else { 0.0145 };
        let white = |p: Point| ellipse(p, 0.026, lid);
        self.part(canvas, centre, 0.04, |p| ellipse(p.from(at(0.0, -0.003)), 0.029, lid + 0.003), |_| lit(HAIR, 0.8));
        self.part(canvas, centre, 0.04, white, |_| [240.0, 238.0, 234.0]);
        let gaze = at(0.006 * turn.cos(), 0.0);
        let iris = |p: Point| ellipse(p.from(gaze), 0.0125, 0.0135).max(white(p));
        self.part(canvas, centre, 0.04, iris, |_| [84.0, 108.0, 84.0]);
        self.part(canvas, centre, 0.04, |p| ellipse(p.from(gaze), 0.006, 0.0065).max(white(p)), |_| [20.0, 16.0, 16.0]);
        let light = at(gaze.x - 0.004, -0.005);
        self.part(canvas, centre, 0.04, |p| ellipse(p.from(light), 0.0028, 0.0028).max(white(p)), |_| [250.0; 3]);
        let brow = |p: Point| limb(p, at(-0.028, -side * 0.004), at(0.028, side * 0.004), 0.0058);
        self.part(canvas, at(centre.x, -0.042), 0.05, brow, |_| HAIR);
    }
}
