//! Robots in maps stay in free space, and their shortest paths are the shortest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use evenkeel::scenario::{Geodesic, Layout, LayoutSampler, PlacementError, Scenario, import};
use evenkeel::seed::{Purpose, Split, stream};
use evenkeel::sim::World;
use nalgebra::{Point2, Vector2};
use rand::RngExt as _;

use super::{OWN_MAP, data, key, read};

/// The slow way: Dijkstra over points `GRID_M` apart, straight to any of 80 neighbours wherever
/// the points nearest to the line are free for a robot of this radius.
fn slow_way(layout: &Layout, radius: f32, from: Point2<f32>, to: Point2<f32>) -> Option<f64> {
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
                let way = f64::from(dx).hypot(f64::from(dy)) * f64::from(GRID_M);
                let total = cost as f64 / 1e6 + way;
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

/// Between the shortest paths of a robot that is a little smaller and one that is a little larger,
/// within one per cent, lies what a grid of points finds.
#[test]
fn shortest_paths_through_maps_are_as_short_as_the_slow_way() {
    let folder = tempfile::tempdir().unwrap();
    for path in maps(&folder) {
        if path.ends_with("random-32-32-20.map") {
            continue; // Too large for the slow way.
        }
        let scenario = scenario_in(&path);
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        for episode in 0..3 {
            sampler
                .sample(&scenario, key(episode), &mut layout)
                .unwrap();
            let robot = layout.robots[0];
            let way =
                |radius: f32| Geodesic::new(&layout, radius).distance(robot.start, robot.goal);
            let Some(slow) = slow_way(&layout, robot.radius, robot.start, robot.goal) else {
                continue;
            };
            let slack = f64::from(2.0 * GRID_M);
            let smaller = way(robot.radius - GRID_M).expect("a path for less");
            assert!(
                smaller <= slow * 1.001 + slack,
                "{path:?}: {smaller} > {slow}"
            );
            if let Some(larger) = way(robot.radius + GRID_M) {
                assert!(slow <= larger * 1.01 + slack, "{path:?}: {slow} > {larger}");
            }
        }
    }
}

/// A scenario whose map is the file at `path`, and the reference robot in it.
fn scenario_in(path: &Path) -> Scenario {
    let text = import("map", path, read(path)).unwrap();
    Scenario::from_text("map", "map.toml", &text, &[]).unwrap()
}

/// Maps to be tried: real ones where they are, and one of our own.
fn maps(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let own = folder.path().join("own.map");
    std::fs::write(&own, OWN_MAP).unwrap();
    let real = [
        "movingai/random-32-32-20.map",
        "ros_map/map.yaml",
        "barn/world_1.world",
    ];
    real.iter()
        .filter_map(|path| data(path))
        .chain([own])
        .collect()
}

#[test]
fn start_and_goal_are_free_and_joined_by_a_path() {
    let folder = tempfile::tempdir().unwrap();
    for path in maps(&folder) {
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
            let way = Geodesic::new(&layout, robot.radius).distance(robot.start, robot.goal);
            let way = way.expect("a path");
            let straight = f64::from((robot.goal - robot.start).norm());
            assert!(way > straight - 1e-4, "{path:?}: {way} < {straight}");
        }
    }
}

/// How deep the solver lets the robot sink in, metres. It is a soft one: what is pushed at full
/// speed into a notch or between two posts gives way a little, a map no more than its shapes as
/// ordinary obstacles.
const SOFT_M: f32 = 0.006;

/// Full speed against whatever is there, for minutes: the robot ends up inside of nothing, and on
/// the other side of nothing.
#[test]
fn a_robot_cannot_get_into_walls_or_through_them() {
    let folder = tempfile::tempdir().unwrap();
    for path in maps(&folder) {
        let mut scenario = scenario_in(&path);
        scenario.spec.task.contact_ends_episode = false;
        for one_by_one in [false, true] {
            let deepest = rammed(&scenario, one_by_one);
            println!("{path:?}, one by one {one_by_one}: {deepest} m deep");
            assert!(deepest < SOFT_M, "{path:?}: {deepest} m");
        }
    }
}

/// Drives at full speed and about, and returns how deep the robot ever got into anything.
fn rammed(scenario: &Scenario, one_by_one: bool) -> f32 {
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
        let radius = world.ego(0).placement().radius;
        let mut rng = stream(1, Split::Train, 0, episode, Purpose::Bench);
        let mut turn = 0.0;
        for step in 0..600 {
            if step % 40 == 0 {
                turn = 0.4 * (rng.random::<f32>() - 0.5);
            }
            world.step(&[[1.0, turn, 0.0]]);
            let at = world.ego(0).position();
            let nearest = world
                .layout()
                .all_obstacles()
                .map(|shape| shape.signed_distance(at));
            let clearance =
                nearest.fold(wall(&world, at), |least, shape| least.min(shape - radius));
            assert!((world.ego(0).clearance().fixed - clearance).abs() < 1e-4);
            deepest = deepest.max(-clearance);
            touched += u32::from(clearance < 1e-3);
        }
        // A robot that is smaller by as much could have come here without pushing.
        let ways = Geodesic::new(world.layout(), radius - SOFT_M);
        let way = ways.distance(world.ego(0).placement().start, world.ego(0).position());
        assert!(way.is_some(), "episode {episode}: on the other side");
    }
    assert!(touched > 100, "only {touched} steps touched anything");
    deepest
}

fn wall(world: &World, at: Point2<f32>) -> f32 {
    let (low, high): (Vector2<f32>, Vector2<f32>) =
        (at - world.layout().arena.min, world.layout().arena.max - at);
    low.min().min(high.min()) - world.ego(0).placement().radius
}
