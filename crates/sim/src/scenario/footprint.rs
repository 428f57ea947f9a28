//! The footprint of a robot that is not round: a convex polygon, and its distance to obstacles.

use nalgebra::{Point2, Vector2};

use super::geometry::{Obstacle, Rect, Shape};
use super::polygon::{convex_distance, doubled_area, polygon_distance};

/// The largest number of corners. The array is part of [`super::RobotParameters`], without a heap
/// allocation.
pub const MAX_CORNERS: usize = 16;

/// The largest number of corners of an obstacle.
const MAX_OBSTACLE_CORNERS: usize = 64;

/// A convex polygon with counter-clockwise corners.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Footprint {
    corners: [Vector2<f32>; MAX_CORNERS],
    count: u32,
}

impl Footprint {
    /// Makes a footprint of corners in either order of rotation.
    ///
    /// # Panics
    /// If there are fewer than 3 or more than [`MAX_CORNERS`].
    pub fn new(corners: &[Vector2<f32>]) -> Self {
        let count = corners.len();
        assert!(
            (3..=MAX_CORNERS).contains(&count),
            "a footprint of {count} corners"
        );
        let mut footprint = Self {
            corners: [Vector2::zeros(); MAX_CORNERS],
            count: count as u32,
        };
        footprint.corners[..count].copy_from_slice(corners);
        if doubled_area(corners) < 0.0 {
            footprint.corners[..count].reverse();
        }
        footprint
    }

    /// The corners, counter-clockwise, metres.
    pub fn corners(&self) -> &[Vector2<f32>] {
        &self.corners[..self.count as usize]
    }

    /// Radius of the circle around the origin that contains the footprint, metres.
    pub fn radius(&self) -> f32 {
        self.corners().iter().map(Vector2::norm).fold(0.0, f32::max)
    }

    /// The mean of the corners, and its distance to the nearest edge, metres.
    pub fn middle(&self) -> (Point2<f32>, f32) {
        let middle = self.corners().iter().sum::<Vector2<f32>>() / self.count as f32;
        (middle.into(), -polygon_distance(self.corners(), middle))
    }

    /// The footprint of a robot at `position`. `heading` is a unit vector.
    #[must_use]
    pub fn placed(&self, position: Point2<f32>, heading: Vector2<f32>) -> Self {
        let mut placed = *self;
        for corner in &mut placed.corners[..self.count as usize] {
            *corner = position.coords
                + Vector2::new(
                    heading.x * corner.x - heading.y * corner.y,
                    heading.y * corner.x + heading.x * corner.y,
                );
        }
        placed
    }

    /// Distance to an obstacle in the same frame, metres. At most 0 if they overlap.
    pub fn distance(&self, obstacle: &Obstacle) -> f32 {
        let mut buffer = [Vector2::zeros(); MAX_OBSTACLE_CORNERS];
        let mut fill = |corners: &mut dyn Iterator<Item = Vector2<f32>>| {
            let mut count = 0;
            for (slot, corner) in buffer.iter_mut().zip(corners) {
                *slot = obstacle.to_world(corner).coords;
                count += 1;
            }
            count
        };
        let count = match &obstacle.shape {
            Shape::Disc { radius } => return self.distance_to_disc(obstacle.position, *radius),
            Shape::Box { half_extents: h } => {
                let corners = [(-h.x, -h.y), (h.x, -h.y), (h.x, h.y), (-h.x, h.y)];
                fill(&mut corners.into_iter().map(|(x, y)| Vector2::new(x, y)))
            }
            Shape::Segment { half } => fill(&mut [-half, *half].into_iter()),
            Shape::Polygon { vertices } => fill(&mut vertices.iter().copied()),
        };
        convex_distance(self.corners(), &buffer[..count])
    }

    /// Distance to another footprint in the same frame, metres. At most 0 if they overlap. Symmetric
    /// to the last bit.
    pub fn distance_to_footprint(&self, other: &Self) -> f32 {
        convex_distance(self.corners(), other.corners())
    }

    /// Distance to a disc, metres. Negative if they overlap.
    pub fn distance_to_disc(&self, center: Point2<f32>, radius: f32) -> f32 {
        polygon_distance(self.corners(), center.coords) - radius
    }

    /// Distance to the nearest wall of a room, metres. Negative if the footprint is not inside.
    pub fn distance_to_walls(&self, room: &Rect) -> f32 {
        let corners = self.corners().iter();
        let distances = corners.map(|corner| {
            let (low, high) = (corner - room.min.coords, room.max.coords - corner);
            low.x.min(low.y).min(high.x).min(high.y)
        });
        distances.fold(f32::INFINITY, f32::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::polygon::edges;
    use proptest::prelude::*;

    fn square(half: f32) -> Footprint {
        let corners = [(-half, -half), (half, -half), (half, half), (-half, half)];
        Footprint::new(&corners.map(|(x, y)| Vector2::new(x, y)))
    }

    #[test]
    fn distances_match_values_worked_out_by_hand() {
        let footprint = square(1.0);
        let place = |shape: Shape, x: f32, y: f32| Obstacle {
            shape,
            position: Point2::new(x, y),
            axis: Vector2::new(1.0, 0.0),
        };
        let disc = place(Shape::Disc { radius: 0.5 }, 4.0, 5.0);
        assert!(
            (footprint.distance(&disc) - 4.5).abs() < 1e-6,
            "corner to disc"
        );
        let half = Vector2::new(0.0, 3.0);
        let wall = place(Shape::Segment { half }, 1.5, 0.0);
        assert!(
            (footprint.distance(&wall) - 0.5).abs() < 1e-6,
            "edge to segment"
        );
        let half_extents = Vector2::new(1.0, 2.0);
        let beside = place(Shape::Box { half_extents }, 5.0, 5.0);
        let corner = (3.0_f32 * 3.0 + 2.0 * 2.0).sqrt();
        assert!((footprint.distance(&beside) - corner).abs() < 1e-6);
        // A cross: neither has a corner in the other.
        let across = place(
            Shape::Box {
                half_extents: Vector2::new(3.0, 0.2),
            },
            0.0,
            0.0,
        );
        assert!(footprint.distance(&across) < 0.0, "they overlap");
        let room = Rect {
            min: Point2::new(-2.0, -4.0),
            max: Point2::new(4.0, 4.0),
        };
        assert!((footprint.distance_to_walls(&room) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn corners_may_be_clockwise() {
        let corners = [(0.0, 0.0), (0.0, 1.0), (2.0, 0.0)].map(|(x, y)| Vector2::new(x, y));
        let footprint = Footprint::new(&corners);
        assert!(doubled_area(footprint.corners()) > 0.0);
        assert!((footprint.radius() - 2.0).abs() < 1e-6);
    }

    proptest! {
        /// Compares with many points on the outline.
        #[test]
        fn distance_is_that_of_the_nearest_points(
            x in -4.0..4.0_f32, y in -4.0..4.0_f32, yaw in 0.0..6.3_f32,
            a in 0.1..1.5_f32, b in 0.1..1.5_f32, turn in 0.0..6.3_f32,
        ) {
            let footprint = square(0.7).placed(Point2::origin(), Vector2::new(libm::cosf(turn), libm::sinf(turn)));
            let obstacle = Obstacle {
                shape: Shape::Box { half_extents: Vector2::new(a, b) },
                position: Point2::new(x, y),
                axis: Vector2::new(libm::cosf(yaw), libm::sinf(yaw)),
            };
            let found = footprint.distance(&obstacle);
            let mut nearest = f32::INFINITY;
            for (from, to) in edges(footprint.corners()) {
                for i in 0..=2000 {
                    let point = from + (to - from) * (i as f32 / 2000.0);
                    nearest = nearest.min(obstacle.signed_distance(Point2::from(point)));
                }
            }
            let inside = polygon_distance(footprint.corners(), obstacle.position.coords) <= 0.0;
            if nearest <= 0.0 || inside {
                prop_assert!(found <= 1e-5, "{found} m apart, but they overlap");
            } else {
                prop_assert!((found - nearest).abs() < 1e-3, "{found}, but {nearest}");
            }
        }
    }
}
