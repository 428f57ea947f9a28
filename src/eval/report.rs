//! What an evaluation found, as plain data: shown by `evenkeel eval`, kept in a run directory as
//! `evaluation.json`, drawn by the report. Definitions are METRICS.md's.

use serde::{Deserialize, Serialize};

use super::Robustness;
use crate::env::Outcome;
use crate::scenario::Drawn;
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
    pub conduct: Option<Box<ConductSummary>>,
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
pub struct ConductSummary {
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

/// One whole evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalReport {
    /// Scenario name.
    pub scenario: String,
    /// What drove: a run's name, `driver:straight`, …
    pub policy: String,
    /// Whether actions were chosen, as by a distribution's mode, rather than drawn.
    pub deterministic: bool,
    /// Root seed of the held-out episodes.
    pub seed: u64,
    /// Figures over all episodes.
    pub summary: EvalSummary,
    /// How it does in the worst of them, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub robustness: Option<Robustness>,
    /// One row an episode and robot, in order.
    pub episodes: Vec<EpisodeRow>,
    /// The first few episodes with all that is needed to draw them.
    pub traces: Vec<EpisodeTrace>,
}

/// Figures of one robot in one episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpisodeRow {
    /// Which held-out episode.
    pub episode: u64,
    /// Which of its robots; left out of a file where it is the first.
    #[serde(default, skip_serializing_if = "is_first")]
    pub robot: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Undiscounted return.
    pub episodic_return: f64,
    /// Control steps.
    pub length: u32,
    /// Seconds.
    pub time_secs: f64,
    /// Metres driven.
    pub path_m: f64,
    /// Shortest path for the circle about the robot less the goal radius, metres.
    pub geodesic_m: Option<f64>,
    /// Geodesic distance left at the end, metres.
    pub geodesic_left_m: Option<f64>,
    /// Smallest clearance, metres.
    pub min_clearance_m: f64,
    /// Mean |jerk|, metres per second cubed.
    pub jerk_mps3: f64,
    /// The physical numbers that were drawn from ranges, in the order in which they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drawn: Vec<DrawnNumber>,
    /// How the robot drove. Absent in files of older builds.
    #[serde(default)]
    pub conduct: Option<Conduct>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_first(robot: &u32) -> bool {
    *robot == 0
}

/// A physical number that was drawn for an episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrawnNumber {
    /// Its key in the scenario file.
    pub name: String,
    /// What was drawn.
    pub value: f32,
}

impl From<&Drawn> for DrawnNumber {
    fn from(drawn: &Drawn) -> Self {
        Self {
            name: drawn.name.to_owned(),
            value: drawn.value,
        }
    }
}

/// How the robot drove in one episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conduct {
    /// Seconds with less clearance than [`super::SAFETY_MARGIN_M`].
    pub below_margin_secs: f64,
    /// Share of the time within each of [`super::PROXEMIC_M`] of a mover. Absent without movers.
    pub proxemics: Option<[f64; 3]>,
    /// Heading turned per metre driven, turning on the spot included, less what the shortest path
    /// from start to goal turns per metre of its own, radians per metre. A shortest path without
    /// length turns not at all. Absent where less than 0.1 m was driven, and where geodesics were
    /// not computed.
    pub irregularity_radpm: Option<f64>,
    /// The failures that came about, whatever the episode's outcome.
    pub failures: Vec<FailureKind>,
}

/// A way of failing that no outcome names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// For 10 s the robot stayed within 0.2 m and 15° of its pose at their beginning.
    Stuck,
    /// Within 10 s, and within 1 m of where it was at their beginning, the robot's net turning
    /// came to two turns.
    Spinning,
    /// For 10 s the robot stayed within 1 m of where it was at their beginning, and in them its
    /// speed changed sign more than ten times, or its turn rate did. Below 0.05 m/s and 0.1 rad/s
    /// they have no sign.
    Oscillating,
    /// The robot touched something at a control step that the episode went on after.
    Grazing,
}

impl FailureKind {
    /// Every kind, in the order in which tables show them.
    pub const ALL: [Self; 4] = [
        Self::Stuck,
        Self::Spinning,
        Self::Oscillating,
        Self::Grazing,
    ];
}

/// One episode, drawable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpisodeTrace {
    /// Which held-out episode.
    pub episode: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Seconds between two poses.
    pub dt_secs: f64,
    /// Arena: `[min_x, min_y, max_x, max_y]`, metres.
    pub arena: [f32; 4],
    /// Standing obstacles.
    pub obstacles: Vec<DrawnShape>,
    /// Goal centre and radius, metres.
    pub goal: [f32; 3],
    /// Likewise for each place where the goal might as well have been.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decoys: Vec<[f32; 3]>,
    /// Radius of the circle about the robot, metres.
    pub robot_radius: f32,
    /// Corners of its outline in its own frame, metres, where that is not the circle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub robot_hull: Vec<[f32; 2]>,
    /// `[x, y, heading]` at each control step, the start included.
    pub poses: Vec<[f32; 3]>,
    /// Radius of each mover, metres.
    pub mover_radii: Vec<f32>,
    /// `[steps][movers] → [x, y]`, the start included.
    pub mover_positions: Vec<Vec<[f32; 2]>>,
}

/// An obstacle in world coordinates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrawnShape {
    /// `[x, y, radius]`.
    Disc([f32; 3]),
    /// Corners; two make a segment.
    Polygon(Vec<[f32; 2]>),
}
