//! A transition behind an incident, as a place in its recordings.

use serde::Serialize;

/// A transition that contributed much to a gradient, and where it is in the recordings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MarkedTransition {
    /// Number of the optimiser step.
    pub optimiser_step: u64,
    /// Index of the recording.
    pub recording: usize,
    /// Index of the episode in the recording, from 0.
    #[serde(skip)]
    pub index: usize,
    /// The episode's number.
    pub episode: u64,
    /// Index of the robot.
    pub robot: usize,
    /// Number of the control step, from 1.
    pub step: u32,
    /// Share of the gradient, which may be negative; NaN if the gradient is not finite.
    pub share: f64,
    /// The share and the advantage in words.
    #[serde(skip)]
    pub text: String,
}
