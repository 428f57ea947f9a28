//! The logs and results of one run, the input of scorecards and reports.

use std::path::PathBuf;

use super::instability::{Collapse, Fall};
use evenkeel_runs::eval::EvalReport;
use evenkeel_runs::runs::{RunDir, RunError, RunInfo};
use evenkeel_runs::telemetry::{
    DivergedReport, EvalSummary, EvaluationReport, Event, GuardReport, HealthEvent,
    IterationReport, UpdateReport,
};

/// The logs and results of one run.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// The run's name.
    pub name: String,
    /// Its column in a comparison: the run's own name or its arm, and what else sets it apart from
    /// other runs (see [`name_columns`](super::name_columns)).
    pub column: String,
    /// Its identity and status.
    pub info: RunInfo,
    /// Its resolved configuration.
    pub config: toml::Table,
    /// Optimiser steps, in order.
    pub steps: Vec<UpdateReport>,
    /// Iterations, in order.
    pub iterations: Vec<IterationReport>,
    /// Evaluations during training, in order.
    pub evaluations: Vec<EvaluationReport>,
    /// Events of the detectors, in order.
    pub health: Vec<HealthEvent>,
    /// Decisions of the guard, in order.
    pub guard: Vec<GuardReport>,
    /// Saved incidents, by optimiser step.
    pub incidents: Vec<SavedIncident>,
    /// How it diverged, if it did.
    pub diverged: Option<DivergedReport>,
    /// The reported evaluation of the best checkpoint. Absent if the run has not been evaluated.
    pub evaluation: Option<EvalReport>,
    /// The evaluation of the last checkpoint in the same episodes. Absent in runs that diverged, or
    /// that have not been evaluated by this version.
    pub last_evaluation: Option<EvalReport>,
    /// The evaluation of random actions in the same episodes. Absent unless the run diverged and
    /// was evaluated.
    pub random_evaluation: Option<EvalSummary>,
}

/// An incident in a run directory: everything needed to recompute one optimiser step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedIncident {
    /// The optimiser step.
    pub optimiser_step: u64,
    /// Its folder.
    pub folder: PathBuf,
    /// Whether `evenkeel autopsy` has written its page there.
    pub has_autopsy: bool,
}

/// Success over the reported held-out episodes. It is 0 for a diverged run, even if its best
/// checkpoint does better (docs/metrics.md). Absent if the run has not been evaluated.
pub fn final_success(diverged: bool, evaluation: Option<&EvalReport>) -> Option<f64> {
    if diverged {
        return Some(0.0);
    }
    Some(evaluation?.summary.success.value)
}

impl RunRecord {
    /// Reads a run.
    ///
    /// # Errors
    /// If a file of the run is missing or invalid.
    pub fn read(run: &RunDir) -> Result<Self, RunError> {
        let info = run.info()?;
        let mut record = Self {
            name: run.name(),
            column: info.name.as_ref().unwrap_or(&info.arm).clone(),
            info,
            config: run.config()?,
            steps: Vec::new(),
            iterations: Vec::new(),
            evaluations: Vec::new(),
            health: Vec::new(),
            guard: Vec::new(),
            incidents: incidents(run)?,
            diverged: None,
            evaluation: run.evaluation()?,
            last_evaluation: run.last_evaluation()?,
            random_evaluation: run.random_evaluation()?,
        };
        for event in run.events()? {
            match event {
                Event::Step(step) => record.steps.push(step),
                Event::Iteration(iteration) => record.iterations.push(iteration),
                Event::Evaluation(evaluation) => record.evaluations.push(evaluation),
                Event::Diverged(diverged) => {
                    record.diverged.get_or_insert(diverged);
                }
                Event::Health(event) => record.health.push(event),
                Event::Guard(decision) => record.guard.push(decision),
                Event::Incident(_) | Event::Checkpoint(_) => {}
            }
        }
        Ok(record)
    }

    /// The first event of each symptom, in order.
    pub fn symptoms(&self) -> Vec<HealthEvent> {
        let mut seen = std::collections::BTreeSet::new();
        let first = |event: &&HealthEvent| seen.insert(event.symptom);
        self.health.iter().filter(first).cloned().collect()
    }

    /// Success over the reported held-out episodes, as [`final_success`] counts it.
    pub fn final_success(&self) -> Option<f64> {
        final_success(self.diverged.is_some(), self.evaluation.as_ref())
    }

    /// Success of the last checkpoint over the same episodes; 0 for a diverged run. Absent if it has
    /// not been evaluated.
    pub fn last_success(&self) -> Option<f64> {
        final_success(self.diverged.is_some(), self.last_evaluation.as_ref())
    }

    /// Mean return of the last checkpoint over the same episodes; that of random actions for a
    /// diverged run.
    pub fn last_return(&self) -> Option<f64> {
        let summary = match self.diverged {
            Some(_) => self.random_evaluation.as_ref()?,
            None => &self.last_evaluation.as_ref()?.summary,
        };
        Some(summary.episodic_return.value)
    }

    /// Success weighted by path length (SPL) over the same episodes; 0 for a diverged run.
    pub fn final_spl(&self) -> Option<f64> {
        match self.diverged {
            Some(_) => Some(0.0),
            None => Some(self.evaluation.as_ref()?.summary.spl?.value),
        }
    }

    /// Mean return over the reported held-out episodes. For a diverged run it is that of random
    /// actions, even if its best checkpoint does better (docs/metrics.md).
    pub fn final_return(&self) -> Option<f64> {
        let summary = match self.diverged {
            Some(_) => self.random_evaluation.as_ref()?,
            None => &self.evaluation.as_ref()?.summary,
        };
        Some(summary.episodic_return.value)
    }

    /// Evaluation success over environment steps: `(global_step, success)`. It starts at `(0,
    /// 0.0)`, and ends at 0 where the run diverged.
    pub fn success_curve(&self) -> Vec<(u64, f64)> {
        let end = self
            .diverged
            .as_ref()
            .map_or(u64::MAX, |diverged| diverged.global_step);
        let mut curve = vec![(0, 0.0)];
        curve.extend(
            self.evaluations
                .iter()
                .filter(|evaluation| evaluation.global_step <= end)
                .map(|evaluation| (evaluation.global_step, evaluation.summary.success.value)),
        );
        if self.diverged.is_some() {
            curve.push((end, 0.0));
        }
        curve
    }

    /// Mean validation success over the budget: the area under the learning curve by the
    /// trapezoidal rule. The last value extends to the end. Absent without evaluations.
    pub fn area_under_curve(&self) -> Option<f64> {
        if self.evaluations.is_empty() && self.diverged.is_none() {
            return None;
        }
        let budget = self.budget();
        let curve = self.success_curve();
        let inner: f64 = curve
            .windows(2)
            .map(|pair| (pair[1].0 - pair[0].0) as f64 * (pair[0].1 + pair[1].1) / 2.0)
            .sum();
        let &(last_step, last) = curve.last()?;
        let rest = budget.saturating_sub(last_step) as f64 * last;
        Some((inner + rest) / budget.max(last_step).max(1) as f64)
    }

    /// Environment steps at the first evaluation with at least this success, if there is one.
    pub fn steps_to(&self, success: f64) -> Option<u64> {
        self.success_curve()
            .into_iter()
            .find(|&(step, value)| step > 0 && value >= success)
            .map(|(step, _)| step)
    }

    /// The first collapse, if there is one.
    pub fn collapse(&self) -> Option<Collapse> {
        Collapse::of(self)
    }

    /// The fall from the best checkpoint to the last, if it is large.
    pub fn fall(&self) -> Option<Fall> {
        Fall::of(self)
    }

    /// Environment steps that the run is to take.
    pub fn budget(&self) -> u64 {
        self.info.total_steps
    }

    /// Share of the optimiser steps that were clipped. Absent without steps.
    pub fn clip_share(&self) -> Option<f64> {
        let clipped = self.steps.iter().filter(|step| step.clipped()).count();
        (!self.steps.is_empty()).then(|| clipped as f64 / self.steps.len() as f64)
    }

    /// Threshold of the first stage that bounds the gradient, at the last step.
    pub fn clip_threshold(&self) -> Option<f64> {
        self.steps.last()?.clip_threshold()
    }

    /// Whether the run has a clip stage that bounds the gradient.
    pub fn clips(&self) -> bool {
        let bounds = |step: &UpdateReport| step.clip.iter().any(|stage| stage.bounds);
        self.steps.iter().any(bounds)
    }
}

/// The incidents of a run, by optimiser step.
fn incidents(run: &RunDir) -> Result<Vec<SavedIncident>, RunError> {
    let read = |folder: PathBuf| {
        let name = folder.file_name()?.to_str()?;
        Some(SavedIncident {
            optimiser_step: name.strip_prefix("step_")?.parse().ok()?,
            has_autopsy: folder.join("autopsy.html").is_file(),
            folder,
        })
    };
    Ok(run.incidents()?.into_iter().filter_map(read).collect())
}
