//! Recordings: episodes in one MCAP file, which robotics tools show unaided and which this build
//! can play again to the bit. This room must never need torch or Bevy.
//!
//! `docs/recordings.md` says what is in the file. A message is declared once (`proto.rs`), the
//! well-known ones in `foxglove.rs` and evenkeel's own in `messages.rs`; `scene.rs` draws,
//! `writer.rs` and `reader.rs` know the file, `play.rs` fills one with held-out episodes, `lived.rs`
//! with those of a training, `verify.rs` plays it again, and `rows.rs` makes a table of it.

pub mod foxglove;
mod lived;
pub mod messages;
mod origin;
mod play;
pub mod proto;
mod reader;
mod rows;
mod scene;
mod verify;
mod writer;

pub use lived::{Lived, record_lived};
pub use origin::{Moment, TOLD_BY, moment_after, moment_of, tell};
pub use play::{RecordOptions, record};
pub use reader::{Ending, Episode, Reader};
#[cfg(feature = "parquet")]
pub use rows::write_parquet;
pub use rows::{Column, Table, write_csv};
pub use verify::{Difference, verify};
pub use writer::{Writer, Written};

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
