//! Trains one policy: a [`TrainState`], the environments, and everything that works on them. A
//! training iteration itself is in `iteration.rs`.

use std::path::Path;

use tch::Device as TorchDevice;

use super::attempt::IterationProgress;
use super::batch::RolloutBatch;
use super::curriculum::scheduler::CurriculumScheduler;
use super::flight_recorder::FlightRecorder;
use super::incident::folder::IncidentFolder;
use super::metrics::MetricsLevel;
use super::resume::check_resumable;
use super::rollout::Rollout;
use super::train_state::RunClock;
use super::{
    Device, EvaluateError, FlightRecorderConfig, LearnError, LearnerPool, PolicyController,
    RunConfig, StartPolicy, TrainState, UpdateRule,
};
use crate::nn::{Policy, entries};
use evenkeel_runs::recording::{RecordError, Trajectory};
use evenkeel_runs::telemetry::{DivergedReport, EvalSummary, Event, Sink};
use evenkeel_sim::env::{Controller, StepBuffers, VectorEnv};
use evenkeel_sim::seed::RootSeed;

mod fork;
mod iteration;
mod reset;

/// Trains one policy in one vector of environments.
pub struct Trainer<E> {
    /// Everything that the next iteration reads, but for the environments' own state.
    state: TrainState,
    env: E,
    buffers: StepBuffers,
    rollout: Rollout,
    policy: Policy,
    workers: LearnerPool,
    update_rule: UpdateRule,
    /// Absent where every level is new.
    scheduler: Option<CurriculumScheduler>,
    recorder: FlightRecorder,
    metrics_level: MetricsLevel,
    /// The rest of an iteration, which a fork starts with.
    resume_point: Option<(RolloutBatch, IterationProgress)>,
    /// Whether the current iteration is recorded, and the trajectory of its rollout.
    record_iteration: bool,
    trajectory: Option<Trajectory>,
}

/// Evaluates a controller on the validation episodes.
pub type EvaluateFn<'a> = dyn FnMut(&mut dyn Controller) -> Result<EvalSummary, EvaluateError> + 'a;

/// Records the trajectory of one environment in an iteration, with the events of the iteration.
pub type RecordFn<'a> = dyn FnMut(&Trajectory, &[Event]) -> Result<(), RecordError> + 'a;

/// What a trainer calls and writes into while it runs.
pub struct TrainHooks<'a> {
    /// Receives every event.
    pub sink: &'a mut dyn Sink,
    /// Called as often as `train.eval_every` says, and at the end.
    pub evaluate: Option<&'a mut EvaluateFn<'a>>,
    /// The folder for the checkpoints `last` and `best`.
    pub checkpoints: Option<&'a Path>,
    /// Where the flight recorder writes its captures.
    pub incidents: Option<&'a IncidentFolder>,
    /// Called as often as `train.record_every` says.
    pub record: Option<&'a mut RecordFn<'a>>,
    /// Called after each iteration; training stops where it returns true.
    pub stop: &'a dyn Fn() -> bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RunOutcome {
    /// All steps were done.
    Finished,
    /// It was stopped and can be resumed.
    Stopped,
    /// It diverged; the last checkpoint is from before.
    Diverged(DivergedReport),
}

impl<E: VectorEnv> Trainer<E> {
    /// A run before its first iteration.
    pub fn new(config: &RunConfig, seed: RootSeed, env: E) -> Result<Self, LearnError> {
        Self::starting_from(None, config, seed, env)
    }

    /// A run before its first iteration, with the weights and normalisers of a policy if there is
    /// one.
    ///
    /// # Errors
    /// If a setting is invalid, or the policy does not fit settings and environments.
    pub fn starting_from(
        start: Option<&StartPolicy>,
        config: &RunConfig,
        seed: RootSeed,
        env: E,
    ) -> Result<Self, LearnError> {
        let mut state = TrainState::initial(config, seed, env.obs_layout(), env.action_dim())?;
        if let Some(start) = start {
            start.check_fits(config, env.obs_layout(), env.action_dim())?;
            state.start_from(start);
        }
        let mut trainer = Self::assemble(state, env)?;
        trainer.env.reset(&mut trainer.buffers);
        Ok(trainer)
    }

    /// A run that goes on from a saved state. `env` must have been made with the seed of that
    /// state. `config` may differ from its settings in the number of steps (over which a schedule
    /// is then stretched), threads, device, evaluations, checkpoints and recordings.
    pub fn resume(config: &RunConfig, saved: &TrainState, env: E) -> Result<Self, LearnError> {
        let header = &saved.header;
        header.check_compatible(env.obs_layout(), env.action_dim())?;
        check_resumable(&header.config, config)?;
        if config.iterations() < header.iteration {
            return Err(LearnError::BeyondTotalSteps {
                total_steps: config.train.total_steps,
                global_step: header.global_step,
            });
        }
        let mut state = saved.clone();
        state.header.config = config.clone();
        let environments = std::mem::take(&mut state.environments);
        let mut trainer = Self::assemble(state, env)?;
        trainer
            .env
            .restore(&environments, &mut trainer.buffers)
            .map_err(LearnError::Restore)?;
        // Episodes that ended before are in the logs already.
        trainer.env.take_stats();
        Ok(trainer)
    }

    /// A trainer in this state; the environments are still to be reset or restored.
    fn assemble(mut state: TrainState, mut env: E) -> Result<Self, LearnError> {
        state.clock.start();
        let config = state.header.config.clone();
        config.check()?;
        config.check_observations(env.obs_layout())?;
        config.train.device.check()?;
        let threads = config.threads();
        let workers = LearnerPool::new(threads, config.train.torch_threads as usize)?;
        let envs = config.train.num_envs as usize;
        if env.num_envs() != envs {
            return Err(LearnError::EnvCount {
                expected: envs,
                found: env.num_envs(),
            });
        }
        let scheduler = CurriculumScheduler::new(
            config.train.curriculum,
            env.scenario(),
            state.header.seed,
            threads,
        )?;
        if let Some(scheduler) = &scheduler {
            env.set_level_plan(&scheduler.first_plan(&state.curriculum));
        }
        state.move_to(match config.train.device {
            Device::Cpu => TorchDevice::Cpu,
            Device::Cuda => TorchDevice::Cuda(0),
        });
        let policy = state.header.policy();
        Ok(Self {
            buffers: StepBuffers::new(envs, policy.obs_dim()),
            rollout: Rollout::new(&config, &policy),
            policy,
            workers,
            update_rule: UpdateRule::from(&config),
            scheduler,
            recorder: FlightRecorder::new(config.stability.recorder),
            metrics_level: MetricsLevel::default(),
            resume_point: None,
            record_iteration: false,
            trajectory: None,
            env,
            state,
        })
    }

    /// Sets how much is measured and reported from here on. Training does not depend on it: with
    /// [`MetricsLevel::Minimal`] it computes the same weights, and sends no event.
    pub fn set_metrics_level(&mut self, metrics_level: MetricsLevel) {
        self.metrics_level = metrics_level;
        self.recorder = FlightRecorder::new(match metrics_level {
            MetricsLevel::Full => self.config().stability.recorder,
            MetricsLevel::Minimal => FlightRecorderConfig::OFF,
        });
    }

    /// All settings of the run.
    pub fn config(&self) -> &RunConfig {
        &self.state.header.config
    }

    /// Iterations that are left.
    pub fn iterations_left(&self) -> u32 {
        let left = self.config().iterations();
        let left = left.saturating_sub(self.state.header.iteration);
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Environment steps gathered so far.
    pub fn global_step(&self) -> u64 {
        self.state.header.global_step
    }

    /// Seconds of wall clock since the run started: training, evaluations, checkpoints and logs,
    /// summed over resumptions. Time after the checkpoint that a run is resumed from is not
    /// counted.
    pub fn elapsed_secs(&self) -> f64 {
        self.state.elapsed_secs()
    }

    pub(super) fn clock(&self) -> RunClock {
        self.state.clock
    }

    /// θ, flat, in the order of the layout.
    pub fn parameters(&self) -> Vec<f32> {
        entries(&self.state.parameters)
    }

    /// The current policy, deterministic.
    pub fn controller(&self) -> PolicyController {
        PolicyController::of_state(&self.state)
    }

    /// Everything that the next iteration reads.
    pub fn state(&self) -> TrainState {
        TrainState {
            environments: self.env.state(),
            ..self.state.clone()
        }
    }
}
