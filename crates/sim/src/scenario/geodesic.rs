//! The exact shortest path of a round robot among what stands still.
//!
//! A disc robot of radius r is a point among obstacles grown by r: each becomes a convex core
//! (a point, a segment, a polygon) with a rounded rim. A shortest path runs along straight lines
//! that touch two rims and along the rims' arcs between them (the tangent visibility graph, Liu &
//! Arimoto 1992). The graph is never built: A* asks for tangents as it goes, and whether a line
//! is clear only when it is the best one left, so a path costs well under a millisecond.
//!
//! Movers are ignored. Lengths are exact up to [`TOLERANCE_M`].

mod inflated;

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::f64::consts::TAU;

use nalgebra::{Point2, Vector2};

use super::Layout;
use inflated::{CornerArc, InflatedObstacles};

/// Obstacles may be entered by this much, so that rounding closes no gap, metres.
const TOLERANCE_M: f64 = 1e-5;
/// Angles closer than this are the same, radians.
const ANGLE_TOLERANCE: f64 = 1e-7;
/// Arcs of a drawn path are cut at least this finely, radians.
const MAX_ARC_STEP: f64 = 0.1;

type Vec2 = Vector2<f64>;

/// The shortest paths through one layout for one robot radius.
#[derive(Clone, Debug)]
pub struct Geodesic {
    shapes: InflatedObstacles,
    arcs: Vec<CornerArc>,
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
        let shapes = InflatedObstacles::new(layout, f64::from(radius));
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
            length_m: (start - from).norm() + search.nodes[last].cost + (to - end).norm(),
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
struct SearchNode {
    /// The visit that the line comes from, and where it left that visit's rim.
    parent: usize,
    departure: Vec2,
    arrival: Vec2,
    arc_position: Option<ArcPosition>,
    /// Length so far, metres.
    cost: f64,
}

/// A place on a rim, and the way around it.
#[derive(Clone, Copy, Debug)]
struct ArcPosition {
    arc: usize,
    interval: usize,
    /// Radians from the piece's beginning.
    along: f64,
    /// 1 counter-clockwise, -1 clockwise.
    turn: f64,
}

/// An open line, best first.
struct OpenNode {
    estimate: f64,
    node: usize,
}

impl PartialEq for OpenNode {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for OpenNode {}

impl PartialOrd for OpenNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OpenNode {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .estimate
            .total_cmp(&self.estimate)
            .then(other.node.cmp(&self.node))
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
    nodes: Vec<SearchNode>,
    open: BinaryHeap<OpenNode>,
    /// For each arc and turn, the visits whose lines proved clear: `[2 · arc + (turn > 0)]`.
    expanded: Vec<Vec<usize>>,
}

impl<'a> Search<'a> {
    fn new(map: &'a Geodesic, start: Vec2, goal: Vec2) -> Self {
        let first = SearchNode {
            parent: 0,
            departure: start,
            arrival: start,
            arc_position: None,
            cost: 0.0,
        };
        Self {
            map,
            goal,
            nodes: vec![first],
            open: BinaryHeap::new(),
            expanded: vec![Vec::new(); 2 * map.arcs.len()],
        }
    }

    /// The visit that reaches the goal by the shortest path.
    fn run(&mut self) -> Option<usize> {
        self.expand(0);
        while let Some(OpenNode { node: index, .. }) = self.open.pop() {
            let node = &self.nodes[index];
            if node
                .arc_position
                .is_some_and(|arc_position| self.is_dominated(arc_position, node.cost))
            {
                continue;
            }
            if !self.map.shapes.is_clear(node.departure, node.arrival) {
                continue;
            }
            let Some(arc_position) = node.arc_position else {
                return Some(index);
            };
            self.expanded[expanded_index(arc_position)].push(index);
            self.expand(index);
        }
        None
    }

    /// Whether going along the rim from an earlier visit is at least as short.
    fn is_dominated(&self, arc_position: ArcPosition, cost: f64) -> bool {
        self.expanded[expanded_index(arc_position)]
            .iter()
            .any(|&other| {
                let node = &self.nodes[other];
                node.arc_position.is_some_and(|before| {
                    before.interval == arc_position.interval
                        && self
                            .arc_length(before, arc_position.along)
                            .is_some_and(|arc_length_m| node.cost + arc_length_m <= cost + 1e-12)
                })
            })
    }

    /// Metres along a rim, in its turn, to another place of the same piece.
    fn arc_length(&self, arc_position: ArcPosition, along: f64) -> Option<f64> {
        let arc = &self.map.arcs[arc_position.arc];
        let mut angle = arc_position.turn * (along - arc_position.along);
        if angle < -ANGLE_TOLERANCE {
            if !arc.intervals[arc_position.interval].is_circle() {
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
        let SearchNode {
            arrival,
            arc_position,
            cost,
            ..
        } = self.nodes[index];
        let from = match arc_position {
            Some(arc_position) => (
                arcs[arc_position.arc].center,
                arcs[arc_position.arc].radius,
                arc_position.turn,
            ),
            None => (arrival, 0.0, 1.0),
        };
        let to = match target {
            Some((arc, _)) if arc_position.is_some_and(|arc_position| arc_position.arc == arc) => {
                return;
            }
            Some((arc, turn)) => (arcs[arc].center, arcs[arc].radius, turn),
            None => (self.goal, 0.0, 1.0),
        };
        let Some(Tangent { direction, length }) = tangent(from, to) else {
            // Only a goal that is already reached has no line to it.
            if target.is_none() && arc_position.is_none() {
                self.push(SearchNode {
                    parent: index,
                    departure: arrival,
                    arrival,
                    arc_position: None,
                    cost,
                });
            }
            return;
        };
        let right = right_of(direction);
        let mut cost = cost + length;
        if let Some(arc_position) = arc_position {
            let Some((interval, along)) = arcs[arc_position.arc].locate(right * arc_position.turn)
            else {
                return;
            };
            if interval != arc_position.interval {
                return;
            }
            let Some(arc_length_m) = self.arc_length(arc_position, along) else {
                return;
            };
            cost += arc_length_m;
        }
        let arc_position = match target {
            None => None,
            Some((arc, turn)) => {
                let Some((interval, along)) = arcs[arc].locate(right * turn) else {
                    return;
                };
                Some(ArcPosition {
                    arc,
                    interval,
                    along,
                    turn,
                })
            }
        };
        let departure = from.0 + right * (from.2 * from.1);
        let arrival = to.0 + right * (to.2 * to.1);
        self.push(SearchNode {
            parent: index,
            departure,
            arrival,
            arc_position,
            cost,
        });
    }

    fn push(&mut self, node: SearchNode) {
        let estimate = node.cost + (self.goal - node.arrival).norm();
        self.open.push(OpenNode {
            estimate,
            node: self.nodes.len(),
        });
        self.nodes.push(node);
    }

    /// The path to a visit as a polyline.
    fn points(&self, last: usize) -> Vec<Vec2> {
        let mut points = Vec::new();
        let mut index = last;
        while index != 0 {
            let node = &self.nodes[index];
            points.push(node.arrival);
            points.push(node.departure);
            let parent = &self.nodes[node.parent];
            if let Some(arc_position) = parent.arc_position {
                let arc = &self.map.arcs[arc_position.arc];
                let arc_length_m =
                    self.nodes[index].cost - parent.cost - (node.arrival - node.departure).norm();
                let angle = if arc.radius > 0.0 {
                    arc_length_m / arc.radius
                } else {
                    0.0
                };
                let cuts = (angle / MAX_ARC_STEP).ceil() as usize;
                let spoke = parent.arrival - arc.center;
                for cut in (1..cuts).rev() {
                    let turned = arc_position.turn * angle * cut as f64 / cuts as f64;
                    let (sin, cos) = libm::sincos(turned);
                    let spoke =
                        Vec2::new(cos * spoke.x - sin * spoke.y, sin * spoke.x + cos * spoke.y);
                    points.push(arc.center + spoke);
                }
            }
            index = node.parent;
        }
        points.push(self.nodes[0].arrival);
        points.reverse();
        points.dedup_by(|a, b| (*a - *b).norm() < 1e-9);
        points
    }
}

fn expanded_index(arc_position: ArcPosition) -> usize {
    2 * arc_position.arc + usize::from(arc_position.turn > 0.0)
}

#[cfg(test)]
mod tests;
