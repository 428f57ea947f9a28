//! The rapier side of a world: a dynamic body for each robot, kinematic ones for movers, colliders
//! without a body for all that stands. Nothing outside `sim` sees an engine type.

mod shapes;

use std::cell::RefCell;
use std::sync::Arc;

use nalgebra::{Point2, Vector2};
use rapier2d::prelude::{
    BroadPhaseBvh, CCDSolver, ColliderBuilder, ColliderSet, ImpulseJointSet, IntegrationParameters,
    IslandManager, MultibodyJointSet, NarrowPhase, PhysicsPipeline, Pose, RigidBody,
    RigidBodyBuilder, RigidBodyHandle, RigidBodySet, RigidBodyType, Rotation, SoftBodySet, Vector,
};
use smallvec::SmallVec;

use crate::scenario::{Layout, Map, Rect, RobotPlacement};
use shapes::{collider, mass_about_origin, outline, vector, walls};

/// Pose and velocity of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct BodyState {
    pub(crate) position: Point2<f32>,
    /// Unit vector of the heading.
    pub(crate) heading: Vector2<f32>,
    /// Metres per second.
    pub(crate) velocity: Vector2<f32>,
    /// Radians per second.
    pub(crate) turn_rate: f32,
}

/// A rapier world. Its sets are made anew for every episode: that takes some ten microseconds,
/// and whatever an earlier episode left in the engine's trees and graphs can change nothing.
pub(crate) struct Physics {
    parameters: IntegrationParameters,
    sets: EngineSets,
    robots: SmallVec<[RobotBody; 1]>,
    movers: Vec<RigidBodyHandle>,
    lazy_map: Option<LazyMap>,
}

/// A robot's body.
struct RobotBody {
    handle: RigidBodyHandle,
    /// Where it is. The engine's body may be behind: see [`Physics::coast`].
    state: BodyState,
    engine_is_stale: bool,
}

/// A map, of which the engine has only what the robots have been near: a new world with hundreds
/// of shapes takes longer than most episodes. Of walls of boxes it has what shows: all that overlaps
/// within them could only push alike.
struct LazyMap {
    map: Arc<Map>,
    /// Which shapes the engine has: all that has been nearer than `reach` to a robot that it moved.
    loaded: Vec<bool>,
    reach: f32,
    /// The room, until the engine has its walls.
    pending_walls: Option<Rect>,
}

/// Memory that the engine works in during a step and keeps nothing in between steps. The worlds
/// of a thread share it, so that stepping many in turn does not flush it from the caches.
struct Workspace {
    pipeline: PhysicsPipeline,
    ccd: CCDSolver,
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::new({
        let mut pipeline = PhysicsPipeline::new();
        pipeline.counters.disable();
        Workspace { pipeline, ccd: CCDSolver::new() }
    });
}

#[derive(Default)]
struct EngineSets {
    islands: IslandManager,
    broad_phase: BroadPhaseBvh,
    narrow_phase: NarrowPhase,
    bodies: RigidBodySet,
    colliders: ColliderSet,
    impulse_joints: ImpulseJointSet,
    multibody_joints: MultibodyJointSet,
    soft_bodies: SoftBodySet,
}

impl Physics {
    /// An empty world that advances `dt_secs` at each step.
    pub(crate) fn new(dt_secs: f32) -> Self {
        Self {
            parameters: IntegrationParameters {
                dt: dt_secs,
                // Where a pair has hardly moved, the engine would have it touch as it did before: a
                // slow robot would be pushed away from a corner that it has passed.
                contact_recycling: false,
                ..IntegrationParameters::default()
            },
            sets: EngineSets::default(),
            robots: SmallVec::new(),
            movers: Vec::new(),
            lazy_map: None,
        }
    }

    /// Builds the world of a layout.
    pub(crate) fn load(&mut self, layout: &Layout) {
        self.sets = EngineSets::default();
        let EngineSets {
            bodies, colliders, ..
        } = &mut self.sets;
        if layout.map.is_none() {
            put_walls(layout.arena, colliders);
        }
        for obstacle in &layout.obstacles {
            colliders.insert(collider(obstacle));
        }
        self.movers.clear();
        for mover in &layout.movers {
            let body = RigidBodyBuilder::kinematic_velocity_based()
                .translation(vector(mover.position.coords))
                .linvel(vector(mover.velocity))
                .can_sleep(false);
            let handle = bodies.insert(body);
            colliders.insert_with_parent(ColliderBuilder::ball(mover.radius), handle, bodies);
            self.movers.push(handle);
        }
        self.robots.clear();
        let mut reach = 0.0_f32;
        // What may push a robot on: movers, which hasten to less than twice the speed that they like,
        // and its like.
        let speeds = layout.movers.iter().map(|mover| mover.velocity.norm());
        let pushed = 2.0 * speeds.fold(0.0, f32::max);
        let is_alone = layout.robots.len() == 1;
        for robot in &layout.robots {
            let mut fastest = robot.drive.top_speed();
            if robot.footprint.is_some() {
                fastest += robot.drive.max_turn_rate() * robot.radius;
            }
            let farthest = fastest * self.parameters.dt;
            let others = if is_alone {
                pushed
            } else {
                pushed.max(fastest)
            };
            let farthest_pushed = farthest + others * self.parameters.dt;
            reach = reach.max(robot.radius + 2.0 * farthest_pushed);
            self.robots
                .push(add_robot(robot, farthest, bodies, colliders));
        }
        self.lazy_map = layout.map.as_ref().map(|map| LazyMap {
            map: map.clone(),
            loaded: map.hidden().to_vec(),
            reach,
            pending_walls: Some(layout.arena),
        });
    }

    /// Advances a robot by one physics step in which nothing is near enough to touch it, as
    /// the engine would: bit by bit the same (a test holds the two together), without waking it.
    /// It is what makes most steps of an episode cheap. All else stands still meanwhile.
    pub(crate) fn coast(&mut self, robot: usize, velocity: Vector2<f32>, turn_rate: f32) {
        let robot = &mut self.robots[robot];
        let BodyState {
            position, heading, ..
        } = &mut robot.state;
        let substeps = self.parameters.num_solver_iterations;
        let dt = self.parameters.dt / substeps as f32;
        for _ in 0..substeps {
            let turn = turn_rate * dt;
            let (cos, sin) = (heading.x - turn * heading.y, heading.y + turn * heading.x);
            let length = (cos * cos + sin * sin).sqrt();
            *heading = Vector2::new(cos / length, sin / length);
            *position += velocity * dt;
        }
        robot.state.velocity = velocity;
        robot.state.turn_rate = turn_rate;
        robot.engine_is_stale = true;
    }

    /// Says how a robot moves in the physics step to come.
    pub(crate) fn set_velocity(&mut self, robot: usize, velocity: Vector2<f32>, turn_rate: f32) {
        self.load_nearby(robot);
        self.sync_body(robot);
        let body = &mut self.sets.bodies[self.robots[robot].handle];
        body.set_linvel(vector(velocity), true);
        body.set_angvel(turn_rate, true);
    }

    /// Leaves a robot where it is for the rest of the episode: what runs into it does not move it.
    pub(crate) fn deactivate(&mut self, robot: usize) {
        self.sync_body(robot);
        let robot = &mut self.robots[robot];
        let body = &mut self.sets.bodies[robot.handle];
        body.set_body_type(RigidBodyType::Fixed, true);
        robot.state.velocity = Vector2::zeros();
        robot.state.turn_rate = 0.0;
    }

    /// Tells the engine where a robot has coasted to.
    fn sync_body(&mut self, robot: usize) {
        let robot = &mut self.robots[robot];
        if robot.engine_is_stale {
            let BodyState {
                position, heading, ..
            } = robot.state;
            let rotation = Rotation::from_cos_sin_unchecked(heading.x, heading.y);
            self.sets.bodies[robot.handle]
                .set_position(Pose::from_parts(vector(position.coords), rotation), true);
            robot.engine_is_stale = false;
        }
    }

    /// Advances the world by one physics step through the engine's solver.
    pub(crate) fn step(&mut self) {
        self.step_engine();
        for robot in &mut self.robots {
            robot.state = state_of(&self.sets.bodies[robot.handle]);
        }
    }

    /// Sees to it that the engine has whatever of the map a robot can meet in a step.
    fn load_nearby(&mut self, robot: usize) {
        let Some(near) = &mut self.lazy_map else {
            return;
        };
        let (at, colliders) = (self.robots[robot].state.position, &mut self.sets.colliders);
        let reach = near.reach;
        if let Some(arena) = near
            .pending_walls
            .take_if(|arena| !arena.contains(at, reach))
        {
            put_walls(arena, colliders);
        }
        // One by one: as one compound shape of the engine's they let the robot sink in ten times
        // as deep.
        for index in near.map.indices_near(at, near.reach) {
            let obstacle = &near.map.obstacles()[index];
            if !near.loaded[index] && obstacle.signed_distance(at) < near.reach {
                near.loaded[index] = true;
                colliders.insert(collider(obstacle));
            }
        }
    }

    /// Sets where a mover is and how it moves on, where either has changed.
    pub(crate) fn set_mover(
        &mut self,
        mover: usize,
        position: Point2<f32>,
        velocity: Vector2<f32>,
    ) {
        let body = &mut self.sets.bodies[self.movers[mover]];
        let (position, velocity) = (vector(position.coords), vector(velocity));
        if body.translation() != position {
            body.set_translation(position, true);
        }
        if body.linvel() != velocity {
            body.set_linvel(velocity, true);
        }
    }

    fn step_engine(&mut self) {
        let Self {
            sets, parameters, ..
        } = self;
        WORKSPACE.with_borrow_mut(|Workspace { pipeline, ccd }| {
            pipeline.step(
                Vector::new(0.0, 0.0),
                parameters,
                &mut sets.islands,
                &mut sets.broad_phase,
                &mut sets.narrow_phase,
                &mut sets.bodies,
                &mut sets.colliders,
                &mut sets.impulse_joints,
                &mut sets.multibody_joints,
                &mut sets.soft_bodies,
                ccd,
                &(),
                &(),
            );
        });
    }

    /// A robot.
    pub(crate) fn robot(&self, robot: usize) -> BodyState {
        self.robots[robot].state
    }

    /// A mover.
    pub(crate) fn mover(&self, mover: usize) -> BodyState {
        state_of(&self.sets.bodies[self.movers[mover]])
    }
}

fn put_walls(arena: Rect, colliders: &mut ColliderSet) {
    for wall in walls(arena) {
        colliders.insert(wall);
    }
}

fn state_of(body: &RigidBody) -> BodyState {
    let (at, rotation, velocity) = (body.translation(), body.rotation(), body.linvel());
    BodyState {
        position: Point2::new(at.x, at.y),
        heading: Vector2::new(rotation.re, rotation.im),
        velocity: Vector2::new(velocity.x, velocity.y),
        turn_rate: body.angvel(),
    }
}

/// Puts a robot into the engine that goes no farther than `farthest` in a step, metres.
fn add_robot(
    robot: &RobotPlacement,
    farthest: f32,
    bodies: &mut RigidBodySet,
    colliders: &mut ColliderSet,
) -> RobotBody {
    let body = RigidBodyBuilder::dynamic()
        .translation(vector(robot.start.coords))
        .rotation(robot.heading_rad)
        .can_sleep(false)
        // Contacts are foreseen over a whole step, so that the robot stops at a surface
        // rather than inside it.
        .soft_ccd_prediction(farthest);
    let handle = bodies.insert(match &robot.footprint {
        None => body,
        // The wheels turn it about its origin, wherever the middle of its outline is.
        Some(footprint) => {
            body.additional_mass_properties(mass_about_origin(footprint, robot.mass_kg))
        }
    });
    colliders.insert_with_parent(outline(robot), handle, bodies);
    RobotBody {
        handle,
        state: state_of(&bodies[handle]),
        engine_is_stale: false,
    }
}

#[cfg(test)]
mod tests;
