//! What an evaluation found, as plain data: shown by `evenkeel eval`, kept in a run directory as
//! `evaluation.json`, drawn by the report. Definitions are METRICS.md's.

use serde::{Deserialize, Serialize};

use super::Robustness;
use crate::telemetry::EvalSummary;
use evenkeel_sim::env::Outcome;
use evenkeel_sim::scenario::SampledParameter;

/// One whole evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalReport {
    /// Scenario name.
    pub scenario: String,
    /// What drove: a run's name, `planner:straight`, …
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
    pub geodesic_remaining_m: Option<f64>,
    /// Smallest clearance, metres.
    pub min_clearance_m: f64,
    /// Mean |jerk|, metres per second cubed.
    pub jerk_mps3: f64,
    /// The physical numbers that were drawn from ranges, in the order in which they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sampled_parameters: Vec<SampledNumber>,
    /// How the robot drove. Absent in files of older builds.
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

/// A physical number that was drawn for an episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampledNumber {
    /// Its key in the scenario file.
    pub name: String,
    /// What was drawn.
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

/// How the robot drove in one episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrivingQuality {
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
    pub obstacles: Vec<ObstacleOutline>,
    /// Goal centre and radius, metres.
    pub goal: [f32; 3],
    /// Likewise for each place where the goal might as well have been.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternative_goals: Vec<[f32; 3]>,
    /// Radius of the circle about the robot, metres.
    pub robot_radius: f32,
    /// Corners of its outline in its own frame, metres, where that is not the circle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub robot_footprint: Vec<[f32; 2]>,
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
pub enum ObstacleOutline {
    /// `[x, y, radius]`.
    Disc([f32; 3]),
    /// Corners; two make a segment.
    Polygon(Vec<[f32; 2]>),
}
