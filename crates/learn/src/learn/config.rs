//! The settings of a run. Each is documented where it is declared, and its default is written in
//! one place.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AdvantageNormaliser, Curriculum, Device, FlightRecorderConfig, KlPenalty, Limit,
    StabilityConfig, Surrogate,
};
use crate::nn::{Activation, HiddenBlock, InputLayout, PolicyConfig};
use crate::optim::{Optimiser, Reset, Schedule, warmup_factor};
use evenkeel_sim::config::InvalidSetting;
use evenkeel_sim::env::{ObsLayout, thread_count};

/// All settings of a run: the tables `[train]`, `[policy]` and `[stability]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// How the policy is trained.
    pub train: TrainConfig,
    /// The networks of the policy.
    pub policy: PolicyConfig,
    /// What keeps training stable; the arms of a comparison differ here.
    pub stability: StabilityConfig,
}

/// How the policy is trained: PPO (Schulman et al. 2017, <https://arxiv.org/abs/1707.06347>) with
/// generalised advantages (Schulman et al. 2016, <https://arxiv.org/abs/1506.02438>).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Environment steps in total; the last rollout is completed.
    pub total_steps: u64,
    /// Environments stepped together, N. Unless it is set, a run of fewer than a million steps has fewer
    /// than the default: it is halved, down to 32, until the run has 30
    /// iterations of 64 steps. Where several robots share a world, each robot counts as
    /// one, and N must be a multiple of the robots of a world.
    pub num_envs: u32,
    /// Control steps of each environment in one rollout, T.
    pub horizon: u32,
    /// Control steps through which gradients flow back in time, L, for a policy with memory; 0:
    /// the whole rollout. A rollout is cut into sequences of this length, which must divide
    /// `horizon`, and a minibatch is made of whole sequences. It should be at least as long as the
    /// time over which the policy has to remember (truncated back-propagation through time,
    /// Williams & Peng 1990).
    pub bptt_steps: u32,
    /// Passes over each rollout.
    pub epochs: u32,
    /// Optimiser steps in each pass.
    pub minibatches: u32,
    /// Learning rate at the start.
    pub learning_rate: f64,
    /// How the learning rate changes over the run.
    pub schedule: Schedule,
    /// Share of the run over which the learning rate rises linearly from 0 to what the schedule
    /// says, one value for each iteration; 0: no warm-up. An adaptive schedule has none.
    pub warmup: f64,
    /// Which levels the policy is trained in.
    pub curriculum: Curriculum,
    /// The optimiser, which turns gradients into steps.
    pub optimiser: Optimiser,
    /// Discount of a reward one control step later, γ.
    pub gamma: f64,
    /// Weight of longer returns in an advantage, λ.
    pub gae_lambda: f64,
    /// What the objective makes of probability ratios and advantages.
    pub surrogate: Surrogate,
    /// How far the probability ratio may leave 1 before the objective stops rewarding it. `"off"`
    /// leaves the plain policy gradient, weighted by that ratio: with one epoch of one minibatch
    /// it is A2C (Mnih et al. 2016, <https://arxiv.org/abs/1602.01783>), and with a `gae_lambda` of
    /// 1 as well REINFORCE with a baseline (Williams 1992, <https://doi.org/10.1007/BF00992696>).
    pub ratio_clip: Limit,
    /// Penalty on the KL divergence from the policy that collected the rollout.
    pub kl_penalty: KlPenalty,
    /// How far a value may leave the rollout's before the value loss stops rewarding it, in units
    /// of the normalised return; `"off"`: no limit.
    pub value_clip: Limit,
    /// Weight of the entropy bonus.
    pub entropy_coef: f64,
    /// Weight of the value loss.
    pub value_coef: f64,
    /// Passes over a rollout end after one whose mean approximate KL divergence from the
    /// rollout's policy is above this; `"off"`: never.
    pub target_kl: Limit,
    /// Most iterations between two evaluations on the validation episodes, which choose the best
    /// checkpoint; 0: no evaluations. Early in a run, where it learns fastest, they are closer together: each
    /// comes after a quarter more iterations than the one before, that is after iterations 1 to
    /// 8, 10, 12, 15, 18, 22, …, so that the learning curve of a short run has enough points.
    /// There is always one at the end.
    pub eval_every: u32,
    /// Episodes in each of these evaluations.
    pub eval_episodes: u32,
    /// Iterations between two checkpoints `last`; one is always written at the end.
    pub checkpoint_every: u32,
    /// Iterations between two recordings of training itself, which go to the run's folder
    /// `recordings`; 0: none. Each holds the trajectory of environment 0 in its iteration, and the
    /// gradients of the iteration's optimiser steps. The result does not depend on it.
    pub record_every: u32,
    /// Threads that step environments and compute gradients; 0: one for each core. The result
    /// does not depend on it.
    pub threads: u32,
    /// Threads within one tensor operation. Unlike `threads`, it can change the last bits of a
    /// result; more than 1 pays for very wide networks only.
    pub torch_threads: u32,
    /// Where the networks are computed.
    pub device: Device,
}

impl TrainConfig {
    /// Whether the policy is evaluated after this iteration, counted from 1. This depends on
    /// `eval_every` alone: a run that is made longer keeps the same evaluations.
    pub fn evaluates_after(&self, iteration: u64) -> bool {
        let max_interval = u64::from(self.eval_every);
        let mut evaluated = 1;
        while max_interval > 0 && evaluated < iteration {
            let interval = (evaluated / 4).clamp(1, max_interval);
            if interval == max_interval {
                return (iteration - evaluated).is_multiple_of(max_interval);
            }
            evaluated += interval;
        }
        max_interval > 0 && evaluated == iteration
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            total_steps: 10_000_000,
            num_envs: 512,
            horizon: 64,
            bptt_steps: 0,
            epochs: 5,
            minibatches: 4,
            learning_rate: 1e-3,
            schedule: Schedule::Linear,
            warmup: 0.0,
            curriculum: Curriculum::Uniform,
            optimiser: Optimiser::default(),
            gamma: 0.995,
            gae_lambda: 0.95,
            surrogate: Surrogate::Clip,
            ratio_clip: Limit::At(0.2),
            kl_penalty: KlPenalty::Off,
            value_clip: Limit::Off,
            entropy_coef: 0.0,
            value_coef: 0.5,
            target_kl: Limit::Off,
            eval_every: 30,
            eval_episodes: 500,
            checkpoint_every: 25,
            record_every: 0,
            threads: 0,
            torch_threads: 1,
            device: Device::Cpu,
        }
    }
}

/// The settings that may change when a run is resumed.
pub(super) const CHANGEABLE_ON_RESUME: [&str; 7] = [
    "train.total_steps",
    "train.threads",
    "train.device",
    "train.eval_every",
    "train.eval_episodes",
    "train.checkpoint_every",
    "train.record_every",
];

/// Remedies: the settings that may change, besides [`CHANGEABLE_ON_RESUME`], when a run is forked
/// from an optimiser step.
pub const REMEDY_SETTINGS: [&str; 14] = [
    "stability.clip",
    "stability.decay",
    "stability.reset",
    "stability.guard",
    "train.optimiser",
    "train.learning_rate",
    "train.surrogate",
    "train.schedule",
    "train.warmup",
    "train.ratio_clip",
    "train.kl_penalty",
    "train.value_clip",
    "train.entropy_coef",
    "train.value_coef",
];

/// The largest rollout, environments × horizon. A larger one is taken for a mistake.
const MAX_ROLLOUT: u64 = 1 << 28;

impl From<&ObsLayout> for InputLayout {
    fn from(layout: &ObsLayout) -> Self {
        Self {
            len: layout.dim(),
            lidar: layout.block("lidar"),
        }
    }
}

impl RunConfig {
    /// Environment steps in one iteration.
    pub fn steps_per_iteration(&self) -> u64 {
        u64::from(self.train.num_envs) * u64::from(self.train.horizon)
    }

    /// Control steps of a sequence that gradients flow back through, L; 1 without a memory.
    pub fn sequence_length(&self) -> u32 {
        match (self.policy.memory, self.train.bptt_steps) {
            (None, _) => 1,
            (Some(_), 0) => self.train.horizon,
            (Some(_), steps) => steps,
        }
    }

    /// Learning rate of an iteration by the schedule; the guard may lower it. With an adaptive
    /// schedule, the rate at the start.
    pub fn scheduled_learning_rate(&self, iteration: u64) -> f64 {
        let (train, iterations) = (&self.train, self.iterations() as f64);
        let warmup = warmup_factor(train.warmup, (iteration + 1) as f64 / iterations);
        train.learning_rate * train.schedule.factor(iteration as f64 / iterations) * warmup
    }

    /// The state that an adaptive schedule starts with; `None` for other schedules.
    pub(super) fn initial_adapted_rate(&self) -> Option<f64> {
        let train = &self.train;
        train.schedule.is_adaptive().then_some(train.learning_rate)
    }

    /// Iterations in the whole run.
    pub fn iterations(&self) -> u64 {
        self.train.total_steps.div_ceil(self.steps_per_iteration())
    }

    /// Threads in use; the number of cores where `train.threads` is 0.
    pub fn threads(&self) -> usize {
        thread_count(self.train.threads as usize)
    }

    /// Refuses values that training cannot work with.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        self.check_counts()?;
        self.check_numbers()?;
        self.check_recorder()?;
        let stability = &self.stability;
        let under = |path: &str, checked: Result<(), InvalidSetting>| {
            checked.map_err(|bad| bad.under_path(path))
        };
        under("policy", self.policy.check())?;
        under("stability.health", stability.health.check())?;
        under("stability.guard", stability.guard.check())?;
        under("train.optimiser", self.train.optimiser.check())?;
        under("train.schedule", self.train.schedule.check())?;
        under("train.curriculum", self.train.curriculum.check())?;
        for (index, stage) in stability.clip.iter().enumerate() {
            under(&format!("stability.clip.{index}"), stage.check())?;
        }
        for (index, decay) in stability.decay.iter().enumerate() {
            under(&format!("stability.decay.{index}"), decay.check())?;
        }
        for (index, reset) in stability.reset.iter().enumerate() {
            let path = format!("stability.reset.{index}");
            under(&path, reset.check())?;
            let policy = &self.policy;
            let plain = !policy.residual
                && policy.block == HiddenBlock::Layer
                && policy.activation != Activation::Crelu;
            let fits = plain || !matches!(reset, Reset::DormantUnits(_));
            let expected = "left out where `policy.residual` is true, `policy.block` is \"simba\" or \
                            `policy.activation` is \"crelu\": a unit there has more than one way to \
                            the next layer, and cannot be cut off";
            let path = format!("{path}.{}", reset.name());
            InvalidSetting::ensure(fits, path, "set", expected)?;
        }
        self.check_objective()
    }

    /// Refuses a policy that cannot work with these observations.
    pub fn check_observations(&self, layout: &ObsLayout) -> Result<(), InvalidSetting> {
        let checked = self.policy.check_inputs(&layout.into());
        checked.map_err(|bad| bad.under_path("policy"))
    }

    fn check_counts(&self) -> Result<(), InvalidSetting> {
        let train = &self.train;
        for (name, value, min, max) in [
            ("total_steps", train.total_steps, 1, 1_000_000_000_000),
            ("num_envs", train.num_envs.into(), 1, 1_000_000),
            ("horizon", train.horizon.into(), 1, 100_000),
            ("epochs", train.epochs.into(), 1, 1000),
            (
                "minibatches",
                train.minibatches.into(),
                1,
                self.steps_per_iteration() / u64::from(self.sequence_length()).max(1),
            ),
            (
                "bptt_steps",
                train.bptt_steps.into(),
                0,
                train.horizon.into(),
            ),
            ("eval_episodes", train.eval_episodes.into(), 1, 1_000_000),
            (
                "checkpoint_every",
                train.checkpoint_every.into(),
                1,
                u64::from(u32::MAX),
            ),
            ("threads", train.threads.into(), 0, 1024),
            ("torch_threads", train.torch_threads.into(), 1, 1024),
        ] {
            require("train", name, &value, (min..=max).contains(&value), || {
                format!("a whole number from {min} to {max}")
            })?;
        }
        let divides = train.horizon.is_multiple_of(self.sequence_length());
        require("train", "bptt_steps", &train.bptt_steps, divides, || {
            format!("a divisor of `train.horizon`, {}", train.horizon)
        })?;
        let one_step = self.steps_per_iteration() == 1;
        let standardised = self.stability.normalise.advantage == AdvantageNormaliser::Standardise;
        require(
            "train",
            "num_envs",
            &train.num_envs,
            !(one_step && standardised),
            || {
                "at least 2 at a `train.horizon` of 1: the only advantage of such a rollout is \
                 standardised to 0, and the actor never learns (or set \
                 `stability.normalise.advantage` to \"off\")"
                    .into()
            },
        )?;
        let (envs, horizon) = (train.num_envs, u64::from(train.horizon));
        let fits = self.steps_per_iteration() <= MAX_ROLLOUT;
        require("train", "num_envs", &envs, fits, || {
            format!(
                "at most {} at a `train.horizon` of {horizon}: a rollout holds num_envs × horizon \
                 steps, {MAX_ROLLOUT} at most",
                MAX_ROLLOUT / horizon
            )
        })
    }

    fn check_numbers(&self) -> Result<(), InvalidSetting> {
        let train = &self.train;
        for (name, value) in [("gamma", train.gamma), ("gae_lambda", train.gae_lambda)] {
            require("train", name, &value, (0.0..=1.0).contains(&value), || {
                "from 0 to 1".into()
            })?;
        }
        let (warmup, adaptive) = (train.warmup, train.schedule.is_adaptive());
        let holds = warmup == 0.0 || (!adaptive && (0.0..=1.0).contains(&warmup));
        require("train", "warmup", &warmup, holds, || {
            if adaptive {
                "0 with the schedule `adaptive_kl`, which would raise the rate against it".into()
            } else {
                "from 0 to 1".into()
            }
        })?;
        for (name, value) in [
            ("learning_rate", Some(train.learning_rate)),
            ("ratio_clip", train.ratio_clip.get()),
            ("value_clip", train.value_clip.get()),
            ("target_kl", train.target_kl.get()),
        ] {
            let Some(value) = value else { continue };
            require(
                "train",
                name,
                &value,
                value.is_finite() && value > 0.0,
                || "finite and above 0".into(),
            )?;
        }
        for (name, value) in [
            ("entropy_coef", train.entropy_coef),
            ("value_coef", train.value_coef),
        ] {
            require(
                "train",
                name,
                &value,
                value.is_finite() && value >= 0.0,
                || "finite and at least 0".into(),
            )?;
        }
        Ok(())
    }

    fn check_recorder(&self) -> Result<(), InvalidSetting> {
        let FlightRecorderConfig {
            steps,
            max_incidents,
            max_megabytes,
        } = self.stability.recorder;
        for (name, value, range) in [
            ("steps", steps, 1..=64),
            ("max_incidents", max_incidents, 0..=1000),
            ("max_megabytes", max_megabytes, 1..=100_000),
        ] {
            let holds = range.contains(&value);
            require("stability.recorder", name, &value, holds, || {
                format!("a whole number from {} to {}", range.start(), range.end())
            })?;
        }
        Ok(())
    }
}

pub(super) fn require(
    table: &str,
    name: &str,
    value: &dyn std::fmt::Display,
    holds: bool,
    expected: impl FnOnce() -> String,
) -> Result<(), InvalidSetting> {
    if holds {
        return Ok(());
    }
    InvalidSetting::ensure(holds, format!("{table}.{name}"), value, expected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_survive_toml() {
        let config = RunConfig::default();
        config.check().unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<RunConfig>(&text).unwrap(), config);
        assert_eq!(toml::from_str::<RunConfig>("").unwrap(), config);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(toml::from_str::<RunConfig>("[train]\nlearning_rat = 1").is_err());
        assert!(toml::from_str::<RunConfig>("[stability.normalise]\nreward = 'off'").is_err());
        assert!(toml::from_str::<RunConfig>("[policy.head.gaussian]\nstd = 1").is_err());
    }

    #[test]
    fn invalid_settings_are_refused_by_name() {
        for (text, path) in [
            ("[train]\nnum_envs = 0", "train.num_envs"),
            (
                "[train]\nnum_envs = 1000000\nhorizon = 100000",
                "train.num_envs",
            ),
            ("[train]\nminibatches = 40000", "train.minibatches"),
            (
                "[train]\nnum_envs = 1\nhorizon = 1\nminibatches = 1",
                "train.num_envs",
            ),
            ("[train]\ngamma = 1.5", "train.gamma"),
            ("[train]\nlearning_rate = -1.0", "train.learning_rate"),
            ("[train]\ntarget_kl = 0.0", "train.target_kl"),
            ("[train]\nwarmup = 1.1", "train.warmup"),
            (
                "[train]\nwarmup = 0.1\nschedule = { adaptive_kl = {} }",
                "train.warmup",
            ),
            (
                "[train]\nschedule = { adaptive_kl = { target = 0.0 } }",
                "train.schedule.adaptive_kl.target",
            ),
            (
                "[train.optimiser.adam]\nbeta2 = 1.0",
                "train.optimiser.adam.beta2",
            ),
            ("[policy.actor]\nhidden = [64, 0]", "policy.actor.hidden.1"),
            ("[policy.init.normal]\nstd = nan", "policy.init.normal.std"),
            (
                "[policy.init.he_normal]\nactor_gain = -1.0",
                "policy.init.he_normal.actor_gain",
            ),
            (
                "[stability.recorder]\nsteps = 0",
                "stability.recorder.steps",
            ),
            (
                "[policy]\nresidual = true\n[stability]\nreset = [{ dormant_units = {} }]",
                "stability.reset.0.dormant_units",
            ),
            (
                "[stability]\nclip = [{ global_norm = { max = -0.5 } }]",
                "stability.clip.0.global_norm.max",
            ),
        ] {
            let error = toml::from_str::<RunConfig>(text)
                .unwrap()
                .check()
                .unwrap_err();
            assert_eq!(error.path, path);
            assert!(error.to_string().contains("must be"), "{error}");
        }
    }

    #[test]
    fn evaluations_are_dense_early_and_evenly_spaced_late() {
        let after = |eval_every: u32, until: u64| -> Vec<u64> {
            let train = TrainConfig {
                eval_every,
                ..TrainConfig::default()
            };
            (1..=until).filter(|&i| train.evaluates_after(i)).collect()
        };
        let early = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 27, 33];
        assert_eq!(after(25, 40), early);
        assert_eq!(after(1000, 40), early);
        // A quarter of 63 is less than 20, a quarter of 78 is not.
        assert_eq!(after(20, 140)[15..], [41, 51, 63, 78, 97, 117, 137]);
        assert_eq!(
            after(4, 31),
            [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 26, 30]
        );
        assert_eq!(after(1, 9), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(after(0, 100).is_empty());
        // The answer takes no time, however long the run.
        let forever = TrainConfig {
            eval_every: u32::MAX,
            ..TrainConfig::default()
        };
        assert!(!forever.evaluates_after(u64::MAX));
    }

    #[test]
    fn a_warmup_combines_with_every_schedule() {
        let mut config = RunConfig::default();
        config.train.total_steps = config.steps_per_iteration() * 8;
        config.train.warmup = 0.25;
        config.train.learning_rate = 0.5;
        let rates = |schedule: Schedule| {
            let mut config = config.clone();
            config.train.schedule = schedule;
            [0, 1, 4].map(|iteration| config.scheduled_learning_rate(iteration))
        };
        let close = |found: [f64; 3], expected: [f64; 3]| {
            let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
            assert!(apart.fold(0.0, f64::max) < 1e-12, "{found:?}");
        };
        // Half of the two iterations of warm-up, then the schedule alone.
        close(rates(Schedule::Constant), [0.25, 0.5, 0.5]);
        close(rates(Schedule::Linear), [0.25, 0.5 * 0.875, 0.25]);
        let eighth = 0.5 * (1.0 + (std::f64::consts::PI / 8.0).cos());
        close(rates(Schedule::Cosine), [0.25, 0.5 * eighth, 0.25]);
    }

    #[test]
    fn iterations_cover_the_budget() {
        let mut config = RunConfig::default();
        config.train.total_steps = config.steps_per_iteration() * 3 + 1;
        assert_eq!(config.iterations(), 4);
    }
}
