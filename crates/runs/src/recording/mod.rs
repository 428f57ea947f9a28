//! Recordings: episodes in one MCAP file, which robotics tools show unaided and which this build
//! can play again to the bit. This room must never need torch or Bevy.
//!
//! `docs/recordings.md` says what is in the file. A message is declared once (`proto.rs`), the
//! well-known ones in `foxglove.rs` and evenkeel's own in `messages.rs`; `scene.rs` draws,
//! `writer.rs` and `reader.rs` know the file, `episodes.rs` fills one with held-out episodes, `trajectory.rs`
//! with those of a training, `verify.rs` plays it again, and `table.rs` makes a table of it.

mod episodes;
pub mod foxglove;
pub mod messages;
pub mod proto;
mod provenance;
mod reader;
mod scene;
mod table;
mod trajectory;
mod verify;
mod writer;

pub use episodes::{RecordOptions, record_episodes};
pub use provenance::{
    TRAINING_LOG_NAME, TrainingContext, training_context_after, training_context_at,
    write_training_context,
};
pub use reader::{RecordedEpisode, RecordingEnd, RecordingReader};
#[cfg(feature = "parquet")]
pub use table::write_parquet;
pub use table::{RecordingTable, TableColumn, write_csv};
pub use trajectory::{Trajectory, record_trajectory};
pub use verify::{ReplayMismatch, verify};
pub use writer::{RecordingSummary, RecordingWriter};

use std::path::{Path, PathBuf};

use evenkeel_sim::config::Diagnostic;
use evenkeel_sim::scenario::PlacementError;

/// What went wrong with a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process records into the same file.
    #[error("{path}: another process is recording into this file; give it another --out")]
    Busy {
        /// Which file.
        path: PathBuf,
    },
    /// The file is no recording, or none that this build reads.
    #[error("{path}: {reason}")]
    NotARecording {
        /// Which file.
        path: PathBuf,
        /// Why not, and what would be one.
        reason: String,
    },
    /// Messages follow one another as no recording has them.
    #[error("{path}: {reason}; the file was changed or is another version's")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A table of it could not be written.
    #[error("cannot write the table: {0}")]
    Table(#[from] std::io::Error),
    /// The scenario of a recording is none to this build.
    #[error("the recording's scenario cannot be read: {0}")]
    Scenario(#[from] Diagnostic),
    /// An episode has no room, or no way.
    #[error(
        "scenario '{scenario}': episode {episode} of seed {seed} cannot be placed: {reason}; leave the scenario more room, or take another seed"
    )]
    Unplaceable {
        /// The scenario's name.
        scenario: String,
        /// Root seed.
        seed: u64,
        /// Which episode.
        episode: u64,
        /// What has no room, or no way.
        reason: PlacementError,
    },
}

impl RecordError {
    /// Wraps a system error with the file that it is about.
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
