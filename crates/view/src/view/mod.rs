//! The window, and pictures without one: what a simulation looks like. Nothing headless needs
//! this room.
//!
//! A [`EpisodeView`] is one episode as far as it has gone; sources fill it, and [`Screen`] draws it,
//! by egui's painter, whatever it is drawn on: a window ([`watch`]) or an image ([`OffscreenRenderer`]).
//! [`LiveWindow`] looks on while something trains.

mod axis;
mod camera;
mod episode_view;
mod error;
mod gpu;
mod header_footer;
mod key_help;
mod keys;
mod live;
mod offscreen;
mod outcome_badge;
mod painter;
mod replay;
mod scene;
mod screen;
mod side_panel;
mod theme;
mod video;
mod window;

pub use camera::Camera;
pub use episode_view::{EpisodeView, InterpolatedRobot, InterpolatedWorld, LidarHit, TrailPoint};
pub use error::ViewError;
pub use keys::{StickInput, UserRequest};
pub use live::{LiveTraining, LiveWindow, TrainingPhase};
pub use offscreen::{OffscreenRenderer, OffscreenScene, RenderedImage};
pub use replay::{
    Detection, GradientHistory, GradientPoint, GradientStrip, ProgressCallback, RecordingFile,
    ReplayOptions, TransitionMarker, Twin, VideoOptions, VideoSummary, open_replay,
    write_twins_video, write_video,
};
pub use scene::SceneLayers;
pub use screen::{Arrangement, ControlSource, DisplayedEpisode, EpisodeCounts, Screen, UserInput};
pub use theme::Theme;
pub use video::{VideoError, VideoFormat, VideoKind, VideoWriter};
pub use window::{WatchedPolicy, has_display, watch};
