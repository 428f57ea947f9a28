//! A field of small cylinders that a cellular automaton has grown, in the manner of the BARN
//! dataset (Perille, Truong, Xiao & Stone, Benchmarking Metric Ground Navigation, SSRR 2020).
//!
//! Cells are filled at random; then, a few times over, a cell with more than four filled
//! neighbours among its eight is filled and one with fewer than two emptied. The columns at either
//! side are walls, what lies beyond them counts as filled, and what lies before the first row and
//! after the last as empty.

use nalgebra::Vector2;

use crate::scenario::sample::sample_point;
use crate::scenario::spec::CellsSpec;
use crate::scenario::{Obstacle, Shape};
use crate::seed::Rng;

/// Columns that fit into a word with one more at either side.
pub(crate) const MAX_COLUMNS: u32 = 62;

/// Fields that are grown before one is taken through which the robot may not fit.
const TRIES: u32 = 100;

/// `width` is the robot's, metres.
pub(super) fn grow(
    spec: &CellsSpec,
    width: f32,
    obstacles: &mut Vec<Obstacle>,
    difficulty_rng: &mut Rng,
    rng: &mut Rng,
) {
    let fill = spec.fill.sample(difficulty_rng) as f32;
    let smoothing = spec.smoothing.sample_count(difficulty_rng);
    let cell = spec.cell_m.sample(difficulty_rng) as f32;
    let corner = sample_point(&spec.corner_m, difficulty_rng);
    let mut field = CellularAutomaton::walled(spec.columns, spec.rows as usize);
    let kernel = (width / cell).ceil() as usize;
    for _ in 0..TRIES {
        field.fill(fill, rng);
        for _ in 0..smoothing {
            field.smooth();
        }
        if field.is_passable(kernel) {
            break;
        }
    }
    let mut put = |column: u32, row: usize| {
        obstacles.push(Obstacle {
            shape: Shape::Disc { radius: cell / 2.0 },
            position: corner + Vector2::new(column as f32 + 0.5, row as f32 + 0.5) * cell,
            axis: Vector2::x(),
        });
    };
    let lead = spec.lead_rows as usize;
    for row in 0..lead {
        if row == 0 {
            (0..spec.columns).for_each(|column| put(column, row));
        } else {
            put(0, row);
            put(spec.columns - 1, row);
        }
    }
    for (row, &cells) in field.rows.iter().enumerate() {
        (0..spec.columns)
            .filter(|column| cells >> (column + 1) & 1 == 1)
            .for_each(|column| put(column, lead + row));
    }
}

/// Cells, a word a row: bit 1 is the first column; bit 0 and the one after the last column stand
/// for what is beyond, which is filled.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CellularAutomaton {
    columns: u32,
    rows: Vec<u64>,
    outside: u64,
    /// Memory for a field of the same size.
    scratch: Vec<u64>,
}

impl CellularAutomaton {
    /// Nothing but the walls.
    fn walled(columns: u32, rows: usize) -> Self {
        let outside = 1 | 1 << (columns + 1);
        let walls = outside | 1 << 1 | 1 << columns;
        Self {
            columns,
            rows: vec![walls; rows],
            outside,
            scratch: vec![0; rows],
        }
    }

    /// Fills this share of the cells between the walls.
    fn fill(&mut self, share: f32, rng: &mut Rng) {
        use rand::Rng as _;
        let walls = self.outside | 1 << 1 | 1 << self.columns;
        // Two cells a draw, of 32 bits each: that is finer than the share is given.
        let bound = (f64::from(share.clamp(0.0, 1.0)) * 4_294_967_296.0) as u64;
        for row in &mut self.rows {
            *row = walls;
            for pair in (2..self.columns).step_by(2) {
                let draw = rng.next_u64();
                *row |= u64::from((draw >> 32) < bound) << pair;
                if pair + 1 < self.columns {
                    *row |= u64::from((draw & 0xffff_ffff) < bound) << (pair + 1);
                }
            }
        }
    }

    /// Whether a square of `kernel` × `kernel` free cells can be moved from the first row to the
    /// last, one cell up, down or aside at a time. A robot no wider than the square then fits
    /// through, too; it is how the generator of BARN sees that its robot does.
    fn is_passable(&mut self, kernel: usize) -> bool {
        let Self {
            rows,
            scratch: other,
            ..
        } = self;
        let kernel = kernel.max(1);
        if kernel > rows.len() {
            return true; // It cannot be said this way; the sampler looks closer.
        }
        let places = rows.len() + 1 - kernel;
        // First what is free for the square's lower left cell …
        for (row, free) in other.iter_mut().enumerate().take(places) {
            let filled = rows[row..row + kernel].iter().fold(0, |all, row| all | row);
            let wide = (0..kernel).fold(0, |all, shift| all | filled >> shift);
            *free = !wide & ((1 << (self.columns + 1)) - 2);
        }
        // … then what of it is reached from below: up and down until nothing is added.
        let mut reached = vec![0_u64; places];
        reached[0] = other[0];
        loop {
            let mut grew = false;
            let mut visit = |row: usize, from: usize| {
                let mut seen = (reached[row] | reached[from]) & other[row];
                loop {
                    let wider = (seen | seen << 1 | seen >> 1) & other[row];
                    if wider == seen {
                        break;
                    }
                    seen = wider;
                }
                grew |= seen != reached[row];
                reached[row] = seen;
            };
            (1..places).for_each(|row| visit(row, row - 1));
            (0..places - 1).rev().for_each(|row| visit(row, row + 1));
            if reached[places - 1] != 0 {
                return true;
            }
            if !grew {
                return false;
            }
        }
    }

    /// One step of the automaton, all cells of a row at once: their neighbours are counted in
    /// binary, digit by digit.
    fn smooth(&mut self) {
        self.scratch.clone_from(&self.rows);
        let at = |row: usize| self.scratch.get(row).copied().unwrap_or(self.outside);
        for (index, row) in self.rows.iter_mut().enumerate() {
            let (below, here, above) = (at(index.wrapping_sub(1)), *row, at(index + 1));
            let neighbours = [
                below,
                below << 1,
                below >> 1,
                here << 1,
                here >> 1,
                above,
                above << 1,
                above >> 1,
            ];
            let mut digits = [0_u64; 4];
            for mut carry in neighbours {
                for digit in &mut digits {
                    (*digit, carry) = (*digit ^ carry, *digit & carry);
                }
            }
            let [ones, twos, fours, eights] = digits;
            let crowded = eights | fours & (twos | ones);
            let some = eights | fours | twos;
            *row = (here | crowded) & some | self.outside;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Split, stream};

    /// The rule as the paper's own generator has it, cell by cell.
    fn smoothed(cells: &[Vec<bool>]) -> Vec<Vec<bool>> {
        let (rows, columns) = (cells.len() as isize, cells[0].len() as isize);
        let filled = |row: isize, column: isize| {
            if column < 0 || column >= columns {
                true
            } else if row < 0 || row >= rows {
                false
            } else {
                cells[row as usize][column as usize]
            }
        };
        let cell = |row: isize, column: isize| {
            let around = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx)));
            let count = around
                .filter(|&(dy, dx)| (dy, dx) != (0, 0) && filled(row + dy, column + dx))
                .count();
            count > 4 || (count >= 2 && filled(row, column))
        };
        (0..rows)
            .map(|row| (0..columns).map(|column| cell(row, column)).collect())
            .collect()
    }

    #[test]
    fn whole_rows_at_once_grow_as_cells_one_by_one() {
        for (episode, columns) in (0..40).zip([30, 3, 62, 17].into_iter().cycle()) {
            let mut rng = stream(5, Split::Eval, 0, episode, Purpose::Layout);
            let mut field = CellularAutomaton::walled(columns, 30);
            field.fill(0.1 + 0.01 * episode as f32, &mut rng);
            let mut plain: Vec<Vec<bool>> = field
                .rows
                .iter()
                .map(|row| (1..=columns).map(|bit| row >> bit & 1 == 1).collect())
                .collect();
            for step in 0..5 {
                for (row, cells) in field.rows.iter().zip(&plain) {
                    for (bit, cell) in (1..=columns).zip(cells) {
                        assert_eq!(row >> bit & 1 == 1, *cell, "{episode} {step} {bit}");
                    }
                }
                field.smooth();
                plain = smoothed(&plain);
            }
        }
    }

    #[test]
    fn as_many_cells_are_filled_as_was_asked_for() {
        let mut rng = stream(5, Split::Eval, 0, 0, Purpose::Layout);
        let mut field = CellularAutomaton::walled(62, 2000);
        field.fill(0.25, &mut rng);
        let filled: u32 = field.rows.iter().map(|row| row.count_ones()).sum();
        // The walls and what is beyond them are four a row; four deviations are 680.
        let drawn = f64::from(filled) - 4.0 * 2000.0;
        assert!((drawn - 0.25 * 60.0 * 2000.0).abs() < 680.0, "{drawn}");
    }

    #[test]
    fn a_square_is_let_through_a_gap_as_wide_as_itself_and_no_narrower() {
        for gap in 1..8 {
            // Two walls across, the gaps at opposite ends.
            let mut field = CellularAutomaton::walled(30, 30);
            let all = (1_u64 << 32) - 1;
            let gap_at = |bit: usize| !(((1_u64 << gap) - 1) << bit);
            field.rows[10] = all & gap_at(2);
            field.rows[20] = all & gap_at(30 - gap);
            for kernel in 1..9 {
                assert_eq!(field.is_passable(kernel), kernel <= gap, "{kernel} {gap}");
            }
        }
    }
}
