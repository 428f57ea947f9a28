//! A learned policy as a [`Controller`].

use std::path::Path;

use tch::{Device, Tensor};

use super::checkpoint::{SavedPolicy, load_return_normaliser};
use super::collect::actor_outputs;
use super::learner_pool::with_one_torch_thread;
use super::normaliser::Normaliser;
use super::trajectory::prediction;
use super::{ReturnNormaliser, SavedStateError, TrainState, TrainStateHeader};
use crate::nn::{ActionDistribution, Policy, Weights, entries};
use evenkeel_sim::env::{Controller, ObsLayout, PolicyPrediction};
use evenkeel_sim::seed::{Purpose, Rng, RootSeed, Split, stream};

/// Rows computed together. Every computation has exactly this many rows, unused ones included, so
/// that an action does not depend on how many others are computed with it.
const ROWS: usize = 64;

/// A learned policy as a controller. Its weights and its normalisers do not change.
#[derive(Debug)]
pub struct PolicyController {
    policy: Policy,
    weights: Weights,
    distribution: ActionDistribution,
    normaliser: Normaliser,
    /// Normalises the critic's values, where it is known.
    returns: Option<ReturnNormaliser>,
    obs_layout: ObsLayout,
    noise: Option<ActionNoise>,
    input: Vec<f32>,
    /// Hidden state of each environment, `[envs, state]`.
    hidden: Vec<f32>,
}

/// Noise of a stochastic policy: a random stream for each episode.
#[derive(Debug)]
struct ActionNoise {
    seed: RootSeed,
    split: Split,
    rollout: u64,
    rngs: Vec<Option<Rng>>,
}

impl PolicyController {
    /// The policy of a checkpoint's folder, deterministic: its actions are the mean of their
    /// distribution.
    pub fn load(folder: &Path) -> Result<Self, SavedStateError> {
        let saved = SavedPolicy::load(folder)?;
        let kind = saved.header.config.stability.normalise.returns;
        Ok(Self {
            returns: load_return_normaliser(folder, kind),
            ..Self::new(&saved)
        })
    }

    /// The policy of a checkpoint, deterministic.
    pub fn new(saved: &SavedPolicy) -> Self {
        let kind = saved.header.config.stability.normalise.observation;
        Self::assemble(
            &saved.header,
            &Tensor::from_slice(&saved.parameters),
            &Tensor::from_slice(&saved.buffers),
            Normaliser::new(kind, saved.observation.clone()),
            None,
        )
    }

    /// The policy of a run that is being trained, deterministic.
    pub(super) fn of_state(state: &TrainState) -> Self {
        Self::assemble(
            &state.header,
            &state.parameters.to_device(Device::Cpu),
            &state.buffers.to_device(Device::Cpu),
            state.observation.clone(),
            Some(state.returns.clone()),
        )
    }

    fn assemble(
        header: &TrainStateHeader,
        parameters: &Tensor,
        buffers: &Tensor,
        normaliser: Normaliser,
        returns: Option<ReturnNormaliser>,
    ) -> Self {
        let policy = header.policy();
        let weights = policy.weights(parameters, buffers);
        Self {
            input: vec![0.0; ROWS * policy.obs_dim()],
            obs_layout: header.obs_layout(),
            distribution: policy.distribution(&weights),
            policy,
            weights,
            normaliser,
            returns,
            noise: None,
            hidden: Vec::new(),
        }
    }

    /// Samples actions from their distribution instead. The noise of an episode comes from the
    /// stream (seed, split, rollout, episode, action): it is the same in whichever environment the
    /// episode is played.
    #[must_use]
    pub fn stochastic(mut self, seed: RootSeed, split: Split) -> Self {
        self.noise = Some(ActionNoise {
            seed,
            split,
            rollout: 0,
            rngs: Vec::new(),
        });
        self
    }

    /// Layout of the observations that it was trained on.
    pub fn obs_layout(&self) -> &ObsLayout {
        &self.obs_layout
    }

    /// Length of an action.
    pub fn action_dim(&self) -> usize {
        self.policy.action_dim()
    }

    /// Input of the networks for up to [`ROWS`] raw observations: normalised observations, `[ROWS,
    /// obs]`, and hidden states of their environments, `[ROWS, state]`, flat.
    fn inputs(&mut self, envs: &[usize], observations: &[f32]) -> (Tensor, Vec<f32>) {
        let obs = self.policy.obs_dim();
        self.input[observations.len()..].fill(0.0);
        for (raw, out) in observations
            .chunks_exact(obs)
            .zip(self.input.chunks_exact_mut(obs))
        {
            self.normaliser.normalise_observation(raw, out);
        }
        let state = self.policy.state_len();
        let mut hidden = vec![0.0; ROWS * state];
        let of = |env: usize| env * state..(env + 1) * state;
        for (row, &env) in envs.iter().enumerate() {
            hidden[of(row)].copy_from_slice(&self.hidden[of(env)]);
        }
        let input = Tensor::from_slice(&self.input).view([ROWS as i64, obs as i64]);
        (input, hidden)
    }

    /// Outputs of the actor for up to [`ROWS`] raw observations, `[ROWS, outputs]`.
    fn actor_outputs(&mut self, envs: &[usize], observations: &[f32]) -> Vec<f32> {
        let (input, mut hidden) = self.inputs(envs, observations);
        let mut outputs = vec![0.0f32; ROWS * self.distribution.outputs()];
        let state = self.policy.state_len();
        let mut values = [0.0; ROWS];
        let of = |env: usize| env * state..(env + 1) * state;
        let memory = (state > 0).then_some((hidden.as_mut_slice(), values.as_mut_slice()));
        with_one_torch_thread(|| {
            actor_outputs(&self.policy, &self.weights, &input, memory, &mut outputs);
        });
        for (row, &env) in envs.iter().enumerate() {
            self.hidden[of(env)].copy_from_slice(&hidden[of(row)]);
        }
        outputs
    }
}

impl Controller for PolicyController {
    fn begin_episode(&mut self, env: usize, episode: u64) {
        let state = self.policy.state_len();
        if self.hidden.len() < (env + 1) * state {
            self.hidden.resize((env + 1) * state, 0.0);
        }
        self.hidden[env * state..(env + 1) * state].fill(0.0);
        if let Some(noise) = &mut self.noise {
            if noise.rngs.len() <= env {
                noise.rngs.resize(env + 1, None);
            }
            let rng = stream(
                noise.seed,
                noise.split,
                noise.rollout,
                episode,
                Purpose::Action,
            );
            noise.rngs[env] = Some(rng);
        }
    }

    fn act(&mut self, envs: &[usize], observations: &[f32], actions: &mut [f32]) {
        let (obs, act) = (self.policy.obs_dim(), self.policy.action_dim());
        let parts = observations
            .chunks(ROWS * obs)
            .zip(envs.chunks(ROWS))
            .zip(actions.chunks_mut(ROWS * act));
        for ((observations, envs), actions) in parts {
            let outputs = self.actor_outputs(envs, observations);
            let outputs = outputs.chunks_exact(self.distribution.outputs());
            for ((action, outputs), &env) in actions.chunks_exact_mut(act).zip(outputs).zip(envs) {
                let Some(noise) = &mut self.noise else {
                    self.distribution.mean(outputs, action);
                    continue;
                };
                let rng = noise.rngs.get_mut(env).and_then(Option::as_mut);
                let rng = rng.expect("`begin_episode` comes before `act`");
                self.distribution.sample(rng, outputs, action);
            }
        }
        for action in actions {
            *action = self.policy.head().action(*action);
        }
    }

    fn predict(&mut self, envs: &[usize], observations: &[f32]) -> Vec<PolicyPrediction> {
        let obs = self.policy.obs_dim();
        let mut predictions = Vec::with_capacity(envs.len());
        let parts = observations.chunks(ROWS * obs).zip(envs.chunks(ROWS));
        for (observations, envs) in parts {
            let (input, hidden) = self.inputs(envs, observations);
            let (policy, weights) = (&self.policy, &self.weights);
            let (actor, value) = with_one_torch_thread(|| {
                tch::no_grad(|| {
                    if hidden.is_empty() {
                        let actor = policy.actor_outputs(weights, &input);
                        return (actor, policy.value(weights, &input));
                    }
                    let hidden = Tensor::from_slice(&hidden).view([ROWS as i64, -1]);
                    let output = policy.act(weights, &input, hidden);
                    (output.actor, output.value)
                })
            });
            let (outputs, values) = (entries(&actor), entries(&value));
            let returns = self.returns.as_ref();
            let rows = outputs.chunks_exact(self.distribution.outputs());
            predictions.extend(rows.zip(values).take(envs.len()).map(|(outputs, value)| {
                let value = returns.map_or(f32::NAN, |returns| returns.denormalise(value));
                prediction(&self.distribution, outputs, value)
            }));
        }
        predictions
    }

    fn is_stochastic(&self) -> bool {
        self.noise.is_some()
    }

    fn set_rollout(&mut self, rollout: u64) {
        if let Some(noise) = &mut self.noise {
            noise.rollout = rollout;
        }
    }
}
