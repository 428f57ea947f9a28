//! The one training loop: gather a rollout, learn from it, say what happened, now and then
//! evaluate and save.

use std::path::Path;
use std::time::Instant;

use tch::Tensor;

use super::checkpoint::{Checkpoint, SavedPolicy, TrainState};
use super::curriculum::{CurriculumPlan, CurriculumScheduler};
use super::flight_recorder::{FlightRecorder, FlightRecorderConfig};
use super::incident::{Incident, IncidentFolder};
use super::learner::{Learner, OptimisationResult, RolloutBatch, UpdateAttempt, UpdatePosition};
use super::metrics::MetricsLevel;
use super::normaliser::{Normaliser, RunningMoments};
use super::resume::check_resumable;
use super::rollout::{Rollout, RolloutTime, collect};
use super::trajectory::{RECORDED_ENV, TeeSink, rollout_trajectory};
use super::{EvaluateError, LearnError, PolicyController, RunConfig};
use crate::nn::entries;
use crate::optim::{OptimiserMoment, OptimiserState};
use evenkeel_runs::health::{DrivingMetrics, Monitor, UpdateGuard, UpdateMetrics};
use evenkeel_runs::recording::{RecordError, Trajectory};
use evenkeel_runs::telemetry::{
    CheckpointReport, DivergedReport, EvalSummary, EvaluationReport, Event, GuardAction,
    GuardReport, IterationReport, Sink, UpdateReport, WallClockReport,
};
use evenkeel_sim::env::{Controller, EpisodeStats, StepBuffers, VectorEnv};
use evenkeel_sim::seed::RootSeed;

mod fork;
mod summary;

use summary::mean_report;

/// Trains one policy in one vector of environments.
pub struct Trainer<E> {
    env: E,
    buffers: StepBuffers,
    learner: Learner,
    observation: Normaliser,
    rollout: Rollout,
    monitor: Monitor,
    recorder: FlightRecorder,
    /// Absent where every level is new.
    scheduler: Option<CurriculumScheduler>,
    state: TrainState,
    clock: RunClock,
    /// The rest of an iteration, which a fork begins with.
    resume_point: Option<(RolloutBatch, UpdatePosition)>,
    /// Whether the iteration under way is to be recorded, and what was lived in its rollout.
    record_iteration: bool,
    trajectory: Option<Trajectory>,
}

/// Wall clock of a run, summed over resumptions.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunClock {
    /// Seconds of the sessions before this one, up to the checkpoint.
    before: f64,
    began: Instant,
}

impl RunClock {
    fn start(before: f64) -> Self {
        let began = Instant::now();
        Self { before, began }
    }

    /// Seconds so far.
    pub(super) fn secs(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }
}

/// Evaluates an actor on episodes held out for choosing.
pub type EvaluateFn<'a> = dyn FnMut(&mut dyn Controller) -> Result<EvalSummary, EvaluateError> + 'a;

/// Records what an environment lived in an iteration, given what was told of the iteration.
pub type RecordFn<'a> = dyn FnMut(&Trajectory, &[Event]) -> Result<(), RecordError> + 'a;

/// What surrounds a run: who listens, who evaluates, where checkpoints go, and when to stop.
pub struct TrainHooks<'a> {
    /// Hears of everything that happens.
    pub sink: &'a mut dyn Sink,
    /// Called as often as `train.eval_every` says, and at the end.
    pub evaluate: Option<&'a mut EvaluateFn<'a>>,
    /// The folder that `last` and `best` are written into.
    pub checkpoints: Option<&'a Path>,
    /// Where the flight recorder writes what it has kept when a detector fires.
    pub incidents: Option<&'a IncidentFolder>,
    /// Called as often as `train.record_every` says.
    pub record: Option<&'a mut RecordFn<'a>>,
    /// Asked after each iteration whether to stop there.
    pub stop: &'a dyn Fn() -> bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RunOutcome {
    /// All steps were done.
    Finished,
    /// It was asked to stop and can be resumed.
    Stopped,
    /// It diverged; the last checkpoint is from before.
    Diverged(DivergedReport),
}

/// What the optimiser steps of an iteration came to.
struct LearnResult {
    /// One report a step, in order.
    steps: Vec<UpdateReport>,
    optimised: OptimisationResult,
    /// How long they took.
    secs: f64,
}

impl<E: VectorEnv> Trainer<E> {
    /// A run before its first iteration.
    pub fn new(config: &RunConfig, seed: RootSeed, env: E) -> Result<Self, LearnError> {
        let clock = RunClock::start(0.0);
        let learner = Learner::new(config, seed, env.obs_layout(), env.action_dim())?;
        let state = TrainState::initial(
            config.clone(),
            seed,
            env.obs_layout(),
            env.action_dim(),
            learner.initial_norm,
        );
        let mut trainer = Self::assemble(env, learner, RunningMoments::new(0), state, clock)?;
        trainer.env.reset(&mut trainer.buffers);
        Ok(trainer)
    }

    /// A run that goes on where a checkpoint left it; the seed is the checkpoint's, and `env` must
    /// have been made with it. `config` may differ from the checkpoint's in the number of steps
    /// (over which a schedule is then stretched), threads, device, evaluations and checkpoints.
    pub fn resume(config: &RunConfig, checkpoint: &Checkpoint, env: E) -> Result<Self, LearnError> {
        let saved = &checkpoint.policy;
        let clock = RunClock::start(saved.state.elapsed_secs);
        saved
            .state
            .check_compatible(env.obs_layout(), env.action_dim())?;
        check_resumable(&saved.state.config, config)?;
        if config.iterations() < saved.state.iteration {
            return Err(LearnError::BeyondTotalSteps {
                total_steps: config.train.total_steps,
                global_step: saved.state.global_step,
            });
        }
        let (layout, act) = (env.obs_layout(), env.action_dim());
        let mut learner = Learner::new(config, saved.state.seed, layout, act)?;
        let device = learner.parameters.device();
        let flat = |numbers: &[f32]| Tensor::from_slice(numbers).to_device(device);
        learner.parameters = flat(&saved.parameters);
        learner.buffers = flat(&saved.buffers);
        learner.initial_norm = saved.state.initial_norm;
        let moments = checkpoint
            .moments
            .iter()
            .map(|(name, entries)| OptimiserMoment {
                name,
                tensor: flat(entries),
            });
        learner.optimiser = OptimiserState {
            moments: moments.collect(),
            steps: saved.state.steps_taken,
        };
        learner.attempted_steps = saved.state.optimiser_step;
        learner.update_guard = UpdateGuard::resume(config.stability.guard, saved.state.guard);
        learner.clip.clone_from(&saved.state.clip);
        let kinds = config.stability.normalise;
        learner.returns = Normaliser::new(kinds.returns, checkpoint.returns.clone());
        let state = TrainState {
            config: config.clone(),
            ..saved.state.clone()
        };
        let mut trainer = Self::assemble(env, learner, saved.observation.clone(), state, clock)?;
        trainer
            .env
            .restore(&checkpoint.environments, &mut trainer.buffers)
            .map_err(LearnError::Restore)?;
        if let Some(memory) = &mut trainer.rollout.memory {
            memory.hidden.clone_from(&checkpoint.hidden);
        }
        // What the environments did before is not this run's.
        trainer.env.take_stats();
        Ok(trainer)
    }

    fn assemble(
        mut env: E,
        learner: Learner,
        observation: RunningMoments,
        state: TrainState,
        clock: RunClock,
    ) -> Result<Self, LearnError> {
        let train = &learner.config.train;
        let envs = train.num_envs as usize;
        if env.num_envs() != envs {
            return Err(LearnError::EnvCount {
                expected: envs,
                found: env.num_envs(),
            });
        }
        let obs_dim = env.obs_layout().dim();
        let observation = if observation.mean.is_empty() {
            RunningMoments::new(obs_dim)
        } else {
            observation
        };
        let scheduler = CurriculumScheduler::new(
            train.curriculum,
            state.curriculum.clone(),
            env.scenario(),
            state.seed,
            learner.config.threads(),
        )?;
        if let Some(scheduler) = &scheduler {
            env.set_level_plan(&scheduler.first_plan());
        }
        Ok(Self {
            scheduler,
            buffers: StepBuffers::new(envs, obs_dim),
            observation: Normaliser::new(
                learner.config.stability.normalise.observation,
                observation,
            ),
            rollout: learner.rollout(),
            monitor: Monitor::resume(
                learner.config.stability.health.clone(),
                learner.network_layout(),
                state.health.clone(),
            ),
            recorder: FlightRecorder::new(learner.config.stability.recorder, state.last_capture),
            env,
            learner,
            state,
            clock,
            resume_point: None,
            record_iteration: false,
            trajectory: None,
        })
    }

    /// How much is measured and told from here on. Nothing else depends on it: with
    /// [`MetricsLevel::Minimal`] the same run is trained in silence.
    pub fn set_metrics_level(&mut self, metrics_level: MetricsLevel) {
        self.learner.metrics_level = metrics_level;
        let config = match metrics_level {
            MetricsLevel::Full => self.state.config.stability.recorder,
            MetricsLevel::Minimal => FlightRecorderConfig::OFF,
        };
        self.recorder = FlightRecorder::new(config, self.state.last_capture);
    }

    /// All settings of the run.
    pub fn config(&self) -> &RunConfig {
        &self.state.config
    }

    /// Iterations that are left of the budget.
    pub fn iterations_left(&self) -> u32 {
        let left = self
            .state
            .config
            .iterations()
            .saturating_sub(self.state.iteration);
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Environment steps gathered.
    pub fn global_step(&self) -> u64 {
        self.state.global_step
    }

    /// Seconds of wall clock since the run began: training, evaluations, checkpoints and logs,
    /// summed over resumptions. What came after the checkpoint resumed from does not count.
    pub fn elapsed_secs(&self) -> f64 {
        self.clock.secs()
    }

    pub(super) fn clock(&self) -> RunClock {
        self.clock
    }

    /// The weights by name, flat, in order.
    pub fn parameters(&self) -> Vec<f32> {
        entries(&self.learner.parameters)
    }

    /// The policy as it is now, deterministic.
    pub fn controller(&self) -> PolicyController {
        PolicyController::assemble(
            self.learner.policy.clone(),
            &self.learner.parameters,
            &self.learner.buffers,
            self.observation.clone(),
            &self.state,
        )
        .with_return_normaliser(self.learner.returns.clone())
    }

    /// All that the next iteration reads.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            policy: SavedPolicy {
                state: TrainState {
                    elapsed_secs: self.elapsed_secs(),
                    clip: self.learner.clip.clone(),
                    health: self.monitor.state().clone(),
                    guard: *self.learner.update_guard.state(),
                    last_capture: self.recorder.last,
                    steps_taken: self.learner.optimiser.steps,
                    ..self.state.clone()
                },
                parameters: entries(&self.learner.parameters),
                buffers: entries(&self.learner.buffers),
                observation: self.observation.moments().clone(),
            },
            moments: self
                .learner
                .optimiser
                .moments
                .iter()
                .map(|moment| (moment.name, entries(&moment.tensor)))
                .collect(),
            returns: self.learner.returns.moments().clone(),
            hidden: self.hidden(),
            environments: self.env.state(),
        }
    }

    /// `[N, state]`: what the policy remembers of each environment.
    fn hidden(&self) -> Vec<f32> {
        let memory = self.rollout.memory.as_ref();
        memory.map_or_else(Vec::new, |memory| memory.hidden.clone())
    }

    /// Trains until all steps are done, the session asks to stop, or the run diverges.
    pub fn run(&mut self, hooks: &mut TrainHooks) -> Result<RunOutcome, LearnError> {
        let iterations = self.state.config.iterations();
        while self.state.iteration < iterations {
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
            let done = self.state.iteration == iterations;
            let stop = !done && (hooks.stop)();
            let (train, iteration) = (&self.state.config.train, self.state.iteration);
            let evaluate = train.evaluates_after(iteration) || done;
            let due = iteration.is_multiple_of(u64::from(train.checkpoint_every));
            let save = due || done || stop;
            if evaluate {
                self.evaluate(hooks)?;
            }
            if save {
                self.save(hooks, "last")?;
            }
            hooks.sink.flush().map_err(LearnError::Sink)?;
            if stop {
                return Ok(RunOutcome::Stopped);
            }
        }
        // Training may go on beyond divergence where the guard is off.
        Ok(self
            .state
            .diverged
            .clone()
            .map_or(RunOutcome::Finished, RunOutcome::Diverged))
    }

    /// Whether the next iteration is one of those to be recorded.
    fn recording_is_due(&self) -> bool {
        let every = u64::from(self.state.config.train.record_every);
        every > 0 && (self.state.iteration + 1).is_multiple_of(every)
    }

    /// One iteration: a rollout with all its epochs. Says so if training ends with it because the
    /// run diverged; then the weights are those before the step that the guard refused.
    pub fn iterate(&mut self, sink: &mut dyn Sink) -> Result<Option<DivergedReport>, LearnError> {
        let began = Instant::now();
        let (batch, position, time) = if let Some((batch, position)) = self.resume_point.take() {
            (batch, position, RolloutTime::default())
        } else {
            let curriculum_plan = self.choose_levels()?;
            let (batch, time) = self.gather(curriculum_plan);
            (batch, UpdatePosition::default(), time)
        };
        let learned = self.learn(&batch, position, sink)?;
        let stats = self.env.take_stats();
        if let Some(scheduler) = &mut self.scheduler {
            scheduler.observe(&stats);
            self.state.curriculum = scheduler.state().clone();
        }
        let wall = self.wall(began.elapsed().as_secs_f64(), &learned, time);
        self.report_iteration(batch, learned, &stats, wall, sink)
    }

    /// Says which levels the next rollout plays.
    fn choose_levels(&mut self) -> Result<Option<CurriculumPlan>, LearnError> {
        let Some(mut scheduler) = self.scheduler.take() else {
            return Ok(None);
        };
        let iteration = self.state.iteration;
        let prepared = scheduler.prepare(iteration, || self.controller());
        let curriculum_plan = scheduler.plan_iteration(iteration);
        self.scheduler = Some(scheduler);
        prepared?;
        self.env.set_level_plan(&curriculum_plan.plan);
        self.state.curriculum = curriculum_plan.state.clone();
        Ok(Some(curriculum_plan))
    }

    /// Gathers a rollout.
    fn gather(&mut self, curriculum_plan: Option<CurriculumPlan>) -> (RolloutBatch, RolloutTime) {
        let environments = if self.recorder.is_on() || self.record_iteration {
            self.env.state()
        } else {
            Vec::new()
        };
        let rollout_policy = self.learner.acting(&self.observation);
        let (seed, iteration) = (self.state.seed, self.state.iteration);
        let (observation_moments, time) = collect(
            &mut self.rollout,
            &rollout_policy,
            &mut self.env,
            &mut self.buffers,
            seed,
            iteration,
        );
        let (return_moments, explained_variance) = self
            .learner
            .compute_returns(&mut self.rollout, &self.observation);
        self.trajectory = self.record_iteration.then(|| {
            let rollout_policy = self.learner.acting(&self.observation);
            let before = environments[RECORDED_ENV].clone();
            let robots = self.rollout.envs / environments.len();
            Trajectory {
                iteration: iteration + 1,
                global_step: self.state.global_step,
                levels: curriculum_plan
                    .as_ref()
                    .map(|curriculum_plan| curriculum_plan.plan.clone()),
                ..rollout_trajectory(
                    &self.rollout,
                    &rollout_policy,
                    &self.learner.returns,
                    before,
                    robots,
                )
            }
        });
        self.state.global_step += self.state.config.steps_per_iteration();
        let (rows, sequences) = self.learner.to_device_rows(&self.rollout);
        let inactive = &self.rollout.inactive;
        let batch = RolloutBatch {
            iteration,
            global_step: self.state.global_step,
            rows,
            sequences,
            inactive: if inactive.contains(&true) {
                inactive.clone()
            } else {
                Vec::new()
            },
            explained_variance,
            observation: self.observation.moments().clone(),
            returns: self.learner.returns.moments().clone(),
            observation_moments,
            return_moments,
            environments,
            curriculum_plan,
            hidden: self.hidden(),
        };
        (batch, time)
    }

    /// Gathers a rollout and tries the first optimiser step on it.
    #[cfg(test)]
    pub(super) fn first_step(&mut self) -> UpdateAttempt {
        let (batch, _) = self.gather(None);
        let mut first = None;
        self.learner
            .optimise(&batch, UpdatePosition::default(), &mut |attempt| {
                first.get_or_insert(attempt);
            });
        first.expect("an iteration has a step")
    }

    /// Learns from a rollout, from a place in it on, and tells of every optimiser step.
    fn learn(
        &mut self,
        batch: &RolloutBatch,
        from: UpdatePosition,
        sink: &mut dyn Sink,
    ) -> Result<LearnResult, LearnError> {
        let began = Instant::now();
        let mut events: Vec<Event> = Vec::new();
        let (monitor, recorder) = (&mut self.monitor, &mut self.recorder);
        let silent = self.learner.metrics_level == MetricsLevel::Minimal;
        let optimised = self
            .learner
            .optimise(batch, from, &mut |attempt: UpdateAttempt| {
                if silent {
                    return;
                }
                let metrics = UpdateMetrics {
                    not_finite: attempt.divergence,
                    ..UpdateMetrics::from(&attempt.report)
                };
                let seen = monitor.observe(&metrics);
                events.push(Event::Step(attempt.report.clone()));
                events.extend(guard_report(&attempt).map(Event::Guard));
                recorder.push_attempt(attempt, &seen);
                events.extend(seen.into_iter().map(Event::Health));
            });
        if !optimised.rolled_back {
            self.observation.advance(&batch.observation_moments);
            self.learner.returns.advance(&batch.return_moments);
        }
        self.state.iteration += 1;
        self.state.optimiser_step = self.learner.attempted_steps;
        let secs = began.elapsed().as_secs_f64();
        events
            .iter()
            .try_for_each(|event| sink.record(event))
            .map_err(LearnError::Sink)?;
        let steps = events.into_iter().filter_map(|event| match event {
            Event::Step(step) => Some(step),
            _ => None,
        });
        Ok(LearnResult {
            steps: steps.collect(),
            optimised,
            secs,
        })
    }

    /// Tells what the iteration came to, and whether training ends with it.
    fn report_iteration(
        &mut self,
        batch: RolloutBatch,
        learned: LearnResult,
        stats: &EpisodeStats,
        wall: WallClockReport,
        sink: &mut dyn Sink,
    ) -> Result<Option<DivergedReport>, LearnError> {
        let LearnResult {
            steps, optimised, ..
        } = learned;
        if self.learner.metrics_level == MetricsLevel::Minimal {
            return Ok(optimised.diverged.filter(|_| optimised.halted));
        }
        let clipped = |step: &&UpdateReport| step.clipped();
        let report = IterationReport {
            iteration: self.state.iteration,
            global_step: self.state.global_step,
            optimiser_step: self.state.optimiser_step,
            episodes: stats.episodes,
            outcomes: stats.outcomes,
            success_rate: stats.success_rate(),
            episodic_return: stats.mean_return(),
            episodic_length: stats.mean_length(),
            reward_terms: stats
                .reward_terms
                .iter()
                .map(|&(name, sum)| (name.to_string(), sum / stats.steps.max(1) as f64))
                .collect(),
            learning_rate: optimised.learning_rate,
            explained_variance: batch.explained_variance,
            action_std: self.action_std(),
            mean: mean_report(&steps),
            clip_share: steps.iter().filter(clipped).count() as f64 / steps.len().max(1) as f64,
            layers: optimised.layers,
            epochs: optimised.epochs,
            curriculum: self.scheduler.as_ref().map(CurriculumScheduler::report),
            wall,
        };
        let seen = self.monitor.observe_iteration(&report);
        self.recorder.capture_if_due(&seen);
        self.recorder.push_batch(batch);
        let mut tell = |event: Event| sink.record(&event).map_err(LearnError::Sink);
        tell(Event::Iteration(report))?;
        seen.into_iter()
            .try_for_each(|seen| tell(Event::Health(seen)))?;
        if let (None, Some(diverged)) = (&self.state.diverged, &optimised.diverged) {
            tell(Event::Diverged(diverged.clone()))?;
            self.state.diverged = Some(diverged.clone());
        }
        let halted = optimised.halted.then(|| self.state.diverged.clone());
        Ok(halted.flatten())
    }

    fn wall(&self, iteration: f64, learned: &LearnResult, rollout: RolloutTime) -> WallClockReport {
        WallClockReport {
            elapsed_secs: self.elapsed_secs(),
            steps_per_sec: self.state.config.steps_per_iteration() as f64 / iteration,
            simulate_secs: rollout.simulate.as_secs_f64(),
            forward_secs: rollout.forward.as_secs_f64(),
            optimise_secs: learned.secs,
        }
    }

    fn action_std(&self) -> Option<f64> {
        let Learner {
            policy,
            parameters,
            buffers,
            ..
        } = &self.learner;
        let weights = policy.weights(parameters, buffers);
        let std = policy.distribution(&weights).mean_std();
        std.is_finite().then_some(std)
    }

    fn evaluate(&mut self, hooks: &mut TrainHooks) -> Result<(), LearnError> {
        let Some(evaluate) = hooks.evaluate.as_mut() else {
            return Ok(());
        };
        let summary = evaluate(&mut self.controller()).map_err(LearnError::Evaluate)?;
        let score = (summary.success.value, summary.episodic_return.value);
        let best = self.state.best.is_none_or(|best| score > best);
        if best {
            self.state.best = Some(score);
        }
        let (global_step, optimiser_step) = (self.state.global_step, self.state.optimiser_step);
        let drove = DrivingMetrics::of_evaluation(&summary, global_step, optimiser_step);
        let seen = self.monitor.observe_robot(&drove);
        self.recorder.capture_if_due(&seen);
        let event = Event::Evaluation(EvaluationReport {
            global_step: self.state.global_step,
            elapsed_secs: self.elapsed_secs(),
            summary,
            best,
        });
        hooks.sink.record(&event).map_err(LearnError::Sink)?;
        for seen in seen {
            let event = Event::Health(seen);
            hooks.sink.record(&event).map_err(LearnError::Sink)?;
        }
        self.store_incidents(hooks)?;
        if best {
            self.save(hooks, "best")
        } else {
            Ok(())
        }
    }

    /// Writes what the flight recorder has set aside.
    fn store_incidents(&mut self, hooks: &mut TrainHooks) -> Result<(), LearnError> {
        let (captures, batches) = self.recorder.take_captures();
        let Some(folder) = hooks.incidents else {
            return Ok(());
        };
        for capture in captures {
            let (run, config) = (&folder.run, &folder.config);
            let incident = Incident::from_capture(capture, batches, &self.state, run, config);
            let report = folder
                .store(incident, self.state.config.stability.recorder)
                .map_err(LearnError::Incident)?;
            hooks
                .sink
                .record(&Event::Incident(report))
                .map_err(LearnError::Sink)?;
        }
        Ok(())
    }

    fn save(&self, hooks: &mut TrainHooks, name: &str) -> Result<(), LearnError> {
        let Some(folder) = hooks.checkpoints else {
            return Ok(());
        };
        // The log first: a resumption cuts off what is beyond its checkpoint, but could not make
        // up for what is missing before it.
        let event = Event::Checkpoint(CheckpointReport {
            name: name.into(),
            global_step: self.state.global_step,
        });
        hooks.sink.record(&event).map_err(LearnError::Sink)?;
        hooks.sink.flush().map_err(LearnError::Sink)?;
        Ok(self.checkpoint().save(&folder.join(name))?)
    }
}

/// What is told of the guard's decision about a step. Where it only looks on, a fault that goes on
/// is told of once.
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
