//! Straight to the goal, blind to everything on the way.

use super::DriverError;
use crate::env::{Actor, obs_layout};
use crate::scenario::Scenario;
use crate::scenario::spec::DriveSpec;

/// Turns towards the goal and drives there, the slower the more it still has to turn. It remembers
/// nothing: where the goal is no longer shown it stands still.
#[derive(Clone, Debug)]
pub struct Straight {
    obs_dim: usize,
    /// Where the goal block begins.
    goal: usize,
    /// The action that asks for standing still, and how much of the action makes full speed.
    stand: f32,
    turn_gain: f32,
}

/// Share of the remaining bearing that is turned per second, 1/s.
const TURN_RATE_PER_RAD: f64 = 2.5;

impl Straight {
    /// A driver for the robot of a scenario.
    ///
    /// # Errors
    /// If the observation has no goal block.
    pub fn new(scenario: &Scenario) -> Result<Self, DriverError> {
        let layout = obs_layout(scenario);
        let goal = layout.block("goal").ok_or_else(|| DriverError::Blind {
            driver: "straight",
            block: "goal",
            scenario: scenario.name.clone(),
        })?;
        let DriveSpec::Differential(drive) = &scenario.spec.robot[0].drive;
        let (forward, reverse) = (drive.max_speed_mps.max(), drive.max_reverse_mps.max());
        Ok(Self {
            obs_dim: layout.dim(),
            goal: goal.start,
            stand: (2.0 * reverse / (forward + reverse) - 1.0) as f32,
            turn_gain: (TURN_RATE_PER_RAD / drive.max_turn_rate_radps.max()) as f32,
        })
    }
}

impl Actor for Straight {
    fn begin_episode(&mut self, _env: usize, _episode: u64) {}

    fn act(&mut self, _envs: &[usize], observations: &[f32], actions: &mut [f32]) {
        let rows = observations
            .chunks_exact(self.obs_dim)
            .zip(actions.chunks_exact_mut(2));
        for (observation, action) in rows {
            let (cos, sin) = (observation[self.goal + 1], observation[self.goal + 2]);
            let bearing = libm::atan2f(sin, cos);
            // Cubed, so that it turns nearly on the spot and does not circle the goal.
            let ahead = cos.max(0.0).powi(3);
            action[0] = self.stand + (1.0 - self.stand) * ahead;
            action[1] = (self.turn_gain * bearing).clamp(-1.0, 1.0);
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
        let mut driver = Straight::new(&scenario).unwrap();
        let mut env = NavEnv::new(Arc::clone(&scenario), 5, Split::Eval, 0).unwrap();
        let mut observation = vec![0.0; env.obs_layout().dim()];
        let mut action = [0.0; 2];
        for episode in 0..100 {
            env.reset(episode);
            let outcome = loop {
                env.observe(&mut observation);
                driver.act(&[0], &observation, &mut action);
                if let Some(outcome) = env.step(&action).outcome {
                    break outcome;
                }
            };
            assert_eq!(outcome, Outcome::Goal, "episode {episode}");
        }
    }
}
