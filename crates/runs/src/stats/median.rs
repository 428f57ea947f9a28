//! The median, and how sure it is.

use super::{Estimate, quantile};

/// The median with a 95 % interval between two of the values, which holds whatever they are
/// distributed like: how many of them lie below the true median is a binomial count (Conover 1999,
/// *Practical Nonparametric Statistics*, section 3.2). Sorts the values. Absent of fewer than six,
/// between which no two are far enough apart.
pub fn median_interval(values: &mut [f64]) -> Option<Estimate> {
    const TAIL: f64 = 0.025;
    values.sort_unstable_by(f64::total_cmp);
    let count = values.len() as f64;
    // ln of the chance that `below` of all values lie below the median.
    let mut log = count * 0.5_f64.ln();
    let (mut below, mut chance) = (0, 0.0);
    while below < values.len() {
        chance += log.exp();
        if chance > TAIL {
            break;
        }
        log += ((count - below as f64) / (below as f64 + 1.0)).ln();
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

    /// The ends for so many values that are their own ranks.
    fn ranks(count: u32) -> Option<(f64, f64, f64)> {
        let mut values: Vec<f64> = (1..=count).rev().map(f64::from).collect();
        median_interval(&mut values).map(|median| (median.low, median.value, median.high))
    }

    #[test]
    fn ranks_are_those_of_the_tables() {
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
