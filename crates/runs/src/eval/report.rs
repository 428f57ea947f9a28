//! Results of an evaluation as plain data. `evenkeel eval` prints them, a run directory contains
//! them as `evaluation.json`, and the report draws them. Definitions are in `docs/metrics.md`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Robustness;
use crate::telemetry::EvalSummary;
use crate::telemetry::format::steps;
use evenkeel_sim::env::Outcome;
use evenkeel_sim::scenario::SampledParameter;

/// Results of one evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalReport {
    /// Scenario name.
    pub scenario: String,
    /// Name of the controller: a run's name, `planner:straight`, …
    pub policy: String,
    /// The run's checkpoint that was evaluated; `None` for planners, and in files of older builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointReference>,
    /// Whether the controller acted deterministically, such as by the mode of the action
    /// distribution, instead of sampling actions.
    pub deterministic: bool,
    /// Root seed of the held-out episodes.
    pub seed: u64,
    /// Results over all episodes.
    pub summary: EvalSummary,
    /// Results in the worst levels; `None` if not requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub robustness: Option<Robustness>,
    /// One row per episode and robot, in order.
    pub episodes: Vec<EpisodeRow>,
    /// Traces of the first few episodes, to draw them.
    pub traces: Vec<EpisodeTrace>,
}

/// One of a run's checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointReference {
    /// Its name: `best`, `last`.
    pub name: String,
    /// Environment steps of training before it was saved.
    pub global_step: u64,
}

/// As in `best, step 235 k`.
impl fmt::Display for CheckpointReference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}, step {}", self.name, steps(self.global_step as f64))
    }
}

/// Results of one robot in one episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpisodeRow {
    /// Index of the held-out episode.
    pub episode: u64,
    /// Index of the robot in the episode. Omitted from files if it is 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub robot: u32,
    /// Outcome.
    pub outcome: Outcome,
    /// Undiscounted return.
    #[serde(with = "crate::json::nullable")]
    pub episodic_return: f64,
    /// Length in control steps.
    pub length: u32,
    /// Length in seconds.
    pub time_secs: f64,
    /// Length of the driven path, metres.
    #[serde(with = "crate::json::nullable")]
    pub path_m: f64,
    /// Length of the shortest path for the robot's bounding circle, minus the goal radius, metres.
    pub geodesic_m: Option<f64>,
    /// Geodesic distance to the goal at the end, metres.
    pub geodesic_remaining_m: Option<f64>,
    /// Smallest clearance, metres.
    #[serde(with = "crate::json::nullable")]
    pub min_clearance_m: f64,
    /// Mean |jerk|, metres per second cubed.
    #[serde(with = "crate::json::nullable")]
    pub jerk_mps3: f64,
    /// Physical parameters that were sampled for the episode, in the order of sampling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sampled_parameters: Vec<SampledNumber>,
    /// Driving quality. `None` in files of older builds.
    #[serde(default)]
    pub driving_quality: Option<DrivingQuality>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_first(robot: &u32) -> bool {
    *robot == 0
}

/// A physical parameter that was sampled for an episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampledNumber {
    /// Key in the scenario file.
    pub name: String,
    /// Sampled value.
    pub value: f32,
}

impl From<&SampledParameter> for SampledNumber {
    fn from(sampled: &SampledParameter) -> Self {
        Self {
            name: sampled.name.to_owned(),
            value: sampled.value,
        }
    }
}

/// Driving quality of one robot in one episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrivingQuality {
    /// Seconds with less clearance than [`super::SAFETY_MARGIN_M`].
    pub below_margin_secs: f64,
    /// Share of the time within each distance of [`super::PROXEMIC_M`] of a mover. `None` without
    /// movers.
    pub proxemics: Option<[f64; 3]>,
    /// Path irregularity, radians per metre: change of heading per metre driven, including turning
    /// on the spot, minus that of the shortest path from start to goal. `None` if less than 0.1 m
    /// was driven or geodesics were not computed.
    pub irregularity_radpm: Option<f64>,
    /// Failures in the episode, independent of its outcome.
    pub failures: Vec<FailureKind>,
}

/// A kind of failure that is not an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The robot stayed within 0.2 m and 15° of a pose for 10 s.
    Stuck,
    /// The robot made two net turns within 10 s and within 1 m of a position.
    Spinning,
    /// The robot stayed within 1 m of a position for 10 s, and its speed or its turn rate changed
    /// sign more than ten times in that time. Values below 0.05 m/s and 0.1 rad/s have no sign.
    Oscillating,
    /// The robot touched something, and the episode continued.
    Grazing,
}

impl FailureKind {
    /// All kinds in the order of tables.
    pub const ALL: [Self; 4] = [
        Self::Stuck,
        Self::Spinning,
        Self::Oscillating,
        Self::Grazing,
    ];
}

/// Trace of one episode, with all that is needed to draw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpisodeTrace {
    /// Index of the held-out episode.
    pub episode: u64,
    /// Outcome.
    pub outcome: Outcome,
    /// Time between two poses, seconds.
    pub dt_secs: f64,
    /// Arena as `[min_x, min_y, max_x, max_y]`, metres.
    pub arena: [f32; 4],
    /// Static obstacles.
    pub obstacles: Vec<ObstacleOutline>,
    /// Goal as `[x, y, radius]`, metres.
    pub goal: [f32; 3],
    /// Other positions at which the goal could have been, each as `[x, y, radius]`, metres.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternative_goals: Vec<[f32; 3]>,
    /// Radius of the robot's bounding circle, metres.
    pub robot_radius: f32,
    /// Corners of the robot's footprint in its own frame, metres. Empty for a round robot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub robot_footprint: Vec<[f32; 2]>,
    /// Pose `[x, y, heading]` at the start and after each control step, metres and radians.
    #[serde(with = "crate::json::nullable_rows")]
    pub poses: Vec<[f32; 3]>,
    /// Radius of each mover, metres.
    pub mover_radii: Vec<f32>,
    /// Positions of movers, `[steps + 1][movers]` of `[x, y]`, metres, including the start.
    pub mover_positions: Vec<Vec<[f32; 2]>>,
}

/// Outline of an obstacle in world coordinates, metres.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObstacleOutline {
    /// `[x, y, radius]`.
    Disc([f32; 3]),
    /// Corners `[x, y]`; two are a line segment.
    Polygon(Vec<[f32; 2]>),
}
