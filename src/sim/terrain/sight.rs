//! What of a map a sensor may see, by where it is and which way it looks.
//!
//! The room is cut into square cells, and all directions into sectors. Of a cell and a sector, the
//! shapes that some beam may meet first are few, and found once, when a sensor first looks from the
//! cell: a beam is then tried at those alone. A shape is left out only where others hide it from every
//! point of the cell, so that each reading is what it would be with all of them.
//!
//! A sector's beams are lines `v = a + b u`: u goes the way that they go, v across it. From the cell
//! they go strip by strip; a screen covers those `a` whose lines meet it for every `b` of the sector,
//! and what is met by no `a` that is still open is not seen. Where that leaves gaps, the slopes are
//! halved. (Visibility by cells: Airey, Rohlf & Brooks 1990, "Towards image realism with interactive
//! update rates in complex virtual building environments".)

use std::f64::consts::{PI, SQRT_2};
use std::sync::OnceLock;

use nalgebra::{Point2, Vector2};

use crate::scenario::{Map, Obstacle, Rect, Shape};
use crate::sim::scene::{BoxBlock, DiscBlock, LANES, Lane};

/// Cells are no smaller than this, metres,
const SIDE: f64 = 0.25;
/// and no more than so many: their lists are to fit a processor's memory.
const MOST_CELLS: f64 = 4096.0;
/// Whoever is about a map by no more than this is in a cell, too, metres.
const ABOUT: f32 = 1.5;
/// Sectors of an eighth of all directions: of those between an axis and a diagonal.
const SECTORS: usize = 8;
/// So many times are a sector's slopes halved to close gaps.
const HALVINGS: u32 = 1;
/// Shapes are larger by this, and slopes by a hundredth of it, when it is asked what they show,
/// metres: no rounding then tells the lists from all shapes.
const SLACK: f64 = 1e-3;
/// Corners of a disc.
const CORNERS: usize = 12;

/// What may be seen from where.
#[derive(Debug)]
pub(crate) struct Sight {
    /// The lower left corner of the cells, metres, and their side.
    origin: [f64; 2],
    side: f64,
    /// Cells along x and y.
    count: [usize; 2],
    /// By axis: what is between two of the borders that cut it.
    strips: [Vec<Strip>; 2],
    /// By cell, rows along x.
    views: Vec<OnceLock<View>>,
    /// From anywhere.
    everything: View,
}

/// What a sensor in one cell may see.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// What may be nearest to it.
    pub(crate) nearest_boxes: Vec<BoxBlock>,
    pub(crate) nearest_discs: Vec<DiscBlock>,
    pub(crate) uprights: Seen<UprightBlock>,
    pub(crate) tilted: Seen<BoxBlock>,
    pub(crate) discs: Seen<DiscBlock>,
}

/// Shapes of one kind that may be seen from a cell.
#[derive(Debug)]
pub(crate) struct Seen<B> {
    pub(crate) blocks: Vec<B>,
    /// How near each block may be at least, metres.
    pub(crate) metres: Vec<f32>,
    /// `[8 · SECTORS]`, as [`sectors_of`] counts them: what a beam may meet.
    pub(crate) sectors: Vec<Sector>,
}

/// The blocks that a beam may meet, nearest first; at least one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sector {
    pub(crate) first: u32,
    pub(crate) end: u32,
    /// How near the second one may be at least, metres: infinite without one.
    pub(crate) metres: f32,
}

impl<B> Default for Seen<B> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            metres: Vec::new(),
            sectors: Vec::new(),
        }
    }
}

impl<B: Clone> Seen<B> {
    /// Forgets the sectors where nothing is in any of them.
    fn finish(&mut self) {
        if self.metres.iter().all(|metres| metres.is_infinite()) {
            *self = Self::default();
        }
    }

    /// Adds so many sectors in which the same shapes are seen, given nearest first by how near they
    /// are at least, and by how they are put into a block.
    fn push(
        &mut self,
        sectors: usize,
        empty: &B,
        shapes: &[(f32, &Obstacle)],
        put: impl Fn(&mut B, usize, &Obstacle),
    ) {
        let first = self.blocks.len() as u32;
        let mut shapes = shapes;
        loop {
            let (chunk, rest) = shapes.split_at(shapes.len().min(LANES));
            let mut block = empty.clone();
            for (lane, (_, obstacle)) in chunk.iter().enumerate() {
                put(&mut block, lane, obstacle);
            }
            self.blocks.push(block);
            self.metres
                .push(chunk.first().map_or(f32::INFINITY, |(metres, _)| *metres));
            shapes = rest;
            if shapes.is_empty() {
                break;
            }
        }
        let sector = Sector {
            first,
            end: self.blocks.len() as u32,
            metres: *self
                .metres
                .get(first as usize + 1)
                .unwrap_or(&f32::INFINITY),
        };
        self.sectors.extend(std::iter::repeat_n(sector, sectors));
    }
}

/// Eight boxes with sides along the axes, as beams meet them that go one way along each axis.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct UprightBlock {
    /// By axis: where the side is that beams enter by, metres, and the one that they leave by.
    pub(crate) enter: [Lane; 2],
    pub(crate) leave: [Lane; 2],
}

/// The sectors of directions, of which one over their parts is given, too.
#[allow(clippy::inline_always, reason = "its caller may use wider lanes")]
#[inline(always)]
pub(crate) fn sectors_of([x, y]: [&Lane; 2], [inv_x, inv_y]: [&Lane; 2]) -> [u32; LANES] {
    /// From here on numbers are whole, and their last bits a number.
    const WHOLE: f32 = 8_388_608.0;
    let mut sectors = [0; LANES];
    for i in 0..LANES {
        let is_along_x = x[i].abs() >= y[i].abs();
        let slope = if is_along_x {
            y[i] * inv_x[i]
        } else {
            x[i] * inv_y[i]
        };
        let within = slope.abs() * SECTORS as f32 - 0.5;
        let within = if within > 0.0 { within } else { 0.0 };
        let most = SECTORS as f32 - 1.0;
        let within = if within < most { within } else { most };
        let ways = (x[i].to_bits() >> 31) + 2 * (y[i].to_bits() >> 31);
        let octant = ways + if is_along_x { 0 } else { 4 };
        sectors[i] = octant * SECTORS as u32 + ((within + WHOLE).to_bits() & 0x007f_ffff);
    }
    sectors
}

/// An eighth of all directions, as [`sectors_of`] counts them.
#[derive(Clone, Copy)]
struct Octant {
    /// The axis that is nearer.
    axis: usize,
    /// 1 where x and y go up, or -1.
    signs: [f32; 2],
}

impl Octant {
    fn all() -> impl Iterator<Item = Self> {
        (0..8).map(|octant| Self {
            axis: octant / 4,
            signs: [1, 2].map(|bit| if octant & bit == 0 { 1.0 } else { -1.0 }),
        })
    }
}

/// What is between two borders.
#[derive(Debug, Default)]
struct Strip {
    /// Parts of what may be seen, a little larger than they are.
    fronts: Vec<Part>,
    /// Parts of what hides other things, no larger than they are.
    screens: Vec<Part>,
}

/// The part of a shape in a strip.
#[derive(Debug)]
struct Part {
    shape: u32,
    /// From where to where it is across the axis.
    across: [f64; 2],
    /// Its corners: along the axis, and across it.
    corners: Vec<[f64; 2]>,
}

/// A direction along an axis, as seen from a cell.
#[derive(Clone, Copy)]
struct Face {
    axis: usize,
    sign: f64,
    center: [f64; 2],
    strip: usize,
}

/// The intervals of `a` whose lines meet a part: for some slope, and for every one.
struct Met {
    some: [f64; 2],
    every: [f64; 2],
}

impl Sight {
    /// Of a map's shapes.
    pub(super) fn new(map: &Map) -> Self {
        let bounds = bounds_of(map);
        let size = bounds.size().map(f64::from);
        let side = (size.x * size.y / MOST_CELLS).sqrt().max(SIDE);
        let count = [size.x, size.y].map(|length| (length / side).ceil().max(1.0) as usize);
        let mut this = Self {
            origin: [bounds.min.x, bounds.min.y].map(f64::from),
            side,
            count,
            strips: count.map(|strips| (0..strips).map(|_| Strip::default()).collect()),
            views: (0..count[0] * count[1]).map(|_| OnceLock::new()).collect(),
            everything: View::default(),
        };
        for (shape, (obstacle, hidden)) in map.obstacles().iter().zip(map.hidden()).enumerate() {
            let (front, screen) = (
                outline(obstacle, SLACK, true),
                outline(obstacle, 0.0, false),
            );
            for axis in 0..2 {
                if !hidden {
                    this.cut(axis, shape, &front, |strip| &mut strip.fronts);
                }
                this.cut(axis, shape, &screen, |strip| &mut strip.screens);
            }
        }
        let all = map.obstacles().iter().zip(map.hidden());
        let all = all.filter(|(_, hidden)| !**hidden);
        let all: Vec<(f32, &Obstacle)> = all.map(|(obstacle, _)| (0.0, obstacle)).collect();
        for octant in Octant::all() {
            this.everything.put(octant, SECTORS, &all);
        }
        this.everything.finish();
        let all: Vec<&Obstacle> = map.obstacles().iter().collect();
        this.everything.put_nearest(&all);
        this
    }

    /// What may be seen from a point.
    #[inline]
    pub(crate) fn view(&self, map: &Map, x: f32, y: f32) -> &View {
        let cell = [0, 1].map(|axis| (f64::from([x, y][axis]) - self.origin[axis]) / self.side);
        let is_in = (0..2).all(|axis| cell[axis] >= 0.0 && cell[axis] < self.count[axis] as f64);
        if !is_in {
            return &self.everything;
        }
        let cell = cell.map(|place| place as usize);
        self.views[cell[1] * self.count[0] + cell[0]].get_or_init(|| self.look(map, cell))
    }

    /// Puts the parts of an outline into the strips across an axis.
    fn cut(
        &mut self,
        axis: usize,
        shape: usize,
        outline: &[[f64; 2]],
        list: impl Fn(&mut Strip) -> &mut Vec<Part>,
    ) {
        let along: Vec<[f64; 2]> = outline.iter().map(|p| [p[axis], p[1 - axis]]).collect();
        let ends = along
            .iter()
            .map(|corner| (corner[0] - self.origin[axis]) / self.side);
        let low = ends.clone().fold(f64::INFINITY, f64::min).floor().max(0.0) as usize;
        let high = ends.fold(-1.0, f64::max).floor() as isize;
        for strip in low..self.count[axis].min((high + 1).max(0) as usize) {
            let border = |strip: usize| self.origin[axis] + strip as f64 * self.side;
            let corners = clip(&along, border(strip), 1.0);
            let corners = clip(&corners, border(strip + 1), -1.0);
            if !corners.is_empty() {
                list(&mut self.strips[axis][strip]).push(Part::new(shape, corners));
            }
        }
    }

    /// Finds what may be seen from a cell.
    fn look(&self, map: &Map, cell: [usize; 2]) -> View {
        let center = [0, 1].map(|axis| self.origin[axis] + (cell[axis] as f64 + 0.5) * self.side);
        let at = Point2::new(center[0] as f32, center[1] as f32);
        let obstacles = map.obstacles();
        let distances: Vec<f32> = obstacles.iter().map(|of| of.signed_distance(at)).collect();
        let nearest = distances.iter().copied().fold(f32::INFINITY, f32::min);
        let across = (self.side * SQRT_2 + SLACK) as f32;
        let near = obstacles.iter().zip(&distances);
        let near = near.filter(|(_, distance)| **distance <= nearest + across);
        let near: Vec<&Obstacle> = near.map(|(obstacle, _)| obstacle).collect();
        let mut view = View::default();
        view.put_nearest(&near);

        let mut found = Found::default();
        for octant in Octant::all() {
            let Octant { axis, signs } = octant;
            let signs = signs.map(f64::from);
            let face = Face {
                axis,
                sign: signs[axis],
                center: [center[axis], center[1 - axis]],
                strip: cell[axis],
            };
            let seen = (0..SECTORS).map(|sector| {
                let slope = |border: usize| signs[1 - axis] * border as f64 / SECTORS as f64;
                let (a, b) = (slope(sector), slope(sector + 1));
                let slopes = [a.min(b) - SLACK / 100.0, a.max(b) + SLACK / 100.0];
                found.shapes.clear();
                self.follow(face, slopes, HALVINGS, &mut found);
                found.shapes.sort_unstable();
                found.shapes.clone()
            });
            for (shapes, sectors) in shared(seen) {
                let near = |shape: u32| {
                    let shape = shape as usize;
                    (distances[shape] - across / 2.0, &obstacles[shape])
                };
                let mut shapes: Vec<(f32, &Obstacle)> = shapes.into_iter().map(near).collect();
                shapes.sort_by(|a, b| a.0.total_cmp(&b.0));
                view.put(octant, sectors, &shapes);
            }
        }
        view.finish();
        view
    }

    /// Adds what the lines from a cell with some slopes may meet first.
    fn follow(&self, face: Face, slopes: [f64; 2], halvings: u32, found: &mut Found) {
        let known = found.shapes.len();
        let is_closed = self.walk(face, slopes, found);
        if !is_closed && halvings > 0 {
            found.shapes.truncate(known);
            let middle = f64::midpoint(slopes[0], slopes[1]);
            self.follow(face, [slopes[0], middle], halvings - 1, found);
            self.follow(face, [middle, slopes[1]], halvings - 1, found);
        }
    }

    /// The same, whether or not something ends all lines, and says whether something does.
    fn walk(&self, face: Face, slopes: [f64; 2], found: &mut Found) -> bool {
        let half = self.side / 2.0;
        let steepest = slopes[0].abs().max(slopes[1].abs());
        let reach = half * (1.0 + steepest);
        found.open.clear();
        found.open.push([-reach, reach]);
        let mut ahead = -half;
        let mut place = Some(face.strip);
        while let Some(strip) = place.and_then(|place| self.strips[face.axis].get(place)) {
            // The lines that are open are within this, across.
            let (first, last) = (found.open[0], found.open[found.open.len() - 1]);
            let ends = [ahead - SLACK, ahead + self.side + SLACK];
            let drift = |slope: f64| ends.map(|ahead| slope * ahead);
            let (low, high) = (drift(slopes[0]), drift(slopes[1]));
            let low = first[0] + low[0].min(low[1]).min(high[0]).min(high[1]);
            let high_drift = drift(slopes[0]);
            let high = last[1] + high[0].max(high[1]).max(high_drift[0]).max(high_drift[1]);
            let window = [face.center[1] + low, face.center[1] + high];
            for part in strip.fronts.iter().filter(|part| part.is_within(window)) {
                let some = part.met(face, slopes).some;
                let is_open = |open: &[f64; 2]| some[0] <= open[1] && some[1] >= open[0];
                if found.open.iter().any(is_open) && !found.shapes.contains(&part.shape) {
                    found.shapes.push(part.shape);
                }
            }
            if place != Some(face.strip) {
                for part in strip.screens.iter().filter(|part| part.is_within(window)) {
                    found.close(part.met(face, slopes).every);
                    if found.open.is_empty() {
                        return true;
                    }
                }
            }
            ahead += self.side;
            place = place.and_then(|place| place.checked_add_signed(face.sign as isize));
        }
        false
    }
}

/// Neighbouring sectors that can do with the same shapes, for they fill no more blocks together, and
/// how many they are.
fn shared(sectors: impl Iterator<Item = Vec<u32>>) -> Vec<(Vec<u32>, usize)> {
    let mut shared: Vec<(Vec<u32>, usize)> = Vec::new();
    let mut blocks = 0;
    for shapes in sectors {
        let of_these = shapes.len().div_ceil(LANES);
        if let Some((known, sectors)) = shared.last_mut() {
            let missing = shapes.iter().filter(|shape| !known.contains(shape));
            let missing: Vec<u32> = missing.copied().collect();
            let of_both = (known.len() + missing.len()).div_ceil(LANES);
            if of_both <= blocks.min(of_these) {
                known.extend(missing);
                *sectors += 1;
                continue;
            }
        }
        blocks = of_these;
        shared.push((shapes, 1));
    }
    shared
}

/// What a search found, and works with.
#[derive(Default)]
struct Found {
    shapes: Vec<u32>,
    /// The intervals of `a` whose lines go on, in order.
    open: Vec<[f64; 2]>,
    rest: Vec<[f64; 2]>,
}

impl Found {
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

impl Part {
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

    fn is_within(&self, [low, high]: [f64; 2]) -> bool {
        self.across[0] <= high && self.across[1] >= low
    }

    /// Its corners: how far ahead of a cell's centre, and how far aside.
    fn seen_from(&self, face: Face) -> impl Iterator<Item = [f64; 2]> {
        let seen = move |corner: &[f64; 2]| {
            [
                face.sign * (corner[0] - face.center[0]),
                corner[1] - face.center[1],
            ]
        };
        self.corners.iter().map(seen)
    }

    fn met(&self, face: Face, slopes: [f64; 2]) -> Met {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut met = Met {
            some: [low, high],
            every: [low, high],
        };
        for [ahead, aside] in self.seen_from(face) {
            let (a, b) = (aside - slopes[0] * ahead, aside - slopes[1] * ahead);
            let (less, more) = (a.min(b), a.max(b));
            met.some = [met.some[0].min(less), met.some[1].max(more)];
            met.every = [met.every[0].min(more), met.every[1].max(less)];
        }
        met
    }
}

impl View {
    fn put_nearest(&mut self, shapes: &[&Obstacle]) {
        let is_disc = |obstacle: &&Obstacle| matches!(obstacle.shape, Shape::Disc { .. });
        let (discs, boxes): (Vec<&Obstacle>, Vec<&Obstacle>) =
            shapes.iter().partition(|of| is_disc(of));
        for chunk in boxes.chunks(LANES) {
            let mut block = BoxBlock::EMPTY;
            for (lane, obstacle) in chunk.iter().enumerate() {
                block.put_obstacle(lane, obstacle);
            }
            self.nearest_boxes.push(block);
        }
        for chunk in discs.chunks(LANES) {
            let mut block = DiscBlock::EMPTY;
            for (lane, obstacle) in chunk.iter().enumerate() {
                block.put_obstacle(lane, obstacle);
            }
            self.nearest_discs.push(block);
        }
    }

    fn finish(&mut self) {
        self.uprights.finish();
        self.tilted.finish();
        self.discs.finish();
    }

    /// Adds so many sectors of an octant in which these shapes are seen, nearest first.
    fn put(&mut self, octant: Octant, sectors: usize, shapes: &[(f32, &Obstacle)]) {
        let is_disc = |obstacle: &Obstacle| matches!(obstacle.shape, Shape::Disc { .. });
        let is_upright = |obstacle: &Obstacle| obstacle.axis == Vector2::x();
        let pick = |kind: &dyn Fn(&Obstacle) -> bool| -> Vec<(f32, &Obstacle)> {
            shapes
                .iter()
                .copied()
                .filter(|(_, obstacle)| kind(obstacle))
                .collect()
        };
        let uprights = pick(&|of| !is_disc(of) && is_upright(of));
        self.uprights.push(
            sectors,
            &UprightBlock::EMPTY,
            &uprights,
            |block, lane, of| block.put(lane, of, octant.signs),
        );
        let tilted = pick(&|of| !is_disc(of) && !is_upright(of));
        self.tilted
            .push(sectors, &BoxBlock::EMPTY, &tilted, BoxBlock::put_obstacle);
        let discs = pick(&is_disc);
        self.discs
            .push(sectors, &DiscBlock::EMPTY, &discs, DiscBlock::put_obstacle);
    }
}

impl UprightBlock {
    /// No beam enters before it leaves.
    const EMPTY: Self = Self {
        enter: [[f32::INFINITY; LANES]; 2],
        leave: [[f32::INFINITY; LANES]; 2],
    };

    /// Puts a box, for beams that go up or down along x and y by these signs.
    fn put(&mut self, lane: usize, obstacle: &Obstacle, signs: [f32; 2]) {
        if let Shape::Box { half_extents } = obstacle.shape {
            for axis in 0..2 {
                let (center, half) = (obstacle.position[axis], signs[axis] * half_extents[axis]);
                self.enter[axis][lane] = center - half;
                self.leave[axis][lane] = center + half;
            }
        }
    }
}

/// The rectangle about a map, and a little more.
fn bounds_of(map: &Map) -> Rect {
    let mut bounds = Rect {
        min: Point2::new(f32::INFINITY, f32::INFINITY),
        max: Point2::new(f32::NEG_INFINITY, f32::NEG_INFINITY),
    };
    for group in map.groups() {
        bounds.min = bounds.min.inf(&group.bounds.min);
        bounds.max = bounds.max.sup(&group.bounds.max);
    }
    if map.groups().is_empty() {
        bounds.min = Point2::origin();
        bounds.max = Point2::origin();
    }
    let about = Vector2::repeat(ABOUT);
    Rect {
        min: bounds.min - about,
        max: bounds.max + about,
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
                radius / (step / 2.0).cos()
            } else {
                radius
            };
            let corner = |corner: usize| {
                let (sin, cos) = (step * corner as f64).sin_cos();
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
