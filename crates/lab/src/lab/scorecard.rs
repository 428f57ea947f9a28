//! The scorecard of a comparison: statistics of each arm over its seeds, and paired differences
//! between arms. Pure functions of the logs of runs.

use serde::Serialize;

use super::comparability::{self, ExcludedRun};
use super::differences::{self, SettingDifference};
use super::instability::{Collapse, Fall};
use super::run_record::RunRecord;
use evenkeel_runs::stats::{
    Average, Bootstrap, DifferenceFinding, Estimate, finding, mean, probability_greater_interval,
    quantile, wilson,
};
use evenkeel_runs::telemetry::{DivergenceReason, HealthEvent, Symptom};

/// The scorecard of a comparison in one scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Scorecard {
    /// What differs between the runs but must be equal for a comparison. If it is not empty, arms
    /// are not compared.
    pub mismatches: Vec<String>,
    /// Runs that are excluded because another run of the same column has the same seed.
    pub excluded_runs: Vec<ExcludedRun>,
    /// The arms, in order.
    pub arms: Vec<ArmScore>,
    /// Differences between the first arm and each other one.
    pub differences: Vec<ArmDifference>,
    /// Settings that differ between the arms.
    pub settings: Vec<SettingDifference>,
}

/// The statistics of one arm over its seeds. With fewer than five seeds there are no intervals:
/// they would be far too narrow, and the values of the runs say more.
#[derive(Clone, Debug, Serialize)]
pub struct ArmScore {
    /// The column's name: that of the arm or the run, and the settings that set it apart.
    pub arm: String,
    /// Its runs, in the order of their seeds.
    pub runs: Vec<RunScore>,
    /// Success of the best checkpoints over held-out episodes: interquartile mean over seeds.
    pub success: Option<Average>,
    /// Success of the last checkpoints over the same episodes: interquartile mean over seeds.
    pub last_success: Option<Average>,
    /// Return of the best checkpoints over held-out episodes: interquartile mean over seeds. A
    /// diverged run counts with the return of random actions.
    pub episodic_return: Option<Average>,
    /// Return of the last checkpoints, in the same form.
    pub last_episodic_return: Option<Average>,
    /// Success weighted by path length (SPL): interquartile mean over seeds. A diverged run counts
    /// as 0. Absent if no run was evaluated with shortest paths.
    pub spl: Option<Average>,
    /// Mean success during training, over the budget: interquartile mean over seeds.
    pub area_under_curve: Option<Average>,
    /// Environment steps to 50 % validation success.
    pub steps_to_50: StepsToSuccess,
    /// Environment steps to 90 % validation success.
    pub steps_to_90: StepsToSuccess,
    /// Share of runs that diverged, with Wilson interval.
    pub diverged: Proportion,
    /// Share of runs that collapsed, with Wilson interval.
    pub collapsed: Proportion,
    /// Share of runs whose last checkpoint is far below their best, with Wilson interval.
    pub fell: Proportion,
    /// Share of optimiser steps that were clipped, over all runs. Absent if the arm has no clip.
    pub clip_share: Option<f64>,
    /// Threshold of the clip.
    pub clip_threshold: Option<f64>,
    /// Gradient norm before any clip, over all optimiser steps of all runs.
    pub grad_norm: Option<GradNormQuantiles>,
}

/// The results of one run.
#[derive(Clone, Debug, Serialize)]
pub struct RunScore {
    /// The run's name.
    pub run: String,
    /// Root seed.
    pub seed: u64,
    /// Success of the best checkpoint over held-out episodes; 0 for a diverged run.
    pub success: Option<f64>,
    /// Success of the last checkpoint over the same episodes; 0 for a diverged run.
    pub last_success: Option<f64>,
    /// Return of the best checkpoint over held-out episodes; that of random actions for a diverged
    /// run.
    pub episodic_return: Option<f64>,
    /// Return of the last checkpoint, in the same form.
    pub last_episodic_return: Option<f64>,
    /// Success weighted by path length over held-out episodes.
    pub spl: Option<f64>,
    /// Mean success during training, over the budget.
    pub area_under_curve: Option<f64>,
    /// Environment steps taken.
    pub global_step: u64,
    /// Whether training has ended, finished or diverged.
    pub finished: bool,
    /// Whether it was given up before its end, by a rule.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub given_up: bool,
    /// The divergence, if there was one.
    pub diverged: Option<Divergence>,
    /// The collapse, if there was one.
    pub collapsed: Option<Collapse>,
    /// The fall from the best checkpoint to the last, if it is large.
    pub fall: Option<Fall>,
    /// The first event of each symptom.
    pub symptoms: Vec<HealthEvent>,
}

/// Reads one result of a run.
pub type RunMetric = fn(&RunScore) -> Option<f64>;

/// How a run diverged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// Environment steps taken before it.
    pub global_step: u64,
    /// The optimiser step.
    pub optimiser_step: u64,
    /// The reason.
    pub reason: DivergenceReason,
}

/// A share of runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Proportion {
    /// Number of runs with the property.
    pub count: u64,
    /// Number of all runs.
    pub total: u64,
    /// The share with its Wilson interval.
    pub estimate: Estimate,
}

/// Environment steps until a success rate is reached. Not every run reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepsToSuccess {
    /// Number of runs that reached it.
    pub reached: u64,
    /// Number of all runs.
    pub total: u64,
    /// Median over all runs. Runs that never reached it count as infinite; absent if the median is
    /// infinite.
    pub median: Option<f64>,
}

/// Quantiles of the gradient norm over optimiser steps with a finite norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GradNormQuantiles {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Maximum.
    pub max: f64,
    /// Number of steps with a gradient entry that is NaN or infinite.
    pub nonfinite_steps: u64,
    /// Number of all optimiser steps.
    pub steps: u64,
}

/// The difference between the first arm and another, paired by seed, over finished runs.
#[derive(Clone, Debug, Serialize)]
pub struct ArmDifference {
    /// The first arm.
    pub arm: String,
    /// The arm that it is compared with.
    pub other: String,
    /// Success of the best checkpoints over held-out episodes.
    pub success: Option<PairedDifference>,
    /// Success of the last checkpoints over the same episodes.
    pub last_success: Option<PairedDifference>,
    /// Return over held-out episodes.
    pub episodic_return: Option<PairedDifference>,
    /// Mean success during training, over the budget.
    pub area_under_curve: Option<PairedDifference>,
}

/// A difference over pairs of runs that share a seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairedDifference {
    /// Number of pairs.
    pub seeds: usize,
    /// Mean of the first arm over these pairs.
    pub mean: f64,
    /// Mean of the other arm over these pairs.
    pub other_mean: f64,
    /// Mean of the first arm minus the other, with a 95 % bootstrap interval over pairs.
    pub difference: Average,
    /// Probability that a run of the first arm is better than a run of the other.
    pub probability_greater: Average,
    /// The conclusion.
    pub finding: DifferenceFinding,
}

impl Scorecard {
    /// Scores the runs of one scenario. Arms are in the order of `order`, then in the order in
    /// which they first appear.
    pub fn new(runs: &[&RunRecord], order: &[String]) -> Self {
        let (kept, excluded_runs) = comparability::distinct_runs(runs);
        let mismatches = comparability::mismatches(&kept);
        let arms = by_arm(runs, order);
        let has_spl = kept
            .iter()
            .filter_map(|run| run.evaluation.as_ref())
            .any(|evaluation| evaluation.summary.spl.is_some());
        let scores: Vec<ArmScore> = arms
            .iter()
            .map(|(arm, runs)| ArmScore::new(arm, runs, has_spl))
            .collect();
        let differences = match scores.split_first() {
            Some((first, others)) => others
                .iter()
                .map(|other| ArmDifference::new(first, other, mismatches.is_empty()))
                .collect(),
            None => Vec::new(),
        };
        Self {
            mismatches,
            excluded_runs,
            differences,
            settings: differences::setting_differences(&arms),
            arms: scores,
        }
    }

    /// Largest number of seeds of an arm.
    pub fn seeds(&self) -> usize {
        self.arms
            .iter()
            .map(|arm| arm.runs.len())
            .max()
            .unwrap_or(0)
    }
}

/// The runs of one scenario, grouped by column and ordered by seed. Of runs of a column with the
/// same seed, one is kept. Columns are in the order of their names or arms in `order`, then in the
/// order in which they first appear.
pub fn by_arm<'a>(runs: &[&'a RunRecord], order: &[String]) -> Vec<(&'a str, Vec<&'a RunRecord>)> {
    let mut arms: Vec<(&str, Vec<&RunRecord>)> = Vec::new();
    for run in comparability::distinct_runs(runs).0 {
        let name = run.column.as_str();
        match arms.iter_mut().find(|(arm, _)| *arm == name) {
            Some((_, group)) => group.push(run),
            None => arms.push((name, vec![run])),
        }
    }
    for (_, group) in &mut arms {
        group.sort_by_key(|run| run.info.seed);
    }
    arms.sort_by_key(|(column, runs)| {
        let position = |wanted: &str| order.iter().position(|name| name == wanted);
        position(column)
            .or_else(|| position(&runs[0].info.arm))
            .unwrap_or(usize::MAX)
    });
    arms
}

impl ArmScore {
    /// The values of a metric in the runs that have it, in the order of seeds.
    pub fn values(&self, metric: RunMetric) -> Vec<f64> {
        self.runs.iter().filter_map(metric).collect()
    }

    fn new(arm: &str, runs: &[&RunRecord], has_spl: bool) -> Self {
        let scores: Vec<RunScore> = runs.iter().map(|run| RunScore::new(run, has_spl)).collect();
        let diverged = scores.iter().filter(|run| run.diverged.is_some()).count();
        let collapsed = scores.iter().filter(|run| run.collapsed.is_some()).count();
        let fell = scores.iter().filter(|run| run.fall.is_some()).count();
        let clips = runs.iter().any(|run| run.clips());
        let average = |metric: RunMetric| seed_average(scores.iter().filter_map(metric));
        Self {
            arm: arm.into(),
            success: average(|run| run.success),
            last_success: average(|run| run.last_success),
            episodic_return: average(|run| run.episodic_return),
            last_episodic_return: average(|run| run.last_episodic_return),
            spl: average(|run| run.spl),
            area_under_curve: average(|run| run.area_under_curve),
            steps_to_50: StepsToSuccess::new(runs.iter().map(|run| run.steps_to(0.5))),
            steps_to_90: StepsToSuccess::new(runs.iter().map(|run| run.steps_to(0.9))),
            diverged: Proportion::new(diverged, runs.len()),
            collapsed: Proportion::new(collapsed, runs.len()),
            fell: Proportion::new(fell, runs.len()),
            clip_share: clips.then(|| clip_share(runs)).flatten(),
            clip_threshold: runs.iter().find_map(|run| run.clip_threshold()),
            grad_norm: GradNormQuantiles::new(runs),
            runs: scores,
        }
    }
}

impl RunScore {
    /// Whether a detector saw a spike of the gradient or of the update.
    pub fn had_spike(&self) -> bool {
        let spikes = [
            Symptom::NonFiniteGradient,
            Symptom::GradientSpike,
            Symptom::UpdateSpike,
        ];
        self.symptoms
            .iter()
            .any(|event| spikes.contains(&event.symptom))
    }

    fn new(run: &RunRecord, has_spl: bool) -> Self {
        Self {
            run: run.name.clone(),
            seed: run.info.seed,
            success: run.final_success(),
            last_success: run.last_success(),
            episodic_return: run.final_return(),
            last_episodic_return: run.last_return(),
            spl: run.final_spl().filter(|_| has_spl),
            area_under_curve: run.area_under_curve(),
            global_step: run.info.global_step,
            finished: run.info.status.is_over(),
            given_up: run.info.stopped_by.is_some(),
            diverged: run.diverged.as_ref().map(|diverged| Divergence {
                global_step: diverged.global_step,
                optimiser_step: diverged.optimiser_step,
                reason: diverged.reason,
            }),
            collapsed: run.collapse(),
            fall: run.fall(),
            symptoms: run.symptoms(),
        }
    }
}

impl Proportion {
    pub(super) fn new(count: usize, total: usize) -> Self {
        let (count, total) = (count as u64, total as u64);
        Self {
            count,
            total,
            estimate: wilson(count, total),
        }
    }
}

impl StepsToSuccess {
    fn new(steps: impl Iterator<Item = Option<u64>>) -> Self {
        let mut steps: Vec<f64> = steps
            .map(|step| step.map_or(f64::INFINITY, |step| step as f64))
            .collect();
        steps.sort_unstable_by(f64::total_cmp);
        let reached = steps.iter().filter(|step| step.is_finite()).count() as u64;
        // For an even number, the upper middle value: a mean could be infinite.
        let median = steps
            .get(steps.len() / 2)
            .copied()
            .filter(|step| step.is_finite());
        Self {
            reached,
            total: steps.len() as u64,
            median,
        }
    }
}

impl GradNormQuantiles {
    fn new(runs: &[&RunRecord]) -> Option<Self> {
        let steps = || runs.iter().flat_map(|run| &run.steps);
        let mut norms: Vec<f64> = steps()
            .filter_map(|step| step.grad_norm)
            .filter(|norm| norm.is_finite())
            .collect();
        norms.sort_unstable_by(f64::total_cmp);
        Some(Self {
            p50: quantile(&norms, 0.5)?,
            p90: quantile(&norms, 0.9)?,
            p99: quantile(&norms, 0.99)?,
            max: *norms.last()?,
            nonfinite_steps: steps().filter(|step| step.grad_nonfinite > 0).count() as u64,
            steps: steps().count() as u64,
        })
    }
}

impl ArmDifference {
    fn new(first: &ArmScore, other: &ArmScore, comparable: bool) -> Self {
        let finished = |arm: &ArmScore| -> Vec<RunScore> {
            let runs = arm.runs.iter().filter(|run| comparable && run.finished);
            runs.cloned().collect()
        };
        let (first_runs, other_runs) = (finished(first), finished(other));
        let paired = |metric: RunMetric| {
            let pairs: (Vec<f64>, Vec<f64>) = first_runs
                .iter()
                .filter_map(|run| {
                    let twin = other_runs.iter().find(|twin| twin.seed == run.seed)?;
                    Some((metric(run)?, metric(twin)?))
                })
                .unzip();
            PairedDifference::new(&pairs.0, &pairs.1)
        };
        Self {
            arm: first.arm.clone(),
            other: other.arm.clone(),
            success: paired(|run| run.success),
            last_success: paired(|run| run.last_success),
            episodic_return: paired(|run| run.episodic_return),
            area_under_curve: paired(|run| run.area_under_curve),
        }
    }
}

impl PairedDifference {
    /// The other arm minus the first.
    #[must_use]
    pub fn reversed(self) -> Self {
        let map = |average: Average, f: fn(f64) -> f64| Average {
            value: f(average.value),
            low: average.high.map(f),
            high: average.low.map(f),
        };
        Self {
            seeds: self.seeds,
            mean: self.other_mean,
            other_mean: self.mean,
            difference: map(self.difference, |difference| -difference),
            probability_greater: map(self.probability_greater, |probability| 1.0 - probability),
            finding: match self.finding {
                DifferenceFinding::Higher => DifferenceFinding::Lower,
                DifferenceFinding::Lower => DifferenceFinding::Higher,
                same @ (DifferenceFinding::NoDifference | DifferenceFinding::TooFewSeeds) => same,
            },
        }
    }

    fn new(a: &[f64], b: &[f64]) -> Option<Self> {
        let bootstrap = Bootstrap::default();
        let difference = bootstrap.paired_difference(a, b)?;
        Some(Self {
            seeds: a.len(),
            mean: mean(a)?,
            other_mean: mean(b)?,
            difference: Average::of(difference, a.len()),
            probability_greater: Average::of(
                probability_greater_interval(a, b, bootstrap)?,
                a.len(),
            ),
            finding: finding(&difference, a.len()),
        })
    }
}

/// The interquartile mean over seeds.
fn seed_average(values: impl Iterator<Item = f64>) -> Option<Average> {
    let values: Vec<f64> = values.collect();
    let middle = Bootstrap::default().interquartile_mean(&[&values])?;
    Some(Average::of(middle, values.len()))
}

/// The share of clipped optimiser steps over all runs.
fn clip_share(runs: &[&RunRecord]) -> Option<f64> {
    let acted: f64 = runs
        .iter()
        .filter_map(|run| Some(run.clip_share()? * run.steps.len() as f64))
        .sum();
    let steps: usize = runs.iter().map(|run| run.steps.len()).sum();
    (steps > 0).then(|| acted / steps as f64)
}
