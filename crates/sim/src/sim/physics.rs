//! The rapier world: a dynamic body for each robot, a kinematic body for each mover, and colliders
//! without bodies for walls and static obstacles. No other module may use a type of the engine.

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

use super::lidar::Pose2;
use crate::scenario::{Layout, Map, Rect, RobotParameters};
use shapes::{collider, mass_about_origin, robot_collider, vector, walls};

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

impl BodyState {
    /// Position and heading.
    #[inline]
    pub(crate) fn pose(&self) -> Pose2 {
        Pose2 {
            x: self.position.x,
            y: self.position.y,
            cos: self.heading.x,
            sin: self.heading.y,
        }
    }
}

/// A rapier world. Its sets are created again for every episode, so that nothing that an earlier
/// episode left in the engine's trees and graphs changes a result. That takes about ten
/// microseconds.
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
    state: BodyState,
    /// The state before the last step of the engine.
    previous: BodyState,
    /// Whether the engine's body is behind `state`: see [`Physics::coast`].
    engine_is_stale: bool,
}

/// A map of which the engine gets only the shapes that come near a robot: to build a world with
/// hundreds of shapes would take longer than most episodes. It never gets the shapes that are
/// hidden inside others.
struct LazyMap {
    map: Arc<Map>,
    /// Whether the engine has each shape, or never needs it.
    loaded: Vec<bool>,
    /// Shapes nearer than this to a robot are loaded, metres.
    reach: f32,
    /// The arena, until the engine has its walls.
    pending_walls: Option<Rect>,
}

/// Scratch memory of the engine, in which nothing is kept between steps. The worlds of a thread
/// share it, so that it stays in the caches while many are stepped in turn.
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

/// All that the engine keeps of a world between steps: bodies, colliders, joints and contacts.
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
    /// An empty world with physics steps of `dt_secs` seconds.
    pub(crate) fn new(dt_secs: f32) -> Self {
        Self {
            parameters: IntegrationParameters {
                dt: dt_secs,
                // Otherwise the engine reuses the contacts of pairs that have hardly moved, and
                // pushes a slow robot away from a corner that it has passed.
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
            add_walls(layout.arena, colliders);
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
        // A robot may be pushed by movers, which stay below twice their preferred speed, and by
        // other robots.
        let speeds = layout.movers.iter().map(|mover| mover.velocity.norm());
        let mover_speed = 2.0 * speeds.fold(0.0, f32::max);
        let is_alone = layout.robots.len() == 1;
        for robot in &layout.robots {
            let mut speed = robot.drive.max_speed_any_direction();
            if robot.footprint.is_some() {
                speed += robot.drive.max_turn_rate() * robot.radius;
            }
            let max_step = speed * self.parameters.dt;
            let push_speed = if is_alone {
                mover_speed
            } else {
                mover_speed.max(speed)
            };
            let max_pushed_step = max_step + push_speed * self.parameters.dt;
            reach = reach.max(robot.radius + 2.0 * max_pushed_step);
            self.robots
                .push(add_robot(robot, max_step, bodies, colliders));
        }
        self.lazy_map = layout.map.as_ref().map(|map| LazyMap {
            map: map.clone(),
            loaded: map.hidden().to_vec(),
            reach,
            pending_walls: Some(layout.arena),
        });
    }

    /// Advances a robot by one physics step without the engine. The caller must know that the robot
    /// touches nothing in it. The result is bit-identical to a step of the engine, which a test
    /// checks. It makes most steps of an episode cheap.
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

    /// Sets the velocity of a robot for the next step of the engine, metres and radians per second.
    pub(crate) fn set_velocity(&mut self, robot: usize, velocity: Vector2<f32>, turn_rate: f32) {
        self.load_nearby(robot);
        self.sync_body(robot);
        let body = &mut self.sets.bodies[self.robots[robot].handle];
        body.set_linvel(vector(velocity), true);
        body.set_angvel(turn_rate, true);
    }

    /// Makes a robot a fixed body for the rest of the episode.
    pub(crate) fn deactivate(&mut self, robot: usize) {
        self.sync_body(robot);
        let robot = &mut self.robots[robot];
        let body = &mut self.sets.bodies[robot.handle];
        body.set_body_type(RigidBodyType::Fixed, true);
        robot.state.velocity = Vector2::zeros();
        robot.state.turn_rate = 0.0;
    }

    /// Moves the engine's body to where its robot has coasted.
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
        for robot in &mut self.robots {
            robot.previous = robot.state;
            robot.state = state_of(&sets.bodies[robot.handle]);
        }
    }

    /// State of a robot before the last step of the engine.
    pub(crate) fn before_step(&self, robot: usize) -> BodyState {
        self.robots[robot].previous
    }

    /// Replaces the result of the last step of the engine for a robot.
    pub(crate) fn correct(&mut self, robot: usize, state: BodyState) {
        let robot = &mut self.robots[robot];
        robot.state = state;
        robot.engine_is_stale = true;
    }

    /// Length of a physics step, seconds.
    pub(crate) fn dt_secs(&self) -> f32 {
        self.parameters.dt
    }

    /// Loads the walls and the shapes of the map that a robot can reach in a step into the engine.
    fn load_nearby(&mut self, robot: usize) {
        let Some(lazy_map) = &mut self.lazy_map else {
            return;
        };
        let (at, colliders) = (self.robots[robot].state.position, &mut self.sets.colliders);
        let reach = lazy_map.reach;
        if let Some(arena) = lazy_map
            .pending_walls
            .take_if(|arena| !arena.contains(at, reach))
        {
            add_walls(arena, colliders);
        }
        // One collider per shape: into a compound shape of the engine the robot would sink ten
        // times as deep.
        for index in lazy_map.map.indices_near(at, reach) {
            let obstacle = &lazy_map.map.obstacles()[index];
            if !lazy_map.loaded[index] && obstacle.signed_distance(at) < reach {
                lazy_map.loaded[index] = true;
                colliders.insert(collider(obstacle));
            }
        }
    }

    /// Sets position and velocity of a mover for the next step of the engine.
    pub(crate) fn set_mover(
        &mut self,
        mover: usize,
        position: Point2<f32>,
        velocity: Vector2<f32>,
    ) {
        let body = &mut self.sets.bodies[self.movers[mover]];
        let (position, velocity) = (vector(position.coords), vector(velocity));
        // An unchanged value is not set, because that would mark the body as modified.
        if body.translation() != position {
            body.set_translation(position, true);
        }
        if body.linvel() != velocity {
            body.set_linvel(velocity, true);
        }
    }

    /// State of a robot.
    pub(crate) fn robot(&self, robot: usize) -> BodyState {
        self.robots[robot].state
    }

    /// State of a mover.
    pub(crate) fn mover(&self, mover: usize) -> BodyState {
        state_of(&self.sets.bodies[self.movers[mover]])
    }
}

fn add_walls(arena: Rect, colliders: &mut ColliderSet) {
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

/// Adds the body and the collider of a robot that moves at most `max_step` metres by itself in a
/// physics step.
fn add_robot(
    robot: &RobotParameters,
    max_step: f32,
    bodies: &mut RigidBodySet,
    colliders: &mut ColliderSet,
) -> RobotBody {
    let body = RigidBodyBuilder::dynamic()
        .translation(vector(robot.start.coords))
        .rotation(robot.heading_rad)
        .can_sleep(false)
        // The engine predicts contacts over a whole step, so that the robot stops at a surface and
        // not inside it.
        .soft_ccd_prediction(max_step);
    let handle = bodies.insert(match &robot.footprint {
        None => body,
        // The wheels turn the robot around its origin, wherever the centre of its footprint is.
        Some(footprint) => {
            body.additional_mass_properties(mass_about_origin(footprint, robot.mass_kg))
        }
    });
    colliders.insert_with_parent(robot_collider(robot), handle, bodies);
    let state = state_of(&bodies[handle]);
    RobotBody {
        handle,
        state,
        previous: state,
        engine_is_stale: false,
    }
}

#[cfg(test)]
mod tests;
