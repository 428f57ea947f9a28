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

/// Reward terms; the reward is their sum. Each is logged by its name. A scale of 0 switches a term off;
/// the terms that are absent by default cost nothing until they are set.
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
    /// At every control step, of the angle between the robot's heading and the direction of the goal,
    /// radians, 0 to π.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heading: Option<RewardTermSpec>,
    /// At every control step, of the absolute angular velocity, radians per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_rate: Option<RewardTermSpec>,
    /// At every control step, of the absolute jerk along the heading, metres per second cubed: the
    /// second difference of the speed. The robot stands before the first step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jerk: Option<RewardTermSpec>,
    /// At every control step, of the distance from the footprint to the nearest mover or other robot,
    /// metres. Without one the term is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mover_distance: Option<RewardTermSpec>,
    /// At every control step, of the time spent with too little clearance: the control step's seconds
    /// where the clearance is below `margin_m`, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_obstacle: Option<NearObstacleRewardSpec>,
    /// At every control step, of the decrease in the length of the shortest path to the goal, metres, as
    /// `progress` with `progress_along = "path"` counts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_progress: Option<RewardTermSpec>,
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
            heading: None,
            turn_rate: None,
            jerk: None,
            mover_distance: None,
            near_obstacle: None,
            path_progress: None,
        }
    }
}

/// A reward term of a measured number x: `scale · shape(x)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardTermSpec {
    /// Factor. Negative for what the robot should avoid.
    pub scale: f64,
    /// What is made of x before it is scaled.
    #[serde(default)]
    pub shape: RewardShape,
}

/// The time near obstacles: `scale` times the seconds of the control step, where the clearance, measured
/// as for `clearance`, is below `margin_m`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NearObstacleRewardSpec {
    /// Reward per second. Negative to keep away from obstacles.
    pub scale: f64,
    /// The term acts below this clearance, metres.
    pub margin_m: f64,
}

/// What a reward term makes of a measured number x.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RewardShape {
    /// x itself.
    #[default]
    Linear,
    /// `exp(−x / width)`: 1 at 0, and 0 far above `width`.
    Exponential {
        /// The x at which 1/e is left, in units of x.
        width: f64,
    },
    /// x, but at least `min` and at most `max`.
    Clipped {
        /// Smallest result, in units of x.
        #[serde(default)]
        min: f64,
        /// Largest result, in units of x.
        max: f64,
    },
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
