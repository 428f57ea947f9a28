//! What is wrong with a recording.

use std::fmt;

/// A damaged part of a file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Damage {
    /// Offset of its first byte.
    pub from: u64,
    /// Offset after its last byte.
    pub to: u64,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { from, to, reason } = self;
        write!(f, "bytes {from} to {to}: {reason}")
    }
}

/// How a recording ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingEnd {
    /// At the end of the file.
    Complete,
    /// Early: the program that wrote it was stopped, or the rest of the file is lost. Says why.
    Truncated(String),
}
