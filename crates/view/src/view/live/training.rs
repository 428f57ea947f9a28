//! What a live window looks at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use evenkeel_runs::telemetry::Feed;
use evenkeel_sim::env::Tap;
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::Root;

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
    stop: Arc<AtomicBool>,
    bell: Arc<Bell>,
}

/// What wakes the window, once there is one.
#[derive(Default)]
struct Bell(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl std::fmt::Debug for Bell {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let there = self.0.get().is_some();
        formatter.debug_tuple("Bell").field(&there).finish()
    }
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
    /// A run that is about to begin, or to go on. `stop` is set when somebody asks it to end: should
    /// it be over by then, its window closes.
    pub fn new(
        scenario: Arc<Scenario>,
        arm: String,
        seed: Root,
        total_steps: u64,
        threads: Vec<&'static str>,
        feed: Feed,
        stop: Arc<AtomicBool>,
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
            stop,
            bell: Arc::default(),
        }
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        let stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        match &*stage {
            Stage::Over(_) if self.stop.load(Ordering::SeqCst) => Stage::Gone,
            stage => stage.clone(),
        }
    }

    /// Says how far it has come.
    pub fn enter(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
        self.ring();
    }

    /// Lets the window look at once how far it has come; for as long as there is none, nothing
    /// happens.
    pub fn ring(&self) {
        if let Some(wake) = self.bell.0.get() {
            wake();
        }
    }

    /// Says how the window is woken, which is opened once.
    pub(super) fn wake_by(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.bell.0.set(Box::new(wake));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn whoever_asks_a_finished_run_to_stop_wants_its_window_closed() {
        let scenario = evenkeel_sim::scenario::resolve("movers", &[]).unwrap();
        let stop: Arc<AtomicBool> = Arc::default();
        let (arm, threads, feed) = ("clipped".into(), Vec::new(), Feed::new(0, 1));
        let world = Arc::new(scenario);
        let training = Training::new(world, arm, 3, 1, threads, feed, Arc::clone(&stop));
        let rings = Arc::new(AtomicU32::new(0));
        training.ring();
        let heard = Arc::clone(&rings);
        training.wake_by(move || {
            heard.fetch_add(1, Ordering::SeqCst);
        });
        let over = Stage::Over("finished".into());
        training.enter(over.clone());
        assert_eq!(training.stage(), over);
        stop.store(true, Ordering::SeqCst);
        training.ring();
        assert_eq!(training.stage(), Stage::Gone);
        // While it trains or is scored, that is for whoever trains to decide.
        training.enter(Stage::Scoring);
        assert_eq!(training.stage(), Stage::Scoring);
        assert_eq!(rings.load(Ordering::SeqCst), 3);
    }
}
