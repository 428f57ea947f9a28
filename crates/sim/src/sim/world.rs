//! A world: physics, robots and movers behind one step. It knows what happens, not what it is
//! worth.

use nalgebra::Vector2;
use smallvec::SmallVec;

use super::drive::Action;
use super::ego::Ego;
use super::movers::Movers;
use super::orca::MovingDisc;
use super::physics::Physics;
use super::robot::Robot;
use super::scene::Scene;
use super::{MoverSnapshot, WorldSnapshot};
use crate::scenario::{EpisodeKey, Layout, Scenario};

/// Touching: a hull this near to a surface, metres. The solver leaves a stopped robot within a
/// fraction of it.
pub const CONTACT_DISTANCE: f32 = 1e-3;

/// What a robot touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactKind {
    /// A wall, or something that stands.
    Static,
    /// A mover, or another robot.
    Mover,
}

/// The world of one scenario, reused from episode to episode.
pub struct World {
    pub(super) layout: Layout,
    pub(super) physics: Physics,
    /// In its own memory where there is one: the worlds that are stepped in turn share a cache.
    pub(super) robots: SmallVec<[Robot; 1]>,
    pub(super) steps: u32,
    movers: Movers,
    scene: Scene,
    dt_secs: f32,
    physics_steps: u32,
    /// Memory: the robots as movers see them.
    bodies: Vec<MovingDisc>,
}

impl World {
    /// A world without an episode; [`World::reset`] starts one.
    pub fn new(scenario: &Scenario) -> Self {
        let task = &scenario.spec.task;
        let dt_secs = task.control_step_secs as f32;
        let spec = &scenario.spec.robot[0];
        Self {
            layout: Layout::default(),
            physics: Physics::new(dt_secs / task.physics_steps as f32),
            movers: Movers::default(),
            scene: Scene::default(),
            robots: (0..spec.count).map(|_| Robot::new(spec)).collect(),
            dt_secs,
            physics_steps: task.physics_steps,
            steps: 0,
            bodies: Vec::new(),
        }
    }

    /// Begins an episode: `place` writes its layout, and the world is built from it. What happens
    /// in it by chance is drawn from the episode's streams.
    ///
    /// # Errors
    /// Those of `place`; the world has then no episode.
    pub fn reset<E>(
        &mut self,
        key: EpisodeKey,
        place: impl FnOnce(&mut Layout) -> Result<(), E>,
    ) -> Result<(), E> {
        place(&mut self.layout)?;
        self.physics.load(&self.layout);
        self.movers.reset(&self.layout);
        self.scene.load(&self.layout);
        for (index, robot) in self.robots.iter_mut().enumerate() {
            let (placement, body) = (&self.layout.robots[index], self.physics.robot(index));
            robot.reset(placement, &body, key.for_robot(index), self.dt_secs);
        }
        self.steps = 0;
        self.sense();
        Ok(())
    }

    /// One control step of each robot towards what its action in [-1, 1]ⁿ asks for, once it takes
    /// effect. Those of parked robots are not looked at.
    ///
    /// # Panics
    /// If there are fewer actions than robots.
    pub fn step(&mut self, actions: &[Action]) {
        for (index, robot) in self.robots.iter_mut().enumerate() {
            if !robot.inactive {
                robot.command(Some(actions[index]), self.dt_secs);
            }
        }
        self.advance();
    }

    /// One control step with the brakes on.
    pub fn brake(&mut self) {
        for robot in self.robots.iter_mut().filter(|robot| !robot.inactive) {
            robot.command(None, self.dt_secs);
        }
        self.advance();
    }

    /// Leaves a robot where it is for the rest of the episode: it stands there, seen by the others
    /// and solid to them, and is not moved by what runs into it.
    pub fn deactivate(&mut self, robot: usize) {
        self.robots[robot].deactivate();
        self.physics.deactivate(robot);
    }

    fn advance(&mut self) {
        let dt = self.dt_secs / self.physics_steps as f32;
        for _ in 0..self.physics_steps {
            // Movers are the engine's to move, so with any of them it is asked at every step.
            let mut coasts = self.layout.movers.is_empty();
            let alone = self.robots.len() == 1;
            for (index, robot) in self.robots.iter_mut().enumerate() {
                let body = self.physics.robot(index);
                let free = robot.inactive || robot.plan_step(&body, dt);
                coasts &= free || (coasts && alone && robot.is_clear_ahead(&self.scene, &body, dt));
            }
            if !coasts {
                self.steer_movers(dt);
            }
            let driving = |(_, robot): &(usize, &mut Robot)| !robot.inactive;
            for (index, robot) in self.robots.iter_mut().enumerate().filter(driving) {
                if coasts {
                    self.physics
                        .coast(index, robot.target_velocity, robot.turn_rate());
                } else {
                    self.physics
                        .set_velocity(index, robot.target_velocity, robot.turn_rate());
                }
                robot.use_free_distance(coasts, dt);
            }
            if !coasts {
                self.physics.step();
            }
            for (index, robot) in self.robots.iter_mut().enumerate().filter(driving) {
                robot.apply_physics(&self.physics.robot(index));
            }
        }
        self.steps += 1;
        for robot in self.robots.iter_mut().filter(|robot| !robot.inactive) {
            if let Some(odometry) = &mut robot.odometry {
                odometry.integrate(robot.drive.twist(), self.dt_secs);
            }
        }
        self.sense();
    }

    fn steer_movers(&mut self, dt: f32) {
        if self.layout.movers.is_empty() {
            return;
        }
        for (index, body) in self.movers.bodies.iter_mut().enumerate() {
            let state = self.physics.mover(index);
            (body.position, body.velocity) = (state.position, state.velocity);
        }
        self.bodies.clear();
        self.bodies
            .extend(self.layout.robots.iter().enumerate().map(|(index, robot)| {
                let body = self.physics.robot(index);
                MovingDisc {
                    position: body.position,
                    velocity: body.velocity,
                    radius: robot.radius,
                }
            }));
        self.movers.steer(&self.layout, &self.bodies, dt);
        for (index, body) in self.movers.bodies.iter().enumerate() {
            self.physics.set_mover(index, body.position, body.velocity);
        }
    }

    /// Takes over where the engine left everything, and senses from there.
    fn sense(&mut self) {
        for index in 0..self.layout.movers.len() {
            self.scene
                .move_mover(index, self.physics.mover(index).position);
        }
        if let [robot] = &mut *self.robots {
            robot.sense(&self.scene, &self.physics.robot(0), self.steps);
            return;
        }
        self.measure_gaps();
        for (index, robot) in self.robots.iter_mut().enumerate() {
            let body = self.physics.robot(index);
            self.scene.remove_robot(index);
            robot.sense(&self.scene, &body, self.steps);
            self.scene.put_robot(index, body.position, body.heading);
        }
    }

    /// How near the robots are to one another: the same number for both of a pair, so that what is
    /// a contact for one is one for the other.
    fn measure_gaps(&mut self) {
        for index in 0..self.robots.len() {
            let body = self.physics.robot(index);
            self.scene.put_robot(index, body.position, body.heading);
            self.robots[index].gap = f32::INFINITY;
            for other in 0..index {
                let offset: Vector2<f32> = body.position - self.physics.robot(other).position;
                let gap = offset.norm() - self.robots[index].radius - self.robots[other].radius;
                for one in [index, other] {
                    self.robots[one].gap = self.robots[one].gap.min(gap);
                }
            }
        }
    }

    /// The world as one of its robots has it, by its place in the layout.
    ///
    /// # Panics
    /// If there is no such robot.
    #[inline]
    pub fn ego(&self, robot: usize) -> Ego<'_> {
        Ego::new(self, robot)
    }

    /// How many robots there are.
    pub fn robot_count(&self) -> usize {
        self.robots.len()
    }

    /// The episode's layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Control steps since the episode began.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Whether position, heading and velocity of every robot are finite numbers.
    pub fn is_finite(&self) -> bool {
        self.robots.iter().all(Robot::is_finite)
    }

    /// Writes what viewers, recorders and evaluations see.
    pub fn snapshot(&self, frame: &mut WorldSnapshot) {
        frame.step = self.steps;
        frame.time_secs = self.steps as f32 * self.dt_secs;
        frame
            .robots
            .resize_with(self.robots.len(), Default::default);
        for (index, robot) in frame.robots.iter_mut().enumerate() {
            self.ego(index).snapshot(robot);
        }
        frame.movers.clear();
        frame
            .movers
            .extend(self.layout.movers.iter().enumerate().map(|(index, mover)| {
                let state = self.physics.mover(index);
                MoverSnapshot {
                    position: [state.position.x, state.position.y],
                    velocity: [state.velocity.x, state.velocity.y],
                    radius_m: mover.radius,
                }
            }));
    }
}
