use super::*;
use crate::nn::{NetworkPart, ParamRole};

/// A hidden layer, an output layer and a layer of the critic: weights 0..4, bias 4..6, output
/// weights 6..8, critic's weights 8..10.
fn layout() -> ParamLayout {
    let mut layout = ParamLayout::default();
    layout.push(
        "actor.0.weight".into(),
        NetworkPart::Actor,
        ParamRole::Weight,
        &[2, 2],
    );
    layout.push(
        "actor.0.bias".into(),
        NetworkPart::Actor,
        ParamRole::Bias,
        &[2],
    );
    layout.push(
        "actor.1.weight".into(),
        NetworkPart::Actor,
        ParamRole::Output,
        &[1, 2],
    );
    layout.push(
        "critic.0.weight".into(),
        NetworkPart::Critic,
        ParamRole::Weight,
        &[1, 2],
    );
    layout
}

const PARAMETERS: [f32; 10] = [3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.1, 3.0, 4.0];

fn apply(stages: &[ClipStage], states: &[ClipState], gradient: &[f32]) -> ClipResult {
    let gradient = Tensor::from_slice(gradient);
    let gradient_norm = norm(&gradient);
    let parameters = Tensor::from_slice(&PARAMETERS);
    apply_clip_stages(
        stages,
        states,
        gradient,
        gradient_norm,
        &parameters,
        &layout(),
    )
}

fn clipped(stage: ClipStage, gradient: [f32; 10]) -> ClipResult {
    apply(&[stage], &[], &gradient)
}

#[track_caller]
fn assert_close(found: &ClipResult, expected: [f32; 10]) {
    let found = Vec::<f32>::try_from(&found.gradient).unwrap();
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let apart = apart.fold(0.0, f32::max);
    assert!(apart < 1e-6, "{found:?}, not {expected:?}");
}

/// A gradient of this norm.
fn of_norm(norm: f32) -> [f32; 10] {
    let mut gradient = [0.0; 10];
    gradient[3] = norm;
    gradient
}

/// The norms after a stage with state, for gradients of these norms in order, and the final state.
fn clip_sequence(stage: ClipStage, norms: &[f32]) -> (Vec<f64>, ClipState) {
    let mut states = vec![stage.initial_state()];
    let norms = norms.iter().map(|&size| {
        let result = apply(&[stage], &states, &of_norm(size));
        states.clone_from(&result.states);
        assert_eq!(
            result.reports[0].acted,
            result.reports[0].norm_after != result.reports[0].norm_before
        );
        norm(&result.gradient)
    });
    let norms = norms.collect();
    (norms, states.remove(0))
}

#[test]
fn global_norm_bounds_the_whole_gradient() {
    let stage = ClipStage::GlobalNorm(GlobalNorm { max: 1.0 });
    let mut gradient = [0.0; 10];
    (gradient[0], gradient[9]) = (3.0, -4.0);
    let result = clipped(stage, gradient);
    assert_close(&result, [0.6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.8]);
    let report = &result.reports[0];
    assert!(report.acted);
    assert_eq!(
        (report.norm_before, report.threshold),
        (Some(5.0), Some(1.0))
    );
    assert!((report.norm_after.unwrap() - 1.0).abs() < 1e-6);
}

#[test]
fn per_layer_norm_bounds_each_tensor() {
    let stage = ClipStage::PerLayerNorm(PerLayerNorm { max: 1.0 });
    let result = clipped(stage, [3.0, 0.0, 4.0, 0.0, 0.3, 0.4, 0.5, 0.5, 6.0, 8.0]);
    assert_close(&result, [0.6, 0.0, 0.8, 0.0, 0.3, 0.4, 0.5, 0.5, 0.6, 0.8]);
    let norm_after = (1.0f64 + 0.25 + 0.5 + 1.0).sqrt();
    assert!((result.reports[0].norm_after.unwrap() - norm_after).abs() < 1e-6);
}

#[test]
fn actor_critic_norm_bounds_each_network() {
    let gradient = [2.0, 0.0, 0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 10.0];
    let both = |max, critic_max| {
        clipped(
            ClipStage::ActorCriticNorm(ActorCriticNorm { max, critic_max }),
            gradient,
        )
    };
    assert_close(
        &both(1.5, Some(5.0)),
        [1.0, 0.0, 0.0, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0, 5.0],
    );
    assert_close(
        &both(3.0, None),
        [2.0, 0.0, 0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 3.0],
    );
    assert!(!both(10.0, None).reports[0].acted);
}

#[test]
fn value_clip_clamps_each_entry() {
    let stage = ClipStage::ValueClip(ValueClip { max: 0.1 });
    let result = clipped(
        stage,
        [0.3, -0.3, 0.1, 0.05, 0.0, 0.0, -0.1, 2.0, 0.0, -9.0],
    );
    assert_close(
        &result,
        [0.1, -0.1, 0.1, 0.05, 0.0, 0.0, -0.1, 0.1, 0.0, -0.1],
    );
    // 0.1 is slightly larger in single precision than in double precision.
    assert!(!clipped(stage, [0.1; 10]).reports[0].acted);
}

#[test]
fn agc_bounds_each_unit_by_its_weights() {
    let stage = ClipStage::Agc(Agc {
        factor: 0.1,
        epsilon: 1e-3,
    });
    // The bound is 0.5 for weights of norm 5, and 1e-4 for weights of norm 0. The critic's gradient
    // is within its bound.
    let result = clipped(stage, [3.0, 4.0, 0.3, 0.4, 9.0, 9.0, 9.0, 9.0, 0.03, 0.04]);
    assert_close(
        &result,
        [0.3, 0.4, 6e-5, 8e-5, 9.0, 9.0, 9.0, 9.0, 0.03, 0.04],
    );
    let small = [0.3, 0.3, 6e-5, 7e-5, 9.0, 9.0, 9.0, 9.0, 0.03, 0.04];
    assert!(!clipped(stage, small).reports[0].acted);
    // All weights of a unit count: [2, 1, 2] is two units with two weights each.
    let mut layout = ParamLayout::default();
    layout.push(
        "conv.weight".into(),
        NetworkPart::Actor,
        ParamRole::Weight,
        &[2, 1, 2],
    );
    let weights = Tensor::from_slice(&[3.0f32, 4.0, 30.0, 40.0]);
    let gradient = Tensor::from_slice(&[3.0f32, 4.0, 3.0, 4.0]);
    let result = apply_clip_stages(&[stage], &[], gradient, 50f64.sqrt(), &weights, &layout);
    let expected = Tensor::from_slice(&[0.3f32, 0.4, 3.0, 4.0]);
    assert!(result.gradient.allclose(&expected, 1e-6, 0.0, false));
}

#[test]
fn autoclip_bounds_by_a_percentile_of_the_latest_norms() {
    let autoclip = |percentile, window| ClipStage::AutoClip(AutoClip { percentile, window });
    // Medians of 1; 1, 2; 1, 2, 3; 1, 2, 3, 10.
    let (norms, state) = clip_sequence(autoclip(50.0, 100), &[1.0, 2.0, 3.0, 10.0]);
    assert_eq!(norms, [1.0, 1.5, 2.0, 2.5]);
    assert_eq!(state, ClipState::Norms(vec![1.0, 2.0, 3.0, 10.0]));
    let (norms, state) = clip_sequence(autoclip(50.0, 3), &[1.0, 2.0, 3.0, 10.0, 4.0]);
    assert_eq!(norms, [1.0, 1.5, 2.0, 3.0, 4.0]);
    assert_eq!(state, ClipState::Norms(vec![3.0, 10.0, 4.0]));
    // numpy.percentile([1, 2, 4, 8], 10) = 1.3
    let (norms, _) = clip_sequence(autoclip(10.0, 100), &[1.0, 2.0, 4.0, 8.0]);
    assert!((norms[3] - 1.3).abs() < 1e-6);
}

#[test]
fn zclip_scales_larger_outliers_down_more() {
    let stage = ClipStage::ZClip(ZClip {
        warmup_steps: 4,
        ..ZClip::default()
    });
    // The warm-up gives a mean of 2 and a variance of 1. Then z = 10 and z* = 2.5² / 10 = 0.625, so
    // the norm becomes 2.625, which updates mean and variance. 3 is within 2.5 deviations.
    let (norms, state) = clip_sequence(stage, &[1.0, 3.0, 1.0, 3.0, 12.0, 3.0]);
    assert_eq!(norms[..4], [1.0, 3.0, 1.0, 3.0]);
    assert!((norms[4] - 2.625).abs() < 1e-5, "{norms:?}");
    assert!((norms[5] - 3.0).abs() < 1e-12);
    let ClipState::Moving { mean, variance } = state else {
        panic!("still warming up: {state:?}")
    };
    assert!((mean - 2.048_187_5).abs() < 1e-6, "{mean}");
    assert!((variance - 0.978_773_8).abs() < 1e-6, "{variance}");
    let (nearer, _) = clip_sequence(stage, &[1.0, 3.0, 1.0, 3.0, 6.0]);
    assert!(nearer[4] > norms[4]);
    let threshold = |size| {
        let state = ClipState::Moving {
            mean: 2.0,
            variance: 1.0,
        };
        apply(&[stage], &[state], &of_norm(size)).reports[0].clone()
    };
    assert!((threshold(3.0).threshold.unwrap() - 4.5).abs() < 1e-5);
    assert!(!threshold(4.49).acted && threshold(4.51).acted);
}

#[test]
fn adagc_bounds_each_tensor_by_its_running_mean() {
    let stage = ClipStage::AdaGc(AdaGc {
        factor: 1.5,
        decay: 0.75,
        warmup_max: 5.0,
        warmup_steps: 2,
    });
    // Norms of the hidden weights and of the critic's weights.
    let gradient = |hidden: f32, critic: f32| {
        let mut gradient = [0.0; 10];
        (gradient[3], gradient[9]) = (hidden, critic);
        gradient
    };
    let mut states = vec![stage.initial_state()];
    let mut step = |hidden, critic| {
        let result = apply(&[stage], &states, &gradient(hidden, critic));
        states.clone_from(&result.states);
        let ClipState::TensorNorms { means, .. } = &states[0] else {
            panic!("another state: {states:?}")
        };
        let found = Vec::<f32>::try_from(&result.gradient).unwrap();
        [f64::from(found[3]), f64::from(found[9]), means[0], means[3]]
    };
    let close = |found: [f64; 4], expected: [f64; 4]| {
        let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f64::max) < 1e-6, "{found:?}");
    };
    // The warm-up halves a gradient of norm 10, and keeps the smallest norms.
    close(step(6.0, 8.0), [3.0, 4.0, 3.0, 4.0]);
    close(step(1.0, 4.5), [1.0, 4.5, 1.0, 4.0]);
    // Then 1.5 times the mean is the bound, and the clipped norm goes into the mean.
    close(step(9.0, 5.0), [1.5, 5.0, 1.125, 4.25]);
    close(step(1.0, 9.0), [1.0, 6.375, 1.09375, 4.78125]);
    // A tensor without a gradient so far is not clipped.
    let mut gradient = of_norm(1.0);
    gradient[4] = 3.0;
    let found = apply(&[stage], &states, &gradient);
    assert!(!found.reports[0].acted);
}

#[test]
fn normalised_gradients_have_a_fixed_length() {
    let stage = ClipStage::NormalisedGradient(NormalisedGradient { scale: 2.0 });
    for size in [1e-20f32, 1.0, 1e20] {
        assert!((norm(&clipped(stage, of_norm(size)).gradient) - 2.0).abs() < 1e-6);
    }
    for size in [0.0, 1e-45] {
        let result = clipped(stage, of_norm(size));
        assert_eq!(result.gradient, Tensor::from_slice(&of_norm(size)));
        assert!(!result.reports[0].acted);
    }
}

#[test]
fn a_smooth_clip_halves_at_its_bound_and_stays_below_it() {
    let stage = ClipStage::SmoothClip(SmoothClip { max: 2.0 });
    for (size, expected) in [
        (2.0f32, 1.0),
        (6.0, 1.5),
        (0.02, 0.02 * 2.0 / 2.02),
        (1e20, 2.0),
    ] {
        let found = norm(&clipped(stage, of_norm(size)).gradient);
        assert!(
            (found - expected).abs() < 1e-5 * expected,
            "{size}: {found}"
        );
    }
    assert!(!clipped(stage, of_norm(0.0)).reports[0].acted);
}

#[test]
fn centralised_gradients_of_a_unit_sum_to_zero() {
    let stage = ClipStage::CentralisedGradient(CentralisedGradient {});
    let result = clipped(stage, [1.0, 3.0, 5.0, 5.0, 7.0, 8.0, 2.0, 4.0, 1.0, 2.0]);
    assert_close(
        &result,
        [-1.0, 1.0, 0.0, 0.0, 7.0, 8.0, -1.0, 1.0, -0.5, 0.5],
    );
    // It does not bound the gradient, so it does not count as clipping.
    assert!(result.reports[0].acted && !result.reports[0].clipped());
    // A unit with a single weight would lose its whole gradient.
    let mut layout = ParamLayout::default();
    layout.push(
        "0.weight".into(),
        NetworkPart::Actor,
        ParamRole::Weight,
        &[2, 1],
    );
    let gradient = Tensor::from_slice(&[3.0f32, 4.0]);
    let weights = gradient.copy();
    let result = apply_clip_stages(&[stage], &[], gradient, 5.0, &weights, &layout);
    assert_eq!(result.gradient, weights);
    assert!(!result.reports[0].acted);
}

#[test]
fn stages_act_in_order() {
    let stages = [
        ClipStage::ValueClip(ValueClip { max: 40.0 }),
        ClipStage::GlobalNorm(GlobalNorm { max: 5.0 }),
    ];
    let result = apply(
        &stages,
        &[],
        &[30.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 70.0],
    );
    assert_close(&result, [3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0]);
    let [value, global] = result.reports.as_slice() else {
        panic!("expected one report for each stage")
    };
    assert_eq!(value.norm_after, Some(50.0));
    assert_eq!(global.norm_before, value.norm_after);
}

#[test]
fn a_stage_that_does_not_act_leaves_every_bit_unchanged() {
    let mut unchanged = 0;
    for stage in ClipStage::examples() {
        let gradient =
            Tensor::from_slice(&[1e-6f32, -1e-6, 1e-9, 1e-9, 0.0, 0.0, 1e-6, -1e-6, 0.0, 0.0]);
        let (address, gradient_norm) = (gradient.data_ptr(), norm(&gradient));
        let parameters = Tensor::from_slice(&PARAMETERS);
        let layout = layout();
        let result =
            apply_clip_stages(&[stage], &[], gradient, gradient_norm, &parameters, &layout);
        let report = &result.reports[0];
        assert_eq!(report.stage, stage.name());
        assert_eq!(report.norm_after, Some(norm(&result.gradient)));
        if !report.acted {
            assert_eq!(result.gradient.data_ptr(), address, "{stage:?}");
            unchanged += 1;
        }
    }
    // All but the normalised, the smooth and the centralised gradient.
    assert_eq!(unchanged, ClipStage::examples().len() - 3);
}

#[test]
fn huge_finite_gradients_are_bounded_and_stay_finite() {
    assert!(norm(&Tensor::from_slice(&[1e30f32; 8])).is_finite());
    for stage in ClipStage::examples() {
        let result = clipped(stage, [1e30; 10]);
        assert!(norm(&result.gradient).is_finite(), "{stage:?}");
        assert!(
            result.gradient.isfinite().all().int64_value(&[]) == 1,
            "{stage:?}"
        );
    }
}

#[test]
fn a_state_of_another_stage_is_replaced_by_the_initial_state() {
    let stage = ClipStage::AutoClip(AutoClip::default());
    let foreign = ClipState::Moving {
        mean: 1.0,
        variance: 1.0,
    };
    let result = apply(&[stage], &[foreign], &of_norm(3.0));
    assert_eq!(result.states, [ClipState::Norms(vec![3.0])]);
}

#[test]
fn states_survive_json_bit_for_bit() {
    let third = 1.0 / 3.0;
    for state in [
        ClipState::Stateless,
        ClipState::Norms(vec![third, 1e-300, 1e300]),
        ClipState::Moving {
            mean: third,
            variance: third * third,
        },
        ClipState::TensorNorms {
            steps: 3,
            means: vec![third, 1e-300],
        },
    ] {
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<ClipState>(&text).unwrap(), state);
    }
}

#[test]
fn invalid_settings_are_refused_with_their_path() {
    let bad = |toml: &str, path: &str| {
        let stage: ClipStage = toml::from_str(toml).unwrap();
        let bad = stage.check().expect_err(toml);
        assert_eq!(bad.path, path, "{toml}");
    };
    for max in ["0", "-1.0", "nan", "inf"] {
        for stage in ["global_norm", "per_layer", "actor_critic", "value"] {
            bad(
                &format!("{stage} = {{ max = {max} }}"),
                &format!("{stage}.max"),
            );
        }
        bad(&format!("agc.factor = {max}"), "agc.factor");
        bad(&format!("agc.epsilon = {max}"), "agc.epsilon");
        bad(&format!("normalised.scale = {max}"), "normalised.scale");
        bad(&format!("zclip.z_threshold = {max}"), "zclip.z_threshold");
        bad(&format!("adagc.factor = {max}"), "adagc.factor");
        bad(&format!("adagc.warmup_max = {max}"), "adagc.warmup_max");
        let parts = format!("actor_critic = {{ max = 1, critic_max = {max} }}");
        bad(&parts, "actor_critic.critic_max");
    }
    bad("autoclip.percentile = 101", "autoclip.percentile");
    bad("autoclip.window = 1", "autoclip.window");
    bad("zclip.alpha = 1.0", "zclip.alpha");
    bad("adagc.decay = 1.0", "adagc.decay");
    bad("adagc.warmup_steps = 0", "adagc.warmup_steps");
    bad("zclip.warmup_steps = 1", "zclip.warmup_steps");
    assert!(toml::from_str::<ClipStage>("centralised = { max = 1 }").is_err());
    for stage in ClipStage::examples() {
        stage.check().unwrap();
    }
}
