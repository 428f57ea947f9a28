//! The header of a [`TrainState`](super::TrainState), its part that is small and plain: settings,
//! layouts and counters. Checkpoints and incidents write it as JSON.

use serde::{Deserialize, Serialize};

use super::{RunConfig, SavedStateError};
use crate::nn::Policy;
use evenkeel_runs::telemetry::{DivergedReport, Severity};
use evenkeel_sim::env::ObsLayout;
use evenkeel_sim::seed::RootSeed;

/// Settings, layouts and counters of a run, as checkpoints and incidents save them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainStateHeader {
    /// Root seed of the run.
    pub seed: RootSeed,
    /// Completed iterations.
    pub iteration: u64,
    /// Environment steps gathered so far.
    pub global_step: u64,
    /// Attempted optimiser steps, those that the guard refused included.
    pub optimiser_step: u64,
    /// ‖θ₀‖; infinite if an initial weight is.
    #[serde(with = "evenkeel_runs::json::float")]
    pub initial_norm: f64,
    /// Largest finite |reward| of a control step so far.
    #[serde(default)]
    pub reward_max: f64,
    /// Where the run diverged, if it went on nevertheless.
    pub diverged: Option<DivergedReport>,
    /// The optimiser step that the flight recorder captured last, and its severity.
    pub last_capture: Option<(u64, Severity)>,
    /// Success rate and mean return of the best evaluation so far.
    #[serde(default, with = "evenkeel_runs::json::float_pair")]
    pub best: Option<(f64, f64)>,
    /// `(name, first, length)` of each block of an observation.
    pub obs_blocks: Vec<(String, usize, usize)>,
    /// Length of an action.
    pub action_dim: usize,
    /// Whether the run started from the weights of a policy, not from drawn ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starts_from_policy: bool,
    /// All settings of the run.
    pub config: RunConfig,
}

impl TrainStateHeader {
    /// The header before the first iteration.
    pub(super) fn initial(
        config: &RunConfig,
        seed: RootSeed,
        layout: &ObsLayout,
        action_dim: usize,
        initial_norm: f64,
    ) -> Self {
        Self {
            seed,
            iteration: 0,
            global_step: 0,
            optimiser_step: 0,
            initial_norm,
            reward_max: 0.0,
            diverged: None,
            last_capture: None,
            best: None,
            obs_blocks: layout.blocks.clone(),
            action_dim,
            starts_from_policy: false,
            config: config.clone(),
        }
    }

    /// Refuses a header that no run can have. The error says what is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        self.config.check().map_err(|error| error.to_string())?;
        let gaps = self.obs_blocks.iter().scan(0, |next, (_, first, length)| {
            let fits = first == next;
            *next = first.saturating_add(*length);
            Some(fits)
        });
        if !gaps.into_iter().all(|fits| fits) || !(1..1 << 24).contains(&self.obs_layout().dim()) {
            return Err("the blocks of the observation do not follow one another".into());
        }
        let fits = self.config.check_observations(&self.obs_layout());
        fits.map_err(|error| error.to_string())
    }

    /// The policy that the settings describe.
    pub fn policy(&self) -> Policy {
        Policy::new(&self.config.policy, &self.obs_layout(), self.action_dim)
    }

    /// Layout of an observation.
    pub fn obs_layout(&self) -> ObsLayout {
        ObsLayout {
            blocks: self.obs_blocks.clone(),
        }
    }

    /// Refuses observations and actions that the policy was not trained on.
    pub fn check_compatible(
        &self,
        layout: &ObsLayout,
        action_dim: usize,
    ) -> Result<(), SavedStateError> {
        if self.obs_blocks != layout.blocks {
            return Err(SavedStateError::Observations {
                trained: describe(&self.obs_blocks),
                found: describe(&layout.blocks),
            });
        }
        if self.action_dim != action_dim {
            return Err(SavedStateError::Actions {
                trained: self.action_dim,
                found: action_dim,
            });
        }
        Ok(())
    }
}

/// `lidar[64] goal[3]`.
pub(super) fn describe(blocks: &[(String, usize, usize)]) -> String {
    let blocks: Vec<String> = blocks
        .iter()
        .map(|(name, _, length)| format!("{name}[{length}]"))
        .collect();
    blocks.join(" ")
}
