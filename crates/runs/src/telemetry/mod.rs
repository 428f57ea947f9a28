//! Telemetry of training runs: typed events, the sinks that record them, and the registry of
//! metrics. A metric is a typed field of a report, never an entry in a map of strings.

mod evaluation;
mod event;
mod fanout;
pub mod format;
mod guard;
mod health;
mod jsonl;
mod layers;
mod live;
#[cfg(test)]
mod log_reference;
mod log_table;
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
pub use log_table::{LogRows, TableSize, write_log_table};
pub use registry::{EVALUATION_METRICS, ITERATION_METRICS, Metric, MetricDirection};
pub use tensorboard::{TensorBoardSink, write_record};

impl Event {
    /// Environment steps collected before the event.
    pub fn global_step(&self) -> u64 {
        match self {
            Self::Step(report) => report.global_step,
            Self::Iteration(report) => report.global_step,
            Self::Evaluation(report) => report.global_step,
            Self::Checkpoint(report) => report.global_step,
            Self::Health(event) => event.global_step,
            Self::Guard(report) => report.global_step,
            Self::Incident(report) => report.global_step,
            Self::Diverged(report) => report.global_step,
        }
    }
}

/// Error of reading or writing a log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A complete line is not an event.
    #[error(
        "{path}:{line}: not an event of this build's log format: {reason}; the file was edited \
         or written by another version"
    )]
    Line {
        /// The file.
        path: std::path::PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The parser's error.
        reason: String,
    },
}

/// Returns a function that adds the path of a log to a system error, so that its message names the
/// file.
fn name_file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> std::io::Error {
    move |error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

impl TelemetryError {
    /// Returns a function that adds the path to a system error.
    fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
