//! Draws the starts and first goals of movers.

use std::f32::consts::TAU;

use nalgebra::{Point2, Vector2};
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use super::free_space::{FreeSpace, MAX_POSITION_TRIES, POSITION_MARGIN, axis_of, uniform_in};
use super::movers::{Crowd, MOVER_MARGIN, MoverGroup, MoverMotion, MoverPlacement};
use super::placement_error::PlacementError;
use super::spec::{
    BouncingSpec, CrowdPattern, CrowdSpec, LinearSpec, MoverSpec, PositionSpec, WaypointOrder,
    WaypointsSpec,
};
use super::{Layout, Quantity, RobotParameters};
use crate::seed::Rng;

/// Draws the movers of a layout. Obstacles and robots are placed before.
///
/// # Errors
/// If a mover has no room.
pub(super) fn place_movers(
    specs: &[MoverSpec],
    layout: &mut Layout,
    rng: &mut Rng,
) -> Result<(), PlacementError> {
    layout.movers.clear();
    layout.mover_groups.clear();
    for spec in specs {
        let first = layout.movers.len();
        let motion = match spec {
            MoverSpec::Bouncing(spec) => place_bouncing(spec, layout, rng)?,
            MoverSpec::Linear(spec) => place_linear(spec, layout, rng)?,
            MoverSpec::Waypoints(spec) => place_waypoints(spec, layout, rng)?,
            MoverSpec::Crowd(spec) => MoverMotion::Crowd(place_crowd(spec, layout, rng)?),
        };
        layout.mover_groups.push(MoverGroup {
            members: first..layout.movers.len(),
            motion,
        });
    }
    Ok(())
}

/// Draws a unit vector.
fn random_direction(rng: &mut Rng) -> Vector2<f32> {
    let angle = Quantity::Range {
        uniform: [0.0, std::f64::consts::TAU],
    };
    axis_of(angle.sample(rng) as f32)
}

/// Whether a mover that starts at a point keeps its margin from all robots.
fn is_clear_of_robots(robots: &[RobotParameters], point: Point2<f32>, radius: f32) -> bool {
    robots
        .iter()
        .all(|r| (r.start - point).norm() > r.radius + radius + MOVER_MARGIN)
}

/// Adds a mover that starts at a free position, clear of the robots.
fn place_disc(
    start: &PositionSpec,
    radius: f32,
    velocity: Vector2<f32>,
    layout: &mut Layout,
    rng: &mut Rng,
) -> Result<(), PlacementError> {
    let space = FreeSpace {
        layout,
        margin: radius + POSITION_MARGIN,
    };
    let position = space
        .sample_position(start, rng, |point| {
            is_clear_of_robots(&layout.robots, point, radius)
        })
        .ok_or(PlacementError::Mover)?;
    layout.movers.push(MoverPlacement {
        position,
        velocity,
        radius,
    });
    Ok(())
}

fn place_bouncing(
    spec: &BouncingSpec,
    layout: &mut Layout,
    rng: &mut Rng,
) -> Result<MoverMotion, PlacementError> {
    for _ in 0..spec.count {
        let radius = spec.radius_m.sample(rng) as f32;
        let speed = spec.speed_mps.sample(rng) as f32;
        let heading = random_direction(rng);
        place_disc(
            &PositionSpec::Anywhere,
            radius,
            heading * speed,
            layout,
            rng,
        )?;
    }
    Ok(MoverMotion::Bouncing)
}

fn place_linear(
    spec: &LinearSpec,
    layout: &mut Layout,
    rng: &mut Rng,
) -> Result<MoverMotion, PlacementError> {
    for _ in 0..spec.count {
        let radius = spec.radius_m.sample(rng) as f32;
        let speed = spec.speed_mps.sample(rng) as f32;
        let heading = axis_of(spec.heading_rad.sample(rng) as f32);
        place_disc(&spec.start, radius, heading * speed, layout, rng)?;
    }
    Ok(MoverMotion::Linear(spec.at_end))
}

fn place_waypoints(
    spec: &WaypointsSpec,
    layout: &mut Layout,
    rng: &mut Rng,
) -> Result<MoverMotion, PlacementError> {
    let mut route: Vec<Point2<f32>> = spec
        .points_m
        .iter()
        .map(|&[x, y]| Point2::new(x as f32, y as f32))
        .collect();
    if spec.order == WaypointOrder::PingPong {
        // There and back is a loop too.
        let back = (1..route.len() - 1).rev();
        route.extend(back.map(|index| route[index]).collect::<Vec<_>>());
    }
    let leg = |index: usize| route[(index + 1) % route.len()] - route[index];
    let length: f32 = (0..route.len()).map(|index| leg(index).norm()).sum();
    let mut next = Vec::new();
    for _ in 0..spec.count {
        let radius = spec.radius_m.sample(rng) as f32;
        let speed = spec.speed_mps.sample(rng) as f32;
        let draw = |rng: &mut Rng| {
            let mut along = length * rng.random::<f32>();
            let mut index = 0;
            while along > leg(index).norm() && index + 1 < route.len() {
                along -= leg(index).norm();
                index += 1;
            }
            let leg = leg(index);
            let direction = leg.try_normalize(0.0).unwrap_or_else(Vector2::x);
            let position = route[index] + direction * along.min(leg.norm());
            (position, direction, (index + 1) % route.len())
        };
        let space = FreeSpace {
            layout,
            margin: radius,
        };
        let (position, direction, waypoint) = (0..MAX_POSITION_TRIES)
            .map(|_| draw(rng))
            .find(|&(point, ..)| {
                space.is_free(point) && is_clear_of_robots(&layout.robots, point, radius)
            })
            .ok_or(PlacementError::Mover)?;
        next.push(waypoint);
        layout.movers.push(MoverPlacement {
            position,
            velocity: direction * speed,
            radius,
        });
    }
    Ok(MoverMotion::Waypoints { route, next })
}

/// Draws a crowd. On a circle, all pedestrians are placed at once.
fn place_crowd(
    spec: &CrowdSpec,
    layout: &mut Layout,
    rng: &mut Rng,
) -> Result<Crowd, PlacementError> {
    let mut goals = Vec::new();
    let mut add = |layout: &mut Layout, from: Point2<f32>, to: Point2<f32>, radius, speed| {
        let direction = (to - from).try_normalize(0.0).unwrap_or_else(Vector2::x);
        layout.movers.push(MoverPlacement {
            position: from,
            velocity: direction * speed,
            radius,
        });
        goals.push(to);
    };
    if spec.pattern == CrowdPattern::Circle {
        let bodies: Vec<(f32, f32)> = (0..spec.count)
            .map(|_| {
                let radius = spec.radius_m.sample(rng) as f32;
                (radius, spec.speed_mps.sample(rng) as f32)
            })
            .collect();
        let widest = bodies.iter().map(|body| body.0).fold(0.0, f32::max);
        let arena = layout.arena;
        let middle = nalgebra::center(&arena.min, &arena.max);
        let circle = arena.size().min() / 2.0 - widest - 2.0 * POSITION_MARGIN;
        let start = |phase: f32, index: usize| {
            middle + axis_of(phase + TAU * index as f32 / bodies.len() as f32) * circle
        };
        let phase = (0..MAX_POSITION_TRIES)
            .map(|_| TAU * rng.random::<f32>())
            .find(|&phase| {
                let distance = 2.0 * circle * libm::sinf(TAU / 2.0 / bodies.len() as f32);
                let too_close = bodies.len() > 1 && distance < 2.0 * widest + POSITION_MARGIN;
                !too_close
                    && bodies.iter().enumerate().all(|(index, &(radius, _))| {
                        is_free_for_mover(layout, start(phase, index), radius)
                    })
            })
            .ok_or(PlacementError::Mover)?;
        for (index, &(radius, speed)) in bodies.iter().enumerate() {
            let from = start(phase, index);
            add(layout, from, middle + (middle - from), radius, speed);
        }
    } else {
        for index in 0..spec.count as usize {
            let radius = spec.radius_m.sample(rng) as f32;
            let speed = spec.speed_mps.sample(rng) as f32;
            let (from, to) = (0..MAX_POSITION_TRIES)
                .map(|_| pedestrian_route(spec.pattern, index, layout, radius, rng))
                .find(|&(from, to)| {
                    let space = FreeSpace {
                        layout,
                        margin: radius + POSITION_MARGIN,
                    };
                    is_free_for_mover(layout, from, radius)
                        && (spec.pattern == CrowdPattern::Flow || space.is_free(to))
                })
                .ok_or(PlacementError::Mover)?;
            add(layout, from, to, radius, speed);
        }
    }
    Ok(Crowd {
        model: spec.model,
        pattern: spec.pattern,
        avoids_robot: spec.avoids_robot,
        goals,
        rng: Rng::seed_from_u64(rng.next_u64()),
    })
}

/// Whether a pedestrian can start at a point: clear of walls, obstacles, robots and the movers so
/// far.
fn is_free_for_mover(layout: &Layout, point: Point2<f32>, radius: f32) -> bool {
    let space = FreeSpace {
        layout,
        margin: radius + POSITION_MARGIN,
    };
    let is_clear = |mover: &MoverPlacement| {
        (mover.position - point).norm() > mover.radius + radius + POSITION_MARGIN
    };
    is_clear_of_robots(&layout.robots, point, radius)
        && layout.movers.iter().all(is_clear)
        && space.is_free(point)
}

/// Draws start and goal of one pedestrian.
fn pedestrian_route(
    pattern: CrowdPattern,
    index: usize,
    layout: &Layout,
    radius: f32,
    rng: &mut Rng,
) -> (Point2<f32>, Point2<f32>) {
    let arena = layout.arena;
    let margin = Vector2::repeat(radius + 2.0 * POSITION_MARGIN);
    let (min, max) = (arena.min + margin, arena.max - margin);
    let from = uniform_in(min, max, rng);
    match pattern {
        CrowdPattern::Circle | CrowdPattern::Free => (from, uniform_in(min, max, rng)),
        CrowdPattern::Crossing => {
            // The start is in the first third of the room, the goal is its mirror image.
            let axis = index % 2;
            let mut from = from;
            from[axis] = min[axis] + (from[axis] - min[axis]) / 3.0;
            let mut to = from;
            to[axis] = min[axis] + max[axis] - from[axis];
            (from, to)
        }
        CrowdPattern::Flow => {
            let axis = layout.longer_axis();
            let mut to = from;
            to[axis] = if index.is_multiple_of(2) {
                max[axis]
            } else {
                min[axis]
            };
            (from, to)
        }
    }
}
