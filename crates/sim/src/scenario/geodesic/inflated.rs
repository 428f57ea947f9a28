//! Obstacles grown by the robot's radius, and the free pieces of their rims' arcs.

use std::f64::consts::TAU;

use nalgebra::Vector2;

use super::{ANGLE_TOLERANCE, TOLERANCE_M, Vec2, right_of};
use crate::scenario::{self, Layout, Obstacle};

/// A convex core and everything within `radius` of it.
#[derive(Clone, Debug)]
struct InflatedObstacle {
    /// Corners, counter-clockwise; one is a point, two a segment.
    core: Vec<Vec2>,
    radius: f64,
    /// A circle around it all.
    middle: Vec2,
    reach: f64,
}

/// Everything that the robot's centre must stay out of, and the room it must stay in.
#[derive(Clone, Debug)]
pub(super) struct InflatedObstacles {
    inflated: Vec<InflatedObstacle>,
    min: Vec2,
    max: Vec2,
}

/// The rounded rim at one corner of an obstacle.
#[derive(Clone, Debug)]
pub(super) struct CornerArc {
    pub(super) center: Vec2,
    pub(super) radius: f64,
    /// Towards the corners before and after; a disc's rim has none and goes all around.
    sides: Option<[Vec2; 2]>,
    /// The parts that the robot's centre can be on.
    pub(super) intervals: Vec<ArcInterval>,
}

/// A part of a rim, counter-clockwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArcInterval {
    /// The angle at which it begins, radians.
    begin: f64,
    /// How far it goes, radians; `TAU` is all around.
    span: f64,
}

impl ArcInterval {
    pub(super) fn is_circle(&self) -> bool {
        self.span >= TAU
    }
}

impl CornerArc {
    /// The piece that holds the rim's point in a direction (a unit vector), and how far along the
    /// piece that is, radians.
    pub(super) fn locate(&self, direction: Vec2) -> Option<(usize, f64)> {
        if let Some(sides) = self.sides {
            // Outside the corner's cone of normals the rim is straight, not round.
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
                let along = (angle - interval.begin).rem_euclid(TAU);
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
        let reach = core
            .iter()
            .map(|corner| (corner - middle).norm())
            .fold(0.0, f64::max)
            + radius;
        Self {
            core,
            radius,
            middle,
            reach,
        }
    }

    /// The sides of the core, counter-clockwise; a segment has two, a point none.
    fn sides(&self) -> impl Iterator<Item = (Vec2, Vec2)> + '_ {
        let n = self.core.len();
        (0..if n < 2 { 0 } else { n }).map(move |i| (self.core[i], self.core[(i + 1) % n]))
    }

    /// The nearest point of the core; the point itself where it is inside.
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
        (point - self.middle).norm_squared() < self.reach * self.reach
            && (point - self.nearest(point)).norm_squared() < radius * radius
    }

    /// Whether a line enters the shape.
    fn blocks(&self, p: Vec2, q: Vec2) -> bool {
        let near = |a: Vec2, b: Vec2, point: Vec2, radius: f64| {
            (nearest_on_segment(a, b, point) - point).norm_squared() < radius * radius
        };
        if !near(p, q, self.middle, self.reach) {
            return false;
        }
        let radius = self.radius - TOLERANCE_M;
        // Two convex sets that do not cross are closest at a corner of one of them.
        self.core.iter().any(|corner| near(p, q, *corner, radius))
            || self.sides().any(|(a, b)| {
                near(a, b, p, radius) || near(a, b, q, radius) || segments_cross(a, b, p, q)
            })
    }
}

/// The point of a segment that is nearest to a point.
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

    /// Whether the robot's centre can go straight from one point to another.
    pub(super) fn is_clear(&self, from: Vec2, to: Vec2) -> bool {
        self.in_room(from)
            && self.in_room(to)
            && !self.inflated.iter().any(|shape| shape.blocks(from, to))
    }

    /// The nearest point that the robot's centre can be at (within 1 cm where several things
    /// crowd it).
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
                let out = inside - shape.nearest(inside);
                let depth = out.norm();
                (depth > 1e-9).then(|| inside + out * (shape.radius / depth - 1.0))
            });
        let distance = |candidate: &Vec2| (candidate - point).norm_squared();
        std::iter::once(inside)
            .chain(pushed)
            .filter(|&candidate| self.is_free(candidate))
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            .or_else(|| self.search_around(inside))
    }

    /// Looks along ever wider rings.
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

    /// The arcs of all rims, those that lie wholly inside something left out.
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

    /// The parts of a rim that are outside everything else: between one crossing and the next, a
    /// rim is free or it is not.
    fn free_intervals(&self, arc: &CornerArc, own: usize) -> Vec<ArcInterval> {
        let (begin, span) = match arc.sides {
            None => (0.0, TAU),
            Some([before, after]) => {
                let (first, last) = (right_of(-before), right_of(after));
                let begin = libm::atan2(first.y, first.x);
                (
                    begin,
                    libm::atan2(first.perp(&last), first.dot(&last)).rem_euclid(TAU),
                )
            }
        };
        let mut cuts: Vec<f64> = self
            .crossings(arc, own)
            .into_iter()
            .map(|angle| (angle - begin).rem_euclid(TAU))
            .filter(|&along| along < span)
            .chain([0.0, span])
            .collect();
        cuts.sort_by(f64::total_cmp);
        let mut intervals: Vec<ArcInterval> = Vec::new();
        for pair in cuts.windows(2) {
            let &[from, to] = pair else { continue };
            let (sin, cos) = libm::sincos(begin + f64::midpoint(from, to));
            if to - from < 1e-12 || !self.is_free(arc.center + Vec2::new(cos, sin) * arc.radius) {
                continue;
            }
            match intervals.last_mut() {
                Some(last) if (last.begin + last.span - begin - from).abs() < 1e-9 => {
                    last.span = begin + to - last.begin;
                }
                _ => intervals.push(ArcInterval {
                    begin: begin + from,
                    span: to - from,
                }),
            }
        }
        merge_wraparound(&mut intervals, arc.sides.is_none());
        intervals
    }

    /// Angles at which a rim's circle meets other rims or the edge of the room.
    fn crossings(&self, arc: &CornerArc, own: usize) -> Vec<f64> {
        let mut angles = Vec::new();
        for (index, shape) in self.inflated.iter().enumerate() {
            let apart = (shape.middle - arc.center).norm();
            if index == own || apart > shape.reach + arc.radius {
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

/// On a full circle the last piece may go on in the first.
fn merge_wraparound(intervals: &mut Vec<ArcInterval>, circle: bool) {
    let (true, Some(&first), Some(&last)) = (circle, intervals.first(), intervals.last()) else {
        return;
    };
    if first.begin < 1e-9 && last.begin + last.span > TAU - 1e-9 {
        if intervals.len() == 1 {
            intervals[0].span = TAU;
        } else {
            intervals.pop();
            intervals[0] = ArcInterval {
                begin: last.begin,
                span: last.span + first.span,
            };
        }
    }
}

fn intersect_circle(arc: &CornerArc, center: Vec2, radius: f64, angles: &mut Vec<f64>) {
    let between = center - arc.center;
    let apart = between.norm();
    if apart == 0.0 {
        return;
    }
    let cosine =
        (apart * apart + arc.radius * arc.radius - radius * radius) / (2.0 * apart * arc.radius);
    if cosine.abs() < 1.0 {
        let middle = libm::atan2(between.y, between.x);
        let half = libm::acos(cosine);
        angles.extend([middle - half, middle + half]);
    }
}

/// Meets a whole line: where that is beyond its side's ends, a needless cut does no harm.
fn intersect_line(arc: &CornerArc, point: Vec2, along: Vec2, angles: &mut Vec<f64>) {
    let normal = right_of(along);
    let cosine = (point - arc.center).dot(&normal) / arc.radius;
    if cosine.abs() < 1.0 {
        let middle = libm::atan2(normal.y, normal.x);
        let half = libm::acos(cosine);
        angles.extend([middle - half, middle + half]);
    }
}
