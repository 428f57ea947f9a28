//! Integration tests, one module per subject, in one binary so that libtorch is linked once.

#[cfg(feature = "learn")]
mod learning;

mod rooms;

mod simulation;

mod stats;
