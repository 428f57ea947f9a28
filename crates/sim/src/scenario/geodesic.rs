//! The exact shortest path of a round robot among what stands still.
//!
//! A disc robot of radius r is a point among obstacles grown by r: each becomes a convex core
//! (a point, a segment, a polygon) with a rounded rim. A shortest path runs along straight lines
//! that touch two rims and along the rims' arcs between them (the tangent visibility graph, Liu &
//! Arimoto 1992). The graph is never built: A* asks for tangents as it goes, and whether a line
//! is clear only when it is the best one left, so a path costs well under a millisecond.
//!
//! Movers are ignored. Lengths are exact up to [`TOLERANCE_M`].

mod shape;

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::f64::consts::TAU;

use nalgebra::{Point2, Vector2};

use super::Layout;
use shape::{Arc, Shapes};

/// Obstacles may be entered by this much, so that rounding closes no gap, metres.
const TOLERANCE_M: f64 = 1e-5;
/// Angles closer than this are the same, radians.
const SAME_ANGLE: f64 = 1e-7;
/// Arcs of a drawn path are cut at least this finely, radians.
const DRAWN_ARC: f64 = 0.1;

type Vec2 = Vector2<f64>;

/// The shortest paths through one layout for one robot radius.
#[derive(Clone, Debug)]
pub struct Geodesic {
    shapes: Shapes,
    arcs: Vec<Arc>,
}

/// A shortest path.
#[derive(Clone, Debug, PartialEq)]
pub struct GeodesicPath {
    /// Its exact length, metres.
    pub length_m: f64,
    /// The path from start to end; arcs are cut into short lines.
    pub points: Vec<Point2<f32>>,
}

impl Geodesic {
    /// Prepares the layout for a robot of this radius, metres.
    pub fn new(layout: &Layout, radius: f32) -> Self {
        let shapes = Shapes::new(layout, f64::from(radius));
        let arcs = shapes.arcs();
        Self { shapes, arcs }
    }

    /// The shortest path between two positions of the robot's centre, or `None` where there is
    /// none. An end where the robot would overlap something (after a collision, say) is first
    /// moved straight to the nearest free place, and that way counts.
    pub fn path(&self, from: Point2<f32>, to: Point2<f32>) -> Option<GeodesicPath> {
        let [from, to] = [from, to].map(|point| point.coords.cast::<f64>());
        let (start, end) = (
            self.shapes.nearest_free(from)?,
            self.shapes.nearest_free(to)?,
        );
        let mut search = Search::new(self, start, end);
        let last = search.run()?;
        let mut points = search.points(last);
        if start != from {
            points.insert(0, from);
        }
        if end != to {
            points.push(to);
        }
        Some(GeodesicPath {
            length_m: (start - from).norm() + search.visits[last].cost + (to - end).norm(),
            points: points
                .into_iter()
                .map(|point| Point2::from(point.cast::<f32>()))
                .collect(),
        })
    }

    /// The length of [`Self::path`], metres.
    pub fn distance(&self, from: Point2<f32>, to: Point2<f32>) -> Option<f64> {
        self.path(from, to).map(|path| path.length_m)
    }
}

/// Where a straight line of the path ends: on a rim, or at the goal.
#[derive(Clone, Debug)]
struct Visit {
    /// The visit that the line comes from, and where it left that visit's rim.
    parent: usize,
    departure: Vec2,
    arrival: Vec2,
    rim: Option<Rim>,
    /// Length so far, metres.
    cost: f64,
}

/// A place on a rim, and the way around it.
#[derive(Clone, Copy, Debug)]
struct Rim {
    arc: usize,
    piece: usize,
    /// Radians from the piece's beginning.
    along: f64,
    /// 1 counter-clockwise, -1 clockwise.
    turn: f64,
}

/// An open line, best first.
struct Open {
    estimate: f64,
    visit: usize,
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Open {}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .estimate
            .total_cmp(&self.estimate)
            .then(other.visit.cmp(&self.visit))
    }
}

/// A directed line that touches two circles, each on the side that its turn says.
struct Tangent {
    direction: Vec2,
    length: f64,
}

/// The tangent from one circle (centre, radius, turn) to another. With the line's direction d and
/// its right-hand normal n, a rim that turns counter-clockwise is touched at centre + radius · n,
/// one that turns clockwise at centre − radius · n.
fn tangent(from: (Vec2, f64, f64), to: (Vec2, f64, f64)) -> Option<Tangent> {
    let between = to.0 - from.0;
    let offset = from.2 * from.1 - to.2 * to.1;
    let square = between.norm_squared();
    let length_square = square - offset * offset;
    if length_square <= 0.0 {
        return None;
    }
    let length = length_square.sqrt();
    let direction = Vec2::new(
        length * between.x - offset * between.y,
        length * between.y + offset * between.x,
    ) / square;
    Some(Tangent { direction, length })
}

fn right_of(direction: Vec2) -> Vec2 {
    Vec2::new(direction.y, -direction.x)
}

struct Search<'a> {
    map: &'a Geodesic,
    goal: Vec2,
    visits: Vec<Visit>,
    open: BinaryHeap<Open>,
    /// For each arc and turn, the visits whose lines proved clear: `[2 · arc + (turn > 0)]`.
    proven: Vec<Vec<usize>>,
}

impl<'a> Search<'a> {
    fn new(map: &'a Geodesic, start: Vec2, goal: Vec2) -> Self {
        let first = Visit {
            parent: 0,
            departure: start,
            arrival: start,
            rim: None,
            cost: 0.0,
        };
        Self {
            map,
            goal,
            visits: vec![first],
            open: BinaryHeap::new(),
            proven: vec![Vec::new(); 2 * map.arcs.len()],
        }
    }

    /// The visit that reaches the goal by the shortest path.
    fn run(&mut self) -> Option<usize> {
        self.expand(0);
        while let Some(Open { visit: index, .. }) = self.open.pop() {
            let visit = &self.visits[index];
            if visit.rim.is_some_and(|rim| self.is_beaten(rim, visit.cost)) {
                continue;
            }
            if !self.map.shapes.is_clear(visit.departure, visit.arrival) {
                continue;
            }
            let Some(rim) = visit.rim else {
                return Some(index);
            };
            self.proven[slot(rim)].push(index);
            self.expand(index);
        }
        None
    }

    /// Whether going along the rim from an earlier visit is at least as short.
    fn is_beaten(&self, rim: Rim, cost: f64) -> bool {
        self.proven[slot(rim)].iter().any(|&other| {
            let visit = &self.visits[other];
            visit.rim.is_some_and(|before| {
                before.piece == rim.piece
                    && self
                        .way_along(before, rim.along)
                        .is_some_and(|way| visit.cost + way <= cost + 1e-12)
            })
        })
    }

    /// Metres along a rim, in its turn, to another place of the same piece.
    fn way_along(&self, rim: Rim, along: f64) -> Option<f64> {
        let arc = &self.map.arcs[rim.arc];
        let mut angle = rim.turn * (along - rim.along);
        if angle < -SAME_ANGLE {
            if !arc.pieces[rim.piece].is_circle() {
                return None;
            }
            angle += TAU;
        }
        Some(arc.radius * angle.max(0.0))
    }

    /// Opens every line that leaves a visit for another rim or for the goal.
    fn expand(&mut self, index: usize) {
        let map = self.map;
        self.connect(index, None);
        for arc in 0..map.arcs.len() {
            for turn in [1.0, -1.0] {
                self.connect(index, Some((arc, turn)));
            }
        }
    }

    fn connect(&mut self, index: usize, target: Option<(usize, f64)>) {
        let arcs = &self.map.arcs;
        let Visit {
            arrival, rim, cost, ..
        } = self.visits[index];
        let from = match rim {
            Some(rim) => (arcs[rim.arc].center, arcs[rim.arc].radius, rim.turn),
            None => (arrival, 0.0, 1.0),
        };
        let to = match target {
            Some((arc, _)) if rim.is_some_and(|rim| rim.arc == arc) => return,
            Some((arc, turn)) => (arcs[arc].center, arcs[arc].radius, turn),
            None => (self.goal, 0.0, 1.0),
        };
        let Some(Tangent { direction, length }) = tangent(from, to) else {
            // Only a goal that is already reached has no line to it.
            if target.is_none() && rim.is_none() {
                self.push(Visit {
                    parent: index,
                    departure: arrival,
                    arrival,
                    rim: None,
                    cost,
                });
            }
            return;
        };
        let right = right_of(direction);
        let mut cost = cost + length;
        if let Some(rim) = rim {
            let Some((piece, along)) = arcs[rim.arc].place(right * rim.turn) else {
                return;
            };
            if piece != rim.piece {
                return;
            }
            let Some(way) = self.way_along(rim, along) else {
                return;
            };
            cost += way;
        }
        let rim = match target {
            None => None,
            Some((arc, turn)) => {
                let Some((piece, along)) = arcs[arc].place(right * turn) else {
                    return;
                };
                Some(Rim {
                    arc,
                    piece,
                    along,
                    turn,
                })
            }
        };
        let departure = from.0 + right * (from.2 * from.1);
        let arrival = to.0 + right * (to.2 * to.1);
        self.push(Visit {
            parent: index,
            departure,
            arrival,
            rim,
            cost,
        });
    }

    fn push(&mut self, visit: Visit) {
        let estimate = visit.cost + (self.goal - visit.arrival).norm();
        self.open.push(Open {
            estimate,
            visit: self.visits.len(),
        });
        self.visits.push(visit);
    }

    /// The path to a visit as a polyline.
    fn points(&self, last: usize) -> Vec<Vec2> {
        let mut points = Vec::new();
        let mut index = last;
        while index != 0 {
            let visit = &self.visits[index];
            points.push(visit.arrival);
            points.push(visit.departure);
            let parent = &self.visits[visit.parent];
            if let Some(rim) = parent.rim {
                let arc = &self.map.arcs[rim.arc];
                let way = self.visits[index].cost
                    - parent.cost
                    - (visit.arrival - visit.departure).norm();
                let angle = if arc.radius > 0.0 {
                    way / arc.radius
                } else {
                    0.0
                };
                let cuts = (angle / DRAWN_ARC).ceil() as usize;
                let spoke = parent.arrival - arc.center;
                for cut in (1..cuts).rev() {
                    let turned = rim.turn * angle * cut as f64 / cuts as f64;
                    let (sin, cos) = libm::sincos(turned);
                    let spoke =
                        Vec2::new(cos * spoke.x - sin * spoke.y, sin * spoke.x + cos * spoke.y);
                    points.push(arc.center + spoke);
                }
            }
            index = visit.parent;
        }
        points.push(self.visits[0].arrival);
        points.reverse();
        points.dedup_by(|a, b| (*a - *b).norm() < 1e-9);
        points
    }
}

fn slot(rim: Rim) -> usize {
    2 * rim.arc + usize::from(rim.turn > 0.0)
}

#[cfg(test)]
mod tests;
