//! Teleoperation: a person drives with a joystick.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::env::{Controller, action_dim};
use crate::scenario::spec::DriveSpec;
use crate::scenario::{Quantity, Scenario};

/// The state of a joystick, shared by all clones.
#[derive(Clone, Debug, Default)]
pub struct Joystick(Arc<[AtomicU32; 2]>);

impl Joystick {
    /// Sets the deflection forwards and to the left, each from -1 to 1. NaN counts as 0.
    pub fn push(&self, forward: f32, left: f32) {
        for (axis, value) in self.0.iter().zip([forward, left]) {
            let value = if value.is_nan() { 0.0 } else { value };
            axis.store(value.clamp(-1.0, 1.0).to_bits(), Ordering::Relaxed);
        }
    }

    fn read(&self) -> [f32; 2] {
        [0, 1].map(|axis: usize| f32::from_bits(self.0[axis].load(Ordering::Relaxed)))
    }
}

/// A controller that follows a [`Joystick`]. The robot stops when the joystick is released.
#[derive(Clone, Debug)]
pub struct Teleop {
    joystick: Joystick,
    /// Length of an action: the first entry is the forward speed, the last turns or steers.
    action_dim: usize,
    /// Forward entry that commands speed 0.
    stand: f32,
}

impl Teleop {
    /// A controller for the robots of a scenario, and its joystick.
    pub fn new(scenario: &Scenario) -> (Self, Joystick) {
        let stand = |forward: Quantity, reverse: Quantity| {
            let (forward, reverse) = (forward.max(), reverse.max());
            (2.0 * reverse / (forward + reverse) - 1.0) as f32
        };
        let stand = match &scenario.spec.robot[0].drive {
            DriveSpec::Differential(drive) => stand(drive.max_speed_mps, drive.max_reverse_mps),
            DriveSpec::Ackermann(drive) => stand(drive.max_speed_mps, drive.max_reverse_mps),
            DriveSpec::Omni(_) => 0.0,
        };
        let joystick = Joystick::default();
        let teleop = Self {
            joystick: joystick.clone(),
            action_dim: action_dim(scenario),
            stand,
        };
        (teleop, joystick)
    }
}

impl Controller for Teleop {
    fn begin_episode(&mut self, _env: usize, _episode: u64) {}

    fn act(&mut self, _envs: &[usize], _observations: &[f32], actions: &mut [f32]) {
        let [forward, left] = self.joystick.read();
        let scale = if forward > 0.0 {
            1.0 - self.stand
        } else {
            1.0 + self.stand
        };
        for action in actions.chunks_exact_mut(self.action_dim) {
            action.fill(0.0);
            action[0] = self.stand + scale * forward;
            action[self.action_dim - 1] = left;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Override;
    use crate::scenario::resolve;

    #[test]
    fn the_deflection_is_the_share_of_the_top_speed() {
        let reverse = Override::parse("robot.drive.differential.max_reverse_mps=0.5").unwrap();
        let scenario = resolve("open_field", &[reverse]).unwrap();
        let (mut teleop, joystick) = Teleop::new(&scenario);
        let mut command = |forward, left| {
            joystick.push(forward, left);
            let mut action = [9.0; 2];
            teleop.act(&[0], &[], &mut action);
            // The bounds are -0.5 to 1 m/s and 2 rad/s.
            [0.75 * (action[0] + 1.0) - 0.5, 2.0 * action[1]]
        };
        let expected = [
            ((0.0, 0.0), [0.0, 0.0]),
            ((1.0, 0.0), [1.0, 0.0]),
            ((0.5, -1.0), [0.5, -2.0]),
            ((-1.0, 0.5), [-0.5, 1.0]),
            ((f32::NAN, 9.0), [0.0, 2.0]),
        ];
        for ((forward, left), twist) in expected {
            let got = command(forward, left);
            let is_near = got.iter().zip(twist).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(is_near, "{forward}, {left}: {got:?}");
        }
    }
}
