//! Compares crowds with published results, and checks that no mover enters a wall.

use nalgebra::Point2;
use proptest::prelude::*;

use super::Movers;
use crate::scenario::{EpisodeKey, Layout, LayoutSampler, MoverMotion, Scenario};
use crate::seed::Split;

const DT: f32 = 0.1;

/// A layout with the given movers and obstacles, or `None` if they cannot be placed. Its robot
/// stands in a corner, and the movers do not know of it.
fn layout(size: [f32; 2], entries: &str, episode: u64) -> Option<Layout> {
    let text = format!(
        "version = 1\ntitle = \"t\"\n[arena]\nsize_m = [{}, {}]\n{entries}\n[[robot]]\n\
         footprint = {{ disc = {{ radius_m = 0.1 }} }}\nlidar = {{ beams = 8, range_m = 5.0 }}\n\
         start = {{ at = {{ position_m = [0.2, 0.2] }} }}\n[robot.drive.differential]\n\
         max_speed_mps = 1.0\nmax_turn_rate_radps = 2.0\nmax_accel_mps2 = 1.0\n\
         max_turn_accel_radps2 = 4.0\n",
        size[0], size[1]
    );
    let scenario = Scenario::from_text("t", "t.toml", &text, &[])
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let key = EpisodeKey {
        root: 8,
        split: Split::Eval,
        env: 0,
        episode,
    };
    let mut layout = Layout::default();
    let placed = LayoutSampler::default().sample(&scenario, key, &mut layout);
    placed.is_ok().then_some(layout)
}

/// Movers without an engine, which move at constant velocity in each step.
struct CrowdFixture {
    layout: Layout,
    movers: Movers,
}

impl CrowdFixture {
    fn new(size: [f32; 2], entries: &str, episode: u64) -> Self {
        Self::of(layout(size, entries, episode).expect("the movers can be placed"))
    }

    fn of(layout: Layout) -> Self {
        let mut movers = Movers::default();
        movers.reset(&layout);
        Self { layout, movers }
    }

    fn step(&mut self) {
        self.movers.steer(&self.layout, &[], DT);
        for body in &mut self.movers.bodies {
            body.position += body.velocity * DT;
        }
    }

    fn positions(&self) -> Vec<Point2<f32>> {
        self.movers
            .bodies
            .iter()
            .map(|body| body.position)
            .collect()
    }

    /// The smallest gap between any two movers, metres.
    fn min_gap(&self) -> f32 {
        let bodies = &self.movers.bodies;
        let mut min = f32::INFINITY;
        for (i, a) in bodies.iter().enumerate() {
            for b in &bodies[..i] {
                min = min.min((a.position - b.position).norm() - a.radius - b.radius);
            }
        }
        min
    }
}

fn goals(layout: &Layout) -> &[Point2<f32>] {
    match &layout.mover_groups[0].motion {
        MoverMotion::Crowd(crowd) => &crowd.goals,
        other => panic!("{other:?} is not a crowd"),
    }
}

#[test]
fn fifty_orca_pedestrians_swap_places_on_a_circle_without_collisions() {
    // The experiment of the paper with the proportions of its authors' example (RVO2, Circle.cpp):
    // 3.4 radii of arc length for each pedestrian.
    for episode in 0..3 {
        let entries = "[[movers]]\ncrowd = { count = 50, pattern = \"circle\", radius_m = 0.25, \
             speed_mps = 1.0, model = { orca = {} } }";
        let mut crowd = CrowdFixture::new([14.4, 14.4], entries, episode);
        let goals = goals(&crowd.layout).to_vec();
        let mut arrived = [false; 50];
        let mut steps = 0;
        while !arrived.iter().all(|arrived| *arrived) {
            crowd.step();
            steps += 1;
            let gap = crowd.min_gap();
            assert!(
                gap > -1e-3,
                "episode {episode}: {gap} m after {steps} steps"
            );
            for ((arrived, at), goal) in arrived.iter_mut().zip(crowd.positions()).zip(&goals) {
                *arrived |= (at - goal).norm() <= 0.3;
            }
            let there = arrived.iter().filter(|arrived| **arrived).count();
            assert!(
                steps < 600,
                "episode {episode}: {there} arrived in a minute and a half"
            );
        }
    }
}

/// The laning order parameter (Rex & Löwen 2007): for each pedestrian, of those within half a
/// lane's width to the side, the share with the same direction minus the share with the other,
/// squared; then the mean over all. It is 1 in perfect lanes.
fn lane_order(crowd: &CrowdFixture) -> f32 {
    let at = crowd.positions();
    let order = |i: usize| {
        let (mut same, mut other) = (0.0_f32, 0.0_f32);
        for j in (0..at.len()).filter(|j| *j != i && (at[*j].y - at[i].y).abs() < 0.4) {
            if j % 2 == i % 2 {
                same += 1.0;
            } else {
                other += 1.0;
            }
        }
        let share = (same - other) / (same + other).max(1.0);
        share * share
    };
    (0..at.len()).map(order).sum::<f32>() / at.len() as f32
}

#[test]
fn lanes_form_where_social_force_pedestrians_meet_head_on() {
    let (mut before, mut after) = (0.0, 0.0);
    for episode in 0..3 {
        let entries =
            "[[movers]]\ncrowd = { count = 60, pattern = \"flow\", model = { social_force = {} } }";
        let mut crowd = CrowdFixture::new([20.0, 6.0], entries, episode);
        before += lane_order(&crowd) / 3.0;
        for _ in 0..900 {
            crowd.step();
        }
        // The mean over half a minute.
        for _ in 0..300 {
            crowd.step();
            after += lane_order(&crowd) / 900.0;
        }
    }
    // With eight neighbours each, random positions give 0.12.
    assert!(before < 0.2, "order {before} at the start");
    assert!(after > 0.5, "order {after} after a minute and a half");
}

#[test]
fn the_speed_of_a_single_pedestrian_relaxes_exponentially() {
    // Equation 2 alone: v(t) = v0 (1 − e^(−t/τ)), from rest, far from walls.
    let entries = "[[movers]]\ncrowd = { count = 1, pattern = \"flow\", radius_m = 0.2, \
         speed_mps = 1.0, model = { social_force = { wall_repulsion_m2ps2 = 0.0 } } }";
    let mut crowd = CrowdFixture::new([40.0, 20.0], entries, 0);
    crowd.movers.bodies[0].velocity *= 0.0;
    crowd.movers.bodies[0].position = Point2::new(10.0, 10.0);
    for step in 1..=20 {
        crowd.step();
        let speed = crowd.movers.bodies[0].velocity.norm();
        let expected = 1.0 - libm::powf(1.0 - DT / 0.5, step as f32);
        assert!(
            (speed - expected).abs() < 1e-3,
            "{speed} instead of {expected}"
        );
    }
}

#[test]
fn a_disc_on_a_route_passes_its_points_in_order() {
    let route = "[[movers]]\nwaypoints = { radius_m = 0.2, speed_mps = 0.7, \
         points_m = [[2, 2], [8, 2], [8, 6]], order = \"ping_pong\" }";
    let mut crowd = CrowdFixture::new([10.0, 8.0], route, 1);
    let points = [[2.0, 2.0], [8.0, 2.0], [8.0, 6.0]].map(|[x, y]: [f32; 2]| Point2::new(x, y));
    let mut passed = Vec::new();
    for _ in 0..600 {
        let before = crowd.positions()[0];
        crowd.step();
        let at = crowd.positions()[0];
        assert!((at - before).norm() <= 0.07 + 1e-5);
        let near = points.iter().position(|p| (at - p).norm() < 1e-2);
        if let Some(near) = near
            && passed.last() != Some(&near)
        {
            passed.push(near);
        }
    }
    assert!(passed.len() > 5, "{passed:?}");
    let turns = passed.windows(3).all(|p| p[1] != 1 || p[0] != p[2]);
    assert!(turns, "{passed:?} skips a point");
}

#[test]
fn a_linear_mover_restarts_or_stops_at_a_wall() {
    for (end, still) in [("restart", false), ("stop", true)] {
        let line = format!(
            "[[movers]]\nlinear = {{ radius_m = 0.3, speed_mps = 1.0, heading_rad = 0.0, \
             start = {{ at = {{ position_m = [2, 4] }} }}, at_end = \"{end}\" }}"
        );
        let mut crowd = CrowdFixture::new([10.0, 8.0], &line, 0);
        let mut farthest = 0.0_f32;
        let mut restarts = 0;
        for _ in 0..300 {
            let before = crowd.positions()[0].x;
            crowd.step();
            let x = crowd.positions()[0].x;
            farthest = farthest.max(x);
            restarts += i32::from(x < before);
        }
        assert!(farthest > 9.5 && farthest <= 9.7 + 1e-4, "{farthest}");
        assert_eq!(restarts, if still { 0 } else { 3 });
    }
}

fn any_movers() -> impl Strategy<Value = String> {
    let model = prop_oneof![
        (0.3..8.0, 0.1..3.0, 0.5..8.0).prop_map(|(a, b, c)| format!(
            "{{ orca = {{ horizon_secs = {a:.3}, wall_horizon_secs = {b:.3}, neighbour_distance_m = {c:.3} }} }}"
        )),
        (0.05..2.0, 0.0..30.0, 0.05..2.0, 0.0..4.0, 0.0..60.0, 0.05..1.0, 0.0..360.0, 0.0..1.0).prop_map(
            |(a, b, c, d, e, f, g, h)| format!(
                "{{ social_force = {{ relaxation_secs = {a:.3}, repulsion_m2ps2 = {b:.3}, range_m = {c:.3}, stride_secs = {d:.3}, wall_repulsion_m2ps2 = {e:.3}, wall_range_m = {f:.3}, view_deg = {g:.1}, out_of_view_weight = {h:.3} }} }}"
            )
        ),
    ];
    let pattern = prop_oneof![Just("crossing"), Just("circle"), Just("flow"), Just("free")];
    let crowd = (1..12_u32, 0.1..0.4, 0.0..3.0, pattern, model).prop_map(
        |(count, radius, speed, pattern, model)| {
            format!(
                "crowd = {{ count = {count}, radius_m = {radius:.3}, speed_mps = {speed:.3}, pattern = \"{pattern}\", model = {model} }}"
            )
        },
    );
    let line = (1..4_u32, 0.1..0.5, 0.0..4.0, 0.0..6.3, any::<bool>()).prop_map(
        |(count, radius, speed, heading, stops)| {
            let end = if stops { "stop" } else { "restart" };
            format!(
                "linear = {{ count = {count}, radius_m = {radius:.3}, speed_mps = {speed:.3}, heading_rad = {heading:.3}, at_end = \"{end}\" }}"
            )
        },
    );
    let point = || (0.6..9.4, 0.6..7.4).prop_map(|(x, y)| format!("[{x:.2}, {y:.2}]"));
    let route = (prop::collection::vec(point(), 2..6), 1..3_u32, 0.1..0.4, 0.0..4.0, any::<bool>())
        .prop_map(|(points, count, radius, speed, back)| {
            let order = if back { "ping_pong" } else { "loop" };
            format!(
                "waypoints = {{ count = {count}, radius_m = {radius:.3}, speed_mps = {speed:.3}, points_m = [{}], order = \"{order}\" }}",
                points.join(", ")
            )
        });
    prop_oneof![3 => crowd, 1 => line, 1 => route]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn movers_stay_out_of_walls_and_are_deterministic(
        movers in prop::collection::vec(any_movers(), 1..3), episode in 0..100_u64,
    ) {
        let entries = movers.iter().fold(
            "[[generate]]\ndiscs = { count = 1, radius_m = 0.3 }\n\
             [[generate]]\nboxes = { count = 1, half_extents_m = [0.3, 0.5] }\n".to_owned(),
            |all, mover| format!("{all}[[movers]]\n{mover}\n"),
        );
        let Some(layout) = layout([10.0, 8.0], &entries, episode) else {
            // For example a route through an obstacle.
            return Ok(());
        };
        let mut crowds = [0, 1].map(|_| CrowdFixture::of(layout.clone()));
        for step in 0..200 {
            for crowd in &mut crowds {
                crowd.step();
            }
            let [crowd, again] = &crowds;
            prop_assert_eq!(crowd.positions(), again.positions());
            for body in &crowd.movers.bodies {
                let inside = body.position.iter().all(|c| c.is_finite())
                    && crowd.layout.is_free(body.position, body.radius - 2e-3);
                prop_assert!(inside, "{body:?} at step {step} of {entries}");
            }
        }
    }
}
