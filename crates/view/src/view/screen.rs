//! The state of a screen: what is shown and how, and what the user asks for. `screen_ui` draws it;
//! this module draws nothing.

use super::camera::Camera;
use super::episode_view::{EpisodeView, InterpolatedWorld};
use super::scene::SceneLayers;
use super::theme::Theme;

/// How two policies share the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrangement {
    /// Side by side, each in its own pane.
    #[default]
    Split,
    /// Drawn over each other in one pane. The two worlds stay separate: the robots do not interact.
    Ghosts,
}

/// What moves the robot. Decides which controls the screen offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControlSource {
    /// A controller; the user watches.
    #[default]
    Policies,
    /// The user, by keyboard or gamepad.
    Person,
    /// Nothing: a recording is played back.
    Recording,
    /// Nothing: a video is written, so there are no controls.
    Video,
}

/// What the user can change about a screen.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// Light or dark colours.
    pub theme: Theme,
    /// How two policies share the screen.
    pub arrangement: Arrangement,
    /// What moves the robot.
    pub control: ControlSource,
    /// What is drawn in the scene.
    pub layers: SceneLayers,
    /// Whether the panel beside the scene is hidden.
    pub hide_side_panel: bool,
    /// Whether the list of keys is open.
    pub help: bool,
    /// Which part of the arena is visible.
    pub camera: Camera,
}

/// How many episodes of a policy ended before the one that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EpisodeCounts {
    /// Episodes that ended.
    pub episodes: u32,
    /// Episodes that ended at the goal.
    pub goals: u32,
}

/// An episode on the screen, at one point in time.
pub struct DisplayedEpisode<'a> {
    /// The episode.
    pub view: &'a EpisodeView,
    /// Its world at the time that is shown.
    pub world: InterpolatedWorld,
    /// How earlier episodes of the same policy ended.
    pub counts: EpisodeCounts,
}

/// A request that a screen cannot fulfil by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRequest {
    /// Close the window.
    Quit,
    /// Go to the next episode.
    Next,
    /// Go to the previous episode.
    Previous,
    /// Start the episode again.
    Restart,
}

/// Stick position, `[forward, left]`, each from -1 to 1.
pub type StickInput = [f32; 2];

/// What the user did on a screen that the rest of the program has to act on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserInput {
    /// Requests, in order.
    pub requests: Vec<UserRequest>,
    /// Stick position from the keyboard.
    pub stick: StickInput,
}

/// What additional panels need to know about the screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct PanelContext {
    /// Whether the screen is large enough for panels beside and below the scene.
    pub(super) roomy: bool,
    /// Index of the selected robot.
    pub(super) robot: usize,
}
