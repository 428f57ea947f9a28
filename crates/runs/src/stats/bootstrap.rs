//! Percentile bootstrap intervals over seeds (Efron 1979; Agarwal et al. 2021, §4.2), computed as
//! in the authors' package `rliable`. A *stratum* holds the results of one task, one value per
//! seed. Each stratum is resampled separately, so every sample keeps the number of runs per task.

use std::cmp::Ordering;

use rand::RngExt as _;

use super::{Estimate, MIN_VALUES, interquartile_mean, mean, quantile};
use evenkeel_sim::seed::{self, Purpose, Rng, RootSeed, Split};

/// With fewer seeds than this, no claim is made about a difference.
pub const MIN_SEEDS: usize = MIN_VALUES;

/// Settings of a bootstrap. The same settings give the same intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Root seed of the random stream.
    pub root: RootSeed,
    /// Number of bootstrap samples.
    pub resamples: u32,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            root: 0,
            resamples: 10_000,
        }
    }
}

impl Bootstrap {
    /// Interquartile mean over the values of all strata. `strata[task][seed]` is one result. With
    /// one stratum this is the plain bootstrap over seeds. Returns `None` without strata or if one
    /// is empty.
    pub fn interquartile_mean(&self, strata: &[&[f64]]) -> Option<Estimate> {
        if strata.is_empty() || strata.iter().any(|stratum| stratum.is_empty()) {
            return None;
        }
        let mut values = strata.concat();
        let estimate = interquartile_mean(&mut values)?;
        let mut rng = self.rng();
        self.interval(estimate, || {
            values.clear();
            for stratum in strata {
                values.extend(resample(stratum, &mut rng));
            }
            interquartile_mean(&mut values)
        })
    }

    /// Performance profile (Agarwal et al. 2021, §4.3, score distribution): for each threshold, the
    /// share of values above it over all strata, with pointwise intervals. `strata[task][seed]` is
    /// one result; the profile has the length of `thresholds`. Returns `None` without strata, if a
    /// stratum is empty or if a value is NaN.
    pub fn performance_profile(
        &self,
        strata: &[&[f64]],
        thresholds: &[f64],
    ) -> Option<Vec<Estimate>> {
        let all = || strata.iter().copied().flatten();
        let has_nan = all().any(|value| value.is_nan());
        if has_nan || strata.is_empty() || strata.iter().any(|stratum| stratum.is_empty()) {
            return None;
        }
        let mut values: Vec<f64> = all().copied().collect();
        let profile = |values: &mut [f64]| -> Vec<f64> {
            values.sort_unstable_by(f64::total_cmp);
            let share = |&threshold: &f64| {
                let above = values.len() - values.partition_point(|&value| value <= threshold);
                above as f64 / values.len() as f64
            };
            thresholds.iter().map(share).collect()
        };
        let estimate = profile(&mut values);
        let mut rng = self.rng();
        let mut resampled = vec![Vec::with_capacity(self.resamples as usize); thresholds.len()];
        for _ in 0..self.resamples {
            values.clear();
            for stratum in strata {
                values.extend(resample(stratum, &mut rng));
            }
            for (shares, share) in resampled.iter_mut().zip(profile(&mut values)) {
                shares.push(share);
            }
        }
        let points = estimate.into_iter().zip(resampled);
        points
            .map(|(value, shares)| percentiles(value, shares))
            .collect()
    }

    /// [`probability_of_improvement`] with its interval. Both sides are resampled independently.
    /// Returns `None` where that function does.
    pub fn probability_of_improvement(&self, a: &[&[f64]], b: &[&[f64]]) -> Option<Estimate> {
        let estimate = probability_of_improvement(a, b)?;
        let mut rng = self.rng();
        let mut resample_strata = |strata: &[&[f64]]| -> Vec<Vec<f64>> {
            let strata = strata.iter();
            strata
                .map(|stratum| resample(stratum, &mut rng).collect())
                .collect()
        };
        self.interval(estimate, || {
            let (a, b) = (resample_strata(a), resample_strata(b));
            probability_of_improvement(&slices(&a), &slices(&b))
        })
    }

    /// Mean. Returns `None` without values.
    pub fn mean(&self, values: &[f64]) -> Option<Estimate> {
        let estimate = mean(values)?;
        let mut rng = self.rng();
        let count = values.len() as f64;
        self.interval(estimate, || {
            Some(resample(values, &mut rng).sum::<f64>() / count)
        })
    }

    /// Mean of the differences `a[i] − b[i]`, where `a[i]` and `b[i]` share a seed. Pairs are
    /// resampled as a whole. Returns `None` without pairs.
    ///
    /// # Panics
    /// If `a` and `b` differ in length.
    pub fn paired_difference(&self, a: &[f64], b: &[f64]) -> Option<Estimate> {
        assert_eq!(a.len(), b.len(), "each value needs a partner");
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        self.mean(&differences)
    }

    /// Returns a function that draws `length` indices below `length`, with replacement.
    pub(super) fn resampled_indices(&self, length: usize) -> impl FnMut() -> Vec<usize> {
        let mut rng = self.rng();
        let length = length as u32;
        move || {
            (0..length)
                .map(|_| rng.random_range(0..length) as usize)
                .collect()
        }
    }

    /// Interval of an estimate. Each call of `resampled` gives the statistic of one new sample.
    pub(super) fn interval(
        &self,
        value: f64,
        mut resampled: impl FnMut() -> Option<f64>,
    ) -> Option<Estimate> {
        let statistics = (0..self.resamples).filter_map(|_| resampled());
        percentiles(value, statistics.collect())
    }

    fn rng(&self) -> Rng {
        seed::stream(self.root, Split::Eval, 0, 0, Purpose::Bootstrap)
    }
}

/// The estimate `value` with the 2.5th and 97.5th percentile of the resampled statistics.
fn percentiles(value: f64, mut statistics: Vec<f64>) -> Option<Estimate> {
    statistics.sort_unstable_by(f64::total_cmp);
    Some(Estimate {
        value,
        low: quantile(&statistics, 0.025)?,
        high: quantile(&statistics, 0.975)?,
    })
}

fn slices(strata: &[Vec<f64>]) -> Vec<&[f64]> {
    strata.iter().map(Vec::as_slice).collect()
}

/// Draws `values.len()` values with replacement.
fn resample<'a>(values: &'a [f64], rng: &'a mut Rng) -> impl Iterator<Item = f64> + 'a {
    let count = values.len() as u32;
    (0..count).map(move |_| values[rng.random_range(0..count) as usize])
}

/// P(A > B): the probability that a random run of `a` is better than a random run of `b`. A tie
/// counts as a half. This is the Mann–Whitney statistic divided by the number of pairs (Agarwal et
/// al. 2021, §4.3). Returns `None` if either side is empty.
pub fn probability_greater(a: &[f64], b: &[f64]) -> Option<f64> {
    let pairs = (a.len() * b.len()) as f64;
    let wins: f64 = a
        .iter()
        .flat_map(|a| {
            b.iter().map(move |b| match a.total_cmp(b) {
                Ordering::Greater => 1.0,
                Ordering::Equal => 0.5,
                Ordering::Less => 0.0,
            })
        })
        .sum();
    (pairs > 0.0).then(|| wins / pairs)
}

/// Probability of improvement (Agarwal et al. 2021, §4.3): the mean of [`probability_greater`] over
/// tasks. `a[task]` and `b[task]` hold one value per seed. Returns `None` without tasks, if a
/// stratum is empty or if the two sides have different numbers of tasks.
pub fn probability_of_improvement(a: &[&[f64]], b: &[&[f64]]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let strata = a.iter().zip(b);
    let per_task: Option<Vec<f64>> = strata.map(|(a, b)| probability_greater(a, b)).collect();
    mean(&per_task?)
}

/// [`probability_greater`] with its bootstrap interval. Both sides are resampled.
pub fn probability_greater_interval(
    a: &[f64],
    b: &[f64],
    bootstrap: Bootstrap,
) -> Option<Estimate> {
    bootstrap.probability_of_improvement(&[a], &[b])
}

/// Conclusion that a paired difference supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceFinding {
    /// There are fewer than [`MIN_SEEDS`] pairs, so nothing is claimed.
    TooFewSeeds,
    /// The interval contains 0.
    NoDifference,
    /// The interval lies above 0.
    Higher,
    /// The interval lies below 0.
    Lower,
}

/// Conclusion that a paired difference over `seeds` pairs supports.
pub fn finding(difference: &Estimate, seeds: usize) -> DifferenceFinding {
    if seeds < MIN_SEEDS {
        DifferenceFinding::TooFewSeeds
    } else if difference.contains(0.0) {
        DifferenceFinding::NoDifference
    } else if difference.low > 0.0 {
        DifferenceFinding::Higher
    } else {
        DifferenceFinding::Lower
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_an_interval_without_width() {
        let estimate = Bootstrap::default()
            .interquartile_mean(&[&[0.7; 5]])
            .unwrap();
        assert!((estimate.low - 0.7).abs() < 1e-12 && (estimate.high - 0.7).abs() < 1e-12);
    }

    #[test]
    fn the_same_root_gives_the_same_interval() {
        let values = [0.1, 0.5, 0.2, 0.9, 0.4];
        let bootstrap = Bootstrap::default();
        assert_eq!(bootstrap.mean(&values), bootstrap.mean(&values));
        let other = Bootstrap {
            root: 1,
            ..bootstrap
        };
        assert_ne!(bootstrap.mean(&values), other.mean(&values));
    }

    #[test]
    fn pairing_detects_a_difference_smaller_than_the_spread_over_seeds() {
        let b = [0.1, 0.3, 0.5, 0.7, 0.9];
        let a = b.map(|value| value + 0.05);
        let paired = Bootstrap::default().paired_difference(&a, &b).unwrap();
        assert_eq!(finding(&paired, 5), DifferenceFinding::Higher);
        let unpaired = Bootstrap::default().mean(&b).unwrap();
        assert!(unpaired.contains(0.55));
    }

    #[test]
    fn a_finding_needs_enough_seeds_and_an_interval_without_zero() {
        let clear = Estimate {
            value: 0.2,
            low: 0.1,
            high: 0.3,
        };
        let unclear = Estimate {
            value: 0.2,
            low: 0.0,
            high: 0.3,
        };
        assert_eq!(finding(&clear, 4), DifferenceFinding::TooFewSeeds);
        assert_eq!(finding(&clear, 5), DifferenceFinding::Higher);
        assert_eq!(finding(&unclear, 5), DifferenceFinding::NoDifference);
        let below = Estimate {
            value: -0.2,
            low: -0.3,
            high: -0.1,
        };
        assert_eq!(finding(&below, 9), DifferenceFinding::Lower);
    }

    #[test]
    fn empty_samples_have_no_estimate() {
        assert_eq!(Bootstrap::default().mean(&[]), None);
        assert_eq!(
            Bootstrap::default().interquartile_mean(&[&[1.0], &[]]),
            None
        );
        assert_eq!(probability_greater(&[], &[1.0]), None);
        assert_eq!(probability_of_improvement(&[], &[]), None);
        assert_eq!(probability_of_improvement(&[&[1.0]], &[]), None);
        let profile = |strata: &[&[f64]]| Bootstrap::default().performance_profile(strata, &[0.5]);
        assert_eq!(profile(&[]), None);
        assert_eq!(profile(&[&[1.0], &[]]), None);
        assert_eq!(profile(&[&[f64::NAN]]), None);
    }

    #[test]
    fn a_performance_profile_falls_and_excludes_ties() {
        let strata: [&[f64]; 2] = [&[0.2, 0.4, 0.4], &[0.6, 0.8, 1.0]];
        let thresholds = [-1.0, 0.4, 0.7, 1.0];
        let bootstrap = Bootstrap::default();
        let profile = bootstrap.performance_profile(&strata, &thresholds).unwrap();
        let shares: Vec<f64> = profile.iter().map(|point| point.value).collect();
        assert_eq!(shares, [1.0, 0.5, 2.0 / 6.0, 0.0]);
        // In every sample, half of the runs belong to a task that never exceeds 0.4.
        assert_eq!((profile[1].low, profile[1].high), (0.5, 0.5));
        assert!(profile[2].low < 0.2 && profile[2].high > 0.45);
    }

    #[test]
    fn improvement_is_the_mean_over_tasks() {
        let (a, b): ([&[f64]; 2], [&[f64]; 2]) = ([&[1.0, 2.0], &[5.0]], [&[0.0], &[5.0, 6.0]]);
        // A is always better on the first task. The second task has a tie and a loss.
        assert_eq!(probability_of_improvement(&a, &b), Some(0.625));
    }
}
