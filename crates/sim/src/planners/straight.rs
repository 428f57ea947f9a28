//! Drives straight to the goal, and ignores obstacles.

use super::error::PlannerError;
use crate::env::{Controller, GOAL_SCALE_M, action_dim, obs_layout};
use crate::scenario::spec::DriveSpec;
use crate::scenario::{Quantity, Scenario};

/// Turns towards the goal and drives there, slower at larger bearings. Without memory: it stands
/// still when the goal is not shown. An omnidirectional robot moves towards the goal without
/// turning first. A car drives the arc to the goal, and may circle a goal that is inside its
/// turning circle.
#[derive(Clone, Debug)]
pub struct StraightPlanner {
    obs_dim: usize,
    action_dim: usize,
    /// First index of the goal block.
    goal: usize,
    drive: DriveParams,
}

/// Parameters of a drive. `stand` is the forward entry that commands speed 0.
#[derive(Clone, Debug)]
enum DriveParams {
    Differential {
        stand: f32,
        turn_gain: f32,
    },
    Omni {
        turn_gain: f32,
    },
    Ackermann {
        stand: f32,
        wheelbase: f32,
        max_steering: f32,
    },
}

/// Smallest share of its top speed at which a car turns, because it cannot turn in place.
const MIN_TURNING_SPEED: f32 = 0.4;

/// Turn rate per bearing, 1/s.
const TURN_RATE_PER_RAD: f64 = 2.5;

impl StraightPlanner {
    /// A planner for the robots of a scenario.
    ///
    /// # Errors
    /// If the observation has no goal block.
    pub fn new(scenario: &Scenario) -> Result<Self, PlannerError> {
        let layout = obs_layout(scenario);
        let goal = layout
            .block("goal")
            .ok_or_else(|| PlannerError::MissingBlock {
                planner: "straight",
                block: "goal",
                scenario: scenario.name.clone(),
            })?;
        let stand = |forward: Quantity, reverse: Quantity| {
            let (forward, reverse) = (forward.max(), reverse.max());
            (2.0 * reverse / (forward + reverse) - 1.0) as f32
        };
        let turn_gain = |turn_rate: Quantity| (TURN_RATE_PER_RAD / turn_rate.max()) as f32;
        let drive = match &scenario.spec.robot[0].drive {
            DriveSpec::Differential(drive) => DriveParams::Differential {
                stand: stand(drive.max_speed_mps, drive.max_reverse_mps),
                turn_gain: turn_gain(drive.max_turn_rate_radps),
            },
            DriveSpec::Omni(drive) => DriveParams::Omni {
                turn_gain: turn_gain(drive.max_turn_rate_radps),
            },
            DriveSpec::Ackermann(drive) => DriveParams::Ackermann {
                stand: stand(drive.max_speed_mps, drive.max_reverse_mps),
                wheelbase: drive.wheelbase_m.max() as f32,
                max_steering: drive.max_steering_rad.max() as f32,
            },
        };
        Ok(Self {
            obs_dim: layout.dim(),
            action_dim: action_dim(scenario),
            goal: goal.start,
            drive,
        })
    }
}

impl Controller for StraightPlanner {
    fn begin_episode(&mut self, _env: usize, _episode: u64) {}

    fn act(&mut self, _envs: &[usize], observations: &[f32], actions: &mut [f32]) {
        let rows = observations
            .chunks_exact(self.obs_dim)
            .zip(actions.chunks_exact_mut(self.action_dim));
        for (observation, action) in rows {
            let (cos, sin) = (observation[self.goal + 1], observation[self.goal + 2]);
            let bearing = libm::atan2f(sin, cos);
            // Cubed, so that the robot turns nearly in place and does not circle the goal.
            let ahead = cos.max(0.0).powi(3);
            match self.drive {
                DriveParams::Differential { stand, turn_gain } => {
                    action[0] = stand + (1.0 - stand) * ahead;
                    action[1] = (turn_gain * bearing).clamp(-1.0, 1.0);
                }
                DriveParams::Omni { turn_gain } => {
                    action[..2].copy_from_slice(&[cos, sin]);
                    action[2] = (turn_gain * bearing).clamp(-1.0, 1.0);
                }
                DriveParams::Ackermann {
                    stand,
                    wheelbase,
                    max_steering,
                } => {
                    // The arc to the goal (pure pursuit, Coulter 1992).
                    let distance = GOAL_SCALE_M * observation[self.goal];
                    let curvature = 2.0 * sin / distance.max(0.1);
                    let steering = libm::atanf(curvature * wheelbase);
                    let is_shown = f32::from(cos != 0.0 || sin != 0.0);
                    action[0] = stand + (1.0 - stand) * is_shown * ahead.max(MIN_TURNING_SPEED);
                    action[1] = if cos < 0.0 {
                        sin.signum()
                    } else {
                        (steering / max_steering).clamp(-1.0, 1.0)
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::env::{NavEnv, Outcome};
    use crate::seed::Split;

    #[test]
    fn it_reaches_every_goal_of_an_open_field() {
        let scenario = Arc::new(crate::scenario::resolve("open_field", &[]).unwrap());
        let mut planner = StraightPlanner::new(&scenario).unwrap();
        let mut env = NavEnv::new(Arc::clone(&scenario), 5, Split::Eval, 0).unwrap();
        let mut observation = vec![0.0; env.obs_layout().dim()];
        let mut action = [0.0; 2];
        for episode in 0..100 {
            env.reset(episode);
            let outcome = loop {
                env.observe(&mut observation);
                planner.act(&[0], &observation, &mut action);
                if let Some(outcome) = env.step(&action).outcome {
                    break outcome;
                }
            };
            assert_eq!(outcome, Outcome::Goal, "episode {episode}");
        }
    }
}
