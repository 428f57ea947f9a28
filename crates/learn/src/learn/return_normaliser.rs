//! Normalisation of the returns that the critic learns. What is applied stays frozen until
//! [`ReturnNormaliser::advance`], which the training loop calls once per iteration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RunningMoments;

/// Smallest standard deviation to divide by, about: returns that have hardly varied so far are not
/// blown up.
const MIN_STD: f64 = 1e-2;

/// Percentiles between which the range of returns lies.
const PERCENTILES: [f64; 2] = [0.05, 0.95];

/// Smallest weight of a rollout in the moving range. The first rollout has weight 1, the second
/// 1/2, the third 1/3, down to this.
const RANGE_WEIGHT: f64 = 0.01;

/// Returns whose range is smaller than this are not scaled up.
const MIN_RANGE: f64 = 1.0;

/// Normalises the returns that the critic learns. Values are turned back into units of rewards
/// before advantages are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReturnScaling {
    /// No normalisation.
    Off,
    /// Subtracts the mean and divides by the standard deviation of all returns so far. When they
    /// move, the critic's output layer is corrected so that its values stay the same (`PopArt`, van
    /// Hasselt et al. 2016, <https://arxiv.org/abs/1602.07714>).
    #[default]
    Moments,
    /// Divides by the range from the 5th to the 95th percentile of a rollout's returns, in a moving
    /// average with decay 0.99, where that is above 1 (Hafner et al. 2023,
    /// <https://arxiv.org/abs/2301.04104>). Rare large returns hardly count. The critic's output
    /// layer is corrected as with `moments`.
    Percentile,
    /// sign(R) ln(1 + |R|), from the same paper. It has no statistics, so nothing moves. The critic
    /// then underestimates returns that vary: it learns the mean of their logarithms.
    Symlog,
}

/// Statistics of returns.
#[derive(Clone, Debug, PartialEq)]
pub struct ReturnMoments {
    /// Moments, of vectors of length 1.
    pub moments: RunningMoments,
    /// Range, for [`ReturnScaling::Percentile`].
    pub range: Option<ReturnRange>,
}

/// A moving range of returns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReturnRange {
    /// Rollouts so far.
    pub count: f64,
    /// 5th percentile.
    pub low: f64,
    /// 95th percentile.
    pub high: f64,
}

impl ReturnRange {
    /// The range of one rollout's returns, in any order; of none without returns.
    pub(super) fn of(mut returns: Vec<f32>) -> Self {
        returns.sort_unstable_by(f32::total_cmp);
        let Some(last) = returns.len().checked_sub(1) else {
            return Self::default();
        };
        let [low, high] = PERCENTILES.map(|share| {
            let place = share * last as f64;
            let (below, above) = (place.floor() as usize, place.ceil() as usize);
            let [below, above] = [below, above].map(|index| f64::from(returns[index]));
            below + (above - below) * place.fract()
        });
        let count = 1.0;
        Self { count, low, high }
    }

    /// Takes in the range of another rollout.
    fn advance(&mut self, new: &Self) {
        if new.count == 0.0 {
            return;
        }
        let weight = RANGE_WEIGHT.max(1.0 / (self.count + 1.0));
        self.count += 1.0;
        self.low += weight * (new.low - self.low);
        self.high += weight * (new.high - self.high);
    }
}

impl ReturnMoments {
    /// Statistics of no returns, for a kind of normalisation.
    pub fn new(kind: ReturnScaling) -> Self {
        Self {
            moments: RunningMoments::new(1),
            range: kind.uses_range().then(ReturnRange::default),
        }
    }

    fn is_finite(&self) -> bool {
        let range = self.range.unwrap_or_default();
        let [mean, squares] = [&self.moments.mean, &self.moments.squares].map(|of| of[0]);
        [mean, squares, range.low, range.high]
            .iter()
            .all(|number| number.is_finite())
    }
}

impl ReturnScaling {
    /// Whether it needs a [`ReturnRange`].
    pub(super) fn uses_range(self) -> bool {
        self == Self::Percentile
    }

    /// The name in a configuration, for a kind whose statistics move.
    pub(super) fn moving_statistics(self) -> Option<&'static str> {
        match self {
            Self::Moments => Some("moments"),
            Self::Percentile => Some("percentile"),
            Self::Off | Self::Symlog => None,
        }
    }
}

/// Normalises returns, and turns values back into units of rewards.
#[derive(Clone, Debug, PartialEq)]
pub struct ReturnNormaliser {
    kind: ReturnScaling,
    statistics: ReturnMoments,
    mean: f32,
    scale: f32,
}

impl ReturnNormaliser {
    /// Normalises by these statistics; without any returns in them, only
    /// [`ReturnScaling::Symlog`] changes a number.
    pub fn new(kind: ReturnScaling, statistics: ReturnMoments) -> Self {
        let range = statistics.range.unwrap_or_default();
        let (mean, scale) = match kind {
            ReturnScaling::Moments if statistics.moments.count > 0.0 => {
                let moments = &statistics.moments;
                let variance = moments.squares[0] / moments.count;
                let scale = (1.0 / (variance + MIN_STD * MIN_STD).sqrt()) as f32;
                (moments.mean[0] as f32, scale)
            }
            ReturnScaling::Percentile if range.count > 0.0 => {
                (0.0, (1.0 / (range.high - range.low).max(MIN_RANGE)) as f32)
            }
            ReturnScaling::Off
            | ReturnScaling::Moments
            | ReturnScaling::Percentile
            | ReturnScaling::Symlog => (0.0, 1.0),
        };
        Self {
            kind,
            statistics,
            mean,
            scale,
        }
    }

    /// The statistics so far.
    pub fn statistics(&self) -> &ReturnMoments {
        &self.statistics
    }

    /// The kind of normalisation.
    pub(super) fn kind(&self) -> ReturnScaling {
        self.kind
    }

    /// Whether it has statistics of any returns.
    pub(super) fn has_statistics(&self) -> bool {
        let range = self.statistics.range.unwrap_or_default();
        self.statistics.moments.count > 0.0 || range.count > 0.0
    }

    /// Takes in the statistics of a rollout, and applies the result from now on. Statistics that are
    /// not finite are left out.
    pub fn advance(&mut self, new: &ReturnMoments) {
        if !new.is_finite() {
            return;
        }
        let statistics = &mut self.statistics;
        match (self.kind, &mut statistics.range, &new.range) {
            (ReturnScaling::Moments, _, _) => statistics.moments.merge(&new.moments),
            (ReturnScaling::Percentile, Some(range), Some(new)) => range.advance(new),
            _ => return,
        }
        *self = Self::new(self.kind, statistics.clone());
    }

    /// Factor and offset that turn a number normalised by `before`, of the same kind, into the same
    /// number normalised by this.
    pub(super) fn conversion_from(&self, before: &Self) -> (f64, f64) {
        let [mean, scale] = [self.mean, self.scale].map(f64::from);
        let [mean_before, scale_before] = [before.mean, before.scale].map(f64::from);
        (scale / scale_before, (mean_before - mean) * scale)
    }

    /// Normalises a return.
    pub fn normalise(&self, raw: f32) -> f32 {
        if self.kind == ReturnScaling::Symlog {
            return raw.abs().ln_1p().copysign(raw);
        }
        (raw - self.mean) * self.scale
    }

    /// Inverse of [`Self::normalise`].
    pub fn denormalise(&self, normalised: f32) -> f32 {
        if self.kind == ReturnScaling::Symlog {
            return normalised.abs().exp_m1().copysign(normalised);
        }
        normalised / self.scale + self.mean
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these numbers are exact")]
mod tests {
    use super::*;

    /// Statistics of two returns at one deviation from the mean.
    fn moments(mean: f64, variance: f64) -> ReturnMoments {
        ReturnMoments {
            moments: RunningMoments {
                count: 2.0,
                mean: vec![mean],
                squares: vec![2.0 * variance],
            },
            range: None,
        }
    }

    fn range(low: f64, high: f64) -> ReturnMoments {
        ReturnMoments {
            range: Some(ReturnRange {
                count: 1.0,
                low,
                high,
            }),
            ..moments(0.0, 1.0)
        }
    }

    #[test]
    fn percentiles_match_a_hand_computed_example() {
        // 0, 1, …, 40 in another order: the 5th percentile is at place 2, the 95th at place 38.
        let returns = (0..41).map(|i| (i * 7 % 41) as f32).collect();
        let range = ReturnRange::of(returns);
        assert_eq!((range.count, range.low, range.high), (1.0, 2.0, 38.0));
        // Between two numbers.
        let range = ReturnRange::of(vec![3.0, 1.0]);
        assert!((range.low - 1.1).abs() < 1e-12 && (range.high - 2.9).abs() < 1e-12);
        assert_eq!(ReturnRange::of(Vec::new()), ReturnRange::default());
    }

    #[test]
    fn the_range_is_a_moving_average_and_never_scales_up() {
        let kind = ReturnScaling::Percentile;
        let mut normaliser = ReturnNormaliser::new(kind, ReturnMoments::new(kind));
        assert_eq!(normaliser.normalise(10.0), 10.0);
        normaliser.advance(&range(-1.0, 3.0));
        assert_eq!(normaliser.normalise(10.0), 2.5);
        // The second rollout has weight 1/2: the range is from −2 to 6.
        normaliser.advance(&range(-3.0, 9.0));
        assert_eq!(normaliser.normalise(10.0), 1.25);
        assert_eq!(normaliser.denormalise(1.25), 10.0);
        for _ in 0..10_000 {
            normaliser.advance(&range(0.1, 0.2));
        }
        assert_eq!(normaliser.normalise(10.0), 10.0);
        let weight_of_one = {
            let before = normaliser.statistics().range.unwrap().high;
            normaliser.advance(&range(0.1, 100.2));
            (normaliser.statistics().range.unwrap().high - before) / (100.2 - before)
        };
        assert!((weight_of_one - 0.01).abs() < 1e-9);
    }

    #[test]
    fn symlog_matches_hand_computed_numbers() {
        let kind = ReturnScaling::Symlog;
        let mut normaliser = ReturnNormaliser::new(kind, ReturnMoments::new(kind));
        for (raw, expected) in [(0.0, 0.0), (1.0, 2f32.ln()), (-3.0, -(4f32.ln()))] {
            assert!((normaliser.normalise(raw) - expected).abs() < 1e-6);
            assert!((normaliser.denormalise(expected) - raw).abs() < 1e-6);
        }
        let before = normaliser.clone();
        normaliser.advance(&moments(3.0, 1.0));
        assert_eq!(normaliser, before);
    }

    #[test]
    fn a_converted_number_denormalises_to_the_same() {
        for (kind, before, after) in [
            (
                ReturnScaling::Moments,
                moments(3.0, 4.0),
                moments(-40.0, 900.0),
            ),
            (
                ReturnScaling::Percentile,
                range(-1.0, 1.0),
                range(-3.0, 40.0),
            ),
        ] {
            let [before, after] = [before, after].map(|of| ReturnNormaliser::new(kind, of));
            let (factor, offset) = after.conversion_from(&before);
            for number in [-2.0, 0.0, 0.7] {
                let converted = (f64::from(number) * factor + offset) as f32;
                let (raw, same) = (before.denormalise(number), after.denormalise(converted));
                assert!((raw - same).abs() < 1e-4, "{kind:?}: {raw} {same}");
            }
        }
    }

    #[test]
    fn statistics_that_are_not_finite_are_left_out() {
        for (kind, first, broken) in [
            (
                ReturnScaling::Moments,
                moments(3.0, 4.0),
                moments(f64::NAN, 1.0),
            ),
            (
                ReturnScaling::Percentile,
                range(0.0, 2.0),
                range(0.0, f64::INFINITY),
            ),
        ] {
            let mut normaliser = ReturnNormaliser::new(kind, first);
            let before = normaliser.clone();
            normaliser.advance(&broken);
            assert_eq!(normaliser, before, "{kind:?}");
        }
    }

    #[test]
    fn a_normaliser_that_is_off_changes_nothing() {
        let kind = ReturnScaling::Off;
        let mut normaliser = ReturnNormaliser::new(kind, ReturnMoments::new(kind));
        normaliser.advance(&moments(3.0, 4.0));
        assert_eq!(normaliser.normalise(7.0), 7.0);
        assert_eq!(normaliser.denormalise(7.0), 7.0);
    }
}
