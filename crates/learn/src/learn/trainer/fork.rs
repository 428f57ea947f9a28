//! Training from the middle of an iteration: from a step of an incident.

use super::Trainer;
use crate::learn::attempt::UpdateAttempt;
use crate::learn::flight_recorder::FlightRecorder;
use crate::learn::incident::Incident;
use crate::learn::normaliser::Normaliser;
use crate::learn::resume::check_same_run;
use crate::learn::train_state::{RunClock, network_layout};
use crate::learn::{
    FlightRecorderConfig, LearnError, ReturnNormaliser, RunConfig, TrainState, TrainStateHeader,
};
use evenkeel_runs::health::{Monitor, UpdateGuard};
use evenkeel_sim::env::VectorEnv;

impl<E: VectorEnv> Trainer<E> {
    /// A run that goes on with a step of an incident, under `config`, which may differ from the
    /// incident's in [`crate::learn::REMEDY_SETTINGS`]. Its first iteration is the rest of the
    /// step's. `env` must have been made with the incident's seed. Detectors start afresh, the
    /// recorder is off, and a rollback in that first iteration goes back to the step itself.
    pub fn fork(
        incident: &Incident,
        step: &UpdateAttempt,
        config: &RunConfig,
        mut env: E,
    ) -> Result<Self, LearnError> {
        let header = &incident.state;
        header.check_compatible(env.obs_layout(), env.action_dim())?;
        check_same_run(&header.config, config)?;
        config.check()?;
        let buffers = incident.replay(step, &mut env)?;
        let mut trainer = Self::assemble(TrainState::at_step(incident, step, config), env)?;
        trainer.buffers = buffers;
        let stats = trainer.env.take_stats();
        if let Some(scheduler) = &trainer.scheduler {
            scheduler.observe(&mut trainer.state.curriculum, &stats);
        }
        // Nothing takes its captures.
        trainer.recorder = FlightRecorder::new(FlightRecorderConfig::OFF);
        let batch = incident.batch_of(step);
        trainer.resume_point = Some((batch.shallow_clone(), step.progress));
        Ok(trainer)
    }
}

impl TrainState {
    /// The state before a step of an incident, under other settings.
    fn at_step(incident: &Incident, step: &UpdateAttempt, config: &RunConfig) -> Self {
        let batch = incident.batch_of(step);
        let input = incident.input(step, config);
        let stability = &config.stability;
        let layout = network_layout(&incident.policy());
        let curriculum = batch.curriculum_plan.as_ref();
        Self {
            header: TrainStateHeader {
                iteration: batch.iteration,
                global_step: batch.global_step,
                optimiser_step: input.optimiser_step,
                diverged: None,
                config: config.clone(),
                ..incident.state.clone()
            },
            clock: RunClock::default(),
            parameters: input.parameters,
            initial_parameters: input.initial_parameters,
            buffers: input.buffers,
            optimiser: input.optimiser,
            clip: input.clip,
            kl_penalty: step.kl_penalty,
            adapted_rate: config
                .train
                .schedule
                .is_adaptive()
                .then_some(input.learning_rate),
            guard: UpdateGuard::resume(stability.guard, step.guard),
            monitor: Monitor::new(stability.health.clone(), layout),
            observation: Normaliser::new(
                stability.normalise.observation,
                batch.observation.clone(),
            ),
            returns: ReturnNormaliser::new(stability.normalise.returns, batch.returns.clone()),
            curriculum: curriculum.map_or_else(Default::default, |plan| plan.state.clone()),
            hidden: batch.hidden.clone(),
            environments: Vec::new(),
        }
    }
}
