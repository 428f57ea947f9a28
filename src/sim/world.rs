//! A world: physics, senses and movers behind one step. It knows what happens, not what it is
//! worth.

use nalgebra::Point2;

use super::drive::{Action, Twist};
use super::lidar::{Distances, SensorPose};
use super::movers::Movers;
use super::orca::Disc;
use super::physics::Physics;
use super::robot::Robot;
use super::scene::Scene;
use super::{Frame, MoverFrame, RobotFrame};
use crate::scenario::{EpisodeKey, Layout, RobotPlacement, Scenario};

/// Touching: a hull this near to a surface, metres. The solver leaves a stopped robot within a
/// fraction of it.
pub const CONTACT_DISTANCE: f32 = 1e-3;

/// Surfaces nearer than this beyond the way of a step are left to the engine's solver, metres:
/// more than it foresees contacts by.
const CONTACT_FORESIGHT: f32 = 0.05;

/// What a robot touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// A wall, or something that stands.
    Fixed,
    /// A mover.
    Mover,
}

/// The world of one scenario, reused from episode to episode.
pub struct World {
    layout: Layout,
    physics: Physics,
    movers: Movers,
    scene: Scene,
    robot: Robot,
    dt_secs: f32,
    physics_steps: u32,
    steps: u32,
}

impl World {
    /// A world without an episode; [`World::begin`] starts one.
    pub fn new(scenario: &Scenario) -> Self {
        let task = &scenario.spec.task;
        let dt_secs = task.control_step_secs as f32;
        Self {
            layout: Layout::default(),
            physics: Physics::new(dt_secs / task.physics_steps as f32),
            movers: Movers::default(),
            scene: Scene::default(),
            robot: Robot::new(&scenario.spec.robot[0]),
            dt_secs,
            physics_steps: task.physics_steps,
            steps: 0,
        }
    }

    /// Begins an episode: `place` writes its layout, and the world is built from it. What happens
    /// in it by chance is drawn from the episode's streams.
    ///
    /// # Errors
    /// Those of `place`; the world has then no episode.
    pub fn begin<E>(
        &mut self,
        key: EpisodeKey,
        place: impl FnOnce(&mut Layout) -> Result<(), E>,
    ) -> Result<(), E> {
        place(&mut self.layout)?;
        self.physics.load(&self.layout);
        self.movers.begin(&self.layout);
        self.scene.load(&self.layout);
        let (placement, body) = (&self.layout.robots[0], self.physics.robot());
        self.robot.begin(placement, &body, key, self.dt_secs);
        self.steps = 0;
        self.look();
        Ok(())
    }

    /// One control step towards what `action` in [-1, 1]ⁿ asks for, once it takes effect.
    pub fn step(&mut self, action: Action) {
        let action = self.robot.actuator.delayed(action);
        self.drive(action);
    }

    /// One control step with the brakes on.
    pub fn hold(&mut self) {
        self.drive(None);
    }

    fn drive(&mut self, action: Option<Action>) {
        let wheels = self.robot.drive.towards(action, self.dt_secs);
        let motion = self.robot.actuator.slipped(wheels);
        let dt = self.dt_secs / self.physics_steps as f32;
        let reach = motion.norm() * dt;
        let mut clearance = self.free_way();
        for _ in 0..self.physics_steps {
            let before = self.physics.robot();
            let velocity = motion.chord_velocity(before.heading, dt) + self.robot.slide(&before);
            if clearance > reach + CONTACT_FORESIGHT {
                self.physics.coast(velocity, motion.turn_rate);
                clearance -= reach;
            } else {
                self.steer_movers(dt);
                self.physics.step(velocity, motion.turn_rate);
                clearance = 0.0;
            }
            let after = self.physics.robot();
            // Where nothing was touched the wheels do what was asked for; otherwise they do what
            // the solver left. A smooth disc is not turned by what it touches.
            let turned = (after.turn_rate - motion.turn_rate).abs() > 0.0;
            let turned = turned && !self.robot.is_round;
            self.robot.touched = after.velocity != velocity || turned;
            self.robot.settle(motion, &after);
        }
        self.steps += 1;
        if let Some(odometry) = &mut self.robot.odometry {
            odometry.add(self.robot.drive.twist(), self.dt_secs);
        }
        self.look();
    }

    /// How far the robot can travel in any direction, turning as it likes, before it could touch
    /// anything, metres. Movers are the engine's to move, so with any of them it is asked at every
    /// step.
    fn free_way(&self) -> f32 {
        if self.layout.movers.is_empty() {
            self.robot.around().fixed
        } else {
            0.0
        }
    }

    fn steer_movers(&mut self, dt: f32) {
        if self.layout.movers.is_empty() {
            return;
        }
        for (index, body) in self.movers.bodies.iter_mut().enumerate() {
            let state = self.physics.mover(index);
            (body.position, body.velocity) = (state.position, state.velocity);
        }
        let body = self.physics.robot();
        let robot = Disc {
            position: body.position,
            velocity: body.velocity,
            radius: self.robot().radius,
        };
        self.movers.steer(&self.layout, &[robot], dt);
        for (index, body) in self.movers.bodies.iter().enumerate() {
            self.physics.set_mover(index, body.position, body.velocity);
        }
    }

    /// Takes over where the engine left everything, and senses from there.
    fn look(&mut self) {
        for index in 0..self.layout.movers.len() {
            self.scene
                .move_to(index, self.physics.mover(index).position);
        }
        let body = self.physics.robot();
        self.robot.look(&self.scene, &body, self.steps);
    }

    /// The episode's layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The robot's numbers for this episode.
    pub fn robot(&self) -> &RobotPlacement {
        &self.layout.robots[0]
    }

    /// Position and heading of the robot.
    pub fn pose(&self) -> SensorPose {
        self.robot.pose
    }

    /// Where the robot believes itself to be: where it is, unless odometry tells it.
    pub fn believed_pose(&self) -> SensorPose {
        let odometry = self.robot.odometry.as_ref();
        odometry.map_or(self.robot.pose, |odometry| odometry.believed())
    }

    /// Position of the robot's origin, metres.
    pub fn position(&self) -> Point2<f32> {
        Point2::new(self.robot.pose.x, self.robot.pose.y)
    }

    /// Writes what the robot's wheels do, each number over its bound: see
    /// `ObservationBlock::Velocity`.
    ///
    /// # Panics
    /// If `out` is shorter than the drive has actions.
    pub fn observe_wheels(&self, out: &mut [f32]) {
        self.robot.drive.observe(out);
    }

    /// Lidar readings, metres, `[beams]`.
    pub fn ranges(&self) -> &[f32] {
        self.robot.sensor.ranges(self.steps)
    }

    /// Whether the lidar reads what is true, at every step, from the robot's origin.
    pub fn reads_plainly(&self) -> bool {
        self.robot.sensor.is_plain()
    }

    /// Distance from the robot's hull to the nearest wall or obstacle and to the nearest mover,
    /// metres; slightly negative where the solver let it sink in.
    pub fn clearance(&self) -> Distances {
        let movers = (0..self.layout.movers.len()).map(|index| self.physics.mover(index).position);
        self.robot.clearance(&self.layout, movers)
    }

    /// What the robot touches, the nearer of the two kinds.
    pub fn touch(&self) -> Option<Touch> {
        // The circle about a hull is looked at first, for it takes nothing to do so.
        let mut clearance = self.robot.around();
        let near = |clearance: &Distances| clearance.fixed.min(clearance.mover) < CONTACT_DISTANCE;
        if !near(&clearance) {
            return None;
        }
        if !self.robot.is_round {
            clearance = self.clearance();
        }
        let touch = if clearance.mover < clearance.fixed {
            Touch::Mover
        } else {
            Touch::Fixed
        };
        near(&clearance).then_some(touch)
    }

    /// Control steps since the episode began.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Whether position, heading and velocity are finite numbers.
    pub fn is_finite(&self) -> bool {
        let SensorPose { x, y, cos, sin } = self.robot.pose;
        let Twist {
            speed,
            side_speed,
            turn_rate,
        } = self.robot.motion;
        [x, y, cos, sin, speed, side_speed, turn_rate]
            .iter()
            .all(|v| v.is_finite())
    }

    /// Writes what viewers, recorders and evaluations see.
    pub fn frame(&self, frame: &mut Frame) {
        let clearance = self.clearance();
        let nearest = clearance.fixed.min(clearance.mover);
        let (pose, motion) = (self.robot.pose, self.robot.motion);
        frame.step = self.steps;
        frame.time_secs = self.steps as f32 * self.dt_secs;
        frame.robots.resize_with(1, RobotFrame::default);
        let robot = &mut frame.robots[0];
        robot.position = [pose.x, pose.y];
        robot.heading_rad = libm::atan2f(pose.sin, pose.cos);
        robot.speed_mps = motion.speed;
        robot.side_speed_mps = motion.side_speed;
        robot.turn_rate_radps = motion.turn_rate;
        robot.contact = nearest < CONTACT_DISTANCE;
        robot.clearance_m = nearest.max(0.0);
        robot.ranges_m.clear();
        robot.ranges_m.extend_from_slice(self.ranges());
        frame.movers.clear();
        frame
            .movers
            .extend(self.layout.movers.iter().enumerate().map(|(index, mover)| {
                let state = self.physics.mover(index);
                MoverFrame {
                    position: [state.position.x, state.position.y],
                    velocity: [state.velocity.x, state.velocity.y],
                    radius_m: mover.radius,
                }
            }));
    }
}
