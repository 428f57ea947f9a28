//! Covers the solid cells of a grid with few rectangles, which may overlap.

/// Returns rectangles `[left, bottom, right, top]` whose union is the solid cells. Right and top are
/// exclusive.
///
/// `solid` is `[rows][columns]`, bottom row first. The cells at the edge of solid areas are covered
/// first, by rectangles of edge cells only: beams hit and robots touch no others. A few large
/// rectangles then cover the cells inside.
pub(super) fn cover(solid: &[bool], columns: usize) -> Vec<[usize; 4]> {
    let all = SummedAreaTable::new(solid, columns);
    let is_edge = |cell: usize| solid[cell] && all.is_edge(cell % columns, cell / columns);
    let edge: Vec<bool> = (0..solid.len()).map(is_edge).collect();
    let mut covered = vec![false; solid.len()];
    let mut rectangles = Vec::new();
    SummedAreaTable::new(&edge, columns).cover(&edge, &mut covered, &mut rectangles);
    all.cover(solid, &mut covered, &mut rectangles);
    rectangles
}

/// Counts of solid cells in any rectangle (a summed-area table).
struct SummedAreaTable {
    columns: usize,
    rows: usize,
    /// `[rows + 1][columns + 1]`: number of solid cells below and to the left.
    sums: Vec<u32>,
}

impl SummedAreaTable {
    fn new(solid: &[bool], columns: usize) -> Self {
        let rows = solid.len() / columns;
        let stride = columns + 1;
        let mut sums = vec![0_u32; stride * (rows + 1)];
        for y in 0..rows {
            let mut row = 0;
            for x in 0..columns {
                row += u32::from(solid[y * columns + x]);
                sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + row;
            }
        }
        Self {
            columns,
            rows,
            sums,
        }
    }

    fn is_solid(&self, [left, bottom, right, top]: [usize; 4]) -> bool {
        let at = |x: usize, y: usize| self.sums[y * (self.columns + 1) + x];
        let count = at(right, top) + at(left, bottom) - at(left, top) - at(right, bottom);
        count as usize == (right - left) * (top - bottom)
    }

    /// Whether the cell to the left, right, below or above is free. A cell with a free cell only at a
    /// corner cannot be seen.
    fn is_edge(&self, x: usize, y: usize) -> bool {
        let (left, right) = (x.saturating_sub(1), (x + 2).min(self.columns));
        let (below, above) = (y.saturating_sub(1), (y + 2).min(self.rows));
        !(self.is_solid([left, y, right, y + 1]) && self.is_solid([x, below, x + 1, above]))
    }

    /// Covers the solid cells that are not covered yet. Each rectangle grows from the first
    /// uncovered cell, either first in width or first in height, whichever covers more new cells.
    fn cover(&self, solid: &[bool], covered: &mut [bool], rectangles: &mut Vec<[usize; 4]>) {
        let columns = self.columns;
        for seed in 0..solid.len() {
            if !solid[seed] || covered[seed] {
                continue;
            }
            let (x, y) = (seed % columns, seed / columns);
            let gain = |r: &[usize; 4]| {
                let row = |y: usize| &covered[y * columns + r[0]..y * columns + r[2]];
                let new = |y: usize| row(y).iter().filter(|covered| !**covered).count();
                (r[1]..r[3]).map(new).sum::<usize>()
            };
            let wide = self.grow_rectangle([x, y, x + 1, y + 1], [0, 1]);
            let tall = self.grow_rectangle([x, y, x + 1, y + 1], [1, 0]);
            let best = if gain(&wide) >= gain(&tall) {
                wide
            } else {
                tall
            };
            for y in best[1]..best[3] {
                covered[y * columns + best[0]..y * columns + best[2]].fill(true);
            }
            rectangles.push(best);
        }
    }

    /// Grows a solid rectangle along the first axis as far as it stays solid, then along the second.
    fn grow_rectangle(&self, mut rectangle: [usize; 4], axes: [usize; 2]) -> [usize; 4] {
        for axis in axes {
            let end = [self.columns, self.rows][axis];
            let strip = |rectangle: &[usize; 4], low: usize| {
                let mut strip = *rectangle;
                (strip[axis], strip[axis + 2]) = (low, low + 1);
                strip
            };
            while rectangle[axis] > 0 && self.is_solid(strip(&rectangle, rectangle[axis] - 1)) {
                rectangle[axis] -= 1;
            }
            while rectangle[axis + 2] < end && self.is_solid(strip(&rectangle, rectangle[axis + 2]))
            {
                rectangle[axis + 2] += 1;
            }
        }
        rectangle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rectangles_cover_exactly_the_solid_cells(
            solid in prop::collection::vec(prop::bool::weighted(0.6), 1..400), columns in 1..20_usize,
        ) {
            prop_assume!(solid.len() >= columns);
            let solid = &solid[..solid.len() / columns * columns];
            let mut drawn = vec![false; solid.len()];
            let rectangles = cover(solid, columns);
            for [left, bottom, right, top] in &rectangles {
                for y in *bottom..*top {
                    drawn[y * columns + left..y * columns + right].fill(true);
                }
            }
            prop_assert_eq!(&drawn, solid);
            prop_assert!(rectangles.len() <= solid.iter().filter(|cell| **cell).count());
        }
    }

    #[test]
    fn cells_are_merged_into_few_rectangles() {
        let cells = |rows: &[&str]| -> Vec<bool> {
            rows.iter()
                .flat_map(|row| row.bytes().map(|c| c == b'#'))
                .collect()
        };
        let frame = cells(&["#####", "#...#", "#...#", "#####"]);
        // Every cell is an edge cell.
        assert_eq!(cover(&frame, 5).len(), 6);
        let block = cells(&["......", ".####.", ".####.", ".####.", "......"]);
        let rectangles = cover(&block, 6);
        assert_eq!(rectangles.len(), 5, "four sides and the inside");
        assert_eq!(rectangles[4], [1, 1, 5, 4]);
    }
}
