//! What a live window looks at.

use std::sync::{Arc, Mutex, PoisonError};

use crate::env::Tap;
use crate::scenario::Scenario;
use crate::seed::Root;
use crate::telemetry::Feed;

/// A run that is being trained, as whoever trains it and the window share it.
#[derive(Clone, Debug)]
pub struct Training {
    /// The world.
    pub scenario: Arc<Scenario>,
    /// Name of the arm.
    pub arm: String,
    /// Root of every random stream.
    pub seed: Root,
    /// Environment steps in all.
    pub total_steps: u64,
    /// What the threads that train are called, the beginnings of their names: what they take is
    /// not the window's doing.
    pub threads: Vec<&'static str>,
    /// Where frames come from.
    pub tap: Arc<Tap>,
    /// Where figures come from.
    pub feed: Arc<Feed>,
    stage: Arc<Mutex<Stage>>,
}

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// It is trained.
    #[default]
    Training,
    /// Its best policy is scored on held-out episodes.
    Scoring,
    /// It is over; how it ended, in a few words.
    Over(String),
    /// It is over, and the window should close.
    Gone,
}

impl Training {
    /// A run that is about to begin, or to go on.
    pub fn new(
        scenario: Arc<Scenario>,
        arm: String,
        seed: Root,
        total_steps: u64,
        threads: Vec<&'static str>,
        feed: Feed,
    ) -> Self {
        Self {
            scenario,
            arm,
            seed,
            total_steps,
            threads,
            tap: Arc::new(Tap::new(super::TILES)),
            feed: Arc::new(feed),
            stage: Arc::default(),
        }
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        let stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        stage.clone()
    }

    /// Says how far it has come.
    pub fn enter(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }
}
