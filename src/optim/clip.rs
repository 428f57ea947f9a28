//! Gradient clipping: stages applied in the order in which they are listed, each of which says
//! what it did, and may remember what it has seen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::family::{BadSetting, family, require_positive};
use crate::nn::ParamLayout;
use crate::telemetry::ClipReport;

family! {
    /// One clip stage.
    pub enum ClipStage: Stage {
        /// Scales the whole gradient down to a largest L2 norm (Pascanu, Mikolov & Bengio 2013,
        /// <https://arxiv.org/abs/1211.5063>, algorithm 1).
        GlobalNorm(GlobalNorm) = "global_norm",
    }
}

/// What a clip stage remembers between optimiser steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ClipState {
    /// Nothing.
    Nothing,
}

/// A gradient that has been through all stages.
#[derive(Debug)]
pub struct Clipped {
    /// The gradient, flat.
    pub gradient: Tensor,
    /// What each stage remembers from now on, if the step is taken.
    pub states: Vec<ClipState>,
    /// What each stage did.
    pub reports: Vec<ClipReport>,
}

/// What a stage is given.
struct Incoming<'a> {
    /// Finite, flat.
    gradient: &'a Tensor,
    /// Its global L2 norm.
    norm: f64,
    /// θ, flat.
    #[expect(dead_code, reason = "what looks at the weights is yet to come")]
    parameters: &'a Tensor,
    /// Where each parameter lies in the two.
    #[expect(dead_code, reason = "what looks at layers is yet to come")]
    layout: &'a ParamLayout,
}

/// What a stage makes of it.
struct Outgoing {
    /// The gradient where the stage acted; absent where it leaves every bit as it was.
    gradient: Option<Tensor>,
    /// The largest global norm let through, for a stage that bounds it.
    threshold: Option<f64>,
}

/// A technique of this family.
trait Stage {
    /// Settings that work.
    fn example() -> Self
    where
        Self: Sized;

    /// Refuses settings that cannot work.
    fn check(&self) -> Result<(), BadSetting>;

    /// What it remembers before the first step.
    fn begin(&self) -> ClipState {
        ClipState::Nothing
    }

    /// Whether a state is one of its own.
    fn owns(&self, state: &ClipState) -> bool {
        matches!(state, ClipState::Nothing)
    }

    /// Acts on a gradient, or does not; moves the state on as if the step were taken.
    fn apply(&self, incoming: &Incoming, state: &mut ClipState) -> Outgoing;
}

/// Global L2 norm, summed in double precision so that it overflows for no finite `f32` gradient.
pub fn norm(flat: &Tensor) -> f64 {
    flat.to_kind(Kind::Double).norm().double_value(&[])
}

/// Puts a finite flat gradient of this norm through the stages in their order. A stage that does
/// not act leaves every bit as it was. `states` holds what each stage remembers; one that is not
/// its stage's own counts as none.
pub fn clip_in_order(
    stages: &[ClipStage],
    states: &[ClipState],
    gradient: Tensor,
    size: f64,
    parameters: &Tensor,
    layout: &ParamLayout,
) -> Clipped {
    let mut before = size;
    let mut clipped = Clipped {
        gradient,
        states: Vec::with_capacity(stages.len()),
        reports: Vec::with_capacity(stages.len()),
    };
    for (index, stage) in stages.iter().enumerate() {
        let own = states.get(index).filter(|state| stage.owns(state));
        let mut state = own.map_or_else(|| stage.begin(), ClipState::clone);
        let incoming = Incoming {
            gradient: &clipped.gradient,
            norm: before,
            parameters,
            layout,
        };
        let Outgoing {
            gradient,
            threshold,
        } = stage.technique().apply(&incoming, &mut state);
        let acted = gradient.is_some();
        let after = gradient.as_ref().map_or(before, norm);
        clipped.reports.push(ClipReport {
            stage: stage.name().into(),
            norm_before: Some(before),
            norm_after: Some(after),
            acted,
            threshold,
        });
        clipped.states.push(state);
        clipped.gradient = gradient.unwrap_or(clipped.gradient);
        before = after;
    }
    clipped
}

impl ClipStage {
    /// What it remembers before the first step.
    pub fn begin(&self) -> ClipState {
        self.technique().begin()
    }

    /// Whether a state is one that this stage can have.
    pub fn owns(&self, state: &ClipState) -> bool {
        self.technique().owns(state)
    }
}

/// Scales the whole gradient down to a largest L2 norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalNorm {
    /// The largest norm let through.
    pub max: f64,
}

impl Stage for GlobalNorm {
    fn example() -> Self {
        Self { max: 0.5 }
    }

    fn check(&self) -> Result<(), BadSetting> {
        require_positive("max", self.max)
    }

    fn apply(&self, incoming: &Incoming, _: &mut ClipState) -> Outgoing {
        bound(incoming, self.max)
    }
}

/// Scales a gradient down to a largest global norm.
fn bound(incoming: &Incoming, max: f64) -> Outgoing {
    let acts = incoming.norm > max;
    Outgoing {
        gradient: acts.then(|| incoming.gradient * (max / incoming.norm)),
        threshold: Some(max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(stages: &[ClipStage], gradient: &[f32]) -> Clipped {
        let gradient = Tensor::from_slice(gradient);
        let size = norm(&gradient);
        let layout = ParamLayout::default();
        clip_in_order(stages, &[], gradient.copy(), size, &gradient, &layout)
    }

    #[test]
    fn a_long_gradient_is_scaled_and_a_short_one_untouched() {
        let stages = [ClipStage::GlobalNorm(GlobalNorm { max: 1.0 })];
        let Clipped {
            gradient, reports, ..
        } = clip(&stages, &[3.0, -4.0]);
        assert_eq!(Vec::<f32>::try_from(&gradient).unwrap(), [0.6, -0.8]);
        assert!(reports[0].acted);
        assert_eq!(reports[0].norm_before, Some(5.0));
        assert!((reports[0].norm_after.unwrap() - 1.0).abs() < 1e-6);

        let short = [0.1f32, 0.7];
        let Clipped {
            gradient, reports, ..
        } = clip(&stages, &short);
        assert_eq!(gradient, Tensor::from_slice(&short));
        assert!(!reports[0].acted);
        assert_eq!(reports[0].norm_after, reports[0].norm_before);
    }

    #[test]
    fn stages_act_one_after_the_other() {
        let stages = [2.0, 0.5].map(|max| ClipStage::GlobalNorm(GlobalNorm { max }));
        let reports = clip(&stages, &[30.0, 40.0]).reports;
        assert_eq!(reports[1].norm_before, reports[0].norm_after);
        assert!((reports[1].norm_after.unwrap() - 0.5).abs() < 1e-6);
    }

    #[test]
    fn the_norm_of_a_huge_finite_gradient_is_finite() {
        assert!(norm(&Tensor::from_slice(&[1e30f32; 8])).is_finite());
    }

    #[test]
    fn a_threshold_must_be_finite_and_positive() {
        for max in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let bad = ClipStage::GlobalNorm(GlobalNorm { max }).check();
            assert_eq!(bad.unwrap_err().path, "global_norm.max");
        }
    }
}
