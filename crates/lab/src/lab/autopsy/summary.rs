//! The sentences of an autopsy. Arm names are in backticks.

use super::{Autopsy, AutopsyTransition, RemedyTrial};
use evenkeel_runs::telemetry::format::{counted, number, percent};
use evenkeel_runs::telemetry::{DivergenceReason, GuardAction};

impl Autopsy {
    /// What the step did, and which remedy would have prevented it.
    pub fn headline(&self) -> String {
        let own = &self.trials[0];
        if let Some(reason) = own.divergence.filter(|reason| reason.is_non_finite()) {
            let helps = self.trials.iter().find(|trial| trial.divergence.is_none());
            return match helps {
                Some(trial) => format!(
                    "The step could not be taken: {}. Under `{}` it could have been.",
                    reason.description(),
                    trial.arm
                ),
                None => format!(
                    "The step could not be taken under any stabilising technique: {}. Training broke before it{}.",
                    reason.description(),
                    self.earlier_step_hint()
                ),
            };
        }
        let Some(moved) = own.report.update_ratio else {
            return "Not enough of the step is finite to say what it did.".into();
        };
        let moves = match self.action {
            GuardAction::Proceed => "moved",
            GuardAction::Halt | GuardAction::Skip | GuardAction::Rollback { .. } => {
                "would have moved"
            }
        };
        let did = format!(
            "As trained, the step {moves} the weights by {}",
            format_update_ratio(moved)
        );
        let why = self.divergence.map_or(
            "its gradient was far above the usual",
            DivergenceReason::description,
        );
        let diverged = match (self.action, self.divergence) {
            (GuardAction::Proceed, None) => String::new(),
            (GuardAction::Proceed, Some(_)) => format!(", and the run diverged: {why}"),
            (GuardAction::Halt, _) => format!(", and the run ended with it: {why}"),
            (GuardAction::Skip, _) => format!("; the guard left it out: {why}"),
            (GuardAction::Rollback { .. }, _) => {
                format!("; the guard went back to before the iteration: {why}")
            }
        };
        match self.first_milder_trial() {
            Some(trial) => format!(
                "{did}{diverged}. Under `{}` it would have moved them by {}.",
                trial.arm,
                format_update_ratio(trial.report.update_ratio.unwrap_or(0.0))
            ),
            None => format!("{did}{diverged}. No other technique would have moved them much less."),
        }
    }

    /// Which arms survived continued training; `None` if no training was continued.
    pub fn survival_summary(&self) -> Option<String> {
        let names = |survived: bool| -> Vec<String> {
            let named = self.trials.iter().filter_map(|trial| {
                let continuation = trial.continuation.as_ref()?;
                match &continuation.diverged {
                    None => survived.then(|| format!("`{}`", trial.arm)),
                    Some(diverged) => (!survived)
                        .then(|| format!("`{}` (at step {})", trial.arm, diverged.optimiser_step)),
                }
            });
            named.collect()
        };
        let iterations = self
            .trials
            .iter()
            .filter_map(|trial| Some(trial.continuation.as_ref()?.iterations))
            .max()?;
        let (alive, dead) = (names(true).join(", "), names(false).join(", "));
        Some(match (alive.is_empty(), dead.is_empty()) {
            (false, true) => format!("All survived {}.", counted(iterations, "more iteration")),
            (true, _) => format!("Trained on from here, none survived: {dead}."),
            (false, false) => {
                format!(
                    "Trained on from here for {}, {alive} survived; {dead} diverged.",
                    counted(iterations, "iteration")
                )
            }
        })
    }

    /// Which transitions contributed most to the gradient.
    pub fn contribution_summary(&self) -> String {
        let (count, unit) = match self.trials[0].report.hidden_grad_norms.len() {
            0 => (self.minibatch, "transitions"),
            _ => (self.minibatch, "sequences"),
        };
        let Some(first) = self.transitions.first() else {
            return String::new();
        };
        if !self.is_concentrated() {
            return format!(
                "No transition dominates (effective number {} of {count} {unit}).",
                self.effective_count.map_or(String::new(), number)
            );
        }
        let spread = match self.effective_count {
            Some(spread) => {
                let few = match spread {
                    ..1.5 => format!("One {} dominates", unit.trim_end_matches('s')),
                    _ => format!("A few {unit} dominate"),
                };
                format!(
                    "{few} the gradient (effective number {} of {count}). ",
                    number(spread)
                )
            }
            None => format!("The gradient of {count} {unit} is not finite. "),
        };
        format!("{spread}{}", first.describe())
    }

    /// Whether some transitions contributed much more than the average.
    pub fn is_concentrated(&self) -> bool {
        let is_even = self
            .effective_count
            .is_some_and(|spread| spread > 0.5 * self.minibatch as f64);
        let share = self
            .transitions
            .first()
            .and_then(|one| one.contribution.share);
        !(is_even && share.is_some_and(|share| share.abs() < 0.05))
    }

    /// How far the step is from the last step of the incident, if it is another.
    pub fn offset_summary(&self) -> Option<String> {
        let last = self.preceding_steps.last()?.optimiser_step;
        let apart = last
            .checked_sub(self.optimiser_step)
            .filter(|apart| *apart > 0)?;
        Some(format!(
            "The incident is that of step {last}; this is {} before it.",
            counted(apart, "step")
        ))
    }

    /// The first remedy under which the run does not diverge and the weights move by less than half as
    /// much.
    fn first_milder_trial(&self) -> Option<&RemedyTrial> {
        let own = self.trials[0].report.update_ratio?;
        self.trials[1..].iter().find(|trial| {
            let moved = trial.report.update_ratio;
            trial.divergence.is_none() && moved.is_some_and(|moved| moved < 0.5 * own)
        })
    }

    /// A hint at the step before.
    fn earlier_step_hint(&self) -> String {
        let earlier = self
            .preceding_steps
            .iter()
            .map(|report| report.optimiser_step)
            .rfind(|&step| step < self.optimiser_step);
        earlier.map_or(String::new(), |step| format!(" (--step {step})"))
    }
}

/// As in `0.3 % of their norm` or `368 times their norm`.
pub(crate) fn format_update_ratio(ratio: f64) -> String {
    if ratio < 1.0 {
        format!("{} % of their norm", number(100.0 * ratio))
    } else {
        format!("{} times their norm", number(ratio))
    }
}

impl AutopsyTransition {
    /// Where the robot was, and the transition's share.
    pub fn describe(&self) -> String {
        let added = match self.contribution.share {
            Some(share) => format!("adds {} of it", percent(share)),
            None => "adds something that is not finite".into(),
        };
        let [x, y] = self.position;
        format!(
            "The transition that adds most {added}: environment {}, episode {}, control step {}, the \
             robot at ({x:.2}, {y:.2}) m with {:.2} m/s.",
            self.env, self.episode, self.episode_step, self.speed_mps
        )
    }
}
