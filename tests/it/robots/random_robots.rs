//! Random robots under random actions.

use std::sync::Arc;

use evenkeel::config::Override;
use evenkeel::env::{NavEnv, Outcome};
use evenkeel::scenario::{self};
use evenkeel::seed::Split;
use evenkeel::sim::WorldSnapshot;
use proptest::prelude::*;

/// Random valid settings of a robot, including the bounds of most ranges.
fn robot() -> impl Strategy<Value = Vec<String>> {
    let size = 0.02..0.5_f64;
    let footprint = prop_oneof![
        size.clone()
            .prop_map(|r| format!("{{ disc = {{ radius_m = {r} }} }}")),
        (size.clone(), size.clone(), -0.3..0.3_f64).prop_map(|(a, b, c)| format!(
            "{{ box = {{ half_extents_m = [{a}, {b}], center_m = [{c}, 0] }} }}"
        )),
        (size, 3..12_usize, 0.3..1.0_f64).prop_map(|(r, n, flat)| {
            let corner = |i: usize| {
                let angle = i as f64 * std::f64::consts::TAU / n as f64;
                format!("[{}, {}]", r * angle.cos(), flat * r * angle.sin())
            };
            let corners: Vec<String> = (0..n).map(corner).collect();
            format!(
                "{{ polygon = {{ vertices_m = [{}] }} }}",
                corners.join(", ")
            )
        }),
    ];
    let bound = || prop_oneof![0.01..3.0_f64, Just(100.0)];
    let jerk = |key: &'static str| {
        proptest::option::of(0.05..50.0_f64)
            .prop_map(move |jerk| jerk.map_or(String::new(), |jerk| format!(", {key} = {jerk}")))
    };
    let differential = (bound(), 0.0..1.0_f64, bound(), bound(), bound(), jerk("max_jerk_mps3"), jerk("max_turn_jerk_radps3")).prop_map(
        |(v, back, w, a, b, j, k)| format!("{{ differential = {{ max_speed_mps = {v}, max_reverse_mps = {back}, max_turn_rate_radps = {w}, max_accel_mps2 = {a}, max_turn_accel_radps2 = {b}{j}{k} }} }}"));
    let omni = (bound(), bound(), bound(), bound(), jerk("max_jerk_mps3"), jerk("max_turn_jerk_radps3")).prop_map(
        |(v, w, a, b, j, k)| format!("{{ omni = {{ max_speed_mps = {v}, max_turn_rate_radps = {w}, max_accel_mps2 = {a}, max_turn_accel_radps2 = {b}{j}{k} }} }}"));
    let ackermann = (0.05..1.0_f64, 0.001..1.5_f64, bound(), bound(), 0.0..1.0_f64, bound(), jerk("max_jerk_mps3")).prop_map(
        |(l, s, r, v, back, a, j)| format!("{{ ackermann = {{ wheelbase_m = {l}, max_steering_rad = {s}, max_steering_rate_radps = {r}, max_speed_mps = {v}, max_reverse_mps = {back}, max_accel_mps2 = {a}{j} }} }}"));
    let drive = prop_oneof![differential, omni, ackermann];
    let or_off = |range: std::ops::Range<f64>| prop_oneof![Just(0.0), range];
    let actuation = (or_off(0.0..0.6), or_off(-0.9..0.9), or_off(0.0..0.5))
        .prop_map(|(d, s, n)| format!("{{ delay_secs = {d}, slip = {s}, slip_std = {n} }}"));
    let lidar = (
        (1..90_u32, 0.5..20.0_f64, 1.0..360.0_f64, any::<bool>()),
        (-0.4..0.4_f64, -0.4..0.4_f64, -4.0..4.0_f64),
        (or_off(0.0..2.0), or_off(0.0..0.2), or_off(0.0..1.0), or_off(0.0..1.0)),
        (or_off(0.0..0.7), or_off(0.0..0.9)),
    )
        .prop_map(|((n, range, view, full), (x, y, yaw), (r, b, d, q), (late, period))| {
            let view = if full { 360.0 } else { view };
            format!(
                "{{ beams = {n}, range_m = {range}, field_of_view_deg = {view}, position_m = [{x}, {y}], \
                 yaw_rad = {yaw}, range_noise_m = {r}, bearing_noise_rad = {b}, dropout = {d}, \
                 resolution_m = {q}, latency_secs = {late}, period_secs = {period} }}"
            )
        });
    let odometry = (or_off(0.0..1.0), or_off(0.0..1.0), or_off(0.0..1.0), 0.5..2.0_f64).prop_map(|(d, m, r, s)| {
        format!("{{ distance_noise_m = {d}, heading_noise_rad_per_m = {m}, heading_noise_rad_per_rad = {r}, distance_scale = {s} }}")
    });
    (
        footprint,
        drive,
        actuation,
        lidar,
        odometry,
        1..5_u32,
        1..4_u32,
        any::<bool>(),
    )
        .prop_map(
            |(footprint, drive, actuation, lidar, odometry, stack, physics, ends)| {
                vec![
                    format!("robot.footprint={footprint}"),
                    format!("robot.drive={drive}"),
                    format!("robot.actuation={actuation}"),
                    format!("robot.lidar={lidar}"),
                    format!("robot.odometry={odometry}"),
                    format!("observation.stack={stack}"),
                    format!("task.physics_steps={physics}"),
                    format!("task.contact_ends_episode={ends}"),
                    "reward.clearance={ scale = -0.1, margin_m = 0.3 }".to_owned(),
                ]
            },
        )
}

fn entry() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -1.0..1.0_f32,
        1 => Just(f32::NAN),
        1 => Just(f32::INFINITY),
        1 => Just(f32::NEG_INFINITY),
        1 => Just(f32::MAX),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// With any valid robot and any actions nothing panics, and observations and state are finite.
    #[test]
    fn random_robots_and_actions_are_safe(
        robot in robot(), movers in any::<bool>(), episode in 0..1000_u64,
        actions in prop::collection::vec([entry(), entry(), entry()], 60),
    ) {
        let overrides: Vec<Override> = robot.iter().map(|flag| Override::parse(flag).unwrap()).collect();
        let name = if movers { "movers" } else { "reference" };
        let scenario = scenario::resolve(name, &overrides);
        let scenario = Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")));
        // Some robots are too large for some layouts.
        let Ok(mut env) = NavEnv::new(scenario, episode, Split::Train, 0) else {
            return Ok(());
        };
        let mut observation = vec![0.0; env.obs_layout().dim()];
        let mut snapshot = WorldSnapshot::default();
        for (step, action) in actions.iter().cycle().take(180).enumerate() {
            let result = env.step(&action[..env.action_dim()]);
            env.observe(&mut observation);
            env.snapshot(&mut snapshot);
            prop_assert!(observation.iter().all(|number| number.is_finite()), "step {step}: {observation:?}");
            prop_assert!(result.reward.is_finite(), "step {step}: {result:?}");
            prop_assert!(result.outcome != Some(Outcome::NonFinite), "step {step}");
            let robot = &snapshot.robots[0];
            let state = [robot.position[0], robot.position[1], robot.heading_rad, robot.speed_mps,
                robot.side_speed_mps, robot.turn_rate_radps, robot.clearance_m];
            prop_assert!(state.iter().all(|number| number.is_finite()), "step {step}: {robot:?}");
            let range = robot.ranges_m.iter().copied().fold(0.0, f32::max);
            prop_assert!(range <= env.layout().robots[0].lidar.range);
            if result.outcome.is_some() {
                env.reset(env.episode() + 1);
            }
        }
    }
}
