//! What a detector of the room `health` saw, as a run's log keeps it.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that a detector saw: what, where, when, and how far beyond which threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthEvent {
    /// Environment steps gathered before it.
    pub global_step: u64,
    /// The optimiser step; for what is seen of an iteration or of the robot, how many were taken
    /// before.
    pub optimiser_step: u64,
    /// What was seen.
    pub symptom: Symptom,
    /// How bad it is.
    pub severity: Severity,
    /// Where it was seen; of a gradient spike, where most of it is.
    pub location: SymptomLocation,
    /// What was measured ([`Symptom::quantity`]); absent where it is not finite.
    pub value: Option<f64>,
    /// What it should have kept to; absent for what was not finite.
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
    /// A parameter is NaN or infinite, or what the optimiser remembers of it.
    NonFiniteParameter,
    /// The gradient's norm leaps above its recent level.
    GradientSpike,
    /// The value loss leaps above its recent level.
    LossSpike,
    /// One step moves the weights far more than those before it, or than any step should.
    UpdateSpike,
    /// Losses or norms go to and fro from one optimiser step to the next.
    Oscillation,
    /// Hardly any gradient is left, in a network or in a layer.
    VanishingGradient,
    /// Many units of a layer put out next to nothing, whatever comes in.
    DeadUnits,
    /// Many outputs of a layer are where the activation is flat.
    SaturatedUnits,
    /// The policy has lost its randomness, suddenly or altogether.
    EntropyCollapse,
    /// The policy has left the one that gathered the rollout far behind.
    KlBlowUp,
    /// The policy, which once moved, moves no more.
    KlCollapse,
    /// A sample's probability ratio is so large that its weight means nothing.
    RatioExplosion,
    /// The robot turns round and round.
    Spinning,
    /// The robot stands still.
    Freezing,
    /// The robot drives in jerks.
    Jerk,
}

/// How bad a symptom is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Training goes on, but not as it should.
    Warning,
    /// What was learnt is lost, or will be within a few such steps.
    Critical,
}

/// Where a symptom was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SymptomLocation {
    /// In the policy as a whole.
    Policy,
    /// In the network that chooses actions.
    Actor,
    /// In the network that estimates values.
    Critic,
    /// In one layer.
    Layer(String),
    /// In how the robot drives.
    Robot,
}

impl Symptom {
    /// Every symptom, in the order in which tables show them.
    pub const ALL: [Self; 17] = [
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
        Self::Spinning,
        Self::Freezing,
        Self::Jerk,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// What an event's value and threshold measure, with the unit if there is one.
    pub fn quantity(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
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
            Self::Spinning => ("spinning", "share of episodes"),
            Self::Freezing => ("freezing", "share of episodes"),
            Self::Jerk => ("jerk", "mean |jerk| (m/s³)"),
        }
    }

    /// What usually helps.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NonFiniteLoss => {
                "look at the steps before: a loss seldom breaks without warning. A lower learning \
                 rate, return and observation normalisation, and a bound on the probability \
                 ratio keep it finite"
            }
            Self::NonFiniteGradient => {
                "clip the gradient so that the weights stay where the loss has a slope, and guard \
                 with `skip` or `rollback` to get over a single bad batch"
            }
            Self::NonFiniteParameter => {
                "go back to a checkpoint from before, with a lower learning rate or a tighter clip"
            }
            Self::GradientSpike => {
                "clip the gradient (`global_norm` at about its usual size), normalise returns, or \
                 lower the learning rate; the incident shows which transitions carried it"
            }
            Self::LossSpike => {
                "normalise returns, clip the value or lower `train.value_coef`; look for a rare \
                 reward of another size"
            }
            Self::UpdateSpike => {
                "lower the learning rate, or clip the gradient before the optimiser; under plain \
                 SGD the step is as long as the gradient"
            }
            Self::Oscillation => "the steps overshoot: lower the learning rate, or add momentum",
            Self::VanishingGradient => {
                "use ReLU-like activations, He or orthogonal initialisation, normalisation layers \
                 or residual connections; for memory a gated cell (GRU, LSTM)"
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
                 normalised advantages keep one lucky batch from deciding"
            }
            Self::KlBlowUp => {
                "set `train.target_kl`, take fewer epochs or a lower learning rate, or clip the \
                 ratio tighter"
            }
            Self::KlCollapse => {
                "see whether gradients vanish, the clip is far too tight, or the learning rate has \
                 run out before the steps have"
            }
            Self::RatioExplosion => {
                "set `train.target_kl`, take fewer epochs or a lower learning rate; keep the \
                 action noise from shrinking further (`train.entropy_coef`)"
            }
            Self::Spinning => {
                "look at the reward: turning on the spot must not pay. Progress towards the goal \
                 and a cost of time make it dear"
            }
            Self::Freezing => {
                "look at the reward: if a collision costs more than the goal pays, standing still \
                 is right. Lower that cost, add a cost of time, or keep exploring \
                 (`train.entropy_coef`)"
            }
            Self::Jerk => {
                "reward smooth driving, or lower the acceleration limits; the action noise may be \
                 too small to make bang-bang control look bad"
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

/// One sentence about what was seen, and one about what helps.
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

/// Three significant digits.
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
    fn an_event_survives_a_log() {
        let told = event();
        let line = serde_json::to_string(&told).unwrap();
        assert!(
            line.contains(r#""location":{"layer":"critic.2"}"#)
                && line.contains("clip the gradient"),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<HealthEvent>(&line).unwrap(), told);
    }

    #[test]
    fn an_event_is_said_in_plain_words() {
        let said = event().to_string();
        assert!(
            said.starts_with(
                "gradient spike (layer critic.2) at optimiser step 97: gradient norm 14.2, \
                 threshold 0.938. What usually helps: clip the gradient"
            ),
            "{said}"
        );
        let broken = HealthEvent {
            symptom: Symptom::NonFiniteLoss,
            location: SymptomLocation::Policy,
            value: None,
            threshold: None,
            ..event()
        };
        assert!(broken.to_string().contains("loss not finite. What"));
    }

    #[test]
    fn numbers_are_short() {
        for (value, said) in [
            (0.0, "0"),
            (0.5, "0.500"),
            (-12.345, "-12.3"),
            (1234.5, "1234"),
            (2.5e-7, "2.50e-7"),
            (1e25, "1.00e25"),
        ] {
            assert_eq!(significant_digits(value), said);
        }
    }

    #[test]
    fn each_symptom_has_words_of_its_own() {
        let names: HashSet<&str> = Symptom::ALL.iter().map(|symptom| symptom.name()).collect();
        assert_eq!(names.len(), Symptom::ALL.len());
        for symptom in Symptom::ALL {
            assert!(symptom.advice().len() > 40 && !symptom.quantity().is_empty());
        }
    }
}
