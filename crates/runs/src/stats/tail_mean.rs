//! Mean over a lower tail that is selected with one sample and scored with another.

use super::{Bootstrap, Estimate};

/// Mean of `scores` over the `count` items with the smallest `selection` values. This is the
/// conditional value at risk (CVaR) with independent measurements of the same items for selection
/// and for scoring. With a single measurement the result would be biased downwards, because some
/// items are selected only because of bad luck. Items that tie at the end of the tail share the
/// remaining weight.
///
/// Both slices have one value per item. Returns `None` if `count` is 0 or exceeds the number of
/// items, or if the slices differ in length.
pub fn tail_mean(selection: &[f64], scores: &[f64], count: usize) -> Option<f64> {
    if count == 0 || count > selection.len() || selection.len() != scores.len() {
        return None;
    }
    let mut items: Vec<(f64, f64)> = selection
        .iter()
        .copied()
        .zip(scores.iter().copied())
        .collect();
    items.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut sum = 0.0;
    let mut remaining = count;
    for tied in items.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let tied_sum: f64 = tied.iter().map(|item| item.1).sum();
        let taken = tied.len().min(remaining);
        sum += tied_sum * (taken as f64 / tied.len() as f64);
        remaining -= taken;
        if remaining == 0 {
            break;
        }
    }
    Some(sum / count as f64)
}

impl Bootstrap {
    /// [`tail_mean`] with its interval. Items are resampled with both of their values, and the tail
    /// is selected again in each sample. Returns `None` where that function does.
    pub fn tail_mean(&self, selection: &[f64], scores: &[f64], count: usize) -> Option<Estimate> {
        let estimate = tail_mean(selection, scores, count)?;
        let mut draw = self.resampled_indices(selection.len());
        self.interval(estimate, || {
            let indices = draw();
            let pick = |values: &[f64]| -> Vec<f64> {
                indices.iter().map(|&index| values[index]).collect()
            };
            tail_mean(&pick(selection), &pick(scores), count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sample_selects_the_tail_and_the_other_scores_it() {
        let (selection, scores) = ([0.1, 0.9, 0.0, 0.8], [0.5, 0.0, 0.3, 1.0]);
        assert_eq!(tail_mean(&selection, &scores, 1), Some(0.3));
        assert_eq!(tail_mean(&selection, &scores, 2), Some(0.4));
        assert_eq!(tail_mean(&selection, &scores, 4), Some(0.45));
    }

    #[test]
    fn tied_items_share_the_remaining_weight() {
        // One item is always in the tail. Three tie for the second place.
        let (selection, scores) = ([0.5, 0.0, 0.5, 0.5, 1.0], [0.9, 0.2, 0.6, 0.3, 0.0]);
        let sum = 0.2 + (0.9 + 0.6 + 0.3) / 3.0;
        assert!((tail_mean(&selection, &scores, 2).unwrap() * 2.0 - sum).abs() < 1e-12);
    }

    #[test]
    fn an_invalid_tail_has_no_mean() {
        for (selection, scores, count) in [
            (&[0.0][..], &[0.0][..], 0),
            (&[0.0], &[0.0], 2),
            (&[0.0, 1.0], &[0.0], 1),
        ] {
            assert_eq!(tail_mean(selection, scores, count), None);
            assert_eq!(
                Bootstrap::default().tail_mean(selection, scores, count),
                None
            );
        }
    }

    #[test]
    fn the_interval_includes_the_variance_of_the_selection() {
        // A tenth of the items succeed half the time, all others always. The worst tenth has a
        // mean of a half. A sample with fewer bad items has a higher one.
        let scores: Vec<f64> = (0..200)
            .map(|index| if index % 10 == 0 { 0.5 } else { 1.0 })
            .collect();
        let tail = Bootstrap::default().tail_mean(&scores, &scores, 20);
        let tail = tail.unwrap();
        assert!((tail.value - 0.5).abs() < 1e-12);
        assert!((tail.low - 0.5).abs() < 1e-12);
        assert!((0.6..0.8).contains(&tail.high), "{tail:?}");
    }
}
