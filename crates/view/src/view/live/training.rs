//! What the trainer and the window on it share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use evenkeel_runs::telemetry::SharedHistory;
use evenkeel_sim::env::Probe;
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::RootSeed;

/// Number of environments that the window shows.
pub(super) const TILES: usize = 9;

/// A training run, as the trainer and its window share it. Clones share their state.
#[derive(Clone, Debug)]
pub struct LiveTraining {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Name of the arm.
    pub arm: String,
    /// Root seed of the run.
    pub seed: RootSeed,
    /// Environment steps of the whole run.
    pub total_steps: u64,
    /// Prefixes of the names of the training threads. The CPU time of these threads does not count
    /// as the cost of drawing.
    pub threads: Vec<&'static str>,
    /// Where snapshots of the environments come from.
    pub probe: Arc<Probe>,
    /// Where metrics come from.
    pub shared_history: Arc<SharedHistory>,
    phase: Arc<Mutex<TrainingPhase>>,
    stop: Arc<AtomicBool>,
    waker: Arc<WindowWaker>,
}

/// A callback that wakes the window; empty until the window is open.
#[derive(Default)]
struct WindowWaker(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl std::fmt::Debug for WindowWaker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_set = self.0.get().is_some();
        formatter.debug_tuple("WindowWaker").field(&is_set).finish()
    }
}

/// The phase of a training run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrainingPhase {
    /// The policy is being trained.
    #[default]
    Running,
    /// The best policy is being evaluated on held-out episodes.
    Evaluating,
    /// The run has finished; the text says how.
    Finished(String),
    /// The run has finished, and the window should close.
    Closing,
}

impl LiveTraining {
    /// A run that is about to start or to resume. `total_steps` counts environment steps. `stop` is
    /// the flag that asks the trainer to stop; if it is set when the run has finished, the window
    /// closes.
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
            probe: Arc::new(Probe::new(TILES)),
            shared_history: Arc::new(shared_history),
            phase: Arc::default(),
            stop,
            waker: Arc::default(),
        }
    }

    /// The phase of the run.
    pub fn phase(&self) -> TrainingPhase {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        match &*phase {
            TrainingPhase::Finished(_) if self.stop.load(Ordering::SeqCst) => {
                TrainingPhase::Closing
            }
            phase => phase.clone(),
        }
    }

    /// Sets the phase and wakes the window.
    pub fn set_phase(&self, phase: TrainingPhase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        self.wake_window();
    }

    /// Makes the window redraw now. Does nothing if there is no window.
    pub fn wake_window(&self) {
        if let Some(wake) = self.waker.0.get() {
            wake();
        }
    }

    /// Sets the callback that wakes the window. Only the first call has an effect.
    pub(super) fn set_waker(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.waker.0.set(Box::new(wake));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn stopping_a_finished_run_closes_its_window() {
        let scenario = evenkeel_sim::scenario::resolve("movers", &[]).unwrap();
        let stop: Arc<AtomicBool> = Arc::default();
        let (arm, threads, shared_history) =
            ("clipped".into(), Vec::new(), SharedHistory::new(0, 1));
        let scenario = Arc::new(scenario);
        let training = LiveTraining::new(
            scenario,
            arm,
            3,
            1,
            threads,
            shared_history,
            Arc::clone(&stop),
        );
        let wakes = Arc::new(AtomicU32::new(0));
        training.wake_window();
        let counter = Arc::clone(&wakes);
        training.set_waker(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let finished = TrainingPhase::Finished("finished".into());
        training.set_phase(finished.clone());
        assert_eq!(training.phase(), finished);
        stop.store(true, Ordering::SeqCst);
        training.wake_window();
        assert_eq!(training.phase(), TrainingPhase::Closing);
        // Until the run has finished, the trainer decides when the window closes.
        training.set_phase(TrainingPhase::Evaluating);
        assert_eq!(training.phase(), TrainingPhase::Evaluating);
        assert_eq!(wakes.load(Ordering::SeqCst), 3);
    }
}
