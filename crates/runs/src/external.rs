//! Training that another program does: its run folder, its log, and the detectors over it. Reports,
//! comparisons and windows read such a folder like that of evenkeel's own training.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Instant;

use crate::eval::EvalReport;
use crate::health::{HealthConfig, Monitor, NetworkLayout, UpdateMetrics};
use crate::runs::{FolderLock, RunDir, RunError, RunInfo, RunStatus};
use crate::telemetry::{
    DivergedReport, DivergenceReason, EvalSummary, EvaluationReport, Event, HealthEvent,
    IterationReport, JsonlSink, LayerReport, Sink as _, TelemetryError, UpdateReport,
    WallClockReport,
};
use evenkeel_sim::env::Outcome;
use evenkeel_sim::scenario::{Scenario, TRAINING_SECTIONS};

/// What defines a training that another program does.
#[derive(Clone, Debug)]
pub struct ExternalTraining<'a> {
    /// The scenario that it trains in.
    pub scenario: &'a Scenario,
    /// What distinguishes it from others, as the name of an arm.
    pub arm: &'a str,
    /// Its seed.
    pub seed: u64,
    /// Environment steps that it will take in all; 0 if unknown.
    pub total_steps: u64,
    /// Its settings, which comparisons list where they differ.
    pub settings: toml::Table,
    /// Number of action dimensions, and names of the parameters in the order of the reports.
    pub network: NetworkLayout,
    /// ‖θ₀‖ over all parameters.
    pub initial_norm: f64,
}

/// Why a training cannot be logged.
#[derive(Debug, thiserror::Error)]
pub enum ExternalRunError {
    /// The run's folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The log.
    #[error(transparent)]
    Log(#[from] TelemetryError),
    /// Writing the log.
    #[error("{0}")]
    Write(#[from] io::Error),
}

/// What a program measures of an iteration: a rollout with its optimiser steps. `None` means not
/// measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IterationMetrics {
    /// Environment steps collected so far, including this iteration.
    pub global_step: u64,
    /// Learning rate of the last optimiser step.
    pub learning_rate: f64,
    /// 1 − Var(returns − values) / Var(returns).
    pub explained_variance: Option<f64>,
    /// Largest |value| of the critic, in units of rewards.
    pub value_max: Option<f64>,
    /// Largest |value| that the rewards so far allow.
    pub value_bound: Option<f64>,
    /// Mean standard deviation of the action distribution.
    pub action_std: Option<f64>,
    /// Number of epochs.
    pub epochs: u32,
    /// For each parameter the shares of saturated and of dormant units of its layer; empty if not
    /// measured.
    pub units: Vec<(Option<f64>, Option<f64>)>,
}

/// The log of a training that another program does.
#[derive(Debug)]
pub struct ExternalRun {
    run: RunDir,
    _lock: FolderLock,
    log: JsonlSink<File>,
    monitor: Monitor,
    info: RunInfo,
    layers: Vec<String>,
    initial_norm: f64,
    begun: Instant,
    iteration: u64,
    iteration_begun: Instant,
    /// Environment steps at the end of the last iteration.
    last_step: u64,
    /// Optimiser steps since the last iteration.
    steps: Vec<UpdateReport>,
    episodes: EndedEpisodes,
    diverged: bool,
    /// Success rate and mean return of the best evaluation.
    best: Option<(f64, f64)>,
}

/// Episodes that ended since the last iteration.
#[derive(Clone, Copy, Debug, Default)]
struct EndedEpisodes {
    outcomes: [u64; 6],
    returns: f64,
    lengths: f64,
}

impl ExternalRun {
    /// Creates the run's folder, which must not exist or be empty.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn create(path: &Path, training: &ExternalTraining) -> Result<Self, ExternalRunError> {
        let scenario = training.scenario;
        let info = RunInfo::begin(
            &scenario.name,
            training.arm,
            training.seed,
            training.total_steps,
            None,
        );
        let mut config: toml::Table = scenario.to_toml().parse().unwrap_or_default();
        for section in TRAINING_SECTIONS {
            config.remove(section);
        }
        if !training.settings.is_empty() {
            config.insert("train".to_owned(), training.settings.clone().into());
        }
        let run = RunDir::create_at(path, &config.to_string(), &info)?;
        let lock = run.lock()?;
        let log = JsonlSink::create(&run.metrics_path())?;
        let now = Instant::now();
        Ok(Self {
            _lock: lock,
            log,
            run,
            info,
            monitor: Monitor::new(HealthConfig::default(), training.network.clone()),
            layers: training.network.layers.clone(),
            initial_norm: training.initial_norm,
            begun: now,
            iteration: 0,
            iteration_begun: now,
            last_step: 0,
            steps: Vec::new(),
            episodes: EndedEpisodes::default(),
            diverged: false,
            best: None,
        })
    }

    /// Logs one optimiser step. Returns the symptoms that begin with it. `global_step` and
    /// `optimiser_step` of the report must not fall.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn update(&mut self, report: UpdateReport) -> io::Result<Vec<HealthEvent>> {
        let reason = self.divergence(&report);
        let metrics = UpdateMetrics {
            divergence: reason,
            ..UpdateMetrics::from(&report)
        };
        let detected = self.monitor.observe(&metrics);
        let (global_step, optimiser_step) = (report.global_step, report.optimiser_step);
        self.info.global_step = global_step;
        self.log.record(&Event::Step(report.clone()))?;
        self.steps.push(report);
        self.log_symptoms(&detected)?;
        if let (Some(reason), false) = (reason, self.diverged) {
            self.diverged = true;
            self.log.record(&Event::Diverged(DivergedReport {
                global_step,
                optimiser_step,
                reason,
            }))?;
        }
        Ok(detected)
    }

    /// Why the run diverges with an optimiser step, if it does.
    fn divergence(&self, report: &UpdateReport) -> Option<DivergenceReason> {
        let is_broken = |number: Option<f64>| number.is_some_and(|number| !number.is_finite());
        if is_broken(report.policy_loss) || is_broken(report.value_loss) {
            Some(DivergenceReason::NonFiniteLoss)
        } else if report.grad_nonfinite > 0 {
            Some(DivergenceReason::NonFiniteGradient)
        } else if is_broken(report.param_norm) {
            Some(DivergenceReason::NonFiniteParameter)
        } else {
            let limit = DivergenceReason::NORM_GROWTH_LIMIT * self.initial_norm;
            let exceeds = report.param_norm.is_some_and(|norm| norm > limit);
            exceeds.then_some(DivergenceReason::ParameterNorm)
        }
    }

    /// Counts an episode that has ended.
    pub fn episode(&mut self, outcome: Outcome, episodic_return: f64, length: f64) {
        let episodes = &mut self.episodes;
        let index = Outcome::ALL.iter().position(|one| *one == outcome);
        episodes.outcomes[index.unwrap_or(0)] += 1;
        episodes.returns += episodic_return;
        episodes.lengths += length;
    }

    /// Logs the end of an iteration, with the optimiser steps and episodes since the last one.
    /// Returns the symptoms that begin with it.
    ///
    /// # Errors
    /// If the log or `run.json` cannot be written.
    pub fn iteration(
        &mut self,
        metrics: IterationMetrics,
    ) -> Result<Vec<HealthEvent>, ExternalRunError> {
        let steps = std::mem::take(&mut self.steps);
        let ended = std::mem::take(&mut self.episodes);
        let episodes: u64 = ended.outcomes.iter().sum();
        let mean = |sum: f64| (episodes > 0).then(|| sum / episodes as f64);
        let collected = metrics.global_step.saturating_sub(self.last_step);
        let seconds = self.iteration_begun.elapsed().as_secs_f64();
        self.iteration += 1;
        self.iteration_begun = Instant::now();
        let clipped = steps.iter().filter(|step| step.clipped()).count();
        let units = metrics
            .units
            .into_iter()
            .chain(std::iter::repeat((None, None)));
        let layers = self.layers.iter().zip(units);
        let report = IterationReport {
            iteration: self.iteration,
            global_step: metrics.global_step,
            optimiser_step: steps.last().map_or(0, |step| step.optimiser_step + 1),
            episodes,
            outcomes: ended.outcomes,
            success_rate: mean(ended.outcomes[0] as f64),
            episodic_return: mean(ended.returns),
            episodic_length: mean(ended.lengths),
            learning_rate: metrics.learning_rate,
            explained_variance: metrics.explained_variance,
            value_max: metrics.value_max,
            value_bound: metrics.value_bound,
            action_std: metrics.action_std,
            mean: UpdateReport::mean_of(&steps),
            clip_share: clipped as f64 / steps.len().max(1) as f64,
            layers: layers
                .map(|(name, (saturated, dormant))| LayerReport {
                    name: name.clone(),
                    spectral_norm: None,
                    saturated,
                    dormant,
                })
                .collect(),
            epochs: metrics.epochs,
            wall: WallClockReport {
                elapsed_secs: self.begun.elapsed().as_secs_f64(),
                steps_per_sec: collected as f64 / seconds.max(1e-9),
                ..WallClockReport::default()
            },
            ..IterationReport::default()
        };
        let detected = self.monitor.observe_iteration(&report);
        self.log.record(&Event::Iteration(report))?;
        self.log_symptoms(&detected)?;
        self.log.flush()?;
        self.last_step = metrics.global_step;
        self.info.global_step = metrics.global_step;
        self.write_info(RunStatus::Running)?;
        Ok(detected)
    }

    /// Logs an evaluation during training.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn evaluation(&mut self, global_step: u64, summary: EvalSummary) -> io::Result<()> {
        let score = (summary.success.value, summary.episodic_return.value);
        let best = self.best.is_none_or(|best| score > best);
        if best {
            self.best = Some(score);
        }
        self.log.record(&Event::Evaluation(EvaluationReport {
            global_step,
            elapsed_secs: self.begun.elapsed().as_secs_f64(),
            summary,
            best,
        }))
    }

    /// Ends the log. `evaluation` is that of the final policy on held-out episodes; `stopped` says
    /// that training ended before its time.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn finish(
        mut self,
        evaluation: Option<&EvalReport>,
        stopped: bool,
    ) -> Result<(), ExternalRunError> {
        if let Some(report) = evaluation {
            self.run.write_evaluation(report)?;
        }
        self.log.flush()?;
        let status = match (self.diverged, stopped) {
            (true, _) => RunStatus::Diverged,
            (false, true) => RunStatus::Stopped,
            (false, false) => RunStatus::Finished,
        };
        self.write_info(status)
    }

    fn log_symptoms(&mut self, detected: &[HealthEvent]) -> io::Result<()> {
        let mut symptoms = detected.iter().cloned();
        symptoms.try_for_each(|symptom| self.log.record(&Event::Health(symptom)))
    }

    fn write_info(&mut self, status: RunStatus) -> Result<(), ExternalRunError> {
        self.info.status = status;
        self.info.wall_secs = self.begun.elapsed().as_secs_f64();
        Ok(self.run.write_info(&self.info)?)
    }
}

#[cfg(test)]
mod tests;
