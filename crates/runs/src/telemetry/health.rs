//! Events of the detectors in module `health`, as written to a run's log.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A symptom that a detector reports: what, where, when, and the measured value with its threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HealthEvent {
    /// Environment steps collected before the event.
    pub global_step: u64,
    /// Index of the optimiser step. For symptoms of an iteration or of the robot, the number of
    /// optimiser steps before the event.
    pub optimiser_step: u64,
    /// The symptom.
    pub symptom: Symptom,
    /// How bad it is.
    pub severity: Severity,
    /// Where the symptom is; for a gradient spike, where most of the gradient is.
    pub location: SymptomLocation,
    /// The measured value of the symptom's quantity; `None` if it is not finite.
    pub value: Option<f64>,
    /// The threshold that the value crossed; `None` for symptoms of non-finite numbers.
    pub threshold: Option<f64>,
    /// What usually helps.
    pub advice: Cow<'static, str>,
}

/// A symptom of unhealthy training or of an unhealthy robot.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Symptom {
    /// The loss is NaN or infinite.
    NonFiniteLoss,
    /// A gradient entry is NaN or infinite.
    NonFiniteGradient,
    /// A parameter or its optimiser state is NaN or infinite.
    NonFiniteParameter,
    /// The gradient norm jumps above its recent level.
    GradientSpike,
    /// The value loss jumps above its recent level.
    LossSpike,
    /// One optimiser step changes the weights far more than earlier steps, or than any step should.
    UpdateSpike,
    /// Losses or norms alternate from one optimiser step to the next.
    Oscillation,
    /// The gradient of a network or of a layer is close to zero.
    VanishingGradient,
    /// Many units of a layer have outputs close to zero for all inputs.
    DeadUnits,
    /// Many outputs of a layer lie where the activation function is flat.
    SaturatedUnits,
    /// The policy has lost its randomness, suddenly or completely.
    EntropyCollapse,
    /// The policy has moved far away from the one that collected the rollout.
    KlBlowUp,
    /// The policy has stopped changing.
    KlCollapse,
    /// The probability ratio of a sample is so large that its importance weight is useless.
    RatioExplosion,
    /// The critic predicts values that no rewards can give.
    ValueBound,
    /// The robot turns on the spot.
    Spinning,
    /// The robot stands still.
    Freezing,
    /// The robot drives with a high jerk.
    Jerk,
}

/// How bad a symptom is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Training continues, but something is wrong.
    Warning,
    /// The learned weights are lost, or will be after a few more such steps.
    Critical,
}

/// Where a symptom is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SymptomLocation {
    /// The policy as a whole.
    Policy,
    /// The network that chooses actions.
    Actor,
    /// The network that estimates values.
    Critic,
    /// One layer, by name.
    Layer(String),
    /// The driving of the robot.
    Robot,
}

impl Symptom {
    /// All symptoms in the order of tables.
    pub const ALL: [Self; 18] = [
        Self::NonFiniteLoss,
        Self::NonFiniteGradient,
        Self::NonFiniteParameter,
        Self::GradientSpike,
        Self::LossSpike,
        Self::UpdateSpike,
        Self::Oscillation,
        Self::VanishingGradient,
        Self::DeadUnits,
        Self::SaturatedUnits,
        Self::EntropyCollapse,
        Self::KlBlowUp,
        Self::KlCollapse,
        Self::RatioExplosion,
        Self::ValueBound,
        Self::Spinning,
        Self::Freezing,
        Self::Jerk,
    ];

    /// Display name.
    pub fn name(self) -> &'static str {
        self.name_and_quantity().0
    }

    /// The quantity that an event's value and threshold measure, with its unit if it has one.
    pub fn quantity(self) -> &'static str {
        self.name_and_quantity().1
    }

    fn name_and_quantity(self) -> (&'static str, &'static str) {
        match self {
            Self::NonFiniteLoss => ("loss not finite", "loss"),
            Self::NonFiniteGradient => (
                "gradient not finite",
                "gradient entries that are not finite",
            ),
            Self::NonFiniteParameter => ("weights not finite", "parameter norm"),
            Self::GradientSpike => ("gradient spike", "gradient norm"),
            Self::LossSpike => ("value loss spike", "value loss"),
            Self::UpdateSpike => ("update spike", "‖Δθ‖/‖θ‖ of the step"),
            Self::Oscillation => (
                "oscillation",
                "correlation from one optimiser step to the next",
            ),
            Self::VanishingGradient => ("vanishing gradient", "gradient norm"),
            Self::DeadUnits => ("dead units", "share of dormant units"),
            Self::SaturatedUnits => ("saturated units", "share of saturated outputs"),
            Self::EntropyCollapse => ("entropy collapse", "entropy (nats)"),
            Self::KlBlowUp => ("KL blow-up", "approximate KL divergence (nats)"),
            Self::KlCollapse => ("KL collapse", "approximate KL divergence (nats)"),
            Self::RatioExplosion => ("ratio explosion", "largest probability ratio"),
            Self::ValueBound => ("value out of bounds", "largest |value|"),
            Self::Spinning => ("spinning", "share of episodes"),
            Self::Freezing => ("freezing", "share of episodes"),
            Self::Jerk => ("jerk", "mean |jerk| (m/s³)"),
        }
    }

    /// What usually helps.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NonFiniteLoss => {
                "look at the steps before: a loss seldom becomes non-finite without warning. A \
                 lower learning rate, normalised returns and observations, and a bound on the \
                 probability ratio keep it finite"
            }
            Self::NonFiniteGradient => {
                "clip the gradient so that the weights stay in the region where the loss has a \
                 slope, and set the guard to `skip` or `rollback` to survive a single bad batch"
            }
            Self::NonFiniteParameter => {
                "go back to an earlier checkpoint, with a lower learning rate or a tighter clip"
            }
            Self::GradientSpike => {
                "clip the gradient (`global_norm` at about its usual size), normalise returns, or \
                 lower the learning rate; the incident shows which transitions caused it"
            }
            Self::LossSpike => {
                "normalise returns, clip the value or lower `train.value_coef`; look for a rare \
                 reward much larger than the others"
            }
            Self::UpdateSpike => {
                "lower the learning rate, or clip the gradient before the optimiser; under plain \
                 SGD the step is proportional to the gradient"
            }
            Self::Oscillation => "the steps overshoot: lower the learning rate, or add momentum",
            Self::VanishingGradient => {
                "use ReLU-like activations, He or orthogonal initialisation, normalisation layers \
                 or residual connections; in recurrent policies, a gated cell (GRU, LSTM)"
            }
            Self::DeadUnits => {
                "lower the learning rate, use leaky ReLU, ELU or GELU, or a normalisation layer \
                 before the activation"
            }
            Self::SaturatedUnits => {
                "normalise observations, start from smaller weights, or put a normalisation layer \
                 before the activation"
            }
            Self::EntropyCollapse => {
                "raise `train.entropy_coef`, lower the learning rate, or set `train.target_kl`; \
                 normalised advantages limit the influence of one lucky batch"
            }
            Self::KlBlowUp => {
                "set `train.target_kl`, use fewer epochs or a lower learning rate, or clip the \
                 ratio more tightly"
            }
            Self::KlCollapse => {
                "check whether gradients vanish, the clip is far too tight, or the learning rate \
                 decays to 0 before the end of training"
            }
            Self::RatioExplosion => {
                "set `train.target_kl`, use fewer epochs or a lower learning rate; keep the \
                 action noise from shrinking further (`train.entropy_coef`)"
            }
            Self::ValueBound => {
                "the critic predicts more than the largest reward in every step could give, and \
                 bootstraps from it: lower the learning rate or `train.value_coef`, clip the \
                 value, and look for a rare reward much larger than the others"
            }
            Self::Spinning => {
                "check the reward: turning on the spot must not pay. Add a reward for progress \
                 towards the goal and a cost of time"
            }
            Self::Freezing => {
                "check the reward: if a collision costs more than the goal pays, standing still \
                 is optimal. Lower that cost, add a cost of time, or explore more \
                 (`train.entropy_coef`)"
            }
            Self::Jerk => {
                "reward smooth driving, or lower the acceleration limits; with little action \
                 noise, bang-bang control costs the policy nothing"
            }
        }
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for SymptomLocation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Policy => f.write_str("policy"),
            Self::Actor => f.write_str("actor"),
            Self::Critic => f.write_str("critic"),
            Self::Layer(name) => write!(f, "layer {name}"),
            Self::Robot => f.write_str("robot"),
        }
    }
}

/// One sentence about the symptom and one about what usually helps.
impl fmt::Display for HealthEvent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (symptom, location, step) = (self.symptom, &self.location, self.optimiser_step);
        write!(f, "{symptom} ({location}) at optimiser step {step}: ")?;
        write!(f, "{} ", symptom.quantity())?;
        match self.value {
            Some(value) => write!(f, "{}", significant_digits(value))?,
            None => f.write_str("not finite")?,
        }
        if let Some(threshold) = self.threshold {
            write!(f, ", threshold {}", significant_digits(threshold))?;
        }
        write!(f, ". What usually helps: {}", self.advice)
    }
}

/// Formats a number with three significant digits.
pub(super) fn significant_digits(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".into()
    } else if (1e-3..1e4).contains(&size) {
        let places = (2 - size.log10().floor() as i32).max(0) as usize;
        format!("{value:.places$}")
    } else {
        format!("{value:.2e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn event() -> HealthEvent {
        HealthEvent {
            global_step: 163_840,
            optimiser_step: 97,
            symptom: Symptom::GradientSpike,
            severity: Severity::Warning,
            location: SymptomLocation::Layer("critic.2".into()),
            value: Some(14.213),
            threshold: Some(0.938_2),
            advice: Symptom::GradientSpike.advice().into(),
        }
    }

    #[test]
    fn an_event_round_trips_through_json() {
        let event = event();
        let line = serde_json::to_string(&event).unwrap();
        assert!(
            line.contains(r#""location":{"layer":"critic.2"}"#)
                && line.contains("clip the gradient"),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<HealthEvent>(&line).unwrap(), event);
    }

    #[test]
    fn an_event_is_displayed_as_two_sentences() {
        let text = event().to_string();
        assert!(
            text.starts_with(
                "gradient spike (layer critic.2) at optimiser step 97: gradient norm 14.2, \
                 threshold 0.938. What usually helps: clip the gradient"
            ),
            "{text}"
        );
        let non_finite = HealthEvent {
            symptom: Symptom::NonFiniteLoss,
            location: SymptomLocation::Policy,
            value: None,
            threshold: None,
            ..event()
        };
        assert!(non_finite.to_string().contains("loss not finite. What"));
    }

    #[test]
    fn numbers_have_three_significant_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (0.5, "0.500"),
            (-12.345, "-12.3"),
            (1234.5, "1234"),
            (2.5e-7, "2.50e-7"),
            (1e25, "1.00e25"),
        ] {
            assert_eq!(significant_digits(value), expected);
        }
    }

    #[test]
    fn each_symptom_has_a_unique_name_and_advice() {
        let names: HashSet<&str> = Symptom::ALL.iter().map(|symptom| symptom.name()).collect();
        assert_eq!(names.len(), Symptom::ALL.len());
        for symptom in Symptom::ALL {
            assert!(symptom.advice().len() > 40 && !symptom.quantity().is_empty());
        }
    }
}
