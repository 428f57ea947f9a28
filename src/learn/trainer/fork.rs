//! Training that goes on from within an iteration: from a step of an incident.

use super::Trainer;
use crate::env::{StepBuffers, VectorEnv};
use crate::health::{Guardian, MonitorState};
use crate::learn::checkpoint::SavedState;
use crate::learn::incident::Incident;
use crate::learn::learner::{Learner, Lesson, Tried};
use crate::learn::normaliser::Normaliser;
use crate::learn::resume::refuse_other_runs;
use crate::learn::trainer::Clock;
use crate::learn::{LearnError, RunConfig};
use crate::nn::entries;

impl<E: VectorEnv> Trainer<E> {
    /// A run that goes on with a step of an incident, under `config`, which may differ from the
    /// incident's in [`crate::learn::REMEDY_SETTINGS`]. Its first iteration is the rest of the
    /// step's. `env` must have been made with the incident's seed. Detectors begin anew.
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
        for (now, stage) in learner.clip.iter_mut().zip(&config.stability.clip) {
            if let Some(own) = input.clip.iter().find(|own| stage.owns(own)) {
                now.clone_from(own);
            }
        }
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
            config: config.clone(),
            ..state.clone()
        };
        let observation = lesson.observation.clone();
        let buffers = replay(incident, step, lesson, config, &mut env)?;
        let mut trainer = Self::assemble(env, learner, observation, state, clock)?;
        trainer.buffers = buffers;
        if let Some(memory) = &mut trainer.rollout.memory {
            memory.hidden.clone_from(&lesson.hidden);
        }
        trainer.env.take_stats();
        trainer.forked = Some((lesson.shallow_clone(), step.place));
        Ok(trainer)
    }
}

/// Takes environments through a rollout again, whose observations must come out the same.
fn replay<E: VectorEnv>(
    incident: &Incident,
    step: &Tried,
    lesson: &Lesson,
    config: &RunConfig,
    env: &mut E,
) -> Result<StepBuffers, LearnError> {
    let (envs, columns) = (env.num_envs(), step.input.columns);
    let mut buffers = StepBuffers::new(envs, columns.obs);
    env.restore(&lesson.environments, &mut buffers)
        .map_err(LearnError::Restore)?;
    let normaliser = Normaliser::new(
        config.stability.normalise.observation,
        lesson.observation.clone(),
    );
    let recorded = entries(
        &columns
            .observations(&lesson.rows)
            .contiguous()
            .reshape([-1]),
    );
    let actions = incident.actions(step);
    let mut seen = vec![0.0; columns.obs];
    let steps = actions.chunks_exact(envs * columns.action);
    let recorded = recorded.chunks_exact(envs * columns.obs);
    for (index, (actions, recorded)) in steps.zip(recorded).enumerate() {
        let rows = buffers.obs.chunks_exact(columns.obs);
        for (env, (raw, recorded)) in rows.zip(recorded.chunks_exact(columns.obs)).enumerate() {
            normaliser.observation(raw, &mut seen);
            if seen != recorded {
                return Err(LearnError::Replay {
                    optimiser_step: step.input.optimiser_step,
                    env,
                    step: index,
                });
            }
        }
        env.step(actions, &mut buffers);
    }
    Ok(buffers)
}
