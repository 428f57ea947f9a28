//! Training that goes on from within an iteration: from a step of an incident.

use super::Trainer;
use crate::learn::checkpoint::TrainState;
use crate::learn::flight_recorder::FlightRecorder;
use crate::learn::incident::Incident;
use crate::learn::learner::{Learner, UpdateAttempt};
use crate::learn::normaliser::Normaliser;
use crate::learn::resume::check_same_run;
use crate::learn::trainer::RunClock;
use crate::learn::{FlightRecorderConfig, LearnError, RunConfig};
use evenkeel_runs::health::{MonitorState, UpdateGuard};
use evenkeel_sim::env::VectorEnv;

impl<E: VectorEnv> Trainer<E> {
    /// A run that goes on with a step of an incident, under `config`, which may differ from the
    /// incident's in [`crate::learn::REMEDY_SETTINGS`]. Its first iteration is the rest of the
    /// step's. `env` must have been made with the incident's seed. Detectors begin anew, the
    /// recorder is off, and a rollback in that first iteration goes back to the step itself.
    pub fn fork(
        incident: &Incident,
        step: &UpdateAttempt,
        config: &RunConfig,
        mut env: E,
    ) -> Result<Self, LearnError> {
        let state = &incident.state;
        state.check_compatible(env.obs_layout(), env.action_dim())?;
        check_same_run(&state.config, config)?;
        let batch = incident.lesson(step);
        let mut learner = Learner::new(config, state.seed, env.obs_layout(), env.action_dim())?;
        let device = learner.parameters.device();
        let input = incident.input(step, config);
        learner.parameters = input.parameters.to_device(device);
        learner.buffers = input.buffers.to_device(device);
        learner.initial_norm = state.initial_norm;
        learner.optimiser = input.optimiser;
        learner.clip = input.clip;
        learner.attempted_steps = input.optimiser_step;
        learner.update_guard = UpdateGuard::resume(config.stability.guard, step.guard);
        learner.returns =
            Normaliser::new(config.stability.normalise.returns, batch.returns.clone());
        let clock = RunClock::start(0.0);
        let state = TrainState {
            iteration: batch.iteration,
            global_step: batch.global_step,
            optimiser_step: input.optimiser_step,
            elapsed_secs: 0.0,
            health: MonitorState::default(),
            diverged: None,
            curriculum: match &batch.curriculum_plan {
                Some(curriculum_plan) => curriculum_plan.state.clone(),
                None => state.curriculum.clone(),
            },
            config: config.clone(),
            ..state.clone()
        };
        let observation = batch.observation.clone();
        let buffers = incident.replay(step, &mut env)?;
        let mut trainer = Self::assemble(env, learner, observation, state, clock)?;
        trainer.buffers = buffers;
        if let Some(memory) = &mut trainer.rollout.memory {
            memory.hidden.clone_from(&batch.hidden);
        }
        let stats = trainer.env.take_stats();
        if let Some(scheduler) = &mut trainer.scheduler {
            scheduler.observe(&stats);
        }
        // Nobody would take what it sets aside.
        trainer.recorder = FlightRecorder::new(FlightRecorderConfig::OFF, None);
        trainer.resume_point = Some((batch.shallow_clone(), step.position));
        Ok(trainer)
    }
}
