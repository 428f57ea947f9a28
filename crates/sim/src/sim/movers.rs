//! Movers: what moves by itself, one family a file. Each says with which velocity its bodies go
//! on; the engine moves them. Their state is a function of the layout and of what the robot has
//! done, as everything in a world is.

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

/// Nobody walks faster than this, as a multiple of the speed that they like (Helbing & Molnár
/// 1995).
const MAX_SPEED_FACTOR: f32 = 1.3;

/// All movers of a world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Movers {
    /// In the order of the layout. Whoever owns the engine writes position and velocity here
    /// before [`Movers::steer`], and takes them over from here after it.
    pub(crate) bodies: Vec<MovingDisc>,
    groups: Vec<GroupState>,
    /// Velocities for the step to come, decided on what all bodies are and do before it.
    wanted: Vec<Vector2<f32>>,
    /// Memory.
    planes: Vec<HalfPlane>,
}

/// What a group remembers from step to step.
#[derive(Clone, Debug)]
enum GroupState {
    /// Nothing.
    Stateless,
    /// `[members]`: which point each goes to.
    Waypoints(Vec<usize>),
    Crowd(Box<CrowdState>),
}

impl Movers {
    /// Takes over a layout as an episode begins.
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

    /// Sets the velocities with which all bodies go on for `dt_secs`, and moves those that enter
    /// again elsewhere. `robots` are where they are now.
    pub(crate) fn steer(&mut self, layout: &Layout, robots: &[MovingDisc], dt_secs: f32) {
        let Self {
            bodies,
            groups,
            wanted,
            planes,
        } = self;
        wanted.clear();
        wanted.extend(bodies.iter().map(|body| body.velocity));
        for (group, state) in layout.mover_groups.iter().zip(groups) {
            let members = group.members.clone();
            match (&group.motion, state) {
                (MoverMotion::Bouncing, _) => {
                    for index in members {
                        wanted[index] = bouncing::bounce(layout, &bodies[index], dt_secs);
                    }
                }
                (MoverMotion::Linear(end), _) => {
                    for index in members {
                        let home = &layout.movers[index];
                        wanted[index] = linear::linear_velocity(
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
                        let way =
                            waypoints::velocity_towards(route, next, body.position, speed, dt_secs);
                        wanted[index] = avoid_obstacles(layout, body, way, dt_secs, planes);
                    }
                }
                (MoverMotion::Crowd(crowd), GroupState::Crowd(state)) => {
                    state.steer(layout, crowd, members, bodies, robots, dt_secs, wanted);
                }
                (MoverMotion::Waypoints { .. } | MoverMotion::Crowd(_), _) => {
                    unreachable!("the states were made of these groups")
                }
            }
        }
        for (body, velocity) in bodies.iter_mut().zip(wanted) {
            body.velocity = *velocity;
        }
    }
}

/// The velocity nearest to `wanted` with which the body enters no wall and no obstacle within
/// `dt_secs`: it slides along what it would run into.
fn avoid_obstacles(
    layout: &Layout,
    body: &MovingDisc,
    wanted: Vector2<f32>,
    dt_secs: f32,
    planes: &mut Vec<HalfPlane>,
) -> Vector2<f32> {
    let MovingDisc {
        position, radius, ..
    } = *body;
    planes.clear();
    let speed = wanted.norm();
    orca::obstacle_planes(layout, position, radius, speed, dt_secs, planes);
    if planes.is_empty() {
        return wanted;
    }
    orca::new_velocity(wanted, speed, planes, planes.len())
}

/// What stands and may be nearer to a point than `distance`, metres.
fn obstacles_near(
    layout: &Layout,
    point: Point2<f32>,
    distance: f32,
) -> impl Iterator<Item = &crate::scenario::Obstacle> {
    layout
        .all_obstacles_near(point, distance)
        .filter(move |obstacle| obstacle.signed_distance(point) < distance)
}

/// The velocity from one point towards another, arriving there if it is within reach.
fn velocity_towards(from: Point2<f32>, to: Point2<f32>, speed: f32, dt_secs: f32) -> Vector2<f32> {
    let way = to - from;
    let length = way.norm();
    if length <= speed * dt_secs {
        way / dt_secs
    } else {
        way * (speed / length)
    }
}

/// A velocity no faster than this.
fn clamp_speed(velocity: Vector2<f32>, speed: f32) -> Vector2<f32> {
    let length = velocity.norm();
    if length > speed {
        velocity * (speed / length)
    } else {
        velocity
    }
}

/// Whether a body of this radius at a point is this far from all of some others, metres.
fn clear_of(others: &[MovingDisc], point: Point2<f32>, radius: f32, margin: f32) -> bool {
    others
        .iter()
        .all(|other| (other.position - point).norm() > other.radius + radius + margin)
}
