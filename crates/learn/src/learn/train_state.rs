//! Everything that the next iteration of a run reads, in one value that saves and loads itself.
//! The trainer changes it, a checkpoint is its files, and a resumed or forked run starts from it.
//! To persist something new, add a field: `save` and `load` do not compile until they treat it.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::checkpoint::{
    BUFFERS, ENVIRONMENT, FORMAT, HIDDEN, INITIAL, OBSERVATION, POLICY, RETURNS, STATE,
    SavedPolicy, TRAINER, read, read_json,
};
use super::normaliser::{Normaliser, RunningMoments};
use super::tensors::{TensorReader, TensorWriter};
use super::{
    CurriculumState, KlPenaltyState, LearnError, ReturnMoments, ReturnNormaliser, RunConfig,
    SavedStateError, TrainStateHeader,
};
use crate::nn::{Policy, entries};
use crate::optim::{ClipStage, ClipState, OptimiserMoment, OptimiserState, norm};
use evenkeel_runs::health::{GuardState, Monitor, MonitorState, NetworkLayout, UpdateGuard};
use evenkeel_runs::runs::replace_dir;
use evenkeel_sim::env::{EnvState, ObsLayout};
use evenkeel_sim::seed::RootSeed;

/// Everything that the next iteration of a run reads.
#[derive(Debug)]
pub struct TrainState {
    /// Settings, layouts and counters.
    pub header: TrainStateHeader,
    /// Wall clock of the run.
    pub(super) clock: RunClock,
    /// θ, flat.
    pub parameters: Tensor,
    /// θ₀, the parameters at the start of the run, flat. Seed and settings give them, unless the run
    /// started from a policy: only then are they saved.
    pub initial_parameters: Tensor,
    /// Buffers of the policy, flat: running statistics of its normalisation layers and
    /// power-iteration vectors.
    pub buffers: Tensor,
    /// State of the optimiser.
    pub optimiser: OptimiserState,
    /// State of each clip stage.
    pub clip: Vec<ClipState>,
    /// State of the KL penalty.
    pub kl_penalty: KlPenaltyState,
    /// Learning rate of the last optimiser step, which the next one adapts; absent where the
    /// schedule is not adaptive.
    pub adapted_rate: Option<f64>,
    /// The update guard.
    pub guard: UpdateGuard,
    /// The detectors of symptoms.
    pub monitor: Monitor,
    /// Normalises observations.
    pub observation: Normaliser,
    /// Normalises returns.
    pub returns: ReturnNormaliser,
    /// Progress of the curriculum.
    pub curriculum: CurriculumState,
    /// `[N, state]`: hidden state of the policy in each environment; empty without a memory.
    pub hidden: Vec<f32>,
    /// State of each environment. While a trainer runs, the environments themselves hold it:
    /// [`Trainer::state`](super::Trainer::state) reads it from them.
    pub environments: Vec<EnvState>,
}

/// `state.json`.
#[derive(Serialize, Deserialize)]
struct StateFile {
    format: u32,
    #[serde(flatten)]
    header: TrainStateHeader,
    elapsed_secs: f64,
    /// Steps that the optimiser has taken.
    steps_taken: u64,
    clip: Vec<ClipState>,
    #[serde(default)]
    kl_penalty: KlPenaltyState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    adapted_rate: Option<f64>,
    guard: GuardState,
    health: MonitorState,
    #[serde(default)]
    curriculum: CurriculumState,
}

impl TrainState {
    /// The state before the first iteration.
    ///
    /// # Errors
    /// If the settings cannot work, or not with these observations.
    pub(super) fn initial(
        config: &RunConfig,
        seed: RootSeed,
        layout: &ObsLayout,
        action_dim: usize,
    ) -> Result<Self, LearnError> {
        config.check()?;
        config.check_observations(layout)?;
        let policy = Policy::new(&config.policy, layout, action_dim);
        let parameters = Tensor::from_slice(&policy.initial_parameters(seed));
        let normalise = config.stability.normalise;
        let clip = config.stability.clip.iter();
        Ok(Self {
            header: TrainStateHeader::initial(config, seed, layout, action_dim, norm(&parameters)),
            clock: RunClock::default(),
            buffers: Tensor::from_slice(policy.initial_buffers()),
            optimiser: OptimiserState::new(&config.train.optimiser, &parameters),
            initial_parameters: parameters.shallow_clone(),
            parameters,
            clip: clip.map(ClipStage::initial_state).collect(),
            kl_penalty: KlPenaltyState::default(),
            adapted_rate: config.initial_adapted_rate(),
            guard: UpdateGuard::new(config.stability.guard),
            monitor: Monitor::new(config.stability.health.clone(), network_layout(&policy)),
            observation: Normaliser::new(
                normalise.observation,
                RunningMoments::new(policy.obs_dim()),
            ),
            returns: ReturnNormaliser::new(
                normalise.returns,
                ReturnMoments::new(normalise.returns),
            ),
            curriculum: CurriculumState::default(),
            hidden: vec![0.0; config.train.num_envs as usize * policy.state_len()],
            environments: Vec::new(),
        })
    }

    /// Seconds of wall clock that the run has taken, summed over resumptions.
    pub fn elapsed_secs(&self) -> f64 {
        self.clock.secs()
    }

    /// Takes the statistics of a rollout into both normalisers.
    ///
    /// The critic's output layer is corrected, so that its values in units of rewards stay as they
    /// are (`PopArt`, van Hasselt et al. 2016, <https://arxiv.org/abs/1602.07714>, proposition 1).
    /// Otherwise they would move with the statistics, and with them the returns that are
    /// bootstrapped from them, which are the next statistics. The first ones are taken over without
    /// correction: they only say where the values begin. Where the critic's output layer is frozen, it
    /// cannot be corrected, and the statistics stay as they are once there are any.
    pub(super) fn advance_normalisers(
        &mut self,
        observation: &RunningMoments,
        returns: &ReturnMoments,
    ) {
        self.observation.advance(observation);
        let policy = self.header.policy();
        if self.returns.has_statistics() && policy.has_frozen_values() {
            return;
        }
        let before = self.returns.clone();
        self.returns.advance(returns);
        if before.has_statistics() && self.returns != before {
            let (factor, offset) = self.returns.conversion_from(&before);
            self.parameters = policy.with_rescaled_values(&self.parameters, factor, offset);
        }
    }

    /// The part that optimiser steps change.
    pub(super) fn update_snapshot(&self) -> UpdateSnapshot {
        UpdateSnapshot {
            parameters: self.parameters.shallow_clone(),
            buffers: self.buffers.shallow_clone(),
            optimiser: self.optimiser.clone(),
            clip: self.clip.clone(),
            adapted_rate: self.adapted_rate,
        }
    }

    /// Undoes the optimiser steps since a snapshot, and multiplies an adapted learning rate by a
    /// factor.
    pub(super) fn roll_back(&mut self, snapshot: UpdateSnapshot, rate_factor: f64) {
        UpdateSnapshot {
            parameters: self.parameters,
            buffers: self.buffers,
            optimiser: self.optimiser,
            clip: self.clip,
            adapted_rate: self.adapted_rate,
        } = snapshot;
        self.adapted_rate = self.adapted_rate.map(|rate| rate * rate_factor);
    }

    /// Learning rate that the next optimiser step gets, in an iteration of this index.
    pub(super) fn learning_rate(&self, iteration: u64) -> f64 {
        let scheduled = || {
            self.header.config.scheduled_learning_rate(iteration) * self.guard.learning_rate_scale()
        };
        self.adapted_rate.unwrap_or_else(scheduled)
    }

    /// Moves the tensors to a device.
    pub(super) fn move_to(&mut self, device: Device) {
        self.parameters = self.parameters.to_device(device);
        self.initial_parameters = self.initial_parameters.to_device(device);
        self.buffers = self.buffers.to_device(device);
        for moment in &mut self.optimiser.moments {
            moment.tensor = moment.tensor.to_device(device);
        }
    }

    /// Writes a checkpoint, in place of what the folder holds; a crash leaves the old one or the
    /// new one.
    pub fn save(&self, folder: &Path) -> Result<(), SavedStateError> {
        let at = |source| SavedStateError::Io {
            path: folder.to_owned(),
            source,
        };
        // Without `..`: a field that is not saved does not compile.
        let Self {
            header,
            clock,
            parameters,
            initial_parameters,
            buffers,
            optimiser: OptimiserState { moments, steps },
            clip,
            kl_penalty,
            adapted_rate,
            guard,
            monitor,
            observation,
            returns,
            curriculum,
            hidden,
            environments,
        } = self;

        let mut policy_file = TensorWriter::default();
        let parameters = entries(parameters);
        for entry in header.policy().layout().entries() {
            let shape = entry.shape.iter().map(|&side| side as usize).collect();
            policy_file.f32(&entry.name, shape, &parameters[entry.range.clone()]);
        }
        policy_file.vector(BUFFERS, buffers);
        policy_file.moments(OBSERVATION, observation.moments());

        let mut trainer_file = TensorWriter::default();
        for moment in moments {
            trainer_file.vector(&moment_tensor(moment.name), &moment.tensor);
        }
        if header.starts_from_policy {
            trainer_file.vector(INITIAL, initial_parameters);
        }
        trainer_file.return_moments(RETURNS, returns.statistics());
        trainer_file.f32(HIDDEN, vec![hidden.len()], hidden);
        trainer_file.environments(ENVIRONMENT, environments);

        let state_file = StateFile {
            format: FORMAT,
            header: header.clone(),
            elapsed_secs: clock.secs(),
            steps_taken: *steps,
            clip: clip.clone(),
            kl_penalty: *kl_penalty,
            adapted_rate: *adapted_rate,
            guard: *guard.state(),
            health: monitor.state().clone(),
            curriculum: curriculum.clone(),
        };
        let state_file = serde_json::to_vec_pretty(&state_file)
            .map_err(|error| at(std::io::Error::other(error)))?;
        replace_dir(folder, |folder| {
            fs::write(folder.join(POLICY), policy_file.bytes()?)?;
            fs::write(folder.join(TRAINER), trainer_file.bytes()?)?;
            fs::write(folder.join(STATE), &state_file)
        })
        .map_err(at)
    }

    /// Reads a checkpoint that [`Self::save`] wrote. Its clock stands still until a trainer
    /// resumes from it.
    pub fn load(folder: &Path) -> Result<Self, SavedStateError> {
        let SavedPolicy {
            header,
            parameters,
            buffers,
            observation,
        } = SavedPolicy::load(folder)?;
        let StateFile {
            format: _,
            header: _,
            elapsed_secs,
            steps_taken,
            clip,
            kl_penalty,
            adapted_rate,
            guard,
            health,
            curriculum,
        } = read_json(folder, STATE, FORMAT)?;
        let RunConfig {
            train, stability, ..
        } = &header.config;
        let mut stages = stability.clip.iter().zip(&clip);
        if stability.clip.len() != clip.len()
            || !stages.all(|(stage, state)| stage.accepts_state(state))
        {
            return Err(SavedStateError::State {
                path: folder.join(STATE),
                reason: "the states under `clip` are not those of the stages of `stability.clip`"
                    .into(),
            });
        }
        let rate_fits = adapted_rate.is_none_or(|rate| rate.is_finite() && rate > 0.0);
        if adapted_rate.is_some() != train.schedule.is_adaptive() || !rate_fits {
            return Err(SavedStateError::State {
                path: folder.join(STATE),
                reason: "`adapted_rate` does not fit `train.schedule`".into(),
            });
        }
        let policy = header.policy();
        let bytes = read(folder, TRAINER)?;
        let file = TensorReader::open(folder.join(TRAINER), &bytes)?;
        let initial_parameters = if header.starts_from_policy {
            file.f32(INITIAL, &[parameters.len()])?
        } else {
            policy.initial_parameters(header.seed)
        };
        let environments = file.environments(ENVIRONMENT)?;
        let moments = train.optimiser.moments().iter();
        let moments = moments.map(|&name| {
            let entries = file.f32(&moment_tensor(name), &[parameters.len()])?;
            Ok(OptimiserMoment {
                name,
                tensor: Tensor::from_slice(&entries),
            })
        });
        let hidden_len = train.num_envs as usize * policy.state_len();
        let normalise = stability.normalise;
        Ok(Self {
            clock: RunClock::stopped_at(elapsed_secs),
            parameters: Tensor::from_slice(&parameters),
            initial_parameters: Tensor::from_slice(&initial_parameters),
            buffers: Tensor::from_slice(&buffers),
            optimiser: OptimiserState {
                moments: moments.collect::<Result<_, SavedStateError>>()?,
                steps: steps_taken,
            },
            clip,
            kl_penalty,
            adapted_rate,
            guard: UpdateGuard::resume(stability.guard, guard),
            monitor: Monitor::resume(stability.health.clone(), network_layout(&policy), health),
            observation: Normaliser::new(normalise.observation, observation),
            returns: ReturnNormaliser::new(
                normalise.returns,
                file.return_moments(RETURNS, normalise.returns)?,
            ),
            curriculum,
            hidden: file.f32(HIDDEN, &[hidden_len])?,
            environments,
            header,
        })
    }
}

impl Clone for TrainState {
    /// Shares the tensors. Optimiser steps make new tensors and write into none.
    fn clone(&self) -> Self {
        Self {
            header: self.header.clone(),
            clock: self.clock,
            parameters: self.parameters.shallow_clone(),
            initial_parameters: self.initial_parameters.shallow_clone(),
            buffers: self.buffers.shallow_clone(),
            optimiser: self.optimiser.clone(),
            clip: self.clip.clone(),
            kl_penalty: self.kl_penalty,
            adapted_rate: self.adapted_rate,
            guard: self.guard.clone(),
            monitor: self.monitor.clone(),
            observation: self.observation.clone(),
            returns: self.returns.clone(),
            curriculum: self.curriculum.clone(),
            hidden: self.hidden.clone(),
            environments: self.environments.clone(),
        }
    }
}

/// The part of a state that optimiser steps change. Steps write into no tensor, so a snapshot
/// copies none.
#[derive(Debug)]
pub(super) struct UpdateSnapshot {
    parameters: Tensor,
    buffers: Tensor,
    optimiser: OptimiserState,
    clip: Vec<ClipState>,
    adapted_rate: Option<f64>,
}

/// The tensor that holds an optimiser's moment.
fn moment_tensor(name: &str) -> String {
    format!("optimiser.{name}")
}

/// What a monitor reads of a policy.
pub(super) fn network_layout(policy: &Policy) -> NetworkLayout {
    let entries = || policy.layout().entries().iter();
    let frozen = entries().filter(|entry| entry.frozen);
    NetworkLayout {
        action_dim: policy.action_dim(),
        layers: entries().map(|entry| entry.name.clone()).collect(),
        frozen: frozen.map(|entry| entry.name.clone()).collect(),
    }
}

/// Wall clock of a run, summed over resumptions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RunClock {
    /// Seconds of the sessions before this one, up to the checkpoint.
    earlier_secs: f64,
    /// When this session started; absent while the clock stands still.
    started: Option<Instant>,
}

impl RunClock {
    fn stopped_at(secs: f64) -> Self {
        Self {
            earlier_secs: secs,
            started: None,
        }
    }

    /// Lets the clock run on from now.
    pub(super) fn start(&mut self) {
        *self = Self {
            earlier_secs: self.secs(),
            started: Some(Instant::now()),
        };
    }

    /// Seconds so far.
    pub(super) fn secs(&self) -> f64 {
        let running = self.started.map_or(0.0, |at| at.elapsed().as_secs_f64());
        self.earlier_secs + running
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::learn::{AdaptiveKl, KlPenalty, ReturnScaling, TinyEnv, Trainer};
    use crate::nn::{RecurrentConfig, RnnSpec};
    use crate::optim::{Schedule, ZClip};
    use evenkeel_runs::telemetry::{DivergedReport, DivergenceReason, Fanout, Severity};

    /// Compares every field. Without `..`: a field that is not compared does not compile.
    fn assert_same(saved: &TrainState, loaded: &TrainState) {
        let TrainState {
            header,
            clock,
            parameters,
            initial_parameters,
            buffers,
            optimiser: OptimiserState { moments, steps },
            clip,
            kl_penalty,
            adapted_rate,
            guard,
            monitor,
            observation,
            returns,
            curriculum,
            hidden,
            environments,
        } = saved;
        assert_eq!(header, &loaded.header);
        assert!((0.0..60.0).contains(&(clock.secs() - loaded.clock.secs())));
        assert_eq!(entries(parameters), entries(&loaded.parameters));
        let loaded_initial = entries(&loaded.initial_parameters);
        assert_eq!(entries(initial_parameters), loaded_initial);
        assert_eq!(entries(buffers), entries(&loaded.buffers));
        assert_eq!(*steps, loaded.optimiser.steps);
        assert_eq!(moments.len(), loaded.optimiser.moments.len());
        for (moment, loaded) in moments.iter().zip(&loaded.optimiser.moments) {
            assert_eq!(moment.name, loaded.name);
            assert_eq!(entries(&moment.tensor), entries(&loaded.tensor));
        }
        assert_eq!(clip, &loaded.clip);
        assert_eq!(kl_penalty, &loaded.kl_penalty);
        assert_eq!(adapted_rate, &loaded.adapted_rate);
        assert_eq!(guard, &loaded.guard);
        assert_eq!(monitor, &loaded.monitor);
        assert_eq!(observation, &loaded.observation);
        assert_eq!(returns, &loaded.returns);
        assert_eq!(curriculum, &loaded.curriculum);
        assert_eq!(hidden, &loaded.hidden);
        assert_eq!(environments, &loaded.environments);
    }

    #[test]
    fn a_saved_state_loads_as_it_was() {
        let mut config = RunConfig::default();
        (config.train.num_envs, config.train.horizon) = (8, 16);
        config.train.threads = 1;
        config.policy.spectral_norm = true;
        config.policy.memory = Some(RecurrentConfig::Rnn(RnnSpec {
            size: 6,
            ..RnnSpec::default()
        }));
        config.stability.clip = vec![ClipStage::ZClip(ZClip::default())];
        config.stability.normalise.returns = ReturnScaling::Percentile;
        config.train.kl_penalty = KlPenalty::Adaptive(AdaptiveKl::default());
        config.train.schedule = Schedule::AdaptiveKl(crate::optim::AdaptiveKl::default());
        let mut trainer = Trainer::new(&config, 3, TinyEnv::new(3, 8)).unwrap();
        for _ in 0..3 {
            trainer.iterate(&mut Fanout::new()).unwrap();
        }
        let mut state = trainer.state();
        state.header.best = Some((0.1, -0.7));
        state.header.last_capture = Some((4, Severity::Warning));
        state.header.diverged = Some(DivergedReport {
            global_step: 128,
            optimiser_step: 7,
            reason: DivergenceReason::ParameterNorm,
        });
        let curriculum = json!({"replayed": [3, 5], "stage": 2, "learnability": 0.21});
        state.curriculum = serde_json::from_value(curriculum).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("last");
        state.save(&folder).unwrap();
        let loaded = TrainState::load(&folder).unwrap();
        assert_same(&state, &loaded);
        assert_ne!(state.kl_penalty, KlPenaltyState::default());
        assert!(state.returns.has_statistics());
        assert!(state.buffers.numel() > 0 && state.hidden.iter().any(|&h| h != 0.0));
        // A resumed trainer has the same state again.
        let resumed = Trainer::resume(&config, &loaded, TinyEnv::new(3, 8)).unwrap();
        assert_same(&resumed.state(), &loaded);
    }
}
