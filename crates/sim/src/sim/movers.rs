//! Movers (dynamic obstacles), one kind per file. Each kind sets the velocities of its bodies, and
//! the engine moves them. The state of movers must depend only on the layout and on what the robots
//! do.

mod bouncing;
mod crowd;
mod linear;
mod orca_crowd;
mod social_force;
#[cfg(test)]
mod tests;
mod waypoints;

use nalgebra::{Point2, Vector2};

use super::orca::{self, HalfPlane, MovingDisc};
use crate::scenario::{Layout, MoverGroup, MoverMotion};
use crowd::CrowdState;

/// Top speed of pedestrians, as a multiple of their preferred speed (Helbing & Molnár 1995).
const MAX_SPEED_FACTOR: f32 = 1.3;

/// All movers of a world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Movers {
    /// `[movers]`, in the order of the layout. The caller copies positions and velocities from the
    /// engine to here before [`Movers::steer`], and back after it.
    pub(crate) bodies: Vec<MovingDisc>,
    groups: Vec<GroupState>,
    /// `[movers]`: velocities for the next step. All are chosen before any body is changed.
    new_velocities: Vec<Vector2<f32>>,
    /// Scratch.
    planes: Vec<HalfPlane>,
}

/// State of a group of movers.
#[derive(Clone, Debug)]
enum GroupState {
    Stateless,
    /// `[members]`: index of the point that each goes to next.
    Waypoints(Vec<usize>),
    Crowd(Box<CrowdState>),
}

impl Movers {
    /// Starts an episode with the movers of a layout.
    pub(crate) fn reset(&mut self, layout: &Layout) {
        self.bodies.clear();
        self.bodies
            .extend(layout.movers.iter().map(|mover| MovingDisc {
                position: mover.position,
                velocity: mover.velocity,
                radius: mover.radius,
            }));
        self.groups.clear();
        let state = |group: &MoverGroup| match &group.motion {
            MoverMotion::Bouncing | MoverMotion::Linear(_) => GroupState::Stateless,
            MoverMotion::Waypoints { next, .. } => GroupState::Waypoints(next.clone()),
            MoverMotion::Crowd(crowd) => {
                let members = &layout.movers[group.members.clone()];
                GroupState::Crowd(Box::new(CrowdState::new(crowd, members)))
            }
        };
        self.groups.extend(layout.mover_groups.iter().map(state));
    }

    /// Sets the velocities of all bodies for the next `dt_secs`, and the positions of those that
    /// enter the arena again. `robots` is `[robots]`.
    pub(crate) fn steer(&mut self, layout: &Layout, robots: &[MovingDisc], dt_secs: f32) {
        let Self {
            bodies,
            groups,
            new_velocities,
            planes,
        } = self;
        new_velocities.clear();
        new_velocities.extend(bodies.iter().map(|body| body.velocity));
        for (group, state) in layout.mover_groups.iter().zip(groups) {
            let members = group.members.clone();
            match (&group.motion, state) {
                (MoverMotion::Bouncing, _) => {
                    for index in members {
                        new_velocities[index] = bouncing::bounce(layout, &bodies[index], dt_secs);
                    }
                }
                (MoverMotion::Linear(end), _) => {
                    for index in members {
                        let home = &layout.movers[index];
                        new_velocities[index] = linear::linear_velocity(
                            layout,
                            home,
                            *end,
                            &mut bodies[index],
                            robots,
                            dt_secs,
                        );
                    }
                }
                (MoverMotion::Waypoints { route, .. }, GroupState::Waypoints(next)) => {
                    for (index, next) in members.zip(next) {
                        let speed = layout.movers[index].velocity.norm();
                        let body = &bodies[index];
                        let preferred =
                            waypoints::velocity_towards(route, next, body.position, speed, dt_secs);
                        new_velocities[index] =
                            avoid_obstacles(layout, body, preferred, dt_secs, planes);
                    }
                }
                (MoverMotion::Crowd(crowd), GroupState::Crowd(state)) => {
                    state.steer(
                        layout,
                        crowd,
                        members,
                        bodies,
                        robots,
                        dt_secs,
                        new_velocities,
                    );
                }
                (MoverMotion::Waypoints { .. } | MoverMotion::Crowd(_), _) => {
                    unreachable!("`reset` made the states from these groups")
                }
            }
        }
        for (body, velocity) in bodies.iter_mut().zip(new_velocities) {
            body.velocity = *velocity;
        }
    }
}

/// The velocity nearest to `preferred` with which the body enters no wall and no obstacle within
/// `dt_secs`, so that it slides along them.
fn avoid_obstacles(
    layout: &Layout,
    body: &MovingDisc,
    preferred: Vector2<f32>,
    dt_secs: f32,
    planes: &mut Vec<HalfPlane>,
) -> Vector2<f32> {
    let MovingDisc {
        position, radius, ..
    } = *body;
    planes.clear();
    let speed = preferred.norm();
    orca::obstacle_planes(layout, position, radius, speed, dt_secs, planes);
    if planes.is_empty() {
        return preferred;
    }
    orca::new_velocity(preferred, speed, planes, planes.len())
}

/// Static obstacles nearer to a point than `distance` metres.
fn obstacles_near(
    layout: &Layout,
    point: Point2<f32>,
    distance: f32,
) -> impl Iterator<Item = &crate::scenario::Obstacle> {
    layout
        .all_obstacles_near(point, distance)
        .filter(move |obstacle| obstacle.signed_distance(point) < distance)
}

/// The velocity from one point towards another at `speed`, or slower to arrive there exactly within
/// `dt_secs`.
fn velocity_towards(from: Point2<f32>, to: Point2<f32>, speed: f32, dt_secs: f32) -> Vector2<f32> {
    let offset = to - from;
    let distance = offset.norm();
    if distance <= speed * dt_secs {
        offset / dt_secs
    } else {
        offset * (speed / distance)
    }
}

/// The velocity, shortened to `max_speed` if it is faster.
fn clamp_speed(velocity: Vector2<f32>, max_speed: f32) -> Vector2<f32> {
    let speed = velocity.norm();
    if speed > max_speed {
        velocity * (max_speed / speed)
    } else {
        velocity
    }
}

/// Whether a disc of `radius` at a point has a gap of more than `margin` metres to all of `others`.
fn is_clear_of(others: &[MovingDisc], point: Point2<f32>, radius: f32, margin: f32) -> bool {
    others
        .iter()
        .all(|other| (other.position - point).norm() > other.radius + radius + margin)
}
