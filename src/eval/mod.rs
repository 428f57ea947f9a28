//! Evaluation: any `Actor` over frozen held-out episodes gives METRICS.md's navigation figures.
//! This room must never touch a training environment or move a normaliser.

mod conduct;
mod episode;
mod evaluate;
mod play;
mod report;
mod robustness;
mod trace;

pub use crate::stats::{Average, Estimate};
pub use conduct::{PROXEMIC_M, SAFETY_MARGIN_M};
pub use evaluate::{EvalError, EvalOptions, evaluate};
pub use report::{
    Conduct, ConductSummary, DrawnNumber, DrawnShape, EpisodeRow, EpisodeTrace, EvalReport,
    EvalSummary, FailureKind,
};
pub use robustness::{MIN_LEVELS, MIN_ROLLOUTS, Robustness, Tail, robustness};
pub use trace::Tracer;
