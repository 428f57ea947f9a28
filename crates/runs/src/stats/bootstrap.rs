//! Percentile bootstrap intervals over seeds (Efron 1979; Agarwal et al. 2021, §4.2), as the
//! authors' package `rliable` draws them. A *stratum* holds the runs of one task, one value a
//! seed; strata are resampled one by one, so that every sample has as many runs of each task.

use std::cmp::Ordering;

use rand::RngExt as _;

use super::{Estimate, MIN_VALUES, interquartile_mean, mean, quantile};
use evenkeel_sim::seed::{self, Purpose, Rng, RootSeed, Split};

/// Under this many seeds no claim is made about a difference.
pub const MIN_SEEDS: usize = MIN_VALUES;

/// Draws bootstrap samples. The same root gives the same intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Root of the stream that draws.
    pub root: RootSeed,
    /// How many samples.
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
    /// The interquartile mean of all strata's values together, each stratum (a task) resampled
    /// on its own; with one stratum this is the plain bootstrap over its seeds. Absent where a
    /// stratum is empty.
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

    /// Performance profile: for each threshold τ, the share of all strata's values above it
    /// (Agarwal et al. 2021, §4.3, the score distribution), with pointwise intervals. Absent where
    /// a stratum is empty or a value is NaN.
    pub fn performance_profile(
        &self,
        strata: &[&[f64]],
        thresholds: &[f64],
    ) -> Option<Vec<Estimate>> {
        let all = || strata.iter().copied().flatten();
        let unknown = all().any(|value| value.is_nan());
        if unknown || strata.is_empty() || strata.iter().any(|stratum| stratum.is_empty()) {
            return None;
        }
        let mut sorted: Vec<f64> = all().copied().collect();
        let profile = |values: &mut [f64]| -> Vec<f64> {
            values.sort_unstable_by(f64::total_cmp);
            let share = |&threshold: &f64| {
                let above = values.len() - values.partition_point(|&value| value <= threshold);
                above as f64 / values.len() as f64
            };
            thresholds.iter().map(share).collect()
        };
        let estimate = profile(&mut sorted);
        let mut rng = self.rng();
        let mut drawn = vec![Vec::with_capacity(self.resamples as usize); thresholds.len()];
        for _ in 0..self.resamples {
            sorted.clear();
            for stratum in strata {
                sorted.extend(resample(stratum, &mut rng));
            }
            for (drawn, share) in drawn.iter_mut().zip(profile(&mut sorted)) {
                drawn.push(share);
            }
        }
        let points = estimate.into_iter().zip(drawn);
        points
            .map(|(value, drawn)| percentiles(value, drawn))
            .collect()
    }

    /// P(A > B) over strata (see [`probability_of_improvement`]), both sides resampled apart.
    /// Absent where a stratum is empty or one side has more strata than the other.
    pub fn probability_of_improvement(&self, a: &[&[f64]], b: &[&[f64]]) -> Option<Estimate> {
        let estimate = probability_of_improvement(a, b)?;
        let mut rng = self.rng();
        let mut side = |strata: &[&[f64]]| -> Vec<Vec<f64>> {
            let strata = strata.iter();
            strata
                .map(|stratum| resample(stratum, &mut rng).collect())
                .collect()
        };
        self.interval(estimate, || {
            let (a, b) = (side(a), side(b));
            probability_of_improvement(&slices(&a), &slices(&b))
        })
    }

    /// The mean. Absent without values.
    pub fn mean(&self, values: &[f64]) -> Option<Estimate> {
        let estimate = mean(values)?;
        let mut rng = self.rng();
        let count = values.len() as f64;
        self.interval(estimate, || {
            Some(resample(values, &mut rng).sum::<f64>() / count)
        })
    }

    /// The mean of `a − b` over pairs, which are resampled whole. `a[i]` and `b[i]` share a seed.
    /// Absent without pairs.
    ///
    /// # Panics
    /// If the two are not of one length.
    pub fn paired_difference(&self, a: &[f64], b: &[f64]) -> Option<Estimate> {
        assert_eq!(a.len(), b.len(), "pairs have two sides");
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        self.mean(&differences)
    }

    /// Draws places of a sample of this length, with replacement.
    pub(super) fn resampled_indices(&self, length: usize) -> impl FnMut() -> Vec<usize> {
        let mut rng = self.rng();
        let length = length as u32;
        move || {
            (0..length)
                .map(|_| rng.random_range(0..length) as usize)
                .collect()
        }
    }

    pub(super) fn interval(
        &self,
        value: f64,
        mut draw: impl FnMut() -> Option<f64>,
    ) -> Option<Estimate> {
        percentiles(value, (0..self.resamples).filter_map(|_| draw()).collect())
    }

    fn rng(&self) -> Rng {
        seed::stream(self.root, Split::Eval, 0, 0, Purpose::Bootstrap)
    }
}

/// An estimate between the 2.5th and the 97.5th percentile of what was drawn.
fn percentiles(value: f64, mut drawn: Vec<f64>) -> Option<Estimate> {
    drawn.sort_unstable_by(f64::total_cmp);
    Some(Estimate {
        value,
        low: quantile(&drawn, 0.025)?,
        high: quantile(&drawn, 0.975)?,
    })
}

fn slices(strata: &[Vec<f64>]) -> Vec<&[f64]> {
    strata.iter().map(Vec::as_slice).collect()
}

/// As many values as there are, drawn with replacement.
fn resample<'a>(values: &'a [f64], rng: &'a mut Rng) -> impl Iterator<Item = f64> + 'a {
    let count = values.len() as u32;
    (0..count).map(move |_| values[rng.random_range(0..count) as usize])
}

/// P(A > B): the chance that a run of `a` beats a run of `b`, ties counting half (the
/// Mann–Whitney statistic over the number of pairs; Agarwal et al. 2021, §4.3). Absent where
/// either is empty.
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

/// P(A > B) over several strata: the mean of each stratum's [`probability_greater`] (Agarwal et
/// al. 2021, §4.3, the probability of improvement). `a[i]` and `b[i]` are of one task. Absent where
/// a stratum is empty or one side has more strata than the other.
pub fn probability_of_improvement(a: &[&[f64]], b: &[&[f64]]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let strata = a.iter().zip(b);
    let each: Option<Vec<f64>> = strata.map(|(a, b)| probability_greater(a, b)).collect();
    mean(&each?)
}

/// P(A > B) of one task with its interval, both sides resampled.
pub fn probability_greater_interval(a: &[f64], b: &[f64], how: Bootstrap) -> Option<Estimate> {
    how.probability_of_improvement(&[a], &[b])
}

/// What a paired difference allows to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceFinding {
    /// Fewer than [`MIN_SEEDS`] pairs: nothing is claimed.
    TooFewSeeds,
    /// The interval contains 0.
    NoDifference,
    /// The whole interval is above 0.
    Higher,
    /// The whole interval is below 0.
    Lower,
}

/// What a paired difference over `seeds` pairs allows to be said.
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
    fn what_does_not_vary_has_no_interval() {
        let estimate = Bootstrap::default()
            .interquartile_mean(&[&[0.7; 5]])
            .unwrap();
        assert!((estimate.low - 0.7).abs() < 1e-12 && (estimate.high - 0.7).abs() < 1e-12);
    }

    #[test]
    fn the_same_root_gives_the_same_interval() {
        let values = [0.1, 0.5, 0.2, 0.9, 0.4];
        let how = Bootstrap::default();
        assert_eq!(how.mean(&values), how.mean(&values));
        let other = Bootstrap { root: 1, ..how };
        assert_ne!(how.mean(&values), other.mean(&values));
    }

    #[test]
    fn pairing_finds_what_the_spread_over_seeds_would_hide() {
        let b = [0.1, 0.3, 0.5, 0.7, 0.9];
        let a = b.map(|value| value + 0.05);
        let paired = Bootstrap::default().paired_difference(&a, &b).unwrap();
        assert_eq!(finding(&paired, 5), DifferenceFinding::Higher);
        let unpaired = Bootstrap::default().mean(&b).unwrap();
        assert!(unpaired.contains(0.55));
    }

    #[test]
    fn findings_are_careful() {
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
    fn a_profile_falls_from_all_to_none_and_a_tie_is_not_above() {
        let strata: [&[f64]; 2] = [&[0.2, 0.4, 0.4], &[0.6, 0.8, 1.0]];
        let thresholds = [-1.0, 0.4, 0.7, 1.0];
        let how = Bootstrap::default();
        let profile = how.performance_profile(&strata, &thresholds).unwrap();
        let shares: Vec<f64> = profile.iter().map(|point| point.value).collect();
        assert_eq!(shares, [1.0, 0.5, 2.0 / 6.0, 0.0]);
        // Whatever is drawn, half the runs are of a task that is never above 0.4.
        assert_eq!((profile[1].low, profile[1].high), (0.5, 0.5));
        assert!(profile[2].low < 0.2 && profile[2].high > 0.45);
    }

    #[test]
    fn improvement_is_the_mean_over_tasks() {
        let (a, b): ([&[f64]; 2], [&[f64]; 2]) = ([&[1.0, 2.0], &[5.0]], [&[0.0], &[5.0, 6.0]]);
        // Always better on the first task; on the second a tie and a defeat.
        assert_eq!(probability_of_improvement(&a, &b), Some(0.625));
    }
}
