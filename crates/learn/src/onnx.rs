//! ONNX files: messages, and a graph that grows node by node. This module knows no networks; each
//! layer adds itself to a graph where its forward pass is.
//!
//! A crate that writes the messages would be `prost` with ONNX's schema, for which the build would
//! need generated code; the messages that a policy needs are a hundred lines.

mod graph;
pub mod messages;

pub use graph::{Attribute, Dimension, GraphBuilder, ValueName};

/// Version of the operators. Gelu and circular padding are newer, and are written with older ones.
pub const OPSET: i64 = 18;

/// Version of the file format that came with [`OPSET`].
pub const IR_VERSION: i64 = 8;
