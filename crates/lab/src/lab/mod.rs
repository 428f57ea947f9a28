//! Comparisons: arms, paired runs in child processes, scorecards and verdicts. This room must
//! never train or update by code of its own.

mod arms;
mod assessment;
#[cfg(feature = "learn")]
mod autopsy;
#[cfg(feature = "learn")]
mod compare;
mod differences;
#[cfg(feature = "learn")]
mod finish;
mod grid;
mod lineup;
mod record;
mod rows;
mod scorecard;
mod sweep;
mod verdict;

pub use arms::{
    Arm, ArmError, BUILT_IN, arm, arms, arms_among, arms_in, arms_toml, ingredients, known_arms,
    known_beside,
};
pub use assessment::{Assessment, assess, by_scenario};
#[cfg(feature = "learn")]
pub use autopsy::{
    Autopsy, AutopsyError, AutopsyOptions, Behind, Carrier, Continued, Transition, Trial, autopsy,
    behind,
};
#[cfg(feature = "learn")]
pub use compare::{ChildProgress, CompareError, CompareOptions, Job, Watcher, compare};
pub use differences::SettingDifference;
#[cfg(feature = "learn")]
pub use finish::{FinishError, finish_run};
pub use grid::{Axis, CellScore, Grid, GridCell};
pub use lineup::SetAside;
pub use record::{Collapse, Incident, RunRecord, final_success};
pub use rows::{Cell, Row, Spread, rows};
pub use scorecard::{
    ArmDifference, ArmScore, Divergence, NormScore, Paired, RunFigure, RunScore, Scorecard, Share,
    StepsTo, by_arm,
};
pub use sweep::{Sweep, SweepPoint, SweepSeries, sweeps};
pub use verdict::Verdict;
