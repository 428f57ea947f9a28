//! The exact shortest path of a round robot among static obstacles.
//!
//! A robot of radius r is a point among obstacles inflated by r: each becomes a convex core (a point,
//! a segment, a polygon) with a rounded boundary. A shortest path consists of straight lines that
//! are tangent to two boundaries, and of arcs of the boundaries between them (the tangent visibility
//! graph, Liu & Arimoto 1992). The graph is not built in advance: A* computes tangents when it
//! expands a node, and tests whether a line is clear only when the line is the best one left. A path
//! takes well under a millisecond.
//!
//! Movers are ignored. Lengths are exact up to 10 µm.

mod inflated;

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::f64::consts::TAU;

use nalgebra::Point2;

use super::Layout;
use inflated::{ANGLE_TOLERANCE, CornerArc, InflatedObstacles, Vec2, right_of};

/// Arcs of a polyline are cut into steps of at most this angle, radians.
const MAX_ARC_STEP: f64 = 0.1;

/// The shortest paths through one layout for one robot radius.
#[derive(Clone, Debug)]
pub struct Geodesic {
    shapes: InflatedObstacles,
    arcs: Vec<CornerArc>,
}

/// A shortest path.
#[derive(Clone, Debug, PartialEq)]
pub struct GeodesicPath {
    /// Exact length, metres.
    pub length_m: f64,
    /// The path from start to end as a polyline, metres. Arcs are cut into short lines.
    pub points: Vec<Point2<f32>>,
}

impl Geodesic {
    /// Prepares the layout for a robot of this radius, metres.
    pub fn new(layout: &Layout, radius: f32) -> Self {
        let shapes = InflatedObstacles::new(layout, f64::from(radius));
        let arcs = shapes.arcs();
        Self { shapes, arcs }
    }

    /// The shortest path between two positions of the robot's centre. `None` if there is none. An end
    /// where the robot overlaps an obstacle (after a collision, for example) is first moved in a
    /// straight line to the nearest free position. That line is part of the path.
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

/// The end of a straight line of the path, on an arc or at the goal.
#[derive(Clone, Debug)]
struct SearchNode {
    /// The node that the line comes from.
    parent: usize,
    /// Where the line leaves the parent's arc.
    departure: Vec2,
    arrival: Vec2,
    arc_position: Option<ArcPosition>,
    /// Length of the path up to `arrival`, metres.
    cost: f64,
}

/// A position on an arc, and the direction of travel.
#[derive(Clone, Copy, Debug)]
struct ArcPosition {
    arc: usize,
    interval: usize,
    /// Angle from the start of the interval, radians.
    along: f64,
    /// 1 counter-clockwise, -1 clockwise.
    turn: f64,
}

/// An open node, ordered by its estimate, smallest first.
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

/// A directed line that is tangent to two circles, on the sides given by their turns.
struct Tangent {
    direction: Vec2,
    length: f64,
}

/// The tangent from one circle (centre, radius, turn) to another. With the line's direction d and
/// its right-hand normal n, a counter-clockwise circle is touched at centre + radius · n, a
/// clockwise one at centre − radius · n.
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

struct Search<'a> {
    map: &'a Geodesic,
    goal: Vec2,
    nodes: Vec<SearchNode>,
    open: BinaryHeap<OpenNode>,
    /// `[2 · arc + (turn > 0)]`: expanded nodes by arc and turn.
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

    /// Returns the node that reaches the goal by the shortest path.
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

    /// Whether the path along the arc from an expanded node is at least as short.
    fn is_dominated(&self, arc_position: ArcPosition, cost: f64) -> bool {
        self.expanded[expanded_index(arc_position)]
            .iter()
            .any(|&other| {
                let node = &self.nodes[other];
                node.arc_position.is_some_and(|other| {
                    other.interval == arc_position.interval
                        && self
                            .arc_length(other, arc_position.along)
                            .is_some_and(|arc_length_m| node.cost + arc_length_m <= cost + 1e-12)
                })
            })
    }

    /// Length along an arc to another position in the same interval, metres. `None` if that is in the
    /// opposite direction.
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

    /// Opens every line from a node to another arc or to the goal.
    fn expand(&mut self, index: usize) {
        let map = self.map;
        self.connect(index, None);
        for arc in 0..map.arcs.len() {
            for turn in [1.0, -1.0] {
                self.connect(index, Some((arc, turn)));
            }
        }
    }

    /// Opens the line from a node to an arc with a turn, or to the goal.
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
            // There is no line to a goal at the same position.
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

    /// The path to a node as a polyline.
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
