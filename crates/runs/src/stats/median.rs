//! Median with a distribution-free interval.

use super::{Estimate, quantile};

/// Median with a 95 % interval whose ends are two of the values. The interval is valid for any
/// distribution, because the number of values below the true median is binomial (Conover 1999,
/// *Practical Nonparametric Statistics*, section 3.2). Sorts `values`. Returns `None` with fewer
/// than six values, which are too few for a 95 % interval.
pub fn median_interval(values: &mut [f64]) -> Option<Estimate> {
    const TAIL: f64 = 0.025;
    values.sort_unstable_by(f64::total_cmp);
    let count = values.len() as f64;
    // Log-probability that exactly `below` of the values lie below the median.
    let mut log_probability = count * 0.5_f64.ln();
    let (mut below, mut cumulative) = (0, 0.0);
    while below < values.len() {
        cumulative += log_probability.exp();
        if cumulative > TAIL {
            break;
        }
        log_probability += ((count - below as f64) / (below as f64 + 1.0)).ln();
        below += 1;
    }
    let low = *values.get(below.checked_sub(1)?)?;
    Some(Estimate {
        value: quantile(values, 0.5)?,
        low,
        high: values[values.len() - below],
    })
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these numbers are exact")]
mod tests {
    use super::*;

    /// Low end, median and high end for the values 1 to `count`, which equal their ranks.
    fn ranks(count: u32) -> Option<(f64, f64, f64)> {
        let mut values: Vec<f64> = (1..=count).rev().map(f64::from).collect();
        median_interval(&mut values).map(|median| (median.low, median.value, median.high))
    }

    #[test]
    fn ranks_match_published_tables() {
        assert_eq!([0, 1, 5].map(ranks), [None; 3]);
        assert_eq!(ranks(6), Some((1.0, 3.5, 6.0)));
        assert_eq!(ranks(10), Some((2.0, 5.5, 9.0)));
        assert_eq!(ranks(25), Some((8.0, 13.0, 18.0)));
        assert_eq!(ranks(100), Some((40.0, 50.5, 61.0)));
        let (low, _, high) = ranks(5000).unwrap();
        assert!(
            (2430.0..2432.0).contains(&low) && low + high == 5001.0,
            "{low}"
        );
    }
}
