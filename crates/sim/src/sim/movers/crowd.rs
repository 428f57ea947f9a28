//! Crowds: who goes where, whatever the model by which they give way.

use std::ops::Range;

use nalgebra::{Point2, Vector2};
use rand::RngExt as _;

use super::{at_most, clear_of, keep_out, orca_crowd, social_force, towards};
use crate::scenario::spec::{CrowdModel, CrowdPattern};
use crate::scenario::{Crowd, Layout, MoverPlacement};
use crate::seed::Rng;
use crate::sim::orca::Disc;

/// A goal counts as reached within this distance, metres.
const ARRIVED: f32 = 0.2;

/// Free space around somebody who enters again, metres; and around a new goal.
const ENTRY_MARGIN: f32 = 0.1;

/// Places that are tried for either.
const TRIES: u32 = 20;

/// Who has been under way for longer than the straight way would take, and this long in addition,
/// looks for another goal, seconds.
const PATIENCE_SECS: f32 = 10.0;

/// What a crowd remembers from step to step.
#[derive(Clone, Debug)]
pub(super) struct CrowdState {
    rng: Rng,
    people: Vec<Person>,
    memory: orca_crowd::Memory,
}

#[derive(Clone, Copy, Debug)]
struct Person {
    speed: f32,
    goal: Point2<f32>,
    /// Where they came from.
    home: Point2<f32>,
    /// For how long they will still make for this goal, seconds.
    patience_secs: f32,
}

impl Person {
    fn set_out(&mut self, from: Point2<f32>, goal: Point2<f32>) {
        self.goal = goal;
        let way = (goal - from).norm();
        self.patience_secs = way / self.speed.max(1e-3) + PATIENCE_SECS;
    }
}

impl CrowdState {
    pub(super) fn new(crowd: &Crowd, members: &[MoverPlacement]) -> Self {
        let person = |(mover, goal): (&MoverPlacement, &Point2<f32>)| {
            let mut person = Person {
                speed: mover.velocity.norm(),
                goal: *goal,
                home: mover.position,
                patience_secs: 0.0,
            };
            person.set_out(mover.position, *goal);
            person
        };
        Self {
            rng: crowd.rng.clone(),
            people: members.iter().zip(&crowd.goals).map(person).collect(),
            memory: orca_crowd::Memory::default(),
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn steer(
        &mut self,
        layout: &Layout,
        crowd: &Crowd,
        members: Range<usize>,
        bodies: &mut [Disc],
        robots: &[Disc],
        dt_secs: f32,
        wanted: &mut [Vector2<f32>],
    ) {
        // Those on a circle wait for one another, each at its goal.
        let waits = crowd.pattern == CrowdPattern::Circle
            && !self
                .people
                .iter()
                .zip(members.clone())
                .all(|(person, index)| (person.goal - bodies[index].position).norm() <= ARRIVED);
        for (person, index) in members.clone().enumerate() {
            if waits {
                break;
            }
            self.go_further(
                layout,
                crowd.pattern,
                person,
                index,
                bodies,
                robots,
                dt_secs,
            );
        }
        let heeded = if crowd.heeds_robot { robots } else { &[] };
        for (person, index) in self.people.iter().zip(members.clone()) {
            let body = bodies[index];
            let wish = towards(body.position, person.goal, person.speed, dt_secs);
            let velocity = match &crowd.model {
                CrowdModel::Orca(model) => {
                    // People walk into each other head-on for ever where nobody is quicker to
                    // step aside: a wish that is a little off each time breaks the symmetry.
                    let mut off = || 1e-3 * (self.rng.random::<f32>() - 0.5);
                    let wish = wish + Vector2::new(off(), off()) * person.speed;
                    let others = orca_crowd::Others {
                        bodies,
                        me: index,
                        alike: members.clone(),
                        robots: heeded,
                    };
                    orca_crowd::velocity(
                        model,
                        layout,
                        &others,
                        wish,
                        super::HURRY * person.speed,
                        dt_secs,
                        &mut self.memory,
                    )
                }
                CrowdModel::SocialForce(model) => {
                    let force = social_force::force(model, layout, bodies, index, heeded, wish);
                    at_most(body.velocity + force * dt_secs, super::HURRY * person.speed)
                }
            };
            let planes = &mut self.memory.planes;
            wanted[index] = keep_out(layout, &body, velocity, dt_secs, planes);
        }
    }

    /// Gives somebody who has arrived, or lost patience, somewhere else to go.
    #[allow(clippy::too_many_arguments)]
    fn go_further(
        &mut self,
        layout: &Layout,
        pattern: CrowdPattern,
        person: usize,
        index: usize,
        bodies: &mut [Disc],
        robots: &[Disc],
        dt_secs: f32,
    ) {
        let body = bodies[index];
        let Self { people, rng, .. } = self;
        let person = &mut people[person];
        person.patience_secs -= dt_secs;
        let axis = layout.longer_axis();
        let has_arrived = match pattern {
            // Straight along the room: the goal is a line across it.
            CrowdPattern::Flow => {
                person.goal[1 - axis] = body.position[1 - axis];
                (person.goal[axis] - body.position[axis]).abs() <= ARRIVED
            }
            _ => (person.goal - body.position).norm() <= ARRIVED,
        };
        match pattern {
            CrowdPattern::Flow if has_arrived => {
                let mut entry = body.position;
                entry[axis] = layout.arena.min[axis] + layout.arena.max[axis] - person.goal[axis];
                for attempt in 0..TRIES {
                    // Where they left, if there is room; it keeps lanes together.
                    if attempt > 0 {
                        let (low, high) = (layout.arena.min, layout.arena.max);
                        let (low, high) =
                            (low[1 - axis] + body.radius, high[1 - axis] - body.radius);
                        entry[1 - axis] = low + (high - low) * rng.random::<f32>();
                    }
                    let is_free = layout.is_free(entry, body.radius)
                        && clear_of(bodies, entry, body.radius, ENTRY_MARGIN)
                        && clear_of(robots, entry, body.radius, crate::scenario::MOVER_MARGIN);
                    if is_free {
                        bodies[index].position = entry;
                        break;
                    }
                }
            }
            CrowdPattern::Flow => {}
            CrowdPattern::Crossing | CrowdPattern::Circle => {
                if has_arrived || person.patience_secs <= 0.0 {
                    let goal = person.home;
                    person.home = person.goal;
                    person.set_out(body.position, goal);
                }
            }
            CrowdPattern::Free => {
                if has_arrived || person.patience_secs <= 0.0 {
                    let (min, max) = (layout.arena.min, layout.arena.max);
                    let found = (0..TRIES)
                        .map(|_| {
                            let share = Vector2::new(rng.random::<f32>(), rng.random::<f32>());
                            min + (max - min).component_mul(&share)
                        })
                        .find(|&goal| layout.is_free(goal, body.radius + ENTRY_MARGIN));
                    person.set_out(body.position, found.unwrap_or(person.home));
                }
            }
        }
    }
}
