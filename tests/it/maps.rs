//! Maps of other programs: what is read is what their files say, what cannot be read is told with
//! its place, and robots stay in free space.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use evenkeel::scenario::spec::{PlaceSpec, PointSpec};
use evenkeel::scenario::{
    EpisodeKey, Geodesic, Layout, LayoutSampler, MapRoom, PlacementError, Quantity, Scenario,
    import, on_map, resolve,
};
use evenkeel::seed::{Purpose, Split, stream};
use evenkeel::sim::World;
use nalgebra::{Point2, Vector2};
use proptest::prelude::*;

/// Real maps, which the project does not carry: a folder beside the repository.
fn data(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../shared/data", "../../shared/data"]
        .map(|folder| root.join(folder).join(path))
        .into_iter()
        .find(|path| path.exists());
    if found.is_none() {
        println!("skipped: no {path} in ../shared/data");
    }
    found
}

fn read(path: &Path) -> MapRoom {
    MapRoom::of_file(path).unwrap()
}

/// Which cells of a room are covered, `[rows][columns]` from the lowest row.
fn rasterised(room: &MapRoom, cell_m: f64) -> Vec<Vec<bool>> {
    let count = |axis: usize| (room.size_m[axis] / cell_m).round() as usize;
    let solid = |x: f64, y: f64| {
        room.shapes
            .boxes_m
            .iter()
            .any(|[cx, cy, half_x, half_y, yaw]| {
                assert!(yaw.abs() < 1e-12, "{yaw}");
                (x - cx).abs() < *half_x && (y - cy).abs() < *half_y
            })
    };
    (0..count(1))
        .map(|row| {
            let at = |axis: usize, cell: usize| room.origin_m[axis] + (cell as f64 + 0.5) * cell_m;
            (0..count(0))
                .map(|column| solid(at(0, column), at(1, row)))
                .collect()
        })
        .collect()
}

/// Compares a room with the rows of its own file (topmost first, true where free).
fn holds_exactly_the_free_cells(
    room: &MapRoom,
    cell_m: f64,
    origin_m: [f64; 2],
    file: &[Vec<bool>],
) {
    let cells = rasterised(room, cell_m);
    let free: usize = cells.iter().flatten().filter(|solid| !**solid).count();
    let expected = file.iter().flatten().filter(|free| **free).count();
    assert_eq!(free, expected, "free cells");
    let offset = |axis: usize| ((room.origin_m[axis] - origin_m[axis]) / cell_m).round() as usize;
    for (row, line) in cells.iter().enumerate() {
        for (column, solid) in line.iter().enumerate() {
            let (y, x) = (file.len() - 1 - row - offset(1), column + offset(0));
            assert_eq!(*solid, !file[y][x], "cell ({x}, {y}) of the file");
        }
    }
}

#[test]
fn a_moving_ai_map_has_the_free_cells_of_its_file() {
    let Some(path) = data("movingai/random-32-32-20.map") else {
        return;
    };
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<Vec<bool>> = text
        .lines()
        .skip(4)
        .map(|line| line.chars().map(|cell| cell == '.').collect())
        .collect();
    let room = read(&path);
    holds_exactly_the_free_cells(&room, 1.0, [0.0; 2], &rows);
    let solid = rows.iter().flatten().filter(|free| !**free).count();
    assert!(room.shapes.boxes_m.len() < solid, "cells are merged");
}

#[test]
fn a_ros_map_has_the_free_cells_of_its_image() {
    let Some(path) = data("ros_map/map.yaml") else {
        return;
    };
    let image = std::fs::read(path.with_extension("pgm")).unwrap();
    let pixels = &image[image.len() - 384 * 384..];
    // map_server's own arithmetic, by the thresholds in the file.
    let rows: Vec<Vec<bool>> = pixels
        .chunks(384)
        .map(|row| {
            row.iter()
                .map(|grey| f64::from(255 - grey) / 255.0 < 0.196)
                .collect()
        })
        .collect();
    let room = read(&path);
    holds_exactly_the_free_cells(&room, 0.05, [-10.0, -10.0], &rows);
    let boxes = room.shapes.boxes_m.len();
    assert!(boxes < 300, "{boxes} boxes for 384 × 384 cells");
}

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
                    .standing_near(at, radius)
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

fn key(episode: u64) -> EpisodeKey {
    EpisodeKey {
        root: 5,
        split: Split::Eval,
        env: 0,
        episode,
    }
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

const OWN_MAP: &str = "type octile\nheight 6\nwidth 12\nmap\n\
@@@@@@@@@@@@\n@....T.....@\n@..........@\n@....T..WW.@\n@....T.....@\n@@@@@@@@@@@@\n";

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
                let nearest = layout.standing().map(|shape| shape.signed_distance(place));
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
            .begin(key(episode), |layout| {
                sampler.sample(scenario, key(episode), layout)?;
                if one_by_one {
                    layout.obstacles = layout.standing().cloned().collect();
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
                .standing()
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

#[test]
fn a_scenario_that_leans_on_a_map_file_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.map"), OWN_MAP).unwrap();
    let file = folder.path().join("mine.toml");
    let reference = resolve("reference", &[]).unwrap().to_toml();
    let text = reference.replace(
        "size_m = [10.0, 10.0]",
        "map = { moving_ai = { file = \"own.map\", cell_m = 0.75 } }",
    );
    std::fs::write(&file, &text).unwrap();
    let scenario = Scenario::load(&file, &[]).unwrap();
    assert_eq!(scenario.map.as_ref().unwrap().obstacles().len(), 3);
    let again =
        Scenario::from_text("mine", "elsewhere/mine.toml", &scenario.to_toml(), &[]).unwrap();
    assert_eq!(again.spec, scenario.spec);
    assert_eq!(again.map, scenario.map);
    let (mut sampler, mut one, mut other) = Default::default();
    for episode in 0..20 {
        LayoutSampler::sample(&mut sampler, &scenario, key(episode), &mut one).unwrap();
        LayoutSampler::default()
            .sample(&again, key(episode), &mut other)
            .unwrap();
        assert_eq!(one, other);
    }
}

/// The number behind each of these tags, in the order of the file.
fn numbers_of(text: &str, tag: &str) -> Vec<f64> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    text.split(&open)
        .skip(1)
        .map(|rest| rest.split(&close).next().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn barn_worlds_have_the_cylinders_of_their_files() {
    let Some(folder) = data("barn") else {
        return;
    };
    let mut worlds = 0;
    for index in (1..=295).step_by(6) {
        let path = folder.join(format!("world_{index}.world"));
        let text = std::fs::read_to_string(&path).unwrap();
        // Each cylinder is written as what collides and as what is seen.
        let radii = numbers_of(&text, "radius");
        let room = read(&path);
        assert_eq!(2 * room.shapes.discs_m.len(), radii.len(), "world {index}");
        assert!(room.shapes.boxes_m.is_empty());
        let area = |radii: &mut dyn Iterator<Item = f64>| radii.map(|r| r * r).sum::<f64>();
        let read = area(&mut room.shapes.discs_m.iter().map(|disc| disc[2]));
        assert!((2.0 * read - area(&mut radii.iter().copied())).abs() < 1e-9);
        // Poses as the world's saved state has them, too.
        let state = text.split("<state").nth(1).expect("a saved state");
        for [x, y, _] in &room.shapes.discs_m {
            assert!(state.contains(&format!(">{x:.6} {y:.6} ")), "({x}, {y})");
        }
        worlds += 1;
    }
    assert_eq!(worlds, 50);
}

/// The length of the polyline start → `path_files` → goal of a BARN world, as the challenge has it.
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

/// Start, heading and goal as given, and a shortest path between them, in every world.
#[test]
fn barn_worlds_take_a_given_robot_start_and_goal() {
    let Some(folder) = data("barn") else {
        return;
    };
    let at = |[x, y]: [f64; 2]| {
        PlaceSpec::At(PointSpec {
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
        let room = read(&folder.join(format!("world_{index}.world")));
        let room = room.widened(&[BARN_START, BARN_GOAL], 2.0);
        let scenario = on_map(
            "barn",
            room,
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
        let way = Geodesic::new(&layout, placed.radius).distance(placed.start, placed.goal);
        slowest = slowest.max(before.elapsed().as_secs_f64());
        let way = way.unwrap_or_else(|| panic!("world {index} has no path"));
        assert!((10.0..20.0).contains(&way), "world {index}: {way} m");
        ratios.push(barn_polyline(&folder, index) / way);
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

const WORLD: &str = r#"<?xml version="1.0"?>
<sdf version="1.6"><world name="w">
  <include><uri>model://sun</uri></include>
  <model name="turned"><pose>1 2 0.5 0 0 1.5707963267948966</pose>
    <link name="l"><pose>1 0 0 0 0 0</pose><collision name="c">
      <geometry><box><size>2 1 1</size></box></geometry></collision></link>
    <model name="inner"><link name="l"><collision name="c"><pose>0 -1 0 0 0 0</pose>
      <geometry><cylinder><radius>0.25</radius><length>1</length></cylinder></geometry>
    </collision></link></model>
  </model>
  <model name="ceiling"><pose>0 0 3 0 0 0</pose><link name="l"><collision name="c">
    <geometry><box><size>9 9 0.1</size></box></geometry></collision></link></model>
  <model name="ground"><link name="l"><collision name="c">
    <geometry><plane><normal>0 0 1</normal></plane></geometry></collision></link></model>
</world></sdf>
"#;

#[test]
fn a_world_is_seen_from_above_with_its_nested_poses() {
    // The box reaches from (0.5, 2) to (1.5, 4), the disc from (1.75, 1.75) to (2.25, 2.25), and
    // there is a metre around both.
    assert_eq!(
        told("m.world", WORLD.as_bytes(), b""),
        "MapRoom { origin_m: [-0.5, 0.75], size_m: [3.75, 4.25], shapes: ShapesSpec { boxes_m: \
         [[1.0, 3.0, 1.0, 0.5, 1.570796327]], discs_m: [[2.0, 2.0, 0.25]] } }"
    );
}

const YAML: &str = "image: m.pgm\nresolution: 0.5\norigin: [-1.0, 2.0, 0.0]\nnegate: 0\n\
occupied_thresh: 0.65\nfree_thresh: 0.196\n";
const PLAIN: &str = "P2\n# three by two\n3 2\n255\n254 254 0\n205 254 254\n";

/// What reading a map says of it: the mistake, or how many boxes there are.
fn told(name: &str, text: &[u8], image: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("m.pgm"), image).unwrap();
    match MapRoom::of_file(&path) {
        Ok(room) => format!("{room:?}"),
        Err(error) => error
            .to_string()
            .replace(&format!("{}/", folder.path().display()), ""),
    }
}

#[test]
fn plain_binary_and_negated_images_and_unknown_cells() {
    let plain = told("m.yaml", YAML.as_bytes(), PLAIN.as_bytes());
    assert_eq!(
        plain,
        "MapRoom { origin_m: [-1.0, 2.0], size_m: [1.5, 1.0], shapes: ShapesSpec { boxes_m: \
         [[-0.75, 2.25, 0.25, 0.25, 0.0], [0.25, 2.75, 0.25, 0.25, 0.0]], discs_m: [] } }"
    );
    let pixels =
        |white: &str, bytes: &[u8]| [format!("P5 3 2 {white}\n").as_bytes(), bytes].concat();
    let binary = pixels("255", &[254, 254, 0, 205, 254, 254]);
    assert_eq!(told("m.yaml", YAML.as_bytes(), &binary), plain);
    let wide = pixels("65535", &[254, 0, 254, 0, 0, 0, 205, 0, 254, 0, 254, 0]);
    assert_eq!(told("m.yaml", YAML.as_bytes(), &wide), plain);
    let negated = YAML.replace("negate: 0", "negate: true # as the camera saw it");
    let dark = pixels("255", &[1, 1, 255, 50, 1, 1]);
    assert_eq!(told("m.yaml", negated.as_bytes(), &dark), plain);
    // As nav2 and people write it.
    let block = YAML
        .replace("[-1.0, 2.0, 0.0]", "\n- -1.0\n- 2.0\n- 0")
        .replace("m.pgm", "\"m.pgm\"");
    let text = format!("---\nmode: trinary\r\n{block}");
    assert_eq!(told("m.yaml", text.as_bytes(), PLAIN.as_bytes()), plain);
}

/// A PNG image of three by two pixels.
fn png_image(color: png::ColorType, depth: png::BitDepth, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 3, 2);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == png::ColorType::Indexed {
        encoder.set_palette(&[254, 254, 254, 0, 0, 0, 205, 205, 205][..]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

#[test]
fn png_images_of_every_kind_are_as_their_grey() {
    use png::{BitDepth, ColorType};
    let grey = [254_u8, 254, 0, 205, 254, 254];
    let each = |f: fn(u8) -> Vec<u8>| grey.into_iter().flat_map(f).collect::<Vec<u8>>();
    let plain = told("m.yaml", YAML.as_bytes(), PLAIN.as_bytes());
    assert!(plain.starts_with("MapRoom"), "{plain}");
    for (color, depth, pixels) in [
        (ColorType::Grayscale, BitDepth::Eight, grey.to_vec()),
        (
            ColorType::Grayscale,
            BitDepth::Sixteen,
            each(|g| vec![g, g]),
        ),
        // Unequal channels of the same mean.
        (
            ColorType::Rgb,
            BitDepth::Eight,
            each(|g| vec![g - u8::from(g > 0), g, g + u8::from(g > 0)]),
        ),
        (
            ColorType::Indexed,
            BitDepth::Two,
            vec![0b0000_0100, 0b1000_0000],
        ),
        // Opaque, which map_server counts as a fourth channel: black is then a quarter white.
        (
            ColorType::GrayscaleAlpha,
            BitDepth::Eight,
            each(|g| vec![g, 255]),
        ),
        (
            ColorType::Rgba,
            BitDepth::Eight,
            each(|g| vec![g, g, g, 255]),
        ),
    ] {
        let image = png_image(color, depth, &pixels);
        let unknown_is_free = matches!(color, ColorType::GrayscaleAlpha | ColorType::Rgba);
        let expected = if unknown_is_free {
            let opaque = "P2 3 2 255 254 254 63 217 254 254";
            told("m.yaml", YAML.as_bytes(), opaque.as_bytes())
        } else {
            plain.clone()
        };
        assert_eq!(
            told("m.yaml", YAML.as_bytes(), &image),
            expected,
            "{color:?}"
        );
    }
}

/// Whether a point is inside one of the room's boxes.
fn is_solid(room: &MapRoom, [x, y]: [f64; 2]) -> bool {
    room.shapes
        .boxes_m
        .iter()
        .any(|[cx, cy, half_x, half_y, yaw]| {
            let (dx, dy) = (x - cx, y - cy);
            let along = dx * yaw.cos() + dy * yaw.sin();
            let across = dy * yaw.cos() - dx * yaw.sin();
            along.abs() < *half_x && across.abs() < *half_y
        })
}

/// The same free cells, turned about the corner, and nothing else: the corners of the upright room
/// about them are solid.
#[test]
fn a_turned_map_is_the_upright_one_turned() {
    let flat = YAML.replace("0.0]", "0.6]");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.yaml"), flat).unwrap();
    std::fs::write(folder.path().join("m.pgm"), PLAIN).unwrap();
    let turned = read(&folder.path().join("m.yaml"));
    std::fs::write(folder.path().join("m.yaml"), YAML).unwrap();
    let upright = read(&folder.path().join("m.yaml"));
    let (sin, cos) = 0.6_f64.sin_cos();
    let (mut free, mut tried) = (0, 0);
    let steps = 200;
    for i in 0..steps {
        for k in 0..steps {
            let share = |i: i32| (f64::from(i) + 0.5) / f64::from(steps);
            let x = turned.origin_m[0] + share(i) * turned.size_m[0];
            let y = turned.origin_m[1] + share(k) * turned.size_m[1];
            let (dx, dy) = (x + 1.0, y - 2.0);
            let back = [-1.0 + cos * dx + sin * dy, 2.0 - sin * dx + cos * dy];
            let within = (0..2).all(|axis| {
                let from = back[axis] - upright.origin_m[axis];
                (0.0..=upright.size_m[axis]).contains(&from)
            });
            let expected = within && !is_solid(&upright, back);
            assert_eq!(!is_solid(&turned, [x, y]), expected, "({x}, {y})");
            free += i32::from(expected);
            tried += 1;
        }
    }
    let area = f64::from(free) / f64::from(tried) * turned.size_m[0] * turned.size_m[1];
    // Four free cells of half a metre.
    assert!((area - 1.0).abs() < 0.01, "{area} m² are free");
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let map = |from: &str, to: &str| told("m.map", OWN_MAP.replacen(from, to, 1).as_bytes(), b"");
    let yaml = |from: &str, to: &str| {
        told(
            "m.yaml",
            YAML.replacen(from, to, 1).as_bytes(),
            PLAIN.as_bytes(),
        )
    };
    let image = |from: &str, to: &str| {
        told(
            "m.yaml",
            YAML.as_bytes(),
            PLAIN.replacen(from, to, 1).as_bytes(),
        )
    };
    let world = |from: &str, to: &str| told("m.world", WORLD.replacen(from, to, 1).as_bytes(), b"");
    let png = png_image(png::ColorType::Grayscale, png::BitDepth::Eight, &[9; 6]);
    let mut bad_sum = png.clone();
    bad_sum[20] ^= 1;
    let messages = [
        map("type octile", "octile"),
        map("height 6", "height six"),
        map("height 6", "width 6"),
        map("height 6", "height 7"),
        map("width 12", "width 11"),
        map("width 12", "width 99999999999"),
        map("..T", "..x"),
        map("map", "mapp"),
        told("m.map", b"type octile\nheight 1\nwidth 2\nmap\n@@\n", b""),
        told(
            "m.map",
            b"type octile\nheight 1\nwidth 2\nmap\n\xff.\n",
            b"",
        ),
        yaml("image: m.pgm\n", ""),
        yaml("m.pgm", "gone.pgm"),
        yaml("0.5", "half"),
        yaml("0.5", "0"),
        yaml("-1.0", "-100000"),
        yaml("0.0]", "0.0"),
        yaml(", 0.0]", "]"),
        yaml("negate: 0", "negate: maybe"),
        yaml("0.65", "0.1"),
        yaml("negate: 0", "mode: raw\nnegate: 0"),
        yaml("negate: 0", "negate"),
        yaml("resolution: 0.5", "resolution:"),
        told("m.yaml", YAML.as_bytes(), &png[..png.len() / 2]),
        told("m.yaml", YAML.as_bytes(), &bad_sum),
        told("m.txt", b"", b""),
        told(
            "m.map",
            format!(
                "type octile\nheight 1\nwidth 1001\nmap\n{}\n",
                ".".repeat(1001)
            )
            .as_bytes(),
            b"",
        ),
        image("P2", "P6"),
        image("3 2", "3 -2"),
        image("3 2", "0 2"),
        image("3 2", "9000000 9000000"),
        image("205", "256"),
        image("254 254\n", "254"),
        told("m.yaml", YAML.as_bytes(), b"P5\n3 2 255\n\xff\xff"),
        told("m.yaml", YAML.as_bytes(), b"P2 1 1 255 0"),
        world("<sdf", "<gazebo"),
        world("</sdf>", ""),
        world("1 2 0.5 0 0", "1 2 0.5 0.2 0"),
        world("1 2 0.5 0 0 1.57", "1 2 0.5 0 0 x"),
        world("<pose>1 0", "<pose relative_to='there'>1 0"),
        world("2 1 1", "2 1"),
        world("2 1 1", "2 -1 1"),
        world("<radius>0.25</radius>", ""),
        world("<plane>", "<mesh/><plane>"),
        world("model://sun", "model://house"),
        told("m.sdf", b"<sdf><world/></sdf>", b""),
    ];
    let mut text = String::new();
    for message in messages {
        assert!(!message.starts_with("MapRoom"), "{message}");
        writeln!(text, "{message}\n").unwrap();
    }
    insta::assert_snapshot!(text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Cut off anywhere, and with any bytes changed, a file is a map or a mistake.
    #[test]
    fn broken_maps_never_panic(
        which in 0..5_usize, keep in 0.0..=1.0_f64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let png = png_image(png::ColorType::Grayscale, png::BitDepth::Eight, &[254, 254, 0, 9, 254, 254]);
        let mut files = [OWN_MAP.as_bytes().to_vec(), YAML.into(), PLAIN.into(), WORLD.into(), png];
        let file = &mut files[which];
        file.truncate((keep * file.len() as f64) as usize);
        for (at, byte) in changes {
            if !file.is_empty() {
                let at = at.index(file.len());
                file[at] = byte;
            }
        }
        let [map, yaml, image, world, png] = &files;
        let text = match which {
            0 => told("m.map", map, b""),
            3 => told("m.world", world, b""),
            4 => told("m.yaml", yaml, png),
            _ => told("m.yaml", yaml, image),
        };
        prop_assert!(text.starts_with("MapRoom") || text.starts_with("m."), "{}", text);
    }
}
