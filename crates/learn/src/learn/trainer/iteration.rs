//! One training iteration, in the order in which it happens: reset weights where that is due,
//! choose levels, collect a rollout, compute returns, epochs × minibatches of optimiser steps, report;
//! then evaluate and save.

use std::time::Instant;

use tch::{Tensor, no_grad};

use super::{RunOutcome, TrainHooks, Trainer};
use crate::learn::attempt::{IterationProgress, UpdateAttempt, exceeds_norm_limit};
use crate::learn::batch::RolloutBatch;
use crate::learn::collect::RolloutTime;
use crate::learn::curriculum::CurriculumPlan;
use crate::learn::incident::Incident;
use crate::learn::metrics::{MetricsLevel, layer_reports};
use crate::learn::rollout::{ReturnStatistics, RolloutPolicy};
use crate::learn::sequences::Sequences;
use crate::learn::trajectory::{RECORDED_ENV, TeeSink, rollout_trajectory};
use crate::learn::update::{FiniteUpdate, UpdateInput, update_with_metrics};
use crate::learn::{LearnError, Objective};
use evenkeel_runs::health::{DrivingMetrics, ProposedUpdate, UpdateMetrics};
use evenkeel_runs::recording::Trajectory;
use evenkeel_runs::telemetry::{
    CheckpointReport, DivergedReport, DivergenceReason, EvaluationReport, Event, GuardAction,
    GuardReport, IterationReport, LayerReport, Sink, UpdateReport, WallClockReport,
};
use evenkeel_sim::env::{EpisodeStats, VectorEnv};

/// Result of all optimiser steps of one iteration.
#[derive(Debug, Default)]
struct OptimiseResult {
    /// Reports of the steps, with the events of guard and detectors, in order.
    events: Vec<Event>,
    /// Epochs started.
    epochs: u32,
    /// Learning rate of the last step.
    learning_rate: f64,
    /// Coefficient of the KL penalty in the steps, if there is one.
    kl_coef: Option<f64>,
    /// Each parameter after them.
    layers: Vec<LayerReport>,
    /// The first step by which the run diverged.
    diverged: Option<DivergedReport>,
    /// Whether training ends with it.
    halted: bool,
    /// Whether the guard went back to the weights before the iteration.
    rolled_back: bool,
}

impl<E: VectorEnv> Trainer<E> {
    /// Trains until all steps are done, `hooks.stop` asks to stop, or the run diverges.
    pub fn run(&mut self, hooks: &mut TrainHooks) -> Result<RunOutcome, LearnError> {
        let iterations = self.config().iterations();
        while self.state.header.iteration < iterations {
            self.record_iteration = hooks.record.is_some() && self.recording_is_due();
            let mut tee = TeeSink {
                sink: hooks.sink,
                events: self.record_iteration.then(Vec::new),
            };
            let diverged = self.iterate(&mut tee)?;
            let events = tee.events.unwrap_or_default();
            if let (Some(record), Some(trajectory)) = (&mut hooks.record, self.trajectory.take()) {
                record(&trajectory, &events).map_err(LearnError::Record)?;
            }
            self.store_incidents(hooks)?;
            if let Some(diverged) = diverged {
                hooks.sink.flush().map_err(LearnError::Sink)?;
                return Ok(RunOutcome::Diverged(diverged));
            }
            let (train, iteration) = (&self.config().train, self.state.header.iteration);
            let done = iteration == iterations;
            let stop = !done && (hooks.stop)();
            let save_due = iteration.is_multiple_of(train.checkpoint_every.into());
            if train.evaluates_after(iteration) || done {
                self.evaluate(hooks)?;
            }
            if save_due || done || stop {
                self.save(hooks, "last")?;
            }
            hooks.sink.flush().map_err(LearnError::Sink)?;
            if stop {
                return Ok(RunOutcome::Stopped);
            }
        }
        // Training may go on after divergence where the guard is off.
        let diverged = self.state.header.diverged.clone();
        Ok(diverged.map_or(RunOutcome::Finished, RunOutcome::Diverged))
    }

    /// Whether the next iteration is to be recorded.
    fn recording_is_due(&self) -> bool {
        let every = u64::from(self.config().train.record_every);
        every > 0 && (self.state.header.iteration + 1).is_multiple_of(every)
    }

    /// One iteration. Gives a report if training ends with it because the run diverged; then the
    /// weights are those before the step that the guard refused.
    pub fn iterate(&mut self, sink: &mut dyn Sink) -> Result<Option<DivergedReport>, LearnError> {
        let started = Instant::now();
        let (batch, progress, rollout_time) =
            if let Some((batch, progress)) = self.resume_point.take() {
                (batch, progress, RolloutTime::default())
            } else {
                self.apply_resets();
                let curriculum_plan = self.choose_levels()?;
                let (batch, time) = self.collect(curriculum_plan);
                (batch, IterationProgress::default(), time)
            };
        let collected = Instant::now();
        let result = self.optimise(&batch, progress);
        if !result.rolled_back {
            self.state
                .advance_normalisers(&batch.observation_moments, &batch.return_moments);
        }
        self.state.header.iteration += 1;
        let optimise_secs = collected.elapsed().as_secs_f64();
        let mut events = result.events.iter();
        events
            .try_for_each(|event| sink.record(event))
            .map_err(LearnError::Sink)?;
        let stats = self.env.take_stats();
        if let Some(scheduler) = &self.scheduler {
            scheduler.observe(&mut self.state.curriculum, &stats);
        }
        let steps = self.config().steps_per_iteration() as f64;
        let wall = WallClockReport {
            elapsed_secs: self.elapsed_secs(),
            steps_per_sec: steps / started.elapsed().as_secs_f64(),
            simulate_secs: rollout_time.simulate.as_secs_f64(),
            forward_secs: rollout_time.forward.as_secs_f64(),
            optimise_secs,
        };
        self.report(batch, result, &stats, wall, sink)
    }

    /// Chooses the levels of the next rollout; `None` where each environment plays its own episodes
    /// in turn.
    fn choose_levels(&mut self) -> Result<Option<CurriculumPlan>, LearnError> {
        let Some(scheduler) = &self.scheduler else {
            return Ok(None);
        };
        let iteration = self.state.header.iteration;
        if scheduler.scores_levels(iteration) {
            let controller = self.controller();
            scheduler.score_levels(&mut self.state.curriculum, controller)?;
        }
        let curriculum_plan = scheduler.plan_iteration(&self.state.curriculum, iteration);
        self.env.set_level_plan(&curriculum_plan.plan);
        Ok(Some(curriculum_plan))
    }

    /// Collects a rollout and computes its returns.
    fn collect(&mut self, curriculum_plan: Option<CurriculumPlan>) -> (RolloutBatch, RolloutTime) {
        let environments = if self.recorder.is_on() || self.record_iteration {
            self.env.state()
        } else {
            Vec::new()
        };
        let (state, rollout) = (&mut self.state, &mut self.rollout);
        let (config, iteration) = (&state.header.config, state.header.iteration);
        let rollout_policy = RolloutPolicy {
            policy: &self.policy,
            parameters: &state.parameters,
            buffers: &state.buffers,
            normaliser: &state.observation,
            workers: &self.workers,
        };
        let (observation_moments, time) = rollout.collect(
            &rollout_policy,
            &mut state.hidden,
            &mut self.env,
            &mut self.buffers,
            (state.header.seed, iteration),
        );
        let ReturnStatistics {
            moments: return_moments,
            explained_variance,
            value_max,
            reward_max,
        } = rollout.compute_returns(&rollout_policy, &state.hidden, &state.returns, config);
        self.trajectory = self.record_iteration.then(|| {
            let initial_state = environments[RECORDED_ENV].clone();
            let robots = rollout.envs / environments.len();
            let levels = curriculum_plan.as_ref().map(|levels| levels.plan.clone());
            Trajectory {
                iteration: iteration + 1,
                global_step: state.header.global_step,
                levels,
                ..rollout_trajectory(
                    rollout,
                    &rollout_policy,
                    &state.returns,
                    initial_state,
                    robots,
                )
            }
        });
        state.header.global_step += config.steps_per_iteration();
        state.header.reward_max = state.header.reward_max.max(reward_max);
        let (rows, sequences) = rollout.to_device(state.parameters.device());
        let batch = RolloutBatch {
            iteration,
            global_step: state.header.global_step,
            rows,
            sequences,
            inactive: if rollout.inactive.contains(&true) {
                rollout.inactive.clone()
            } else {
                Vec::new()
            },
            explained_variance,
            value_max,
            action_std: rollout.action_std,
            observation: state.observation.moments().clone(),
            returns: state.returns.statistics().clone(),
            observation_moments,
            return_moments,
            environments,
            curriculum_plan,
            hidden: state.hidden.clone(),
        };
        (batch, time)
    }

    /// All remaining optimiser steps on a rollout: epochs × minibatches, until the guard ends them
    /// or the target KL divergence is exceeded.
    fn optimise(
        &mut self,
        batch: &RolloutBatch,
        mut progress: IterationProgress,
    ) -> OptimiseResult {
        let header = &self.state.header;
        let (seed, train) = (header.seed, &header.config.train);
        let (epochs, target_kl) = (train.epochs, train.target_kl.get());
        let kl_penalty = train.kl_penalty;
        let minibatches = batch.minibatches(train.minibatches);
        let mut result = OptimiseResult {
            learning_rate: self.state.learning_rate(batch.iteration),
            kl_coef: kl_penalty.coefficient(self.state.kl_penalty),
            ..OptimiseResult::default()
        };
        if progress.epoch == 0 && progress.minibatch == 0 {
            let optimiser = &self.update_rule.optimiser;
            optimiser.begin_rollout(&mut self.state.optimiser);
        }
        let snapshot = self.state.update_snapshot();
        let mut last_kl = None;
        let rate_scale = self.state.guard.learning_rate_scale();
        while progress.epoch < epochs {
            result.epochs += 1;
            let indices = minibatches.epoch(seed, progress.epoch);
            for indices in indices.skip(progress.minibatch as usize) {
                let attempt = self.attempt_update(batch, indices, progress, result.learning_rate);
                let kl = attempt.report.approx_kl.unwrap_or(f64::INFINITY);
                let action = result.record_decision(&attempt);
                self.observe_attempt(attempt, &mut result);
                match action {
                    GuardAction::Proceed => {
                        progress.kl += kl;
                        result.learning_rate = self.state.learning_rate(batch.iteration);
                    }
                    GuardAction::Skip => {}
                    GuardAction::Halt => return result,
                    GuardAction::Rollback {
                        learning_rate_scale,
                    } => {
                        let factor = learning_rate_scale / rate_scale;
                        self.state.roll_back(snapshot, factor);
                        return result;
                    }
                }
                progress.minibatch += 1;
            }
            let mean_kl = progress.kl / f64::from(minibatches.count);
            last_kl = Some(mean_kl);
            if target_kl.is_some_and(|target| mean_kl > target) {
                break;
            }
            progress = IterationProgress {
                epoch: progress.epoch + 1,
                ..IterationProgress::default()
            };
        }
        if let Some(kl) = last_kl {
            self.state.kl_penalty = kl_penalty.adapt(self.state.kl_penalty, kl);
        }
        self.update_buffers(batch, &mut result);
        result
    }

    /// Computes one optimiser step, and applies it if the guard lets it.
    fn attempt_update(
        &mut self,
        batch: &RolloutBatch,
        indices: Tensor,
        progress: IterationProgress,
        learning_rate: f64,
    ) -> UpdateAttempt {
        let state = &mut self.state;
        let input = UpdateInput {
            global_step: batch.global_step,
            optimiser_step: state.header.optimiser_step,
            parameters: state.parameters.shallow_clone(),
            initial_parameters: state.initial_parameters.shallow_clone(),
            buffers: state.buffers.shallow_clone(),
            optimiser: state.optimiser.clone(),
            clip: state.clip.clone(),
            rows: batch.rows.shallow_clone(),
            sequences: batch.sequences.as_ref().map(Sequences::shallow_clone),
            indices,
            row_layout: self.rollout.row_layout,
            objective: Objective::new(&state.header.config, state.kl_penalty),
            learning_rate,
        };
        state.header.optimiser_step += 1;
        let (report, mut divergence, applied) = match update_with_metrics(
            self.metrics_level,
            &self.policy,
            &self.workers,
            &input,
            &self.update_rule,
        ) {
            Ok(FiniteUpdate {
                parameters,
                optimiser,
                clip,
                learning_rate,
                report,
            }) => {
                let adapted_rate = state.adapted_rate.map(|_| learning_rate);
                let applied = (parameters, optimiser, clip, adapted_rate);
                (report, None, Some(applied))
            }
            Err(rejected) => (rejected.report, Some(rejected.reason), None),
        };
        if exceeds_norm_limit(&report, state.header.initial_norm) {
            divergence.get_or_insert(DivergenceReason::ParameterNorm);
        }
        let guard = *state.guard.state();
        let decision = state.guard.decide(&ProposedUpdate {
            divergence,
            grad_norm: report.grad_norm,
        });
        if let (GuardAction::Proceed, Some(applied)) = (decision.action, applied) {
            (
                state.parameters,
                state.optimiser,
                state.clip,
                state.adapted_rate,
            ) = applied;
        }
        UpdateAttempt {
            input,
            progress,
            report,
            divergence,
            kl_penalty: state.kl_penalty,
            guard,
            decision,
        }
    }

    /// Shows a step to detectors and flight recorder, and keeps the events.
    fn observe_attempt(&mut self, attempt: UpdateAttempt, result: &mut OptimiseResult) {
        if self.metrics_level == MetricsLevel::Minimal {
            return;
        }
        let metrics = UpdateMetrics {
            divergence: attempt.divergence,
            ..UpdateMetrics::from(&attempt.report)
        };
        let detected = self.state.monitor.observe(&metrics);
        result.events.push(Event::Step(attempt.report.clone()));
        result
            .events
            .extend(guard_report(&attempt).map(Event::Guard));
        let last_capture = &mut self.state.header.last_capture;
        self.recorder.push_attempt(attempt, &detected, last_capture);
        result
            .events
            .extend(detected.into_iter().map(Event::Health));
    }

    /// Updates the policy's buffers by the rollout's observations, and measures the layers.
    fn update_buffers(&mut self, batch: &RolloutBatch, result: &mut OptimiseResult) {
        let (policy, state) = (&self.policy, &mut self.state);
        let observations = batch.active_observations(self.rollout.row_layout);
        if self.metrics_level == MetricsLevel::Full {
            let weights = policy.weights(&state.parameters, &state.buffers);
            let hidden = batch.sequences.as_ref().map(|all| &all.hidden);
            result.layers = layer_reports(policy, &weights, &observations, hidden);
        }
        if state.buffers.numel() > 0 {
            state.buffers = no_grad(|| {
                policy.update_buffers(
                    &state.parameters,
                    &state.buffers,
                    &observations,
                    batch.iteration,
                )
            });
        }
    }

    /// Reports the iteration, and says whether training ends with it.
    fn report(
        &mut self,
        batch: RolloutBatch,
        result: OptimiseResult,
        stats: &EpisodeStats,
        wall: WallClockReport,
        sink: &mut dyn Sink,
    ) -> Result<Option<DivergedReport>, LearnError> {
        if self.metrics_level == MetricsLevel::Minimal {
            return Ok(result.diverged.filter(|_| result.halted));
        }
        let steps = result.events.into_iter().filter_map(|event| match event {
            Event::Step(step) => Some(step),
            _ => None,
        });
        let steps: Vec<UpdateReport> = steps.collect();
        let clipped = steps.iter().filter(|step| step.clipped()).count();
        let reward_terms = stats.reward_terms.iter();
        let scheduler = self.scheduler.as_ref();
        let report = IterationReport {
            iteration: self.state.header.iteration,
            global_step: self.state.header.global_step,
            optimiser_step: self.state.header.optimiser_step,
            episodes: stats.episodes,
            outcomes: stats.outcomes,
            redrawn_layouts: stats.redrawn_layouts,
            success_rate: stats.success_rate(),
            episodic_return: stats.mean_return(),
            episodic_length: stats.mean_length(),
            reward_terms: reward_terms
                .map(|&(name, sum)| (name.to_string(), sum / stats.steps.max(1) as f64))
                .collect(),
            learning_rate: result.learning_rate,
            kl_coef: result.kl_coef,
            explained_variance: batch.explained_variance,
            value_max: batch.value_max,
            value_bound: self.value_bound(),
            action_std: self.action_std(batch.action_std),
            mean: UpdateReport::mean_of(&steps),
            clip_share: clipped as f64 / steps.len().max(1) as f64,
            layers: result.layers,
            epochs: result.epochs,
            curriculum: scheduler.map(|scheduler| scheduler.report(&self.state.curriculum)),
            wall,
        };
        let header = &mut self.state.header;
        let detected = self.state.monitor.observe_iteration(&report);
        self.recorder
            .capture_if_due(&detected, &mut header.last_capture);
        self.recorder.push_batch(batch);
        let mut emit = |event: Event| sink.record(&event).map_err(LearnError::Sink);
        emit(Event::Iteration(report))?;
        detected
            .into_iter()
            .try_for_each(|event| emit(Event::Health(event)))?;
        if let (None, Some(diverged)) = (&header.diverged, &result.diverged) {
            emit(Event::Diverged(diverged.clone()))?;
            header.diverged = Some(diverged.clone());
        }
        Ok(header.diverged.clone().filter(|_| result.halted))
    }

    /// Largest |value| that the rewards so far allow, r / (1 − γ) with the largest |reward| r;
    /// `None` where γ is 1 and there is no bound.
    fn value_bound(&self) -> Option<f64> {
        let bound = self.state.header.reward_max / (1.0 - self.config().train.gamma);
        bound.is_finite().then_some(bound)
    }

    /// Mean standard deviation of the actions, where it is finite: that of the policy as it is, or,
    /// where it depends on the observation, that over the rollout.
    fn action_std(&self, over_rollout: Option<f64>) -> Option<f64> {
        let (policy, state) = (&self.policy, &self.state);
        let weights = policy.weights(&state.parameters, &state.buffers);
        let fixed = policy.distribution(&weights).fixed_mean_std();
        fixed.or(over_rollout).filter(|std| std.is_finite())
    }

    /// Evaluates the policy, and saves it as `best` if it is the best so far.
    fn evaluate(&mut self, hooks: &mut TrainHooks) -> Result<(), LearnError> {
        let Some(evaluate) = hooks.evaluate.as_mut() else {
            return Ok(());
        };
        let summary = evaluate(&mut self.controller()).map_err(LearnError::Evaluate)?;
        let header = &mut self.state.header;
        let score = (summary.success.value, summary.episodic_return.value);
        let best = header.best.is_none_or(|best| score > best);
        if best {
            header.best = Some(score);
        }
        let (global_step, optimiser_step) = (header.global_step, header.optimiser_step);
        let driving = DrivingMetrics::of_evaluation(&summary, global_step, optimiser_step);
        let detected = self.state.monitor.observe_robot(&driving);
        self.recorder
            .capture_if_due(&detected, &mut header.last_capture);
        let report = EvaluationReport {
            global_step,
            elapsed_secs: self.elapsed_secs(),
            summary,
            best,
        };
        let events = std::iter::once(Event::Evaluation(report));
        for event in events.chain(detected.into_iter().map(Event::Health)) {
            hooks.sink.record(&event).map_err(LearnError::Sink)?;
        }
        self.store_incidents(hooks)?;
        if best {
            self.save(hooks, "best")
        } else {
            Ok(())
        }
    }

    /// Writes what the flight recorder has captured.
    fn store_incidents(&mut self, hooks: &mut TrainHooks) -> Result<(), LearnError> {
        let (captures, batches) = self.recorder.take_captures();
        let Some(folder) = hooks.incidents else {
            return Ok(());
        };
        let header = &self.state.header;
        for capture in captures {
            let (run, config) = (&folder.run, &folder.config);
            let incident = Incident::from_capture(capture, batches, header, run, config);
            let report = folder
                .store(incident, header.config.stability.recorder)
                .map_err(LearnError::Incident)?;
            hooks
                .sink
                .record(&Event::Incident(report))
                .map_err(LearnError::Sink)?;
        }
        Ok(())
    }

    /// Writes a checkpoint.
    fn save(&self, hooks: &mut TrainHooks, name: &str) -> Result<(), LearnError> {
        let Some(folder) = hooks.checkpoints else {
            return Ok(());
        };
        // The log comes first: a resumption cuts off what is beyond its checkpoint, but could not
        // restore what is missing before it.
        let event = Event::Checkpoint(CheckpointReport {
            name: name.into(),
            global_step: self.state.header.global_step,
        });
        hooks.sink.record(&event).map_err(LearnError::Sink)?;
        hooks.sink.flush().map_err(LearnError::Sink)?;
        Ok(self.state().save(&folder.join(name))?)
    }

    /// Collects a rollout and attempts the first optimiser step on it.
    #[cfg(test)]
    pub(in crate::learn) fn first_step(&mut self) -> UpdateAttempt {
        let (batch, _) = self.collect(None);
        let minibatches = batch.minibatches(self.config().train.minibatches);
        let first = minibatches.epoch(self.state.header.seed, 0).next();
        let indices = first.expect("an epoch has a minibatch");
        let optimiser = &self.update_rule.optimiser;
        optimiser.begin_rollout(&mut self.state.optimiser);
        let rate = self.state.learning_rate(0);
        self.attempt_update(&batch, indices, IterationProgress::default(), rate)
    }
}

impl OptimiseResult {
    /// Stores what the guard's decision about a step means for the iteration, and gives the action
    /// to take.
    fn record_decision(&mut self, attempt: &UpdateAttempt) -> GuardAction {
        // Without finite numbers, no guard can let training go on.
        let lost = attempt
            .divergence
            .is_some_and(DivergenceReason::is_non_finite);
        let action = match attempt.decision.action {
            GuardAction::Proceed if lost => GuardAction::Halt,
            action => action,
        };
        self.halted = action == GuardAction::Halt;
        self.rolled_back = matches!(action, GuardAction::Rollback { .. });
        let reason = match (action, attempt.divergence) {
            (GuardAction::Halt, reason) => Some(reason.unwrap_or(DivergenceReason::UpdatesRefused)),
            (GuardAction::Proceed, reason) => reason,
            (GuardAction::Skip | GuardAction::Rollback { .. }, _) => None,
        };
        if self.diverged.is_none() {
            self.diverged = reason.map(|reason| DivergedReport {
                global_step: attempt.input.global_step,
                optimiser_step: attempt.input.optimiser_step,
                reason,
            });
        }
        action
    }
}

/// Reports the guard's decision about a step with a fault. Where the guard is off, a fault that
/// goes on is reported once.
fn guard_report(attempt: &UpdateAttempt) -> Option<GuardReport> {
    let decision = attempt.decision;
    let goes_on = decision.action == GuardAction::Proceed && decision.consecutive_faults > 1;
    decision
        .fault
        .filter(|_| !goes_on)
        .map(|fault| GuardReport {
            global_step: attempt.input.global_step,
            optimiser_step: attempt.input.optimiser_step,
            fault,
            action: decision.action,
        })
}
