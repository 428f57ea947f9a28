//! What the robot is asked to do, and what doing it is worth.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scenario::Quantity;

/// What the robot is asked to do, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSpec {
    /// The goal is reached when the robot's centre is within this distance of it, metres.
    pub goal_radius_m: Quantity,
    /// Start and goal are at least this far apart, metres.
    pub min_start_goal_distance_m: f64,
    /// The episode is truncated after this time, seconds.
    pub time_limit_secs: f64,
    /// For this long from its start the robot stands with its brakes on, whatever the actions,
    /// seconds. What is shown meanwhile (see `observation.goal_shown_secs`) can then be remembered
    /// by the policy alone, and not by where the robot has turned.
    pub hold_secs: f64,
    /// Whether touching anything ends the episode; otherwise the robot is stopped by what it
    /// touches and may slide along it.
    pub contact_ends_episode: bool,
    /// Time between two actions, seconds.
    pub control_step_secs: f64,
    /// Physics steps in each control step.
    pub physics_steps: u32,
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

/// Named reward terms. Each is logged by its name; a scale of 0 switches it off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardSpec {
    /// Per metre by which the distance to the goal shrank.
    pub progress: f64,
    /// Which distance that is.
    pub progress_along: ProgressMetric,
    /// Once, when the goal is reached.
    pub goal: f64,
    /// Once, when a contact ends the episode; each control step in contact where it does not.
    pub collision: f64,
    /// Every control step.
    pub time: f64,
    /// Every control step, times how far the clearance is below its margin, as a share of it.
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

/// How the distance to the goal is measured for the progress term. Either is a potential, so that
/// what is the best to do stays the best (Ng, Harada & Russell 1999).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProgressMetric {
    /// As the crow flies. Where the way leads through a dead end's mouth or around a long wall,
    /// it pays for driving in, and charges for getting out.
    #[default]
    Line,
    /// Around what stands in the way (movers do not count), on a grid of 0.1 m that is searched
    /// when an episode begins. The robot is rewarded by what it cannot see; it still acts on what
    /// it sees.
    Path,
}

/// The clearance term: `scale · max(0, 1 − clearance / margin_m)`, where the clearance is the
/// shortest lidar reading less the robot's radius; for a robot that is not round, or whose lidar
/// is not exact and at its origin, the true distance from its hull to anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClearanceRewardSpec {
    /// Reward at contact; negative to keep away from things. 0 is off.
    pub scale: f64,
    /// The clearance below which it acts, metres.
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
