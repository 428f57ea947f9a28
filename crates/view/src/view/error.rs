//! Why nothing can be shown.

use super::VideoError;
use evenkeel_runs::recording::RecordError;

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// Nothing that draws.
    #[error(
        "no graphics driver: nothing here speaks Vulkan; install one, or `mesa-vulkan-drivers` \
         (Debian, Ubuntu), which draws without a graphics card"
    )]
    NoGpuDriver,
    /// Nowhere to put a window.
    #[error(
        "no display: neither DISPLAY nor WAYLAND_DISPLAY is set; `--screenshot FILE.png` draws \
         without one"
    )]
    NoDisplay,
    /// A display that does not open a window.
    #[error(
        "cannot open a window on this display: {reason}; `--screenshot FILE.png` draws without one"
    )]
    Window {
        /// What it said.
        reason: String,
    },
    /// An image that cannot be.
    #[error("an image of {width} × {height} pixels: each side is from 16 to {most}")]
    Size {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Most pixels of a side.
        most: u32,
    },
    /// A film that cannot be made.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// A recording that cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// There is none.
    #[error("there is no recording to be shown; `evenkeel record` makes one")]
    NoRecording,
    /// A recording has no such episode.
    #[error("the recording has no episode {number}; `--list` tells which it has")]
    NoEpisode {
        /// Its number.
        number: u64,
    },
    /// A run that a film of twins cannot be made of.
    #[error(
        "{name} has no recordings of its training; `evenkeel train --record-every N` makes some as \
         it trains"
    )]
    NotRecorded {
        /// Which run.
        name: String,
    },
    /// The driver gave nothing back.
    #[error("the graphics driver did not give the image back")]
    Lost,
}
