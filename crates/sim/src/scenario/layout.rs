//! One sampled episode of a scenario: every range drawn, every obstacle, start and goal placed.
//! Plain geometry; it knows no physics.

use std::sync::Arc;

use nalgebra::{Point2, Vector2};

use super::footprint::polygon_distance;
use super::{Map, MoverGroup, MoverPlacement, RobotPlacement, SampledParameter};

/// A room with everything in it, as one episode begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// The inside of the walls.
    pub arena: Rect,
    /// What stands still in every episode, where the room is a map.
    pub map: Option<Arc<Map>>,
    /// What else stands still.
    pub obstacles: Vec<Obstacle>,
    /// What moves by itself.
    pub movers: Vec<MoverPlacement>,
    /// How it moves, one manner after the other; together they are all movers.
    pub mover_groups: Vec<MoverGroup>,
    /// The robots, in the order of the file.
    pub robots: Vec<RobotPlacement>,
    /// Where a goal might as well have been: the places of `one_of` that were not chosen.
    pub alternative_goals: Vec<AlternativeGoal>,
    /// The physical numbers that were drawn from ranges.
    pub sampled_parameters: Vec<SampledParameter>,
}

impl Layout {
    /// All that stands still, the map's shapes first.
    pub fn all_obstacles(&self) -> impl Iterator<Item = &Obstacle> {
        let mapped = self.map.iter().flat_map(|map| map.obstacles());
        mapped.chain(&self.obstacles)
    }

    /// What stands still and may be nearer to a point than `distance`, metres.
    pub fn all_obstacles_near(
        &self,
        point: Point2<f32>,
        distance: f32,
    ) -> impl Iterator<Item = &Obstacle> {
        let mapped = self
            .map
            .iter()
            .flat_map(move |map| map.obstacles_near(point, distance));
        mapped.chain(&self.obstacles)
    }

    /// Whether a point is inside the walls and keeps this distance from them and from all that
    /// stands, metres.
    pub fn is_free(&self, point: Point2<f32>, margin: f32) -> bool {
        self.arena.contains(point, margin)
            && self
                .all_obstacles_near(point, margin)
                .all(|o| o.signed_distance(point) > margin)
    }

    /// The axis along which the room is longer: 0 is x, 1 is y.
    pub fn longer_axis(&self) -> usize {
        usize::from(self.arena.size().y > self.arena.size().x)
    }
}

/// A place like a goal, where nothing is to be had in this episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlternativeGoal {
    /// Centre, metres.
    pub position: Point2<f32>,
    /// Radius of the goal that it is not, metres.
    pub radius: f32,
}

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

    /// Whether a point is inside by at least `margin` metres.
    pub fn contains(&self, point: Point2<f32>, margin: f32) -> bool {
        point.x >= self.min.x + margin
            && point.x <= self.max.x - margin
            && point.y >= self.min.y + margin
            && point.y <= self.max.y - margin
    }
}

/// Something that stands still.
#[derive(Clone, Debug, PartialEq)]
pub struct Obstacle {
    /// Its outline, about its own origin.
    pub shape: Shape,
    /// Where its origin is, metres.
    pub position: Point2<f32>,
    /// Unit vector of its own x axis: (cos yaw, sin yaw).
    pub axis: Vector2<f32>,
}

impl Obstacle {
    /// A point of the obstacle's own frame in the world's.
    pub fn to_world(&self, local: Vector2<f32>) -> Point2<f32> {
        self.position
            + Vector2::new(
                self.axis.x * local.x - self.axis.y * local.y,
                self.axis.y * local.x + self.axis.x * local.y,
            )
    }

    /// A point of the world in the obstacle's own frame.
    pub fn to_local(&self, world: Point2<f32>) -> Vector2<f32> {
        let offset = world - self.position;
        Vector2::new(
            self.axis.x * offset.x + self.axis.y * offset.y,
            self.axis.x * offset.y - self.axis.y * offset.x,
        )
    }
}

/// An outline about its own origin.
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

impl Obstacle {
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
