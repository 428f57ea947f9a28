//! Figures of one evaluation, as plain data: part of the `evaluation` event, of `evaluation.json` and of
//! the report.

use serde::{Deserialize, Serialize};

use crate::stats::{Average, Estimate};

/// Figures over all episodes of one evaluation. Shares of episodes have Wilson's intervals, means one by
/// the normal approximation where there are values enough. Where several robots share a world, a
/// figure is the mean over episodes of the mean over an episode's robots, and the intervals are
/// over episodes: robots that have met are not independent of one another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EvalSummary {
    /// Number of episodes.
    pub episodes: u64,
    /// Ends by outcome, in the order of `Outcome::ALL`; each robot has its own.
    pub outcomes: [u64; 6],
    /// Share that reached the goal, Wilson interval.
    pub success: Estimate,
    /// Success weighted by path length. Absent where geodesics were not computed.
    pub spl: Option<Average>,
    /// `SoftSPL`. Absent where geodesics were not computed.
    pub soft_spl: Option<Average>,
    /// Success weighted by completion time. Absent where geodesics were not computed.
    pub sct: Option<Average>,
    /// Seconds to the goal over the successes; absent without any.
    pub time_to_goal_secs: Option<Average>,
    /// Undiscounted return.
    pub episodic_return: Average,
    /// Episode length, control steps.
    pub length: Average,
    /// Smallest clearance in an episode, metres, mean over episodes.
    pub min_clearance_m: Average,
    /// Mean |jerk| in an episode, metres per second cubed, mean over episodes.
    pub jerk_mps3: Average,
    /// Share of episodes that ended so, Wilson intervals, in the order of `Outcome::ALL`. Absent
    /// in files of older builds.
    #[serde(default)]
    pub outcome_rates: Option<[Estimate; 6]>,
    /// How the robot drove. Absent without episodes and in files of older builds.
    #[serde(default)]
    pub driving_quality: Option<Box<DrivingQualitySummary>>,
}

impl EvalSummary {
    /// How many robots an episode has.
    pub fn robots(&self) -> u64 {
        let parts: u64 = self.outcomes.iter().sum();
        (parts / self.episodes.max(1)).max(1)
    }
}

/// How the robot drove, over all episodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrivingQualitySummary {
    /// The safety margin that `below_margin_secs` is about, metres.
    pub margin_m: f64,
    /// Seconds in an episode with less clearance than that, mean over episodes.
    pub below_margin_secs: Average,
    /// Share of an episode's time within 0.45, 1.2 and 3.6 m of a mover, surface to surface, mean
    /// over episodes. Absent without movers.
    pub proxemics: Option<[Average; 3]>,
    /// Path irregularity, radians per metre, mean over the episodes that have one. Absent without
    /// any and where geodesics were not computed.
    pub irregularity_radpm: Option<Average>,
    /// How many episodes have a path irregularity.
    pub irregularity_episodes: u64,
    /// Share of episodes in which the robot was stuck, Wilson interval; so are the others.
    pub stuck: Estimate,
    /// … in which it was spinning.
    pub spinning: Estimate,
    /// … in which it was oscillating.
    pub oscillating: Estimate,
    /// … in which it was grazing.
    pub grazing: Estimate,
}
