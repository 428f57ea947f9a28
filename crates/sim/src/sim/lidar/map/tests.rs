//! Compares a map with the same shapes as obstacles.

use std::sync::Arc;

use nalgebra::Point2;
use proptest::prelude::*;

use crate::scenario::spec::ShapesSpec;
use crate::scenario::{Layout, Map, Rect, Shape};
use crate::sim::lidar::{Beams, Pose2, ScanReadings};
use crate::sim::scene::Scene;
use crate::sim::testing::robot_at;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A beam reads the same from a map as from its shapes as obstacles: no less than from
    /// shapes that are larger by more than any rounding, and no more than from smaller ones.
    /// The distances are bit-identical.
    #[test]
    fn a_map_reads_as_its_shapes_do_as_obstacles(
        boxes_m in prop::collection::vec(
            (0.0..20.0, 0.0..16.0, 0.01..1.5, 0.01..1.5, prop_oneof![Just(0.0), 0.0..6.3])
                .prop_map(|(x, y, a, b, yaw)| [x, y, a, b, yaw]), 0..120),
        discs_m in prop::collection::vec(
            (0.0..20.0, 0.0..16.0, 0.02..0.8).prop_map(|(x, y, r)| [x, y, r]), 0..120),
        cells in prop::collection::vec((0..80_u8, 0..64_u8), 0..400),
        other in prop::collection::vec((0.0..20.0_f32, 0.0..16.0_f32, 0.1..0.6_f32), 0..3),
        x in 0.01..19.99_f32, y in 0.01..15.99_f32,
        heading in prop_oneof![Just(0.0_f32), 0.0..6.3_f32],
        range in 0.5..30.0_f32, count in 1..300_usize, view in 0.5..6.3_f32,
    ) {
        let cells = cells.iter().map(|&(x, y)| {
            [0.125 + 0.25 * f64::from(x), 0.125 + 0.25 * f64::from(y), 0.125, 0.125, 0.0]
        });
        let shapes = |grow: f64| ShapesSpec {
            boxes_m: boxes_m.iter().copied().chain(cells.clone())
                .map(|[x, y, a, b, yaw]| [x, y, a + grow, b + grow, yaw]).collect(),
            discs_m: discs_m.iter().map(|&[x, y, r]| [x, y, r + grow]).collect(),
        };
        let other = other.iter().map(|&(x, y, radius)| crate::scenario::Obstacle {
            shape: Shape::Disc { radius },
            position: Point2::new(x, y),
            axis: nalgebra::Vector2::x(),
        });
        let empty = Layout {
            arena: Rect { min: Point2::origin(), max: Point2::new(20.0, 16.0) },
            obstacles: other.collect(),
            robots: vec![robot_at(Point2::new(x, y))],
            ..Layout::default()
        };
        let mapped = Layout {
            map: Some(Arc::new(Map::new(&shapes(0.0)))),
            ..empty.clone()
        };
        let plain = |grow: f64| {
            let map = Map::new(&shapes(grow));
            let mut layout = empty.clone();
            layout.obstacles.extend_from_slice(map.obstacles());
            layout
        };
        let beams = Beams::new(count, view);
        let (sin, cos) = libm::sincosf(heading);
        let pose = Pose2 { x, y, cos, sin };
        let read = |layout: &Layout| {
            let (mut scene, mut ranges) = (Scene::default(), ScanReadings::new(&beams));
            scene.load(layout);
            let distances = scene.sense(&beams, pose, range, &mut ranges);
            (ranges.readings().to_vec(), distances)
        };
        let (readings, distances) = read(&mapped);
        let (_, of_shapes) = read(&plain(0.0));
        prop_assert_eq!(distances.fixed.to_bits(), of_shapes.fixed.to_bits());
        prop_assert_eq!(distances.mover.to_bits(), of_shapes.mover.to_bits());
        // Close to a surface the sensor is inside the larger shapes.
        prop_assume!(distances.fixed.abs() > 2e-4);
        let (nearer, farther) = (read(&plain(1e-4)).0, read(&plain(-1e-4)).0);
        for beam in 0..count {
            let (low, high) = (nearer[beam] - 1e-4, farther[beam] + 1e-4);
            prop_assert!(
                (low..=high).contains(&readings[beam]),
                "beam {beam} reads {} and not {low} to {high}", readings[beam]
            );
        }
    }
}
