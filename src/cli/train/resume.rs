//! What a resumed run goes on with, in words.

use crate::cli::Ui;
use evenkeel::runs::{RunDir, RunError, checkpoint_reference};
use evenkeel::telemetry::format::steps;

/// The environment steps after which training goes on: those of the last checkpoint, or 0.
pub(super) fn start_step(run: &RunDir) -> Result<u64, RunError> {
    let checkpoint = run.checkpoint("last")?;
    let reference = checkpoint.as_deref().and_then(checkpoint_reference);
    Ok(reference.map_or(0, |reference| reference.global_step))
}

/// Says from which step training goes on, and warns where the log misses steps before it.
pub(super) fn announce(run: &RunDir, start_step: u64, total: u64, ui: &Ui) -> Result<(), RunError> {
    if start_step == 0 {
        ui.note("the run has no checkpoint: training starts at step 0");
        return Ok(());
    }
    ui.note(format_args!(
        "resuming from the last checkpoint, at step {start_step} of {total}"
    ));
    let missing = match run.last_logged_step()? {
        Some(step) if step >= start_step => return Ok(()),
        Some(step) => format!("ends at step {}", steps(step as f64)),
        None if run.metrics_path().exists() => "has no events".to_owned(),
        None => "does not exist".to_owned(),
    };
    ui.warn(format_args!(
        "{} {missing}, before the checkpoint: charts and statistics of this run lack what is \
         missing up to step {}",
        run.metrics_path().display(),
        steps(start_step as f64)
    ));
    Ok(())
}
