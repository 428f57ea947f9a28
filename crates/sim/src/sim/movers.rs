//! Movers (dynamic obstacles), one kind per file. Each kind sets the velocities of its bodies, and
//! the engine moves them. The state of movers must depend only on the layout and on what the robots
//! do.

mod bouncing;
mod crowd;
mod linear;
mod orca_crowd;
mod social_force;
mod steering;
#[cfg(test)]
mod tests;
mod waypoints;

use nalgebra::Vector2;

use super::orca::{HalfPlane, MovingDisc};
use crate::scenario::{Layout, MoverGroup, MoverMotion};
use crowd::CrowdState;
use steering::avoid_obstacles;

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
