//! Mean and deviation that forget.

use serde::{Deserialize, Serialize};

/// Exponential moving mean and variance of a stream of numbers (Finch 2009, "Incremental
/// calculation of weighted mean and variance", §9). Until as many numbers were taken as the decay
/// remembers, all weigh the same, so that neither depends on where it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MovingMoments {
    count: u64,
    mean: f64,
    variance: f64,
}

impl MovingMoments {
    /// Takes one finite number; what was taken before weighs `decay` times what it did,
    /// `0 ≤ decay < 1`. Gives the weight of the new number.
    pub fn push(&mut self, value: f64, decay: f64) -> f64 {
        self.count += 1;
        let weight = (1.0 - decay).max(1.0 / self.count as f64);
        let apart = value - self.mean;
        self.mean += weight * apart;
        self.variance = (1.0 - weight) * (self.variance + weight * apart * apart);
        weight
    }

    /// How many numbers were taken.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; 0 of none.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Their variance; 0 of none.
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// Their standard deviation; 0 of none.
    pub fn std_dev(&self) -> f64 {
        self.variance.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(values: &[f64], decay: f64) -> MovingMoments {
        let mut moments = MovingMoments::default();
        for &value in values {
            moments.push(value, decay);
        }
        moments
    }

    #[test]
    fn the_first_numbers_weigh_the_same() {
        let moments = taken(&[1.0, 4.0, 7.0, 8.0], 0.97);
        assert!((moments.mean() - 5.0).abs() < 1e-12);
        assert!((moments.variance() - 7.5).abs() < 1e-12);
        assert_eq!(moments.count(), 4);
    }

    #[test]
    fn what_is_long_past_is_forgotten() {
        // At a decay of ½ from the second number on: mean ½·2 + ½·(½·4 + ½·8).
        let moments = taken(&[8.0, 4.0, 2.0], 0.5);
        assert!((moments.mean() - 4.0).abs() < 1e-12);
        // Weights ¼, ¼, ½ of (8, 4, 2) about 4: ¼·16 + 0 + ½·4.
        assert!((moments.variance() - 6.0).abs() < 1e-12);

        let shifted: Vec<f64> = [0.0; 300].into_iter().chain([5.0; 300]).collect();
        let moments = taken(&shifted, 0.97);
        assert!((moments.mean() - 5.0).abs() < 1e-3 && moments.std_dev() < 0.1);
    }
}
