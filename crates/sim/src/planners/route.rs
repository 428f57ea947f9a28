//! A route to the goal among the static obstacles, for planners that know the map. It is planned
//! once per episode, then followed.

use nalgebra::{Point2, Vector2};

use crate::scenario::{Geodesic, GeodesicPath, Layout, RobotParameters};

/// Margins to obstacles beyond the robot's radius, metres. The first is used whose path is not too
/// long.
const MARGINS_M: [f32; 5] = [0.15, 0.10, 0.06, 0.03, 0.01];

/// Longest acceptable path, as a multiple of the shortest one.
const MAX_LENGTH_RATIO: f64 = 1.1;

/// A polyline from start to goal, and the progress of the robot along it.
#[derive(Clone, Debug)]
pub(super) struct Route {
    points: Vec<Point2<f32>>,
    /// `[points]`: distance along the route, metres.
    along: Vec<f32>,
    /// Margin to obstacles beyond the robot's radius, metres.
    pub(super) margin: f32,
    /// Distance along the route of the point that is nearest to the robot, metres.
    progress: f32,
}

impl Route {
    /// Plans a route for a robot of a layout: A* over the tangents between obstacles that are
    /// inflated by its radius and a margin ([`Geodesic`]). Ignores movers and other robots.
    pub(super) fn plan(layout: &Layout, robot: &RobotParameters) -> Self {
        let path = |margin: f32| {
            Geodesic::new(layout, robot.passage_radius + margin).path(robot.start, robot.goal)
        };
        let shortest = path(0.0);
        let bound = shortest
            .as_ref()
            .map_or(f64::INFINITY, |path| MAX_LENGTH_RATIO * path.length_m);
        let with_margin = MARGINS_M.iter().find_map(|&margin| {
            Some((margin, path(margin).filter(|path| path.length_m <= bound)?))
        });
        // A layout is only accepted with a path, so the straight line is a mere fallback.
        let (margin, path) = with_margin.unwrap_or_else(|| {
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

    /// Updates the progress from the robot's position. Searches only up to `ahead` metres ahead of
    /// the last progress, so that legs that cross or touch are not mixed up.
    pub(super) fn advance(&mut self, position: Point2<f32>, ahead: f32) {
        let (mut best, mut min_distance) = (self.progress, f32::INFINITY);
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
            if distance < min_distance {
                min_distance = distance;
                best = self.along[index] + share * (self.along[index + 1] - self.along[index]);
            }
        }
        self.progress = best.max(self.progress);
    }

    /// The point `distance` metres ahead on the route, or its end.
    pub(super) fn ahead(&self, distance: f32) -> Point2<f32> {
        let at = self.progress + distance;
        let index = self.segment(at);
        let Some(to) = self.points.get(index + 1) else {
            return self.points[index];
        };
        let length = (self.along[index + 1] - self.along[index]).max(f32::MIN_POSITIVE);
        let share = ((at - self.along[index]) / length).min(1.0);
        self.points[index] + (to - self.points[index]) * share
    }

    /// Index of the segment at a distance along the route, metres.
    fn segment(&self, at: f32) -> usize {
        let after = self.along.partition_point(|&along| along <= at);
        after
            .saturating_sub(1)
            .min(self.points.len().saturating_sub(2))
    }
}

/// Transforms a point from the world frame to a robot's frame: metres ahead and to the left.
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
    fn progress_along_a_route_never_decreases() {
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
    fn ahead_and_left_are_positive_in_the_robot_frame() {
        let quarter = std::f32::consts::FRAC_PI_2;
        let point = to_robot_frame(Point2::new(1.0, 1.0), quarter, Point2::new(-1.0, 4.0));
        assert!((point - Vector2::new(3.0, 2.0)).norm() < 1e-5, "{point}");
    }
}
