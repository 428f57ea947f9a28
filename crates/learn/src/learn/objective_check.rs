//! Checks of settings of the objective that have to fit one another.

use super::config::require;
use super::{AdvantageNormaliser, RunConfig, Surrogate};
use crate::nn::CriticHead;
use evenkeel_sim::config::InvalidSetting;

impl RunConfig {
    /// Refuses settings of the objective that training cannot work with.
    pub(super) fn check_objective(&self) -> Result<(), InvalidSetting> {
        let train = &self.train;
        let checked = train.kl_penalty.check();
        checked.map_err(|bad| bad.under_path("train.kl_penalty"))?;
        let limited = train.surrogate != Surrogate::Spo || train.ratio_clip.get().is_some();
        require("train", "ratio_clip", &"off", limited, || {
            "a number where `train.surrogate` is \"spo\"".into()
        })?;
        let per_minibatch = self.steps_per_iteration() / u64::from(train.minibatches);
        let by_minibatch = self.stability.normalise.advantage == AdvantageNormaliser::Minibatch;
        let fits = per_minibatch > 1 || !by_minibatch;
        require("train", "minibatches", &train.minibatches, fits, || {
            "at most half the rollout where advantages are standardised over a minibatch".into()
        })?;
        self.check_categorical_critic()
    }

    /// Refuses settings that a categorical critic cannot work with.
    fn check_categorical_critic(&self) -> Result<(), InvalidSetting> {
        if self.policy.critic_head == CriticHead::Scalar {
            return Ok(());
        }
        if let Some(clip) = self.train.value_clip.get() {
            require("train", "value_clip", &clip, false, || {
                "\"off\" where `policy.critic_head` is not \"scalar\"".into()
            })?;
        }
        let returns = self.stability.normalise.returns;
        let moving = returns.moving_statistics();
        let (name, fixed) = (moving.unwrap_or_default(), moving.is_none());
        require("stability.normalise", "return", &name, fixed, || {
            "\"symlog\" or \"off\" where `policy.critic_head` is not \"scalar\"".into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_do_not_fit_are_refused_by_name() {
        for (text, path) in [
            (
                "[train]\nsurrogate = 'spo'\nratio_clip = 'off'",
                "train.ratio_clip",
            ),
            (
                "[train.kl_penalty.adaptive]\ntarget = 0.0",
                "train.kl_penalty.adaptive.target",
            ),
            (
                "[train]\nnum_envs = 4\nhorizon = 1\n[stability.normalise]\nadvantage = 'minibatch'",
                "train.minibatches",
            ),
            (
                "[policy]\ncritic_head = { hl_gauss = {} }",
                "stability.normalise.return",
            ),
            (
                "[train]\nvalue_clip = 0.2\n[policy]\ncritic_head = { hl_gauss = {} }",
                "train.value_clip",
            ),
            (
                "[policy]\ncritic_head = { hl_gauss = { bins = 1 } }",
                "policy.critic_head.hl_gauss.bins",
            ),
            ("[policy]\nblock = 'simba'\nnorm = 'layer'", "policy.norm"),
            (
                "[policy]\nblock = 'simba'\nactor = { hidden = [64, 32] }",
                "policy.actor.hidden",
            ),
            (
                "[policy]\nspectral_norm = true\nnorm = 'sphere'",
                "policy.spectral_norm",
            ),
        ] {
            let config: RunConfig = toml::from_str(text).unwrap();
            let error = config.check().unwrap_err();
            assert_eq!(error.path, path);
            assert!(error.to_string().contains("must be"), "{error}");
        }
    }
}
