//! Evaluation: any `Actor` over frozen held-out episodes gives METRICS.md's navigation figures.
//! This room must never touch a training environment or move a normaliser.

mod report;

pub use report::{DrawnShape, EpisodeRow, EpisodeTrace, EvalReport, EvalSummary};

pub use crate::stats::Estimate;
