//! What a number usually is, and whether it has left that.

use serde::{Deserialize, Serialize};

use super::SpikeConfig;
use super::config::{ZCLIP_DECAY, ZCLIP_WARM_UP_STEPS};
use crate::stats::MovingMoments;

/// The spikes among the gradient norms of a run, as METRICS.md counts them: indices of those whose
/// logarithm is by ZClip's detector (decay 0.97, z > 2.5) above its moving mean, and by 5 % at
/// least, so that a flat series has none. What is not finite is no spike and is passed over. They
/// are a measure; the alarm of a [`super::Monitor`] asks for more.
pub fn spike_indices(norms: &[f64]) -> Vec<usize> {
    const MEASURED: SpikeConfig = SpikeConfig {
        z: 2.5,
        factor: 1.05,
    };
    const ZCLIP: BaselineSettings = BaselineSettings {
        decay: ZCLIP_DECAY,
        warm_up_steps: ZCLIP_WARM_UP_STEPS,
    };
    let mut level = Baseline::default();
    let finite = norms
        .iter()
        .enumerate()
        .filter(|(_, norm)| norm.is_finite());
    finite
        .filter(|&(_, &norm)| level.observe(norm, MEASURED, ZCLIP).spike)
        .map(|(index, _)| index)
        .collect()
}

/// The recent level of a number above 0, kept on its logarithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    moments: MovingMoments,
    /// How far the last number was from the mean before it.
    last: f64,
    /// Moving mean of the product of two such in a row.
    product: f64,
}

/// What a level makes of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BaselineCheck {
    /// The number that it had to pass to count as a spike.
    pub(super) threshold: f64,
    /// Whether it did.
    pub(super) spike: bool,
}

impl Baseline {
    /// Takes one number, which is at least 0. A number far out is taken as one at the edge, as in
    /// ZClip, so that a spike does not make the next one look usual; what stays far out moves the
    /// level within some forty steps.
    pub(super) fn observe(
        &mut self,
        value: f64,
        rule: SpikeConfig,
        settings: BaselineSettings,
    ) -> BaselineCheck {
        let number = value.max(f64::MIN_POSITIVE).ln();
        let mean = self.moments.mean();
        let reach = (rule.z * self.moments.std_dev()).max(rule.factor.ln());
        let settled = self.moments.count() >= u64::from(settings.warm_up_steps);
        let taken = if settled {
            number.clamp(mean - reach, mean + reach)
        } else {
            number
        };
        let weight = self.moments.push(taken, settings.decay);
        let apart = if self.moments.count() > 1 {
            taken - mean
        } else {
            0.0
        };
        self.product += weight * (apart * self.last - self.product);
        self.last = apart;
        BaselineCheck {
            threshold: (mean + reach).exp(),
            spike: settled && number > mean + reach,
        }
    }

    /// Correlation of the logarithm with itself one number earlier, −1 to 1; 0 while nothing
    /// varies.
    pub(super) fn correlation(&self) -> f64 {
        let variance = self.moments.variance();
        if variance > 0.0 {
            (self.product / variance).clamp(-1.0, 1.0)
        } else {
            0.0
        }
    }

    /// What the logarithm deviates by.
    pub(super) fn log_std(&self) -> f64 {
        self.moments.std_dev()
    }

    /// Mean of the logarithm.
    pub(super) fn mean(&self) -> f64 {
        self.moments.mean()
    }

    /// Whether enough numbers were taken to go by.
    pub(super) fn is_warmed_up(&self, settings: BaselineSettings) -> bool {
        self.moments.count() >= u64::from(settings.warm_up_steps)
    }
}

/// How a level forgets, and how long it only learns.
#[derive(Clone, Copy, Debug)]
pub(super) struct BaselineSettings {
    pub(super) decay: f64,
    pub(super) warm_up_steps: u32,
}

/// Whether something has been told of, so that it is told of once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alarm {
    raised: bool,
    /// Steps in a row with it.
    steps_holding: u32,
    /// Steps in a row without it.
    steps_clear: u32,
}

impl Alarm {
    /// Takes whether it holds now. Gives whether to tell of it: when it has held for `hold` steps
    /// in a row, unless it was told of and has not been gone for `rearm` steps in a row since.
    pub(super) fn should_report(&mut self, holds: bool, hold: u32, rearm: u32) -> bool {
        if !holds {
            self.steps_holding = 0;
            self.steps_clear = self.steps_clear.saturating_add(1);
            self.raised &= self.steps_clear < rearm;
            return false;
        }
        self.steps_clear = 0;
        self.steps_holding = self.steps_holding.saturating_add(1);
        let tell = !self.raised && self.steps_holding >= hold;
        self.raised |= tell;
        tell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: SpikeConfig = SpikeConfig {
        z: 2.5,
        factor: 4.0,
    };
    const MEMORY: BaselineSettings = BaselineSettings {
        decay: 0.97,
        warm_up_steps: 25,
    };

    fn fed(numbers: impl IntoIterator<Item = f64>) -> Baseline {
        let mut level = Baseline::default();
        for number in numbers {
            level.observe(number, RULE, MEMORY);
        }
        level
    }

    #[test]
    fn spikes_are_counted_as_metrics_md_says() {
        // Logarithms ±0.1 about 0: the 2.5 deviations are a factor of 1.28.
        let mut norms: Vec<f64> = (0..200)
            .map(|i| {
                if i % 4 < 2 {
                    0.1_f64.exp()
                } else {
                    (-0.1_f64).exp()
                }
            })
            .collect();
        assert!(spike_indices(&norms).is_empty());
        (norms[90], norms[91], norms[150]) = (1.5, f64::NAN, 30.0);
        assert_eq!(spike_indices(&norms), [90, 150]);
        assert!(spike_indices(&[1.0; 100]).is_empty());
    }

    #[test]
    fn a_flat_series_alarms_at_the_factor_and_not_before() {
        let mut level = fed([2.0; 40]);
        let near = level.observe(7.9, RULE, MEMORY);
        assert!(!near.spike && (near.threshold - 8.0).abs() < 1e-9);
        assert!(fed([2.0; 40]).observe(8.1, RULE, MEMORY).spike);
        assert!(
            !fed([2.0; 24]).observe(800.0, RULE, MEMORY).spike,
            "warm-up"
        );
    }

    #[test]
    fn a_series_that_varies_must_be_left_by_deviations() {
        // Logarithms ±1 about 0: a deviation of 1, and e^2.5 is 12.2.
        let e = std::f64::consts::E;
        let level = fed((0..400).map(|i| if i % 4 < 2 { e } else { 1.0 / e }));
        let reading = level.clone().observe(11.0, RULE, MEMORY);
        assert!((10.5..14.0).contains(&reading.threshold), "{reading:?}");
        assert!(!reading.spike);
        assert!(level.clone().observe(16.0, RULE, MEMORY).spike);
    }

    #[test]
    fn a_spike_does_not_hide_the_next_and_a_new_level_is_got_used_to() {
        let mut level = fed([1.0; 40]);
        assert!(level.observe(1e6, RULE, MEMORY).spike);
        assert!(level.observe(30.0, RULE, MEMORY).spike);
        let mut alarms = 0;
        for _ in 0..100 {
            alarms += u32::from(level.observe(1e3, RULE, MEMORY).spike);
        }
        assert!((5..60).contains(&alarms), "{alarms}");
        assert!(!level.observe(1e3, RULE, MEMORY).spike);
    }

    #[test]
    fn nothing_at_all_is_a_number_too() {
        let level = fed([1.0; 40].into_iter().chain([0.0; 200]));
        assert!(level.mean() < -100.0, "{}", level.mean());
    }

    #[test]
    fn going_to_and_fro_has_a_correlation_of_minus_one() {
        let level = fed((0..100).map(|i| if i % 2 == 0 { 1.0 } else { 3.0 }));
        assert!(level.correlation() < -0.97, "{}", level.correlation());
        assert!((level.log_std() - 3.0_f64.ln() / 2.0).abs() < 0.02);
        let trend = fed((0..100).map(|i| 1.02_f64.powi(i)));
        assert!(trend.correlation() > 0.9);
        assert!(fed([5.0; 50]).correlation() == 0.0);
    }

    #[test]
    fn an_alarm_is_raised_once_until_it_has_been_calm() {
        let mut alarm = Alarm::default();
        let mut told = |holds: &[bool]| -> Vec<bool> {
            holds
                .iter()
                .map(|&holds| alarm.should_report(holds, 2, 3))
                .collect()
        };
        assert_eq!(
            told(&[true, false, true, true, true]),
            [false, false, false, true, false]
        );
        assert_eq!(told(&[false, false, true, true]), [false; 4]);
        assert_eq!(
            told(&[false, false, false, true, true]),
            [false, false, false, false, true]
        );
    }
}
