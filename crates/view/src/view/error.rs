//! The error of this module.

use super::video::VideoError;
use evenkeel_runs::recording::RecordError;

/// Why a window cannot be opened, or an image or a video cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// There is no graphics driver.
    #[error(
        "no graphics driver: no Vulkan driver was found; install one, or `mesa-vulkan-drivers` \
         (Debian, Ubuntu), which draws without a graphics card"
    )]
    NoGpuDriver,
    /// There is no display for a window.
    #[error(
        "no display: neither DISPLAY nor WAYLAND_DISPLAY is set; `--screenshot FILE.png` draws \
         without one"
    )]
    NoDisplay,
    /// The display does not open a window.
    #[error(
        "cannot open a window on this display: {reason}; `--screenshot FILE.png` draws without one"
    )]
    Window {
        /// The message of the window system.
        reason: String,
    },
    /// The size of an image is out of range.
    #[error("an image of {width} × {height} pixels: each side must be from 16 to {max}")]
    Size {
        /// Requested width, pixels.
        width: u32,
        /// Requested height, pixels.
        height: u32,
        /// Greatest length of a side, pixels.
        max: u32,
    },
    /// A video cannot be written.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// A recording cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// There is no recording to show.
    #[error("there is no recording to show; `evenkeel record` makes one")]
    NoRecording,
    /// The recording does not have the requested episode.
    #[error("the recording has no episode {number}; `--list` lists its episodes")]
    NoEpisode {
        /// Number of the requested episode.
        number: u64,
    },
    /// A video of twins needs recordings of the training, and a run has none.
    #[error(
        "{name} has no recordings of its training; `evenkeel train --record-every N` makes some \
         during training"
    )]
    NotRecorded {
        /// Name of the run.
        name: String,
    },
    /// The graphics driver did not return an image.
    #[error("the graphics driver did not return the image")]
    Lost,
}
