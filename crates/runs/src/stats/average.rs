//! Averages with an interval only where there are enough values for one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Estimate, Moments, Z95};

/// Smallest number of values for an interval. With fewer, a nominal 95 % interval covers the true
/// value much less often than that.
pub const MIN_VALUES: usize = 5;

/// An average with a 95 % interval if it is taken over at least [`MIN_VALUES`] values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Average {
    /// The average.
    #[serde(with = "crate::json::nullable")]
    #[schemars(with = "f64")]
    pub value: f64,
    /// Lower end of the 95 % interval; `None` with too few values.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval; `None` with too few values.
    pub high: Option<f64>,
}

impl Average {
    /// Converts an estimate over `values` values. Drops the interval if they are too few.
    pub fn of(estimate: Estimate, values: usize) -> Self {
        let enough = values >= MIN_VALUES;
        Self {
            value: estimate.value,
            low: enough.then_some(estimate.low),
            high: enough.then_some(estimate.high),
        }
    }

    /// Lower and upper end of the 95 % interval; `None` with too few values.
    pub fn interval(&self) -> Option<[f64; 2]> {
        Some([self.low?, self.high?])
    }

    /// Limits the interval to the range of possible values.
    #[must_use]
    pub fn clamp_interval(self, least: f64, greatest: f64) -> Self {
        Self {
            low: self.low.map(|low| low.max(least)),
            high: self.high.map(|high| high.min(greatest)),
            ..self
        }
    }
}

/// Mean with its 95 % interval by the normal approximation. Meant for a hundred or more values.
/// Returns `None` without values.
pub fn mean_interval(values: impl IntoIterator<Item = f64>) -> Option<Average> {
    let moments: Moments = values.into_iter().collect();
    (moments.count() > 0).then(|| {
        let half = Z95 * (moments.sample_variance() / moments.count() as f64).sqrt();
        let value = moments.mean();
        let estimate = Estimate {
            value,
            low: value - half,
            high: value + half,
        };
        Average::of(estimate, moments.count() as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_have_no_interval() {
        assert_eq!(mean_interval([]), None);
        let four = mean_interval([1.0, 2.0, 3.0, 6.0]).unwrap();
        assert_eq!((four.value, four.interval()), (3.0, None));
        // Sample variance 2.5 over five values: half width 1.96 √0.5.
        let five = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let [low, high] = five.interval().unwrap();
        assert!((low - (3.0 - 1.385_904)).abs() < 1e-6 && (high - (3.0 + 1.385_904)).abs() < 1e-6);
        assert_eq!(
            five.clamp_interval(2.0, 4.0).interval(),
            Some([2.0, 4.0]),
            "the ends are limited to the possible range"
        );
    }

    #[test]
    fn an_absent_interval_is_null_in_json() {
        let few = Average {
            value: 0.5,
            low: None,
            high: None,
        };
        let text = serde_json::to_string(&few).unwrap();
        assert_eq!(text, r#"{"value":0.5,"low":null,"high":null}"#);
        assert_eq!(serde_json::from_str::<Average>(&text).unwrap(), few);
        let old = r#"{"value":0.5,"low":0.25,"high":0.75}"#;
        let read: Average = serde_json::from_str(old).unwrap();
        assert_eq!(read.interval(), Some([0.25, 0.75]));
    }
}
