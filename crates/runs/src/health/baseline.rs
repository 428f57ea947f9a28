//! The recent level of a number, spike detection against that level, and alarms.

use serde::{Deserialize, Serialize};

use super::SpikeConfig;
use super::config::{ZCLIP_DECAY, ZCLIP_WARM_UP_STEPS};
use crate::stats::MovingMoments;

/// Indices of the spikes in a run's gradient norms, for the metric "spike rate" in
/// `docs/metrics.md`. A spike is above its recent level by ZClip's detector on the logarithm (decay
/// 0.97, z > 2.5) and by at least 5 %, so a constant series has none. Non-finite norms are skipped.
/// The alarm of a [`super::Monitor`] has stricter conditions.
pub fn spike_indices(norms: &[f64]) -> Vec<usize> {
    const SPIKE: SpikeConfig = SpikeConfig {
        z: 2.5,
        factor: 1.05,
    };
    const ZCLIP: BaselineSettings = BaselineSettings {
        decay: ZCLIP_DECAY,
        warm_up_steps: ZCLIP_WARM_UP_STEPS,
    };
    let mut baseline = Baseline::default();
    let finite = norms
        .iter()
        .enumerate()
        .filter(|(_, norm)| norm.is_finite());
    finite
        .filter(|&(_, &norm)| baseline.observe(norm, SPIKE, ZCLIP).spike)
        .map(|(index, _)| index)
        .collect()
}

/// The recent level of a positive number: moving moments of its logarithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    moments: MovingMoments,
    /// Deviation of the last logarithm from the mean before it.
    #[serde(with = "crate::json::float")]
    last: f64,
    /// Moving mean of the product of two consecutive deviations.
    #[serde(with = "crate::json::float")]
    product: f64,
}

/// Comparison of one number with its recent level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BaselineCheck {
    /// Smallest number that counts as a spike.
    pub(super) threshold: f64,
    /// Whether the number is a spike. Never during warm-up.
    pub(super) spike: bool,
}

impl Baseline {
    /// Adds one number, which is at least 0, and compares it with the level before. As in ZClip,
    /// the logarithm is clamped to the tolerance around the mean, so that a spike does not hide the
    /// next one. A lasting change still moves the level within about 40 steps.
    pub(super) fn observe(
        &mut self,
        value: f64,
        config: SpikeConfig,
        settings: BaselineSettings,
    ) -> BaselineCheck {
        let log_value = value.max(f64::MIN_POSITIVE).ln();
        let mean = self.moments.mean();
        let tolerance = (config.z * self.moments.std_dev()).max(config.factor.ln());
        let warmed_up = self.is_warmed_up(settings);
        let clamped = if warmed_up {
            log_value.clamp(mean - tolerance, mean + tolerance)
        } else {
            log_value
        };
        let weight = self.moments.push(clamped, settings.decay);
        let deviation = if self.moments.count() > 1 {
            clamped - mean
        } else {
            0.0
        };
        self.product += weight * (deviation * self.last - self.product);
        self.last = deviation;
        BaselineCheck {
            threshold: (mean + tolerance).exp(),
            spike: warmed_up && log_value > mean + tolerance,
        }
    }

    /// Correlation between consecutive logarithms, −1 to 1; 0 for a constant series.
    pub(super) fn correlation(&self) -> f64 {
        let variance = self.moments.variance();
        if variance > 0.0 {
            (self.product / variance).clamp(-1.0, 1.0)
        } else {
            0.0
        }
    }

    /// Standard deviation of the logarithm.
    pub(super) fn log_std(&self) -> f64 {
        self.moments.std_dev()
    }

    /// Mean of the logarithm.
    pub(super) fn mean(&self) -> f64 {
        self.moments.mean()
    }

    /// Whether the warm-up is over.
    pub(super) fn is_warmed_up(&self, settings: BaselineSettings) -> bool {
        self.moments.count() >= u64::from(settings.warm_up_steps)
    }
}

/// Decay of the moving moments, and the number of steps before spikes are detected.
#[derive(Clone, Copy, Debug)]
pub(super) struct BaselineSettings {
    pub(super) decay: f64,
    pub(super) warm_up_steps: u32,
}

/// Makes sure that a lasting symptom is reported once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alarm {
    /// Whether the symptom was reported and has not been absent long enough since.
    raised: bool,
    /// Consecutive steps with the symptom.
    steps_holding: u32,
    /// Consecutive steps without the symptom.
    steps_clear: u32,
}

impl Alarm {
    /// Processes one step, in which the symptom is present or not. Returns whether to report it: it
    /// was present in `hold_steps` consecutive steps, and since the last report it was absent in
    /// `rearm_steps` consecutive steps.
    pub(super) fn update(&mut self, present: bool, hold_steps: u32, rearm_steps: u32) -> bool {
        if !present {
            self.steps_holding = 0;
            self.steps_clear = self.steps_clear.saturating_add(1);
            self.raised &= self.steps_clear < rearm_steps;
            return false;
        }
        self.steps_clear = 0;
        self.steps_holding = self.steps_holding.saturating_add(1);
        let report = !self.raised && self.steps_holding >= hold_steps;
        self.raised |= report;
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: SpikeConfig = SpikeConfig {
        z: 2.5,
        factor: 4.0,
    };
    const SETTINGS: BaselineSettings = BaselineSettings {
        decay: 0.97,
        warm_up_steps: 25,
    };

    fn baseline_of(numbers: impl IntoIterator<Item = f64>) -> Baseline {
        let mut baseline = Baseline::default();
        for number in numbers {
            baseline.observe(number, CONFIG, SETTINGS);
        }
        baseline
    }

    #[test]
    fn spikes_are_2_5_deviations_above_the_level() {
        // Logarithms ±0.1 around 0: 2.5 deviations are a factor of 1.28.
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
    fn in_a_constant_series_the_factor_decides() {
        let mut baseline = baseline_of([2.0; 40]);
        let check = baseline.observe(7.9, CONFIG, SETTINGS);
        assert!(!check.spike && (check.threshold - 8.0).abs() < 1e-9);
        assert!(baseline_of([2.0; 40]).observe(8.1, CONFIG, SETTINGS).spike);
        assert!(
            !baseline_of([2.0; 24])
                .observe(800.0, CONFIG, SETTINGS)
                .spike,
            "warm-up"
        );
    }

    #[test]
    fn in_a_varying_series_the_deviation_decides() {
        // Logarithms ±1 around 0: a deviation of 1, and e^2.5 is 12.2.
        let e = std::f64::consts::E;
        let baseline = baseline_of((0..400).map(|i| if i % 4 < 2 { e } else { 1.0 / e }));
        let check = baseline.clone().observe(11.0, CONFIG, SETTINGS);
        assert!((10.5..14.0).contains(&check.threshold), "{check:?}");
        assert!(!check.spike);
        assert!(baseline.clone().observe(16.0, CONFIG, SETTINGS).spike);
    }

    #[test]
    fn a_spike_does_not_hide_the_next_and_a_lasting_change_moves_the_level() {
        let mut baseline = baseline_of([1.0; 40]);
        assert!(baseline.observe(1e6, CONFIG, SETTINGS).spike);
        assert!(baseline.observe(30.0, CONFIG, SETTINGS).spike);
        let mut spikes = 0;
        for _ in 0..100 {
            spikes += u32::from(baseline.observe(1e3, CONFIG, SETTINGS).spike);
        }
        assert!((5..60).contains(&spikes), "{spikes}");
        assert!(!baseline.observe(1e3, CONFIG, SETTINGS).spike);
    }

    #[test]
    fn zero_is_a_valid_number() {
        let baseline = baseline_of([1.0; 40].into_iter().chain([0.0; 200]));
        assert!(baseline.mean() < -100.0, "{}", baseline.mean());
    }

    #[test]
    fn an_alternating_series_has_a_correlation_of_minus_one() {
        let baseline = baseline_of((0..100).map(|i| if i % 2 == 0 { 1.0 } else { 3.0 }));
        assert!(baseline.correlation() < -0.97, "{}", baseline.correlation());
        assert!((baseline.log_std() - 3.0_f64.ln() / 2.0).abs() < 0.02);
        let trend = baseline_of((0..100).map(|i| 1.02_f64.powi(i)));
        assert!(trend.correlation() > 0.9);
        assert!(baseline_of([5.0; 50]).correlation() == 0.0);
    }

    #[test]
    fn an_alarm_reports_once_until_it_is_rearmed() {
        let mut alarm = Alarm::default();
        let mut reports = |holds: &[bool]| -> Vec<bool> {
            holds
                .iter()
                .map(|&present| alarm.update(present, 2, 3))
                .collect()
        };
        assert_eq!(
            reports(&[true, false, true, true, true]),
            [false, false, false, true, false]
        );
        assert_eq!(reports(&[false, false, true, true]), [false; 4]);
        assert_eq!(
            reports(&[false, false, false, true, true]),
            [false, false, false, false, true]
        );
    }
}
