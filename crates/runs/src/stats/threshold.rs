//! The value of a setting at which half of the runs fail.

use std::collections::BTreeMap;

use super::{Bootstrap, Estimate, quantile};

/// Whether a run failed, at each tried value of a setting.
pub type Outcomes = Vec<(f64, bool)>;

/// Slopes of the logistic curve that are tried, per unit of the setting. A curve that is steeper
/// than the last one cannot be told from a step.
const SLOPES: [f64; 9] = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0];

/// Values of the threshold that are tried between the lowest and the highest value.
const GRID: u32 = 400;

impl Bootstrap {
    /// The value at which half of the runs fail: the middle of a logistic curve, fitted to all
    /// outcomes by maximum likelihood. `seeds[i]` holds the outcomes of one seed at all tried
    /// values; failures become more frequent with larger values. The interval resamples seeds as a
    /// whole.
    ///
    /// Outcomes that a step separates have the middle between the highest value that works and the
    /// lowest that fails. `None` unless some runs fail and others do not.
    pub fn failure_threshold(&self, seeds: &[Outcomes]) -> Option<Estimate> {
        let value = fit(seeds.iter())?;
        let mut indices = self.resampled_indices(seeds.len());
        // Few seeds have few distinct samples, and the order of a sample does not matter.
        let mut fits: BTreeMap<Vec<usize>, Option<f64>> = BTreeMap::new();
        let samples = (0..self.resamples).filter_map(|_| {
            let mut sample = indices();
            sample.sort_unstable();
            let fitted = fits.entry(sample);
            let fitted =
                fitted.or_insert_with_key(|sample| fit(sample.iter().map(|&index| &seeds[index])));
            *fitted
        });
        let mut samples: Vec<f64> = samples.collect();
        samples.sort_unstable_by(f64::total_cmp);
        Some(Estimate {
            value,
            low: quantile(&samples, 0.025).unwrap_or(value),
            high: quantile(&samples, 0.975).unwrap_or(value),
        })
    }
}

/// Outcomes at one value: the value, runs that failed, and all runs.
type Count = (f64, f64, f64);

/// The middle of the most likely curve. Several curves can be equally likely; their mean is taken.
fn fit<'a>(seeds: impl Iterator<Item = &'a Outcomes>) -> Option<f64> {
    let mut outcomes: Vec<(f64, bool)> = seeds.flatten().copied().collect();
    outcomes.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut counts: Vec<Count> = Vec::new();
    for (value, failed) in outcomes {
        if counts.last().is_none_or(|last| last.0 < value) {
            counts.push((value, 0.0, 0.0));
        }
        if let Some((_, failures, runs)) = counts.last_mut() {
            *failures += f64::from(failed);
            *runs += 1.0;
        }
    }
    let some_fail = counts.iter().any(|count| count.1 > 0.0);
    let some_work = counts.iter().any(|count| count.1 < count.2);
    let (&(low, ..), &(high, ..)) = (counts.first()?, counts.last()?);
    if !some_fail || !some_work {
        return None;
    }
    let candidates = (0..=GRID).map(|at| low + (high - low) * f64::from(at) / f64::from(GRID));
    let scored = candidates.map(|middle| {
        let slopes = SLOPES.iter();
        let likelihoods = slopes.map(|slope| log_likelihood(&counts, middle, *slope));
        (middle, likelihoods.fold(f64::NEG_INFINITY, f64::max))
    });
    let scored: Vec<(f64, f64)> = scored.collect();
    let best = scored
        .iter()
        .fold(f64::NEG_INFINITY, |best, &(_, score)| best.max(score));
    let best = scored.iter().filter(|(_, score)| *score > best - 1e-9);
    let best: Vec<f64> = best.map(|&(middle, _)| middle).collect();
    Some(best.iter().sum::<f64>() / best.len() as f64)
}

fn log_likelihood(counts: &[Count], middle: f64, slope: f64) -> f64 {
    let terms = counts.iter().map(|&(value, failures, runs)| {
        let x = slope * (value - middle);
        // ln σ(x) and ln σ(−x), without overflow.
        let fails = -(-x).exp().ln_1p();
        let works = -x.exp().ln_1p();
        failures * fails + (runs - failures) * works
    });
    terms.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bootstrap() -> Bootstrap {
        Bootstrap {
            resamples: 300,
            ..Bootstrap::default()
        }
    }

    /// Five seeds that each fail from their own threshold on.
    fn seeds(thresholds: [f64; 5], values: &[f64]) -> Vec<Outcomes> {
        let outcomes = |threshold: f64| values.iter().map(move |&x| (x, x > threshold)).collect();
        thresholds.map(outcomes).to_vec()
    }

    #[test]
    fn a_step_has_its_middle_as_threshold() {
        let seeds = seeds([2.5; 5], &[0.0, 1.0, 2.0, 3.0, 4.0]);
        let found = bootstrap().failure_threshold(&seeds).unwrap();
        assert!((found.value - 2.5).abs() < 0.01, "{found:?}");
        assert!((found.high - found.low).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn half_of_the_seeds_fail_at_the_threshold() {
        let values: Vec<f64> = (0..=12).map(|at| f64::from(at) * 0.5).collect();
        let seeds = seeds([1.25, 2.25, 3.25, 4.25, 5.25], &values);
        let found = bootstrap().failure_threshold(&seeds).unwrap();
        assert!((found.value - 3.25).abs() < 0.1, "{found:?}");
        assert!(found.low < 2.6 && found.high > 3.9, "{found:?}");
        assert!(found.low > 1.2 && found.high < 5.3, "{found:?}");
    }

    #[test]
    fn outcomes_that_are_all_the_same_have_no_threshold() {
        assert_eq!(bootstrap().failure_threshold(&[]), None);
        let values = [0.0, 1.0];
        assert_eq!(
            bootstrap().failure_threshold(&seeds([9.0; 5], &values)),
            None
        );
        assert_eq!(
            bootstrap().failure_threshold(&seeds([-9.0; 5], &values)),
            None
        );
    }
}
