//! Error rates of the detectors: replays logs of healthy runs to count false alarms, and injects
//! faults into such logs to measure recall.

use super::{HealthConfig, Monitor, NetworkLayout, UpdateMetrics};
use crate::telemetry::{HealthEvent, Symptom, UpdateReport};

/// A fault to inject into the log of a healthy run. 'From here on' means in the first faulty
/// optimiser step and all later ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InjectedFault {
    /// Gradient norms of one step, multiplied by this factor.
    GradientSpike(f64),
    /// Value loss of one step, multiplied by this factor.
    LossSpike(f64),
    /// Update ratio of one step, multiplied by this factor.
    UpdateSpike(f64),
    /// A non-finite gradient entry in one step.
    NonFiniteGradient,
    /// A non-finite value loss in one step.
    NonFiniteLoss,
    /// Gradient norms that are multiplied by this factor once more at each step from here on.
    Vanishing(f64),
    /// Gradient norm of the first layer, multiplied by this factor from here on.
    LayerVanishing(f64),
    /// Gradient norms and value loss, multiplied alternately by e^x and e^−x from here on.
    Oscillation(f64),
    /// Entropy lowered by this many nats from here on.
    EntropyDrop(f64),
    /// Entropy lowered by this many more nats at each step from here on.
    EntropyDecay(f64),
    /// KL divergence of one step, raised by this many nats.
    KlBlowUp(f64),
    /// KL divergence of 0 from here on.
    KlCollapse,
    /// Largest probability ratio of one step, multiplied by this factor.
    RatioExplosion(f64),
}

/// How many injected faults were detected.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DetectorRecall {
    /// Number of faults injected, one at a time.
    pub injected: u64,
    /// Number of faults whose symptom was reported within [`InjectedFault::window_steps`].
    pub detected: u64,
    /// Optimiser steps from the first faulty one to the report, summed over detected faults.
    pub delay_steps: u64,
}

impl InjectedFault {
    /// The symptom that detectors should report.
    pub fn symptom(self) -> Symptom {
        match self {
            Self::GradientSpike(_) => Symptom::GradientSpike,
            Self::LossSpike(_) => Symptom::LossSpike,
            Self::UpdateSpike(_) => Symptom::UpdateSpike,
            Self::NonFiniteGradient => Symptom::NonFiniteGradient,
            Self::NonFiniteLoss => Symptom::NonFiniteLoss,
            Self::Vanishing(_) | Self::LayerVanishing(_) => Symptom::VanishingGradient,
            Self::Oscillation(_) => Symptom::Oscillation,
            Self::EntropyDrop(_) | Self::EntropyDecay(_) => Symptom::EntropyCollapse,
            Self::KlBlowUp(_) => Symptom::KlBlowUp,
            Self::KlCollapse => Symptom::KlCollapse,
            Self::RatioExplosion(_) => Symptom::RatioExplosion,
        }
    }

    /// Number of optimiser steps within which the symptom must be reported.
    pub fn window_steps(self) -> usize {
        match self {
            Self::Vanishing(_) | Self::EntropyDecay(_) => 400,
            Self::LayerVanishing(_) | Self::Oscillation(_) | Self::KlCollapse => 150,
            _ => 1,
        }
    }

    /// Changes the report of the step that is `offset` steps after the first faulty one.
    fn apply(self, offset: usize, report: &mut UpdateReport) {
        let scale = |numbers: &mut [&mut Option<f64>], factor: f64| {
            for number in numbers.iter_mut().filter_map(|number| number.as_mut()) {
                *number *= factor;
            }
        };
        let scale_norms = |report: &mut UpdateReport, factor| {
            scale(
                &mut [
                    &mut report.grad_norm,
                    &mut report.grad_norm_actor,
                    &mut report.grad_norm_critic,
                    &mut report.grad_max,
                ],
                factor,
            );
            scale(
                &mut report.layer_norms.iter_mut().collect::<Vec<_>>(),
                factor,
            );
        };
        let add = |number: &mut Option<f64>, amount: f64| {
            *number = number.map(|number| number + amount);
        };
        match self {
            Self::GradientSpike(factor) => scale_norms(report, factor),
            Self::LossSpike(factor) => scale(&mut [&mut report.value_loss], factor),
            Self::UpdateSpike(factor) => scale(&mut [&mut report.update_ratio], factor),
            Self::NonFiniteGradient => {
                report.grad_nonfinite = 1;
                report.grad_norm = None;
                report.grad_max = None;
            }
            Self::NonFiniteLoss => report.value_loss = None,
            Self::Vanishing(factor) => scale_norms(report, factor.powf(offset as f64 + 1.0)),
            Self::LayerVanishing(factor) => {
                for norm in report.layer_norms.iter_mut().take(1).flatten() {
                    *norm *= factor;
                }
            }
            Self::Oscillation(amplitude) => {
                let factor = if offset.is_multiple_of(2) {
                    amplitude.exp()
                } else {
                    (-amplitude).exp()
                };
                scale_norms(report, factor);
                scale(&mut [&mut report.value_loss], factor);
            }
            Self::EntropyDrop(nats) => add(&mut report.entropy, -nats),
            Self::EntropyDecay(nats) => add(&mut report.entropy, -nats * (offset as f64 + 1.0)),
            Self::KlBlowUp(nats) => add(&mut report.approx_kl, nats),
            Self::KlCollapse => scale(&mut [&mut report.approx_kl], 0.0),
            Self::RatioExplosion(factor) => scale(&mut [&mut report.ratio_max], factor),
        }
    }
}

impl DetectorRecall {
    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        self.injected += other.injected;
        self.detected += other.detected;
        self.delay_steps += other.delay_steps;
    }

    /// Share of detected faults; `None` if none were injected.
    pub fn detected_share(&self) -> Option<f64> {
        (self.injected > 0).then(|| self.detected as f64 / self.injected as f64)
    }

    /// Mean number of optimiser steps from the first faulty one to the report; `None` if no fault
    /// was detected.
    pub fn mean_delay_steps(&self) -> Option<f64> {
        (self.detected > 0).then(|| self.delay_steps as f64 / self.detected as f64)
    }
}

/// Events that the detectors report for a log. `log` holds the optimiser steps of a run in order,
/// from the first one on.
pub fn replay_log(
    config: &HealthConfig,
    network_layout: &NetworkLayout,
    log: &[UpdateReport],
) -> Vec<HealthEvent> {
    let mut monitor = Monitor::new(config.clone(), network_layout.clone());
    log.iter()
        .flat_map(|report| monitor.observe(&UpdateMetrics::from(report)))
        .collect()
}

/// Measures the recall for one fault. Injects it at every `interval_steps`-th step after the
/// warm-up, each time into the otherwise unchanged log of a healthy run.
pub fn measure_recall(
    config: &HealthConfig,
    network_layout: &NetworkLayout,
    log: &[UpdateReport],
    fault: InjectedFault,
    interval_steps: usize,
) -> DetectorRecall {
    let mut monitor = Monitor::new(config.clone(), network_layout.clone());
    let (first, window) = (config.warm_up_steps as usize, fault.window_steps());
    let mut recall = DetectorRecall::default();
    for (step, report) in log.iter().enumerate() {
        let due = step >= first && (step - first).is_multiple_of(interval_steps);
        if let Some(rest) = log.get(step..step + window)
            && due
        {
            let delay = detection_delay(monitor.clone(), rest, fault);
            recall.injected += 1;
            recall.detected += u64::from(delay.is_some());
            recall.delay_steps += delay.unwrap_or(0);
        }
        monitor.observe(&UpdateMetrics::from(report));
    }
    recall
}

/// Number of steps after which a monitor reports a fault that starts at the beginning of `log`.
fn detection_delay(
    mut monitor: Monitor,
    log: &[UpdateReport],
    fault: InjectedFault,
) -> Option<u64> {
    let detects = |(offset, report): (usize, &UpdateReport)| {
        let mut report = report.clone();
        fault.apply(offset, &mut report);
        let events = monitor.observe(&UpdateMetrics::from(&report));
        events.iter().any(|event| event.symptom == fault.symptom())
    };
    let delay = log.iter().enumerate().position(detects)?;
    Some(delay as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network_layout() -> NetworkLayout {
        NetworkLayout {
            action_dim: 2,
            layers: vec!["actor.0.weight".into(), "actor.0.bias".into()],
            ..NetworkLayout::default()
        }
    }

    /// The log of a run with constant, healthy numbers.
    fn healthy_log() -> Vec<UpdateReport> {
        let report = |step: u64| UpdateReport {
            optimiser_step: step,
            grad_norm: Some(0.5),
            grad_norm_actor: Some(0.4),
            grad_norm_critic: Some(0.3),
            layer_norms: vec![Some(0.3), Some(0.2)],
            update_ratio: Some(1e-3),
            policy_loss: Some(0.0),
            value_loss: Some(0.2),
            entropy: Some(2.0),
            approx_kl: Some(0.005),
            ratio_max: Some(1.5),
            ..UpdateReport::default()
        };
        (0..600).map(report).collect()
    }

    #[test]
    fn injected_faults_are_detected_and_their_delay_is_counted() {
        let config = HealthConfig::default();
        let recall = measure_recall(
            &config,
            &network_layout(),
            &healthy_log(),
            InjectedFault::GradientSpike(10.0),
            100,
        );
        assert_eq!(
            recall,
            DetectorRecall {
                injected: 6,
                detected: 6,
                delay_steps: 0
            }
        );
        let recall = measure_recall(
            &config,
            &network_layout(),
            &healthy_log(),
            InjectedFault::GradientSpike(1.5),
            100,
        );
        assert_eq!(
            (recall.detected_share(), recall.mean_delay_steps()),
            (Some(0.0), None)
        );
        // Reported after ten steps with a sufficiently low moving correlation.
        let recall = measure_recall(
            &config,
            &network_layout(),
            &healthy_log(),
            InjectedFault::Oscillation(1.0),
            100,
        );
        assert_eq!(recall.injected, 5, "the last one has no complete window");
        assert!(recall.detected_share() == Some(1.0) && recall.mean_delay_steps() > Some(9.0));
    }

    #[test]
    fn a_healthy_log_has_no_events() {
        assert_eq!(
            replay_log(&HealthConfig::default(), &network_layout(), &healthy_log()),
            []
        );
    }
}
