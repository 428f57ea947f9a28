//! The way to the goal past all that stands still, for drivers that know the map: planned once an
//! episode, then followed.

use nalgebra::{Point2, Vector2};

use crate::scenario::{Geodesic, GeodesicPath, Layout, RobotPlacement};

/// Room left at obstacles beside the robot's radius, metres: the most that does not lead a long
/// way round.
const MARGINS_M: [f32; 5] = [0.15, 0.10, 0.06, 0.03, 0.01];

/// A way is long if it is this many times the shortest.
const MAX_LENGTH_RATIO: f64 = 1.1;

/// A polyline from start to goal, and how far along it the robot has come.
#[derive(Clone, Debug)]
pub(super) struct Route {
    points: Vec<Point2<f32>>,
    /// Metres from the start to each point.
    along: Vec<f32>,
    /// Room beside the robot, metres.
    pub(super) margin: f32,
    /// Metres from the start to the place that is nearest to the robot.
    progress: f32,
}

impl Route {
    /// Plans for a robot of a layout: A* over the tangents between obstacles grown by its radius
    /// and some room ([`Geodesic`]). Movers and other robots are not looked at.
    pub(super) fn plan(layout: &Layout, robot: &RobotPlacement) -> Self {
        let path = |margin: f32| {
            Geodesic::new(layout, robot.passage_radius + margin).path(robot.start, robot.goal)
        };
        let shortest = path(0.0);
        let bound = shortest
            .as_ref()
            .map_or(f64::INFINITY, |path| MAX_LENGTH_RATIO * path.length_m);
        let roomy = MARGINS_M.iter().find_map(|&margin| {
            Some((margin, path(margin).filter(|path| path.length_m <= bound)?))
        });
        // A path was made sure of when the episode was placed; without one, straight on.
        let (margin, path) = roomy.unwrap_or_else(|| {
            let straight = || GeodesicPath {
                length_m: f64::from((robot.goal - robot.start).norm()),
                points: vec![robot.start, robot.goal],
            };
            (0.0, shortest.unwrap_or_else(straight))
        });
        Self::new(path.points, margin)
    }

    fn new(points: Vec<Point2<f32>>, margin: f32) -> Self {
        let mut length = 0.0;
        let steps = points.windows(2).map(|pair| (pair[1] - pair[0]).norm());
        let along = std::iter::once(0.0)
            .chain(steps.map(|step| {
                length += step;
                length
            }))
            .collect();
        Self {
            points,
            along,
            margin,
            progress: 0.0,
        }
    }

    /// Notes where the robot is. It is looked for within `ahead` metres of the way from where it
    /// was, so that ways that cross or touch are not mixed up.
    pub(super) fn advance(&mut self, position: Point2<f32>, ahead: f32) {
        let (mut best, mut least) = (self.progress, f32::INFINITY);
        let first = self.segment(self.progress);
        for index in first..self.points.len() - 1 {
            if self.along[index] > self.progress + ahead {
                break;
            }
            let (from, to) = (self.points[index], self.points[index + 1]);
            let line = to - from;
            let square = line.norm_squared().max(f32::MIN_POSITIVE);
            let share = (line.dot(&(position - from)) / square).clamp(0.0, 1.0);
            let distance = (from + line * share - position).norm();
            if distance < least {
                least = distance;
                best = self.along[index] + share * (self.along[index + 1] - self.along[index]);
            }
        }
        self.progress = best.max(self.progress);
    }

    /// The place this many metres ahead, or the end of the way.
    pub(super) fn ahead(&self, metres: f32) -> Point2<f32> {
        let at = self.progress + metres;
        let index = self.segment(at);
        let Some(to) = self.points.get(index + 1) else {
            return self.points[index];
        };
        let length = (self.along[index + 1] - self.along[index]).max(f32::MIN_POSITIVE);
        let share = ((at - self.along[index]) / length).min(1.0);
        self.points[index] + (to - self.points[index]) * share
    }

    /// The segment that the place this many metres from the start lies on.
    fn segment(&self, at: f32) -> usize {
        let after = self.along.partition_point(|&along| along <= at);
        after
            .saturating_sub(1)
            .min(self.points.len().saturating_sub(2))
    }
}

/// A point of the world as seen from a robot: metres ahead and to its left.
pub(super) fn to_robot_frame(
    position: Point2<f32>,
    heading_rad: f32,
    point: Point2<f32>,
) -> Vector2<f32> {
    let (sin, cos) = libm::sincosf(heading_rad);
    let offset = point - position;
    Vector2::new(
        cos * offset.x + sin * offset.y,
        cos * offset.y - sin * offset.x,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_followed_forwards_only() {
        // 2 m along x, then 1 m up, then back beside the first leg.
        let corners = [(0.0, 0.0), (2.0, 0.0), (2.0, 1.0), (0.0, 1.0)];
        let points = corners.map(|(x, y)| Point2::new(x, y)).to_vec();
        let mut route = Route::new(points, 0.1);
        assert_eq!(route.ahead(0.5), Point2::new(0.5, 0.0));
        route.advance(Point2::new(0.4, 0.9), 1.0);
        assert_eq!(
            route.ahead(0.0),
            Point2::new(0.4, 0.0),
            "the near leg, not the last"
        );
        route.advance(Point2::new(0.1, 0.0), 1.0);
        assert_eq!(route.ahead(0.0), Point2::new(0.4, 0.0), "never back");
        assert_eq!(route.ahead(2.1), Point2::new(2.0, 0.5));
        assert_eq!(route.ahead(99.0), Point2::new(0.0, 1.0));
    }

    #[test]
    fn what_is_ahead_and_to_the_left_is_positive() {
        let quarter = std::f32::consts::FRAC_PI_2;
        let seen = to_robot_frame(Point2::new(1.0, 1.0), quarter, Point2::new(-1.0, 4.0));
        assert!((seen - Vector2::new(3.0, 2.0)).norm() < 1e-5, "{seen}");
    }
}
