//! Exponential moving mean and variance.

use serde::{Deserialize, Serialize};

/// Exponential moving mean and variance of a stream of numbers (Finch 2009, "Incremental
/// calculation of weighted mean and variance", §9). The first `1 / (1 − decay)` numbers have equal
/// weights, so the result does not depend on an initial value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MovingMoments {
    count: u64,
    #[serde(with = "crate::json::float")]
    mean: f64,
    #[serde(with = "crate::json::float")]
    variance: f64,
}

impl MovingMoments {
    /// Adds one finite number. The weight of earlier numbers is multiplied by `decay`,
    /// `0 ≤ decay < 1`. Returns the weight of the new number.
    pub fn push(&mut self, value: f64, decay: f64) -> f64 {
        self.count += 1;
        let weight = (1.0 - decay).max(1.0 / self.count as f64);
        let delta = value - self.mean;
        self.mean += weight * delta;
        self.variance = (1.0 - weight) * (self.variance + weight * delta * delta);
        weight
    }

    /// Number of values added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean; 0 without values.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Variance; 0 without values.
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// Standard deviation; 0 without values.
    pub fn std_dev(&self) -> f64 {
        self.variance.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments_of(values: &[f64], decay: f64) -> MovingMoments {
        let mut moments = MovingMoments::default();
        for &value in values {
            moments.push(value, decay);
        }
        moments
    }

    #[test]
    fn the_first_values_have_equal_weights() {
        let moments = moments_of(&[1.0, 4.0, 7.0, 8.0], 0.97);
        assert!((moments.mean() - 5.0).abs() < 1e-12);
        assert!((moments.variance() - 7.5).abs() < 1e-12);
        assert_eq!(moments.count(), 4);
    }

    #[test]
    fn old_values_lose_their_weight() {
        // Decay ½ from the second value on: mean ½·2 + ½·(½·4 + ½·8).
        let moments = moments_of(&[8.0, 4.0, 2.0], 0.5);
        assert!((moments.mean() - 4.0).abs() < 1e-12);
        // Variance of (8, 4, 2) around 4 with weights ¼, ¼, ½: ¼·16 + 0 + ½·4.
        assert!((moments.variance() - 6.0).abs() < 1e-12);

        let shifted: Vec<f64> = [0.0; 300].into_iter().chain([5.0; 300]).collect();
        let moments = moments_of(&shifted, 0.97);
        assert!((moments.mean() - 5.0).abs() < 1e-3 && moments.std_dev() < 0.1);
    }
}
