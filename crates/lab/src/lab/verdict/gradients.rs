//! What the gradients of an arm were like, in words.

use crate::lab::ArmScore;
use evenkeel_runs::telemetry::format::{number, percent};

/// How often the clip of an arm acted.
pub(super) fn clipping_sentence(arm: &ArmScore) -> Option<String> {
    /// Above this share the clip acts almost always, below `RARE_SHARE` almost never.
    const FREQUENT_SHARE: f64 = 0.9;
    const RARE_SHARE: f64 = 0.01;
    let share = arm.clip_share?;
    let norm = arm.grad_norm?;
    let name = &arm.arm;
    let at = arm
        .clip_threshold
        .map_or(String::new(), |max| format!(" at {}", rounded(max)));
    let norms = format!(
        "the norm's median was {}, its largest value {}",
        number(norm.p50),
        number(norm.max)
    );
    Some(if share > FREQUENT_SHARE {
        format!(
            "`{name}`: the clip{at} acted in {} of the optimiser steps ({norms}). It acts \
             so often that it sets the step size rather than guards against outliers.",
            percent(share)
        )
    } else if share < RARE_SHARE {
        format!(
            "`{name}`: the clip{at} acted in only {} of the optimiser steps ({norms}), so it had \
             little effect.",
            percent(share)
        )
    } else {
        format!(
            "`{name}`: the clip{at} acted in {} of the optimiser steps; {norms}.",
            percent(share)
        )
    })
}

/// Rounds a threshold to three digits. Adaptive thresholds have more.
fn rounded(threshold: f64) -> f64 {
    format!("{threshold:.2e}").parse().unwrap_or(threshold)
}

/// The largest gradient norm of an arm without a clip, relative to the median. It calls gradients
/// tame only if there was neither a spike nor a divergence.
pub(super) fn gradient_tail_sentence(arm: &ArmScore) -> Option<String> {
    const HEAVY_TAIL_RATIO: f64 = 20.0;
    let norm = arm.grad_norm.filter(|_| arm.clip_share.is_none())?;
    let ratio = norm.max / norm.p50;
    let name = &arm.arm;
    let spiked = arm.runs.iter().filter(|run| run.had_spike()).count();
    let nonfinite = match norm.nonfinite_steps {
        0 => String::new(),
        1 => "; one step had entries that were not finite".into(),
        several => format!("; {several} steps had entries that were not finite"),
    };
    Some(if ratio > HEAVY_TAIL_RATIO {
        format!(
            "`{name}`: the gradient was not clipped, and its largest norm ({}) was {} times the \
             median ({}){nonfinite}.",
            number(norm.max),
            number(ratio),
            number(norm.p50),
        )
    } else if spiked > 0 || arm.diverged.count > 0 {
        let spikes = if spiked > 0 {
            " Its spikes stood out from the steps around them rather than from the whole run."
        } else {
            ""
        };
        format!(
            "`{name}`: the gradient was not clipped.{spikes} The largest norm ({}) was only {} times \
             the median ({}){nonfinite}.",
            number(norm.max),
            number(ratio),
            number(norm.p50),
        )
    } else {
        format!(
            "`{name}`: gradients stayed tame without a clip: the largest norm ({}) was only {} times \
             the median ({}){nonfinite}.",
            number(norm.max),
            number(ratio),
            number(norm.p50),
        )
    })
}
