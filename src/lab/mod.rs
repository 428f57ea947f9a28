//! Comparisons: arms, paired runs in child processes, scorecards and verdicts. This room must
//! never train or update by code of its own.

mod differences;
pub mod format;
mod record;
mod scorecard;
mod verdict;

pub use differences::SettingDifference;
pub use record::{Collapse, RunRecord};
pub use scorecard::{
    ArmDifference, ArmScore, Divergence, NormScore, Paired, RunScore, Scorecard, Share, StepsTo,
    by_arm,
};
pub use verdict::{Verdict, reason};
