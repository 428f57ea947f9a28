//! Obstacles inflated by the robot's radius, and the free intervals of the arcs of their boundaries.

use std::f64::consts::TAU;

use nalgebra::Vector2;

use crate::scenario::{self, Layout, Obstacle};

pub(super) type Vec2 = Vector2<f64>;

/// Paths may enter obstacles by this much, so that rounding closes no gap, metres.
const TOLERANCE_M: f64 = 1e-5;

/// Angles closer than this count as equal, radians.
pub(super) const ANGLE_TOLERANCE: f64 = 1e-7;

/// A direction turned clockwise by a right angle.
pub(super) fn right_of(direction: Vec2) -> Vec2 {
    Vec2::new(direction.y, -direction.x)
}

/// A convex core and all points within `radius` of it.
#[derive(Clone, Debug)]
struct InflatedObstacle {
    /// Corners, counter-clockwise. One corner is a point, two are a segment.
    core: Vec<Vec2>,
    radius: f64,
    /// Centre of a bounding circle.
    middle: Vec2,
    /// Radius of the bounding circle.
    bounding_radius: f64,
}

/// The obstacles and the room for the robot's centre.
#[derive(Clone, Debug)]
pub(super) struct InflatedObstacles {
    inflated: Vec<InflatedObstacle>,
    min: Vec2,
    max: Vec2,
}

/// The arc of the boundary around one corner of an obstacle.
#[derive(Clone, Debug)]
pub(super) struct CornerArc {
    pub(super) center: Vec2,
    pub(super) radius: f64,
    /// Vectors to the corners before and after. `None` for a disc, whose arc is a full circle.
    sides: Option<[Vec2; 2]>,
    /// The parts where the robot's centre may be.
    pub(super) intervals: Vec<ArcInterval>,
}

/// A part of an arc, counter-clockwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArcInterval {
    /// Angle of its start, radians.
    start: f64,
    /// Its angle, radians. `TAU` is a full circle.
    span: f64,
}

impl ArcInterval {
    pub(super) fn is_circle(&self) -> bool {
        self.span >= TAU
    }
}

impl CornerArc {
    /// The interval that contains the arc's point in a direction (a unit vector), and the angle from
    /// the interval's start to the point, radians.
    pub(super) fn locate(&self, direction: Vec2) -> Option<(usize, f64)> {
        if let Some(sides) = self.sides {
            // Outside the corner's cone of normals the boundary is straight.
            if sides
                .iter()
                .any(|side| direction.dot(side) > ANGLE_TOLERANCE * side.norm())
            {
                return None;
            }
        }
        let angle = libm::atan2(direction.y, direction.x);
        self.intervals
            .iter()
            .enumerate()
            .find_map(|(index, interval)| {
                let along = (angle - interval.start).rem_euclid(TAU);
                if along <= interval.span {
                    Some((index, along))
                } else if along - interval.span <= ANGLE_TOLERANCE {
                    Some((index, interval.span))
                } else if TAU - along <= ANGLE_TOLERANCE {
                    Some((index, 0.0))
                } else {
                    None
                }
            })
    }
}

impl InflatedObstacle {
    fn new(obstacle: &Obstacle, robot_radius: f64) -> Self {
        let position = obstacle.position.coords.cast::<f64>();
        let axis = obstacle.axis.cast::<f64>();
        let world = |local: Vector2<f32>| {
            let local = local.cast::<f64>();
            position
                + Vec2::new(
                    axis.x * local.x - axis.y * local.y,
                    axis.y * local.x + axis.x * local.y,
                )
        };
        let mut radius = robot_radius;
        let mut core: Vec<Vec2> = match &obstacle.shape {
            scenario::Shape::Disc { radius: own } => {
                radius += f64::from(*own);
                vec![position]
            }
            scenario::Shape::Box { half_extents: half } => {
                [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
                    .map(|(x, y)| world(Vector2::new(x * half.x, y * half.y)))
                    .to_vec()
            }
            scenario::Shape::Polygon { vertices } => vertices.iter().copied().map(world).collect(),
            scenario::Shape::Segment { half } => vec![world(-half), world(*half)],
        };
        if core.len() > 2 && (core[1] - core[0]).perp(&(core[2] - core[1])) < 0.0 {
            core.reverse();
        }
        let middle = core.iter().sum::<Vec2>() / core.len() as f64;
        let bounding_radius = core
            .iter()
            .map(|corner| (corner - middle).norm())
            .fold(0.0, f64::max)
            + radius;
        Self {
            core,
            radius,
            middle,
            bounding_radius,
        }
    }

    /// The sides of the core, counter-clockwise. A segment has two, a point none.
    fn sides(&self) -> impl Iterator<Item = (Vec2, Vec2)> + '_ {
        let n = self.core.len();
        (0..if n < 2 { 0 } else { n }).map(move |i| (self.core[i], self.core[(i + 1) % n]))
    }

    /// The nearest point of the core. A point inside is its own nearest point.
    fn nearest(&self, point: Vec2) -> Vec2 {
        let inside =
            self.core.len() > 2 && self.sides().all(|(a, b)| (b - a).perp(&(point - a)) >= 0.0);
        if inside {
            return point;
        }
        self.sides()
            .map(|(a, b)| nearest_on_segment(a, b, point))
            .min_by(|a, b| {
                (a - point)
                    .norm_squared()
                    .total_cmp(&(b - point).norm_squared())
            })
            .unwrap_or(self.core[0])
    }

    fn contains(&self, point: Vec2) -> bool {
        let radius = self.radius - TOLERANCE_M;
        (point - self.middle).norm_squared() < self.bounding_radius * self.bounding_radius
            && (point - self.nearest(point)).norm_squared() < radius * radius
    }

    /// Whether a line enters the inflated obstacle.
    fn blocks(&self, p: Vec2, q: Vec2) -> bool {
        let near = |a: Vec2, b: Vec2, point: Vec2, radius: f64| {
            (nearest_on_segment(a, b, point) - point).norm_squared() < radius * radius
        };
        if !near(p, q, self.middle, self.bounding_radius) {
            return false;
        }
        let radius = self.radius - TOLERANCE_M;
        // The nearest points of two convex sets that do not cross include a corner of one of them.
        self.core.iter().any(|corner| near(p, q, *corner, radius))
            || self.sides().any(|(a, b)| {
                near(a, b, p, radius) || near(a, b, q, radius) || segments_cross(a, b, p, q)
            })
    }
}

/// The nearest point of a segment.
fn nearest_on_segment(a: Vec2, b: Vec2, point: Vec2) -> Vec2 {
    let along = b - a;
    let square = along.norm_squared();
    if square == 0.0 {
        return a;
    }
    a + along * ((point - a).dot(&along) / square).clamp(0.0, 1.0)
}

/// Whether two segments cross.
fn segments_cross(a: Vec2, b: Vec2, p: Vec2, q: Vec2) -> bool {
    let sides =
        |a: Vec2, b: Vec2, p: Vec2, q: Vec2| (b - a).perp(&(p - a)) * (b - a).perp(&(q - a)) < 0.0;
    sides(a, b, p, q) && sides(p, q, a, b)
}

impl InflatedObstacles {
    pub(super) fn new(layout: &Layout, robot_radius: f64) -> Self {
        let inset = Vec2::repeat(robot_radius);
        Self {
            inflated: layout
                .all_obstacles()
                .map(|obstacle| InflatedObstacle::new(obstacle, robot_radius))
                .collect(),
            min: layout.arena.min.coords.cast::<f64>() + inset,
            max: layout.arena.max.coords.cast::<f64>() - inset,
        }
    }

    fn in_room(&self, point: Vec2) -> bool {
        (0..2).all(|axis| {
            point[axis] >= self.min[axis] - TOLERANCE_M
                && point[axis] <= self.max[axis] + TOLERANCE_M
        })
    }

    pub(super) fn is_free(&self, point: Vec2) -> bool {
        self.in_room(point) && !self.inflated.iter().any(|shape| shape.contains(point))
    }

    /// Whether the robot's centre can move in a straight line from one point to another.
    pub(super) fn is_clear(&self, from: Vec2, to: Vec2) -> bool {
        self.in_room(from)
            && self.in_room(to)
            && !self.inflated.iter().any(|shape| shape.blocks(from, to))
    }

    /// The nearest point where the robot's centre may be, exact to 1 cm if several obstacles are near.
    pub(super) fn nearest_free(&self, point: Vec2) -> Option<Vec2> {
        if self.is_free(point) {
            return Some(point);
        }
        if (0..2).any(|axis| self.min[axis] > self.max[axis]) {
            return None;
        }
        let inside = point.sup(&self.min).inf(&self.max);
        let pushed = self
            .inflated
            .iter()
            .filter(|shape| shape.contains(inside))
            .filter_map(|shape| {
                let offset = inside - shape.nearest(inside);
                let distance = offset.norm();
                (distance > 1e-9).then(|| inside + offset * (shape.radius / distance - 1.0))
            });
        let distance = |candidate: &Vec2| (candidate - point).norm_squared();
        std::iter::once(inside)
            .chain(pushed)
            .filter(|&candidate| self.is_free(candidate))
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            .or_else(|| self.search_around(inside))
    }

    /// Searches rings of growing radius.
    fn search_around(&self, point: Vec2) -> Option<Vec2> {
        const STEP_M: f64 = 0.01;
        let rings = ((self.max - self.min).norm() / STEP_M) as usize + 1;
        (1..=rings).find_map(|ring| {
            let spokes = 8 * ring.min(16);
            (0..spokes).find_map(|spoke| {
                let (sin, cos) = libm::sincos(TAU * spoke as f64 / spokes as f64);
                let candidate = point + Vec2::new(cos, sin) * (STEP_M * ring as f64);
                self.is_free(candidate).then_some(candidate)
            })
        })
    }

    /// The arcs of all obstacles that have a free interval.
    pub(super) fn arcs(&self) -> Vec<CornerArc> {
        let mut arcs = Vec::new();
        for (index, shape) in self.inflated.iter().enumerate() {
            let n = shape.core.len();
            for (corner, &center) in shape.core.iter().enumerate() {
                let sides = (n > 1).then(|| {
                    [
                        shape.core[(corner + n - 1) % n] - center,
                        shape.core[(corner + 1) % n] - center,
                    ]
                });
                let mut arc = CornerArc {
                    center,
                    radius: shape.radius,
                    sides,
                    intervals: Vec::new(),
                };
                arc.intervals = self.free_intervals(&arc, index);
                if !arc.intervals.is_empty() {
                    arcs.push(arc);
                }
            }
        }
        arcs
    }

    /// The parts of an arc that are outside all other obstacles. Between two crossings an arc is either
    /// free or not.
    fn free_intervals(&self, arc: &CornerArc, own: usize) -> Vec<ArcInterval> {
        let (start, span) = match arc.sides {
            None => (0.0, TAU),
            Some([before, after]) => {
                let (first, last) = (right_of(-before), right_of(after));
                let start = libm::atan2(first.y, first.x);
                (
                    start,
                    libm::atan2(first.perp(&last), first.dot(&last)).rem_euclid(TAU),
                )
            }
        };
        let mut cuts: Vec<f64> = self
            .crossings(arc, own)
            .into_iter()
            .map(|angle| (angle - start).rem_euclid(TAU))
            .filter(|&along| along < span)
            .chain([0.0, span])
            .collect();
        cuts.sort_by(f64::total_cmp);
        let mut intervals: Vec<ArcInterval> = Vec::new();
        for pair in cuts.windows(2) {
            let &[from, to] = pair else { continue };
            let (sin, cos) = libm::sincos(start + f64::midpoint(from, to));
            if to - from < 1e-12 || !self.is_free(arc.center + Vec2::new(cos, sin) * arc.radius) {
                continue;
            }
            match intervals.last_mut() {
                Some(last) if (last.start + last.span - start - from).abs() < 1e-9 => {
                    last.span = start + to - last.start;
                }
                _ => intervals.push(ArcInterval {
                    start: start + from,
                    span: to - from,
                }),
            }
        }
        merge_wraparound(&mut intervals, arc.sides.is_none());
        intervals
    }

    /// Angles at which an arc's circle crosses other boundaries or the edge of the room, radians.
    fn crossings(&self, arc: &CornerArc, own: usize) -> Vec<f64> {
        let mut angles = Vec::new();
        for (index, shape) in self.inflated.iter().enumerate() {
            let distance = (shape.middle - arc.center).norm();
            if index == own || distance > shape.bounding_radius + arc.radius {
                continue;
            }
            let radius = shape.radius - TOLERANCE_M;
            for &corner in &shape.core {
                intersect_circle(arc, corner, radius, &mut angles);
            }
            for (a, b) in shape.sides() {
                let along = (b - a).normalize();
                intersect_line(arc, a + right_of(along) * radius, along, &mut angles);
            }
        }
        let tolerance = Vec2::repeat(TOLERANCE_M);
        for corner in [self.min - tolerance, self.max + tolerance] {
            intersect_line(arc, corner, Vec2::x(), &mut angles);
            intersect_line(arc, corner, Vec2::y(), &mut angles);
        }
        angles
    }
}

/// Joins the last interval of a full circle with the first if they touch.
fn merge_wraparound(intervals: &mut Vec<ArcInterval>, circle: bool) {
    let (true, Some(&first), Some(&last)) = (circle, intervals.first(), intervals.last()) else {
        return;
    };
    if first.start < 1e-9 && last.start + last.span > TAU - 1e-9 {
        if intervals.len() == 1 {
            intervals[0].span = TAU;
        } else {
            intervals.pop();
            intervals[0] = ArcInterval {
                start: last.start,
                span: last.span + first.span,
            };
        }
    }
}

/// Adds the angles at which an arc's circle crosses another circle.
fn intersect_circle(arc: &CornerArc, center: Vec2, radius: f64, angles: &mut Vec<f64>) {
    let between = center - arc.center;
    let distance = between.norm();
    if distance == 0.0 {
        return;
    }
    let cosine = (distance * distance + arc.radius * arc.radius - radius * radius)
        / (2.0 * distance * arc.radius);
    if cosine.abs() < 1.0 {
        let middle = libm::atan2(between.y, between.x);
        let half = libm::acos(cosine);
        angles.extend([middle - half, middle + half]);
    }
}

/// Adds the angles at which an arc's circle crosses an infinite line. A crossing beyond the ends of
/// a side does no harm.
fn intersect_line(arc: &CornerArc, point: Vec2, along: Vec2, angles: &mut Vec<f64>) {
    let normal = right_of(along);
    let cosine = (point - arc.center).dot(&normal) / arc.radius;
    if cosine.abs() < 1.0 {
        let middle = libm::atan2(normal.y, normal.x);
        let half = libm::acos(cosine);
        angles.extend([middle - half, middle + half]);
    }
}
