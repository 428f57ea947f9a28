//! Properties of all generators.

use nalgebra::Vector2;
use proptest::prelude::*;

use crate::scenario::{EpisodeKey, Geodesic, Layout, LayoutSampler, Obstacle, Scenario, Shape};
use crate::seed::Split;

/// A room of 12 × 9 m with this generator, for a robot 0.4 m wide.
fn scenario(generator: &str) -> Scenario {
    let text = format!(
        "version = 1\ntitle = \"t\"\n[arena]\nsize_m = [12.0, 9.0]\norigin_m = [-5.0, 1.0]\n\
         [[generate]]\n{generator}\n[[robot]]\nfootprint = {{ disc = {{ radius_m = 0.2 }} }}\n\
         lidar = {{ beams = 8, range_m = 5.0 }}\n[robot.drive.differential]\n\
         max_speed_mps = 1.0\nmax_turn_rate_radps = 2.0\nmax_accel_mps2 = 1.0\n\
         max_turn_accel_radps2 = 4.0\n[task]\nmin_start_goal_distance_m = 0.5\n"
    );
    Scenario::from_text("t", "t.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn corners(obstacle: &Obstacle) -> Vec<nalgebra::Point2<f32>> {
    let (low, high) = match &obstacle.shape {
        Shape::Disc { radius } => (Vector2::repeat(-radius), Vector2::repeat(*radius)),
        Shape::Box { half_extents } => (-half_extents, *half_extents),
        Shape::Polygon { .. } | Shape::Segment { .. } => unreachable!("no generator makes them"),
    };
    vec![obstacle.to_world(low), obstacle.to_world(high)]
}

/// A random generator whose layouts can always be placed.
fn generator() -> impl Strategy<Value = String> {
    let cells = (0.0..0.28, 0..5_u32, 8..40_u32, 3..30_u32, 0..20_u32, 0.1..0.2).prop_map(
        |(fill, smoothing, columns, rows, lead, cell)| {
            let max_rows = (8.8 / cell) as u32;
            let (rows, lead) = (rows.min(max_rows - 1), lead.min(max_rows - rows.min(max_rows - 1)));
            format!(
                "cells = {{ fill = {fill:.3}, smoothing = {smoothing}, columns = {columns}, rows = {rows}, lead_rows = {lead}, cell_m = {cell:.3}, corner_m = [-4.9, 1.1] }}"
            )
        },
    );
    let maze = (1..13_u32, 1..10_u32, 0.0..=1.0, any::<bool>(), 0.02..0.25).prop_map(
        |(columns, rows, braid, wilson, wall)| {
            let method = if wilson { "wilson" } else { "depth_first" };
            format!(
                "maze = {{ columns = {columns}, rows = {rows}, method = \"{method}\", braid = {braid:.3}, wall_m = {wall:.3} }}"
            )
        },
    );
    let rooms = (0.7..4.0, 0.6..1.5, 0.0..=1.0, 0.02..0.3).prop_map(|(min_side, door, second, wall)| {
        format!(
            "rooms = {{ min_side_m = {min_side:.3}, door_m = {{ uniform = [{door:.3}, 1.6] }}, second_doors = {second:.3}, wall_m = {wall:.3} }}"
        )
    });
    let corridor = (0.6..3.0, 0..5_u32, 0..6_u32, 0.3..3.0, 0.3..3.0).prop_map(
        |(width, bends, lay_bys, length, depth)| {
            format!(
                "corridor = {{ width_m = {{ uniform = [{width:.3}, 3.0] }}, bends = {{ uniform = [0, {bends}] }}, lay_bys = {lay_bys}, lay_by_m = [{length:.3}, {depth:.3}] }}"
            )
        },
    );
    prop_oneof![cells, maze, rooms, corridor]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn layouts_are_inside_the_arena_solvable_and_reproducible(
        generator in generator(), episode in 0..1000_u64,
    ) {
        let scenario = scenario(&generator);
        let key = EpisodeKey { root: 4, split: Split::Eval, env: 1, episode };
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        if let Err(error) = sampler.sample(&scenario, key, &mut layout) {
            return Err(TestCaseError::fail(format!("{error}: {generator}")));
        }
        for obstacle in &layout.obstacles {
            let inside = corners(obstacle).into_iter().all(|corner| {
                corner.iter().all(|c| c.is_finite()) && layout.arena.contains(corner, -2e-3)
            });
            prop_assert!(inside, "{obstacle:?} of {generator}");
        }
        let robot = layout.robots[0];
        let distance = Geodesic::new(&layout, robot.passage_radius).distance(robot.start, robot.goal);
        prop_assert!(distance.is_some(), "no path: {generator}");
        let difficulty = sampler.difficulty(&layout);
        prop_assert!(difficulty.is_some_and(|d| (0.0..1.0).contains(&d)), "{difficulty:?}");
        // Again, with buffers from another scenario.
        let mut again = Layout::default();
        let reference = crate::scenario::resolve("reference", &[]).unwrap();
        sampler.sample(&reference, key, &mut again).unwrap();
        sampler.sample(&scenario, key, &mut again).unwrap();
        prop_assert_eq!(layout, again);
    }
}

#[test]
fn a_field_of_cells_has_the_walls_and_the_free_rows_of_barn() {
    // The walls of BARN's worlds: cylinders from (-4.425, 0.075) to (-0.075, 9.525). There are none
    // between the walls from y = 0.225 m to 5.025 m.
    let scenario = crate::scenario::resolve("barn_like", &[]).unwrap();
    let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
    for episode in 0..50 {
        let key = EpisodeKey {
            root: 0,
            split: Split::Eval,
            env: 0,
            episode,
        };
        sampler.sample(&scenario, key, &mut layout).unwrap();
        let at = |x: f32, y: f32| {
            let near = |o: &&Obstacle| (o.position - nalgebra::Point2::new(x, y)).norm() < 1e-4;
            layout.obstacles.iter().filter(near).count()
        };
        for row in 0..64 {
            let y = 0.075 + 0.15 * row as f32;
            assert_eq!((at(-4.425, y), at(-0.075, y)), (1, 1), "row {row}");
        }
        for obstacle in &layout.obstacles {
            assert_eq!(obstacle.shape, Shape::Disc { radius: 0.075 });
            let p = obstacle.position;
            let is_wall = p.x < -4.4 || p.x > -0.1;
            assert!(is_wall || p.y < 0.1 || p.y > 5.1, "{p}");
        }
        // 124 cylinders are walls. BARN's worlds have 183 to 361 cylinders in total.
        let count = layout.obstacles.len();
        assert!((150..450).contains(&count), "{count}");
    }
}

#[test]
fn rejected_fields_do_not_change_the_distribution_of_the_fill() {
    // Most fields of a high fill have no path. They are replaced by fields of the same fill, so that
    // high fills are as frequent as low ones.
    let scenario = crate::scenario::resolve("barn_like", &[]).unwrap();
    let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
    let mut count = |episode| {
        let key = EpisodeKey {
            root: 6,
            split: Split::Eval,
            env: 0,
            episode,
        };
        sampler.sample(&scenario, key, &mut layout).unwrap();
        layout.obstacles.len()
    };
    let full = (0..300)
        .map(&mut count)
        .filter(|count| *count > 300)
        .count();
    // A third of the fills are above 0.25. These fields have about 300 cylinders.
    assert!((60..140).contains(&full), "{full}");
}
