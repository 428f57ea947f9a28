//! Stability margins: how far a setting can be turned up and down before training fails, for each
//! arm. Like the gain margin of a control loop, a margin says how far from instability an arm is.

mod axis;
mod outcome;
mod request;
mod run;
mod search;
mod text;

pub use axis::{AxisError, MarginAxis};
pub use outcome::MarginOutcome;
pub use request::{MarginError, MarginRequest};
pub use run::{MarginListener, MarginPlan};

use serde::{Deserialize, Serialize};

/// Name of the file in a margin's folder that holds the [`MarginReport`].
pub const MARGIN_FILE: &str = "margin.json";

/// The stability margins of some arms on some axes in one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarginReport {
    /// Scenario name.
    pub scenario: String,
    /// Environment steps of each run.
    pub steps: u64,
    /// Root seeds of the runs at each factor.
    pub seeds: Vec<u64>,
    /// Arms.
    pub arms: Vec<MarginArm>,
    /// Axes.
    pub axes: Vec<MarginAxisInfo>,
    /// One for each arm and axis, arm by arm.
    pub margins: Vec<Margin>,
    /// Runs in all.
    pub runs: usize,
    /// Runs of them that were given up before their end.
    pub given_up: usize,
}

/// An arm at a factor of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarginArm {
    /// Its name.
    pub name: String,
    /// Median final success over seeds.
    pub success: f64,
    /// Runs with less final success than this count as failed.
    pub target: f64,
}

/// An axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarginAxisInfo {
    /// Its name.
    pub name: String,
    /// What it turns.
    pub description: String,
}

/// The usable range of one axis for one arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Margin {
    /// Arm name.
    pub arm: String,
    /// Axis name.
    pub axis: String,
    /// Whether the axis starts at 0, so that it is turned up only, from a first value on.
    pub from_zero: bool,
    /// The lower end of the usable range. Absent if nothing works, or if the axis starts at 0.
    pub low: Option<MarginEnd>,
    /// The upper end of the usable range. Absent if nothing works.
    pub high: Option<MarginEnd>,
    /// The runs by octaves, ascending.
    pub probes: Vec<MarginProbe>,
}

/// One end of a usable range, in octaves: the base-2 logarithm of the factor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarginEnd {
    /// Where half of the seeds fail. If none of the tried values fails, the last one tried.
    pub octaves: f64,
    /// Lower end of its 95 % interval.
    pub lowest: f64,
    /// Upper end of its 95 % interval.
    pub highest: f64,
    /// Whether nothing fails up to here: the margin is at least this.
    pub censored: bool,
    /// The value of the setting there, where the axis is one setting.
    pub value: Option<f64>,
}

/// The runs of an arm at one factor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarginProbe {
    /// Base-2 logarithm of the factor. For an axis that starts at 0: 0 for 0, 1 for the first value.
    pub octaves: f64,
    /// The changed settings, each `path=value`.
    pub set: Vec<String>,
    /// One for each seed.
    pub runs: Vec<MarginRun>,
}

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarginRun {
    /// Root seed.
    pub seed: u64,
    /// How it ended.
    pub outcome: MarginOutcome,
    /// Success rate of the last evaluation during training; 0 if it diverged.
    pub success: f64,
}

impl MarginProbe {
    /// Whether at least half of the runs failed.
    pub fn fails(&self) -> bool {
        let failed = self.runs.iter().filter(|run| run.outcome.fails()).count();
        2 * failed >= self.runs.len()
    }
}

impl Margin {
    /// Width of the usable range in decades, and whether it is at least that. Absent if nothing
    /// works.
    pub fn decades(&self) -> Option<(f64, bool)> {
        let high = self.high?;
        let low = self.low;
        let octaves = high.octaves - low.map_or(0.0, |low| low.octaves);
        let censored = high.censored || low.is_some_and(|low| low.censored);
        Some((octaves * std::f64::consts::LOG10_2, censored))
    }
}
