//! Integration tests, one module per subject, in one binary so that libtorch is linked once.

mod rooms;

mod simulation;

mod stats;
