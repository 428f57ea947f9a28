//! Results of one evaluation as plain data. They are part of the `evaluation` event and of
//! `evaluation.json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::{Average, Estimate};

/// Results over all episodes of one evaluation. Shares of episodes have Wilson intervals. Means
/// have intervals by the normal approximation if there are enough values. With several robots per
/// world, a value is the mean over episodes of the mean over the episode's robots. Intervals then
/// count episodes, because robots in one world are not independent of each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvalSummary {
    /// Number of episodes.
    pub episodes: u64,
    /// Number of robots with each outcome, in the order `goal`, `collision_static`,
    /// `collision_mover`, `out_of_bounds`, `time_limit`, `non_finite`.
    pub outcomes: [u64; 6],
    /// Share of robots that reached the goal, with Wilson interval.
    pub success: Estimate,
    /// Success weighted by path length; `None` if geodesics were not computed.
    pub spl: Option<Average>,
    /// `SoftSPL`; `None` if geodesics were not computed.
    pub soft_spl: Option<Average>,
    /// Success weighted by completion time; `None` if geodesics were not computed.
    pub sct: Option<Average>,
    /// Seconds to the goal, mean over successes; `None` without successes.
    pub time_to_goal_secs: Option<Average>,
    /// Undiscounted return.
    pub episodic_return: Average,
    /// Episode length, control steps.
    pub length: Average,
    /// Smallest clearance in an episode, metres, mean over episodes.
    pub min_clearance_m: Average,
    /// Mean |jerk| in an episode, metres per second cubed, mean over episodes.
    pub jerk_mps3: Average,
    /// Share of each outcome in the same order, with Wilson intervals. `None` in files of older
    /// builds.
    #[serde(default)]
    pub outcome_rates: Option<[Estimate; 6]>,
    /// Driving quality. `None` without episodes and in files of older builds.
    #[serde(default)]
    pub driving_quality: Option<Box<DrivingQualitySummary>>,
}

impl EvalSummary {
    /// Number of robots per episode.
    pub fn robots(&self) -> u64 {
        let robot_episodes: u64 = self.outcomes.iter().sum();
        (robot_episodes / self.episodes.max(1)).max(1)
    }
}

/// Driving quality over all episodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DrivingQualitySummary {
    /// Safety margin of `below_margin_secs`, metres.
    pub margin_m: f64,
    /// Seconds in an episode with less clearance than the safety margin, mean over episodes.
    pub below_margin_secs: Average,
    /// Share of an episode's time within 0.45, 1.2 and 3.6 m of a mover, surface to surface, mean
    /// over episodes. `None` without movers.
    pub proxemics: Option<[Average; 3]>,
    /// Path irregularity, radians per metre, mean over the episodes that have one. `None` if no
    /// episode has one or geodesics were not computed.
    pub irregularity_radpm: Option<Average>,
    /// Number of episodes with a path irregularity.
    pub irregularity_episodes: u64,
    /// Share of episodes in which the robot was stuck, with Wilson interval.
    pub stuck: Estimate,
    /// Share of episodes in which the robot was spinning, with Wilson interval.
    pub spinning: Estimate,
    /// Share of episodes in which the robot was oscillating, with Wilson interval.
    pub oscillating: Estimate,
    /// Share of episodes in which the robot was grazing obstacles, with Wilson interval.
    pub grazing: Estimate,
}
