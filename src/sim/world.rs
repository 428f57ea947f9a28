//! A world: physics, senses and movers behind one step. It knows what happens, not what it is
//! worth.

use nalgebra::{Point2, Vector2};

use super::drive::{ACTIONS, Twist};
use super::lidar::{Beams, Distances, Ranges, SensorPose};
use super::movers::bounce;
use super::physics::{BodyState, Physics};
use super::scene::Scene;
use super::{Frame, MoverFrame, RobotFrame};
use crate::scenario::{Layout, RobotPlacement, Scenario};

/// Touching: a hull this near to a surface, metres. The solver leaves a stopped robot within a
/// fraction of it.
pub const CONTACT_DISTANCE: f32 = 1e-3;

/// Surfaces nearer than this beyond the way of a step are left to the engine's solver, metres:
/// more than it foresees contacts by.
const CONTACT_FORESIGHT: f32 = 0.05;

/// The world of one scenario, reused from episode to episode.
pub struct World {
    layout: Layout,
    physics: Physics,
    scene: Scene,
    beams: Beams,
    ranges: Ranges,
    distances: Distances,
    pose: SensorPose,
    twist: Twist,
    /// Whether the solver changed the robot's velocity in the last physics step.
    touched: bool,
    dt_secs: f32,
    physics_steps: u32,
    steps: u32,
}

impl World {
    /// A world without an episode; [`World::begin`] starts one.
    pub fn new(scenario: &Scenario) -> Self {
        let task = &scenario.spec.task;
        let lidar = &scenario.spec.robot[0].lidar;
        let dt_secs = task.control_step_secs as f32;
        let beams = Beams::new(
            lidar.beams as usize,
            lidar.field_of_view_deg.to_radians() as f32,
        );
        Self {
            layout: Layout::default(),
            physics: Physics::new(dt_secs / task.physics_steps as f32),
            scene: Scene::default(),
            ranges: Ranges::new(&beams),
            beams,
            distances: Distances::default(),
            pose: SensorPose::default(),
            twist: Twist::default(),
            touched: false,
            dt_secs,
            physics_steps: task.physics_steps,
            steps: 0,
        }
    }

    /// Begins an episode: `place` writes its layout, and the world is built from it.
    ///
    /// # Errors
    /// Those of `place`; the world has then no episode.
    pub fn begin<E>(&mut self, place: impl FnOnce(&mut Layout) -> Result<(), E>) -> Result<(), E> {
        place(&mut self.layout)?;
        self.physics.load(&self.layout);
        self.scene.load(&self.layout);
        self.twist = Twist::default();
        self.touched = false;
        self.steps = 0;
        self.look();
        Ok(())
    }

    /// One control step towards what `action` in [-1, 1]² asks for.
    pub fn step(&mut self, action: [f32; ACTIONS]) {
        self.drive(Twist::from_action(action, &self.robot().drive));
    }

    /// One control step with the brakes on.
    pub fn hold(&mut self) {
        self.drive(Twist::default());
    }

    fn drive(&mut self, target: Twist) {
        let limits = self.robot().drive;
        let wanted = self.twist.towards(target, &limits, self.dt_secs);
        let dt = self.dt_secs / self.physics_steps as f32;
        let reach = wanted.speed.abs() * dt;
        let mut clearance = self.free_way();
        for _ in 0..self.physics_steps {
            let before = self.physics.robot();
            let velocity =
                wanted.chord_velocity(before.heading, dt) + self.slip(&before, limits.max_speed);
            if clearance > reach + CONTACT_FORESIGHT {
                self.physics.coast(velocity, wanted.turn_rate);
                clearance -= reach;
            } else {
                self.steer_movers(dt);
                self.physics.step(velocity, wanted.turn_rate);
                clearance = 0.0;
            }
            let after = self.physics.robot();
            // Where nothing was touched the wheels have the speed that was asked for; otherwise
            // they have what the solver left along the heading.
            self.touched = after.velocity != velocity;
            let speed = if self.touched {
                after.velocity.dot(&after.heading)
            } else {
                wanted.speed
            };
            self.twist = Twist {
                speed,
                turn_rate: after.turn_rate,
            };
        }
        self.steps += 1;
        self.look();
    }

    /// Velocity across the heading, metres per second: wheels roll and do not slip, except along
    /// something that the robot is pressed against.
    fn slip(&self, body: &BodyState, max_speed: f32) -> Vector2<f32> {
        if !self.touched {
            return Vector2::zeros();
        }
        let across = Vector2::new(-body.heading.y, body.heading.x);
        across * body.velocity.dot(&across).clamp(-max_speed, max_speed)
    }

    /// How far the robot can travel in any direction before it could touch anything, metres.
    /// Movers are the engine's to move, so with any of them it is asked at every step.
    fn free_way(&self) -> f32 {
        if self.layout.movers.is_empty() {
            self.clearance().fixed
        } else {
            0.0
        }
    }

    fn steer_movers(&mut self, dt: f32) {
        for (index, mover) in self.layout.movers.iter().enumerate() {
            let state = self.physics.mover(index);
            let velocity = bounce(&self.layout, mover, state.position, state.velocity, dt);
            if velocity != state.velocity {
                self.physics.set_mover_velocity(index, velocity);
            }
        }
    }

    /// Takes over where the engine left everything, and senses from there.
    fn look(&mut self) {
        let body = self.physics.robot();
        let (at, heading) = (body.position, body.heading);
        self.pose = SensorPose {
            x: at.x,
            y: at.y,
            cos: heading.x,
            sin: heading.y,
        };
        for index in 0..self.layout.movers.len() {
            self.scene
                .move_to(index, self.physics.mover(index).position);
        }
        let range = self.robot().lidar_range;
        self.distances = self
            .scene
            .sense(&self.beams, self.pose, range, &mut self.ranges);
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
        self.pose
    }

    /// Position of the robot's centre, metres.
    pub fn position(&self) -> Point2<f32> {
        Point2::new(self.pose.x, self.pose.y)
    }

    /// Speed and turn rate of the robot as the solver left them.
    pub fn twist(&self) -> Twist {
        self.twist
    }

    /// Lidar readings, metres, `[beams]`.
    pub fn ranges(&self) -> &[f32] {
        self.ranges.metres()
    }

    /// Distance from the robot's hull to the nearest wall or obstacle and to the nearest mover,
    /// metres; slightly negative where the solver let it sink in.
    pub fn clearance(&self) -> Distances {
        let radius = self.robot().radius;
        Distances {
            fixed: self.distances.fixed - radius,
            mover: self.distances.mover - radius,
        }
    }

    /// Control steps since the episode began.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Whether position, heading and velocity are finite numbers.
    pub fn is_finite(&self) -> bool {
        let SensorPose { x, y, cos, sin } = self.pose;
        [x, y, cos, sin, self.twist.speed, self.twist.turn_rate]
            .iter()
            .all(|v| v.is_finite())
    }

    /// Writes what viewers, recorders and evaluations see.
    pub fn frame(&self, frame: &mut Frame) {
        let clearance = self.clearance();
        let nearest = clearance.fixed.min(clearance.mover);
        frame.step = self.steps;
        frame.time_secs = self.steps as f32 * self.dt_secs;
        frame.robots.resize_with(1, RobotFrame::default);
        let robot = &mut frame.robots[0];
        robot.position = [self.pose.x, self.pose.y];
        robot.heading_rad = libm::atan2f(self.pose.sin, self.pose.cos);
        robot.speed_mps = self.twist.speed;
        robot.turn_rate_radps = self.twist.turn_rate;
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
