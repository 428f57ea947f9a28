//! Training that goes on from within an iteration: from a step of an incident.

use super::Trainer;
use crate::learn::checkpoint::SavedState;
use crate::learn::incident::Incident;
use crate::learn::learner::{Learner, Tried};
use crate::learn::normaliser::Normaliser;
use crate::learn::recorder::Recorder;
use crate::learn::resume::refuse_other_runs;
use crate::learn::trainer::Clock;
use crate::learn::{LearnError, RecorderConfig, RunConfig};
use evenkeel_runs::health::{Guardian, MonitorState};
use evenkeel_sim::env::VectorEnv;

impl<E: VectorEnv> Trainer<E> {
    /// A run that goes on with a step of an incident, under `config`, which may differ from the
    /// incident's in [`crate::learn::REMEDY_SETTINGS`]. Its first iteration is the rest of the
    /// step's. `env` must have been made with the incident's seed. Detectors begin anew, the
    /// recorder is off, and a rollback in that first iteration goes back to the step itself.
    pub fn fork(
        incident: &Incident,
        step: &Tried,
        config: &RunConfig,
        mut env: E,
    ) -> Result<Self, LearnError> {
        let state = &incident.state;
        state.check_fits(env.obs_layout(), env.action_dim())?;
        refuse_other_runs(&state.config, config)?;
        let lesson = incident.lesson(step);
        let mut learner = Learner::new(config, state.seed, env.obs_layout(), env.action_dim())?;
        let device = learner.parameters.device();
        let input = incident.input(step, config);
        learner.parameters = input.parameters.to_device(device);
        learner.statistics = input.statistics.to_device(device);
        learner.initial_norm = state.initial_norm;
        learner.optimiser = input.optimiser;
        learner.clip = input.clip;
        learner.tried = input.optimiser_step;
        learner.guardian = Guardian::resume(config.stability.guard, step.guard);
        learner.returns =
            Normaliser::new(config.stability.normalise.returns, lesson.returns.clone());
        let clock = Clock::start(0.0);
        let state = SavedState {
            iteration: lesson.iteration,
            global_step: lesson.global_step,
            optimiser_step: input.optimiser_step,
            elapsed_secs: 0.0,
            health: MonitorState::default(),
            diverged: None,
            curriculum: match &lesson.taught {
                Some(taught) => taught.state.clone(),
                None => state.curriculum.clone(),
            },
            config: config.clone(),
            ..state.clone()
        };
        let observation = lesson.observation.clone();
        let buffers = incident.replay(step, &mut env)?;
        let mut trainer = Self::assemble(env, learner, observation, state, clock)?;
        trainer.buffers = buffers;
        if let Some(memory) = &mut trainer.rollout.memory {
            memory.hidden.clone_from(&lesson.hidden);
        }
        let stats = trainer.env.take_stats();
        if let Some(teacher) = &mut trainer.teacher {
            teacher.observe(&stats);
        }
        // Nobody would take what it sets aside.
        trainer.recorder = Recorder::new(RecorderConfig::OFF, None);
        trainer.forked = Some((lesson.shallow_clone(), step.place));
        Ok(trainer)
    }
}
