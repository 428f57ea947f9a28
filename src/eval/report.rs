//! What an evaluation found, as plain data: shown by `evenkeel eval`, kept in a run directory as
//! `evaluation.json`, drawn by the report. Definitions are METRICS.md's.

use serde::{Deserialize, Serialize};

use crate::env::Outcome;
use crate::stats::Estimate;

/// Figures over all episodes of one evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EvalSummary {
    /// Number of episodes.
    pub episodes: u64,
    /// Ends by outcome, in the order of `Outcome::ALL`.
    pub outcomes: [u64; 6],
    /// Share that reached the goal, Wilson interval.
    pub success: Estimate,
    /// Success weighted by path length. Absent where geodesics were not computed.
    pub spl: Option<Estimate>,
    /// `SoftSPL`. Absent where geodesics were not computed.
    pub soft_spl: Option<Estimate>,
    /// Success weighted by completion time. Absent where geodesics were not computed.
    pub sct: Option<Estimate>,
    /// Seconds to the goal over the successes; absent without any.
    pub time_to_goal_secs: Option<Estimate>,
    /// Undiscounted return.
    pub episodic_return: Estimate,
    /// Episode length, control steps.
    pub length: Estimate,
    /// Smallest clearance in an episode, metres, mean over episodes.
    pub min_clearance_m: Estimate,
    /// Mean |jerk| in an episode, metres per second cubed, mean over episodes.
    pub jerk_mps3: Estimate,
}

/// One whole evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalReport {
    /// Scenario name.
    pub scenario: String,
    /// What drove: a run's name, `driver:straight`, …
    pub policy: String,
    /// Whether actions were the distribution's mode.
    pub deterministic: bool,
    /// Root seed of the held-out episodes.
    pub seed: u64,
    /// Figures over all episodes.
    pub summary: EvalSummary,
    /// One row an episode, in order.
    pub episodes: Vec<EpisodeRow>,
    /// The first few episodes with all that is needed to draw them.
    pub traces: Vec<EpisodeTrace>,
}

/// Figures of one episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpisodeRow {
    /// Which held-out episode.
    pub episode: u64,
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
    /// Shortest path for the robot's radius less the goal radius, metres.
    pub geodesic_m: Option<f64>,
    /// Geodesic distance left at the end, metres.
    pub geodesic_left_m: Option<f64>,
    /// Smallest clearance, metres.
    pub min_clearance_m: f64,
    /// Mean |jerk|, metres per second cubed.
    pub jerk_mps3: f64,
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
    /// Robot radius, metres.
    pub robot_radius: f32,
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
