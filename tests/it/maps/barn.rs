//! The worlds of the BARN challenge.

use std::path::Path;

use evenkeel::scenario::spec::{PointSpec, PositionSpec};
use evenkeel::scenario::{Geodesic, Layout, LayoutSampler, Quantity, resolve, scenario_on_map};
use nalgebra::Point2;

use super::{data_path, key, read};

/// The numbers in all elements of a tag, in the order of the file.
fn numbers_of(text: &str, tag: &str) -> Vec<f64> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    text.split(&open)
        .skip(1)
        .map(|rest| rest.split(&close).next().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn barn_worlds_have_the_cylinders_of_their_files() {
    let Some(folder) = data_path("barn") else {
        return;
    };
    let mut worlds = 0;
    for index in (1..=295).step_by(6) {
        let path = folder.join(format!("world_{index}.world"));
        let text = std::fs::read_to_string(&path).unwrap();
        // Each cylinder occurs twice: as collision geometry and as visual geometry.
        let radii = numbers_of(&text, "radius");
        let map = read(&path);
        assert_eq!(2 * map.shapes.discs_m.len(), radii.len(), "world {index}");
        assert!(map.shapes.boxes_m.is_empty());
        let area = |radii: &mut dyn Iterator<Item = f64>| radii.map(|r| r * r).sum::<f64>();
        let read = area(&mut map.shapes.discs_m.iter().map(|disc| disc[2]));
        assert!((2.0 * read - area(&mut radii.iter().copied())).abs() < 1e-9);
        // The positions equal those in the world's saved state.
        let state = text.split("<state").nth(1).expect("a saved state");
        for [x, y, _] in &map.shapes.discs_m {
            assert!(state.contains(&format!(">{x:.6} {y:.6} ")), "({x}, {y})");
        }
        worlds += 1;
    }
    assert_eq!(worlds, 50);
}

/// Length of the polyline start → `path_files` → goal of a BARN world, metres, as the challenge
/// computes it.
fn barn_polyline(folder: &Path, index: u32) -> f64 {
    let bytes = std::fs::read(folder.join(format!("path_files/path_{index}.npy"))).unwrap();
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let cells: Vec<f64> = bytes[10 + header..]
        .chunks_exact(8)
        .map(|value| i64::from_le_bytes(value.try_into().unwrap()) as f64)
        .collect();
    let mut points = vec![BARN_START];
    for cell in cells.chunks_exact(2) {
        points.push([cell[0] * 0.15 - 0.075 - 4.5, cell[1] * 0.15 + 0.075 + 5.0]);
    }
    points.push(BARN_GOAL);
    let step = |pair: &[[f64; 2]]| (pair[1][0] - pair[0][0]).hypot(pair[1][1] - pair[0][1]);
    points.windows(2).map(step).sum()
}

const BARN_START: [f64; 2] = [-2.25, 3.0];

const BARN_GOAL: [f64; 2] = [-2.25, 13.0];

/// In every world the robot has the given start, heading and goal, and a path between them.
#[test]
fn barn_worlds_accept_a_given_start_and_goal() {
    let Some(folder) = data_path("barn") else {
        return;
    };
    let at = |[x, y]: [f64; 2]| {
        PositionSpec::At(PointSpec {
            position_m: [Quantity::Fixed(x), Quantity::Fixed(y)],
        })
    };
    let reference = resolve("reference", &[]).unwrap().spec;
    let mut robot = reference.robot[0].clone();
    robot.start = at(BARN_START);
    robot.start_heading_rad = Quantity::Fixed(std::f64::consts::FRAC_PI_2);
    robot.goal = at(BARN_GOAL);
    let (mut slowest, mut ratios) = (0.0_f64, Vec::new());
    for index in (1..=295).step_by(6) {
        let map = read(&folder.join(format!("world_{index}.world")));
        let map = map.widened(&[BARN_START, BARN_GOAL], 2.0);
        let scenario = scenario_on_map(
            "barn",
            map,
            robot.clone(),
            reference.task.clone(),
            reference.observation.clone(),
        )
        .unwrap();
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        sampler
            .sample(&scenario, key(0), &mut layout)
            .unwrap_or_else(|error| panic!("world {index}: {error}"));
        let placed = layout.robots[0];
        assert_eq!(placed.start, Point2::new(-2.25, 3.0));
        assert_eq!(placed.goal, Point2::new(-2.25, 13.0));
        assert!((placed.heading_rad - std::f32::consts::FRAC_PI_2).abs() < 1e-6);
        let before = std::time::Instant::now();
        let path_m = Geodesic::new(&layout, placed.radius).distance(placed.start, placed.goal);
        slowest = slowest.max(before.elapsed().as_secs_f64());
        let path_m = path_m.unwrap_or_else(|| panic!("world {index} has no path"));
        assert!((10.0..20.0).contains(&path_m), "world {index}: {path_m} m");
        ratios.push(barn_polyline(&folder, index) / path_m);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "polyline / geodesic at 0.2 m: {:.3} to {:.3}, median {:.3}; slowest geodesic {:.1} ms",
        ratios[0],
        ratios[ratios.len() - 1],
        ratios[ratios.len() / 2],
        slowest * 1e3
    );
}
