//! What of a map the beams of a cell may meet first: they are followed strip by strip.
//!
//! Beams that go along an axis rather than across it are lines `v = a + b u`: u goes the way that they
//! go, v across it. From a cell they go through strips of its width. In each, a screen covers those `a`
//! whose lines meet it for every slope `b` that is asked about, and what is met by no `a` that is still
//! open is not seen. Where that leaves gaps, the slopes are halved. (Visibility by cells: Airey, Rohlf
//! & Brooks 1990, "Towards image realism with interactive update rates in complex virtual building
//! environments".)

use std::f64::consts::PI;

use crate::scenario::{Map, Obstacle, Shape};

/// So many times are slopes halved to close gaps.
const MAX_SPLITS: u32 = 1;
/// Shapes are larger by this, and slopes by a hundredth of it, when it is asked what they show,
/// metres: no rounding then tells the lists from all shapes.
pub(super) const SLACK: f64 = 1e-3;
/// Corners of a disc.
const CORNERS: usize = 12;

/// A map cut into strips along both axes, by borders a cell's side apart.
#[derive(Debug)]
pub(super) struct MapStrips {
    /// The lower left corner of the cells, metres, and their side.
    origin: [f64; 2],
    side: f64,
    /// Those across x, and those across y.
    by_axis: [Vec<MapStrip>; 2],
}

/// What is between two borders.
#[derive(Debug, Default)]
struct MapStrip {
    /// Parts of what may be seen, a little larger than they are.
    targets: SortedSlices,
    /// Parts of what hides other things, no larger than they are.
    occluders: SortedSlices,
}

/// The part of a shape in a strip.
#[derive(Debug)]
struct ShapeSlice {
    shape: u32,
    /// From where to where it is across the axis.
    across: [f64; 2],
    /// Its corners: along the axis, and across it.
    corners: Vec<[f64; 2]>,
}

/// Parts in the order of where they begin across the axis.
#[derive(Debug, Default)]
struct SortedSlices {
    parts: Vec<ShapeSlice>,
    /// How far the longest goes across, metres.
    longest: f64,
}

impl SortedSlices {
    fn sort(&mut self) {
        let length = |part: &ShapeSlice| part.across[1] - part.across[0];
        self.longest = self.parts.iter().map(length).fold(0.0, f64::max);
        self.parts
            .sort_by(|a, b| a.across[0].total_cmp(&b.across[0]));
    }

    /// Those that may reach into an interval across the axis.
    fn within(&self, [low, high]: [f64; 2]) -> impl Iterator<Item = &ShapeSlice> {
        let begins_before = |at: f64| self.parts.partition_point(|part| part.across[0] < at);
        let range = begins_before(low - self.longest)..begins_before(high);
        let near = self.parts[range].iter();
        near.filter(move |part| part.across[1] >= low)
    }
}

/// Beams from anywhere in a cell: along an axis, up or down, with slopes to it.
#[derive(Clone, Copy)]
struct BeamBundle {
    axis: usize,
    /// 1 where they go up, or -1.
    sign: f64,
    slopes: [f64; 2],
    /// They are followed so far, metres.
    reach: f64,
    /// The strip of the cell, and its centre along the axis and across it.
    strip: usize,
    center: [f64; 2],
}

/// The intervals of `a` whose lines meet a part: for some slope, and for every one.
struct OffsetIntervals {
    some: [f64; 2],
    every: [f64; 2],
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
            let front = outline(obstacle, SLACK, true);
            let screen = outline(obstacle, 0.0, false);
            for axis in 0..2 {
                if !hidden {
                    this.add_slices(axis, shape, &front, |strip| &mut strip.targets);
                }
                this.add_slices(axis, shape, &screen, |strip| &mut strip.occluders);
            }
        }
        for strip in this.by_axis.iter_mut().flatten() {
            strip.targets.sort();
            strip.occluders.sort();
        }
        this
    }

    /// The centre of a cell, metres.
    pub(super) fn center(&self, cell: [usize; 2]) -> [f64; 2] {
        [0, 1].map(|axis| self.origin[axis] + (cell[axis] as f64 + 0.5) * self.side)
    }

    /// The shapes that beams of a cell may meet first: along `axis` up or down by `sign`, with slopes
    /// between two, `reach` metres far. In order, each once.
    pub(super) fn visible_shapes(
        &self,
        cell: [usize; 2],
        (axis, sign): (usize, f64),
        slopes: [f64; 2],
        reach: f64,
    ) -> Vec<u32> {
        let center = self.center(cell);
        let slack = SLACK / 100.0;
        let bundle = BeamBundle {
            axis,
            sign,
            slopes: [slopes[0] - slack, slopes[1] + slack],
            reach,
            strip: cell[axis],
            center: [center[axis], center[1 - axis]],
        };
        let mut found = VisibilitySearch::default();
        self.trace(bundle, MAX_SPLITS, &mut found);
        found.shapes.sort_unstable();
        found.shapes
    }

    /// Puts the parts of an outline into the strips across an axis.
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
                    .parts
                    .push(ShapeSlice::new(shape, corners));
            }
        }
    }

    /// Adds what the beams may meet first.
    fn trace(&self, bundle: BeamBundle, splits: u32, found: &mut VisibilitySearch) {
        let known = found.shapes.len();
        if self.trace_bundle(bundle, found) || splits == 0 {
            return;
        }
        found.shapes.truncate(known);
        let [low, high] = bundle.slopes;
        let middle = f64::midpoint(low, high);
        for slopes in [[low, middle], [middle, high]] {
            self.trace(BeamBundle { slopes, ..bundle }, splits - 1, found);
        }
    }

    /// The same, whether or not something ends all of them, and says whether something does.
    fn trace_bundle(&self, bundle: BeamBundle, found: &mut VisibilitySearch) -> bool {
        let half = self.side / 2.0;
        let steepest = bundle.slopes[0].abs().max(bundle.slopes[1].abs());
        let widest = half * (1.0 + steepest);
        found.open.clear();
        found.open.push([-widest, widest]);
        // How far ahead of the cell's centre a strip begins.
        let mut ahead = -half;
        let mut place = Some(bundle.strip);
        while let Some(strip) = place.and_then(|place| self.by_axis[bundle.axis].get(place)) {
            if ahead - half > bundle.reach {
                return true;
            }
            // The lines that are open are within this, across.
            let ends = [ahead - SLACK, ahead + self.side + SLACK];
            let drifts = bundle.slopes.map(|slope| ends.map(|ahead| slope * ahead));
            let drifts = drifts.as_flattened().iter().copied();
            let (first, last) = (found.open[0], found.open[found.open.len() - 1]);
            let window = [
                bundle.center[1] + first[0] + drifts.clone().fold(f64::INFINITY, f64::min),
                bundle.center[1] + last[1] + drifts.fold(f64::NEG_INFINITY, f64::max),
            ];
            for part in strip.targets.within(window) {
                let some = part.offset_intervals(bundle).some;
                let is_open = |open: &[f64; 2]| some[0] <= open[1] && some[1] >= open[0];
                if found.open.iter().any(is_open) && !found.shapes.contains(&part.shape) {
                    found.shapes.push(part.shape);
                }
            }
            // A beam may begin anywhere in its own cell, and behind what is in it.
            if place != Some(bundle.strip) {
                for part in strip.occluders.within(window) {
                    found.close(part.offset_intervals(bundle).every);
                    if found.open.is_empty() {
                        return true;
                    }
                }
            }
            ahead += self.side;
            place = place.and_then(|place| place.checked_add_signed(bundle.sign as isize));
        }
        false
    }
}

/// What a search found, and works with.
#[derive(Default)]
struct VisibilitySearch {
    shapes: Vec<u32>,
    /// The intervals of `a` whose lines go on, in order.
    open: Vec<[f64; 2]>,
    rest: Vec<[f64; 2]>,
}

impl VisibilitySearch {
    /// Ends the lines whose `a` is in an interval.
    fn close(&mut self, [from, to]: [f64; 2]) {
        if from >= to || !self.open.iter().any(|open| from < open[1] && to > open[0]) {
            return;
        }
        self.rest.clear();
        for &[low, high] in &self.open {
            if from >= high || to <= low {
                self.rest.push([low, high]);
                continue;
            }
            if low < from {
                self.rest.push([low, from]);
            }
            if to < high {
                self.rest.push([to, high]);
            }
        }
        std::mem::swap(&mut self.open, &mut self.rest);
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

    /// The lines of a fan that meet it.
    fn offset_intervals(&self, bundle: BeamBundle) -> OffsetIntervals {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut met = OffsetIntervals {
            some: [low, high],
            every: [low, high],
        };
        for corner in &self.corners {
            let ahead = bundle.sign * (corner[0] - bundle.center[0]);
            let aside = corner[1] - bundle.center[1];
            let [a, b] = bundle.slopes.map(|slope| aside - slope * ahead);
            let (less, more) = (a.min(b), a.max(b));
            met.some = [met.some[0].min(less), met.some[1].max(more)];
            met.every = [met.every[0].min(more), met.every[1].max(less)];
        }
        met
    }
}

/// The corners of a shape that is larger by `grow`, metres; a disc's are about it or within it.
fn outline(obstacle: &Obstacle, grow: f64, is_about: bool) -> Vec<[f64; 2]> {
    let [x, y] = [obstacle.position.x, obstacle.position.y].map(f64::from);
    match &obstacle.shape {
        Shape::Disc { radius } => {
            let step = 2.0 * PI / CORNERS as f64;
            let radius = f64::from(*radius) + grow;
            let radius = if is_about {
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

/// What of a polygon is on one side of a border: of `sign` times where it is along.
fn clip(polygon: &[[f64; 2]], border: f64, sign: f64) -> Vec<[f64; 2]> {
    let mut kept = Vec::with_capacity(polygon.len() + 2);
    for (index, &to) in polygon.iter().enumerate() {
        let from = polygon[(index + polygon.len() - 1) % polygon.len()];
        let (before, after) = (sign * (from[0] - border), sign * (to[0] - border));
        if (before < 0.0) != (after < 0.0) {
            let part = before / (before - after);
            kept.push([border, from[1] + part * (to[1] - from[1])]);
        }
        if after >= 0.0 {
            kept.push(to);
        }
    }
    kept
}
