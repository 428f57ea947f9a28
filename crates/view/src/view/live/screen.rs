//! The state of the window on a training run: what is shown and how. `screen_ui` draws it; this
//! module draws nothing.

use super::training::{LiveTraining, TrainingPhase};
use crate::view::camera::Camera;
use crate::view::scene::SceneLayers;
use crate::view::theme::Theme;
use evenkeel_runs::telemetry::RunHistory;

/// What the user can change about the window.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveScreen {
    /// Light or dark colours.
    pub(super) theme: Theme,
    /// What is drawn in the scenes.
    pub(super) layers: SceneLayers,
    /// Index of the enlarged tile; `None` if all tiles are shown.
    pub(super) enlarged: Option<usize>,
    /// Whether the list of keys is open.
    pub(super) help: bool,
    /// Which part of the enlarged tile's arena is visible.
    pub(super) camera: Camera,
}

/// The training run, as it is now.
pub(super) struct LiveState<'a> {
    pub(super) training: &'a LiveTraining,
    pub(super) phase: &'a TrainingPhase,
    pub(super) history: &'a RunHistory,
    /// Why the window is drawn less often than it could be, if it is.
    pub(super) throttled: Option<String>,
}

impl LiveScreen {
    /// Enlarges a tile, or shows all tiles again if it is enlarged.
    pub(super) fn toggle(&mut self, tile: usize) {
        self.enlarged = if self.enlarged == Some(tile) {
            None
        } else {
            Some(tile)
        };
        self.camera = Camera::Fit;
    }
}
