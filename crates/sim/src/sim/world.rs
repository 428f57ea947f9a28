//! A world: physics, robots and movers behind one step. It must not know rewards or outcomes.

use nalgebra::Vector2;
use smallvec::SmallVec;

use super::drive::Action;
use super::ego::{CONTACT_DISTANCE, Ego, StaticOrMoving};
use super::movers::Movers;
use super::orca::MovingDisc;
use super::physics::Physics;
use super::robot::Robot;
use super::scene::Scene;
use super::sweep::stop_at_static;
use super::{MoverSnapshot, WorldSnapshot};
use crate::scenario::{EpisodeKey, Layout, Scenario};

/// The world of one scenario, reused from episode to episode.
pub struct World {
    layout: Layout,
    physics: Physics,
    /// Inline if there is one robot: worlds that are stepped in turn share a cache.
    robots: SmallVec<[Robot; 1]>,
    steps: u32,
    movers: Movers,
    scene: Scene,
    dt_secs: f32,
    physics_steps: u32,
    /// Scratch: the robots as movers see them.
    robot_discs: Vec<MovingDisc>,
}

impl World {
    /// A world without an episode; [`World::reset`] starts one.
    pub fn new(scenario: &Scenario) -> Self {
        let task = &scenario.spec.task;
        let dt_secs = task.control_step_secs as f32;
        let spec = &scenario.spec.robot[0];
        let physics_steps = scenario.spec.physics_steps();
        Self {
            layout: Layout::default(),
            physics: Physics::new(dt_secs / physics_steps as f32),
            movers: Movers::default(),
            scene: Scene::default(),
            robots: (0..spec.count).map(|_| Robot::new(spec)).collect(),
            dt_secs,
            physics_steps,
            steps: 0,
            robot_discs: Vec::new(),
        }
    }

    /// Starts an episode: `place` writes its layout, and the world is built from that. All random
    /// draws of the episode come from the streams of `key`.
    ///
    /// # Errors
    /// Those of `place`. The world must then be reset again before the next step.
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
            let (parameters, body) = (&self.layout.robots[index], self.physics.robot(index));
            robot.reset(parameters, &body, key.for_robot(index), self.dt_secs);
        }
        self.steps = 0;
        self.sense();
        Ok(())
    }

    /// One control step: the commands of the robots, the physics steps, and what the robots sense after
    /// them. `actions` is `[robots]`, with entries in [-1, 1]; those of inactive robots are ignored.
    /// Without actions all robots brake.
    ///
    /// # Panics
    /// If there are fewer actions than robots.
    pub fn step(&mut self, actions: Option<&[Action]>) {
        for (index, robot) in self.robots.iter_mut().enumerate() {
            if !robot.inactive {
                robot.command(actions.map(|actions| actions[index]), self.dt_secs);
            }
        }
        let dt = self.dt_secs / self.physics_steps as f32;
        for step in 1..=self.physics_steps {
            // The engine moves the movers, so a world with movers never coasts.
            let mut coasts = self.layout.movers.is_empty();
            let is_alone = self.robots.len() == 1;
            for (index, robot) in self.robots.iter_mut().enumerate() {
                let body = self.physics.robot(index);
                let is_free = robot.inactive || robot.plan_step(&body, dt);
                coasts &=
                    is_free || (coasts && is_alone && robot.is_clear_ahead(&self.scene, &body, dt));
            }
            if !coasts {
                self.steer_movers(dt);
            }
            let is_active = |(_, robot): &(usize, &mut Robot)| !robot.inactive;
            for (index, robot) in self.robots.iter_mut().enumerate().filter(is_active) {
                let (velocity, turn_rate) = (robot.target_velocity, robot.commanded.turn_rate);
                if coasts {
                    self.physics.coast(index, velocity, turn_rate);
                } else {
                    self.physics.set_velocity(index, velocity, turn_rate);
                }
                robot.use_free_distance(coasts, dt);
            }
            if !coasts {
                self.physics.step();
                self.stop_at_static();
            }
            for (index, robot) in self.robots.iter_mut().enumerate().filter(is_active) {
                robot.apply_physics(&self.physics.robot(index));
            }
            if !coasts {
                self.record_contacts(step == self.physics_steps);
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

    /// Ends a robot's part of the episode: it stays where it is as a fixed obstacle, which the
    /// others see and may hit.
    pub fn deactivate(&mut self, robot: usize) {
        self.robots[robot].deactivate();
        self.physics.deactivate(robot);
    }

    /// Keeps the robots out of walls and static obstacles that the engine let them enter.
    fn stop_at_static(&mut self) {
        let dt = self.physics.dt_secs();
        for (index, robot) in self.robots.iter().enumerate() {
            let body = self.physics.robot(index);
            if robot.inactive || robot.is_clear_of_static(&body) {
                continue;
            }
            let (placement, before) = (&self.layout.robots[index], self.physics.before_step(index));
            if let Some(state) = stop_at_static(&self.layout, placement, &before, &body, dt) {
                self.physics.correct(index, state);
                #[cfg(test)]
                super::sweep::CORRECTIONS.with(|count| count.set(count.get() + 1));
            }
        }
    }

    /// Records what the active robots touched in a physics step, so that a contact counts that ends
    /// before the control step does. After the last step only what was passed is recorded, because
    /// [`Self::sense`] follows.
    fn record_contacts(&mut self, is_last: bool) {
        if !is_last {
            self.update_movers();
            if self.robots.len() > 1 {
                self.measure_gaps();
            }
        }
        for index in 0..self.robots.len() {
            let robot = &mut self.robots[index];
            if robot.inactive || robot.touched.is_some() {
                continue;
            }
            if !is_last {
                robot.measure(&self.scene, &self.physics.robot(index));
                self.robots[index].touched = self.ego(index).current_contact();
            }
            if self.robots[index].touched.is_none() && self.has_passed(index) {
                self.robots[index].touched = Some(StaticOrMoving::Moving);
            }
        }
    }

    /// Whether a mover or another robot would have touched a robot in the last step of the engine if
    /// the engine had not pushed the robot out of its way, which can leave a gap between them.
    fn has_passed(&self, index: usize) -> bool {
        let dt = self.physics.dt_secs();
        let (robot, before) = (&self.robots[index], self.physics.before_step(index));
        let movers = self.layout.movers.iter().enumerate().map(|(other, mover)| {
            let state = self.physics.mover(other);
            MovingDisc {
                position: state.position - state.velocity * dt,
                velocity: state.velocity,
                radius: mover.radius,
            }
        });
        // Between robots that are not round, the gap after the step decides.
        let others = self.robots.iter().enumerate();
        let others = others.filter(|(other, robot)| *other != index && robot.is_round);
        let robots = others.map(|(other, other_robot)| MovingDisc {
            position: self.physics.before_step(other).position,
            velocity: if other_robot.inactive {
                Vector2::zeros()
            } else {
                other_robot.target_velocity
            },
            radius: other_robot.radius,
        });
        movers.chain(robots).any(|disc| {
            let offset = disc.position - before.position;
            let velocity = disc.velocity - robot.target_velocity;
            let square = velocity.norm_squared();
            let nearest = if square > 0.0 {
                (-offset.dot(&velocity) / square).clamp(0.0, dt)
            } else {
                0.0
            };
            let reach = disc.radius + CONTACT_DISTANCE;
            if (offset + velocity * nearest).norm() - robot.radius >= reach {
                return false;
            }
            let footprint = self.layout.robots[index].footprint.as_ref();
            footprint.is_none_or(|footprint| {
                let at = before.position + robot.target_velocity * nearest;
                let center = disc.position + disc.velocity * nearest;
                let placed = footprint.placed(at, before.heading);
                placed.distance_to_disc(center, disc.radius) < CONTACT_DISTANCE
            })
        })
    }

    /// Sets the velocities of the movers for a physics step.
    fn steer_movers(&mut self, dt: f32) {
        if self.layout.movers.is_empty() {
            return;
        }
        for (index, body) in self.movers.bodies.iter_mut().enumerate() {
            let state = self.physics.mover(index);
            (body.position, body.velocity) = (state.position, state.velocity);
        }
        self.robot_discs.clear();
        self.robot_discs
            .extend(self.layout.robots.iter().enumerate().map(|(index, robot)| {
                let body = self.physics.robot(index);
                MovingDisc {
                    position: body.position,
                    velocity: body.velocity,
                    radius: robot.radius,
                }
            }));
        self.movers.steer(&self.layout, &self.robot_discs, dt);
        for (index, body) in self.movers.bodies.iter().enumerate() {
            self.physics.set_mover(index, body.position, body.velocity);
        }
    }

    /// Updates the scene from the physics, and lets each robot sense from its new pose.
    fn sense(&mut self) {
        self.update_movers();
        let is_alone = self.robots.len() == 1;
        if !is_alone {
            self.measure_gaps();
        }
        for (index, robot) in self.robots.iter_mut().enumerate() {
            let body = self.physics.robot(index);
            robot.pose = body.pose();
            // Its own lidar does not see a robot.
            if !is_alone {
                self.scene.remove_robot(index);
            }
            robot.clearances_from_origin = robot.sensor.sense(&self.scene, robot.pose, self.steps);
            if !is_alone {
                self.scene.put_robot(index, body.position, body.heading);
            }
        }
    }

    /// Takes the positions of the movers from the physics into the scene.
    fn update_movers(&mut self) {
        for index in 0..self.layout.movers.len() {
            self.scene
                .move_mover(index, self.physics.mover(index).position);
        }
    }

    /// Measures the gaps between robots: the same number for both robots of a pair, so that a
    /// contact is one for both.
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

    /// The world as seen by one of its robots, by its index in the layout.
    ///
    /// # Panics
    /// If there is no such robot.
    #[inline]
    pub fn ego(&self, robot: usize) -> Ego<'_> {
        Ego {
            layout: &self.layout,
            physics: &self.physics,
            robots: &self.robots,
            steps: self.steps,
            index: robot,
            robot: &self.robots[robot],
        }
    }

    /// Number of robots.
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

    /// Writes the state of the world for viewers, recorders and evaluations.
    pub fn snapshot(&self, snapshot: &mut WorldSnapshot) {
        snapshot.step = self.steps;
        snapshot.time_secs = self.steps as f32 * self.dt_secs;
        snapshot
            .robots
            .resize_with(self.robots.len(), Default::default);
        for (index, robot) in snapshot.robots.iter_mut().enumerate() {
            self.ego(index).snapshot(robot);
        }
        snapshot.movers.clear();
        snapshot
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
