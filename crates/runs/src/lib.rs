//! Statistics, telemetry, evaluation, run folders, recordings and the detectors of training health.

pub mod stats;

pub mod telemetry;

pub mod eval;

pub mod runs;

pub mod recording;

pub mod health;
