//! Recordings: episodes in one MCAP file, which robotics tools can show and which this build can
//! replay bit for bit. This module must never need torch or Bevy.
//!
//! `docs/recordings.md` describes the file. Its messages are Foxglove's in `foxglove.rs` and evenkeel's
//! own in `messages.rs`. `scene.rs` draws, `writer.rs` and `reader.rs`
//! write and read the file; `message_stream.rs` and `mcap_records.rs` skip what is damaged in it.
//! `episodes.rs` records held-out episodes, `trajectory.rs` records episodes of training,
//! `verify.rs` replays a recording, and `table.rs` exports it as a table.

mod damage;
mod episodes;
pub mod foxglove;
mod mcap_records;
mod message_stream;
pub mod messages;
mod provenance;
mod reader;
mod scene;
mod table;
mod trajectory;
mod verify;
mod writer;

pub use damage::{Damage, RecordingEnd};
pub use episodes::{HeldOutEpisodes, record_episodes};
pub use evenkeel_sim::env::Trajectory;

pub use provenance::{
    IterationWithEvents, TRAINING_LOG_NAME, iteration_with_events_after, iteration_with_events_at,
    recording_path, recordings_by_step, write_iteration_with_events,
};
pub use reader::{RecordedEpisode, RecordingReader};
pub use table::{StepColumns, write_table};
pub use trajectory::record_trajectory;
pub use verify::{ReplayMismatch, verify};
pub use writer::{RecordingSummary, RecordingWriter};

use std::path::{Path, PathBuf};

use crate::runs::RunError;
use evenkeel_sim::config::Diagnostic;
use evenkeel_sim::scenario::PlacementError;

/// Why a recording cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A system call failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// Another process is writing the same file.
    #[error("{path}: another process is recording into this file; give it another --out")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a recording, or not one that this build can read.
    #[error("{path}: {reason}")]
    NotARecording {
        /// The file.
        path: PathBuf,
        /// Why, and what is expected.
        reason: String,
    },
    /// The part of the file that says what is recorded is damaged.
    #[error(
        "{path}: the recording is damaged ({damage}): its header is lost, and without it no episode can be read"
    )]
    HeaderDamaged {
        /// The file.
        path: PathBuf,
        /// The first damaged part.
        damage: Damage,
    },
    /// The messages of the file contradict each other.
    #[error("{path}: {reason}; the file was changed or is another version's")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The table could not be written.
    #[error("cannot write the table: {0}")]
    Table(#[from] std::io::Error),
    /// This build cannot read the recorded scenario.
    #[error("the recording's scenario cannot be read: {0}")]
    Scenario(#[from] Diagnostic),
    /// The recordings of a run cannot be listed.
    #[error(transparent)]
    Run(#[from] Box<RunError>),
    /// An episode cannot be placed.
    #[error(
        "scenario '{scenario}': episode {episode} of seed {seed} cannot be placed: {reason}; make more room in the scenario"
    )]
    Unplaceable {
        /// The scenario's name.
        scenario: String,
        /// Root seed.
        seed: u64,
        /// The episode.
        episode: u64,
        /// Why.
        reason: PlacementError,
    },
}

impl RecordError {
    /// Adds the file to a system error.
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
