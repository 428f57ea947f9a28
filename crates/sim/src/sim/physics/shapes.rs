//! The parts of a layout as types of the engine: colliders of walls, obstacles and robots, and the
//! mass of a robot.

use nalgebra::Vector2;
use rapier2d::prelude::{
    CoefficientCombineRule, Collider, ColliderBuilder, MassProperties, Pose, Rotation, SharedShape,
    Vector,
};

use crate::scenario::{Footprint, Obstacle, Rect, RobotParameters, Shape};

/// Thickness of the arena's walls, metres; more than any body travels in a step.
const WALL_THICKNESS: f32 = 1.0;

pub(super) fn vector(v: Vector2<f32>) -> Vector {
    Vector::new(v.x, v.y)
}

/// Collider of a robot. It has no friction: the robot slides along what it touches, and a contact
/// does not turn a round robot. The grip of the wheels, which would resist such a turn, is not
/// simulated.
pub(super) fn robot_collider(robot: &RobotParameters) -> ColliderBuilder {
    let shape = match &robot.footprint {
        None => ColliderBuilder::ball(robot.radius).mass(robot.mass_kg),
        Some(footprint) => convex_polygon(footprint.corners()).density(0.0),
    };
    shape
        .friction(0.0)
        .friction_combine_rule(CoefficientCombineRule::Min)
}

/// Mass and moment of inertia of a robot whose centre of mass is at its origin. The moment is that
/// of a disc with the footprint's radius.
pub(super) fn mass_about_origin(footprint: &Footprint, mass_kg: f32) -> MassProperties {
    let inertia = 0.5 * mass_kg * footprint.radius() * footprint.radius();
    MassProperties::new(Vector::new(0.0, 0.0), mass_kg, inertia)
}

/// The four walls of the arena.
pub(super) fn walls(arena: Rect) -> [Collider; 4] {
    let (min, max) = (arena.min, arena.max);
    let half = arena.size() / 2.0;
    let middle = nalgebra::center(&min, &max);
    let wall = |x: f32, y: f32, half_x: f32, half_y: f32| {
        ColliderBuilder::cuboid(half_x, half_y)
            .translation(Vector::new(x, y))
            .build()
    };
    let (wide, high) = (half.x + WALL_THICKNESS, half.y + WALL_THICKNESS);
    [
        wall(
            min.x - WALL_THICKNESS / 2.0,
            middle.y,
            WALL_THICKNESS / 2.0,
            high,
        ),
        wall(
            max.x + WALL_THICKNESS / 2.0,
            middle.y,
            WALL_THICKNESS / 2.0,
            high,
        ),
        wall(
            middle.x,
            min.y - WALL_THICKNESS / 2.0,
            wide,
            WALL_THICKNESS / 2.0,
        ),
        wall(
            middle.x,
            max.y + WALL_THICKNESS / 2.0,
            wide,
            WALL_THICKNESS / 2.0,
        ),
    ]
}

/// Collider of a static obstacle.
pub(super) fn collider(obstacle: &Obstacle) -> Collider {
    let rotation = Rotation::from_cos_sin_unchecked(obstacle.axis.x, obstacle.axis.y);
    let pose = Pose::from_parts(vector(obstacle.position.coords), rotation);
    let shape = match &obstacle.shape {
        Shape::Disc { radius } => ColliderBuilder::ball(*radius),
        Shape::Box { half_extents } => ColliderBuilder::cuboid(half_extents.x, half_extents.y),
        Shape::Segment { half } => ColliderBuilder::segment(vector(-half), vector(*half)),
        Shape::Polygon { vertices } => convex_polygon(vertices),
    };
    shape.position(pose).build()
}

/// Collider of a convex polygon with all of its corners. The engine's usual constructor drops each
/// corner that turns by less than 0.026 rad, so that a robot could enter an arc of many short edges
/// that its lidar sees.
pub(super) fn convex_polygon(corners: &[Vector2<f32>]) -> ColliderBuilder {
    let corners = corners.iter().map(|v| vector(*v)).collect();
    ColliderBuilder::new(
        SharedShape::convex_polyline_unmodified(corners)
            .expect("a checked polygon has three distinct corners"),
    )
}
