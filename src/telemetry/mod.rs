//! What a run says about itself while it trains: typed events, and the sinks that take them.
//! Inside the program a metric is a field with a type, never an entry in a map of strings.

mod event;

pub use event::{
    CheckpointReport, ClipReport, DivergedReport, DivergenceReason, EvaluationReport, Event,
    IterationReport, Sink, StepReport, WallReport,
};
