//! The scorecard of a comparison: each arm's figures over its seeds, and paired differences
//! between arms. Pure functions of what runs have logged.

use serde::Serialize;

use super::comparability::{self, ExcludedRun};
use super::differences::{self, SettingDifference};
use super::run_record::{Collapse, RunRecord};
use evenkeel_runs::stats::{
    Average, Bootstrap, DifferenceFinding, Estimate, finding, mean, probability_greater_interval,
    quantile, wilson,
};
use evenkeel_runs::telemetry::{DivergenceReason, HealthEvent, Symptom};

/// The scorecard of a comparison in one scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Scorecard {
    /// In what the runs differ that a comparison must hold equal. If there is anything, arms are
    /// not compared.
    pub mismatches: Vec<String>,
    /// Runs left out because another has their arm and seed.
    pub excluded_runs: Vec<ExcludedRun>,
    /// The arms, in the order given.
    pub arms: Vec<ArmScore>,
    /// The first arm against each other one.
    pub differences: Vec<ArmDifference>,
    /// Every setting in which the arms differ.
    pub settings: Vec<SettingDifference>,
}

/// One arm over its seeds. Under five seeds no interval is given: it would cover far less than it
/// says, and the runs themselves say more.
#[derive(Clone, Debug, Serialize)]
pub struct ArmScore {
    /// The arm's name.
    pub arm: String,
    /// Its runs, in the order of their seeds.
    pub runs: Vec<RunScore>,
    /// Success over held-out episodes: interquartile mean over seeds.
    pub success: Option<Average>,
    /// Return over held-out episodes: interquartile mean over seeds, the random policy's for a
    /// diverged run.
    pub episodic_return: Option<Average>,
    /// Success weighted by path length: interquartile mean over seeds, 0 for a
    /// diverged run. Absent where no run was evaluated with shortest paths.
    pub spl: Option<Average>,
    /// Mean evaluation success over the budget: interquartile mean over seeds.
    pub area_under_curve: Option<Average>,
    /// Environment steps to 50 % evaluation success.
    pub steps_to_50: StepsToSuccess,
    /// Environment steps to 90 % evaluation success.
    pub steps_to_90: StepsToSuccess,
    /// Share of runs that diverged, Wilson interval.
    pub diverged: Proportion,
    /// Share of runs that collapsed, Wilson interval.
    pub collapsed: Proportion,
    /// Share of optimiser steps in which the clip acted, over all runs; absent where the arm has
    /// no clip.
    pub clip_share: Option<f64>,
    /// The clip's threshold.
    pub clip_threshold: Option<f64>,
    /// Gradient norm before any clip, over all optimiser steps of all runs.
    pub grad_norm: Option<GradNormQuantiles>,
}

/// One run of an arm.
#[derive(Clone, Debug, Serialize)]
pub struct RunScore {
    /// The run's name.
    pub run: String,
    /// Root seed.
    pub seed: u64,
    /// Success over held-out episodes.
    pub success: Option<f64>,
    /// Return over held-out episodes; the random policy's for a diverged run.
    pub episodic_return: Option<f64>,
    /// Success weighted by path length over held-out episodes.
    pub spl: Option<f64>,
    /// Mean evaluation success over the budget.
    pub area_under_curve: Option<f64>,
    /// Environment steps gathered.
    pub global_step: u64,
    /// Whether there is nothing left to train.
    pub finished: bool,
    /// How it diverged.
    pub diverged: Option<Divergence>,
    /// How it collapsed.
    pub collapsed: Option<Collapse>,
    /// What the detectors saw: each symptom once, the first time.
    pub symptoms: Vec<HealthEvent>,
}

/// One of a run's figures.
pub type RunMetric = fn(&RunScore) -> Option<f64>;

/// How a run diverged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// Environment steps gathered before it.
    pub global_step: u64,
    /// The optimiser step.
    pub optimiser_step: u64,
    /// What was seen.
    pub reason: DivergenceReason,
}

/// A count out of all runs, with Wilson's interval of the share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Proportion {
    /// Runs for which it holds.
    pub count: u64,
    /// All runs.
    pub total: u64,
    /// The share.
    pub estimate: Estimate,
}

/// Environment steps to a success that not every run need reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepsToSuccess {
    /// Runs that reached it.
    pub reached: u64,
    /// All runs.
    pub total: u64,
    /// Median over all runs, those that never reached it counting as longer than any; absent
    /// where that makes the median 'never'.
    pub median: Option<f64>,
}

/// Quantiles of the gradient norm over optimiser steps. Steps whose norm was not finite are
/// counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GradNormQuantiles {
    /// Median.
    pub p50: f64,
    /// 90 % of the steps are below it.
    pub p90: f64,
    /// 99 % of the steps are below it.
    pub p99: f64,
    /// The largest.
    pub max: f64,
    /// Steps with a gradient entry that was NaN or infinite.
    pub nonfinite_steps: u64,
    /// All optimiser steps.
    pub steps: u64,
}

/// The first arm less another, paired by seed over runs that are over.
#[derive(Clone, Debug, Serialize)]
pub struct ArmDifference {
    /// The first arm.
    pub arm: String,
    /// The arm that it is compared with.
    pub other: String,
    /// Success over held-out episodes.
    pub success: Option<PairedDifference>,
    /// Return over held-out episodes.
    pub episodic_return: Option<PairedDifference>,
    /// Mean evaluation success over the budget.
    pub area_under_curve: Option<PairedDifference>,
}

/// A difference over pairs of runs that share a seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairedDifference {
    /// Pairs.
    pub seeds: usize,
    /// Mean of the first arm over these pairs.
    pub mean: f64,
    /// Mean of the other arm over these pairs.
    pub other_mean: f64,
    /// Mean of the first arm less the other, with a 95 % bootstrap interval over pairs.
    pub difference: Average,
    /// The chance that a run of the first arm beats one of the other.
    pub probability_greater: Average,
    /// What that allows to be said.
    pub finding: DifferenceFinding,
}

impl Scorecard {
    /// Scores the runs of one scenario. Arms are in the order in which they first appear among
    /// `runs`, unless `order` names them first.
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

    /// Number of seeds of the arm that has most.
    pub fn seeds(&self) -> usize {
        self.arms
            .iter()
            .map(|arm| arm.runs.len())
            .max()
            .unwrap_or(0)
    }
}

/// The runs of one scenario grouped by arm, each group in the order of seeds; of runs with the
/// same arm and seed only the one that counts.
pub fn by_arm<'a>(runs: &[&'a RunRecord], order: &[String]) -> Vec<(&'a str, Vec<&'a RunRecord>)> {
    let mut arms: Vec<(&str, Vec<&RunRecord>)> = Vec::new();
    for run in comparability::distinct_runs(runs).0 {
        let name = run.info.arm.as_str();
        match arms.iter_mut().find(|(arm, _)| *arm == name) {
            Some((_, group)) => group.push(run),
            None => arms.push((name, vec![run])),
        }
    }
    for (_, group) in &mut arms {
        group.sort_by_key(|run| run.info.seed);
    }
    arms.sort_by_key(|(arm, _)| {
        order
            .iter()
            .position(|name| name == arm)
            .unwrap_or(usize::MAX)
    });
    arms
}

impl ArmScore {
    /// One figure of each run that has it, in the order of seeds.
    pub fn values(&self, of: RunMetric) -> Vec<f64> {
        self.runs.iter().filter_map(of).collect()
    }

    fn new(arm: &str, runs: &[&RunRecord], has_spl: bool) -> Self {
        let scores: Vec<RunScore> = runs.iter().map(|run| RunScore::new(run, has_spl)).collect();
        let diverged = scores.iter().filter(|run| run.diverged.is_some()).count();
        let collapsed = scores.iter().filter(|run| run.collapsed.is_some()).count();
        let clips = runs.iter().any(|run| run.clips());
        Self {
            arm: arm.into(),
            success: seed_average(scores.iter().filter_map(|run| run.success)),
            episodic_return: seed_average(scores.iter().filter_map(|run| run.episodic_return)),
            spl: seed_average(scores.iter().filter_map(|run| run.spl)),
            area_under_curve: seed_average(scores.iter().filter_map(|run| run.area_under_curve)),
            steps_to_50: StepsToSuccess::new(runs.iter().map(|run| run.steps_to(0.5))),
            steps_to_90: StepsToSuccess::new(runs.iter().map(|run| run.steps_to(0.9))),
            diverged: Proportion::new(diverged, runs.len()),
            collapsed: Proportion::new(collapsed, runs.len()),
            clip_share: clips.then(|| clip_share(runs)).flatten(),
            clip_threshold: runs.iter().find_map(|run| run.clip_threshold()),
            grad_norm: GradNormQuantiles::new(runs),
            runs: scores,
        }
    }
}

impl RunScore {
    /// Whether a detector saw the gradient or the weights leap.
    pub fn had_spike(&self) -> bool {
        let leaps = [
            Symptom::NonFiniteGradient,
            Symptom::GradientSpike,
            Symptom::UpdateSpike,
        ];
        self.symptoms
            .iter()
            .any(|seen| leaps.contains(&seen.symptom))
    }

    fn new(run: &RunRecord, has_spl: bool) -> Self {
        Self {
            run: run.name.clone(),
            seed: run.info.seed,
            success: run.final_success(),
            episodic_return: run.final_return(),
            spl: run.final_spl().filter(|_| has_spl),
            area_under_curve: run.area_under_curve(),
            global_step: run.info.global_step,
            finished: run.info.status.is_over(),
            diverged: run.diverged.as_ref().map(|diverged| Divergence {
                global_step: diverged.global_step,
                optimiser_step: diverged.optimiser_step,
                reason: diverged.reason,
            }),
            collapsed: run.collapse(),
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
        // Of two middle values the later one, so that no mean with 'never' is taken.
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
        let over = |arm: &'_ ArmScore| -> Vec<RunScore> {
            let over = arm.runs.iter().filter(|run| comparable && run.finished);
            over.cloned().collect()
        };
        let (ours, theirs) = (over(first), over(other));
        let paired = |of: fn(&RunScore) -> Option<f64>| {
            let pairs: (Vec<f64>, Vec<f64>) = ours
                .iter()
                .filter_map(|run| {
                    let twin = theirs.iter().find(|twin| twin.seed == run.seed)?;
                    Some((of(run)?, of(twin)?))
                })
                .unzip();
            PairedDifference::new(&pairs.0, &pairs.1)
        };
        Self {
            arm: first.arm.clone(),
            other: other.arm.clone(),
            success: paired(|run| run.success),
            episodic_return: paired(|run| run.episodic_return),
            area_under_curve: paired(|run| run.area_under_curve),
        }
    }
}

impl PairedDifference {
    /// The other arm less the first.
    #[must_use]
    pub fn reversed(self) -> Self {
        let turn = |average: Average, turned: fn(f64) -> f64| Average {
            value: turned(average.value),
            low: average.high.map(turned),
            high: average.low.map(turned),
        };
        Self {
            seeds: self.seeds,
            mean: self.other_mean,
            other_mean: self.mean,
            difference: turn(self.difference, |difference| -difference),
            probability_greater: turn(self.probability_greater, |chance| 1.0 - chance),
            finding: match self.finding {
                DifferenceFinding::Higher => DifferenceFinding::Lower,
                DifferenceFinding::Lower => DifferenceFinding::Higher,
                same @ (DifferenceFinding::NoDifference | DifferenceFinding::TooFewSeeds) => same,
            },
        }
    }

    fn new(a: &[f64], b: &[f64]) -> Option<Self> {
        let how = Bootstrap::default();
        let difference = how.paired_difference(a, b)?;
        Some(Self {
            seeds: a.len(),
            mean: mean(a)?,
            other_mean: mean(b)?,
            difference: Average::of(difference, a.len()),
            probability_greater: Average::of(probability_greater_interval(a, b, how)?, a.len()),
            finding: finding(&difference, a.len()),
        })
    }
}

fn seed_average(values: impl Iterator<Item = f64>) -> Option<Average> {
    let values: Vec<f64> = values.collect();
    let middle = Bootstrap::default().interquartile_mean(&[&values])?;
    Some(Average::of(middle, values.len()))
}

fn clip_share(runs: &[&RunRecord]) -> Option<f64> {
    let acted: f64 = runs
        .iter()
        .filter_map(|run| Some(run.clip_share()? * run.steps.len() as f64))
        .sum();
    let steps: usize = runs.iter().map(|run| run.steps.len()).sum();
    (steps > 0).then(|| acted / steps as f64)
}
