//! Finds the shapes of a map that beams from a cell may hit first, strip by strip.
//!
//! Beams that are closer to one axis than to the other are lines `v = a + b u`, where u is along
//! that axis and v across it. The map is cut into strips across the axis, as wide as a cell, and
//! the beams of a cell are followed from strip to strip. In each strip an occluder closes the
//! offsets `a` whose lines hit it for every slope `b` of the beams. A shape that no line with an
//! open offset hits is not visible. If some offsets stay open to the end, the range of slopes is
//! halved and searched again. (Visibility by cells: Airey, Rohlf & Brooks 1990, "Towards image
//! realism with interactive update rates in complex virtual building environments".)

use std::f64::consts::PI;

use crate::scenario::{Map, Obstacle, Shape};

/// How often the range of slopes is halved.
const MAX_SPLITS: u32 = 1;
/// Targets are larger than their shapes by this, metres, and the range of slopes is wider by a
/// hundredth of it, so that rounding cannot hide a visible shape.
pub(super) const SLACK: f64 = 1e-3;
/// Corners of the polygon that stands for a disc.
const CORNERS: usize = 12;

/// A map cut into strips across each axis, as wide as a cell.
#[derive(Debug)]
pub(super) struct MapStrips {
    /// Lower left corner of the cells, and their side, metres.
    origin: [f64; 2],
    side: f64,
    /// The strips across x, and the strips across y.
    by_axis: [Vec<MapStrip>; 2],
}

/// The slices of the shapes in one strip.
#[derive(Debug, Default)]
struct MapStrip {
    /// Slices of the shapes that may be visible, enlarged by [`SLACK`].
    targets: SortedSlices,
    /// Slices of all shapes, which hide others; not enlarged.
    occluders: SortedSlices,
}

/// The slice of a shape that is in one strip.
#[derive(Debug)]
struct ShapeSlice {
    shape: u32,
    /// Interval across the axis, metres.
    across: [f64; 2],
    /// Corners: coordinates along the axis and across it, metres.
    corners: Vec<[f64; 2]>,
}

/// Slices, sorted by where they begin across the axis.
#[derive(Debug, Default)]
struct SortedSlices {
    slices: Vec<ShapeSlice>,
    /// Extent across the axis of the longest slice, metres.
    longest: f64,
}

impl SortedSlices {
    fn sort(&mut self) {
        let length = |slice: &ShapeSlice| slice.across[1] - slice.across[0];
        self.longest = self.slices.iter().map(length).fold(0.0, f64::max);
        self.slices
            .sort_by(|a, b| a.across[0].total_cmp(&b.across[0]));
    }

    /// The slices that overlap an interval across the axis.
    fn overlapping(&self, [low, high]: [f64; 2]) -> impl Iterator<Item = &ShapeSlice> {
        let begins_before = |at: f64| self.slices.partition_point(|slice| slice.across[0] < at);
        let range = begins_before(low - self.longest)..begins_before(high);
        let candidates = self.slices[range].iter();
        candidates.filter(move |slice| slice.across[1] >= low)
    }
}

/// The beams from all points of a cell in a range of directions.
#[derive(Clone, Copy)]
struct CellBeams {
    axis: usize,
    /// Direction along the axis, 1 or -1.
    sign: f64,
    /// Range of slopes relative to the axis.
    slopes: [f64; 2],
    /// Range of the lidar, metres.
    range: f64,
    /// Strip of the cell.
    strip: usize,
    /// Centre of the cell, along the axis and across it, metres.
    center: [f64; 2],
}

/// The offsets `a` of the lines that hit a slice: the interval of those that hit it for some slope of
/// the beams, and of those that hit it for every slope.
struct HitOffsets {
    some_slope: [f64; 2],
    every_slope: [f64; 2],
}

impl MapStrips {
    pub(super) fn new(map: &Map, origin: [f64; 2], side: f64, count: [usize; 2]) -> Self {
        let empty = |strips: usize| (0..strips).map(|_| MapStrip::default()).collect();
        let mut this = Self {
            origin,
            side,
            by_axis: count.map(empty),
        };
        for (shape, (obstacle, hidden)) in map.obstacles().iter().zip(map.hidden()).enumerate() {
            let target = outline(obstacle, SLACK, true);
            let occluder = outline(obstacle, 0.0, false);
            for axis in 0..2 {
                if !hidden {
                    this.add_slices(axis, shape, &target, |strip| &mut strip.targets);
                }
                this.add_slices(axis, shape, &occluder, |strip| &mut strip.occluders);
            }
        }
        for strip in this.by_axis.iter_mut().flatten() {
            strip.targets.sort();
            strip.occluders.sort();
        }
        this
    }

    /// Centre of a cell, metres.
    pub(super) fn center(&self, cell: [usize; 2]) -> [f64; 2] {
        [0, 1].map(|axis| self.origin[axis] + (cell[axis] as f64 + 0.5) * self.side)
    }

    /// The shapes that beams from a cell may hit first within `range` metres, in ascending order
    /// without duplicates. The beams go along `axis` in the direction `sign`, 1 or -1, with slopes
    /// in `slopes`.
    pub(super) fn visible_shapes(
        &self,
        cell: [usize; 2],
        (axis, sign): (usize, f64),
        slopes: [f64; 2],
        range: f64,
    ) -> Vec<u32> {
        let center = self.center(cell);
        let slack = SLACK / 100.0;
        let beams = CellBeams {
            axis,
            sign,
            slopes: [slopes[0] - slack, slopes[1] + slack],
            range,
            strip: cell[axis],
            center: [center[axis], center[1 - axis]],
        };
        let mut search = VisibilitySearch::default();
        self.trace(beams, MAX_SPLITS, &mut search);
        search.shapes.sort_unstable();
        search.shapes
    }

    /// Cuts an outline into slices, and adds them to the strips across an axis.
    fn add_slices(
        &mut self,
        axis: usize,
        shape: usize,
        outline: &[[f64; 2]],
        list: impl Fn(&mut MapStrip) -> &mut SortedSlices,
    ) {
        let along: Vec<[f64; 2]> = outline.iter().map(|p| [p[axis], p[1 - axis]]).collect();
        let ends = along
            .iter()
            .map(|corner| (corner[0] - self.origin[axis]) / self.side);
        let low = ends.clone().fold(f64::INFINITY, f64::min).floor().max(0.0) as usize;
        let high = ends.fold(-1.0, f64::max).floor() as isize;
        for strip in low..self.by_axis[axis].len().min((high + 1).max(0) as usize) {
            let border = |strip: usize| self.origin[axis] + strip as f64 * self.side;
            let corners = clip(&along, border(strip), 1.0);
            let corners = clip(&corners, border(strip + 1), -1.0);
            if !corners.is_empty() {
                list(&mut self.by_axis[axis][strip])
                    .slices
                    .push(ShapeSlice::new(shape, corners));
            }
        }
    }

    /// Adds the shapes that the beams may hit first. Halves the range of slopes up to `splits`
    /// times.
    fn trace(&self, beams: CellBeams, splits: u32, search: &mut VisibilitySearch) {
        let before = search.shapes.len();
        if self.trace_without_splits(beams, search) || splits == 0 {
            return;
        }
        search.shapes.truncate(before);
        let [low, high] = beams.slopes;
        let middle = f64::midpoint(low, high);
        for slopes in [[low, middle], [middle, high]] {
            self.trace(CellBeams { slopes, ..beams }, splits - 1, search);
        }
    }

    /// Adds the shapes that the beams may hit first, without halving. Returns whether all beams
    /// end, at an occluder or at their range.
    fn trace_without_splits(&self, beams: CellBeams, search: &mut VisibilitySearch) -> bool {
        let half = self.side / 2.0;
        let steepest = beams.slopes[0].abs().max(beams.slopes[1].abs());
        let widest = half * (1.0 + steepest);
        search.open.clear();
        search.open.push([-widest, widest]);
        // Distance from the centre of the cell to the start of the strip.
        let mut ahead = -half;
        let mut index = Some(beams.strip);
        while let Some(strip) = index.and_then(|index| self.by_axis[beams.axis].get(index)) {
            if ahead - half > beams.range {
                return true;
            }
            // The interval across the axis that holds all open lines in this strip.
            let ends = [ahead - SLACK, ahead + self.side + SLACK];
            let drifts = beams.slopes.map(|slope| ends.map(|ahead| slope * ahead));
            let drifts = drifts.as_flattened().iter().copied();
            let (first, last) = (search.open[0], search.open[search.open.len() - 1]);
            let window = [
                beams.center[1] + first[0] + drifts.clone().fold(f64::INFINITY, f64::min),
                beams.center[1] + last[1] + drifts.fold(f64::NEG_INFINITY, f64::max),
            ];
            for slice in strip.targets.overlapping(window) {
                let some = slice.hit_offsets(beams).some_slope;
                let is_open = |open: &[f64; 2]| some[0] <= open[1] && some[1] >= open[0];
                if search.open.iter().any(is_open) && !search.shapes.contains(&slice.shape) {
                    search.shapes.push(slice.shape);
                }
            }
            // In the strip of the cell itself a beam may start behind an occluder.
            if index != Some(beams.strip) {
                for slice in strip.occluders.overlapping(window) {
                    search.close(slice.hit_offsets(beams).every_slope);
                    if search.open.is_empty() {
                        return true;
                    }
                }
            }
            ahead += self.side;
            index = index.and_then(|index| index.checked_add_signed(beams.sign as isize));
        }
        false
    }
}

/// State of a search.
#[derive(Default)]
struct VisibilitySearch {
    /// Shapes found.
    shapes: Vec<u32>,
    /// Intervals of the open offsets, in ascending order.
    open: Vec<[f64; 2]>,
    /// Scratch.
    still_open: Vec<[f64; 2]>,
}

impl VisibilitySearch {
    /// Closes the offsets of an interval.
    fn close(&mut self, [from, to]: [f64; 2]) {
        if from >= to || !self.open.iter().any(|open| from < open[1] && to > open[0]) {
            return;
        }
        self.still_open.clear();
        for &[low, high] in &self.open {
            if from >= high || to <= low {
                self.still_open.push([low, high]);
                continue;
            }
            if low < from {
                self.still_open.push([low, from]);
            }
            if to < high {
                self.still_open.push([to, high]);
            }
        }
        std::mem::swap(&mut self.open, &mut self.still_open);
    }
}

impl ShapeSlice {
    fn new(shape: usize, corners: Vec<[f64; 2]>) -> Self {
        let across = corners.iter().map(|corner| corner[1]);
        let low = across.clone().fold(f64::INFINITY, f64::min);
        let high = across.fold(f64::NEG_INFINITY, f64::max);
        Self {
            shape: shape as u32,
            across: [low, high],
            corners,
        }
    }

    /// The offsets of the lines that hit the slice.
    fn hit_offsets(&self, beams: CellBeams) -> HitOffsets {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut hits = HitOffsets {
            some_slope: [low, high],
            every_slope: [low, high],
        };
        for corner in &self.corners {
            let ahead = beams.sign * (corner[0] - beams.center[0]);
            let across = corner[1] - beams.center[1];
            let [a, b] = beams.slopes.map(|slope| across - slope * ahead);
            let (lower, upper) = (a.min(b), a.max(b));
            hits.some_slope = [hits.some_slope[0].min(lower), hits.some_slope[1].max(upper)];
            hits.every_slope = [
                hits.every_slope[0].min(upper),
                hits.every_slope[1].max(lower),
            ];
        }
        hits
    }
}

/// Corners of a shape that is enlarged by `grow` metres. A disc becomes a polygon, circumscribed or
/// inscribed.
fn outline(obstacle: &Obstacle, grow: f64, is_circumscribed: bool) -> Vec<[f64; 2]> {
    let [x, y] = [obstacle.position.x, obstacle.position.y].map(f64::from);
    match &obstacle.shape {
        Shape::Disc { radius } => {
            let step = 2.0 * PI / CORNERS as f64;
            let radius = f64::from(*radius) + grow;
            let radius = if is_circumscribed {
                radius / libm::cos(step / 2.0)
            } else {
                radius
            };
            let corner = |corner: usize| {
                let (sin, cos) = libm::sincos(step * corner as f64);
                [x + radius * cos, y + radius * sin]
            };
            (0..CORNERS).map(corner).collect()
        }
        Shape::Box { half_extents } => {
            let [hx, hy] = [half_extents.x, half_extents.y].map(|half| f64::from(half) + grow);
            let [ax, ay] = [obstacle.axis.x, obstacle.axis.y].map(f64::from);
            let corner = |[i, j]: [f64; 2]| {
                let (i, j) = (i * hx, j * hy);
                [x + ax * i - ay * j, y + ay * i + ax * j]
            };
            [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]
                .map(corner)
                .to_vec()
        }
        _ => unreachable!("a map is made of boxes and discs"),
    }
}

/// Clips a polygon at a border along the axis: keeps the side above it for a `sign` of 1, the side
/// below it for -1.
fn clip(polygon: &[[f64; 2]], border: f64, sign: f64) -> Vec<[f64; 2]> {
    let mut clipped = Vec::with_capacity(polygon.len() + 2);
    for (index, &to) in polygon.iter().enumerate() {
        let from = polygon[(index + polygon.len() - 1) % polygon.len()];
        let (before, after) = (sign * (from[0] - border), sign * (to[0] - border));
        if (before < 0.0) != (after < 0.0) {
            let share = before / (before - after);
            clipped.push([border, from[1] + share * (to[1] - from[1])]);
        }
        if after >= 0.0 {
            clipped.push(to);
        }
    }
    clipped
}
