//! What a live window looks at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use evenkeel_runs::telemetry::SharedHistory;
use evenkeel_sim::env::Probe;
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::RootSeed;

/// A run that is being trained, as whoever trains it and the window share it.
#[derive(Clone, Debug)]
pub struct LiveTraining {
    /// The world.
    pub scenario: Arc<Scenario>,
    /// Name of the arm.
    pub arm: String,
    /// Root of every random stream.
    pub seed: RootSeed,
    /// Environment steps in all.
    pub total_steps: u64,
    /// What the threads that train are called, the beginnings of their names: what they take is
    /// not the window's doing.
    pub threads: Vec<&'static str>,
    /// Where frames come from.
    pub probe: Arc<Probe>,
    /// Where figures come from.
    pub shared_history: Arc<SharedHistory>,
    phase: Arc<Mutex<TrainingPhase>>,
    stop: Arc<AtomicBool>,
    waker: Arc<WindowWaker>,
}

/// What wakes the window, once there is one.
#[derive(Default)]
struct WindowWaker(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl std::fmt::Debug for WindowWaker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let there = self.0.get().is_some();
        formatter.debug_tuple("Bell").field(&there).finish()
    }
}

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrainingPhase {
    /// It is trained.
    #[default]
    Running,
    /// Its best policy is scored on held-out episodes.
    Evaluating,
    /// It is over; how it ended, in a few words.
    Finished(String),
    /// It is over, and the window should close.
    Closing,
}

impl LiveTraining {
    /// A run that is about to begin, or to go on. `stop` is set when somebody asks it to end: should
    /// it be over by then, its window closes.
    pub fn new(
        scenario: Arc<Scenario>,
        arm: String,
        seed: RootSeed,
        total_steps: u64,
        threads: Vec<&'static str>,
        shared_history: SharedHistory,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            scenario,
            arm,
            seed,
            total_steps,
            threads,
            probe: Arc::new(Probe::new(super::TILES)),
            shared_history: Arc::new(shared_history),
            phase: Arc::default(),
            stop,
            waker: Arc::default(),
        }
    }

    /// How far it has come.
    pub fn stage(&self) -> TrainingPhase {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        match &*phase {
            TrainingPhase::Finished(_) if self.stop.load(Ordering::SeqCst) => {
                TrainingPhase::Closing
            }
            phase => phase.clone(),
        }
    }

    /// Says how far it has come.
    pub fn set_phase(&self, phase: TrainingPhase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        self.wake_window();
    }

    /// Lets the window look at once how far it has come; for as long as there is none, nothing
    /// happens.
    pub fn wake_window(&self) {
        if let Some(wake) = self.waker.0.get() {
            wake();
        }
    }

    /// Says how the window is woken, which is opened once.
    pub(super) fn set_waker(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.waker.0.set(Box::new(wake));
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
        let (arm, threads, shared_history) =
            ("clipped".into(), Vec::new(), SharedHistory::new(0, 1));
        let world = Arc::new(scenario);
        let training =
            LiveTraining::new(world, arm, 3, 1, threads, shared_history, Arc::clone(&stop));
        let rings = Arc::new(AtomicU32::new(0));
        training.wake_window();
        let heard = Arc::clone(&rings);
        training.set_waker(move || {
            heard.fetch_add(1, Ordering::SeqCst);
        });
        let over = TrainingPhase::Finished("finished".into());
        training.set_phase(over.clone());
        assert_eq!(training.stage(), over);
        stop.store(true, Ordering::SeqCst);
        training.wake_window();
        assert_eq!(training.stage(), TrainingPhase::Closing);
        // While it trains or is scored, that is for whoever trains to decide.
        training.set_phase(TrainingPhase::Evaluating);
        assert_eq!(training.stage(), TrainingPhase::Evaluating);
        assert_eq!(rings.load(Ordering::SeqCst), 3);
    }
}
