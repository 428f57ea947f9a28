//! The detectors of training symptoms. They read the metrics of one optimiser step or iteration.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::baseline::{Alarm, Baseline, BaselineCheck, BaselineSettings};
use super::detection::{Detection, finite};
use super::robot::DrivingState;
use super::{DrivingMetrics, HealthConfig, NetworkLayout, SpikeConfig, UpdateMetrics};
use crate::stats::MovingMoments;
use crate::telemetry::{
    DivergenceReason, HealthEvent, IterationReport, Severity, Symptom, SymptomLocation,
};

/// Watches one run for symptoms. A call that reports nothing does not allocate.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    config: HealthConfig,
    state: MonitorState,
    network_layout: NetworkLayout,
    /// For each layer, the number of its network: the index of the network's first layer.
    layer_networks: Vec<usize>,
}

/// The state of a monitor. A checkpoint saves it, so that a resumed run reports the same events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MonitorState {
    /// Global norm of the gradient.
    gradient: Baseline,
    /// Norm of the actor's gradient.
    actor: Baseline,
    /// Value loss.
    value_loss: Baseline,
    /// Relative size of an update, ‖Δθ‖ / ‖θ‖.
    update: Baseline,
    /// Mean entropy of the action distribution, nats.
    entropy: MovingMoments,
    /// Highest [`Baseline::mean`] so far (a mean of logarithms) of the actor's gradient norm or, if
    /// that is not measured, of the global norm.
    max_level: Option<f64>,
    /// Whether the KL divergence was ever far above the collapse threshold.
    policy_has_moved: bool,
    /// One alarm per symptom, in the order of [`Symptom::ALL`].
    #[serde(deserialize_with = "read_alarms")]
    alarms: [Alarm; Symptom::ALL.len()],
    /// Alarms of each layer, in the order of [`NetworkLayout::layers`].
    layers: Vec<LayerAlarms>,
    robot: DrivingState,
}

/// Alarms of one layer, that is, of one parameter tensor (see [`NetworkLayout::layers`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct LayerAlarms {
    vanishing: Alarm,
    /// Of [`Symptom::DeadUnits`]: too large a share of dormant units, dead ones included.
    dead: Alarm,
    saturated: Alarm,
}

impl Monitor {
    /// Creates a monitor for a new run.
    pub fn new(config: HealthConfig, network_layout: NetworkLayout) -> Self {
        Self::resume(config, network_layout, MonitorState::default())
    }

    /// Creates a monitor from a saved state.
    pub fn resume(
        config: HealthConfig,
        network_layout: NetworkLayout,
        mut state: MonitorState,
    ) -> Self {
        state
            .layers
            .resize(network_layout.layers.len(), LayerAlarms::default());
        Self {
            config,
            state,
            layer_networks: network_layout.layer_networks(),
            network_layout,
        }
    }

    /// The state to save.
    pub fn state(&self) -> &MonitorState {
        &self.state
    }

    /// Processes one optimiser step. Returns the symptoms that begin with it. Steps must be in
    /// order.
    pub fn observe(&mut self, metrics: &UpdateMetrics) -> Vec<HealthEvent> {
        let detections = [
            self.non_finite_number(metrics),
            self.gradient_spike(metrics),
            self.loss_spike(metrics),
            self.update_spike(metrics),
            self.oscillation(),
            self.vanishing(metrics),
            self.entropy_collapse(metrics),
            self.kl_blow_up(metrics),
            self.kl_collapse(metrics),
            self.ratio_explosion(metrics),
        ];
        let into_event = |detection: Detection| {
            detection.into_event(metrics.global_step, metrics.optimiser_step)
        };
        // Collecting an empty iterator does not allocate.
        let mut events: Vec<HealthEvent> =
            detections.into_iter().flatten().map(into_event).collect();
        self.vanishing_layers(metrics.layer_norms, |detection| {
            events.push(into_event(detection));
        });
        events
    }

    /// Processes the shares of dormant and saturated units of all layers, and the critic's values,
    /// after an iteration. Returns the symptoms that begin with it. Call it after
    /// [`observe`](Self::observe) for all optimiser steps of the iteration.
    pub fn observe_iteration(&mut self, report: &IterationReport) -> Vec<HealthEvent> {
        let config = self.config.units;
        // A symptom is reported after this many iterations with it, and again only after as many
        // without it.
        let iterations = config.hold_iterations;
        let mut events = Vec::new();
        let names = self.network_layout.layers.iter();
        for ((layer, name), alarms) in report.layers.iter().zip(names).zip(&mut self.state.layers) {
            for (alarm, symptom, share, threshold) in [
                (
                    &mut alarms.dead,
                    Symptom::DeadUnits,
                    layer.dormant,
                    config.dead_share,
                ),
                (
                    &mut alarms.saturated,
                    Symptom::SaturatedUnits,
                    layer.saturated,
                    config.saturated_share,
                ),
            ] {
                let Some(share) = finite(share) else { continue };
                if alarm.update(share >= threshold, iterations, iterations) {
                    let location = SymptomLocation::Layer(name.clone());
                    let detection = Detection::warning(symptom, location, share, threshold);
                    events.push(detection.into_event(report.global_step, report.optimiser_step));
                }
            }
        }
        let value_event = self
            .value_out_of_bounds(report)
            .map(|detection| detection.into_event(report.global_step, report.optimiser_step));
        events.extend(value_event);
        events
    }

    fn value_out_of_bounds(&mut self, report: &IterationReport) -> Option<Detection> {
        let (symptom, config) = (Symptom::ValueBound, self.config.value_bound);
        let detection = report.value_ratio().and_then(|ratio| {
            let (value, bound) = (report.value_max?, report.value_bound?);
            (ratio > config.factor).then(|| {
                let location = SymptomLocation::Critic;
                Detection::warning(symptom, location, value, config.factor * bound)
            })
        });
        let hold = config.hold_iterations;
        self.state.alarms[symptom as usize]
            .update(detection.is_some(), hold, hold)
            .then_some(detection)
            .flatten()
    }

    /// Processes how the robot drove in some episodes. Returns the symptoms that begin with them.
    /// Calls must be in order of time.
    pub fn observe_robot(&mut self, metrics: &DrivingMetrics) -> Vec<HealthEvent> {
        self.state.robot.observe(&self.config.robot, metrics)
    }

    /// Updates the alarm of a symptom, which is `present` in this step or not. Returns whether to
    /// report it now: see [`Alarm::update`].
    fn update_alarm(&mut self, symptom: Symptom, present: bool, hold_steps: u32) -> bool {
        self.state.alarms[symptom as usize].update(present, hold_steps, self.config.rearm_steps)
    }

    /// Updates the alarm of a symptom. Keeps the detection only if it is to be reported now.
    fn filter_by_alarm(
        &mut self,
        hold_steps: u32,
        symptom: Symptom,
        detection: Option<Detection>,
    ) -> Option<Detection> {
        let is_new = self.update_alarm(symptom, detection.is_some(), hold_steps);
        detection.filter(|_| is_new)
    }

    fn baseline_settings(&self) -> BaselineSettings {
        BaselineSettings {
            decay: self.config.decay,
            warm_up_steps: self.config.warm_up_steps,
        }
    }

    fn non_finite_number(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let current = metrics.divergence.and_then(|reason| match reason {
            DivergenceReason::NonFiniteLoss => Some(Symptom::NonFiniteLoss),
            DivergenceReason::NonFiniteGradient => Some(Symptom::NonFiniteGradient),
            DivergenceReason::NonFiniteParameter => Some(Symptom::NonFiniteParameter),
            DivergenceReason::ParameterNorm | DivergenceReason::UpdatesRefused => None,
        });
        let mut reported = None;
        for symptom in [
            Symptom::NonFiniteLoss,
            Symptom::NonFiniteGradient,
            Symptom::NonFiniteParameter,
        ] {
            if self.update_alarm(symptom, current == Some(symptom), 1) {
                reported = Some(Detection {
                    symptom,
                    severity: Severity::Critical,
                    location: SymptomLocation::Policy,
                    value: None,
                    threshold: None,
                });
            }
        }
        if let Some(detection) = &mut reported
            && detection.symptom == Symptom::NonFiniteGradient
        {
            detection.value = Some(metrics.grad_nonfinite as f64);
        }
        reported
    }

    fn gradient_spike(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (config, baseline_settings) = (self.config.gradient_spike, self.baseline_settings());
        let state = &mut self.state;
        let check = |baseline, norm| check_spike(baseline, norm, config, baseline_settings);
        let global = check(&mut state.gradient, metrics.grad_norm);
        let actor = check(&mut state.actor, metrics.grad_norm_actor);
        let spike = global.or(actor);
        let is_new = self.update_alarm(Symptom::GradientSpike, spike.is_some(), 1);
        let (norm, threshold) = spike.filter(|_| is_new)?;
        let location = if global.is_some() {
            self.main_location(metrics)
        } else {
            SymptomLocation::Actor
        };
        Some(Detection::warning(
            Symptom::GradientSpike,
            location,
            norm,
            threshold,
        ))
    }

    fn loss_spike(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (config, baseline_settings) = (self.config.loss_spike, self.baseline_settings());
        let symptom = Symptom::LossSpike;
        let baseline = &mut self.state.value_loss;
        let spike = check_spike(baseline, metrics.value_loss, config, baseline_settings);
        let detection = spike.map(|(loss, threshold)| {
            Detection::warning(symptom, SymptomLocation::Critic, loss, threshold)
        });
        self.filter_by_alarm(1, symptom, detection)
    }

    fn update_spike(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (config, baseline_settings) = (self.config.update_spike, self.baseline_settings());
        let symptom = Symptom::UpdateSpike;
        let spike = check_spike(
            &mut self.state.update,
            metrics.update_ratio,
            config.spike,
            baseline_settings,
        );
        let above_max = metrics
            .update_ratio
            .filter(|&ratio| ratio > config.max_ratio)
            .map(|ratio| Detection {
                severity: Severity::Critical,
                ..Detection::warning(symptom, SymptomLocation::Policy, ratio, config.max_ratio)
            });
        let detection = above_max.or_else(|| {
            spike.map(|(ratio, threshold)| {
                Detection::warning(symptom, SymptomLocation::Policy, ratio, threshold)
            })
        });
        self.filter_by_alarm(1, symptom, detection)
    }

    /// Reads the baselines, which the spike detectors update earlier in the same step (see the order
    /// in [`Self::observe`]).
    fn oscillation(&mut self) -> Option<Detection> {
        let (config, baseline_settings) = (self.config.oscillation, self.baseline_settings());
        let symptom = Symptom::Oscillation;
        let baselines = [
            (&self.state.gradient, SymptomLocation::Policy),
            (&self.state.value_loss, SymptomLocation::Critic),
        ];
        let detection = baselines.into_iter().find_map(|(baseline, location)| {
            let correlation = baseline.correlation();
            let oscillates = baseline.is_warmed_up(baseline_settings)
                && correlation <= config.correlation
                && baseline.log_std() >= config.min_log_std;
            oscillates
                .then(|| Detection::warning(symptom, location, correlation, config.correlation))
        });
        self.filter_by_alarm(config.hold_steps, symptom, detection)
    }

    /// Reads the baselines, which the spike detectors update earlier in the same step (see the order
    /// in [`Self::observe`]).
    fn vanishing(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (config, baseline_settings) = (self.config.vanishing, self.baseline_settings());
        let symptom = Symptom::VanishingGradient;
        let (baseline, location) = if metrics.grad_norm_actor.is_some() {
            (&self.state.actor, SymptomLocation::Actor)
        } else {
            (&self.state.gradient, SymptomLocation::Policy)
        };
        let mean = baseline.mean();
        if baseline.is_warmed_up(baseline_settings) {
            self.state.max_level = Some(
                self.state
                    .max_level
                    .map_or(mean, |max_level| max_level.max(mean)),
            );
        }
        // The mean contains the norm of this step. If the step has none, the mean is an earlier one,
        // which has been judged already.
        let is_measured = metrics.grad_norm.or(metrics.grad_norm_actor).is_some();
        let below_fraction_of_max = self
            .state
            .max_level
            .map(|max_level| max_level + config.fraction.ln())
            .filter(|&threshold| is_measured && mean < threshold)
            .map(|threshold| Detection::warning(symptom, location, mean.exp(), threshold.exp()));
        let detection = below_fraction_of_max.or_else(|| {
            metrics
                .grad_norm
                .filter(|&norm| norm < config.min_norm)
                .map(|norm| {
                    Detection::warning(symptom, SymptomLocation::Policy, norm, config.min_norm)
                })
        });
        self.filter_by_alarm(config.hold_steps, symptom, detection)
    }

    fn entropy_collapse(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (config, baseline_settings) = (self.config.entropy, self.baseline_settings());
        let symptom = Symptom::EntropyCollapse;
        let action_dim = self.network_layout.action_dim as f64;
        let detection = finite(metrics.entropy).and_then(|entropy| {
            let moments = &mut self.state.entropy;
            let drop_threshold = moments.mean() - config.drop_nats * action_dim;
            let warmed_up = moments.count() >= u64::from(baseline_settings.warm_up_steps);
            moments.push(entropy, baseline_settings.decay);
            let floor = config.floor_nats * action_dim;
            let threshold = if warmed_up {
                drop_threshold.max(floor)
            } else {
                floor
            };
            (entropy < threshold)
                .then(|| Detection::warning(symptom, SymptomLocation::Actor, entropy, threshold))
        });
        self.filter_by_alarm(1, symptom, detection)
    }

    fn kl_blow_up(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (symptom, max_kl) = (Symptom::KlBlowUp, self.config.policy_shift.max_kl);
        let detection = metrics
            .approx_kl
            .filter(|&kl| kl > max_kl)
            .map(|kl| Detection::warning(symptom, SymptomLocation::Actor, kl, max_kl));
        self.filter_by_alarm(1, symptom, detection)
    }

    fn kl_collapse(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        /// The policy has moved once its KL divergence exceeded this multiple of `min_kl`. With one
        /// optimiser step per iteration the divergence is always 0, and no collapse is reported.
        const MOVED_FACTOR: f64 = 100.0;
        let (symptom, config) = (Symptom::KlCollapse, self.config.policy_shift);
        self.state.policy_has_moved |= metrics
            .approx_kl
            .is_some_and(|kl| kl > MOVED_FACTOR * config.min_kl);
        let detection = metrics
            .approx_kl
            .filter(|&kl| self.state.policy_has_moved && kl < config.min_kl)
            .map(|kl| Detection::warning(symptom, SymptomLocation::Actor, kl, config.min_kl));
        self.filter_by_alarm(config.hold_steps, symptom, detection)
    }

    fn ratio_explosion(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (symptom, max_ratio) = (Symptom::RatioExplosion, self.config.policy_shift.max_ratio);
        let detection = metrics
            .ratio_max
            .filter(|&ratio| ratio > max_ratio)
            .map(|ratio| Detection::warning(symptom, SymptomLocation::Actor, ratio, max_ratio));
        self.filter_by_alarm(1, symptom, detection)
    }

    /// Compares the gradient norm of each layer with the largest in its network.
    fn vanishing_layers(&mut self, norms: &[Option<f64>], mut on_detection: impl FnMut(Detection)) {
        let (config, rearm) = (self.config.vanishing, self.config.rearm_steps);
        let norms_with_network = || self.layer_networks.iter().zip(norms);
        let layers = norms_with_network().zip(&self.network_layout.layers);
        for (((network, norm), name), alarms) in layers.zip(&mut self.state.layers) {
            let Some(norm) = finite(*norm) else { continue };
            if self.network_layout.frozen.contains(name) {
                continue;
            }
            let largest = norms_with_network()
                .filter(|(other, _)| *other == network)
                .filter_map(|(_, &norm)| finite(norm))
                .fold(0.0, f64::max);
            let threshold = config.layer_fraction * largest;
            if alarms
                .vanishing
                .update(norm < threshold, config.hold_steps, rearm)
            {
                let location = SymptomLocation::Layer(name.clone());
                on_detection(Detection::warning(
                    Symptom::VanishingGradient,
                    location,
                    norm,
                    threshold,
                ));
            }
        }
    }

    /// The layer with the largest gradient norm. If layers were not measured, the actor or the critic;
    /// if those were not measured either, the whole policy.
    fn main_location(&self, metrics: &UpdateMetrics) -> SymptomLocation {
        let layers = self.network_layout.layers.iter().zip(metrics.layer_norms);
        let largest = layers
            .filter_map(|(name, &norm)| Some((name, finite(norm)?)))
            .max_by(|(_, a), (_, b)| a.total_cmp(b));
        match (largest, metrics.grad_norm_actor, metrics.grad_norm_critic) {
            (Some((name, _)), _, _) => SymptomLocation::Layer(name.clone()),
            (None, Some(actor), Some(critic)) if critic > actor => SymptomLocation::Critic,
            (None, Some(_), Some(_)) => SymptomLocation::Actor,
            _ => SymptomLocation::Policy,
        }
    }
}

/// Reads the alarms of a saved state. One of an earlier version lacks those of newer symptoms.
fn read_alarms<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[Alarm; Symptom::ALL.len()], D::Error> {
    let saved = Vec::<Alarm>::deserialize(deserializer)?;
    let mut alarms = [Alarm::default(); Symptom::ALL.len()];
    if saved.len() > alarms.len() {
        return Err(D::Error::invalid_length(
            saved.len(),
            &"one alarm per symptom",
        ));
    }
    alarms[..saved.len()].copy_from_slice(&saved);
    Ok(alarms)
}

/// Compares a value with its baseline, then adds it to the baseline. Returns the value and the
/// threshold if the value is a spike.
fn check_spike(
    baseline: &mut Baseline,
    value: Option<f64>,
    config: SpikeConfig,
    settings: BaselineSettings,
) -> Option<(f64, f64)> {
    let value = finite(value)?;
    let BaselineCheck { threshold, spike } = baseline.observe(value, config, settings);
    spike.then_some((value, threshold))
}

#[cfg(test)]
mod tests;
