//! Crowds: the goals of pedestrians, for all models by which they avoid each other.

use std::ops::Range;

use nalgebra::{Point2, Vector2};
use rand::RngExt as _;

use super::steering::{
    MAX_SPEED_FACTOR, avoid_obstacles, clamp_speed, is_clear_of, velocity_towards,
};
use super::{orca_crowd, social_force};
use crate::scenario::spec::{CrowdModel, CrowdPattern};
use crate::scenario::{Crowd, Layout, MoverPlacement};
use crate::seed::Rng;
use crate::sim::orca::MovingDisc;

/// A goal counts as reached within this distance, metres.
const GOAL_TOLERANCE_M: f32 = 0.2;

/// Free space around an entry point and around a new goal, metres.
const ENTRY_MARGIN_M: f32 = 0.1;

/// Points that are tried for an entry or a goal.
const MAX_ATTEMPTS: u32 = 20;

/// A pedestrian takes another goal this long after it should have arrived on a straight line,
/// seconds.
const PATIENCE_SECS: f32 = 10.0;

/// State of a crowd.
#[derive(Clone, Debug)]
pub(super) struct CrowdState {
    rng: Rng,
    pedestrians: Vec<Pedestrian>,
    scratch: orca_crowd::OrcaScratch,
}

/// A member of a crowd: where it walks, and for how long it tries.
#[derive(Clone, Copy, Debug)]
struct Pedestrian {
    /// Preferred speed, metres per second.
    speed: f32,
    goal: Point2<f32>,
    /// The start, or the last goal.
    home: Point2<f32>,
    /// Remaining time for this goal, seconds.
    patience_secs: f32,
}

impl Pedestrian {
    fn set_goal(&mut self, from: Point2<f32>, goal: Point2<f32>) {
        self.goal = goal;
        let distance = (goal - from).norm();
        self.patience_secs = distance / self.speed.max(1e-3) + PATIENCE_SECS;
    }
}

impl CrowdState {
    pub(super) fn new(crowd: &Crowd, members: &[MoverPlacement]) -> Self {
        let pedestrian = |(mover, goal): (&MoverPlacement, &Point2<f32>)| {
            let mut pedestrian = Pedestrian {
                speed: mover.velocity.norm(),
                goal: *goal,
                home: mover.position,
                patience_secs: 0.0,
            };
            pedestrian.set_goal(mover.position, *goal);
            pedestrian
        };
        Self {
            rng: crowd.rng.clone(),
            pedestrians: members.iter().zip(&crowd.goals).map(pedestrian).collect(),
            scratch: orca_crowd::OrcaScratch::default(),
        }
    }

    /// Chooses the velocities of the members, and writes them to `new_velocities`, `[movers]`.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn steer(
        &mut self,
        layout: &Layout,
        crowd: &Crowd,
        members: Range<usize>,
        bodies: &mut [MovingDisc],
        robots: &[MovingDisc],
        dt_secs: f32,
        new_velocities: &mut [Vector2<f32>],
    ) {
        // In the circle pattern all wait at their goals until the last has arrived.
        let waits_for_others = crowd.pattern == CrowdPattern::Circle
            && !self
                .pedestrians
                .iter()
                .zip(members.clone())
                .all(|(pedestrian, index)| {
                    (pedestrian.goal - bodies[index].position).norm() <= GOAL_TOLERANCE_M
                });
        for (pedestrian, index) in members.clone().enumerate() {
            if waits_for_others {
                break;
            }
            self.update_goal(
                layout,
                crowd.pattern,
                pedestrian,
                index,
                bodies,
                robots,
                dt_secs,
            );
        }
        let avoided_robots = if crowd.avoids_robot { robots } else { &[] };
        for (pedestrian, index) in self.pedestrians.iter().zip(members.clone()) {
            let body = bodies[index];
            let preferred =
                velocity_towards(body.position, pedestrian.goal, pedestrian.speed, dt_secs);
            let velocity = match &crowd.model {
                CrowdModel::Orca(model) => {
                    // Two pedestrians head-on would block each other for ever. A little noise on
                    // the preferred velocity breaks the symmetry.
                    let mut noise = || 1e-3 * (self.rng.random::<f32>() - 0.5);
                    let preferred = preferred + Vector2::new(noise(), noise()) * pedestrian.speed;
                    let candidates = orca_crowd::NeighbourCandidates {
                        bodies,
                        me: index,
                        reciprocal: members.clone(),
                        robots: avoided_robots,
                    };
                    orca_crowd::velocity(
                        model,
                        layout,
                        &candidates,
                        preferred,
                        MAX_SPEED_FACTOR * pedestrian.speed,
                        dt_secs,
                        &mut self.scratch,
                    )
                }
                CrowdModel::SocialForce(model) => {
                    let force = social_force::force(
                        model,
                        layout,
                        bodies,
                        index,
                        avoided_robots,
                        preferred,
                    );
                    clamp_speed(
                        body.velocity + force * dt_secs,
                        MAX_SPEED_FACTOR * pedestrian.speed,
                    )
                }
            };
            let planes = &mut self.scratch.planes;
            new_velocities[index] = avoid_obstacles(layout, &body, velocity, dt_secs, planes);
        }
    }

    /// Gives a pedestrian that has arrived, or whose time is up, another goal. In the flow pattern
    /// a pedestrian that has arrived enters again at the other side.
    #[allow(clippy::too_many_arguments)]
    fn update_goal(
        &mut self,
        layout: &Layout,
        pattern: CrowdPattern,
        pedestrian: usize,
        index: usize,
        bodies: &mut [MovingDisc],
        robots: &[MovingDisc],
        dt_secs: f32,
    ) {
        let body = bodies[index];
        let Self {
            pedestrians, rng, ..
        } = self;
        let pedestrian = &mut pedestrians[pedestrian];
        pedestrian.patience_secs -= dt_secs;
        let axis = layout.longer_axis();
        let has_arrived = match pattern {
            // The goal is a line across the arena.
            CrowdPattern::Flow => {
                pedestrian.goal[1 - axis] = body.position[1 - axis];
                (pedestrian.goal[axis] - body.position[axis]).abs() <= GOAL_TOLERANCE_M
            }
            _ => (pedestrian.goal - body.position).norm() <= GOAL_TOLERANCE_M,
        };
        match pattern {
            CrowdPattern::Flow if has_arrived => {
                let mut entry = body.position;
                entry[axis] =
                    layout.arena.min[axis] + layout.arena.max[axis] - pedestrian.goal[axis];
                for attempt in 0..MAX_ATTEMPTS {
                    // First the lateral position at which it left, which keeps lanes together.
                    if attempt > 0 {
                        let (low, high) = (layout.arena.min, layout.arena.max);
                        let (low, high) =
                            (low[1 - axis] + body.radius, high[1 - axis] - body.radius);
                        entry[1 - axis] = low + (high - low) * rng.random::<f32>();
                    }
                    let is_free = layout.is_free(entry, body.radius)
                        && is_clear_of(bodies, entry, body.radius, ENTRY_MARGIN_M)
                        && is_clear_of(robots, entry, body.radius, crate::scenario::MOVER_MARGIN);
                    if is_free {
                        bodies[index].position = entry;
                        break;
                    }
                }
            }
            CrowdPattern::Flow => {}
            CrowdPattern::Crossing | CrowdPattern::Circle => {
                if has_arrived || pedestrian.patience_secs <= 0.0 {
                    let goal = pedestrian.home;
                    pedestrian.home = pedestrian.goal;
                    pedestrian.set_goal(body.position, goal);
                }
            }
            CrowdPattern::Free => {
                if has_arrived || pedestrian.patience_secs <= 0.0 {
                    let (min, max) = (layout.arena.min, layout.arena.max);
                    let found = (0..MAX_ATTEMPTS)
                        .map(|_| {
                            let share = Vector2::new(rng.random::<f32>(), rng.random::<f32>());
                            min + (max - min).component_mul(&share)
                        })
                        .find(|&goal| layout.is_free(goal, body.radius + ENTRY_MARGIN_M));
                    pedestrian.set_goal(body.position, found.unwrap_or(pedestrian.home));
                }
            }
        }
    }
}
