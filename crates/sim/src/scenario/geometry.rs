//! Rectangles, and obstacles with their shapes.

use nalgebra::{Point2, Vector2};

use super::polygon::polygon_distance;

/// An axis-aligned rectangle, metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Lower left corner.
    pub min: Point2<f32>,
    /// Upper right corner.
    pub max: Point2<f32>,
}

impl Default for Rect {
    fn default() -> Self {
        Self {
            min: Point2::origin(),
            max: Point2::origin(),
        }
    }
}

impl Rect {
    /// Width and height, metres.
    pub fn size(&self) -> Vector2<f32> {
        self.max - self.min
    }

    /// Whether a point is at least `margin` metres inside.
    pub fn contains(&self, point: Point2<f32>, margin: f32) -> bool {
        point.x >= self.min.x + margin
            && point.x <= self.max.x - margin
            && point.y >= self.min.y + margin
            && point.y <= self.max.y - margin
    }
}

/// A static obstacle.
#[derive(Clone, Debug, PartialEq)]
pub struct Obstacle {
    /// Its outline in its own frame.
    pub shape: Shape,
    /// Position of its origin, metres.
    pub position: Point2<f32>,
    /// Unit vector of its own x axis: (cos yaw, sin yaw).
    pub axis: Vector2<f32>,
}

impl Obstacle {
    /// Transforms a point from the obstacle's frame to the world.
    pub fn to_world(&self, local: Vector2<f32>) -> Point2<f32> {
        self.position
            + Vector2::new(
                self.axis.x * local.x - self.axis.y * local.y,
                self.axis.y * local.x + self.axis.x * local.y,
            )
    }

    /// Transforms a point from the world to the obstacle's frame.
    pub fn to_local(&self, world: Point2<f32>) -> Vector2<f32> {
        let offset = world - self.position;
        Vector2::new(
            self.axis.x * offset.x + self.axis.y * offset.y,
            self.axis.x * offset.y - self.axis.y * offset.x,
        )
    }

    /// Signed distance from a point to the outline, metres; negative inside.
    pub fn signed_distance(&self, world: Point2<f32>) -> f32 {
        let p = self.to_local(world);
        match &self.shape {
            Shape::Disc { radius } => p.norm() - radius,
            Shape::Box { half_extents } => {
                let q = p.abs() - half_extents;
                Vector2::new(q.x.max(0.0), q.y.max(0.0)).norm() + q.x.max(q.y).min(0.0)
            }
            Shape::Segment { half } => {
                let share = (p.dot(half) / half.norm_squared()).clamp(-1.0, 1.0);
                (p - half * share).norm()
            }
            Shape::Polygon { vertices } => polygon_distance(vertices, p),
        }
    }
}

/// An outline in the frame of its obstacle.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A filled circle.
    Disc {
        /// Metres.
        radius: f32,
    },
    /// A filled rectangle.
    Box {
        /// Half the width and half the height, metres.
        half_extents: Vector2<f32>,
    },
    /// A filled convex polygon.
    Polygon {
        /// Corners, counter-clockwise, metres.
        vertices: Vec<Vector2<f32>>,
    },
    /// A wall without thickness, from `-half` to `+half`.
    Segment {
        /// From the middle to one end, metres.
        half: Vector2<f32>,
    },
}
