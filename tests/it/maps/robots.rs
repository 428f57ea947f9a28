//! Robots in maps stay in free space, and shortest paths have the right length.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use evenkeel::scenario::{Geodesic, Layout, LayoutSampler, PlacementError, Scenario, import};
use evenkeel::seed::{Purpose, Split, stream};
use evenkeel::sim::World;
use nalgebra::{Point2, Vector2};
use rand::RngExt as _;

use super::{OWN_MAP, data_path, key, read};

/// A slow reference for the shortest path: Dijkstra over a grid with spacing `GRID_M`. Each point is
/// connected to its 120 neighbours by straight lines, if all grid points near the line are free for
/// a robot of this radius. Returns the length in metres.
fn grid_path_m(layout: &Layout, radius: f32, from: Point2<f32>, to: Point2<f32>) -> Option<f64> {
    let (min, size) = (layout.arena.min, layout.arena.size());
    let (columns, rows) = ((size.x / GRID_M) as i32, (size.y / GRID_M) as i32);
    let point = |x: i32, y: i32| min + Vector2::new(x as f32 + 0.5, y as f32 + 0.5) * GRID_M;
    let free: Vec<bool> = (0..rows * columns)
        .map(|cell| {
            let at = point(cell % columns, cell / columns);
            layout.arena.contains(at, radius)
                && layout
                    .all_obstacles_near(at, radius)
                    .all(|shape| shape.signed_distance(at) >= radius)
        })
        .collect();
    let cell_of = |at: Point2<f32>| {
        let cell = (at - min) / GRID_M;
        (cell.x as i32, cell.y as i32)
    };
    let is_free = |x: i32, y: i32| {
        (0..columns).contains(&x) && (0..rows).contains(&y) && free[(y * columns + x) as usize]
    };
    let is_clear = |(x, y): (i32, i32), (dx, dy): (i32, i32)| {
        let steps = 2 * dx.abs().max(dy.abs());
        (1..=steps).all(|step| {
            let along = |d: i32| (f64::from(d * step) / f64::from(steps)).round() as i32;
            is_free(x + along(dx), y + along(dy))
        })
    };
    let (start, end) = (cell_of(from), cell_of(to));
    let mut best = vec![f64::INFINITY; free.len()];
    best[(start.1 * columns + start.0) as usize] = 0.0;
    let mut open = BinaryHeap::from([(Reverse(0_u64), start)]);
    while let Some((Reverse(cost), (x, y))) = open.pop() {
        if (x, y) == end {
            return Some(cost as f64 / 1e6);
        }
        for dx in -5..=5_i32 {
            for dy in -5..=5_i32 {
                if (dx, dy) == (0, 0) || !is_clear((x, y), (dx, dy)) {
                    continue;
                }
                let next = ((y + dy) * columns + x + dx) as usize;
                let path_m = f64::from(dx).hypot(f64::from(dy)) * f64::from(GRID_M);
                let total = cost as f64 / 1e6 + path_m;
                if total < best[next] {
                    best[next] = total;
                    open.push((Reverse((total * 1e6) as u64), (x + dx, y + dy)));
                }
            }
        }
    }
    None
}

const GRID_M: f32 = 0.05;

/// The grid's path lies between the exact shortest paths of a slightly smaller and a slightly larger
/// robot, within one per cent.
#[test]
fn shortest_paths_in_maps_match_the_grid_search() {
    let folder = tempfile::tempdir().unwrap();
    for path in map_paths(&folder) {
        if path.ends_with("random-32-32-20.map") {
            continue; // Too large for the slow reference.
        }
        let scenario = scenario_in(&path);
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        for episode in 0..3 {
            sampler
                .sample(&scenario, key(episode), &mut layout)
                .unwrap();
            let robot = layout.robots[0];
            let path_m =
                |radius: f32| Geodesic::new(&layout, radius).distance(robot.start, robot.goal);
            let Some(slow) = grid_path_m(&layout, robot.radius, robot.start, robot.goal) else {
                continue;
            };
            let slack = f64::from(2.0 * GRID_M);
            let smaller = path_m(robot.radius - GRID_M).expect("a path for a smaller robot");
            assert!(
                smaller <= slow * 1.001 + slack,
                "{path:?}: {smaller} > {slow}"
            );
            if let Some(larger) = path_m(robot.radius + GRID_M) {
                assert!(slow <= larger * 1.01 + slack, "{path:?}: {slow} > {larger}");
            }
        }
    }
}

/// Creates a scenario with the map at `path` and the reference robot.
fn scenario_in(path: &Path) -> Scenario {
    let text = import("map", path, read(path), None).unwrap();
    Scenario::from_text("map", "map.toml", &text, &[]).unwrap()
}

/// Maps to test: the real ones that exist here, and `OWN_MAP`.
fn map_paths(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let own = folder.path().join("own.map");
    std::fs::write(&own, OWN_MAP).unwrap();
    let real_maps = [
        "movingai/random-32-32-20.map",
        "ros_map/map.yaml",
        "barn/world_1.world",
    ];
    real_maps
        .iter()
        .filter_map(|path| data_path(path))
        .chain([own])
        .collect()
}

#[test]
fn start_and_goal_are_free_and_connected() {
    let folder = tempfile::tempdir().unwrap();
    for path in map_paths(&folder) {
        let scenario = scenario_in(&path);
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        for episode in 0..40 {
            sampler
                .sample(&scenario, key(episode), &mut layout)
                .unwrap();
            let robot = layout.robots[0];
            for place in [robot.start, robot.goal] {
                let nearest = layout
                    .all_obstacles()
                    .map(|shape| shape.signed_distance(place));
                let nearest = nearest.fold(f32::INFINITY, f32::min);
                assert!(nearest > robot.radius, "{path:?}: {nearest} m from {place}");
            }
            let path_m = Geodesic::new(&layout, robot.radius).distance(robot.start, robot.goal);
            let path_m = path_m.expect("a path");
            let straight = f64::from((robot.goal - robot.start).norm());
            assert!(path_m > straight - 1e-4, "{path:?}: {path_m} < {straight}");
        }
    }
}

/// Largest penetration that the soft contact solver allows, metres. It occurs when the robot is pushed
/// at full speed into a notch or between two posts, in maps as among ordinary obstacles.
const MAX_PENETRATION_M: f32 = 0.006;

/// Drives at full speed against obstacles for minutes. The robot never gets into or through one.
#[test]
fn robot_does_not_penetrate_walls() {
    let folder = tempfile::tempdir().unwrap();
    for path in map_paths(&folder) {
        let mut scenario = scenario_in(&path);
        scenario.spec.task.contact_ends_episode = false;
        for one_by_one in [false, true] {
            let deepest = drive_into_obstacles(&scenario, one_by_one);
            println!("{path:?}, one by one {one_by_one}: {deepest} m deep");
            assert!(deepest < MAX_PENETRATION_M, "{path:?}: {deepest} m");
        }
    }
}

/// Drives at full speed with random turns, and returns the largest penetration, metres.
/// `one_by_one` adds the map's shapes as ordinary obstacles.
fn drive_into_obstacles(scenario: &Scenario, one_by_one: bool) -> f32 {
    let (mut sampler, mut world) = (LayoutSampler::default(), World::new(scenario));
    let (mut touched, mut deepest) = (0, 0.0_f32);
    for episode in 0..10 {
        world
            .reset(key(episode), |layout| {
                sampler.sample(scenario, key(episode), layout)?;
                if one_by_one {
                    layout.obstacles = layout.all_obstacles().cloned().collect();
                    layout.map = None;
                }
                Ok::<_, PlacementError>(())
            })
            .unwrap();
        let radius = world.ego(0).parameters().radius;
        let mut rng = stream(1, Split::Train, 0, episode, Purpose::Bench);
        let mut turn = 0.0;
        for step in 0..600 {
            if step % 40 == 0 {
                turn = 0.4 * (rng.random::<f32>() - 0.5);
            }
            world.step(Some(&[[1.0, turn, 0.0]]));
            let at = world.ego(0).position();
            let nearest = world
                .layout()
                .all_obstacles()
                .map(|shape| shape.signed_distance(at));
            let clearance =
                nearest.fold(wall(&world, at), |least, shape| least.min(shape - radius));
            assert!((world.ego(0).clearances().fixed - clearance).abs() < 1e-4);
            deepest = deepest.max(-clearance);
            touched += u32::from(clearance < 1e-3);
        }
        // A path for a robot smaller by the allowed penetration shows that it has passed no obstacle.
        let geodesic = Geodesic::new(world.layout(), radius - MAX_PENETRATION_M);
        let path_m = geodesic.distance(world.ego(0).parameters().start, world.ego(0).position());
        assert!(path_m.is_some(), "episode {episode}: on the other side");
    }
    assert!(touched > 100, "only {touched} steps touched anything");
    deepest
}

fn wall(world: &World, at: Point2<f32>) -> f32 {
    let (low, high): (Vector2<f32>, Vector2<f32>) =
        (at - world.layout().arena.min, world.layout().arena.max - at);
    low.min().min(high.min()) - world.ego(0).parameters().radius
}
