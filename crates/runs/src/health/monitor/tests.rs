//! Each detector against numbers that it must and must not tell of.

use super::*;
use crate::telemetry::LayerReport;

const HEALTHY: UpdateMetrics = UpdateMetrics {
    global_step: 0,
    optimiser_step: 0,
    not_finite: None,
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
    }
}

/// A monitor that has seen as many healthy steps.
fn after(steps: u64) -> Monitor {
    let mut monitor = Monitor::new(HealthConfig::default(), network_layout());
    for _ in 0..steps {
        assert_eq!(monitor.observe(&HEALTHY), []);
    }
    monitor
}

/// The one event that a step brings about.
fn one(monitor: &mut Monitor, metrics: UpdateMetrics) -> HealthEvent {
    let events = monitor.observe(&metrics);
    assert_eq!(events.len(), 1, "{events:?}");
    events.into_iter().next().expect("there is one")
}

/// Steps until the first event, and the event.
fn until(
    monitor: &mut Monitor,
    mut metrics: impl FnMut(u32) -> UpdateMetrics<'static>,
) -> (u32, HealthEvent) {
    for step in 0..1000 {
        if let Some(event) = monitor.observe(&metrics(step)).into_iter().next() {
            return (step, event);
        }
    }
    panic!("nothing was told in a thousand steps")
}

#[test]
fn a_spike_is_told_with_its_place_number_and_threshold() {
    let step = UpdateMetrics {
        global_step: 4096,
        optimiser_step: 41,
        grad_norm: Some(5.0),
        grad_norm_critic: Some(5.0),
        ..HEALTHY
    };
    let event = one(&mut after(40), step);
    assert_eq!(event.symptom, Symptom::GradientSpike);
    assert_eq!(event.location, SymptomLocation::Critic);
    assert_eq!((event.global_step, event.optimiser_step), (4096, 41));
    assert_eq!(event.value, Some(5.0));
    assert!((event.threshold.unwrap() - 2.5).abs() < 1e-9, "{event:?}");

    let mut unheard = after(10);
    assert_eq!(unheard.observe(&step), [], "the level is not known yet");
}

#[test]
fn an_actor_spikes_beside_a_critic_that_is_far_larger() {
    let mut monitor = Monitor::new(HealthConfig::default(), network_layout());
    let usual = UpdateMetrics {
        grad_norm: Some(100.0),
        grad_norm_critic: Some(100.0),
        ..HEALTHY
    };
    for _ in 0..40 {
        assert_eq!(monitor.observe(&usual), []);
    }
    let event = one(
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
fn the_layer_that_carries_a_spike_is_named() {
    let event = one(
        &mut after(40),
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
fn a_symptom_that_goes_on_is_told_once_and_again_when_it_returns() {
    let mut monitor = after(40);
    let leap = UpdateMetrics {
        update_ratio: Some(0.5),
        ..HEALTHY
    };
    assert_eq!(one(&mut monitor, leap).severity, Severity::Critical);
    assert_eq!(monitor.observe(&leap), []);
    for _ in 0..50 {
        assert_eq!(monitor.observe(&HEALTHY), []);
    }
    assert_eq!(one(&mut monitor, leap).symptom, Symptom::UpdateSpike);
}

#[test]
fn a_leap_is_told_against_its_history_and_against_any_bound() {
    let ratio = |ratio| UpdateMetrics {
        update_ratio: Some(ratio),
        ..HEALTHY
    };
    let event = one(&mut after(40), ratio(5e-3));
    assert_eq!(event.severity, Severity::Warning);
    assert!((event.threshold.unwrap() - 4e-3).abs() < 1e-12);
    let event = one(&mut after(0), ratio(0.11));
    assert_eq!(
        (event.severity, event.threshold),
        (Severity::Critical, Some(0.1))
    );
}

#[test]
fn what_is_not_finite_is_critical_and_no_level_takes_it() {
    let mut monitor = after(40);
    let before = monitor.state().clone();
    let event = one(
        &mut monitor,
        UpdateMetrics {
            not_finite: Some(DivergenceReason::NonFiniteGradient),
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
    let event = one(
        &mut monitor,
        UpdateMetrics {
            not_finite: Some(DivergenceReason::NonFiniteParameter),
            ..HEALTHY
        },
    );
    assert_eq!(
        (event.symptom, event.value),
        (Symptom::NonFiniteParameter, None)
    );
}

#[test]
fn a_loss_spikes_by_its_own_factor() {
    let loss = |loss| UpdateMetrics {
        value_loss: Some(loss),
        ..HEALTHY
    };
    assert_eq!(after(40).observe(&loss(1.5)), []);
    let event = one(&mut after(40), loss(1.7));
    assert_eq!(
        (event.symptom, &event.location),
        (Symptom::LossSpike, &SymptomLocation::Critic)
    );
}

#[test]
fn overshooting_is_told_and_the_minibatches_of_an_epoch_are_not() {
    let swinging = |value_loss: f64| UpdateMetrics {
        value_loss: Some(value_loss),
        ..HEALTHY
    };
    let (steps, event) = until(&mut after(40), |step| {
        swinging(if step % 2 == 0 { 0.1 } else { 0.4 })
    });
    assert_eq!(
        (event.symptom, &event.location),
        (Symptom::Oscillation, &SymptomLocation::Critic)
    );
    assert!(
        event.value.unwrap() <= -0.75 && steps < 60,
        "{steps} {event:?}"
    );

    // Two minibatches share out the rows of an epoch: what one has more the other has less.
    let mut monitor = after(0);
    let mut noise = 1_u64;
    for _ in 0..500 {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let more = (noise >> 33) as f64 / f64::from(u32::MAX) - 0.25;
        for loss in [0.2 * (1.0 + more), 0.2 * (1.0 - more)] {
            assert_eq!(monitor.observe(&swinging(loss)), []);
        }
    }
}

#[test]
fn a_gradient_that_fades_is_told_and_a_critic_that_learns_is_not() {
    let (_, event) = until(&mut after(40), |step| {
        let left = 0.98_f64.powi(step as i32);
        UpdateMetrics {
            grad_norm: Some(0.5 * left),
            grad_norm_actor: Some(0.4 * left),
            ..HEALTHY
        }
    });
    assert_eq!(
        (event.symptom, &event.location),
        (Symptom::VanishingGradient, &SymptomLocation::Actor)
    );
    assert!((event.threshold.unwrap() - 0.004).abs() < 1e-9, "{event:?}");

    let mut monitor = after(40);
    for step in 0..600 {
        let learns = 0.98_f64.powi(step);
        let healthy = UpdateMetrics {
            grad_norm: Some(0.4_f64.hypot(learns)),
            grad_norm_critic: Some(learns),
            ..HEALTHY
        };
        assert_eq!(monitor.observe(&healthy), []);
    }
}

#[test]
fn no_gradient_from_the_first_step_on_is_told_too() {
    let (steps, event) = until(&mut after(0), |_| UpdateMetrics {
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
fn a_layer_vanishes_beside_the_others_of_its_network() {
    let mut monitor = after(40);
    let metrics = |first| UpdateMetrics {
        layer_norms: first,
        ..HEALTHY
    };
    for _ in 0..19 {
        let told = monitor.observe(&metrics(&[Some(9e-7), Some(0.1), Some(1e5)]));
        assert_eq!(told, []);
    }
    let event = one(&mut monitor, metrics(&[Some(9e-7), Some(0.1), Some(1e5)]));
    assert_eq!(event.symptom, Symptom::VanishingGradient);
    assert_eq!(
        event.location,
        SymptomLocation::Layer("actor.0.weight".into())
    );
    assert!((event.threshold.unwrap() - 1e-6).abs() < 1e-12);
}

#[test]
fn units_are_judged_after_each_iteration() {
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
    let mut monitor = after(20);
    let mut told = |dormant, saturated| {
        let events = monitor.observe_iteration(&report(dormant, saturated));
        assert!(events.iter().all(|event| {
            event.location == SymptomLocation::Layer("actor.1.weight".into())
                && event.optimiser_step == 20
        }));
        events.into_iter().map(|e| e.symptom).collect::<Vec<_>>()
    };
    assert_eq!(told(Some(0.49), Some(0.9)), []);
    assert_eq!(told(Some(0.5), Some(0.9)), []);
    assert_eq!(told(Some(0.6), Some(0.9)), [Symptom::SaturatedUnits]);
    assert_eq!(told(None, None), [], "what was not measured is not judged");
    assert_eq!(told(Some(0.5), Some(0.9)), [Symptom::DeadUnits]);
    assert_eq!(told(Some(0.5), Some(0.9)), [], "once");
}

#[test]
fn entropy_may_fall_but_not_drop() {
    let entropy = |entropy| UpdateMetrics {
        entropy: Some(entropy),
        ..HEALTHY
    };
    let event = one(&mut after(40), entropy(1.3));
    assert_eq!(event.symptom, Symptom::EntropyCollapse);
    assert!((event.threshold.unwrap() - 1.4).abs() < 1e-9);
    // 0.01 nats a step: slow enough until nothing is left.
    let (steps, event) = until(&mut after(40), |step| entropy(2.0 - 0.01 * f64::from(step)));
    assert_eq!((event.threshold, steps), (Some(-5.0), 701));
}

#[test]
fn a_policy_may_move_but_neither_leap_nor_stop() {
    let shift = |kl, ratio| UpdateMetrics {
        approx_kl: Some(kl),
        ratio_max: Some(ratio),
        ..HEALTHY
    };
    assert_eq!(
        one(&mut after(0), shift(0.4, 3.0)).symptom,
        Symptom::KlBlowUp
    );
    assert_eq!(
        one(&mut after(0), shift(0.1, 130.0)).symptom,
        Symptom::RatioExplosion
    );
    let (steps, event) = until(&mut after(5), |_| shift(0.0, 1.0));
    assert_eq!((event.symptom, steps), (Symptom::KlCollapse, 99));
    let mut one_step_an_iteration = Monitor::new(HealthConfig::default(), network_layout());
    for _ in 0..300 {
        assert_eq!(one_step_an_iteration.observe(&shift(0.0, 1.0)), []);
    }
}

#[test]
fn a_resumed_monitor_tells_what_one_left_alone_tells() {
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
    let mut alone = after(0);
    let told: Vec<_> = (0..300).map(|at| alone.observe(&step(at))).collect();
    assert!(told.iter().flatten().count() >= 5);
    for stop in [1, 30, 70, 119, 155, 220] {
        let mut first = after(0);
        for at in 0..stop {
            first.observe(&step(at));
        }
        let saved = serde_json::to_string(first.state()).unwrap();
        let state = serde_json::from_str(&saved).unwrap();
        let mut resumed = Monitor::resume(HealthConfig::default(), network_layout(), state);
        for at in stop..300 {
            assert_eq!(resumed.observe(&step(at)), told[at as usize], "from {stop}");
        }
        assert_eq!(resumed, alone);
    }
}

#[test]
fn every_symptom_has_an_alarm_of_its_own() {
    for (index, symptom) in Symptom::ALL.into_iter().enumerate() {
        assert_eq!(symptom as usize, index);
    }
}
