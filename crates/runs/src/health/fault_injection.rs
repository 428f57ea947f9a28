//! How good the detectors are: healthy logs replayed through them count false alarms, faults put
//! into such logs count what they find.

use super::{HealthConfig, Monitor, NetworkLayout, UpdateMetrics};
use crate::telemetry::{HealthEvent, Symptom, UpdateReport};

/// A fault to be put into the log of a healthy run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InjectedFault {
    /// One step's gradient, so many times as long.
    GradientSpike(f64),
    /// One step's value loss, so many times as large.
    LossSpike(f64),
    /// One step that moves the weights so many times as far.
    UpdateSpike(f64),
    /// One step with an entry that is not finite in the gradient.
    NonFiniteGradient,
    /// One step whose value loss is not finite.
    NonFiniteLoss,
    /// Gradients that shrink by this factor at each step from here on.
    Vanishing(f64),
    /// The first layer's gradient so many times as long, from here on.
    LayerVanishing(f64),
    /// Gradient norm and value loss multiplied by e^±this, in turn, from here on.
    Oscillation(f64),
    /// Entropy lower by so many nats from here on.
    EntropyDrop(f64),
    /// Entropy falling by so many nats more at each step from here on.
    EntropyDecay(f64),
    /// One step that moves the policy so many nats further.
    KlBlowUp(f64),
    /// A policy that does not move from here on.
    KlCollapse,
    /// One step with so many times as large a probability ratio.
    RatioExplosion(f64),
}

/// What of the injected faults was found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DetectorRecall {
    /// Faults that were put in, one at a time.
    pub injected: u64,
    /// Faults whose symptom was told of in time.
    pub detected: u64,
    /// Optimiser steps from the first faulty one to the telling, summed over those that were caught.
    pub delay_steps: u64,
}

impl InjectedFault {
    /// What should be seen of it.
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

    /// In how many optimiser steps it must be told of.
    pub fn window_steps(self) -> usize {
        match self {
            Self::Vanishing(_) | Self::EntropyDecay(_) => 400,
            Self::LayerVanishing(_) | Self::Oscillation(_) | Self::KlCollapse => 150,
            _ => 1,
        }
    }

    /// Changes the report of the step `since` steps after the first faulty one.
    fn apply(self, since: usize, report: &mut UpdateReport) {
        let scale = |numbers: &mut [&mut Option<f64>], factor: f64| {
            for number in numbers.iter_mut().filter_map(|number| number.as_mut()) {
                *number *= factor;
            }
        };
        let norms = |report: &mut UpdateReport, factor| {
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
            Self::GradientSpike(factor) => norms(report, factor),
            Self::LossSpike(factor) => scale(&mut [&mut report.value_loss], factor),
            Self::UpdateSpike(factor) => scale(&mut [&mut report.update_ratio], factor),
            Self::NonFiniteGradient => {
                report.grad_nonfinite = 1;
                report.grad_norm = None;
                report.grad_max = None;
            }
            Self::NonFiniteLoss => report.value_loss = None,
            Self::Vanishing(factor) => norms(report, factor.powf(since as f64 + 1.0)),
            Self::LayerVanishing(factor) => {
                for norm in report.layer_norms.iter_mut().take(1).flatten() {
                    *norm *= factor;
                }
            }
            Self::Oscillation(swing) => {
                let factor = if since.is_multiple_of(2) {
                    swing.exp()
                } else {
                    (-swing).exp()
                };
                norms(report, factor);
                scale(&mut [&mut report.value_loss], factor);
            }
            Self::EntropyDrop(nats) => add(&mut report.entropy, -nats),
            Self::EntropyDecay(nats) => add(&mut report.entropy, -nats * (since as f64 + 1.0)),
            Self::KlBlowUp(nats) => add(&mut report.approx_kl, nats),
            Self::KlCollapse => scale(&mut [&mut report.approx_kl], 0.0),
            Self::RatioExplosion(factor) => scale(&mut [&mut report.ratio_max], factor),
        }
    }
}

impl DetectorRecall {
    /// Those of further trials with these.
    pub fn add(&mut self, other: &Self) {
        self.injected += other.injected;
        self.detected += other.detected;
        self.delay_steps += other.delay_steps;
    }

    /// Share of the faults that was caught; absent where none was put in.
    pub fn detected_share(&self) -> Option<f64> {
        (self.injected > 0).then(|| self.detected as f64 / self.injected as f64)
    }

    /// Mean optimiser steps from the first faulty one to the telling; absent where none was caught.
    pub fn mean_delay_steps(&self) -> Option<f64> {
        (self.detected > 0).then(|| self.delay_steps as f64 / self.detected as f64)
    }
}

/// What detectors tell of a log, whose steps are in order from the first on.
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

/// Puts one fault after another into a log, at every `every`th step once the warm-up is over, each
/// as if it were the only one.
pub fn measure_recall(
    config: &HealthConfig,
    network_layout: &NetworkLayout,
    log: &[UpdateReport],
    fault: InjectedFault,
    every: usize,
) -> DetectorRecall {
    let mut monitor = Monitor::new(config.clone(), network_layout.clone());
    let (first, window) = (config.warm_up_steps as usize, fault.window_steps());
    let mut found = DetectorRecall::default();
    for (step, report) in log.iter().enumerate() {
        let due = step >= first && (step - first).is_multiple_of(every);
        if let Some(rest) = log.get(step..step + window)
            && due
        {
            let delay = detection_delay(monitor.clone(), rest, fault);
            found.injected += 1;
            found.detected += u64::from(delay.is_some());
            found.delay_steps += delay.unwrap_or(0);
        }
        monitor.observe(&UpdateMetrics::from(report));
    }
    found
}

/// After how many steps a monitor tells of a fault that begins with `log`.
fn detection_delay(
    mut monitor: Monitor,
    log: &[UpdateReport],
    fault: InjectedFault,
) -> Option<u64> {
    let told = |(since, report): (usize, &UpdateReport)| {
        let mut report = report.clone();
        fault.apply(since, &mut report);
        let events = monitor.observe(&UpdateMetrics::from(&report));
        events.iter().any(|event| event.symptom == fault.symptom())
    };
    let after = log.iter().enumerate().map(told).position(|told| told)?;
    Some(after as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network_layout() -> NetworkLayout {
        NetworkLayout {
            action_dim: 2,
            layers: vec!["actor.0.weight".into(), "actor.0.bias".into()],
        }
    }

    /// A log without anything to it.
    fn log() -> Vec<UpdateReport> {
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
    fn faults_are_found_one_by_one_and_their_delay_is_counted() {
        let config = HealthConfig::default();
        let found = measure_recall(
            &config,
            &network_layout(),
            &log(),
            InjectedFault::GradientSpike(10.0),
            100,
        );
        assert_eq!(
            found,
            DetectorRecall {
                injected: 6,
                detected: 6,
                delay_steps: 0
            }
        );
        let found = measure_recall(
            &config,
            &network_layout(),
            &log(),
            InjectedFault::GradientSpike(1.5),
            100,
        );
        assert_eq!(
            (found.detected_share(), found.mean_delay_steps()),
            (Some(0.0), None)
        );
        // Held for ten steps, from when the moving correlation is low enough.
        let found = measure_recall(
            &config,
            &network_layout(),
            &log(),
            InjectedFault::Oscillation(1.0),
            100,
        );
        assert_eq!(found.injected, 5, "those near the end have no window");
        assert!(found.detected_share() == Some(1.0) && found.mean_delay_steps() > Some(9.0));
    }

    #[test]
    fn a_healthy_log_is_told_nothing_of() {
        assert_eq!(
            replay_log(&HealthConfig::default(), &network_layout(), &log()),
            []
        );
    }
}
