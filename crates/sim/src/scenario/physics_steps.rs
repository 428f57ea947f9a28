//! How many physics steps a control step takes: those of the file, or more where a step is so long
//! that a mover or another robot could pass through a robot, or a mover through a wall.

use super::spec::{DriveSpec, FootprintSpec, MoverSpec, RobotSpec, ScenarioSpec};
use super::{Footprint, Quantity};
use nalgebra::Vector2;

/// The largest number of physics steps in a control step.
pub(super) const MAX_PHYSICS_STEPS: u32 = 1000;

/// Where a step is too long, so many steps are made in which two bodies approach each other by half
/// of their widths.
const STEPS_PER_HALF_WIDTH: f64 = 4.0;

/// The largest speed of pedestrians as a multiple of their preferred speed; see `sim/movers.rs`.
const CROWD_SPEED_FACTOR: f64 = 1.3;

/// Standard deviations of the wheel slip that are taken into account.
const SLIP_DEVIATIONS: f64 = 4.0;

/// Poses that may be examined in a physics step for whether a robot crosses something.
const MAX_POSES: f64 = 16_384.0;

impl ScenarioSpec {
    /// Physics steps in each control step: `task.physics_steps`, or more, at most 1000, if there are
    /// movers or several robots, and one of them could otherwise pass another body within a step.
    pub fn physics_steps(&self) -> u32 {
        let needed = self.needed_physics_steps();
        let least = self.task.physics_steps;
        least.max(needed.min(f64::from(MAX_PHYSICS_STEPS)) as u32)
    }

    /// The physics steps that a control step needs, a whole number that may exceed the limit; 1 if
    /// those of the file are enough.
    pub(super) fn needed_physics_steps(&self) -> f64 {
        let robot = &self.robot[0];
        let (control_step, given) = (
            self.task.control_step_secs,
            f64::from(self.task.physics_steps),
        );
        let robot_half_width = robot.footprint.half_width();
        let robot_reach = robot.largest_speed() * control_step;
        let mut needed = 1.0_f64;
        let mut require = |reach: f64, half_width: f64| {
            if reach / given > half_width {
                needed = needed.max((STEPS_PER_HALF_WIDTH * reach / half_width).ceil());
            }
        };
        if robot.count > 1 {
            require(2.0 * robot_reach, 2.0 * robot_half_width);
        }
        for mover in &self.movers {
            let (radius, speed) = mover.size_and_speed();
            let reach = speed * control_step;
            require(reach + robot_reach, radius + robot_half_width);
            // A mover looks ahead by one step for walls.
            require(reach, 2.0 * radius);
        }
        needed
    }

    /// The physics steps without which a robot can move so far within one that its way cannot be
    /// examined; `None` if those of the file are enough.
    pub(super) fn steps_to_examine(&self) -> Option<f64> {
        let robot = &self.robot[0];
        let dt = self.task.control_step_secs / f64::from(self.physics_steps());
        let turn = match robot.footprint {
            FootprintSpec::Disc(_) => 0.0,
            // The engine turns a body by less than a full circle in a step.
            _ => std::f64::consts::TAU * robot.footprint.radius().max(),
        };
        let most = MAX_POSES * robot.footprint.half_width();
        let travel = robot.largest_speed() * dt;
        (travel + turn > most).then(|| {
            let rest = (most - turn).max(most / 2.0);
            (robot.largest_speed() * self.task.control_step_secs / rest).ceil()
        })
    }
}

impl FootprintSpec {
    /// A lower bound of the radius of the largest circle within the outline, metres.
    pub fn half_width(&self) -> f64 {
        match self {
            Self::Disc(disc) => disc.radius_m.min(),
            Self::Box(spec) => spec
                .half_extents_m
                .iter()
                .map(Quantity::min)
                .fold(f64::INFINITY, f64::min),
            Self::Polygon(polygon) => {
                let corners = polygon.vertices_m.iter();
                let corners: Vec<_> = corners
                    .map(|&[x, y]| Vector2::new(x as f32, y as f32))
                    .collect();
                polygon.scale.min() * f64::from(Footprint::new(&corners).middle().1)
            }
        }
    }
}

impl RobotSpec {
    /// The largest speed in any direction, wheel slip included, metres per second.
    fn largest_speed(&self) -> f64 {
        let speed = match &self.drive {
            DriveSpec::Differential(drive) => {
                drive.max_speed_mps.max().max(drive.max_reverse_mps.max())
            }
            DriveSpec::Omni(drive) => drive.max_speed_mps.max(),
            DriveSpec::Ackermann(drive) => {
                drive.max_speed_mps.max().max(drive.max_reverse_mps.max())
            }
        };
        let slip = &self.actuation;
        let gain = SLIP_DEVIATIONS * slip.slip_std.max() - slip.slip.min();
        speed * (1.0 + gain.clamp(0.0, 1.0))
    }
}

impl MoverSpec {
    /// The smallest radius, metres, and the largest speed, metres per second.
    fn size_and_speed(&self) -> (f64, f64) {
        match self {
            Self::Bouncing(discs) => (discs.radius_m.min(), discs.speed_mps.max()),
            Self::Linear(discs) => (discs.radius_m.min(), discs.speed_mps.max()),
            Self::Waypoints(discs) => (discs.radius_m.min(), discs.speed_mps.max()),
            Self::Crowd(crowd) => (
                crowd.radius_m.min(),
                CROWD_SPEED_FACTOR * crowd.speed_mps.max(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Override;
    use crate::scenario::{Scenario, resolve, shipped_scenarios};

    fn with(name: &str, flags: &[&str]) -> Scenario {
        let flags: Vec<_> = flags.iter().map(|f| Override::parse(f).unwrap()).collect();
        resolve(name, &flags).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn shipped_scenarios_need_no_more_steps_than_their_files_say() {
        for shipped in shipped_scenarios() {
            let spec = with(shipped.name, &[]).spec;
            assert_eq!(
                spec.physics_steps(),
                spec.task.physics_steps,
                "{}",
                shipped.name
            );
        }
    }

    #[test]
    fn steps_in_which_bodies_could_pass_each_other_are_divided() {
        let mover = |radius: f64, speed: f64| {
            format!("movers=[{{ linear = {{ radius_m = {radius}, speed_mps = {speed} }} }}]")
        };
        let steps = |flags: &[&str]| with("open_field", flags).spec.physics_steps();
        // A robot of 0.2 m and 1 m/s alone is stopped by walls at any speed.
        assert_eq!(steps(&["task.control_step_secs=2"]), 1);
        // Together they approach by 0.5 m in 0.1 s, which is their half widths: just enough.
        assert_eq!(steps(&[&mover(0.31, 4.0)]), 1);
        // By 0.6 m: four steps for each 0.5 m.
        assert_eq!(steps(&[&mover(0.3, 5.0)]), 5);
        assert_eq!(steps(&[&mover(0.3, 5.0), "task.physics_steps=2"]), 2);
        // A thin mover could jump over a wall, though not over the robot.
        assert_eq!(steps(&[&mover(0.05, 1.2)]), 5);
        assert_eq!(steps(&["robot.count=2", "task.control_step_secs=0.2"]), 1);
        assert_eq!(steps(&["robot.count=2", "task.control_step_secs=0.3"]), 6);
    }
}
