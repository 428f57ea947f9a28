//! Training with a window on it: the window on this thread, as windows want it, and the trainer on
//! one of its own.

use std::sync::mpsc;

use anyhow::Context as _;

use super::{Output, TrainJob};
use crate::cli::Ui;
use evenkeel::telemetry::{Fanout, HistorySink, SharedHistory};
use evenkeel::view::{LiveTraining, LiveWindow, Theme, TrainingPhase};

/// The trainer's thread, and what torch's threads inherit.
const TRAINER: &str = "trainer";

/// The priority that goes after all others.
#[cfg(target_os = "linux")]
const LOWEST_PRIORITY: i32 = 19;

/// Whether a window can be opened here, before anything is begun.
///
/// # Errors
/// If not.
pub(super) fn check() -> anyhow::Result<()> {
    LiveWindow::check().context("cannot look on (--view); training itself needs no window")
}

/// Trains with a window open, which may be closed at any time.
///
/// # Errors
/// If the window cannot be opened, or training fails.
pub(super) fn train(job: &TrainJob, theme: Theme, ui: &Ui) -> anyhow::Result<()> {
    let config = &job.experiment.config;
    let training = LiveTraining::new(
        job.experiment.scenario.clone(),
        job.run.info()?.arm,
        job.experiment.seed,
        config.iterations() * config.steps_per_iteration(),
        vec![
            TRAINER,
            evenkeel::env::ENV_THREAD_PREFIX,
            evenkeel::learn::LEARNER_THREAD_PREFIX,
        ],
        SharedHistory::new(job.from, config.steps_per_iteration()),
        job.stop.clone(),
    );
    let looker = training.clone();
    job.stop_on_signals(move || looker.wake_window())?;
    std::thread::scope(|scope| {
        let (begin, begun) = mpsc::channel();
        let shared = &training;
        // Before this thread steps back, which its children inherit.
        let trainer = std::thread::Builder::new()
            .name(TRAINER.into())
            .spawn_scoped(scope, move || {
                // Without a window nobody says so, and nothing is trained.
                let Ok(()) = begun.recv() else {
                    return Ok(());
                };
                let result = train_and_evaluate(job, shared, ui);
                if result.is_err() {
                    shared.set_phase(TrainingPhase::Closing);
                }
                result
            })
            .context("cannot start a thread to train on")?;
        lower_priority();
        let window = LiveWindow::open(training.clone(), theme)?;
        // It waits for nothing else.
        let _ = begin.send(());
        if !window.run() {
            ui.note("the window is gone; training goes on");
        }
        match trainer.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Lets the trainer go first wherever it and the window want the same core: this thread, and those
/// that will draw for it, which it starts from here on, get what is left.
fn lower_priority() {
    // Only Linux has priorities of threads; elsewhere this would slow down the trainer as well.
    #[cfg(target_os = "linux")]
    {
        // Everybody may step back; who may not draws as before.
        let _ = rustix::process::setpriority_process(None, LOWEST_PRIORITY);
    }
}

/// What the trainer does.
fn train_and_evaluate(job: &TrainJob, training: &LiveTraining, ui: &Ui) -> anyhow::Result<()> {
    let listeners = Fanout::new().with(HistorySink(training.shared_history.clone()));
    let ended = job.train(listeners, Some(&training.probe))?;
    training.set_phase(TrainingPhase::Evaluating);
    let answer = job.evaluate(ended)?;
    training.set_phase(final_phase(&answer));
    job.print(&answer, ui)
}

/// What the window says at the end; whoever has stopped the training wants it closed.
fn final_phase(answer: &Output) -> TrainingPhase {
    if answer.status == "stopped" {
        return TrainingPhase::Closing;
    }
    let success = answer.evaluation.as_ref().map_or(String::new(), |summary| {
        let percent = 100.0 * summary.success.value;
        format!(
            ", success {percent:.1} % in {} held-out episodes",
            summary.episodes
        )
    });
    TrainingPhase::Finished(format!("{}{success}", answer.status))
}
