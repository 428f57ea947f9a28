//! What a run says about itself while it trains: typed events, the sinks that take them, and the
//! registry that says what each metric means. Inside the program a metric is a field with a
//! type, never an entry in a map of strings.

mod evaluation;
mod event;
mod fanout;
pub mod format;
mod guard;
mod health;
mod jsonl;
mod layers;
mod live;
mod registry;
mod tensorboard;

pub use evaluation::{DrivingQualitySummary, EvalSummary};
pub use event::{
    CheckpointReport, ClipReport, CurriculumReport, DivergedReport, DivergenceReason,
    EvaluationReport, Event, IncidentReport, IterationReport, LayerReport, Sink, UpdateReport,
    WallClockReport,
};
pub use fanout::Fanout;
pub use guard::{GuardAction, GuardFault, GuardReport};
pub use health::{HealthEvent, Severity, Symptom, SymptomLocation};
pub use jsonl::{JsonlSink, read_events};
pub use layers::layer_name;
pub use live::{HistoryBin, HistorySink, Notification, RunHistory, SharedHistory, ValueRange};
pub use registry::{EVALUATION_METRICS, ITERATION_METRICS, Metric, MetricDirection};
pub use tensorboard::{TensorBoardSink, write_record};

impl Event {
    /// Environment steps gathered when it happened.
    pub fn global_step(&self) -> u64 {
        match self {
            Self::Step(step) => step.global_step,
            Self::Iteration(iteration) => iteration.global_step,
            Self::Evaluation(evaluation) => evaluation.global_step,
            Self::Checkpoint(checkpoint) => checkpoint.global_step,
            Self::Health(seen) => seen.global_step,
            Self::Guard(ruled) => ruled.global_step,
            Self::Incident(incident) => incident.global_step,
            Self::Diverged(diverged) => diverged.global_step,
        }
    }
}

/// What went wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line that is not the last one is no event.
    #[error(
        "{path}:{line}: not an event of this build's log format: {reason}; the file was changed \
         or is another version's"
    )]
    Line {
        /// Which file.
        path: std::path::PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
}

impl TelemetryError {
    /// Wraps a system error with the file that it is about.
    fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
