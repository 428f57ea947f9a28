//! Tests of each detector with numbers that it must report and numbers that it must not.

use super::*;
use crate::telemetry::LayerReport;

const HEALTHY: UpdateMetrics = UpdateMetrics {
    global_step: 0,
    optimiser_step: 0,
    divergence: None,
    grad_nonfinite: 0,
    grad_norm: Some(0.5),
    grad_norm_actor: Some(0.4),
    grad_norm_critic: Some(0.3),
    update_ratio: Some(1e-3),
    value_loss: Some(0.2),
    entropy: Some(2.0),
    approx_kl: Some(0.005),
    ratio_max: Some(1.5),
    layer_norms: &[],
};

fn network_layout() -> NetworkLayout {
    let layers = ["actor.0.weight", "actor.1.weight", "critic.0.weight"];
    NetworkLayout {
        action_dim: 2,
        layers: layers.map(String::from).into(),
        ..NetworkLayout::default()
    }
}

/// A monitor after this many healthy steps.
fn monitor_after(steps: u64) -> Monitor {
    let mut monitor = Monitor::new(HealthConfig::default(), network_layout());
    for _ in 0..steps {
        assert_eq!(monitor.observe(&HEALTHY), []);
    }
    monitor
}

/// The only event of a step.
fn single_event(monitor: &mut Monitor, metrics: UpdateMetrics) -> HealthEvent {
    let events = monitor.observe(&metrics);
    assert_eq!(events.len(), 1, "{events:?}");
    events.into_iter().next().expect("there is one")
}

/// The number of steps before the first event, and the event.
fn first_event(
    monitor: &mut Monitor,
    mut metrics: impl FnMut(u32) -> UpdateMetrics<'static>,
) -> (u32, HealthEvent) {
    for step in 0..1000 {
        if let Some(event) = monitor.observe(&metrics(step)).into_iter().next() {
            return (step, event);
        }
    }
    panic!("no event in a thousand steps")
}

#[test]
fn a_spike_event_has_location_value_and_threshold() {
    let step = UpdateMetrics {
        global_step: 4096,
        optimiser_step: 41,
        grad_norm: Some(5.0),
        grad_norm_critic: Some(5.0),
        ..HEALTHY
    };
    let event = single_event(&mut monitor_after(40), step);
    assert_eq!(event.symptom, Symptom::GradientSpike);
    assert_eq!(event.location, SymptomLocation::Critic);
    assert_eq!((event.global_step, event.optimiser_step), (4096, 41));
    assert_eq!(event.value, Some(5.0));
    assert!((event.threshold.unwrap() - 2.5).abs() < 1e-9, "{event:?}");

    let mut warming_up = monitor_after(10);
    assert_eq!(warming_up.observe(&step), [], "the warm-up is not over");
}

#[test]
fn an_actor_spike_is_detected_although_the_critic_dominates_the_norm() {
    let mut monitor = Monitor::new(HealthConfig::default(), network_layout());
    let usual = UpdateMetrics {
        grad_norm: Some(100.0),
        grad_norm_critic: Some(100.0),
        ..HEALTHY
    };
    for _ in 0..40 {
        assert_eq!(monitor.observe(&usual), []);
    }
    let event = single_event(
        &mut monitor,
        UpdateMetrics {
            grad_norm_actor: Some(4.0),
            ..usual
        },
    );
    assert_eq!(
        (event.location, event.value),
        (SymptomLocation::Actor, Some(4.0))
    );
}

#[test]
fn the_layer_with_the_largest_norm_is_the_location_of_a_spike() {
    let event = single_event(
        &mut monitor_after(40),
        UpdateMetrics {
            grad_norm: Some(5.0),
            layer_norms: &[Some(0.2), Some(4.9), None],
            ..HEALTHY
        },
    );
    assert_eq!(
        event.location,
        SymptomLocation::Layer("actor.1.weight".into())
    );
}

#[test]
fn a_lasting_symptom_is_reported_once_and_again_when_it_returns() {
    let mut monitor = monitor_after(40);
    let spike = UpdateMetrics {
        update_ratio: Some(0.5),
        ..HEALTHY
    };
    assert_eq!(
        single_event(&mut monitor, spike).severity,
        Severity::Critical
    );
    assert_eq!(monitor.observe(&spike), []);
    for _ in 0..50 {
        assert_eq!(monitor.observe(&HEALTHY), []);
    }
    assert_eq!(
        single_event(&mut monitor, spike).symptom,
        Symptom::UpdateSpike
    );
}

#[test]
fn an_update_spike_is_detected_by_level_and_by_absolute_bound() {
    let ratio = |ratio| UpdateMetrics {
        update_ratio: Some(ratio),
        ..HEALTHY
    };
    let event = single_event(&mut monitor_after(40), ratio(5e-3));
    assert_eq!(event.severity, Severity::Warning);
    assert!((event.threshold.unwrap() - 4e-3).abs() < 1e-12);
    let event = single_event(&mut monitor_after(0), ratio(0.11));
    assert_eq!(
        (event.severity, event.threshold),
        (Severity::Critical, Some(0.1))
    );
}

#[test]
fn non_finite_numbers_are_critical_and_do_not_change_the_levels() {
    let mut monitor = monitor_after(40);
    let before = monitor.state().clone();
    let event = single_event(
        &mut monitor,
        UpdateMetrics {
            divergence: Some(DivergenceReason::NonFiniteGradient),
            grad_nonfinite: 7,
            grad_norm: Some(f64::NAN),
            grad_norm_actor: Some(f64::INFINITY),
            grad_norm_critic: None,
            update_ratio: None,
            ..HEALTHY
        },
    );
    assert_eq!(event.symptom, Symptom::NonFiniteGradient);
    assert_eq!(
        (event.severity, event.value),
        (Severity::Critical, Some(7.0))
    );
    assert_eq!(monitor.state().gradient, before.gradient);
    assert_eq!(monitor.state().actor, before.actor);
    let event = single_event(
        &mut monitor,
        UpdateMetrics {
            divergence: Some(DivergenceReason::NonFiniteParameter),
            ..HEALTHY
        },
    );
    assert_eq!(
        (event.symptom, event.value),
        (Symptom::NonFiniteParameter, None)
    );
}

#[test]
fn a_loss_spike_has_its_own_factor() {
    let loss = |loss| UpdateMetrics {
        value_loss: Some(loss),
        ..HEALTHY
    };
    assert_eq!(monitor_after(40).observe(&loss(1.5)), []);
    let event = single_event(&mut monitor_after(40), loss(1.7));
    assert_eq!(
        (event.symptom, &event.location),
        (Symptom::LossSpike, &SymptomLocation::Critic)
    );
}

#[test]
fn overshooting_is_an_oscillation_and_minibatch_noise_is_not() {
    let with_loss = |value_loss: f64| UpdateMetrics {
        value_loss: Some(value_loss),
        ..HEALTHY
    };
    let (steps, event) = first_event(&mut monitor_after(40), |step| {
        with_loss(if step % 2 == 0 { 0.1 } else { 0.4 })
    });
    assert_eq!(
        (event.symptom, &event.location),
        (Symptom::Oscillation, &SymptomLocation::Critic)
    );
    assert!(
        event.value.unwrap() <= -0.75 && steps < 60,
        "{steps} {event:?}"
    );

    // Two minibatches partition the rows of an epoch: a higher loss in one means a lower loss in
    // the other.
    let mut monitor = monitor_after(0);
    let mut noise = 1_u64;
    for _ in 0..500 {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let offset = (noise >> 33) as f64 / f64::from(u32::MAX) - 0.25;
        for loss in [0.2 * (1.0 + offset), 0.2 * (1.0 - offset)] {
            assert_eq!(monitor.observe(&with_loss(loss)), []);
        }
    }
}

#[test]
fn a_vanishing_actor_gradient_is_detected_and_a_shrinking_critic_gradient_is_not() {
    let (_, event) = first_event(&mut monitor_after(40), |step| {
        let factor = 0.98_f64.powi(step as i32);
        UpdateMetrics {
            grad_norm: Some(0.5 * factor),
            grad_norm_actor: Some(0.4 * factor),
            ..HEALTHY
        }
    });
    assert_eq!(
        (event.symptom, &event.location),
        (Symptom::VanishingGradient, &SymptomLocation::Actor)
    );
    assert!((event.threshold.unwrap() - 0.004).abs() < 1e-9, "{event:?}");

    let mut monitor = monitor_after(40);
    for step in 0..600 {
        let critic_norm = 0.98_f64.powi(step);
        let healthy = UpdateMetrics {
            grad_norm: Some(0.4_f64.hypot(critic_norm)),
            grad_norm_critic: Some(critic_norm),
            ..HEALTHY
        };
        assert_eq!(monitor.observe(&healthy), []);
    }
}

#[test]
fn a_missing_gradient_is_detected_from_the_first_step_on() {
    let (steps, event) = first_event(&mut monitor_after(0), |_| UpdateMetrics {
        grad_norm: Some(1e-12),
        grad_norm_actor: Some(0.0),
        ..HEALTHY
    });
    assert_eq!(
        (event.symptom, &event.location),
        (Symptom::VanishingGradient, &SymptomLocation::Policy)
    );
    assert_eq!(steps, 19);
}

#[test]
fn a_vanishing_layer_is_compared_with_the_others_in_its_network() {
    let mut monitor = monitor_after(40);
    let metrics = |layer_norms| UpdateMetrics {
        layer_norms,
        ..HEALTHY
    };
    for _ in 0..19 {
        let events = monitor.observe(&metrics(&[Some(9e-7), Some(0.1), Some(1e5)]));
        assert_eq!(events, []);
    }
    let event = single_event(&mut monitor, metrics(&[Some(9e-7), Some(0.1), Some(1e5)]));
    assert_eq!(event.symptom, Symptom::VanishingGradient);
    assert_eq!(
        event.location,
        SymptomLocation::Layer("actor.0.weight".into())
    );
    assert!((event.threshold.unwrap() - 1e-6).abs() < 1e-12);
}

#[test]
fn dead_and_saturated_units_are_detected_after_three_iterations() {
    let report = |dormant, saturated| {
        let layer = |name: &str| LayerReport {
            name: name.into(),
            ..LayerReport::default()
        };
        let mut layers: Vec<_> = network_layout()
            .layers
            .iter()
            .map(|name| layer(name))
            .collect();
        (layers[1].dormant, layers[1].saturated) = (dormant, saturated);
        IterationReport {
            global_step: 4096,
            optimiser_step: 20,
            layers,
            ..IterationReport::default()
        }
    };
    let mut monitor = monitor_after(20);
    let mut symptoms = |dormant, saturated| {
        let events = monitor.observe_iteration(&report(dormant, saturated));
        assert!(events.iter().all(|event| {
            event.location == SymptomLocation::Layer("actor.1.weight".into())
                && event.optimiser_step == 20
        }));
        events.into_iter().map(|e| e.symptom).collect::<Vec<_>>()
    };
    assert_eq!(symptoms(Some(0.49), Some(0.9)), []);
    assert_eq!(symptoms(Some(0.5), Some(0.9)), []);
    assert_eq!(symptoms(Some(0.6), Some(0.9)), [Symptom::SaturatedUnits]);
    assert_eq!(symptoms(None, None), [], "nothing was measured");
    assert_eq!(symptoms(Some(0.5), Some(0.9)), [Symptom::DeadUnits]);
    assert_eq!(symptoms(Some(0.5), Some(0.9)), [], "it is reported once");
}

#[test]
fn a_slow_fall_of_entropy_is_reported_only_at_the_floor() {
    let entropy = |entropy| UpdateMetrics {
        entropy: Some(entropy),
        ..HEALTHY
    };
    let event = single_event(&mut monitor_after(40), entropy(1.3));
    assert_eq!(event.symptom, Symptom::EntropyCollapse);
    assert!((event.threshold.unwrap() - 1.4).abs() < 1e-9);
    // 0.01 nats per step is slow enough until the floor is reached.
    let (steps, event) = first_event(&mut monitor_after(40), |step| {
        entropy(2.0 - 0.01 * f64::from(step))
    });
    assert_eq!((event.threshold, steps), (Some(-5.0), 701));
}

#[test]
fn policy_shifts_that_are_too_large_or_zero_are_detected() {
    let shift = |kl, ratio| UpdateMetrics {
        approx_kl: Some(kl),
        ratio_max: Some(ratio),
        ..HEALTHY
    };
    assert_eq!(
        single_event(&mut monitor_after(0), shift(0.4, 3.0)).symptom,
        Symptom::KlBlowUp
    );
    assert_eq!(
        single_event(&mut monitor_after(0), shift(0.1, 130.0)).symptom,
        Symptom::RatioExplosion
    );
    let (steps, event) = first_event(&mut monitor_after(5), |_| shift(0.0, 1.0));
    assert_eq!((event.symptom, steps), (Symptom::KlCollapse, 99));
    let mut one_step_per_iteration = Monitor::new(HealthConfig::default(), network_layout());
    for _ in 0..300 {
        assert_eq!(one_step_per_iteration.observe(&shift(0.0, 1.0)), []);
    }
}

#[test]
fn a_resumed_monitor_reports_the_same_events() {
    let step = |step: u64| {
        let wave = (step as f64 * 0.7).sin();
        UpdateMetrics {
            optimiser_step: step,
            grad_norm: Some(if step.is_multiple_of(70) {
                30.0
            } else {
                0.5 + 0.2 * wave
            }),
            update_ratio: Some(if step == 120 { 0.3 } else { 1e-3 }),
            entropy: Some(if step < 150 { 2.0 } else { 1.0 }),
            approx_kl: Some(if step < 160 { 0.01 } else { 0.0 }),
            ..HEALTHY
        }
    };
    let mut original = monitor_after(0);
    let events: Vec<_> = (0..300).map(|at| original.observe(&step(at))).collect();
    assert!(events.iter().flatten().count() >= 5);
    for stop in [1, 30, 70, 119, 155, 220] {
        let mut first = monitor_after(0);
        for at in 0..stop {
            first.observe(&step(at));
        }
        let saved = serde_json::to_string(first.state()).unwrap();
        let state = serde_json::from_str(&saved).unwrap();
        let mut resumed = Monitor::resume(HealthConfig::default(), network_layout(), state);
        for at in stop..300 {
            assert_eq!(
                resumed.observe(&step(at)),
                events[at as usize],
                "from {stop}"
            );
        }
        assert_eq!(resumed, original);
    }
}

#[test]
fn each_symptom_has_its_own_alarm() {
    for (index, symptom) in Symptom::ALL.into_iter().enumerate() {
        assert_eq!(symptom as usize, index);
    }
}

#[test]
fn values_beyond_the_bound_are_reported_after_three_iterations() {
    let report = |value_max, value_bound| IterationReport {
        global_step: 4096,
        optimiser_step: 20,
        value_max,
        value_bound,
        ..IterationReport::default()
    };
    let mut monitor = monitor_after(20);
    let mut events = |value, bound| monitor.observe_iteration(&report(value, bound));
    for (value, bound) in [
        (Some(249.0), Some(200.0)),
        (Some(251.0), Some(200.0)),
        (Some(251.0), Some(200.0)),
        (None, Some(200.0)),
        (Some(1e6), None),
        (Some(0.5), Some(0.0)),
        (Some(251.0), Some(200.0)),
        (Some(900.0), Some(200.0)),
    ] {
        assert_eq!(events(value, bound), [], "{value:?} {bound:?}");
    }
    let event = &events(Some(1000.0), Some(200.0))[..];
    assert_eq!(event.len(), 1);
    assert_eq!(
        (event[0].symptom, &event[0].location),
        (Symptom::ValueBound, &SymptomLocation::Critic)
    );
    assert_eq!(
        (event[0].value, event[0].threshold),
        (Some(1000.0), Some(250.0))
    );
    assert_eq!(events(Some(1000.0), Some(200.0)), [], "it is reported once");
}

#[test]
fn a_state_of_an_earlier_version_has_no_alarms_of_newer_symptoms() {
    let state = monitor_after(3).state().clone();
    let mut value = serde_json::to_value(&state).unwrap();
    let alarms = value["alarms"].as_array_mut().unwrap();
    alarms.pop();
    let read: MonitorState = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(read, state);
    let alarms = value["alarms"].as_array_mut().unwrap();
    alarms.extend(vec![alarms[0].clone(); 9]);
    assert!(serde_json::from_value::<MonitorState>(value).is_err());
}
