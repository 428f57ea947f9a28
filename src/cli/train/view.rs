//! Training with a window on it: the window on this thread, as windows want it, and the trainer on
//! one of its own.

use anyhow::Context as _;

use super::{Answer, Job};
use crate::cli::Ui;
use crate::telemetry::{Fanout, Feed, FeedSink};
use crate::view::{LiveWindow, Stage, Theme, Training};

/// The trainer's thread, and what torch's threads inherit.
const TRAINER: &str = "trainer";

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
        vec![TRAINER, crate::env::THREADS, crate::learn::THREADS],
        Feed::new(job.from, config.steps_per_iteration()),
    );
    let window = LiveWindow::open(training.clone(), theme)?;
    std::thread::scope(|scope| {
        let trainer = std::thread::Builder::new()
            .name(TRAINER.into())
            .spawn_scoped(scope, || {
                let result = work(job, &training, ui);
                if result.is_err() {
                    training.enter(Stage::Gone);
                }
                result
            })
            .context("cannot start a thread to train on")?;
        if !window.run() {
            ui.note("the window is gone; training goes on");
        }
        match trainer.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
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
