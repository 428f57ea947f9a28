//! The mean of the worst: a lower tail that one sample chooses and another scores.

use super::{Bootstrap, Estimate};

/// The mean of `scores` over the `count` places whose `chosen_by` is least: conditional value at
/// risk (CVaR) where the tail is chosen and scored by independent measurements of the same
/// places. Scored by what chose them, places would seem worse than they are: some were chosen for
/// bad luck alone. Places that tie for the last of the `count` share what is left of it.
///
/// Absent where `count` is 0 or more than there are places, and where the two are not of one
/// length.
pub fn tail_mean(chosen_by: &[f64], scores: &[f64], count: usize) -> Option<f64> {
    if count == 0 || count > chosen_by.len() || chosen_by.len() != scores.len() {
        return None;
    }
    let mut places: Vec<(f64, f64)> = chosen_by
        .iter()
        .copied()
        .zip(scores.iter().copied())
        .collect();
    places.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut sum = 0.0;
    let mut left = count;
    for tied in places.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let all: f64 = tied.iter().map(|place| place.1).sum();
        let taken = tied.len().min(left);
        sum += all * (taken as f64 / tied.len() as f64);
        left -= taken;
        if left == 0 {
            break;
        }
    }
    Some(sum / count as f64)
}

impl Bootstrap {
    /// [`tail_mean`], places resampled whole and chosen anew each time. Absent where that is.
    pub fn tail_mean(&self, chosen_by: &[f64], scores: &[f64], count: usize) -> Option<Estimate> {
        let estimate = tail_mean(chosen_by, scores, count)?;
        let mut draw = self.resampled_indices(chosen_by.len());
        self.interval(estimate, || {
            let places = draw();
            let of = |values: &[f64]| -> Vec<f64> {
                places.iter().map(|&place| values[place]).collect()
            };
            tail_mean(&of(chosen_by), &of(scores), count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_chosen_by_one_sample_and_scored_by_the_other() {
        let (chosen_by, scores) = ([0.1, 0.9, 0.0, 0.8], [0.5, 0.0, 0.3, 1.0]);
        assert_eq!(tail_mean(&chosen_by, &scores, 1), Some(0.3));
        assert_eq!(tail_mean(&chosen_by, &scores, 2), Some(0.4));
        assert_eq!(tail_mean(&chosen_by, &scores, 4), Some(0.45));
    }

    #[test]
    fn places_that_tie_share_what_is_left() {
        // One is in for certain; three tie for the one place that is left.
        let (chosen_by, scores) = ([0.5, 0.0, 0.5, 0.5, 1.0], [0.9, 0.2, 0.6, 0.3, 0.0]);
        let sum = 0.2 + (0.9 + 0.6 + 0.3) / 3.0;
        assert!((tail_mean(&chosen_by, &scores, 2).unwrap() * 2.0 - sum).abs() < 1e-12);
    }

    #[test]
    fn what_makes_no_tail_has_no_mean() {
        for (chosen_by, scores, count) in [
            (&[0.0][..], &[0.0][..], 0),
            (&[0.0], &[0.0], 2),
            (&[0.0, 1.0], &[0.0], 1),
        ] {
            assert_eq!(tail_mean(chosen_by, scores, count), None);
            assert_eq!(
                Bootstrap::default().tail_mean(chosen_by, scores, count),
                None
            );
        }
    }

    #[test]
    fn the_interval_holds_the_choice_too() {
        // A tenth of the places succeed half the time, all others always: the worst tenth comes
        // to a half, and a sample that has fewer of the bad ones to more.
        let scores: Vec<f64> = (0..200)
            .map(|place| if place % 10 == 0 { 0.5 } else { 1.0 })
            .collect();
        let tail = Bootstrap::default().tail_mean(&scores, &scores, 20);
        let tail = tail.unwrap();
        assert!((tail.value - 0.5).abs() < 1e-12);
        assert!((tail.low - 0.5).abs() < 1e-12);
        assert!((0.6..0.8).contains(&tail.high), "{tail:?}");
    }
}
