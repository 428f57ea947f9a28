//! Where runs were lost, in words.

use crate::lab::ArmScore;
use evenkeel_runs::telemetry::format::{counted, percent, steps};

/// The divergences, collapses and falls of an arm's runs.
pub(super) fn instability_sentences(arm: &ArmScore) -> Vec<String> {
    let mut sentences = Vec::new();
    let name = &arm.arm;
    let first = arm
        .runs
        .iter()
        .filter_map(|run| run.diverged)
        .min_by_key(|d| d.global_step);
    if let Some(first) = first {
        sentences.push(format!(
            "`{name}`: {} of {} diverged, the first after {} environment steps ({}). A \
                 diverged run counts as 0 % success and with the return of random actions.",
            arm.diverged.count,
            counted(arm.diverged.total, "run"),
            steps(first.global_step as f64),
            first.reason.description(),
        ));
    }
    let first = arm
        .runs
        .iter()
        .filter_map(|run| run.collapsed)
        .min_by_key(|c| c.global_step);
    if let Some(first) = first {
        sentences.push(format!(
            "`{name}`: {} of {} collapsed, the first after {} environment steps (from \
                 {} to {} success).",
            arm.collapsed.count,
            counted(arm.collapsed.total, "run"),
            steps(first.global_step as f64),
            percent(first.best),
            percent(first.lowest),
        ));
    }
    let falls = arm.runs.iter().filter_map(|run| run.fall);
    let deepest = falls.max_by(|a, b| (a.best - a.last).total_cmp(&(b.best - b.last)));
    if let Some(fall) = deepest {
        let step = |step: u64| format!("step {}", steps(step as f64));
        let best_step = fall
            .best_step
            .map_or(String::new(), |at| format!(" at {}", step(at)));
        sentences.push(format!(
            "`{name}`: in {} of {} the last checkpoint is far below the best; the deepest fall is from {}{best_step} to \
             {} at {}. Figures of the best checkpoint hide it.",
            arm.fell.count,
            counted(arm.fell.total, "run"),
            percent(fall.best),
            percent(fall.last),
            step(fall.last_step),
        ));
    }
    sentences
}
