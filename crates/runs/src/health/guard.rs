//! The guard before each optimiser step: what was measured of the gradient in, what to do about it
//! out. It decides and does nothing itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{ABOVE_ONE, COUNT, SHARE, ZCLIP_DECAY, ZCLIP_WARM_UP_STEPS, check_settings};
use crate::stats::MovingMoments;
use crate::telemetry::{DivergenceReason, GuardAction, GuardFault};
use evenkeel_sim::config::InvalidSetting;

/// When an optimiser step is refused, and what happens then.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GuardConfig {
    /// What is done about a step that is refused.
    pub action: GuardMode,
    /// Refuses a step whose gradient norm, before any clip, is more than this many times the
    /// moving geometric mean of those taken before it (some 33 of them, and from the 26th on);
    /// absent: only a step by which the run would diverge is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm_factor: Option<f64>,
    /// Ends the run after as many refused steps in a row, or as many rollbacks in all: what is
    /// refused again and again does not get better by itself.
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

/// What is done about an optimiser step that is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GuardMode {
    /// Nothing: the fault is recorded, and training goes on for as long as the numbers are finite.
    Off,
    /// The run ends with the weights from before the step.
    #[default]
    Halt,
    /// The step is left out; weights and optimiser stay as they are.
    Skip,
    /// Weights, optimiser and normalisers go back to the last healthy snapshot, which is from
    /// before the first step of the iteration; the rest of the iteration is left out, and the
    /// learning rate is lowered.
    Rollback(Rollback),
}

/// How training goes on after going back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rollback {
    /// What the learning rate is multiplied by at each rollback, for the rest of the run.
    pub learning_rate_factor: f64,
}

impl Default for Rollback {
    fn default() -> Self {
        Self {
            learning_rate_factor: 0.5,
        }
    }
}

/// What is known of a step before it is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProposedUpdate {
    /// By what the run would have diverged if it were taken.
    pub divergence: Option<DivergenceReason>,
    /// Global norm of the gradient before any clip.
    pub grad_norm: Option<f64>,
}

/// What the guard decided about one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardDecision {
    /// What is wrong with the step. It is there under [`GuardMode::Off`] too, to be recorded.
    pub fault: Option<GuardFault>,
    /// What is to be done.
    pub action: GuardAction,
    /// Steps with a fault in a row, this one included.
    pub consecutive_faults: u32,
}

/// Guards one run.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateGuard {
    config: GuardConfig,
    state: GuardState,
}

/// All that a guard remembers: saved with a checkpoint, but not part of the snapshot that a
/// rollback goes back to, or it would roll back for ever.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardState {
    /// Logarithms of the norms of the steps that were not refused.
    level: MovingMoments,
    /// Steps with a fault in a row.
    consecutive_faults: u32,
    /// Rollbacks in all.
    rollbacks: u32,
    /// What the learning rate is multiplied by.
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
    /// What the configured learning rate is to be multiplied by, after all rollbacks so far.
    pub fn learning_rate_scale(&self) -> f64 {
        self.learning_rate_scale
    }
}

impl GuardConfig {
    /// Refuses what the types allow and a guard cannot work with.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let factor = self.norm_factor.map(|f| ("norm_factor", f, ABOVE_ONE));
        let lowers = match self.action {
            GuardMode::Rollback(rollback) => Some((
                "action.rollback.learning_rate_factor",
                rollback.learning_rate_factor,
                SHARE,
            )),
            GuardMode::Off | GuardMode::Halt | GuardMode::Skip => None,
        };
        let patience = ("patience", f64::from(self.patience), COUNT);
        let settings: Vec<_> = [Some(patience), factor, lowers]
            .into_iter()
            .flatten()
            .collect();
        check_settings(&settings)
    }
}

impl UpdateGuard {
    /// A guard before its first step.
    pub fn new(config: GuardConfig) -> Self {
        Self::resume(config, GuardState::default())
    }

    /// A guard that goes on where another was saved.
    pub fn resume(config: GuardConfig, state: GuardState) -> Self {
        Self { config, state }
    }

    /// All that the next decision reads.
    pub fn state(&self) -> &GuardState {
        &self.state
    }

    /// What the configured learning rate is to be multiplied by, after all rollbacks so far.
    pub fn learning_rate_scale(&self) -> f64 {
        self.state.learning_rate_scale()
    }

    /// Decides about a step. Steps come in order, those that were refused included.
    pub fn decide(&mut self, step: &ProposedUpdate) -> GuardDecision {
        let fault = self.fault(step);
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
        if let Some(norm) = step.grad_norm.filter(|norm| norm.is_finite())
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

    fn fault(&self, step: &ProposedUpdate) -> Option<GuardFault> {
        if let Some(reason) = step.divergence {
            return Some(GuardFault::WouldDiverge(reason));
        }
        let norm = step.grad_norm?;
        if !norm.is_finite() {
            return Some(GuardFault::WouldDiverge(
                DivergenceReason::NonFiniteGradient,
            ));
        }
        let factor = self.config.norm_factor?;
        let level = &self.state.level;
        let threshold = (level.mean() + factor.ln()).exp();
        let beyond = level.count() >= u64::from(ZCLIP_WARM_UP_STEPS) && norm > threshold;
        beyond.then_some(GuardFault::GradNorm {
            grad_norm: norm,
            threshold,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROKEN: ProposedUpdate = ProposedUpdate {
        divergence: Some(DivergenceReason::NonFiniteLoss),
        grad_norm: None,
    };

    fn norm(norm: f64) -> ProposedUpdate {
        ProposedUpdate {
            divergence: None,
            grad_norm: Some(norm),
        }
    }

    fn update_guard(action: GuardMode) -> UpdateGuard {
        let mut update_guard = UpdateGuard::new(GuardConfig {
            action,
            norm_factor: Some(10.0),
            patience: 3,
        });
        for _ in 0..30 {
            assert_eq!(update_guard.decide(&norm(2.0)).action, GuardAction::Proceed);
        }
        update_guard
    }

    fn actions(update_guard: &mut UpdateGuard, steps: &[ProposedUpdate]) -> Vec<GuardAction> {
        steps
            .iter()
            .map(|step| update_guard.decide(step).action)
            .collect()
    }

    #[test]
    fn each_guard_does_what_it_says() {
        use GuardAction::{Halt, Proceed, Skip};
        let steps = [norm(3.0), BROKEN, norm(2.0)];
        assert_eq!(
            actions(&mut update_guard(GuardMode::Off), &steps),
            [Proceed; 3]
        );
        assert_eq!(
            actions(&mut update_guard(GuardMode::Halt), &steps),
            [Proceed, Halt, Proceed]
        );
        assert_eq!(
            actions(&mut update_guard(GuardMode::Skip), &steps),
            [Proceed, Skip, Proceed]
        );
        assert_eq!(
            actions(
                &mut update_guard(GuardMode::Rollback(Rollback::default())),
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
    fn a_fault_is_named_under_every_guard() {
        for guard in [GuardMode::Off, GuardMode::Halt, GuardMode::Skip] {
            let mut update_guard = update_guard(guard);
            let fault = update_guard.decide(&BROKEN).fault;
            assert_eq!(
                fault,
                Some(GuardFault::WouldDiverge(DivergenceReason::NonFiniteLoss))
            );
            let Some(GuardFault::GradNorm {
                grad_norm: norm,
                threshold,
            }) = update_guard.decide(&norm(21.0)).fault
            else {
                panic!("21 is more than ten times 2")
            };
            assert!(norm > threshold && (threshold - 20.0).abs() < 1e-9);
            assert_eq!(
                update_guard.decide(&self::norm(f64::NAN)).fault,
                Some(GuardFault::WouldDiverge(
                    DivergenceReason::NonFiniteGradient
                ))
            );
        }
    }

    #[test]
    fn a_norm_is_refused_only_where_asked_and_after_the_warm_up() {
        let mut unasked = UpdateGuard::new(GuardConfig::default());
        for _ in 0..30 {
            unasked.decide(&norm(1.0));
        }
        assert_eq!(unasked.decide(&norm(1e9)).fault, None);
        let mut young = UpdateGuard::new(GuardConfig {
            norm_factor: Some(10.0),
            ..GuardConfig::default()
        });
        for _ in 0..24 {
            young.decide(&norm(1.0));
        }
        assert_eq!(young.decide(&norm(1e9)).fault, None);
    }

    #[test]
    fn what_is_refused_does_not_become_usual() {
        let mut update_guard = update_guard(GuardMode::Skip);
        let before = *update_guard.state();
        update_guard.decide(&norm(1e6));
        assert_eq!(update_guard.state().level, before.level);
    }

    #[test]
    fn patience_ends() {
        use GuardAction::{Halt, Proceed, Skip};
        let mut skips = update_guard(GuardMode::Skip);
        assert_eq!(
            actions(&mut skips, &[BROKEN, BROKEN, norm(2.0)]),
            [Skip, Skip, Proceed]
        );
        assert_eq!(actions(&mut skips, &[BROKEN; 3]), [Skip, Skip, Halt]);
        let mut rolls = update_guard(GuardMode::Rollback(Rollback::default()));
        let mut last = Proceed;
        for _ in 0..3 {
            last = rolls.decide(&BROKEN).action;
            rolls.decide(&norm(2.0));
        }
        assert_eq!(
            last,
            GuardAction::Rollback {
                learning_rate_scale: 0.125
            }
        );
        assert_eq!(rolls.decide(&BROKEN).action, Halt);
        assert!((rolls.learning_rate_scale() - 0.125).abs() < 1e-12);
    }

    #[test]
    fn a_saved_guard_decides_alike() {
        let mut alone = update_guard(GuardMode::Rollback(Rollback::default()));
        alone.decide(&BROKEN);
        let saved = serde_json::to_string(alone.state()).unwrap();
        let mut resumed = UpdateGuard::resume(alone.config, serde_json::from_str(&saved).unwrap());
        for step in [norm(19.0), norm(25.0), BROKEN, norm(1.0)] {
            assert_eq!(alone.decide(&step), resumed.decide(&step));
        }
        assert_eq!(alone.state(), resumed.state());
    }

    #[test]
    fn settings_are_read_and_checked() {
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
