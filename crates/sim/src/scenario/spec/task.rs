//! The task and the reward.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scenario::Quantity;

/// The task: to reach the goal within a time limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSpec {
    /// The goal is reached when the robot's centre is within this distance of it, metres.
    pub goal_radius_m: Quantity,
    /// Smallest distance from start to goal, metres.
    pub min_start_goal_distance_m: f64,
    /// The episode is truncated after this time, seconds, rounded to whole control steps, at least one.
    pub time_limit_secs: f64,
    /// Time from the episode's start for which the robot stands with its brakes on and ignores actions,
    /// seconds, rounded to whole control steps. Then only the policy can remember a goal that is shown in this time (see
    /// `observation.goal_shown_secs`): the robot cannot turn towards it.
    pub hold_secs: f64,
    /// Whether a contact ends the episode. Otherwise obstacles stop the robot, and it may slide along
    /// them.
    pub contact_ends_episode: bool,
    /// Time between two actions, seconds.
    pub control_step_secs: f64,
    /// Physics steps in each control step. With movers or several robots, more are made where a body
    /// could otherwise pass through a robot or a wall within a step; `evenkeel scenario check` shows
    /// how many. A contact in any of them counts.
    pub physics_steps: u32,
}

impl TaskSpec {
    /// Control steps in an episode, at least 1.
    pub fn time_limit_steps(&self) -> u32 {
        self.whole_steps(self.time_limit_secs).max(1)
    }

    /// Control steps at the start of an episode in which the robot stands.
    pub fn hold_steps(&self) -> u32 {
        self.whole_steps(self.hold_secs)
    }

    fn whole_steps(&self, secs: f64) -> u32 {
        (secs / self.control_step_secs).round() as u32
    }
}

impl Default for TaskSpec {
    fn default() -> Self {
        Self {
            goal_radius_m: Quantity::Fixed(0.3),
            min_start_goal_distance_m: 1.0,
            time_limit_secs: 50.0,
            hold_secs: 0.0,
            contact_ends_episode: true,
            control_step_secs: 0.1,
            physics_steps: 1,
        }
    }
}

/// Reward terms. Each is logged by its name. A scale of 0 switches a term off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardSpec {
    /// Per metre of decrease in the distance to the goal.
    pub progress: f64,
    /// How that distance is measured.
    pub progress_along: ProgressMetric,
    /// Once, when the goal is reached.
    pub goal: f64,
    /// Once, when a contact ends the episode. If contacts do not end the episode: at every control step
    /// in contact.
    pub collision: f64,
    /// At every control step.
    pub time: f64,
    /// At every control step with too little clearance.
    pub clearance: ClearanceRewardSpec,
}

impl Default for RewardSpec {
    fn default() -> Self {
        Self {
            progress: 1.0,
            progress_along: ProgressMetric::default(),
            goal: 10.0,
            collision: -10.0,
            time: -0.01,
            clearance: ClearanceRewardSpec::default(),
        }
    }
}

/// How the progress term measures the distance to the goal. Both distances are potentials, so that
/// the optimal policy does not change (Ng, Harada & Russell 1999).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProgressMetric {
    /// Along the straight line. It rewards driving into a dead end and punishes leaving it.
    #[default]
    Line,
    /// Along the shortest path around obstacles (not movers), on a grid of 0.1 m that is searched at
    /// the start of an episode. The reward then uses obstacles that the policy does not observe.
    Path,
}

/// The clearance term: `scale · max(0, 1 − clearance / margin_m)`. The clearance is the shortest lidar
/// reading minus the robot's radius. For a robot that is not round, or whose lidar is not exact or
/// not at its origin, it is the true distance from the footprint to the nearest obstacle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClearanceRewardSpec {
    /// Reward at contact. Negative to keep away from obstacles. 0 is off.
    pub scale: f64,
    /// The term acts below this clearance, metres.
    pub margin_m: f64,
}

impl Default for ClearanceRewardSpec {
    fn default() -> Self {
        Self {
            scale: 0.0,
            margin_m: 0.3,
        }
    }
}
