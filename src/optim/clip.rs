//! Gradient clipping: stages applied in the order in which they are listed, each of which says
//! what it did.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::telemetry::ClipReport;

/// One clip stage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ClipStage {
    /// Scales the whole gradient down to a largest L2 norm (Pascanu, Mikolov & Bengio 2013,
    /// <https://arxiv.org/abs/1211.5063>, algorithm 1).
    GlobalNorm(GlobalNorm),
}

/// Scales the whole gradient down to a largest L2 norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalNorm {
    /// The largest norm let through.
    pub max: f64,
}

/// Global L2 norm, summed in double precision so that it overflows for no finite `f32` gradient.
pub fn norm(flat: &Tensor) -> f64 {
    flat.to_kind(Kind::Double).norm().double_value(&[])
}

/// Puts a finite flat gradient of this norm through the stages in their order. A stage that does
/// not act leaves every bit as it was.
pub fn clip_in_order(
    stages: &[ClipStage],
    gradient: Tensor,
    norm: f64,
) -> (Tensor, Vec<ClipReport>) {
    let (mut gradient, mut before) = (gradient, norm);
    let mut reports = Vec::with_capacity(stages.len());
    for stage in stages {
        let report = stage.apply(&mut gradient, before);
        before = report.norm_after.unwrap_or(before);
        reports.push(report);
    }
    (gradient, reports)
}

impl ClipStage {
    /// The stage's name, as in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::GlobalNorm(_) => "global_norm",
        }
    }

    /// What would be right where a setting is not; nothing where all is well.
    pub fn check(self) -> Result<(), (&'static str, f64, &'static str)> {
        match self {
            Self::GlobalNorm(GlobalNorm { max }) if !(max.is_finite() && max > 0.0) => {
                Err(("global_norm.max", max, "a finite number above 0"))
            }
            Self::GlobalNorm(_) => Ok(()),
        }
    }

    fn apply(self, gradient: &mut Tensor, before: f64) -> ClipReport {
        match self {
            Self::GlobalNorm(GlobalNorm { max }) => {
                let acted = before > max;
                let mut after = before;
                if acted {
                    *gradient = &*gradient * (max / before);
                    after = norm(gradient);
                }
                ClipReport {
                    stage: self.name().into(),
                    norm_before: Some(before),
                    norm_after: Some(after),
                    acted,
                    threshold: Some(max),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_gradient_is_scaled_and_a_short_one_untouched() {
        let stages = [ClipStage::GlobalNorm(GlobalNorm { max: 1.0 })];
        let (clipped, reports) = clip_in_order(&stages, Tensor::from_slice(&[3.0f32, -4.0]), 5.0);
        assert_eq!(Vec::<f32>::try_from(&clipped).unwrap(), [0.6, -0.8]);
        assert!(reports[0].acted);
        assert_eq!(reports[0].norm_before, Some(5.0));
        assert!((reports[0].norm_after.unwrap() - 1.0).abs() < 1e-6);

        let short = Tensor::from_slice(&[0.1f32, 0.7]);
        let (same, reports) = clip_in_order(&stages, short.copy(), norm(&short));
        assert_eq!(same, short);
        assert!(!reports[0].acted);
        assert_eq!(reports[0].norm_after, reports[0].norm_before);
    }

    #[test]
    fn stages_act_one_after_the_other() {
        let stages = [2.0, 0.5].map(|max| ClipStage::GlobalNorm(GlobalNorm { max }));
        let (_, reports) = clip_in_order(&stages, Tensor::from_slice(&[30.0f32, 40.0]), 50.0);
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
            assert!(ClipStage::GlobalNorm(GlobalNorm { max }).check().is_err());
        }
    }
}
