//! Evaluation: any `Actor` over frozen held-out episodes gives METRICS.md's navigation figures.
//! This room must never touch a training environment or move a normaliser.

pub mod barn;
mod conduct;
mod episode;
mod evaluate;
mod measure;
mod play;
mod report;
mod robustness;
mod suite;
mod trace;

pub use conduct::{PROXEMIC_M, SAFETY_MARGIN_M};
pub use evaluate::{EvalError, EvalOptions, evaluate};
pub use measure::{Measure, measures};
pub use report::{
    Conduct, DrawnNumber, DrawnShape, EpisodeRow, EpisodeTrace, EvalReport, FailureKind,
};
pub use robustness::{
    MIN_LEVELS, MIN_ROLLOUTS, Played, Robustness, Tail, robustness, success_rates,
};
pub use suite::{
    Cell, Entry, Level, Suite, SuiteError, SuiteReport, SuiteScenario, evaluate_suite, fingerprint,
};
pub use trace::Tracer;
