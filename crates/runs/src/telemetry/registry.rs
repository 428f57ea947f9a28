//! Every metric that is charted: what it is called, its unit, which way is better, and what it
//! tells. The `TensorBoard` sink and the report both read it from here.

use super::{EvaluationReport, IterationReport};

/// Which way a metric should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// It tells something, but neither way is better in itself.
    Neither,
}

/// One metric of the reports of type `R`.
#[derive(Clone, Copy, Debug)]
pub struct Metric<R> {
    /// The tag that `TensorBoard` shows; `CleanRL`'s where it has one.
    pub tag: &'static str,
    /// For people.
    pub name: &'static str,
    /// Unit, or empty for a plain number.
    pub unit: &'static str,
    /// Which way it should go.
    pub better: Better,
    /// What it tells, one sentence.
    pub help: &'static str,
    /// Reads it; nothing where it was not measured or not finite.
    pub of: fn(&R) -> Option<f64>,
}

impl<R> Metric<R> {
    /// Reads it from a report; nothing where it was not measured or not finite.
    pub fn read(&self, report: &R) -> Option<f64> {
        (self.of)(report).filter(|value| value.is_finite())
    }
}

/// The metrics of an iteration, charted over environment steps.
pub const ITERATION: &[Metric<IterationReport>] = &[
    Metric {
        tag: "charts/success_rate",
        name: "success in training",
        unit: "",
        better: Better::Higher,
        help: "share of the rollout's ended episodes that reached the goal, with action noise",
        of: |i| i.success_rate,
    },
    Metric {
        tag: "charts/episodic_return",
        name: "return",
        unit: "",
        better: Better::Higher,
        help: "mean undiscounted return of the rollout's ended episodes",
        of: |i| i.episodic_return,
    },
    Metric {
        tag: "charts/episodic_length",
        name: "episode length",
        unit: "control steps",
        better: Better::Neither,
        help: "mean length of the rollout's ended episodes",
        of: |i| i.episodic_length,
    },
    Metric {
        tag: "charts/SPS",
        name: "speed",
        unit: "environment steps/s",
        better: Better::Higher,
        help: "environment steps per second of the whole training loop",
        of: |i| Some(i.wall.steps_per_sec),
    },
    Metric {
        tag: "charts/learning_rate",
        name: "learning rate",
        unit: "",
        better: Better::Neither,
        help: "learning rate of the iteration's last optimiser step",
        of: |i| Some(i.learning_rate),
    },
    Metric {
        tag: "charts/action_std",
        name: "action noise",
        unit: "",
        better: Better::Neither,
        help: "mean standard deviation of the action distribution before squashing",
        of: |i| i.action_std,
    },
    Metric {
        tag: "curriculum/stage",
        name: "curriculum stage",
        unit: "promotions",
        better: Better::Higher,
        help: "promotions to harder levels so far, of a curriculum by difficulty",
        of: |i| i.curriculum?.stage.map(f64::from),
    },
    Metric {
        tag: "curriculum/hardest",
        name: "hardest open level",
        unit: "",
        better: Better::Neither,
        help: "difficulty of the hardest level that the curriculum has opened, 0 for an open plain; nothing once every level is open",
        of: |i| i.curriculum?.hardest,
    },
    Metric {
        tag: "curriculum/learnability",
        name: "learnability of the kept levels",
        unit: "",
        better: Better::Neither,
        help: "mean p(1 − p) over the levels that are played again, p being the success rate in each: 0.25 at most",
        of: |i| i.curriculum?.learnability,
    },
    Metric {
        tag: "curriculum/candidates_passed",
        name: "success in new levels",
        unit: "",
        better: Better::Higher,
        help: "success rate, with action noise, in the new levels that the curriculum appraised last",
        of: |i| i.curriculum?.candidates_passed,
    },
    Metric {
        tag: "curriculum/appraisal_steps",
        name: "steps of appraisals",
        unit: "environment steps",
        better: Better::Lower,
        help: "environment steps so far that went into appraising levels, and are not among those trained on",
        of: |i| i.curriculum?.appraisal_steps.map(|steps| steps as f64),
    },
    Metric {
        tag: "losses/policy_loss",
        name: "policy loss",
        unit: "",
        better: Better::Neither,
        help: "PPO's clipped surrogate objective, negated",
        of: |i| i.mean.policy_loss,
    },
    Metric {
        tag: "losses/value_loss",
        name: "value loss",
        unit: "",
        better: Better::Lower,
        help: "squared error of the value estimate, in the scale of normalised returns if those are on",
        of: |i| i.mean.value_loss,
    },
    Metric {
        tag: "losses/entropy",
        name: "entropy",
        unit: "nats",
        better: Better::Neither,
        help: "entropy of the action distribution; it falls as the policy makes up its mind, and a sudden fall ends exploration",
        of: |i| i.mean.entropy,
    },
    Metric {
        tag: "losses/approx_kl",
        name: "approximate KL",
        unit: "nats",
        better: Better::Lower,
        help: "how far the policy moved from the one that gathered the rollout; above about 0.05 the rollout no longer speaks for it",
        of: |i| i.mean.approx_kl,
    },
    Metric {
        tag: "losses/clipfrac",
        name: "ratio-clip share",
        unit: "",
        better: Better::Neither,
        help: "share of samples whose probability ratio the objective clipped",
        of: |i| i.mean.ratio_clip_share,
    },
    Metric {
        tag: "losses/explained_variance",
        name: "explained variance",
        unit: "",
        better: Better::Higher,
        help: "share of the returns' variance that the critic foresees; 1 is perfect, below 0 is worse than a constant",
        of: |i| i.explained_variance,
    },
    Metric {
        tag: "stability/grad_norm",
        name: "gradient norm",
        unit: "",
        better: Better::Neither,
        help: "global norm of the gradient before any clip, mean over the iteration's optimiser steps",
        of: |i| i.mean.grad_norm,
    },
    Metric {
        tag: "stability/grad_max",
        name: "largest gradient entry",
        unit: "",
        better: Better::Neither,
        help: "largest absolute entry of the gradient, the largest of the iteration's optimiser steps",
        of: |i| i.mean.grad_max,
    },
    Metric {
        tag: "stability/grad_nonfinite",
        name: "non-finite gradient entries",
        unit: "",
        better: Better::Lower,
        help: "number of gradient entries that are NaN or infinite",
        of: |i| Some(i.mean.grad_nonfinite as f64),
    },
    Metric {
        tag: "stability/clip_share",
        name: "steps clipped",
        unit: "",
        better: Better::Neither,
        help: "share of optimiser steps in which the gradient was clipped; beyond 90 % it sets the step size",
        of: |i| Some(i.clip_share),
    },
    Metric {
        tag: "stability/update_ratio",
        name: "relative step",
        unit: "",
        better: Better::Neither,
        help: "norm of the applied step over the norm of the parameters",
        of: |i| i.mean.update_ratio,
    },
    Metric {
        tag: "stability/param_norm",
        name: "parameter norm",
        unit: "",
        better: Better::Neither,
        help: "global norm of the parameters; a hundredfold of its beginning counts as diverged",
        of: |i| i.mean.param_norm,
    },
];

/// The metrics of the deterministic evaluations during training, charted over environment steps.
pub const EVALUATION: &[Metric<EvaluationReport>] = &[
    Metric {
        tag: "eval/success_rate",
        name: "success",
        unit: "",
        better: Better::Higher,
        help: "share of held-out episodes that reach the goal, deterministic policy",
        of: |e| Some(e.summary.success.value),
    },
    Metric {
        tag: "eval/episodic_return",
        name: "return, held out",
        unit: "",
        better: Better::Higher,
        help: "mean undiscounted return over held-out episodes, deterministic policy",
        of: |e| Some(e.summary.episodic_return.value),
    },
    Metric {
        tag: "eval/episodic_length",
        name: "episode length, held out",
        unit: "control steps",
        better: Better::Neither,
        help: "mean length of held-out episodes, deterministic policy",
        of: |e| Some(e.summary.length.value),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_tag_names_one_metric_with_help() {
        let mut tags = HashSet::new();
        let all = ITERATION
            .iter()
            .map(|m| (m.tag, m.name, m.help))
            .chain(EVALUATION.iter().map(|m| (m.tag, m.name, m.help)));
        for (tag, name, help) in all {
            assert!(tags.insert(tag), "{tag} is there twice");
            assert!(
                tag.contains('/') && !name.is_empty() && help.len() > 10,
                "{tag}"
            );
        }
    }
}
