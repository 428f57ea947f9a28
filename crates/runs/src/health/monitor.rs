//! The detectors of the learner's symptoms: vitals of one optimiser step in, events out.

use serde::{Deserialize, Serialize};

use super::level::{Alarm, Level, Memory, Reading};
use super::robot::RobotState;
use super::{Anatomy, HealthConfig, SpikeConfig, StepVitals};
use crate::stats::MovingMoments;
use crate::telemetry::{DivergenceReason, HealthEvent, IterationReport, Place, Severity, Symptom};

/// Watches one run. Cheap, and allocates nothing while nothing fires.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    pub(super) config: HealthConfig,
    pub(super) state: MonitorState,
    anatomy: Anatomy,
    /// The network of each layer, as the index of its first one.
    networks: Vec<usize>,
}

/// All that a monitor remembers: saved with a checkpoint, so that a resumed run tells of the same
/// events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MonitorState {
    gradient: Level,
    actor: Level,
    value_loss: Level,
    update: Level,
    entropy: MovingMoments,
    /// Highest mean of the actor's level, or of the gradient's where the actor's is not measured.
    peak: Option<f64>,
    /// Whether the KL divergence has been far above what counts as none.
    moved: bool,
    /// In the order of [`Symptom::ALL`].
    alarms: [Alarm; Symptom::ALL.len()],
    /// Of each layer, in the order of [`Anatomy::layers`].
    layers: Vec<LayerAlarms>,
    pub(super) robot: RobotState,
}

/// What was told of one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct LayerAlarms {
    vanishing: Alarm,
    dead: Alarm,
    saturated: Alarm,
}

/// What a detector saw, before it is known whether it was told of already.
pub(super) struct Seen {
    pub(super) symptom: Symptom,
    pub(super) severity: Severity,
    pub(super) place: Place,
    pub(super) value: Option<f64>,
    pub(super) threshold: Option<f64>,
}

impl Seen {
    pub(super) fn warning(symptom: Symptom, place: Place, value: f64, threshold: f64) -> Self {
        Self {
            symptom,
            severity: Severity::Warning,
            place,
            value: Some(value),
            threshold: Some(threshold),
        }
    }

    pub(super) fn at(self, global_step: u64, optimiser_step: u64) -> HealthEvent {
        HealthEvent {
            global_step,
            optimiser_step,
            symptom: self.symptom,
            severity: self.severity,
            place: self.place,
            value: finite(self.value),
            threshold: self.threshold,
            advice: self.symptom.advice().into(),
        }
    }
}

impl Monitor {
    /// A monitor before its first step.
    pub fn new(config: HealthConfig, anatomy: Anatomy) -> Self {
        Self::resume(config, anatomy, MonitorState::default())
    }

    /// A monitor that goes on where another was saved.
    pub fn resume(config: HealthConfig, anatomy: Anatomy, mut state: MonitorState) -> Self {
        state
            .layers
            .resize(anatomy.layers.len(), LayerAlarms::default());
        Self {
            config,
            state,
            networks: anatomy.networks(),
            anatomy,
        }
    }

    /// All that the next step reads.
    pub fn state(&self) -> &MonitorState {
        &self.state
    }

    /// Takes the vitals of one optimiser step, which come in order, and tells what has begun with
    /// it. A symptom that goes on is told of once.
    pub fn observe(&mut self, vitals: &StepVitals) -> Vec<HealthEvent> {
        let found = [
            self.non_finite(vitals),
            self.gradient_spike(vitals),
            self.loss_spike(vitals),
            self.weight_leap(vitals),
            self.oscillation(),
            self.vanishing(vitals),
            self.entropy_collapse(vitals),
            self.kl_blow_up(vitals),
            self.kl_collapse(vitals),
            self.ratio_explosion(vitals),
        ];
        let at = |seen: Seen| seen.at(vitals.global_step, vitals.optimiser_step);
        // An iterator without items collects into a vector without memory.
        let mut told: Vec<HealthEvent> = found.into_iter().flatten().map(at).collect();
        self.layer_norms(vitals.layer_norms, |seen| told.push(at(seen)));
        told
    }

    /// Takes what the units did in an iteration, whose optimiser steps were all observed, and tells
    /// what has begun with it.
    pub fn observe_iteration(&mut self, report: &IterationReport) -> Vec<HealthEvent> {
        let (rule, rearm) = (self.config.units, self.config.units.hold_iterations);
        let mut told = Vec::new();
        let names = self.anatomy.layers.iter();
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
                if alarm.tell(share >= most, rule.hold_iterations, rearm) {
                    let place = Place::Layer(name.clone());
                    let seen = Seen::warning(symptom, place, share, most);
                    told.push(seen.at(report.global_step, report.optimiser_step));
                }
            }
        }
        told
    }

    /// Whether to tell of a symptom that holds now or not.
    pub(super) fn tell(&mut self, symptom: Symptom, holds: bool, hold: u32) -> bool {
        self.state.alarms[symptom as usize].tell(holds, hold, self.config.rearm_steps)
    }

    fn tell_if(&mut self, hold: u32, symptom: Symptom, seen: Option<Seen>) -> Option<Seen> {
        if self.tell(symptom, seen.is_some(), hold) {
            seen
        } else {
            None
        }
    }

    fn memory(&self) -> Memory {
        Memory {
            decay: self.config.decay,
            warm_up_steps: self.config.warm_up_steps,
        }
    }

    fn non_finite(&mut self, vitals: &StepVitals) -> Option<Seen> {
        let now = vitals.not_finite.and_then(|reason| match reason {
            DivergenceReason::NonFiniteLoss => Some(Symptom::NonFiniteLoss),
            DivergenceReason::NonFiniteGradient => Some(Symptom::NonFiniteGradient),
            DivergenceReason::NonFiniteParameter => Some(Symptom::NonFiniteParameter),
            DivergenceReason::ParameterNorm | DivergenceReason::Refused => None,
        });
        let mut told = None;
        for symptom in [
            Symptom::NonFiniteLoss,
            Symptom::NonFiniteGradient,
            Symptom::NonFiniteParameter,
        ] {
            if self.tell(symptom, now == Some(symptom), 1) {
                told = Some(Seen {
                    symptom,
                    severity: Severity::Critical,
                    place: Place::Policy,
                    value: None,
                    threshold: None,
                });
            }
        }
        if let Some(seen) = &mut told
            && seen.symptom == Symptom::NonFiniteGradient
        {
            seen.value = Some(vitals.grad_nonfinite as f64);
        }
        told
    }

    fn gradient_spike(&mut self, vitals: &StepVitals) -> Option<Seen> {
        let (rule, memory) = (self.config.gradient_spike, self.memory());
        let whole = spike(&mut self.state.gradient, vitals.grad_norm, rule, memory);
        let actor = spike(&mut self.state.actor, vitals.grad_norm_actor, rule, memory);
        let (norm, threshold) = whole.or(actor).unwrap_or_default();
        let holds = whole.or(actor).is_some();
        self.tell(Symptom::GradientSpike, holds, 1).then(|| {
            let place = if whole.is_some() {
                self.mostly_in(vitals)
            } else {
                Place::Actor
            };
            Seen::warning(Symptom::GradientSpike, place, norm, threshold)
        })
    }

    fn loss_spike(&mut self, vitals: &StepVitals) -> Option<Seen> {
        let (rule, memory) = (self.config.loss_spike, self.memory());
        let symptom = Symptom::LossSpike;
        let seen = spike(&mut self.state.value_loss, vitals.value_loss, rule, memory)
            .map(|(loss, threshold)| Seen::warning(symptom, Place::Critic, loss, threshold));
        self.tell_if(1, symptom, seen)
    }

    fn weight_leap(&mut self, vitals: &StepVitals) -> Option<Seen> {
        let (rule, memory) = (self.config.weight_leap, self.memory());
        let symptom = Symptom::WeightLeap;
        let leap = spike(
            &mut self.state.update,
            vitals.update_ratio,
            rule.spike,
            memory,
        );
        let too_much = vitals
            .update_ratio
            .filter(|&ratio| ratio > rule.max_ratio)
            .map(|ratio| Seen {
                severity: Severity::Critical,
                ..Seen::warning(symptom, Place::Policy, ratio, rule.max_ratio)
            });
        let seen = too_much.or_else(|| {
            leap.map(|(ratio, threshold)| Seen::warning(symptom, Place::Policy, ratio, threshold))
        });
        self.tell_if(1, symptom, seen)
    }

    /// Reads the levels that the spike detectors have just fed.
    fn oscillation(&mut self) -> Option<Seen> {
        let (rule, memory) = (self.config.oscillation, self.memory());
        let symptom = Symptom::Oscillation;
        let levels = [
            (&self.state.gradient, Place::Policy),
            (&self.state.value_loss, Place::Critic),
        ];
        let seen = levels.into_iter().find_map(|(level, place)| {
            let correlation = level.correlation();
            let swings = level.settled(memory)
                && correlation <= rule.correlation
                && level.swing() >= rule.swing;
            swings.then(|| Seen::warning(symptom, place, correlation, rule.correlation))
        });
        self.tell_if(rule.hold_steps, symptom, seen)
    }

    /// Reads the levels that the spike detectors have just fed.
    fn vanishing(&mut self, vitals: &StepVitals) -> Option<Seen> {
        let (rule, memory) = (self.config.vanishing, self.memory());
        let symptom = Symptom::VanishingGradient;
        let (level, place) = if vitals.grad_norm_actor.is_some() {
            (&self.state.actor, Place::Actor)
        } else {
            (&self.state.gradient, Place::Policy)
        };
        let mean = level.mean();
        if level.settled(memory) {
            self.state.peak = Some(self.state.peak.map_or(mean, |peak| peak.max(mean)));
        }
        let measured = vitals.grad_norm.or(vitals.grad_norm_actor).is_some();
        let faded = self
            .state
            .peak
            .map(|peak| peak + rule.fraction.ln())
            .filter(|&least| measured && mean < least)
            .map(|least| Seen::warning(symptom, place, mean.exp(), least.exp()));
        let seen = faded.or_else(|| {
            vitals
                .grad_norm
                .filter(|&norm| norm < rule.min_norm)
                .map(|norm| Seen::warning(symptom, Place::Policy, norm, rule.min_norm))
        });
        self.tell_if(rule.hold_steps, symptom, seen)
    }

    fn entropy_collapse(&mut self, vitals: &StepVitals) -> Option<Seen> {
        let (rule, memory) = (self.config.entropy, self.memory());
        let (symptom, actions) = (Symptom::EntropyCollapse, self.anatomy.action_dim as f64);
        let seen = finite(vitals.entropy).and_then(|entropy| {
            let usual = &mut self.state.entropy;
            let fallen = usual.mean() - rule.drop_nats * actions;
            let settled = usual.count() >= u64::from(memory.warm_up_steps);
            usual.push(entropy, memory.decay);
            let floor = rule.floor_nats * actions;
            let threshold = if settled { fallen.max(floor) } else { floor };
            (entropy < threshold).then(|| Seen::warning(symptom, Place::Actor, entropy, threshold))
        });
        self.tell_if(1, symptom, seen)
    }

    fn kl_blow_up(&mut self, vitals: &StepVitals) -> Option<Seen> {
        let (symptom, most) = (Symptom::KlBlowUp, self.config.policy_shift.max_kl);
        let seen = vitals
            .approx_kl
            .filter(|&kl| kl > most)
            .map(|kl| Seen::warning(symptom, Place::Actor, kl, most));
        self.tell_if(1, symptom, seen)
    }

    fn kl_collapse(&mut self, vitals: &StepVitals) -> Option<Seen> {
        /// How far above what counts as none a divergence must be to count as movement. A run with
        /// one optimiser step an iteration has none ever.
        const MOVED: f64 = 100.0;
        let (symptom, rule) = (Symptom::KlCollapse, self.config.policy_shift);
        self.state.moved |= vitals.approx_kl.is_some_and(|kl| kl > MOVED * rule.min_kl);
        let seen = vitals
            .approx_kl
            .filter(|&kl| self.state.moved && kl < rule.min_kl)
            .map(|kl| Seen::warning(symptom, Place::Actor, kl, rule.min_kl));
        self.tell_if(rule.hold_steps, symptom, seen)
    }

    fn ratio_explosion(&mut self, vitals: &StepVitals) -> Option<Seen> {
        let (symptom, most) = (Symptom::RatioExplosion, self.config.policy_shift.max_ratio);
        let seen = vitals
            .ratio_max
            .filter(|&ratio| ratio > most)
            .map(|ratio| Seen::warning(symptom, Place::Actor, ratio, most));
        self.tell_if(1, symptom, seen)
    }

    fn layer_norms(&mut self, norms: &[Option<f64>], mut say: impl FnMut(Seen)) {
        let (rule, rearm) = (self.config.vanishing, self.config.rearm_steps);
        let networks = || self.networks.iter().zip(norms);
        let layers = networks().zip(&self.anatomy.layers);
        for (((network, norm), name), alarms) in layers.zip(&mut self.state.layers) {
            let Some(norm) = finite(*norm) else { continue };
            let largest = networks()
                .filter(|(other, _)| *other == network)
                .filter_map(|(_, &norm)| finite(norm))
                .fold(0.0, f64::max);
            let least = rule.layer_fraction * largest;
            if alarms.vanishing.tell(norm < least, rule.hold_steps, rearm) {
                let place = Place::Layer(name.clone());
                say(Seen::warning(
                    Symptom::VanishingGradient,
                    place,
                    norm,
                    least,
                ));
            }
        }
    }

    /// Where most of a gradient is: in a layer if they were measured, else in one of the networks.
    fn mostly_in(&self, vitals: &StepVitals) -> Place {
        let layers = self.anatomy.layers.iter().zip(vitals.layer_norms);
        let largest = layers
            .filter_map(|(name, &norm)| Some((name, finite(norm)?)))
            .max_by(|(_, a), (_, b)| a.total_cmp(b));
        match (largest, vitals.grad_norm_actor, vitals.grad_norm_critic) {
            (Some((name, _)), _, _) => Place::Layer(name.clone()),
            (None, Some(actor), Some(critic)) if critic > actor => Place::Critic,
            (None, Some(_), Some(_)) => Place::Actor,
            _ => Place::Policy,
        }
    }
}

/// The number and the threshold that it passed, if it did.
fn spike(
    level: &mut Level,
    number: Option<f64>,
    rule: SpikeConfig,
    memory: Memory,
) -> Option<(f64, f64)> {
    let number = finite(number)?;
    let Reading { threshold, spike } = level.observe(number, rule, memory);
    spike.then_some((number, threshold))
}

fn finite(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests;
