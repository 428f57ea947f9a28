//! Compares what the simulation says of a world with slow geometry (`geometry.rs`).

use evenkeel::env::NavEnv;
use evenkeel::scenario::{Geodesic, Layout, LidarParameters, RobotParameters};
use evenkeel::sim::{Beams, Pose2, ScanReadings, Scene, WorldSnapshot};
use rand::RngExt as _;
use rand_pcg::Pcg32;

use crate::geometry::{Point, Ray, ReferenceShape, moving_shapes, static_shapes};

/// Largest difference between a reading and a cast ray, and between two clearances, metres.
const MAX_DIFFERENCE_M: f64 = 1e-3;
/// A robot's outline may be this deep inside a shape or a wall after a step, metres: what the simulation
/// promises (`sim/sweep.rs`).
const MAX_DEPTH_M: f64 = 3e-3;
/// Clearance below which a robot touches something, metres (`CONTACT_DISTANCE`).
const CONTACT_M: f64 = 1e-3;
/// Beams times shapes of one scan, at most: of more beams, some are left out.
const MAX_CASTS: usize = 50_000;
/// Shapes of a layout in which paths are checked, at most.
const MAX_SHAPES_FOR_PATHS: usize = 400;
/// Distance between two checked points of a path, metres, and the number of them, at most.
const PATH_SPACING_M: f64 = 0.01;
const MAX_PATH_POINTS: usize = 4000;
/// Poses in each layout from which a scan is cast.
const POSES: usize = 4;

/// The walls of the arena: the least and the greatest x and y.
type Walls = [Point; 2];

fn walls(layout: &Layout) -> Walls {
    let (min, max) = (layout.arena.min, layout.arena.max);
    [[min.x, min.y], [max.x, max.y]].map(|corner| corner.map(f64::from))
}

/// Rounding of positions in single precision, metres, for a layout and the range of a lidar.
fn rounding(layout: &Layout, range: f64) -> f64 {
    let largest = walls(layout)
        .as_flattened()
        .iter()
        .fold(range, |largest, side| largest.max(side.abs()));
    1e-4 + 1e-6 * largest
}

/// Distance along a ray to the walls of an arena that is `growth` metres larger on every side; 0
/// outside.
fn cast_at_walls(walls: &Walls, ray: Ray, growth: f64) -> f64 {
    let mut nearest = f64::INFINITY;
    for axis in [0, 1] {
        let (origin, speed) = (ray.origin[axis], ray.direction[axis]);
        let (low, high) = (walls[0][axis] - growth, walls[1][axis] + growth);
        if origin < low || origin > high {
            return 0.0;
        }
        if speed > 0.0 {
            nearest = nearest.min((high - origin) / speed);
        } else if speed < 0.0 {
            nearest = nearest.min((low - origin) / speed);
        }
    }
    nearest
}

/// Distance from a point to the walls, metres; negative outside.
fn distance_to_walls(walls: &Walls, point: Point) -> f64 {
    let axis = |axis: usize| (point[axis] - walls[0][axis]).min(walls[1][axis] - point[axis]);
    axis(0).min(axis(1))
}

/// A scan to compare: where it was cast, and what it read.
struct Scan<'a> {
    position: Point,
    heading_rad: f64,
    beams: &'a Beams,
    range: f64,
    readings: &'a [f32],
}

impl Scan<'_> {
    /// Compares each reading with the distances to the same shapes, once a little larger and once a
    /// little smaller, so that rounding at edges is no difference.
    fn check(&self, layout: &Layout, shapes: &[&ReferenceShape]) {
        let walls = walls(layout);
        let slack = rounding(layout, self.range);
        let (first, step, _) = self.beams.spacing();
        let count = self.readings.len();
        let stride = (count * shapes.len()).div_ceil(MAX_CASTS).max(1);
        for beam in (0..count).step_by(stride) {
            let angle = self.heading_rad + f64::from(first) + f64::from(step) * beam as f64;
            let (sin, cos) = angle.sin_cos();
            let cast = |shift: f64, growth: f64| {
                let ray = Ray {
                    origin: [
                        self.position[0] - sin * shift,
                        self.position[1] + cos * shift,
                    ],
                    direction: [cos, sin],
                };
                let hits = shapes.iter().filter_map(|shape| shape.cast(ray, growth));
                let nearest = hits.fold(cast_at_walls(&walls, ray, -growth), f64::min);
                nearest.min(self.range)
            };
            let low = cast(0.0, slack);
            let high = [-slack, 0.0, slack].map(|shift| cast(shift, -slack));
            let high = high.into_iter().fold(0.0, f64::max);
            let reading = f64::from(self.readings[beam]);
            assert!(
                reading >= low - MAX_DIFFERENCE_M && reading <= high + MAX_DIFFERENCE_M,
                "beam {beam} from {:?} at {angle} rad reads {reading} m, and the shapes are at {low} \
                 to {high} m",
                self.position
            );
        }
    }
}

/// Checks scans from random poses in a layout, some of them inside of shapes.
pub(crate) fn check_scans(env: &NavEnv, rng: &mut Pcg32) {
    let layout = env.layout();
    let [low, high] = walls(layout);
    let mut scene = Scene::default();
    scene.load(layout);
    let mut snapshot = WorldSnapshot::default();
    env.snapshot(&mut snapshot);
    let shapes = static_shapes(layout);
    let [movers, robots] = moving_shapes(layout, &snapshot);
    // A scene has the robots as shapes only if there are several.
    let robots = if robots.len() > 1 { &robots[..] } else { &[] };
    let shapes: Vec<&ReferenceShape> = shapes.iter().chain(&movers).chain(robots).collect();
    if robots.len() > 1 {
        for (index, robot) in snapshot.robots.iter().enumerate() {
            let (sin, cos) = robot.heading_rad.sin_cos();
            scene.put_robot(index, robot.position.into(), [cos, sin].into());
        }
    }
    for (index, mover) in snapshot.movers.iter().enumerate() {
        scene.move_mover(index, mover.position.into());
    }
    let spec = &env.scenario().spec.robot[0].lidar;
    let beams = Beams::of(spec);
    let mut readings = ScanReadings::new(&beams);
    for _ in 0..POSES {
        let mut along = |axis: usize| {
            let share = rng.random_range(-0.02..1.02);
            (low[axis] + (high[axis] - low[axis]) * share) as f32
        };
        let (x, y) = (along(0), along(1));
        let heading = rng.random_range(-4.0_f32..4.0);
        let (sin, cos) = heading.sin_cos();
        let range = layout.robots[0].lidar.range;
        scene.sense(&beams, Pose2 { x, y, cos, sin }, range, &mut readings);
        let scan = Scan {
            position: [x, y].map(f64::from),
            heading_rad: f64::from(heading),
            beams: &beams,
            range: f64::from(range),
            readings: readings.readings(),
        };
        scan.check(layout, &shapes);
    }
}

/// Whether the readings of a lidar are the distances at this step.
fn is_exact(lidar: &LidarParameters) -> bool {
    let errors = [
        lidar.range_noise,
        lidar.bearing_noise,
        lidar.dropout,
        lidar.resolution,
        lidar.latency_secs,
        lidar.period_secs,
    ];
    errors.iter().all(|&error| error <= 0.0)
}

/// Checks what the simulation says of each active robot after a step: readings, clearance, contact,
/// and that its outline is not inside a wall or a static obstacle.
pub(crate) fn check_step(env: &NavEnv, snapshot: &WorldSnapshot) {
    let layout = env.layout();
    let walls = walls(layout);
    let obstacles = static_shapes(layout);
    let [movers, robots] = moving_shapes(layout, snapshot);
    for (index, robot) in snapshot.robots.iter().enumerate() {
        if robot.inactive {
            continue;
        }
        let parameters = &layout.robots[index];
        let outline = &robots[index];
        check_depth(outline, &walls, &obstacles, layout, snapshot.step);
        let others = robots
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        let others = others.map(|(_, shape)| shape);
        let shapes: Vec<&ReferenceShape> = obstacles.iter().chain(&movers).chain(others).collect();
        check_clearance(outline, &walls, &shapes, layout, robot);
        if is_exact(&parameters.lidar) {
            check_readings(parameters, layout, &shapes, robot, env);
        }
    }
}

fn check_readings(
    parameters: &RobotParameters,
    layout: &Layout,
    shapes: &[&ReferenceShape],
    robot: &evenkeel::sim::RobotSnapshot,
    env: &NavEnv,
) {
    let lidar = &parameters.lidar;
    let heading = f64::from(robot.heading_rad);
    let mount = [lidar.position.x, lidar.position.y].map(f64::from);
    let scan = Scan {
        position: crate::geometry::placed(
            robot.position.map(f64::from),
            [heading.cos(), heading.sin()],
            mount,
        ),
        heading_rad: heading + f64::from(lidar.yaw_rad),
        beams: &Beams::of(&env.scenario().spec.robot[0].lidar),
        range: f64::from(lidar.range),
        readings: &robot.ranges_m,
    };
    scan.check(layout, shapes);
}

/// Distance from an outline to the walls, metres; negative if a part is outside.
fn outline_to_walls(outline: &ReferenceShape, walls: &Walls) -> f64 {
    match outline {
        ReferenceShape::Disc { center, radius } => distance_to_walls(walls, *center) - radius,
        ReferenceShape::Convex { corners } => {
            let distances = corners
                .iter()
                .map(|&corner| distance_to_walls(walls, corner));
            distances.fold(f64::INFINITY, f64::min)
        }
    }
}

/// Checks that an outline is not inside a wall or a static obstacle.
fn check_depth(
    outline: &ReferenceShape,
    walls: &Walls,
    obstacles: &[ReferenceShape],
    layout: &Layout,
    step: u32,
) {
    let allowed = MAX_DEPTH_M + rounding(layout, 0.0);
    let depth = -outline_to_walls(outline, walls);
    assert!(
        depth <= allowed,
        "at step {step} {outline:?} is {depth} m beyond the walls {walls:?}"
    );
    for obstacle in obstacles {
        let depth = depth_in(outline, obstacle);
        assert!(
            depth <= allowed,
            "at step {step} {outline:?} is {depth} m inside {obstacle:?}"
        );
    }
}

/// How deep points of an outline are inside of a shape, metres; negative if none is.
fn depth_in(outline: &ReferenceShape, shape: &ReferenceShape) -> f64 {
    /// Distance of the points on an outline that are tried, metres.
    const SPACING_M: f64 = 0.02;
    match outline {
        ReferenceShape::Disc { center, radius } => radius - shape.distance(*center),
        ReferenceShape::Convex { corners } => {
            let edges = corners.iter().zip(corners.iter().cycle().skip(1));
            let points = edges.flat_map(|(a, b)| {
                let length = (b[0] - a[0]).hypot(b[1] - a[1]);
                let count = (length / SPACING_M).ceil().clamp(1.0, 100.0) as usize;
                (0..count).map(move |index| {
                    let share = index as f64 / count as f64;
                    [0, 1].map(|axis| a[axis] + (b[axis] - a[axis]) * share)
                })
            });
            let depths = points.map(|point| -shape.distance(point));
            depths.fold(f64::NEG_INFINITY, f64::max)
        }
    }
}

/// Checks the clearance of a robot, and that it touches what it is no farther from than the contact
/// distance.
fn check_clearance(
    outline: &ReferenceShape,
    walls: &Walls,
    shapes: &[&ReferenceShape],
    layout: &Layout,
    robot: &evenkeel::sim::RobotSnapshot,
) {
    let gaps = shapes.iter().map(|shape| outline.gap(shape));
    let nearest = gaps.fold(outline_to_walls(outline, walls).max(0.0), f64::min);
    let clearance = f64::from(robot.clearance_m);
    let slack = rounding(layout, 0.0);
    assert!(
        (clearance - nearest).abs() <= MAX_DIFFERENCE_M + slack,
        "the clearance of {outline:?} is {clearance} m, and the nearest shape is {nearest} m away"
    );
    assert!(
        robot.contact || nearest >= CONTACT_M - slack,
        "{outline:?} is {nearest} m from a shape, and does not touch it"
    );
}

/// Checks that there is a path from each robot's start to its goal, and that a disc which follows it
/// touches nothing.
pub(crate) fn check_paths(layout: &Layout) {
    let shapes = static_shapes(layout);
    if shapes.len() > MAX_SHAPES_FOR_PATHS {
        return;
    }
    let walls = walls(layout);
    for robot in &layout.robots {
        let radius = robot.passage_radius;
        let path = Geodesic::new(layout, radius).path(robot.start, robot.goal);
        let path = path.unwrap_or_else(|| {
            panic!(
                "no path for a disc of radius {radius} m from {} to {}",
                robot.start, robot.goal
            )
        });
        let radius = f64::from(radius);
        // An arc around a disc is a polyline whose lines turn by up to 0.1 rad.
        let largest = shapes.iter().fold(0.0, |largest: f64, shape| match shape {
            ReferenceShape::Disc { radius, .. } => largest.max(*radius),
            ReferenceShape::Convex { .. } => largest,
        });
        let allowed = rounding(layout, 0.0) + (radius + largest) * (1.0 - 0.05_f64.cos());
        let spacing = PATH_SPACING_M.max(path.length_m / MAX_PATH_POINTS as f64);
        for (from, to) in path.points.iter().zip(path.points.iter().skip(1)) {
            let (from, to) = ([from.x, from.y].map(f64::from), [to.x, to.y].map(f64::from));
            let length = (to[0] - from[0]).hypot(to[1] - from[1]);
            let count = (length / spacing).ceil().max(1.0);
            for index in 0..=count as usize {
                let share = index as f64 / count;
                let point = [0, 1].map(|axis| from[axis] + (to[axis] - from[axis]) * share);
                let distances = shapes.iter().map(|shape| shape.distance(point));
                let nearest = distances.fold(distance_to_walls(&walls, point), f64::min);
                assert!(
                    nearest >= radius - allowed,
                    "a path for a disc of radius {radius} m leads {nearest} m from a shape, at {point:?}"
                );
            }
        }
    }
}
