//! The update guard. It decides before each optimiser step, from measurements of the gradient,
//! whether to apply it. It must not act on its decision.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{ABOVE_ONE, COUNT, SHARE, ZCLIP_DECAY, ZCLIP_WARM_UP_STEPS, check_settings};
use crate::stats::MovingMoments;
use crate::telemetry::{DivergenceReason, GuardAction, GuardFault};
use evenkeel_sim::config::InvalidSetting;

/// When the guard refuses an optimiser step, and what happens then.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GuardConfig {
    /// What happens to a refused step.
    pub action: GuardMode,
    /// Refuses a step whose gradient norm, before any clip, exceeds this multiple of the moving
    /// geometric mean of the applied steps before it. The mean covers about 33 steps; the check
    /// starts after 25. If missing, only steps that would make the run diverge are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm_factor: Option<f64>,
    /// Ends the run after this many consecutive refused steps, or after this many rollbacks in
    /// total.
    pub patience: u32,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            action: GuardMode::default(),
            norm_factor: None,
            patience: 10,
        }
    }
}

/// What happens to a refused optimiser step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GuardMode {
    /// The step is applied, and only the fault is logged. Training continues while the numbers are
    /// finite.
    Off,
    /// The run ends with the weights from before the step.
    #[default]
    Halt,
    /// The step is skipped; weights and optimiser state stay unchanged.
    Skip,
    /// Weights, optimiser state and normalisers are restored to the last healthy snapshot, which is
    /// from before the first step of the iteration. The rest of the iteration is skipped, and the
    /// learning rate is lowered.
    Rollback(Rollback),
}

/// How training continues after a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rollback {
    /// Factor on the learning rate at each rollback, for the rest of the run.
    pub learning_rate_factor: f64,
}

impl Default for Rollback {
    fn default() -> Self {
        Self {
            learning_rate_factor: 0.5,
        }
    }
}

/// Measurements of an optimiser step before it is applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProposedUpdate {
    /// Why the run would diverge with this step; `None` if it would not.
    pub divergence: Option<DivergenceReason>,
    /// Global norm of the gradient before any clip.
    pub grad_norm: Option<f64>,
}

/// The guard's decision about one optimiser step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardDecision {
    /// What is wrong with the step. Also set in [`GuardMode::Off`], for the log.
    pub fault: Option<GuardFault>,
    /// What to do.
    pub action: GuardAction,
    /// Number of consecutive steps with a fault, including this one.
    pub consecutive_faults: u32,
}

/// The update guard of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateGuard {
    config: GuardConfig,
    state: GuardState,
}

/// The state of a guard. A checkpoint saves it, but a rollback does not restore it; otherwise
/// rollbacks would repeat forever.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardState {
    /// Moving moments of the log gradient norms of applied steps.
    level: MovingMoments,
    /// Number of consecutive steps with a fault.
    consecutive_faults: u32,
    /// Number of rollbacks so far.
    rollbacks: u32,
    /// Factor on the configured learning rate.
    learning_rate_scale: f64,
}

impl Default for GuardState {
    fn default() -> Self {
        Self {
            level: MovingMoments::default(),
            consecutive_faults: 0,
            rollbacks: 0,
            learning_rate_scale: 1.0,
        }
    }
}

impl GuardState {
    /// Factor on the configured learning rate: the product over all rollbacks so far.
    pub fn learning_rate_scale(&self) -> f64 {
        self.learning_rate_scale
    }
}

impl GuardConfig {
    /// Checks the ranges of all settings.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let norm_factor = self.norm_factor.map(|f| ("norm_factor", f, ABOVE_ONE));
        let learning_rate_factor = match self.action {
            GuardMode::Rollback(rollback) => Some((
                "action.rollback.learning_rate_factor",
                rollback.learning_rate_factor,
                SHARE,
            )),
            GuardMode::Off | GuardMode::Halt | GuardMode::Skip => None,
        };
        let patience = ("patience", f64::from(self.patience), COUNT);
        let settings: Vec<_> = [Some(patience), norm_factor, learning_rate_factor]
            .into_iter()
            .flatten()
            .collect();
        check_settings(&settings)
    }
}

impl UpdateGuard {
    /// Creates a guard for a new run.
    pub fn new(config: GuardConfig) -> Self {
        Self::resume(config, GuardState::default())
    }

    /// Creates a guard from a saved state.
    pub fn resume(config: GuardConfig, state: GuardState) -> Self {
        Self { config, state }
    }

    /// The state to save.
    pub fn state(&self) -> &GuardState {
        &self.state
    }

    /// Factor on the configured learning rate: the product over all rollbacks so far.
    pub fn learning_rate_scale(&self) -> f64 {
        self.state.learning_rate_scale()
    }

    /// Decides about an optimiser step. Steps must be in order, including refused ones.
    pub fn decide(&mut self, update: &ProposedUpdate) -> GuardDecision {
        let fault = self.fault(update);
        self.state.consecutive_faults =
            fault.map_or(0, |_| self.state.consecutive_faults.saturating_add(1));
        let action = match (fault, self.config.action) {
            (None, _) | (Some(_), GuardMode::Off) => GuardAction::Proceed,
            (Some(_), GuardMode::Skip) if self.state.consecutive_faults < self.config.patience => {
                GuardAction::Skip
            }
            (Some(_), GuardMode::Halt | GuardMode::Skip) => GuardAction::Halt,
            (Some(_), GuardMode::Rollback(_)) if self.state.rollbacks >= self.config.patience => {
                GuardAction::Halt
            }
            (Some(_), GuardMode::Rollback(rollback)) => {
                self.state.rollbacks += 1;
                self.state.learning_rate_scale *= rollback.learning_rate_factor;
                GuardAction::Rollback {
                    learning_rate_scale: self.state.learning_rate_scale,
                }
            }
        };
        if let Some(norm) = update.grad_norm.filter(|norm| norm.is_finite())
            && action == GuardAction::Proceed
        {
            let norm = norm.max(f64::MIN_POSITIVE);
            self.state.level.push(norm.ln(), ZCLIP_DECAY);
        }
        GuardDecision {
            fault,
            action,
            consecutive_faults: self.state.consecutive_faults,
        }
    }

    fn fault(&self, update: &ProposedUpdate) -> Option<GuardFault> {
        if let Some(reason) = update.divergence {
            return Some(GuardFault::WouldDiverge(reason));
        }
        let norm = update.grad_norm?;
        if !norm.is_finite() {
            return Some(GuardFault::WouldDiverge(
                DivergenceReason::NonFiniteGradient,
            ));
        }
        let factor = self.config.norm_factor?;
        let level = &self.state.level;
        let threshold = (level.mean() + factor.ln()).exp();
        let exceeds = level.count() >= u64::from(ZCLIP_WARM_UP_STEPS) && norm > threshold;
        exceeds.then_some(GuardFault::GradNorm {
            grad_norm: norm,
            threshold,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIVERGING: ProposedUpdate = ProposedUpdate {
        divergence: Some(DivergenceReason::NonFiniteLoss),
        grad_norm: None,
    };

    fn with_norm(norm: f64) -> ProposedUpdate {
        ProposedUpdate {
            divergence: None,
            grad_norm: Some(norm),
        }
    }

    fn warmed_up_guard(action: GuardMode) -> UpdateGuard {
        let mut guard = UpdateGuard::new(GuardConfig {
            action,
            norm_factor: Some(10.0),
            patience: 3,
        });
        for _ in 0..30 {
            assert_eq!(guard.decide(&with_norm(2.0)).action, GuardAction::Proceed);
        }
        guard
    }

    fn actions(guard: &mut UpdateGuard, updates: &[ProposedUpdate]) -> Vec<GuardAction> {
        updates
            .iter()
            .map(|update| guard.decide(update).action)
            .collect()
    }

    #[test]
    fn each_mode_acts_as_documented() {
        use GuardAction::{Halt, Proceed, Skip};
        let steps = [with_norm(3.0), DIVERGING, with_norm(2.0)];
        assert_eq!(
            actions(&mut warmed_up_guard(GuardMode::Off), &steps),
            [Proceed; 3]
        );
        assert_eq!(
            actions(&mut warmed_up_guard(GuardMode::Halt), &steps),
            [Proceed, Halt, Proceed]
        );
        assert_eq!(
            actions(&mut warmed_up_guard(GuardMode::Skip), &steps),
            [Proceed, Skip, Proceed]
        );
        assert_eq!(
            actions(
                &mut warmed_up_guard(GuardMode::Rollback(Rollback::default())),
                &steps
            ),
            [
                Proceed,
                GuardAction::Rollback {
                    learning_rate_scale: 0.5
                },
                Proceed
            ]
        );
    }

    #[test]
    fn a_fault_is_reported_in_every_mode() {
        for mode in [GuardMode::Off, GuardMode::Halt, GuardMode::Skip] {
            let mut guard = warmed_up_guard(mode);
            let fault = guard.decide(&DIVERGING).fault;
            assert_eq!(
                fault,
                Some(GuardFault::WouldDiverge(DivergenceReason::NonFiniteLoss))
            );
            let Some(GuardFault::GradNorm {
                grad_norm,
                threshold,
            }) = guard.decide(&with_norm(21.0)).fault
            else {
                panic!("21 is more than ten times 2")
            };
            assert!(grad_norm > threshold && (threshold - 20.0).abs() < 1e-9);
            assert_eq!(
                guard.decide(&with_norm(f64::NAN)).fault,
                Some(GuardFault::WouldDiverge(
                    DivergenceReason::NonFiniteGradient
                ))
            );
        }
    }

    #[test]
    fn a_norm_is_refused_only_with_a_norm_factor_and_after_the_warm_up() {
        let mut without_factor = UpdateGuard::new(GuardConfig::default());
        for _ in 0..30 {
            without_factor.decide(&with_norm(1.0));
        }
        assert_eq!(without_factor.decide(&with_norm(1e9)).fault, None);
        let mut warming_up = UpdateGuard::new(GuardConfig {
            norm_factor: Some(10.0),
            ..GuardConfig::default()
        });
        for _ in 0..24 {
            warming_up.decide(&with_norm(1.0));
        }
        assert_eq!(warming_up.decide(&with_norm(1e9)).fault, None);
    }

    #[test]
    fn a_refused_norm_does_not_change_the_level() {
        let mut guard = warmed_up_guard(GuardMode::Skip);
        let before = *guard.state();
        guard.decide(&with_norm(1e6));
        assert_eq!(guard.state().level, before.level);
    }

    #[test]
    fn the_guard_halts_when_its_patience_ends() {
        use GuardAction::{Halt, Proceed, Skip};
        let mut skipping = warmed_up_guard(GuardMode::Skip);
        assert_eq!(
            actions(&mut skipping, &[DIVERGING, DIVERGING, with_norm(2.0)]),
            [Skip, Skip, Proceed]
        );
        assert_eq!(actions(&mut skipping, &[DIVERGING; 3]), [Skip, Skip, Halt]);
        let mut rolling_back = warmed_up_guard(GuardMode::Rollback(Rollback::default()));
        let mut last = Proceed;
        for _ in 0..3 {
            last = rolling_back.decide(&DIVERGING).action;
            rolling_back.decide(&with_norm(2.0));
        }
        assert_eq!(
            last,
            GuardAction::Rollback {
                learning_rate_scale: 0.125
            }
        );
        assert_eq!(rolling_back.decide(&DIVERGING).action, Halt);
        assert!((rolling_back.learning_rate_scale() - 0.125).abs() < 1e-12);
    }

    #[test]
    fn a_resumed_guard_makes_the_same_decisions() {
        let mut original = warmed_up_guard(GuardMode::Rollback(Rollback::default()));
        original.decide(&DIVERGING);
        let saved = serde_json::to_string(original.state()).unwrap();
        let state = serde_json::from_str(&saved).unwrap();
        let mut resumed = UpdateGuard::resume(original.config, state);
        for update in [with_norm(19.0), with_norm(25.0), DIVERGING, with_norm(1.0)] {
            assert_eq!(original.decide(&update), resumed.decide(&update));
        }
        assert_eq!(original.state(), resumed.state());
    }

    #[test]
    fn settings_are_parsed_and_checked() {
        let text = "norm_factor = 30.0\naction = { rollback = { learning_rate_factor = 0.1 } }";
        let config: GuardConfig = toml::from_str(text).unwrap();
        assert_eq!(
            config.action,
            GuardMode::Rollback(Rollback {
                learning_rate_factor: 0.1
            })
        );
        config.check().unwrap();
        assert_eq!(
            toml::from_str::<GuardConfig>("").unwrap(),
            GuardConfig::default()
        );
        assert_eq!(
            toml::from_str::<GuardConfig>("action = 'skip'")
                .unwrap()
                .action,
            GuardMode::Skip
        );
        for (text, path) in [
            ("norm_factor = 1.0", "norm_factor"),
            ("patience = 0", "patience"),
            (
                "action = { rollback = { learning_rate_factor = 2.0 } }",
                "action.rollback.learning_rate_factor",
            ),
        ] {
            let config: GuardConfig = toml::from_str(text).unwrap();
            assert_eq!(config.check().unwrap_err().path, path);
        }
    }
}
