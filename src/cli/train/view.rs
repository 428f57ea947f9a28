//! Training with a window on it: the window on this thread, as windows want it, and the trainer on
//! one of its own.

use std::sync::mpsc;

use anyhow::Context as _;

use super::{Answer, Job};
use crate::cli::Ui;
use evenkeel::telemetry::{Fanout, Feed, FeedSink};
use evenkeel::view::{LiveWindow, Stage, Theme, Training};

/// The trainer's thread, and what torch's threads inherit.
const TRAINER: &str = "trainer";

/// The priority that goes after all others.
#[cfg(target_os = "linux")]
const LAST: i32 = 19;

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
pub(super) fn train(job: &Job, theme: Theme, ui: &Ui) -> anyhow::Result<()> {
    let config = &job.experiment.config;
    let training = Training::new(
        job.experiment.scenario.clone(),
        job.run.info()?.arm,
        job.experiment.seed,
        config.iterations() * config.steps_per_iteration(),
        vec![TRAINER, evenkeel::env::THREADS, evenkeel::learn::THREADS],
        Feed::new(job.from, config.steps_per_iteration()),
        job.stop.clone(),
    );
    let looker = training.clone();
    job.heed_signals(move || looker.ring())?;
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
                let result = work(job, shared, ui);
                if result.is_err() {
                    shared.enter(Stage::Gone);
                }
                result
            })
            .context("cannot start a thread to train on")?;
        step_back();
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
fn step_back() {
    // Only Linux has priorities of threads; elsewhere this would slow down the trainer as well.
    #[cfg(target_os = "linux")]
    {
        // Everybody may step back; who may not draws as before.
        let _ = rustix::process::setpriority_process(None, LAST);
    }
}

/// What the trainer does.
fn work(job: &Job, training: &Training, ui: &Ui) -> anyhow::Result<()> {
    let listeners = Fanout::new().with(FeedSink(training.feed.clone()));
    let ended = job.train(listeners, Some(&training.tap))?;
    training.enter(Stage::Scoring);
    let answer = job.score(ended)?;
    training.enter(over(&answer));
    job.tell(&answer, ui)
}

/// What the window says at the end; whoever has stopped the training wants it closed.
fn over(answer: &Answer) -> Stage {
    if answer.ended == "stopped" {
        return Stage::Gone;
    }
    let success = answer.evaluation.as_ref().map_or(String::new(), |summary| {
        let percent = 100.0 * summary.success.value;
        format!(
            ", success {percent:.1} % in {} held-out episodes",
            summary.episodes
        )
    });
    Stage::Over(format!("{}{success}", answer.ended))
}
