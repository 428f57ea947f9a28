//! The detectors of the learner's symptoms: vitals of one optimiser step in, events out.

use serde::{Deserialize, Serialize};

use super::baseline::{Alarm, Baseline, BaselineCheck, BaselineSettings};
use super::robot::DrivingState;
use super::{HealthConfig, NetworkLayout, SpikeConfig, UpdateMetrics};
use crate::stats::MovingMoments;
use crate::telemetry::{
    DivergenceReason, HealthEvent, IterationReport, Severity, Symptom, SymptomLocation,
};

/// Watches one run. Cheap, and allocates nothing while nothing fires.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    pub(super) config: HealthConfig,
    pub(super) state: MonitorState,
    network_layout: NetworkLayout,
    /// The network of each layer, as the index of its first one.
    networks: Vec<usize>,
}

/// All that a monitor remembers: saved with a checkpoint, so that a resumed run tells of the same
/// events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MonitorState {
    gradient: Baseline,
    actor: Baseline,
    value_loss: Baseline,
    update: Baseline,
    entropy: MovingMoments,
    /// Highest mean of the actor's level, or of the gradient's where the actor's is not measured.
    max_level: Option<f64>,
    /// Whether the KL divergence has been far above what counts as none.
    policy_has_moved: bool,
    /// In the order of [`Symptom::ALL`].
    alarms: [Alarm; Symptom::ALL.len()],
    /// Of each layer, in the order of [`NetworkLayout::layers`].
    layers: Vec<LayerAlarms>,
    pub(super) robot: DrivingState,
}

/// What was told of one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct LayerAlarms {
    vanishing: Alarm,
    dead: Alarm,
    saturated: Alarm,
}

/// What a detector saw, before it is known whether it was told of already.
pub(super) struct Detection {
    pub(super) symptom: Symptom,
    pub(super) severity: Severity,
    pub(super) location: SymptomLocation,
    pub(super) value: Option<f64>,
    pub(super) threshold: Option<f64>,
}

impl Detection {
    pub(super) fn warning(
        symptom: Symptom,
        location: SymptomLocation,
        value: f64,
        threshold: f64,
    ) -> Self {
        Self {
            symptom,
            severity: Severity::Warning,
            location,
            value: Some(value),
            threshold: Some(threshold),
        }
    }

    pub(super) fn into_event(self, global_step: u64, optimiser_step: u64) -> HealthEvent {
        HealthEvent {
            global_step,
            optimiser_step,
            symptom: self.symptom,
            severity: self.severity,
            location: self.location,
            value: finite(self.value),
            threshold: self.threshold,
            advice: self.symptom.advice().into(),
        }
    }
}

impl Monitor {
    /// A monitor before its first step.
    pub fn new(config: HealthConfig, network_layout: NetworkLayout) -> Self {
        Self::resume(config, network_layout, MonitorState::default())
    }

    /// A monitor that goes on where another was saved.
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
            networks: network_layout.networks(),
            network_layout,
        }
    }

    /// All that the next step reads.
    pub fn state(&self) -> &MonitorState {
        &self.state
    }

    /// Takes the vitals of one optimiser step, which come in order, and tells what has begun with
    /// it. A symptom that goes on is told of once.
    pub fn observe(&mut self, metrics: &UpdateMetrics) -> Vec<HealthEvent> {
        let found = [
            self.non_finite(metrics),
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
        let at = |detection: Detection| {
            detection.into_event(metrics.global_step, metrics.optimiser_step)
        };
        // An iterator without items collects into a vector without memory.
        let mut told: Vec<HealthEvent> = found.into_iter().flatten().map(at).collect();
        self.layer_norms(metrics.layer_norms, |detection| told.push(at(detection)));
        told
    }

    /// Takes what the units did in an iteration, whose optimiser steps were all observed, and tells
    /// what has begun with it.
    pub fn observe_iteration(&mut self, report: &IterationReport) -> Vec<HealthEvent> {
        let (rule, rearm) = (self.config.units, self.config.units.hold_iterations);
        let mut told = Vec::new();
        let names = self.network_layout.layers.iter();
        for ((layer, name), alarms) in report.layers.iter().zip(names).zip(&mut self.state.layers) {
            for (alarm, symptom, share, most) in [
                (
                    &mut alarms.dead,
                    Symptom::DeadUnits,
                    layer.dormant,
                    rule.dead_share,
                ),
                (
                    &mut alarms.saturated,
                    Symptom::SaturatedUnits,
                    layer.saturated,
                    rule.saturated_share,
                ),
            ] {
                let Some(share) = finite(share) else { continue };
                if alarm.should_report(share >= most, rule.hold_iterations, rearm) {
                    let location = SymptomLocation::Layer(name.clone());
                    let detection = Detection::warning(symptom, location, share, most);
                    told.push(detection.into_event(report.global_step, report.optimiser_step));
                }
            }
        }
        told
    }

    /// Whether to tell of a symptom that holds now or not.
    pub(super) fn should_report(&mut self, symptom: Symptom, holds: bool, hold: u32) -> bool {
        self.state.alarms[symptom as usize].should_report(holds, hold, self.config.rearm_steps)
    }

    fn report_if_new(
        &mut self,
        hold: u32,
        symptom: Symptom,
        detection: Option<Detection>,
    ) -> Option<Detection> {
        if self.should_report(symptom, detection.is_some(), hold) {
            detection
        } else {
            None
        }
    }

    fn baseline_settings(&self) -> BaselineSettings {
        BaselineSettings {
            decay: self.config.decay,
            warm_up_steps: self.config.warm_up_steps,
        }
    }

    fn non_finite(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let now = metrics.not_finite.and_then(|reason| match reason {
            DivergenceReason::NonFiniteLoss => Some(Symptom::NonFiniteLoss),
            DivergenceReason::NonFiniteGradient => Some(Symptom::NonFiniteGradient),
            DivergenceReason::NonFiniteParameter => Some(Symptom::NonFiniteParameter),
            DivergenceReason::ParameterNorm | DivergenceReason::UpdatesRefused => None,
        });
        let mut told = None;
        for symptom in [
            Symptom::NonFiniteLoss,
            Symptom::NonFiniteGradient,
            Symptom::NonFiniteParameter,
        ] {
            if self.should_report(symptom, now == Some(symptom), 1) {
                told = Some(Detection {
                    symptom,
                    severity: Severity::Critical,
                    location: SymptomLocation::Policy,
                    value: None,
                    threshold: None,
                });
            }
        }
        if let Some(detection) = &mut told
            && detection.symptom == Symptom::NonFiniteGradient
        {
            detection.value = Some(metrics.grad_nonfinite as f64);
        }
        told
    }

    fn gradient_spike(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (rule, memory) = (self.config.gradient_spike, self.baseline_settings());
        let whole = spike(&mut self.state.gradient, metrics.grad_norm, rule, memory);
        let actor = spike(&mut self.state.actor, metrics.grad_norm_actor, rule, memory);
        let (norm, threshold) = whole.or(actor).unwrap_or_default();
        let holds = whole.or(actor).is_some();
        self.should_report(Symptom::GradientSpike, holds, 1)
            .then(|| {
                let location = if whole.is_some() {
                    self.main_location(metrics)
                } else {
                    SymptomLocation::Actor
                };
                Detection::warning(Symptom::GradientSpike, location, norm, threshold)
            })
    }

    fn loss_spike(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (rule, memory) = (self.config.loss_spike, self.baseline_settings());
        let symptom = Symptom::LossSpike;
        let detection = spike(&mut self.state.value_loss, metrics.value_loss, rule, memory).map(
            |(loss, threshold)| {
                Detection::warning(symptom, SymptomLocation::Critic, loss, threshold)
            },
        );
        self.report_if_new(1, symptom, detection)
    }

    fn update_spike(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (rule, memory) = (self.config.update_spike, self.baseline_settings());
        let symptom = Symptom::UpdateSpike;
        let leap = spike(
            &mut self.state.update,
            metrics.update_ratio,
            rule.spike,
            memory,
        );
        let too_much = metrics
            .update_ratio
            .filter(|&ratio| ratio > rule.max_ratio)
            .map(|ratio| Detection {
                severity: Severity::Critical,
                ..Detection::warning(symptom, SymptomLocation::Policy, ratio, rule.max_ratio)
            });
        let detection = too_much.or_else(|| {
            leap.map(|(ratio, threshold)| {
                Detection::warning(symptom, SymptomLocation::Policy, ratio, threshold)
            })
        });
        self.report_if_new(1, symptom, detection)
    }

    /// Reads the levels that the spike detectors have just fed.
    fn oscillation(&mut self) -> Option<Detection> {
        let (rule, memory) = (self.config.oscillation, self.baseline_settings());
        let symptom = Symptom::Oscillation;
        let levels = [
            (&self.state.gradient, SymptomLocation::Policy),
            (&self.state.value_loss, SymptomLocation::Critic),
        ];
        let detection = levels.into_iter().find_map(|(level, location)| {
            let correlation = level.correlation();
            let swings = level.is_warmed_up(memory)
                && correlation <= rule.correlation
                && level.log_std() >= rule.min_log_std;
            swings.then(|| Detection::warning(symptom, location, correlation, rule.correlation))
        });
        self.report_if_new(rule.hold_steps, symptom, detection)
    }

    /// Reads the levels that the spike detectors have just fed.
    fn vanishing(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (rule, memory) = (self.config.vanishing, self.baseline_settings());
        let symptom = Symptom::VanishingGradient;
        let (level, location) = if metrics.grad_norm_actor.is_some() {
            (&self.state.actor, SymptomLocation::Actor)
        } else {
            (&self.state.gradient, SymptomLocation::Policy)
        };
        let mean = level.mean();
        if level.is_warmed_up(memory) {
            self.state.max_level = Some(
                self.state
                    .max_level
                    .map_or(mean, |max_level| max_level.max(mean)),
            );
        }
        let measured = metrics.grad_norm.or(metrics.grad_norm_actor).is_some();
        let faded = self
            .state
            .max_level
            .map(|peak| peak + rule.fraction.ln())
            .filter(|&least| measured && mean < least)
            .map(|least| Detection::warning(symptom, location, mean.exp(), least.exp()));
        let detection = faded.or_else(|| {
            metrics
                .grad_norm
                .filter(|&norm| norm < rule.min_norm)
                .map(|norm| {
                    Detection::warning(symptom, SymptomLocation::Policy, norm, rule.min_norm)
                })
        });
        self.report_if_new(rule.hold_steps, symptom, detection)
    }

    fn entropy_collapse(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (rule, memory) = (self.config.entropy, self.baseline_settings());
        let (symptom, actions) = (
            Symptom::EntropyCollapse,
            self.network_layout.action_dim as f64,
        );
        let detection = finite(metrics.entropy).and_then(|entropy| {
            let usual = &mut self.state.entropy;
            let fallen = usual.mean() - rule.drop_nats * actions;
            let settled = usual.count() >= u64::from(memory.warm_up_steps);
            usual.push(entropy, memory.decay);
            let floor = rule.floor_nats * actions;
            let threshold = if settled { fallen.max(floor) } else { floor };
            (entropy < threshold)
                .then(|| Detection::warning(symptom, SymptomLocation::Actor, entropy, threshold))
        });
        self.report_if_new(1, symptom, detection)
    }

    fn kl_blow_up(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (symptom, most) = (Symptom::KlBlowUp, self.config.policy_shift.max_kl);
        let detection = metrics
            .approx_kl
            .filter(|&kl| kl > most)
            .map(|kl| Detection::warning(symptom, SymptomLocation::Actor, kl, most));
        self.report_if_new(1, symptom, detection)
    }

    fn kl_collapse(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        /// How far above what counts as none a divergence must be to count as movement. A run with
        /// one optimiser step an iteration has none ever.
        const MOVED: f64 = 100.0;
        let (symptom, rule) = (Symptom::KlCollapse, self.config.policy_shift);
        self.state.policy_has_moved |= metrics.approx_kl.is_some_and(|kl| kl > MOVED * rule.min_kl);
        let detection = metrics
            .approx_kl
            .filter(|&kl| self.state.policy_has_moved && kl < rule.min_kl)
            .map(|kl| Detection::warning(symptom, SymptomLocation::Actor, kl, rule.min_kl));
        self.report_if_new(rule.hold_steps, symptom, detection)
    }

    fn ratio_explosion(&mut self, metrics: &UpdateMetrics) -> Option<Detection> {
        let (symptom, most) = (Symptom::RatioExplosion, self.config.policy_shift.max_ratio);
        let detection = metrics
            .ratio_max
            .filter(|&ratio| ratio > most)
            .map(|ratio| Detection::warning(symptom, SymptomLocation::Actor, ratio, most));
        self.report_if_new(1, symptom, detection)
    }

    fn layer_norms(&mut self, norms: &[Option<f64>], mut say: impl FnMut(Detection)) {
        let (rule, rearm) = (self.config.vanishing, self.config.rearm_steps);
        let networks = || self.networks.iter().zip(norms);
        let layers = networks().zip(&self.network_layout.layers);
        for (((network, norm), name), alarms) in layers.zip(&mut self.state.layers) {
            let Some(norm) = finite(*norm) else { continue };
            let largest = networks()
                .filter(|(other, _)| *other == network)
                .filter_map(|(_, &norm)| finite(norm))
                .fold(0.0, f64::max);
            let least = rule.layer_fraction * largest;
            if alarms
                .vanishing
                .should_report(norm < least, rule.hold_steps, rearm)
            {
                let location = SymptomLocation::Layer(name.clone());
                say(Detection::warning(
                    Symptom::VanishingGradient,
                    location,
                    norm,
                    least,
                ));
            }
        }
    }

    /// Where most of a gradient is: in a layer if they were measured, else in one of the networks.
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

/// The number and the threshold that it passed, if it did.
fn spike(
    level: &mut Baseline,
    number: Option<f64>,
    rule: SpikeConfig,
    memory: BaselineSettings,
) -> Option<(f64, f64)> {
    let number = finite(number)?;
    let BaselineCheck { threshold, spike } = level.observe(number, rule, memory);
    spike.then_some((number, threshold))
}

fn finite(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests;
