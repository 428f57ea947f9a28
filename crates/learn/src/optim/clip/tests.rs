use super::*;

/// A layer, a last layer and a critic's layer: weights 0..4, bias 4..6, last weights 6..8,
/// critic's weights 8..10.
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

fn after(stages: &[ClipStage], states: &[ClipState], gradient: &[f32]) -> ClipResult {
    let gradient = Tensor::from_slice(gradient);
    let size = norm(&gradient);
    let parameters = Tensor::from_slice(&PARAMETERS);
    apply_clip_stages(stages, states, gradient, size, &parameters, &layout())
}

fn clipped(stage: ClipStage, gradient: [f32; 10]) -> ClipResult {
    after(&[stage], &[], &gradient)
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

/// What a stage with memory lets through of gradients of these norms, one step after the other,
/// and what it remembers in the end.
fn let_through(stage: ClipStage, norms: &[f32]) -> (Vec<f64>, ClipState) {
    let mut states = vec![stage.initial_state()];
    let norms = norms.iter().map(|&size| {
        let done = after(&[stage], &states, &of_norm(size));
        states.clone_from(&done.states);
        assert_eq!(
            done.reports[0].acted,
            done.reports[0].norm_after != done.reports[0].norm_before
        );
        norm(&done.gradient)
    });
    let norms = norms.collect();
    (norms, states.remove(0))
}

#[test]
fn the_global_norm_bounds_the_whole() {
    let stage = ClipStage::GlobalNorm(GlobalNorm { max: 1.0 });
    let mut gradient = [0.0; 10];
    (gradient[0], gradient[9]) = (3.0, -4.0);
    let done = clipped(stage, gradient);
    assert_close(&done, [0.6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.8]);
    let report = &done.reports[0];
    assert!(report.acted);
    assert_eq!(
        (report.norm_before, report.threshold),
        (Some(5.0), Some(1.0))
    );
    assert!((report.norm_after.unwrap() - 1.0).abs() < 1e-6);
}

#[test]
fn each_tensor_is_bounded_apart() {
    let stage = ClipStage::PerLayerNorm(PerLayerNorm { max: 1.0 });
    let done = clipped(stage, [3.0, 0.0, 4.0, 0.0, 0.3, 0.4, 0.5, 0.5, 6.0, 8.0]);
    assert_close(&done, [0.6, 0.0, 0.8, 0.0, 0.3, 0.4, 0.5, 0.5, 0.6, 0.8]);
    let norm_after = (1.0f64 + 0.25 + 0.5 + 1.0).sqrt();
    assert!((done.reports[0].norm_after.unwrap() - norm_after).abs() < 1e-6);
}

#[test]
fn actor_and_critic_are_bounded_apart() {
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
fn values_are_clamped_entry_by_entry() {
    let stage = ClipStage::ValueClip(ValueClip { max: 0.1 });
    let done = clipped(
        stage,
        [0.3, -0.3, 0.1, 0.05, 0.0, 0.0, -0.1, 2.0, 0.0, -9.0],
    );
    assert_close(
        &done,
        [0.1, -0.1, 0.1, 0.05, 0.0, 0.0, -0.1, 0.1, 0.0, -0.1],
    );
    // 0.1 is a little more in single precision than in double.
    assert!(!clipped(stage, [0.1; 10]).reports[0].acted);
}

#[test]
fn agc_bounds_each_unit_by_its_weights() {
    let stage = ClipStage::Agc(Agc {
        factor: 0.1,
        epsilon: 1e-3,
    });
    // Weights of norm 5 let 0.5 through, weights of norm 0 let 1e-4; the critic's are within it.
    let done = clipped(stage, [3.0, 4.0, 0.3, 0.4, 9.0, 9.0, 9.0, 9.0, 0.03, 0.04]);
    assert_close(
        &done,
        [0.3, 0.4, 6e-5, 8e-5, 9.0, 9.0, 9.0, 9.0, 0.03, 0.04],
    );
    let small = [0.3, 0.3, 6e-5, 7e-5, 9.0, 9.0, 9.0, 9.0, 0.03, 0.04];
    assert!(!clipped(stage, small).reports[0].acted);
    // Every weight of a filter counts: [2, 1, 2] is two units of two.
    let mut layout = ParamLayout::default();
    layout.push(
        "conv.weight".into(),
        NetworkPart::Actor,
        ParamRole::Weight,
        &[2, 1, 2],
    );
    let weights = Tensor::from_slice(&[3.0f32, 4.0, 30.0, 40.0]);
    let gradient = Tensor::from_slice(&[3.0f32, 4.0, 3.0, 4.0]);
    let done = apply_clip_stages(&[stage], &[], gradient, 50f64.sqrt(), &weights, &layout);
    let expected = Tensor::from_slice(&[0.3f32, 0.4, 3.0, 4.0]);
    assert!(done.gradient.allclose(&expected, 1e-6, 0.0, false));
}

#[test]
fn autoclip_bounds_by_a_percentile_of_the_latest_norms() {
    let autoclip = |percentile, window| ClipStage::AutoClip(AutoClip { percentile, window });
    // Medians of 1; 1, 2; 1, 2, 3; 1, 2, 3, 10.
    let (norms, state) = let_through(autoclip(50.0, 100), &[1.0, 2.0, 3.0, 10.0]);
    assert_eq!(norms, [1.0, 1.5, 2.0, 2.5]);
    assert_eq!(state, ClipState::Norms(vec![1.0, 2.0, 3.0, 10.0]));
    let (norms, state) = let_through(autoclip(50.0, 3), &[1.0, 2.0, 3.0, 10.0, 4.0]);
    assert_eq!(norms, [1.0, 1.5, 2.0, 3.0, 4.0]);
    assert_eq!(state, ClipState::Norms(vec![3.0, 10.0, 4.0]));
    // numpy.percentile([1, 2, 4, 8], 10) = 1.3
    let (norms, _) = let_through(autoclip(10.0, 100), &[1.0, 2.0, 4.0, 8.0]);
    assert!((norms[3] - 1.3).abs() < 1e-6);
}

#[test]
fn zclip_pulls_outliers_back_the_more_the_farther_out_they_are() {
    let stage = ClipStage::ZClip(ZClip {
        warmup_steps: 4,
        ..ZClip::default()
    });
    // Watching: a mean of 2 and a variance of 1. Then z = 10 and z* = 2.5² / 10 = 0.625, so that
    // 2.625 is let through and is what mean and variance hear of; 3 is within 2.5 deviations.
    let (norms, state) = let_through(stage, &[1.0, 3.0, 1.0, 3.0, 12.0, 3.0]);
    assert_eq!(norms[..4], [1.0, 3.0, 1.0, 3.0]);
    assert!((norms[4] - 2.625).abs() < 1e-5, "{norms:?}");
    assert!((norms[5] - 3.0).abs() < 1e-12);
    let ClipState::Moving { mean, variance } = state else {
        panic!("still watching: {state:?}")
    };
    assert!((mean - 2.048_187_5).abs() < 1e-6, "{mean}");
    assert!((variance - 0.978_773_8).abs() < 1e-6, "{variance}");
    let (nearer, _) = let_through(stage, &[1.0, 3.0, 1.0, 3.0, 6.0]);
    assert!(nearer[4] > norms[4]);
    let threshold = |size| {
        let state = ClipState::Moving {
            mean: 2.0,
            variance: 1.0,
        };
        after(&[stage], &[state], &of_norm(size)).reports[0].clone()
    };
    assert!((threshold(3.0).threshold.unwrap() - 4.5).abs() < 1e-5);
    assert!(!threshold(4.49).acted && threshold(4.51).acted);
}

#[test]
fn normalised_gradients_have_one_length() {
    let stage = ClipStage::NormalisedGradient(NormalisedGradient { scale: 2.0 });
    for size in [1e-20f32, 1.0, 1e20] {
        assert!((norm(&clipped(stage, of_norm(size)).gradient) - 2.0).abs() < 1e-6);
    }
    for size in [0.0, 1e-45] {
        let done = clipped(stage, of_norm(size));
        assert_eq!(done.gradient, Tensor::from_slice(&of_norm(size)));
        assert!(!done.reports[0].acted);
    }
}

#[test]
fn a_smooth_clip_halves_at_its_bound_and_is_never_reached() {
    let stage = ClipStage::SmoothClip(SmoothClip { max: 2.0 });
    for (size, left) in [
        (2.0f32, 1.0),
        (6.0, 1.5),
        (0.02, 0.02 * 2.0 / 2.02),
        (1e20, 2.0),
    ] {
        let found = norm(&clipped(stage, of_norm(size)).gradient);
        assert!((found - left).abs() < 1e-5 * left, "{size}: {found}");
    }
    assert!(!clipped(stage, of_norm(0.0)).reports[0].acted);
}

#[test]
fn centralised_gradients_of_a_units_weights_add_up_to_nothing() {
    let stage = ClipStage::CentralisedGradient(CentralisedGradient {});
    let done = clipped(stage, [1.0, 3.0, 5.0, 5.0, 7.0, 8.0, 2.0, 4.0, 1.0, 2.0]);
    assert_close(&done, [-1.0, 1.0, 0.0, 0.0, 7.0, 8.0, -1.0, 1.0, -0.5, 0.5]);
    // What only turns the gradient is no clip.
    assert!(done.reports[0].acted && !done.reports[0].clipped());
    // A unit with one weight would lose all of its gradient.
    let mut layout = ParamLayout::default();
    layout.push(
        "0.weight".into(),
        NetworkPart::Actor,
        ParamRole::Weight,
        &[2, 1],
    );
    let gradient = Tensor::from_slice(&[3.0f32, 4.0]);
    let weights = gradient.copy();
    let done = apply_clip_stages(&[stage], &[], gradient, 5.0, &weights, &layout);
    assert_eq!(done.gradient, weights);
    assert!(!done.reports[0].acted);
}

#[test]
fn stages_act_one_after_the_other() {
    let stages = [
        ClipStage::ValueClip(ValueClip { max: 40.0 }),
        ClipStage::GlobalNorm(GlobalNorm { max: 5.0 }),
    ];
    let done = after(
        &stages,
        &[],
        &[30.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 70.0],
    );
    assert_close(&done, [3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0]);
    let [value, global] = done.reports.as_slice() else {
        panic!("a report for each stage")
    };
    assert_eq!(value.norm_after, Some(50.0));
    assert_eq!(global.norm_before, value.norm_after);
}

#[test]
fn a_stage_that_does_not_act_leaves_every_bit() {
    let mut left_alone = 0;
    for stage in ClipStage::examples() {
        let gradient =
            Tensor::from_slice(&[1e-6f32, -1e-6, 1e-9, 1e-9, 0.0, 0.0, 1e-6, -1e-6, 0.0, 0.0]);
        let (address, size) = (gradient.data_ptr(), norm(&gradient));
        let parameters = Tensor::from_slice(&PARAMETERS);
        let done = apply_clip_stages(&[stage], &[], gradient, size, &parameters, &layout());
        let report = &done.reports[0];
        assert_eq!(report.stage, stage.name());
        assert_eq!(report.norm_after, Some(norm(&done.gradient)));
        if !report.acted {
            assert_eq!(done.gradient.data_ptr(), address, "{stage:?}");
            left_alone += 1;
        }
    }
    // All but the normalised, the smoothly clipped and the centralised gradient.
    assert_eq!(left_alone, ClipStage::examples().len() - 3);
}

#[test]
fn huge_finite_gradients_are_bounded_and_stay_finite() {
    assert!(norm(&Tensor::from_slice(&[1e30f32; 8])).is_finite());
    for stage in ClipStage::examples() {
        let done = clipped(stage, [1e30; 10]);
        assert!(norm(&done.gradient).is_finite(), "{stage:?}");
        assert!(
            done.gradient.isfinite().all().int64_value(&[]) == 1,
            "{stage:?}"
        );
    }
}

#[test]
fn a_state_that_is_not_a_stages_own_counts_as_none() {
    let stage = ClipStage::AutoClip(AutoClip::default());
    let foreign = ClipState::Moving {
        mean: 1.0,
        variance: 1.0,
    };
    let done = after(&[stage], &[foreign], &of_norm(3.0));
    assert_eq!(done.states, [ClipState::Norms(vec![3.0])]);
}

#[test]
fn states_survive_json_to_the_last_bit() {
    let third = 1.0 / 3.0;
    for state in [
        ClipState::Stateless,
        ClipState::Norms(vec![third, 1e-300, 1e300]),
        ClipState::Moving {
            mean: third,
            variance: third * third,
        },
    ] {
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<ClipState>(&text).unwrap(), state);
    }
}

#[test]
fn settings_that_cannot_work_are_refused_with_their_name() {
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
        let parts = format!("actor_critic = {{ max = 1, critic_max = {max} }}");
        bad(&parts, "actor_critic.critic_max");
    }
    bad("autoclip.percentile = 101", "autoclip.percentile");
    bad("autoclip.window = 1", "autoclip.window");
    bad("zclip.alpha = 1.0", "zclip.alpha");
    bad("zclip.warmup_steps = 1", "zclip.warmup_steps");
    assert!(toml::from_str::<ClipStage>("centralised = { max = 1 }").is_err());
    for stage in ClipStage::examples() {
        stage.check().unwrap();
    }
}
