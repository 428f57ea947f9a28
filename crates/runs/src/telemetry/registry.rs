//! The table of all charted metrics: tag, name, unit, direction and help text. The `TensorBoard`
//! sink, the report and the live charts use it.

use super::{EvaluationReport, IterationReport};
use evenkeel_sim::env::Outcome;

/// The direction in which a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricDirection {
    /// Higher is better.
    Higher,
    /// Lower is better.
    Lower,
    /// Neither direction is better in itself.
    Neither,
}

/// A metric that is read from reports of type `R`.
#[derive(Clone, Copy, Debug)]
pub struct Metric<R> {
    /// Tag in `TensorBoard`; the same as `CleanRL`'s where that has one.
    pub tag: &'static str,
    /// Display name.
    pub name: &'static str,
    /// Unit; empty for a plain number.
    pub unit: &'static str,
    /// The direction in which it is better.
    pub direction: MetricDirection,
    /// What it measures, in one sentence.
    pub help: &'static str,
    /// Gets the value; `None` if it was not measured. Use [`read`](Self::read), which also drops
    /// non-finite values.
    pub value: fn(&R) -> Option<f64>,
}

impl<R> Metric<R> {
    /// Gets the value from a report; `None` if it was not measured or is not finite.
    pub fn read(&self, report: &R) -> Option<f64> {
        (self.value)(report).filter(|value| value.is_finite())
    }
}

/// Metrics of an iteration, charted over environment steps.
pub const ITERATION_METRICS: &[Metric<IterationReport>] = &[
    Metric {
        tag: "charts/success_rate",
        name: "success in training",
        unit: "",
        direction: MetricDirection::Higher,
        help: "share of the rollout's ended episodes that reached the goal, with action noise",
        value: |i| i.success_rate,
    },
    Metric {
        tag: "charts/episodic_return",
        name: "return",
        unit: "",
        direction: MetricDirection::Higher,
        help: "mean undiscounted return of the rollout's ended episodes",
        value: |i| i.episodic_return,
    },
    Metric {
        tag: "charts/episodic_length",
        name: "episode length",
        unit: "control steps",
        direction: MetricDirection::Neither,
        help: "mean length of the rollout's ended episodes",
        value: |i| i.episodic_length,
    },
    Metric {
        tag: "charts/SPS",
        name: "speed",
        unit: "environment steps/s",
        direction: MetricDirection::Higher,
        help: "environment steps per second of the whole training loop",
        value: |i| Some(i.wall.steps_per_sec),
    },
    Metric {
        tag: "charts/learning_rate",
        name: "learning rate",
        unit: "",
        direction: MetricDirection::Neither,
        help: "learning rate of the iteration's last optimiser step",
        value: |i| Some(i.learning_rate),
    },
    Metric {
        tag: "charts/action_std",
        name: "action noise",
        unit: "",
        direction: MetricDirection::Neither,
        help: "mean standard deviation of the action distribution before squashing",
        value: |i| i.action_std,
    },
    Metric {
        tag: "curriculum/stage",
        name: "curriculum stage",
        unit: "promotions",
        direction: MetricDirection::Higher,
        help: "promotions to harder levels so far, of a curriculum by difficulty",
        value: |i| i.curriculum?.stage.map(f64::from),
    },
    Metric {
        tag: "curriculum/max_difficulty",
        name: "hardest open level",
        unit: "",
        direction: MetricDirection::Neither,
        help: "difficulty of the hardest level that the curriculum has opened, 0 for an open plain; missing once every level is open",
        value: |i| i.curriculum?.max_difficulty,
    },
    Metric {
        tag: "curriculum/learnability",
        name: "learnability of the kept levels",
        unit: "",
        direction: MetricDirection::Neither,
        help: "mean p(1 − p) over the levels that are replayed, where p is the success rate in each; at most 0.25",
        value: |i| i.curriculum?.learnability,
    },
    Metric {
        tag: "curriculum/candidate_success_rate",
        name: "success in new levels",
        unit: "",
        direction: MetricDirection::Higher,
        help: "success rate, with action noise, in the new levels that the curriculum scored last",
        value: |i| i.curriculum?.candidate_success_rate,
    },
    Metric {
        tag: "curriculum/level_scoring_steps",
        name: "level-scoring steps",
        unit: "environment steps",
        direction: MetricDirection::Lower,
        help: "environment steps so far that were spent on scoring levels; not counted in the training steps",
        value: |i| i.curriculum?.level_scoring_steps.map(|steps| steps as f64),
    },
    Metric {
        tag: "losses/policy_loss",
        name: "policy loss",
        unit: "",
        direction: MetricDirection::Neither,
        help: "the surrogate objective, negated, plus the KL penalty if there is one",
        value: |i| i.mean.policy_loss,
    },
    Metric {
        tag: "losses/value_loss",
        name: "value loss",
        unit: "",
        direction: MetricDirection::Lower,
        help: "squared error of the value estimate, in units of normalised returns if these are on",
        value: |i| i.mean.value_loss,
    },
    Metric {
        tag: "losses/entropy",
        name: "entropy",
        unit: "nats",
        direction: MetricDirection::Neither,
        help: "mean entropy of the action distribution; it falls as the policy becomes certain, and a sudden fall ends exploration",
        value: |i| i.mean.entropy,
    },
    Metric {
        tag: "losses/approx_kl",
        name: "approximate KL",
        unit: "nats",
        direction: MetricDirection::Lower,
        help: "KL divergence from the policy that collected the rollout; above about 0.05 the rollout no longer represents the policy",
        value: |i| i.mean.approx_kl,
    },
    Metric {
        tag: "losses/kl_coef",
        name: "KL penalty",
        unit: "",
        direction: MetricDirection::Neither,
        help: "coefficient of the penalty on the KL divergence from the rollout's policy",
        value: |i| i.kl_coef,
    },
    Metric {
        tag: "losses/clipfrac",
        name: "ratio-clip share",
        unit: "",
        direction: MetricDirection::Neither,
        help: "share of samples whose probability ratio the objective clipped",
        value: |i| i.mean.ratio_clip_share,
    },
    Metric {
        tag: "losses/explained_variance",
        name: "explained variance",
        unit: "",
        direction: MetricDirection::Higher,
        help: "share of the returns' variance that the critic predicts; 1 is perfect, below 0 is worse than a constant",
        value: |i| i.explained_variance,
    },
    Metric {
        tag: "stability/value_ratio",
        name: "largest value",
        unit: "of what rewards allow",
        direction: MetricDirection::Neither,
        help: "largest |value| of the critic in the rollout, as a multiple of the largest |reward| so far / (1 − γ); above 1 no rewards can give such a value",
        value: IterationReport::value_ratio,
    },
    Metric {
        tag: "stability/grad_norm",
        name: "gradient norm",
        unit: "",
        direction: MetricDirection::Neither,
        help: "global norm of the gradient before any clip, mean over the iteration's optimiser steps",
        value: |i| i.mean.grad_norm,
    },
    Metric {
        tag: "stability/grad_max",
        name: "largest gradient entry",
        unit: "",
        direction: MetricDirection::Neither,
        help: "largest absolute entry of the gradient over the iteration's optimiser steps",
        value: |i| i.mean.grad_max,
    },
    Metric {
        tag: "stability/grad_nonfinite",
        name: "non-finite gradient entries",
        unit: "",
        direction: MetricDirection::Lower,
        help: "number of gradient entries that are NaN or infinite",
        value: |i| Some(i.mean.grad_nonfinite as f64),
    },
    Metric {
        tag: "stability/clip_share",
        name: "steps clipped",
        unit: "",
        direction: MetricDirection::Neither,
        help: "share of optimiser steps in which the gradient was clipped; above 90 % the clip determines the step size",
        value: |i| Some(i.clip_share),
    },
    Metric {
        tag: "stability/update_ratio",
        name: "relative step",
        unit: "",
        direction: MetricDirection::Neither,
        help: "norm of the applied step divided by the norm of the parameters",
        value: |i| i.mean.update_ratio,
    },
    Metric {
        tag: "stability/param_norm",
        name: "parameter norm",
        unit: "",
        direction: MetricDirection::Neither,
        help: "global norm of the parameters; 100 times the initial norm counts as diverged",
        value: |i| i.mean.param_norm,
    },
];

/// Metrics of the deterministic evaluations during training, charted over environment steps.
pub const EVALUATION_METRICS: &[Metric<EvaluationReport>] = &[
    Metric {
        tag: "eval/success_rate",
        name: "success",
        unit: "",
        direction: MetricDirection::Higher,
        help: "share of validation episodes that reach the goal, deterministic policy",
        value: |e| Some(e.summary.success.value),
    },
    Metric {
        tag: "eval/success_rate_low",
        name: "success, lower end",
        unit: "",
        direction: MetricDirection::Higher,
        help: "lower end of the 95 % Wilson interval of eval/success_rate",
        value: |e| Some(e.summary.success.low),
    },
    Metric {
        tag: "eval/success_rate_high",
        name: "success, upper end",
        unit: "",
        direction: MetricDirection::Higher,
        help: "upper end of the 95 % Wilson interval of eval/success_rate",
        value: |e| Some(e.summary.success.high),
    },
    Metric {
        tag: "eval/collision_rate",
        name: "collisions",
        unit: "",
        direction: MetricDirection::Lower,
        help: "share of held-out episodes that end in a collision, deterministic policy",
        value: |e| share_of(e, &[Outcome::CollisionStatic, Outcome::CollisionMover]),
    },
    Metric {
        tag: "eval/time_limit_rate",
        name: "time limit reached",
        unit: "",
        direction: MetricDirection::Lower,
        help: "share of held-out episodes that reach the time limit, deterministic policy",
        value: |e| share_of(e, &[Outcome::TimeLimit]),
    },
    Metric {
        tag: "eval/min_clearance_m",
        name: "clearance",
        unit: "m",
        direction: MetricDirection::Higher,
        help: "smallest distance to anything in a held-out episode, mean over the episodes",
        value: |e| Some(e.summary.min_clearance_m.value),
    },
    Metric {
        tag: "eval/episodic_return",
        name: "return, validation",
        unit: "",
        direction: MetricDirection::Higher,
        help: "mean undiscounted return over validation episodes, deterministic policy",
        value: |e| Some(e.summary.episodic_return.value),
    },
    Metric {
        tag: "eval/episodic_length",
        name: "episode length, validation",
        unit: "control steps",
        direction: MetricDirection::Neither,
        help: "mean length of validation episodes, deterministic policy",
        value: |e| Some(e.summary.length.value),
    },
];

/// The share of an evaluation's robots with one of these outcomes.
fn share_of(report: &EvaluationReport, outcomes: &[Outcome]) -> Option<f64> {
    let counts = &report.summary.outcomes;
    let matching = Outcome::ALL.iter().zip(counts);
    let matching = matching.filter(|(outcome, _)| outcomes.contains(outcome));
    let count: u64 = matching.map(|(_, count)| count).sum();
    let total: u64 = counts.iter().sum();
    (total > 0).then(|| count as f64 / total as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_tag_names_one_metric_with_help() {
        let mut tags = HashSet::new();
        let all = ITERATION_METRICS
            .iter()
            .map(|m| (m.tag, m.name, m.help))
            .chain(EVALUATION_METRICS.iter().map(|m| (m.tag, m.name, m.help)));
        for (tag, name, help) in all {
            assert!(tags.insert(tag), "{tag} occurs twice");
            assert!(
                tag.contains('/') && !name.is_empty() && help.len() > 10,
                "{tag}"
            );
        }
    }

    #[test]
    fn each_tag_is_listed_in_the_metrics_page() {
        let page = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/metrics.md"
        ));
        let tags = ITERATION_METRICS.iter().map(|m| m.tag);
        for tag in tags.chain(EVALUATION_METRICS.iter().map(|m| m.tag)) {
            assert!(
                page.contains(&format!("| `{tag}` |")),
                "docs/metrics.md does not list {tag}"
            );
        }
    }
}
