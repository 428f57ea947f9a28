//! Evaluation of any `Controller` on held-out episodes, with the navigation metrics of
//! `docs/metrics.md`. This module must not use training environments or update normalisers.

pub mod barn;
mod batch;
mod driving_quality;
mod episode;
mod evaluate;
mod metrics;
mod report;
mod robustness;
mod suite;
mod trace;

pub use driving_quality::{PROXEMIC_M, SAFETY_MARGIN_M};
pub use evaluate::{EvalError, EvalOptions, evaluate, evaluate_with_progress};
pub use metrics::{EvalMetric, metrics};
pub use report::{
    CheckpointReference, DrivingQuality, EpisodeRow, EpisodeTrace, EvalReport, FailureKind,
    ObstacleOutline, SampledNumber,
};
pub use robustness::{
    CvarEstimate, LevelSuccess, MIN_LEVELS, MIN_ROLLOUTS, Robustness, robustness, success_rates,
};
pub use suite::{
    DifficultyResult, Suite, SuiteCell, SuiteEntry, SuiteError, SuiteReport, SuiteScenario,
    evaluate_suite, fingerprint,
};
pub use trace::Tracer;
