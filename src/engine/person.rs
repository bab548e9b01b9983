//! Where the person is, from how certain a network is of one at each pixel.
//!
//! A network sees a small part of the picture at a time: plain clothes look like a wall to it, and a thing in the room now
//! and then like a person. Both are told from afar, in cells of the picture: a person has no holes, reaches down to where
//! the picture ends, and does not come in crumbs.

use crate::frame::Size;

/// Side of a cell, pixels: fine beside a person, and coarse beside the pixels at their edge.
const CELL: usize = 8;
/// What is smaller than this share of the largest part of the picture that looks like a person is none.
const SMALLEST_PART: f32 = 0.1;
/// From this certainty on, of 255, it is rather a person than not.
const LIKELY: u32 = 128;

/// What is known of a cell.
#[derive(Debug, Clone, Copy)]
enum Cell {
    /// All of it is of the person.
    Person,
    /// None of it is.
    Background,
    /// The person's edge goes through it or near it: each pixel is as certain as the network is of it.
    Edge,
}

/// Where the person is in a picture, cell by cell. It keeps its memory from one picture to the next.
#[derive(Debug, Default)]
pub(super) struct Person {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
    /// Whether a cell is rather of a person than not; later, whether it is for good.
    is_person: Vec<bool>,
    /// Which part of the picture a cell belongs to, one that has been come by; 0: none.
    part_of: Vec<usize>,
    /// Cells of each part from 1 on, the first of which is at 0.
    sizes: Vec<usize>,
    /// Cells to go on from.
    ahead: Vec<usize>,
}

impl Person {
    /// Finds the person in a picture of `size` whose pixel in row `y` and column `x` is so certainly of one, of 255:
    /// `certainty(y, x)`.
    pub(super) fn find(&mut self, size: Size, certainty: impl Fn(usize, usize) -> u8) {
        let (width, height) = (size.width as usize, size.height as usize);
        (self.columns, self.rows) = (width.div_ceil(CELL), height.div_ceil(CELL));
        self.is_person.clear();
        for row in 0..self.rows {
            let lines = row * CELL..((row + 1) * CELL).min(height);
            for column in 0..self.columns {
                let pixels = column * CELL..((column + 1) * CELL).min(width);
                let count = (lines.len() * pixels.len()) as u32;
                let of_line = |y| pixels.clone().map(|x| u32::from(certainty(y, x))).sum::<u32>();
                let sum: u32 = lines.clone().map(of_line).sum();
                self.is_person.push(sum >= LIKELY * count);
            }
        }
        self.fill_holes();
        self.leave_crumbs_out();
        self.tell_cells();
    }

    /// [`Self::find`], and how certainly each pixel is of the person, row by row.
    pub(super) fn mask(&mut self, size: Size, certainty: impl Fn(usize, usize) -> u8) -> Vec<u8> {
        self.find(size, &certainty);
        let pixels = (0..size.height as usize).flat_map(|y| (0..size.width as usize).map(move |x| (y, x)));
        pixels.map(|(y, x)| self.at(y, x, certainty(y, x))).collect()
    }

    /// How certainly the pixel in row `y` and column `x` is of the person, of 255, where the network is `certain` so far.
    pub(super) fn at(&self, y: usize, x: usize, certain: u8) -> u8 {
        match self.cells[y / CELL * self.columns + x / CELL] {
            Cell::Person => 255,
            Cell::Background => 0,
            Cell::Edge => certain,
        }
    }

    /// What is behind a person goes on to the picture's upper end or to its sides; all other background is a hole.
    fn fill_holes(&mut self) {
        self.forget_parts();
        let (columns, rows) = (self.columns, self.rows);
        let sides = (0..rows).flat_map(|row| [row * columns, (row + 1) * columns - 1]);
        (0..columns).chain(sides).for_each(|cell| self.go_through(cell, false));
        self.is_person.iter_mut().zip(&self.part_of).for_each(|(is_person, part)| *is_person |= *part == 0);
    }

    /// Takes the parts of a person for background that are small beside the largest one.
    fn leave_crumbs_out(&mut self) {
        self.forget_parts();
        (0..self.is_person.len()).for_each(|cell| self.go_through(cell, true));
        let least = SMALLEST_PART * self.sizes.iter().max().map_or(0.0, |&largest| largest as f32);
        for (is_person, part) in self.is_person.iter_mut().zip(&self.part_of) {
            *is_person = part.checked_sub(1).is_some_and(|part| self.sizes[part] as f32 >= least);
        }
    }

    fn forget_parts(&mut self) {
        self.sizes.clear();
        self.part_of.clear();
        self.part_of.resize(self.is_person.len(), 0);
    }

    /// Makes a part of all cells that hang together with `first` by their sides and are `person` as it is; none where it
    /// was come by before, or is not as asked for.
    fn go_through(&mut self, first: usize, person: bool) {
        let (part, mut size) = (self.sizes.len() + 1, 0);
        self.ahead.clear();
        self.ahead.push(first);
        while let Some(cell) = self.ahead.pop() {
            if self.part_of[cell] > 0 || self.is_person[cell] != person {
                continue;
            }
            (self.part_of[cell], size) = (part, size + 1);
            let (row, column) = (cell / self.columns, cell % self.columns);
            self.ahead.extend((row > 0).then(|| cell - self.columns));
            self.ahead.extend((row + 1 < self.rows).then_some(cell + self.columns));
            self.ahead.extend((column > 0).then(|| cell - 1));
            self.ahead.extend((column + 1 < self.columns).then_some(cell + 1));
        }
        if size > 0 {
            self.sizes.push(size);
        }
    }

    fn tell_cells(&mut self) {
        self.cells.clear();
        let (columns, rows, is_person) = (self.columns, self.rows, &self.is_person);
        for row in 0..rows {
            for column in 0..columns {
                let own = is_person[row * columns + column];
                let beside = column.saturating_sub(1)..(column + 2).min(columns);
                let mut lines = row.saturating_sub(1)..(row + 2).min(rows);
                let differs = |row: usize| is_person[row * columns..][beside.clone()].iter().any(|&cell| cell != own);
                self.cells.push(match own {
                    _ if lines.any(differs) => Cell::Edge,
                    true => Cell::Person,
                    false => Cell::Background,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(100, 70);

    /// What is found where the network takes the pixels for a person of which `is_person(y, x)` says so.
    fn found(is_person: impl Fn(usize, usize) -> bool) -> Vec<Vec<bool>> {
        let certainty = |y, x| if is_person(y, x) { 230 } else { 20 };
        let mut person = Person::default();
        person.find(SIZE, certainty);
        (0..70).map(|y| (0..100).map(|x| person.at(y, x, certainty(y, x)) >= 128).collect()).collect()
    }

    fn bust(y: usize, x: usize) -> bool {
        (10..40).contains(&y) && (35..65).contains(&x) || y >= 40 && (15..85).contains(&x)
    }

    #[track_caller]
    fn same(found: &[Vec<bool>], expected: impl Fn(usize, usize) -> bool) {
        for (y, row) in found.iter().enumerate() {
            for (x, &found) in row.iter().enumerate() {
                assert_eq!(found, expected(y, x), "row {y}, column {x}");
            }
        }
    }

    #[test]
    fn a_person_without_faults_stays_to_the_pixel() {
        same(&found(bust), bust);
        same(&found(|_, _| false), |_, _| false);
        same(&found(|_, _| true), |_, _| true);
    }

    #[test]
    fn holes_are_filled_also_those_that_go_on_below_the_picture() {
        let chest = |y, x| y >= 55 && (40..60).contains(&x);
        let cheek = |y, x| (24..32).contains(&y) && (48..54).contains(&x);
        same(&found(|y, x| bust(y, x) && !chest(y, x) && !cheek(y, x)), bust);
    }

    #[test]
    fn what_goes_on_beside_the_person_is_no_hole() {
        let gap = |y, x| (50..60).contains(&y) && x < 40;
        let open = |y, x| bust(y, x) && !gap(y, x);
        same(&found(open), open);
    }

    #[test]
    fn crumbs_are_left_out_and_a_second_person_is_not() {
        let lamp = |y, x| (5..15).contains(&y) && (80..90).contains(&x);
        same(&found(|y, x| bust(y, x) || lamp(y, x)), bust);
        let other = |y, x| (10..32).contains(&y) && (72..96).contains(&x);
        let both = |y: usize, x: usize| bust(y, x) || other(y, x);
        same(&found(both), both);
    }

    #[test]
    fn one_picture_does_not_tell_on_the_next() {
        let mut person = Person::default();
        person.find(SIZE, |_, _| 255);
        person.find(Size::new(9, 5), |_, x| if x < 4 { 0 } else { 255 });
        assert_eq!((person.at(0, 0, 3), person.at(4, 8, 250)), (3, 250));
        person.find(Size::new(40, 40), |_, _| 0);
        assert_eq!(person.at(20, 20, 77), 0);
    }
}
