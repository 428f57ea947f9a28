//! Windows on simulations, recordings and training runs, and images and videos of them. Nothing
//! that runs headless may need this module.
//!
//! An [`EpisodeView`] is one episode up to some control step. A simulation, a recording or a trainer
//! fills it, and a [`Screen`] draws it with egui, on a window ([`watch`], [`open_replay`]) or on an
//! image ([`OffscreenRenderer`]). [`LiveWindow`] shows a training run. Drawing never changes what is
//! simulated or learned.

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
mod rendered_image;
mod replay;
mod scene;
mod screen;
mod screen_ui;
mod short_text;
mod side_panel;
mod theme;
mod video;
mod window;

pub use camera::Camera;
pub use episode_view::{EpisodeView, InterpolatedRobot, InterpolatedWorld, LidarHit, TrailPoint};
pub use error::ViewError;
pub use live::{LiveTraining, LiveWindow, TrainingPhase};
pub use offscreen::{OffscreenRenderer, OffscreenScene};
pub use rendered_image::RenderedImage;
pub use replay::{
    GradientHistory, GradientPoint, GradientStrip, ProgressCallback, RecordingFile, ReplayOptions,
    TimelineDetection, TransitionMarker, Twin, VideoOptions, VideoSummary, open_replay,
    write_twins_video, write_video,
};
pub use scene::SceneLayers;
pub use screen::{
    Arrangement, ControlSource, DisplayedEpisode, EpisodeCounts, Screen, StickInput, UserInput,
    UserRequest,
};
pub use theme::Theme;
pub use video::{VideoError, VideoFormat, VideoKind, VideoWriter};
pub use window::{WatchedPolicy, has_display, watch};
