//! Running moments of a stream of numbers.

/// Count, mean, variance, minimum and maximum of a stream of numbers, computed in one pass
/// (Welford 1962). Two of them can be merged (Chan, Golub & `LeVeque` 1979).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    /// Sum of squared deviations from the mean.
    squares: f64,
    min: f64,
    max: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self {
            count: 0,
            mean: 0.0,
            squares: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

impl Moments {
    /// Adds one number.
    pub fn push(&mut self, value: f64) {
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (value - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds all numbers that were added to `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        let share = other.count as f64 / count as f64;
        self.squares += other.squares + delta * delta * self.count as f64 * share;
        self.mean += delta * share;
        self.count = count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Number of values added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean; 0 without values.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Variance of the values themselves (divided by n); 0 without values.
    pub fn variance(&self) -> f64 {
        self.squares / self.count.max(1) as f64
    }

    /// Estimated variance of the distribution that the values come from (divided by n − 1); 0 with
    /// fewer than two values.
    pub fn sample_variance(&self) -> f64 {
        self.squares / self.count.saturating_sub(1).max(1) as f64
    }

    /// Smallest value; positive infinity without values.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// Largest value; negative infinity without values.
    pub fn max(&self) -> f64 {
        self.max
    }
}

impl Extend<f64> for Moments {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.push(value));
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut moments = Self::default();
        moments.extend(values);
        moments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
    }

    proptest! {
        #[test]
        fn merging_two_parts_equals_adding_all_values(
            left in prop::collection::vec(-100.0..100.0, 0..40),
            right in prop::collection::vec(-100.0..100.0, 0..40),
        ) {
            let mut merged: Moments = left.iter().copied().collect();
            merged.merge(&right.iter().copied().collect());

            let all: Vec<f64> = left.into_iter().chain(right).collect();
            let n = all.len().max(1) as f64;
            let mean = all.iter().sum::<f64>() / n;
            let variance = all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            prop_assert_eq!(merged.count(), all.len() as u64);
            prop_assert!(near(merged.mean(), mean));
            prop_assert!(near(merged.variance(), variance));
            prop_assert!(merged.min() <= all.iter().copied().fold(f64::INFINITY, f64::min));
        }
    }

    #[test]
    fn a_small_variance_around_a_large_mean_is_accurate() {
        let moments: Moments = (0..1000).map(|i| 1e9 + f64::from(i % 2)).collect();
        assert!(near(moments.variance(), 0.25), "{}", moments.variance());
    }
}
