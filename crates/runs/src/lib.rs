//! Statistics, telemetry, evaluation, run directories, recordings and detectors of training health.
//! This crate must not depend on torch or Bevy.

// The order is that of the layers: a module uses only modules above it (tests/it/layers.rs). The blank
// lines keep rustfmt from sorting.
pub mod json;

pub mod proto;

pub mod table;

pub mod stats;

pub mod telemetry;

pub mod eval;

pub mod runs;

pub mod recording;

pub mod health;

pub mod external;
