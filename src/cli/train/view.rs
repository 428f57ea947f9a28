//! `evenkeel train --view`: the window runs on the main thread, as windowing systems require, and the
//! trainer on its own thread.

use std::sync::mpsc;

use anyhow::Context as _;

use super::{Output, TrainJob};
use crate::cli::Ui;
use crate::cli::signals::stop_on_signal;
use evenkeel::telemetry::format::{counted, percent};
use evenkeel::telemetry::{Fanout, HistorySink, SharedHistory};
use evenkeel::view::{LiveTraining, LiveWindow, Theme, TrainingPhase};

/// Name of the trainer's thread, which torch's threads inherit.
const TRAINER: &str = "trainer";

/// The lowest scheduling priority (nice value).
#[cfg(target_os = "linux")]
const LOWEST_PRIORITY: i32 = 19;

/// Checks that a window can be opened, before the run is created.
///
/// # Errors
/// If there is no display.
pub(super) fn check() -> anyhow::Result<()> {
    LiveWindow::check().context("cannot open the window of --view; training itself needs no window")
}

/// Trains with a window open. The user may close the window at any time.
///
/// # Errors
/// If the window cannot be opened, or training fails.
pub(super) fn train(job: &TrainJob, theme: Theme, ui: &Ui) -> anyhow::Result<()> {
    let config = &job.definition.config;
    let training = LiveTraining::new(
        job.definition.scenario.clone(),
        job.run.info()?.arm,
        job.definition.seed,
        config.iterations() * config.steps_per_iteration(),
        vec![
            TRAINER,
            evenkeel::env::ENV_THREAD_PREFIX,
            evenkeel::learn::LEARNER_THREAD_PREFIX,
        ],
        SharedHistory::new(job.start_step, config.steps_per_iteration()),
        job.stop.clone(),
    );
    let shared = training.clone();
    let on_first_signal = job.on_first_signal();
    stop_on_signal(job.stop.clone(), move || {
        on_first_signal();
        shared.wake_window();
    })?;
    std::thread::scope(|scope| {
        let (start, started) = mpsc::channel();
        let shared = &training;
        // The trainer's thread starts before `lower_priority`, because threads inherit the priority.
        let trainer = std::thread::Builder::new()
            .name(TRAINER.into())
            .spawn_scoped(scope, move || {
                // If the window cannot be opened, the sender is dropped and nothing is trained.
                let Ok(()) = started.recv() else {
                    return Ok(());
                };
                let result = train_and_evaluate(job, shared, ui);
                if result.is_err() {
                    shared.set_phase(TrainingPhase::Closing);
                }
                result
            })
            .context("cannot start the trainer's thread")?;
        lower_priority();
        let window = LiveWindow::open(training.clone(), theme)?;
        let _ = start.send(());
        if !window.run() {
            ui.note("the window was closed; training continues");
        }
        match trainer.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Lowers the priority of this thread and of the drawing threads that it starts later, so that the
/// trainer gets a contested core first.
fn lower_priority() {
    // Only Linux has a priority per thread; elsewhere this would slow down the trainer too.
    #[cfg(target_os = "linux")]
    {
        // If this fails, the window draws with normal priority.
        let _ = rustix::process::setpriority_process(None, LOWEST_PRIORITY);
    }
}

/// Trains, evaluates and prints the answer. Runs on the trainer's thread.
fn train_and_evaluate(job: &TrainJob, training: &LiveTraining, ui: &Ui) -> anyhow::Result<()> {
    let sinks = Fanout::new().with(HistorySink(training.shared_history.clone()));
    let outcome = job.train(sinks, Some(&training.probe))?;
    training.set_phase(TrainingPhase::Evaluating);
    let answer = job.evaluate(outcome)?;
    training.set_phase(final_phase(&answer));
    job.print(&answer, ui)
}

/// Returns the phase that the window shows at the end. It closes if the user stopped the training.
fn final_phase(answer: &Output) -> TrainingPhase {
    if answer.status == "stopped" {
        return TrainingPhase::Closing;
    }
    let success = answer.evaluation.as_ref().map_or(String::new(), |best| {
        let last = answer.last_evaluation.as_ref();
        let last = last.map_or(String::new(), |last| {
            format!(" (last {})", percent(last.summary.success.value))
        });
        let best = &best.summary;
        format!(
            ", success {}{last} in {}",
            percent(best.success.value),
            counted(best.episodes, "held-out episode")
        )
    });
    TrainingPhase::Finished(format!("{}{success}", answer.status))
}
