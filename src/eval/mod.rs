//! Evaluation: any `Actor` over frozen held-out episodes gives METRICS.md's navigation figures.
//! This room must never touch a training environment or move a normaliser.

mod episode;
mod evaluate;
mod report;
mod trace;

pub use crate::stats::Estimate;
pub use evaluate::{EvalError, EvalOptions, evaluate};
pub use report::{DrawnShape, EpisodeRow, EpisodeTrace, EvalReport, EvalSummary};
