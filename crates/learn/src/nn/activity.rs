//! Shares of saturated and dormant units in a layer.

use tch::{Kind, Tensor};

use super::{Activation, entries};

/// An output is saturated if the slope there is below this share of the steepest slope.
const MIN_SLOPE_SHARE: f64 = 0.05;

/// A unit is dormant if its mean absolute output is at most this share of its layer's mean.
const DORMANT_SHARE: f64 = 0.025;

/// Activity of the units of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitActivity {
    /// Name of the weight that feeds the units, as in the parameter layout.
    pub name: String,
    /// Share of outputs, over units and samples, at which the slope of the activation is below 5 %
    /// of its steepest slope (Glorot & Bengio 2010, §3). Absent for unbounded activations.
    pub saturated: Option<f64>,
    /// Share of units whose mean absolute output is at most 2.5 % of the layer's mean (Sokar et al.
    /// 2023, <https://arxiv.org/abs/2302.12902>, definition 3.1). Dead units count. Absent if an
    /// output is not finite.
    pub dormant: Option<f64>,
    /// Mean absolute output of each unit, as a multiple of the layer's mean; 0 where all outputs are
    /// 0. Empty if an output is not finite.
    pub scores: Vec<f32>,
}

impl UnitActivity {
    /// Measures outputs `[rows, units]`; `bounded` is the activation that produced them, if any.
    pub(super) fn of(name: String, outputs: &Tensor, bounded: Option<Activation>) -> Self {
        let rows = [0_i64].as_slice();
        let mean = outputs.abs().mean_dim(Some(rows), false, Kind::Float);
        let share = |mask: Tensor| {
            mask.to_kind(Kind::Float)
                .mean(Kind::Float)
                .double_value(&[])
        };
        let finite = |number: f64| number.is_finite().then_some(number);
        let layer_mean = finite(mean.mean(Kind::Float).double_value(&[]));
        Self {
            name,
            scores: layer_mean.map_or_else(Vec::new, |all| {
                let scale = if all > 0.0 { 1.0 / all } else { 0.0 };
                entries(&(&mean * scale))
            }),
            saturated: bounded
                .and_then(|activation| slope(activation, outputs))
                .map(|slope| share(slope.lt(MIN_SLOPE_SHARE))),
            dormant: layer_mean.map(|all| share(mean.le(DORMANT_SHARE * all))),
        }
    }
}

/// The slope at each output, as a share of the steepest slope. Absent for unbounded activations.
fn slope(activation: Activation, outputs: &Tensor) -> Option<Tensor> {
    match activation {
        Activation::Tanh => Some(outputs.square() * -1.0 + 1.0),
        Activation::Sigmoid => Some((outputs * -1.0 + 1.0) * outputs * 4.0),
        Activation::Relu
        | Activation::LeakyRelu
        | Activation::Elu
        | Activation::Gelu
        | Activation::Silu
        | Activation::Crelu => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_match_a_hand_computed_example() {
        // Unit 0 is saturated in one of two rows, unit 1 never, unit 2 is dormant.
        let outputs = Tensor::from_slice(&[0.99f32, 0.5, 0.0, -0.2, -0.9, 0.01]).view([2, 3]);
        let units = UnitActivity::of("net.0.weight".into(), &outputs, Some(Activation::Tanh));
        assert!((units.saturated.unwrap() - 1.0 / 6.0).abs() < 1e-6);
        assert!((units.dormant.unwrap() - 1.0 / 3.0).abs() < 1e-6);
        // Means of 0.595, 0.7 and 0.005.
        for (score, mean) in units.scores.iter().zip([0.595, 0.7, 0.005]) {
            assert!((score - mean * 3.0 / 1.3).abs() < 1e-5, "{score}");
        }
        let units = UnitActivity::of("net.0.weight".into(), &outputs, Some(Activation::Relu));
        assert_eq!(units.saturated, None);
        // If all outputs are 0, all units are dormant.
        let silent = UnitActivity::of("net.0.weight".into(), &(outputs * 0.0), None);
        assert_eq!((silent.saturated, silent.dormant), (None, Some(1.0)));
        assert_eq!(silent.scores, [0.0; 3]);
    }
}
